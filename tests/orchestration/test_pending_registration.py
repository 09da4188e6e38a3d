"""Runs of the graph are in the registry while they go on, and end right however they end."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from graphtools import BTC, BTC_SLUG, FIRST_DAY

from odum_assets.backtest.request import RunRequest
from odum_assets.orchestration.assets import backtest
from odum_assets.orchestration.launch import Graph, LaunchResult, job_origin, materialize
from odum_assets.orchestration.progress import StepProgress
from odum_assets.orchestration.registration import owner_names, reconcile_pending
from odum_assets.orchestration.run_config import ResultConfig
from odum_assets.registry.database import reading, writing
from odum_assets.registry.pending import register_queued, register_running, withdraw
from odum_assets.registry.queries import RunFilter, get_run, list_runs
from odum_assets.registry.register import opened
from odum_assets.registry.types import RunStatus
from odum_assets.results.run_id import run_id_of
from odum_assets.results.store import ResultError
from odum_assets.settings import Settings

DAY = FIRST_DAY.isoformat()
CATALOG = [("catalog", BTC_SLUG, "trades"), ("catalog", BTC_SLUG, "book_depths")]
RESULT = ("backtest", BTC, "result")
FAST = {RESULT: {"mode": "fast"}}


@pytest.fixture
def request_(graph: Graph) -> RunRequest:
    loaded = next(each for each in graph.project.configs if each.name == BTC)
    return ResultConfig(mode="fast").day_request(loaded, FIRST_DAY)


type Launch = Callable[..., LaunchResult]


@pytest.fixture
def launch(graph: Graph, instance: dg.DagsterInstance) -> Launch:
    def run(run_id: str, **more: Any) -> LaunchResult:
        tags = {"odum/run_id": run_id, "odum/config": BTC}
        keys = [*CATALOG, RESULT]
        return materialize(instance, graph, keys, DAY, config=FAST, tags=tags, **more)

    return run


def _run(settings: Settings, run_id: str) -> dict[str, Any]:
    with opened(settings) as engine, reading(engine) as connection:
        found = get_run(connection, run_id)
    assert found is not None
    return found


def test_a_run_takes_the_id_that_it_was_asked_for_with(
    sample: Path, settings: Settings, request_: RunRequest, launch: Launch
) -> None:
    assert sample.is_dir()
    run_id = run_id_of(request_)
    register_queued(settings, request_, run_id)
    seen: list[tuple[RunStatus, str | None]] = []

    def look(_: StepProgress) -> None:
        row = _run(settings, run_id)
        assert row["progress"] <= 1
        seen.append((row["status"], row["phase"]))

    done = launch(run_id, on_progress=look)
    assert done.success, done.failures
    assert done.materializations["/".join(RESULT)]["run_id"] == run_id
    # Conversions come first.
    assert seen[0] == (RunStatus.QUEUED, None)
    assert (RunStatus.RUNNING, "validate") in seen
    ended = _run(settings, run_id)
    assert ended["status"] is RunStatus.SUCCEEDED
    assert ended["dagster_run_id"] == done.dagster_run_id

    # A re-execution copies the tags; the result stays what it is.
    again = launch(run_id)
    assert again.success, again.failures
    other = again.materializations["/".join(RESULT)]["run_id"]
    assert other != run_id
    assert _run(settings, run_id) == ended
    assert _run(settings, other)["digest"] == ended["digest"]


def test_an_id_for_another_configuration_is_left_alone(
    sample: Path, request_: RunRequest, graph: Graph
) -> None:
    assert sample.is_dir()
    run_id = run_id_of(request_)
    with dg.DagsterInstance.ephemeral() as instance:
        tags = {"odum/run_id": run_id, "odum/config": "another"}
        done = materialize(instance, graph, [*CATALOG, RESULT], DAY, config=FAST, tags=tags)
    assert done.success, done.failures
    assert done.materializations["/".join(RESULT)]["run_id"] != run_id


def test_an_id_that_cannot_be_taken_fails_the_run(
    sample: Path, settings: Settings, request_: RunRequest, launch: Launch
) -> None:
    assert sample.is_dir()
    ran = launch("../../etc/passwd")
    assert "tag odum/run_id: found '../../etc/passwd'" in dict(ran.failures)["/".join(RESULT)]
    parts = run_id_of(request_).split("_")
    changed = "_".join([*parts[:-2], "ffffff", parts[-1]])
    ran = launch(changed)
    assert (
        "the configuration changed after the run was requested"
        in dict(ran.failures)["/".join(RESULT)]
    )
    assert not (settings.results_path / "fast").exists()


def test_a_run_held_up_by_a_failed_conversion_is_closed(
    settings: Settings, request_: RunRequest, launch: Launch, instance: dg.DagsterInstance
) -> None:
    run_id = run_id_of(request_)
    register_queued(settings, request_, run_id)
    assert not launch(run_id).success  # there are no raw files
    closed = _run(settings, run_id)
    assert closed["status"] is RunStatus.FAILED
    assert f"catalog/{BTC_SLUG}/trades: " in closed["error"]
    assert "there is no raw trades file" in closed["error"]
    assert (settings.results_path / "failed" / f"{run_id}.json").is_file()
    assert reconcile_pending(instance, settings) == []


def test_what_is_stored_stays_a_result_when_its_step_fails_later(
    sample: Path,
    settings: Settings,
    request_: RunRequest,
    launch: Launch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert sample.is_dir()

    def broken(*_: object) -> None:
        raise RuntimeError("no plot")

    monkeypatch.setattr(backtest, "result_metadata", broken)
    run_id = run_id_of(request_)
    assert not launch(run_id).success
    assert _run(settings, run_id)["status"] is RunStatus.SUCCEEDED
    assert not (settings.results_path / "failed").exists()


class _Runs:
    """Runs of Dagster in any state, without a process."""

    def __init__(self, graph: Graph, instance: dg.DagsterInstance) -> None:
        self._job = graph.definitions.resolve_job_def(f"{BTC}_day")
        self.instance = instance

    def add(self, status: dg.DagsterRunStatus, **tags: str) -> dg.DagsterRun:
        named = {name.replace("__", "/"): value for name, value in tags.items()}
        return self.instance.create_run_for_job(
            self._job, status=status, tags=named, remote_job_origin=job_origin(self._job.name)
        )


@pytest.fixture
def runs(graph: Graph, instance: dg.DagsterInstance) -> _Runs:
    return _Runs(graph, instance)


def test_a_run_that_was_canceled_in_the_queue_is_closed(
    settings: Settings, request_: RunRequest, runs: _Runs
) -> None:
    queued, going = (runs.add(dg.DagsterRunStatus.QUEUED) for _ in range(2))
    ids = [run_id_of(request_) for _ in range(2)]
    for run_id, run in zip(ids, (queued, going), strict=True):
        register_queued(settings, request_, run_id, run.run_id)
    assert reconcile_pending(runs.instance, settings) == []
    runs.instance.report_run_canceled(queued)
    assert reconcile_pending(runs.instance, settings) == [ids[0]]
    assert _run(settings, ids[0])["status"] is RunStatus.CANCELED
    assert _run(settings, ids[1])["status"] is RunStatus.QUEUED


def test_a_run_that_dagster_tries_again_waits_for_that(
    settings: Settings, request_: RunRequest, runs: _Runs
) -> None:
    run_id = run_id_of(request_)
    dead = runs.add(dg.DagsterRunStatus.STARTED, odum__run_id=run_id)
    register_running(settings, request_, run_id, dead.run_id)
    runs.instance.add_run_tags(dead.run_id, {"dagster/will_retry": "true"})
    runs.instance.report_run_failed(dead, "the process is gone")
    assert reconcile_pending(runs.instance, settings) == []
    assert _run(settings, run_id)["status"] is RunStatus.RUNNING

    second = runs.add(dg.DagsterRunStatus.QUEUED, odum__run_id=run_id, dagster__retry_number="1")
    runs.instance.add_run_tags(dead.run_id, {"dagster/auto_retry_run_id": second.run_id})
    assert reconcile_pending(runs.instance, settings) == []
    waiting = _run(settings, run_id)
    assert (waiting["status"], waiting["dagster_run_id"]) == (RunStatus.QUEUED, second.run_id)
    runs.instance.report_run_failed(second, "the process is gone again")
    assert reconcile_pending(runs.instance, settings) == [run_id]
    assert "gone again" in _run(settings, run_id)["error"]


def test_a_run_that_is_tried_again_under_another_id_is_closed(
    settings: Settings, request_: RunRequest, runs: _Runs
) -> None:
    run_id = run_id_of(request_)
    second = runs.add(dg.DagsterRunStatus.QUEUED)
    dead = runs.add(dg.DagsterRunStatus.STARTED, dagster__auto_retry_run_id=second.run_id)
    register_running(settings, request_, run_id, dead.run_id)
    runs.instance.report_run_failed(dead, "the process is gone")
    assert reconcile_pending(runs.instance, settings) == [run_id]


def _age(settings: Settings, *but: str) -> None:
    """Let all runs but some have given no sign of life for 61 minutes."""
    with opened(settings) as engine, writing(engine) as connection:
        old = "UPDATE runs SET updated_at = datetime('now', '-61 minutes')"
        for run_id in but:
            old += f" WHERE run_id <> '{run_id}'"
        connection.execute(sa.text(old))


def test_runs_that_are_gone_are_closed_after_an_hour(
    settings: Settings, request_: RunRequest, runs: _Runs
) -> None:
    fresh, lost, never = (run_id_of(request_) for _ in range(3))
    own = owner_names(runs.instance)
    register_running(settings, request_, fresh, "deleted just now", own)
    register_running(settings, request_, lost, "deleted", (*own, "by another name, too"))
    register_queued(settings, request_, never)
    _age(settings, fresh)
    assert sorted(reconcile_pending(runs.instance, settings)) == sorted([lost, never])
    assert _run(settings, lost)["error"] == "Dagster has no run deleted"
    assert _run(settings, never)["error"] == "it was never started"


def test_an_instance_is_known_by_its_storage_and_by_its_place(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        storage, place = owner_names(instance)
    assert place.endswith(f":{tmp_path}")
    shutil.rmtree(tmp_path / "history")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert owner_names(instance)[1] == place
        assert owner_names(instance)[0] != storage


def test_runs_of_another_dagster_wait_as_long_as_they_must(
    settings: Settings, request_: RunRequest, runs: _Runs, graph: Graph
) -> None:
    """Two instances share a registry; the second one's run waits in its queue for hours."""
    run_id = run_id_of(request_)
    with dg.DagsterInstance.ephemeral() as other:
        waiting = _Runs(graph, other).add(dg.DagsterRunStatus.QUEUED)
        register_queued(settings, request_, run_id, waiting.run_id)
        _age(settings)
        # Whoever looks first, and whether its own instance has looked or not.
        assert reconcile_pending(runs.instance, settings) == []
        assert reconcile_pending(other, settings) == []
        _age(settings)
        assert reconcile_pending(runs.instance, settings) == []
        assert _run(settings, run_id)["status"] is RunStatus.QUEUED
        assert _run(settings, run_id)["provenance"]["dagster_instance"] == [*owner_names(other)]
        # Only there is it known that it is gone.
        other.delete_run(waiting.run_id)
        assert reconcile_pending(runs.instance, settings) == []
        assert reconcile_pending(other, settings) == [run_id]
    assert _run(settings, run_id)["status"] is RunStatus.FAILED


