"""Sweeps in the graph: the table, the check, and what is refused at once."""

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from graphtools import BTC, BTC_KEY, FIRST_DAY

from odum_assets.orchestration.launch import Graph, LaunchResult, materialize
from odum_assets.registry.database import reading
from odum_assets.registry.queries import RunFilter, list_runs
from odum_assets.registry.register import opened
from odum_assets.registry.types import RunStatus
from odum_assets.results.store import ResultStore
from odum_assets.settings import Settings

DAY = FIRST_DAY.isoformat()
SWEEP = ("backtest", BTC, "sweep")
KEY = "/".join(SWEEP)


def _sweep(graph: Graph, instance: dg.DagsterInstance, **config: Any) -> LaunchResult:
    return materialize(instance, graph, [SWEEP], DAY, config={SWEEP: {"mode": "fast", **config}})


def test_a_sweep_is_one_run_with_its_table(
    sample: Path, graph: Graph, instance: dg.DagsterInstance
) -> None:
    vary = {"strategy.order_type": ["LIMIT", "MARKET"], "risk.throttling_per_sec": [None, 1]}
    result = _sweep(graph, instance, vary=vary)
    assert result.success, result.failures
    made = result.materializations[KEY]
    rows = [record.data for record in made["variants"].records]
    assert [
        (row["variant"], row["strategy.order_type"], row["risk.throttling_per_sec"]) for row in rows
    ] == [(1, "LIMIT", "null"), (2, "LIMIT", "1"), (3, "MARKET", "null"), (4, "MARKET", "1")]
    store = ResultStore(sample / "data" / "results")
    for row in rows:
        entry = store.entry(row["run_id"])
        assert row["net_pnl"] == entry.summary()["pnl_breakdown"]["net"]
        assert row["orders"] == entry.summary()["orders"]
        assert entry.sweep is not None
        assert entry.sweep["id"] == made["sweep_id"]
    assert (made["variants_run"], made["variants_failed"]) == (4, 0)
    again = _sweep(graph, instance, vary=vary)
    versions = [_version(instance, each.dagster_run_id) for each in (result, again)]
    assert versions[0] == versions[1]


def _version(instance: dg.DagsterInstance, run_id: str) -> str:
    records = instance.fetch_materializations(dg.AssetKey(SWEEP), limit=10).records
    made = next(each for each in records if each.run_id == run_id).asset_materialization
    assert made is not None
    return str((made.tags or {})["dagster/data_version"])


def test_a_failed_variant_warns_and_the_table_says_why(
    sample: Path, settings: Settings, graph: Graph, instance: dg.DagsterInstance
) -> None:
    broken = {"strategy": {"name": "Broken", "path": "broken:Broken", "params": {}}}
    variants = [{"venue.starting_balance": 1_000_000}, broken]
    result = _sweep(graph, instance, variants=variants)
    assert not result.success
    assert "module broken cannot be imported" in dict(result.failures)[KEY]
    (sample / "broken.py").write_text(
        "from odum_assets.backtest.strategies.base import OdumStrategy\n"
        "class Broken(OdumStrategy):\n"
        "    def on_start(self):\n"
        "        raise RuntimeError('no model')\n"
    )
    result = _sweep(graph, instance, variants=variants)
    assert result.success, result.failures
    rows = [record.data for record in result.materializations[KEY]["variants"].records]
    assert rows[0]["error"] == ""
    assert "Broken raised RuntimeError in on_start: no model" in rows[1]["error"]
    assert rows[1]["net_pnl"] is None
    assert rows[1]["run_id"] == ""
    assert any("1 of 2 variants have a result" in text for _, text in result.warnings)
    with opened(settings) as engine, reading(engine) as connection:
        where = RunFilter(sweep_id=result.materializations[KEY]["sweep_id"])
        kept = {row["status"]: row for row in list_runs(connection, where).rows}
    assert set(kept) == {RunStatus.SUCCEEDED, RunStatus.FAILED}
    assert kept[RunStatus.FAILED]["error"] == rows[1]["error"]
    assert kept[RunStatus.SUCCEEDED]["run_id"] == rows[0]["run_id"]
    record = sample / f"data/results/failed/{kept[RunStatus.FAILED]['run_id']}.json"
    assert json.loads(record.read_text())["metadata"]["sweep"]["variant"] == 2
    result = _sweep(graph, instance, variants=[broken])
    assert not result.success
    assert "every variant failed" in dict(result.failures)[KEY]


@pytest.mark.parametrize(
    ("config", "cause"),
    [
        ({}, "nothing varies"),
        ({"vary": {"execution.latency.insert_ns": [1]}}, 'did you mean "insert_ms"'),
        ({"vary": {"instrument.id": ["x"]}}, "may not vary"),
        (
            {"vary": {"venue.leverage": [1]}, "variants": [{"venue.leverage": 2}]},
            "exclude each other",
        ),
    ],
)
def test_what_cannot_vary_fails_before_anything_runs(
    sample: Path,
    graph: Graph,
    instance: dg.DagsterInstance,
    config: dict[str, Any],
    cause: str,
) -> None:
    result = _sweep(graph, instance, **config)
    assert not result.success
    assert cause in dict(result.failures)[KEY]
    assert not (sample / "data" / "results" / "fast").exists()


def test_a_missing_raw_file_fails_the_sweep_and_is_never_retried(
    folder: Path, graph: Graph, instance: dg.DagsterInstance
) -> None:
    result = _sweep(graph, instance, vary={"venue.leverage": [1, 2]})
    assert not result.success
    assert f"there is no raw trades file of {BTC_KEY} for {DAY}" in dict(result.failures)[KEY]
    events = instance.all_logs(result.dagster_run_id)
    assert not [each for each in events if "RETRY" in str(each.dagster_event)]
    assert not (folder / "data" / "results" / "fast").exists()
