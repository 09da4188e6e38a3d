"""Runs of the graph register themselves, and a registry that cannot be written harms no result."""

import json
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as sa
from graphtools import BTC, BTC_SLUG, FIRST_DAY

from odum_assets.orchestration.launch import Graph, materialize
from odum_assets.registry.database import reading
from odum_assets.registry.queries import RunFilter, get_run, list_artifacts, list_runs
from odum_assets.registry.register import opened
from odum_assets.registry.types import RunStatus
from odum_assets.results.store import ResultStore
from odum_assets.settings import Settings

DAY = FIRST_DAY.isoformat()
CATALOG = [("catalog", BTC_SLUG, "trades"), ("catalog", BTC_SLUG, "book_depths")]
RESULT = ("backtest", BTC, "result")
WINDOW = ("backtest", BTC, "window")


def _runs(settings: Settings, where: RunFilter | None = None) -> list[dict[str, Any]]:
    with opened(settings) as engine, reading(engine) as connection:
        return list_runs(connection, where).rows


def test_a_materialized_result_is_in_the_registry_with_its_exports(
    sample: Path, settings: Settings, graph: Graph, instance: dg.DagsterInstance
) -> None:
    assert sample.is_dir()
    keys = [*CATALOG, RESULT, ("backtest", BTC, "ticks"), ("backtest", BTC, "report")]
    done = materialize(instance, graph, keys, DAY)
    assert done.success, done.failures
    made = done.materializations["/".join(RESULT)]

    (run,) = _runs(settings)
    assert run["run_id"] == made["run_id"]
    assert run["digest"] == made["digest"]
    assert run["dagster_run_id"] == done.dagster_run_id
    assert run["status"] is RunStatus.SUCCEEDED
    with opened(settings) as engine, reading(engine) as connection:
        files = {row["filename"] for row in list_artifacts(connection, run["run_id"])}
        found = get_run(connection, run["run_id"])
    assert {f"{run['run_id']}.json", "orders.parquet", "tearsheet.html"} <= files
    assert found is not None
    assert found["dataset"]["row_count"] > 0


def test_a_failed_run_is_in_the_registry_with_its_error(
    sample: Path, settings: Settings, graph: Graph, instance: dg.DagsterInstance
) -> None:
    assert sample.is_dir()
    day = materialize(instance, graph, [RESULT], DAY)
    bounds = {"start": "2024-02-01T00:00:00Z", "end": "2024-02-03T00:00:00Z"}
    window = materialize(instance, graph, [WINDOW], None, config={WINDOW: bounds})
    assert not day.success
    assert not window.success

    found = {row["partition"]: row for row in _runs(settings, RunFilter(status=RunStatus.FAILED))}
    assert set(found) == {DAY, "window"}
    assert found[DAY]["dagster_run_id"] == day.dagster_run_id
    assert found[DAY]["error"] in dict(day.failures)["/".join(RESULT)]
    assert "holds no trades" in found["window"]["error"]
    assert ResultStore(settings.results_path).entries() == []


def test_a_registry_that_cannot_be_written_fails_no_result(
    sample: Path, settings: Settings, graph: Graph, instance: dg.DagsterInstance
) -> None:
    assert sample.is_dir()
    settings.results_path.mkdir(parents=True)
    (settings.results_path / "registry.sqlite").write_text("this is no database, " * 100)
    done = materialize(instance, graph, [*CATALOG, RESULT], DAY)
    assert done.success, done.failures
    run_id = done.materializations["/".join(RESULT)]["run_id"]
    assert ResultStore(settings.results_path).entry(run_id).run_id == run_id
    said = [
        each.user_message
        for each in instance.all_logs(done.dagster_run_id)
        if "could not be registered" in each.user_message
    ]
    assert len(said) == 1
    assert "file is not a database" in said[0]
    assert "odum registry rebuild" in said[0]

    # Once it is mended, everything is there.
    (settings.results_path / "registry.sqlite").unlink()
    assert [row["run_id"] for row in _runs(settings)] == [run_id]


def test_the_record_of_a_failure_says_what_was_asked_for(
    sample: Path, settings: Settings, graph: Graph, instance: dg.DagsterInstance
) -> None:
    assert sample.is_dir()
    options = {
        "mode": "fast",
        "snapshot_mode": "trades",
        "exec_algorithm": "TWAP",
        "log_level": "DEBUG",
        "closing": "book",
        "end": "18:00",
        "overrides": {"venue.starting_balance": 5_000},
    }
    assert not materialize(instance, graph, [RESULT], DAY, config={RESULT: options}).success
    (file,) = (settings.results_path / "failed").glob("*.json")
    metadata = json.loads(file.read_text())["metadata"]
    assert (metadata["mode"], metadata["snapshot_mode"]) == ("fast", "trades")
    assert metadata["exec_algorithm"]["type"] == "TWAP"
    assert (metadata["log_level"], metadata["closing"]["method"]) == ("DEBUG", "book")
    end = 1_704_067_200_000_000_000 + 18 * 3_600_000_000_000
    assert metadata["window"] == {"start_ns": None, "end_ns": str(end)}
    assert metadata["overrides"] == options["overrides"]
    assert (metadata["refuse_missing_days"], metadata["export_ticks"]) == (False, False)
    with opened(settings) as engine, reading(engine) as connection:
        assert sa.inspect(connection).has_table("runs")
