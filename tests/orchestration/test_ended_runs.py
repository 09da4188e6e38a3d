"""Runs that failed or were canceled before their step have a row and a record, whoever asked."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.event_api import PartitionKeyFilter
from dagster._core.execution.api import execute_run_iterator
from graphtools import BTC, BTC_SLUG, ETH, FIRST_DAY

from odum_assets.orchestration.ended_runs import register_ended, requests_of
from odum_assets.orchestration.launch import Graph, materialize
from odum_assets.orchestration.planned_checks import report_not_evaluated
from odum_assets.registry.database import reading
from odum_assets.registry.pending import register_queued
from odum_assets.registry.queries import list_runs
from odum_assets.registry.register import opened
from odum_assets.registry.types import RunStatus
from odum_assets.results.run_id import run_id_of
from odum_assets.settings import Settings

DAY = FIRST_DAY.isoformat()
CATALOG = [("catalog", BTC_SLUG, "trades"), ("catalog", BTC_SLUG, "book_depths")]
RESULT = ("backtest", BTC, "result")
SWEEP = ("backtest", BTC, "sweep")
WINDOW = ("backtest", BTC, "window")
SPAN = {"start": "2024-01-01T00:00:00Z", "end": "2024-01-02T00:00:00Z"}


def rows_of(settings: Settings) -> list[dict[str, Any]]:
    with opened(settings) as engine, reading(engine) as connection:
        return list_runs(connection).rows


def ended(
    graph: Graph,
    instance: dg.DagsterInstance,
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.CANCELED,
    keys: tuple[tuple[str, ...], ...] = (RESULT,),
    job: str = f"{BTC}_day",
    **more: Any,
) -> dg.DagsterRun:
    """A run that was queued as the UI, a sensor or a backfill does it, and has ended there."""
    tags = {"dagster/partition": DAY, **more.pop("tags", {})}
    queued = instance.create_run_for_job(
        graph.definitions.resolve_job_def(job),
        asset_selection=frozenset(map(dg.AssetKey, keys)) or None,
        tags=tags,
        **more,
    )
    if status is dg.DagsterRunStatus.CANCELED:
        instance.report_run_canceled(queued)
    elif status is dg.DagsterRunStatus.FAILURE:
        instance.report_run_failed(queued, "the process is gone")
    run = instance.get_run_by_id(queued.run_id)
    assert run is not None
    return run


@pytest.mark.parametrize("key", [RESULT, SWEEP])
def test_a_run_whose_conversion_fails_is_registered_once(
    settings: Settings, graph: Graph, instance: dg.DagsterInstance, key: tuple[str, ...]
) -> None:
    more = {"vary": {"venue.leverage": [1, 2]}} if key is SWEEP else {}
    config = {key: {"mode": "fast", "start": "10:00", **more}}
    keys = [key] if key is SWEEP else [*CATALOG, key]
    done = materialize(instance, graph, keys, DAY, config=config)
    assert not done.success
    (row,) = rows_of(settings)
    assert (row["status"], row["dagster_run_id"]) == (RunStatus.FAILED, done.dagster_run_id)
    assert (row["config_name"], row["partition"], row["detail"]) == (BTC, DAY, "fast")
    assert row["window_start"].hour == 10
    assert "there is no raw trades file" in row["error"]
    record = json.loads((settings.results_path / f"failed/{row['run_id']}.json").read_text())
    assert record["error"]["message"] == row["error"]

    # A sensor comes by later.
    run = instance.get_run_by_id(done.dagster_run_id)
    assert run is not None
    assert register_ended(instance, graph.project, run) == []
    assert rows_of(settings) == [row]


def test_checks_of_a_run_that_failed_before_are_said_to_be_not_evaluated(
    graph: Graph, instance: dg.DagsterInstance
) -> None:
    # Each failed run of a partition says it.
    assert not materialize(instance, graph, [*CATALOG, RESULT], DAY).success
    done = materialize(instance, graph, [*CATALOG, RESULT], DAY)
    assert not done.success
    checks = graph.definitions.resolve_asset_graph().asset_check_keys
    planned = [key for key in checks if key.asset_key in map(dg.AssetKey, [*CATALOG, RESULT])]
    records = instance.event_log_storage.get_latest_asset_check_execution_by_key(
        planned, PartitionKeyFilter(key=DAY)
    )
    assert records.keys() == {*planned}, "those of the step that was skipped, too"
    for record in records.values():
        assert record.evaluation is not None, "else Dagster shows it as failed by an error"
        assert record.evaluation.severity is dg.AssetCheckSeverity.WARN
        assert record.evaluation.partition == DAY
        text = f"Not evaluated: run {done.dagster_run_id} failed before."
        assert record.evaluation.description == text
    run = instance.get_run_by_id(done.dagster_run_id)
    assert run is not None
    assert report_not_evaluated(instance, run) == [], "it is said once"


def test_a_result_stays_one_when_a_later_step_fails(
    sample: Path, settings: Settings, graph: Graph, instance: dg.DagsterInstance
) -> None:
    assert sample.is_dir()
    done = materialize(instance, graph, [*CATALOG, RESULT], DAY, config={RESULT: {"mode": "fast"}})
    run = instance.get_run_by_id(done.dagster_run_id)
    assert run is not None
    instance.report_run_failed(run, "the report failed")
    (settings.results_path / "registry.sqlite").unlink()
    failed = instance.get_run_by_id(done.dagster_run_id)
    assert failed is not None
    assert failed.status is dg.DagsterRunStatus.FAILURE
    register_ended(instance, graph.project, failed)
    assert [row["status"] for row in rows_of(settings)] == [RunStatus.SUCCEEDED]
    assert not (settings.results_path / "failed").exists()


@pytest.mark.parametrize(
    ("status", "sensor"),
    [
        (dg.DagsterRunStatus.CANCELED, "registry_canceled_runs"),
        (dg.DagsterRunStatus.FAILURE, "registry_failed_runs"),
    ],
)
def test_the_sensors_register_runs_of_the_queue(
    settings: Settings,
    graph: Graph,
    instance: dg.DagsterInstance,
    status: dg.DagsterRunStatus,
    sensor: str,
) -> None:
    repository = graph.definitions.get_repository_def()
    definition = repository.get_sensor_def(sensor)
    assert definition.default_status is dg.DefaultSensorStatus.RUNNING

    def tick(cursor: str | None) -> str | None:
        with dg.build_sensor_context(instance, cursor=cursor) as context:
            return definition.evaluate_tick(context).cursor

    cursor = tick(None)
    run = ended(graph, instance, status)
    other = ended(graph, instance, status, keys=(CATALOG[0],))
    cursor = tick(cursor)
    (row,) = rows_of(settings)
    assert row["dagster_run_id"] == run.run_id != other.run_id
    word = "canceled" if status is dg.DagsterRunStatus.CANCELED else "failed"
    assert row["status"].value == word
    assert row["error"] == ("the run was canceled" if word == "canceled" else "the process is gone")
    tick(cursor)
    assert rows_of(settings) == [row]


def test_several_processes_may_register_the_same_run(
    settings: Settings, graph: Graph, instance: dg.DagsterInstance
) -> None:
    run = ended(graph, instance)
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda _: register_ended(instance, graph.project, run), range(4)))
    assert sorted(map(len, ids)) == [0, 0, 0, 1]
    assert len(rows_of(settings)) == 1
    assert len(list((settings.results_path / "failed").iterdir())) == 1


def test_a_run_takes_the_row_that_it_was_asked_for_with(
    settings: Settings, graph: Graph, instance: dg.DagsterInstance
) -> None:
    """Whoever asked died before it could say which Dagster run it is."""
    run = ended(graph, instance)
    (request,) = requests_of(graph.project, run)
    run_id = run_id_of(request)
    register_queued(settings, request, run_id)
    tags = {"odum/run_id": run_id, "odum/config": BTC}
    tagged = ended(graph, instance, tags=tags)
    assert register_ended(instance, graph.project, tagged) == [run_id]
    # A re-execution has the tags, too, and is another run.
    copy = ended(graph, instance, tags=tags, parent_run_id=run.run_id, root_run_id=run.run_id)
    (other,) = register_ended(instance, graph.project, copy)
    assert other != run_id
    assert {row["run_id"] for row in rows_of(settings)} == {run_id, other}


@pytest.mark.parametrize("tag", ["dagster/will_retry", "dagster/auto_retry_run_id"])
def test_a_run_that_dagster_tries_again_under_its_id_is_left_to_that(
    settings: Settings, graph: Graph, instance: dg.DagsterInstance, tag: str
) -> None:
    tags = {tag: "true", "odum/run_id": "BNF_BTC_20240101_00000000_018dd7_c54988"}
    run = ended(graph, instance, dg.DagsterRunStatus.FAILURE, tags=tags)
    assert register_ended(instance, graph.project, run) == []
    assert not settings.results_path.exists()


def test_what_a_run_was_asked_for_is_read_from_the_run(
    graph: Graph, instance: dg.DagsterInstance
) -> None:
    def asked(*keys: tuple[str, ...], **more: Any) -> list[tuple[str, str]]:
        run = ended(graph, instance, keys=keys, **more)
        return [(each.config.name, each.partition) for each in requests_of(graph.project, run)]

    assert asked(CATALOG[0]) == []
    assert asked() == [(BTC, DAY)]  # the day job, as it is
    assert asked(RESULT, ("backtest", ETH, "result"), job="__ASSET_JOB") == [(BTC, DAY), (ETH, DAY)]
    config = {"ops": {"__".join(WINDOW): {"config": SPAN}}}
    assert asked(job=f"{BTC}_window", run_config=config) == [(BTC, "window")]
    # A time that cannot be read is why such a run fails; the run is known all the same.
    config = {"ops": {"__".join(RESULT): {"config": {"start": "noon"}}}}
    assert asked(RESULT, run_config=config) == [(BTC, DAY)]
    # Nor does a report that is made again ask for a result.
    assert asked(("backtest", BTC, "report")) == []


@pytest.mark.parametrize("canceled", [True, False], ids=["canceled", "canceling"])
@pytest.mark.parametrize("key", [RESULT, SWEEP])
def test_a_run_that_is_canceled_while_it_is_started_is_not_carried_out(
    settings: Settings,
    graph: Graph,
    instance: dg.DagsterInstance,
    key: tuple[str, ...],
    *,
    canceled: bool,
) -> None:
    """The daemon has read "queued" when the run is canceled, and starts it after that."""
    is_sweep = key is SWEEP
    job, keys = (f"{BTC}_sweep", ()) if is_sweep else (f"{BTC}_day", (RESULT,))
    chosen = {"mode": "fast", **({"vary": {"venue.leverage": [1, 2]}} if is_sweep else {})}
    config = {"ops": {"__".join(key): {"config": chosen}}}
    status = dg.DagsterRunStatus.CANCELED if canceled else dg.DagsterRunStatus.QUEUED
    run = ended(graph, instance, status, job=job, keys=keys, run_config=config)
    if not canceled:
        # Its process is not there yet, and nobody hears that it is to end.
        instance.report_run_canceling(run)
    starting = dg.DagsterEvent("PIPELINE_STARTING", job)
    instance.report_dagster_event(starting, run.run_id)
    started = instance.get_run_by_id(run.run_id)
    assert started is not None
    assert started.status is dg.DagsterRunStatus.STARTING
    definition = graph.definitions.resolve_job_def(job)
    if not is_sweep:
        definition = definition.get_subset(asset_selection={dg.AssetKey(RESULT)})
    events = [*execute_run_iterator(InMemoryJob(definition), started, instance)]
    assert any(event.is_step_start for event in events)
    last = instance.get_run_by_id(run.run_id)
    assert last is not None
    assert last.status is dg.DagsterRunStatus.CANCELED
    assert not list((settings.results_path / "fast").glob("*"))
    register_ended(instance, graph.project, last)
    assert {row["status"] for row in rows_of(settings)} == {RunStatus.CANCELED}
