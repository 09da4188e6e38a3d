"""`dagster dev` from outside: a day arrives, the sensor runs it, a backfill makes two more."""

import contextlib
import datetime as dt
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from odum_assets.raw.sample import SampleSpec, write_sample
from odum_assets.results.store import ResultStore

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(280)]

REPO = Path(__file__).parents[2]
CONFIG = "binance_futures_btcusdt_l2_trades_config"
KEY = "BINANCE-FUTURES:PERPETUAL:BTC-USDT"
SLUG = "binance_futures_perpetual_btc_usdt"
RESULT = ["backtest", CONFIG, "result"]
SENSOR = {
    "repositoryLocationName": "odum_assets",
    "repositoryName": "__repository__",
    "sensorName": "raw_days",
}
PATIENCE_S = 120

FROM_PYTHON = f"""
from odum_assets.orchestration.launch import load_graph, materialize, open_instance
from odum_assets.settings import load_settings

with open_instance() as instance:
    graph = load_graph(load_settings())
    made = materialize(instance, graph, [("catalog", "{SLUG}", "trades")], "2024-01-01")
    print(made.dagster_run_id if made.success else made.failures)
"""
"""What the command line does, in a process of its own."""


class Dagster:
    """A running `dagster dev` and its GraphQL."""

    def __init__(self, folder: Path, port: int, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self._port = port

    def query(self, text: str, **variables: Any) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            body = json.dumps({"query": text, "variables": variables})
            connection.request("POST", "/graphql", body, {"Content-Type": "application/json"})
            content = json.load(connection.getresponse())
        finally:
            connection.close()
        assert "errors" not in content, content["errors"]
        return content["data"]

    def wait(self, what: str, ready: Callable[[], Any]) -> Any:
        """Return the first true answer."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            with contextlib.suppress(ConnectionError, TimeoutError):
                if found := ready():
                    return found
            time.sleep(0.5)
        log = (self.folder / "dagster.log").read_text()[-5000:]
        pytest.fail(f"no {what} within {PATIENCE_S} s; the log ends with:\n{log}")

    def runs(self) -> list[dict[str, Any]]:
        found = self.query(
            "{ runsOrError { ... on Runs { results { jobName status tags { key value } } } } }"
        )
        runs: list[dict[str, Any]] = found["runsOrError"]["results"]
        return runs

    def metadata(self, key: list[str], partition: str) -> dict[str, Any]:
        found = self.query(
            """query($key: AssetKeyInput!, $days: [String!]) { assetOrError(assetKey: $key) {
            ... on Asset { assetMaterializations(partitions: $days, limit: 1) { metadataEntries {
            label ... on IntMetadataEntry { intValue } ... on TextMetadataEntry { text }
            ... on FloatMetadataEntry { floatValue } ... on PathMetadataEntry { path }
            ... on MarkdownMetadataEntry { mdStr } } } } } }""",
            key={"path": key},
            days=[partition],
        )
        entries = found["assetOrError"]["assetMaterializations"][0]["metadataEntries"]
        return {entry.pop("label"): next(iter(entry.values()), None) for entry in entries}


@pytest.fixture
def dagster(tmp_path: Path) -> Iterator[Dagster]:
    """Start `dagster dev` in a project folder of its own, and stop it with all its children."""
    (tmp_path / "configs").mkdir()
    shutil.copy(REPO / "configs" / f"{CONFIG}.json", tmp_path / "configs")
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(REPO / name, tmp_path)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = ("UNIFIED_CLOUD_", "DATA_CATALOG_PATH", "ODUM_", "DAGSTER_")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(own)
    } | {"ODUM_STABLE_SECS": "600"}
    with (tmp_path / "dagster.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dagster", "dev", "-h", "127.0.0.1", "-p", str(port)],
            cwd=tmp_path,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
            # Dagster takes over how SIGINT is handled; started by a shell in the background it
            # would inherit that it is ignored.
            preexec_fn=_listen_to_interrupts,  # noqa: PLW1509 - this process has one thread
        )
    try:
        yield Dagster(tmp_path, port, environment)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _listen_to_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _deliver(folder: Path, day: dt.date) -> int:
    """Write a day folder with its marker, and return the number of trades."""
    spec = SampleSpec(
        keys=(KEY,), start=day, days=1, trades_per_day=500, books_per_day=500, hours=(10, 12)
    )
    write_sample(folder / "data", spec)
    place = folder / "data/raw_tick_data/by_date" / f"day-{day}"
    (place / "_SUCCESS").touch()
    return int(pq.read_metadata(place / "data_type-trades" / f"{KEY}.parquet").num_rows)


def _loaded(dagster: Dagster) -> bool:
    found = dagster.query(
        "{ repositoriesOrError { ... on RepositoryConnection { nodes { location { name } } } } }"
    )
    return bool(found["repositoriesOrError"].get("nodes"))


def test_a_delivered_day_and_a_backfill_become_results(dagster: Dagster) -> None:
    first = dt.date(2024, 1, 1)
    days = [first + dt.timedelta(days=index) for index in range(3)]
    rows = {str(first): _deliver(dagster.folder, first)}
    dagster.wait("loaded code location", lambda: _loaded(dagster))

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

    rows |= {str(day): _deliver(dagster.folder, day) for day in days[1:]}
    keys = [["catalog", SLUG, "trades"], ["catalog", SLUG, "book_depths"], RESULT]
    launched = dagster.query(
        """mutation($params: LaunchBackfillParams!) {
        launchPartitionBackfill(backfillParams: $params) { __typename
        ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }""",
        params={
            "assetSelection": [{"path": key} for key in keys],
            "partitionNames": [str(day) for day in days[1:]],
            "runConfigData": {"ops": {"__".join(RESULT): {"config": {"mode": "fast"}}}},
        },
    )["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched

    def backfill_status() -> str | None:
        found = dagster.query(
            """query($id: String!) { partitionBackfillOrError(backfillId: $id) {
            ... on PartitionBackfill { status } } }""",
            id=launched["backfillId"],
        )["partitionBackfillOrError"]["status"]
        return None if found in ("REQUESTED", "COMPLETING") else str(found)

    assert dagster.wait("finished backfill", backfill_status) == "COMPLETED_SUCCESS"

    store = ResultStore(dagster.folder / "data/results")
    for day in map(str, days):
        entry = store.current(CONFIG, day)
        assert entry is not None
        shown = dagster.metadata(RESULT, day)
        assert shown["run_id"] == entry.run_id
        assert shown["digest"] == entry.digest
        assert shown["mode"] == ("report" if day == str(first) else "fast")
        # One order per trade, and at most one that closes the position.
        assert rows[day] <= int(shown["orders"]) <= rows[day] + 1
        assert shown["equity"].startswith("![Equity in USDT](data:image/svg+xml;base64,")
        catalog = dagster.metadata(["catalog", SLUG, "trades"], day)
        assert int(catalog["dagster/row_count"]) == rows[day]