def test_a_run_whose_asker_died_is_found_by_its_tag(
    settings: Settings, request_: RunRequest, runs: _Runs
) -> None:
    run_id, other = run_id_of(request_), run_id_of(request_)
    register_queued(settings, request_, run_id)
    register_queued(settings, request_, other)
    queued = runs.add(dg.DagsterRunStatus.QUEUED, odum__run_id=run_id)
    _age(settings, other)
    assert reconcile_pending(runs.instance, settings) == []
    assert _run(settings, run_id)["dagster_run_id"] == queued.run_id
    assert _run(settings, other)["dagster_run_id"] is None
    runs.instance.report_run_canceled(queued)
    assert reconcile_pending(runs.instance, settings) == [run_id]
    assert withdraw(settings, other)
    assert not withdraw(settings, other)
    assert not withdraw(settings, run_id)
    with opened(settings) as engine, reading(engine) as connection:
        assert get_run(connection, other) is None


def test_a_damaged_result_does_not_keep_other_runs_open(
    settings: Settings, request_: RunRequest, runs: _Runs
) -> None:
    ids = [run_id_of(request_) for _ in range(2)]
    for run_id in ids:
        register_queued(settings, request_, run_id, runs.add(dg.DagsterRunStatus.SUCCESS).run_id)
    damaged = settings.results_path / "fast" / f"{ids[0]}.json"
    damaged.parent.mkdir()
    damaged.write_text("{")
    with pytest.raises(ResultError, match=ids[0]):
        reconcile_pending(runs.instance, settings)
    assert _run(settings, ids[1])["status"] is RunStatus.FAILED
    assert _run(settings, ids[0])["status"] is RunStatus.QUEUED


