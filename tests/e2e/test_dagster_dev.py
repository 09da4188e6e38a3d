"""`dagster dev` from outside: a day arrives, the sensor runs it, a backfill makes two more."""

import datetime as dt
import subprocess
import sys

import pytest
from dagsterdev import CONFIG, LOCATION, RESULT, SLUG, Dagster, deliver

from odum_assets.results.store import ResultStore

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(280)]

SENSOR = {**LOCATION, "sensorName": "raw_days"}

FROM_PYTHON = f"""
from odum_assets.orchestration.launch import load_graph, materialize, open_instance
from odum_assets.settings import load_settings

with open_instance() as instance:
    graph = load_graph(load_settings())
    made = materialize(instance, graph, [("catalog", "{SLUG}", "trades")], "2024-01-01")
    print(made.dagster_run_id if made.success else made.failures)
"""
"""What the command line does, in a process of its own."""


def test_a_delivered_day_and_a_backfill_become_results(dagster: Dagster) -> None:
    first = dt.date(2024, 1, 1)
    days = [first + dt.timedelta(days=index) for index in range(3)]
    rows = {str(first): deliver(dagster.folder, first)}

    started = dagster.query(
        """mutation($sensor: SensorSelector!) { startSensor(sensorSelector: $sensor) {
        __typename ... on Sensor { sensorState { id status } } } }""",
        sensor=SENSOR,
    )["startSensor"]
    assert started["sensorState"]["status"] == "RUNNING"
    ended = dagster.wait(
        "finished run of the sensor",
        lambda: [run for run in dagster.runs() if run["status"] in ("SUCCESS", "FAILURE")],
    )
    tags = {tag["key"]: tag["value"] for tag in ended[0]["tags"]}
    assert (len(ended), ended[0]["status"]) == (1, "SUCCESS")
    assert ended[0]["jobName"] == f"{CONFIG}_day"
    assert tags["dagster/partition"] == str(first)
    assert tags["odum/started_by"] == "raw_days"
    dagster.query(
        "mutation($id: String!) { stopSensor(id: $id) { __typename } }",
        id=started["sensorState"]["id"],
    )

    by_hand = subprocess.run(
        [sys.executable, "-c", FROM_PYTHON],
        cwd=dagster.folder,
        env=dagster.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    seen = dagster.query(
        """query($id: ID!) { runOrError(runId: $id) { ... on Run { jobName status
        repositoryOrigin { repositoryName repositoryLocationName } } } }""",
        id=by_hand.stdout.strip(),
    )["runOrError"]
    assert seen == {
        "jobName": f"{CONFIG}_day",
        "status": "SUCCESS",
        "repositoryOrigin": {
            "repositoryName": SENSOR["repositoryName"],
            "repositoryLocationName": SENSOR["repositoryLocationName"],
        },
    }

    rows |= {str(day): deliver(dagster.folder, day) for day in days[1:]}
    _materialize_all(dagster, first)
    _run_window(dagster, days)
    keys = [["catalog", SLUG, "trades"], ["catalog", SLUG, "book_depths"], RESULT]
    fast = {"ops": {"__".join(RESULT): {"config": {"mode": "fast"}}}}
    backfill_id = dagster.backfill(keys, days[1:], fast)
    ended_as = dagster.wait("finished backfill", lambda: dagster.backfill_end(backfill_id))
    assert ended_as == "COMPLETED_SUCCESS"

    store = ResultStore(dagster.folder / "data/results")
    for day in map(str, days):
        entry = store.current(CONFIG, day)
        assert entry is not None
        shown = dagster.metadata(RESULT, day)
        assert shown["run_id"] == entry.run_id
        assert shown["digest"] == entry.digest
        assert shown["mode"] == ("report" if day == str(first) else "fast")
        # One order per trade, the closing order, and the simulated one for what the book leaves.
        assert rows[day] <= int(shown["orders"]) <= rows[day] + 2
        assert shown["equity"].startswith("![Equity in USDT](<data:image/svg+xml,")
        catalog = dagster.metadata(["catalog", SLUG, "trades"], day)
        assert int(catalog["dagster/row_count"]) == rows[day]


def _materialize_all(dagster: Dagster, day: dt.date) -> None:
    """Press "Materialize all" for a day that is converted."""
    nodes = dagster.query("{ assetNodes { assetKey { path } isMaterializable } }")["assetNodes"]
    every = [each["assetKey"]["path"] for each in nodes if each["isMaterializable"]]
    # A day without a funding file has no partition of it.
    keys = [key for key in every if key[-1] != "funding_rates"]
    assert sorted(key[-1] for key in keys) == [
        "book_depths",
        "report",
        "result",
        "ticks",
        "trades",
    ]
    run_id = dagster.launch_job("__ASSET_JOB", keys, {"dagster/partition": str(day)})
    assert dagster.wait("end of all assets", lambda: dagster.end_of(run_id)) == "SUCCESS"


def _run_window(dagster: Dagster, days: list[dt.date]) -> None:
    """Run a window from the launchpad; only its first day is converted."""
    chosen = {
        "start": f"{days[0]}T00:00:00Z",
        "end": f"{days[-1] + dt.timedelta(days=1)}T00:00:00Z",
        "mode": "fast",
    }
    op = f"backtest__{CONFIG}__window"
    run_id = dagster.launch_job(f"{CONFIG}_window", [], {}, {"ops": {op: {"config": chosen}}})
    assert dagster.wait("end of the window", lambda: dagster.end_of(run_id)) == "SUCCESS"
    shown = dagster.query(
        """query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
        assetMaterializations(limit: 1) { runId }
        assetChecksOrError { ... on AssetChecks { checks { name
        executionForLatestMaterialization { status } } } } } } }""",
        key={"path": ["backtest", CONFIG, "window"]},
    )["assetNodeOrError"]
    assert shown["assetMaterializations"] == [{"runId": run_id}]
    checks = {
        each["name"]: each["executionForLatestMaterialization"]["status"]
        for each in shown["assetChecksOrError"]["checks"]
    }
    assert len(checks) == 5
    assert (checks["days_complete"], checks["accounts_reconcile"]) == ("SUCCEEDED", "SUCCEEDED")
    for day in days:
        assert dagster.metadata(["catalog", SLUG, "trades"], str(day))["dagster/row_count"]