def test_a_run_that_ended_without_its_result_is_closed(
    settings: Settings, request_: RunRequest, runs: _Runs
) -> None:
    run_id = run_id_of(request_)
    register_queued(settings, request_, run_id, runs.add(dg.DagsterRunStatus.SUCCESS).run_id)
    assert reconcile_pending(runs.instance, settings) == [run_id]
    assert "without this result" in _run(settings, run_id)["error"]


def test_the_sensor_closes_what_ended(
    settings: Settings, request_: RunRequest, runs: _Runs, graph: Graph
) -> None:
    sensor = graph.definitions.get_repository_def().get_sensor_def("registry_ended_runs")

    def tick() -> str | None:
        with dg.build_sensor_context(runs.instance) as context:
            return sensor.evaluate_tick(context).skip_message

    assert tick() == "nothing to finalize"
    assert not settings.results_path.exists()
    run_id = run_id_of(request_)
    run = runs.add(dg.DagsterRunStatus.STARTED)
    register_running(settings, request_, run_id, run.run_id)
    runs.instance.report_run_failed(run, "the process is gone")
    assert tick() == f"finalized {run_id}"
    (settings.results_path / "registry.sqlite").write_text("this is no database, " * 100)
    assert "file is not a database" in str(tick())


def test_variants_of_a_sweep_are_registered(
    sample: Path, settings: Settings, graph: Graph, instance: dg.DagsterInstance
) -> None:
    assert sample.is_dir()
    sweep = ("backtest", BTC, "sweep")
    config = {sweep: {"mode": "fast", "vary": {"strategy.order_type": ["LIMIT", "MARKET"]}}}
    done = materialize(instance, graph, [sweep], DAY, config=config)
    assert done.success, done.failures
    made = done.materializations["/".join(sweep)]
    with opened(settings) as engine, reading(engine) as connection:
        rows = list_runs(connection, RunFilter(sweep_id=made["sweep_id"])).rows
    assert {row["run_id"] for row in rows} == {
        each.data["run_id"] for each in made["variants"].records
    }
    assert {row["dagster_run_id"] for row in rows} == {done.dagster_run_id}
    assert len(rows) == 2
