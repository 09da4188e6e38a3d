"""Runs are in the registry from when they are asked for, and end right however they end."""

import json
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
from contents import contents
from resultfiles import stored
from tinydays import DAY, Market, variant

from odum_assets.backtest.request import RunRequest
from odum_assets.registry.checking import check_registry
from odum_assets.registry.database import RegistryError, reading, writing
from odum_assets.registry.pending import (
    attach_dagster_run,
    finalize_pending,
    finalize_run,
    pending_runs,
    register_progress,
    register_queued,
    register_running,
    requeue,
)
from odum_assets.registry.queries import RunFilter, get_run, get_runs_of_dagster, list_runs
from odum_assets.registry.register import rebuild, register_run
from odum_assets.registry.types import RunStatus
from odum_assets.results.failures import store_failure
from odum_assets.results.run import run_backtest
from odum_assets.results.run_id import run_id_of
from odum_assets.results.store import ResultError, ResultStore
from odum_assets.settings import Settings


@pytest.fixture
def request_() -> RunRequest:
    return RunRequest(variant(), (DAY,), DAY.isoformat(), snapshot_mode="trades", mode="fast")


@pytest.fixture
def run_id(request_: RunRequest) -> str:
    return run_id_of(request_)


def _run(engine: sa.Engine, run_id: str) -> dict[str, object]:
    with reading(engine) as connection:
        found = get_run(connection, run_id)
    assert found is not None
    return found


def test_a_run_is_there_from_its_request_to_its_result(
    registry: sa.Engine, settings: Settings, market: Market, request_: RunRequest, run_id: str
) -> None:
    before = datetime.now(UTC)
    register_queued(settings, request_, run_id)
    queued = _run(registry, run_id)
    assert (queued["status"], queued["progress"], queued["dagster_run_id"]) == (
        RunStatus.QUEUED,
        0,
        None,
    )
    assert before <= queued["executed_at"] <= datetime.now(UTC)  # type: ignore[operator]
    assert queued["config_name"] == request_.config.name
    assert queued["partition"] == DAY.isoformat()
    assert queued["pnl"] is None
    assert attach_dagster_run(settings, run_id, "dagster-1")
    assert not attach_dagster_run(settings, run_id, "dagster-2")

    register_running(settings, request_, run_id, "dagster-1")
    # Who asked may be slower than who runs.
    register_queued(settings, request_, run_id, "dagster-1")
    assert register_progress(settings, run_id, 0.25, "replay: 25%, market time 06:00:00")
    running = _run(registry, run_id)
    assert running["status"] is RunStatus.RUNNING
    assert running["progress"] == Decimal("0.25")
    assert running["phase"] == "replay: 25%, market time 06:00:00"
    assert [each.run_id for each in pending_runs(settings)] == [run_id]
    assert check_registry(settings).problems == []
    assert check_registry(settings).pending == 1

    here = market.settings.model_copy(update={"results_path": settings.results_path})
    result = run_backtest(request_, here, dagster_run_id="dagster-1", run_id=run_id)
    assert result.run_id == run_id
    # The file is there and the row not yet: nothing is wrong with that.
    assert check_registry(settings).problems == []
    register_run(settings, run_id)
    ended = _run(registry, run_id)
    assert (ended["status"], ended["progress"]) == (RunStatus.SUCCEEDED, 1)
    assert (ended["phase"], ended["updated_at"]) == (None, None)
    assert ended["digest"] == result.digest
    assert not register_progress(settings, run_id, 0.5, "late")
    register_running(settings, request_, run_id, "dagster-1")
    assert _run(registry, run_id) == ended
    grown = contents(registry)
    assert rebuild(registry, ResultStore(settings.results_path)).pending == 0
    assert contents(registry) == grown


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.CANCELED])
def test_a_run_that_could_not_say_how_it_ended_gets_a_record(
    registry: sa.Engine,
    settings: Settings,
    request_: RunRequest,
    run_id: str,
    status: RunStatus,
) -> None:
    register_queued(settings, request_, run_id)
    attach_dagster_run(settings, run_id, "dagster-1")
    register_running(settings, request_, run_id, "dagster-1")
    register_progress(settings, run_id, 0.5, "replay: 50%")
    other = run_id_of(request_)
    register_queued(settings, request_, other, "dagster-2")

    assert finalize_pending(settings, "dagster-1", status, "it was killed") == [run_id]  # type: ignore[arg-type]
    assert finalize_pending(settings, "dagster-1", status, "again") == []  # type: ignore[arg-type]
    closed = _run(registry, run_id)
    assert (closed["status"], closed["error"]) == (status, "it was killed")
    assert (closed["progress"], closed["phase"]) == (Decimal("0.5"), "replay: 50%")
    record = json.loads((settings.results_path / "failed" / f"{run_id}.json").read_text())
    assert record["status"] == status.value
    assert record["metadata"]["dagster_run_id"] == "dagster-1"
    assert record["metadata"]["config_hash"] == request_.config.content_hash
    assert [each.run_id for each in pending_runs(settings)] == [other]
    grown = contents(registry)
    done = rebuild(registry, ResultStore(settings.results_path))
    assert (done.runs, done.pending, done.problems) == (1, 1, [])
    assert contents(registry) == grown


def test_a_record_of_a_step_and_of_the_registry_say_the_same(
    registry: sa.Engine, settings: Settings, request_: RunRequest, run_id: str
) -> None:
    register_running(settings, request_, run_id, "dagster-1")
    error = ValueError("no trades")
    store_failure(request_, settings, error, "dagster-1", run_id=run_id, progress=(0.5, "replay"))
    # The step could not register it: the record counts, not what Dagster says.
    assert finalize_pending(settings, "dagster-1", RunStatus.CANCELED, "canceled") == [run_id]
    found = _run(registry, run_id)
    assert (found["status"], found["error"]) == (RunStatus.FAILED, "no trades")
    assert (found["progress"], found["phase"]) == (Decimal("0.5"), "replay")
    asked = found["provenance"]["request"]  # type: ignore[index]
    assert asked["metadata"]["config"] == request_.config.config.model_dump(
        mode="json", by_alias=True
    )


def test_a_stored_result_ends_a_run_that_was_not_registered(
    registry: sa.Engine, settings: Settings, market: Market, request_: RunRequest, run_id: str
) -> None:
    register_running(settings, request_, run_id, "dagster-1")
    here = market.settings.model_copy(update={"results_path": settings.results_path})
    run_backtest(request_, here, dagster_run_id="dagster-1", run_id=run_id)
    assert finalize_pending(settings, "dagster-1", RunStatus.FAILED, "killed") == [run_id]
    assert _run(registry, run_id)["status"] is RunStatus.SUCCEEDED
    assert not (settings.results_path / "failed" / f"{run_id}.json").exists()


def test_a_second_try_is_the_same_run_again(
    registry: sa.Engine, settings: Settings, market: Market, request_: RunRequest, run_id: str
) -> None:
    register_running(settings, request_, run_id, "dagster-1")
    register_progress(settings, run_id, 0.5, "replay: 50%")
    finalize_pending(settings, "dagster-1", RunStatus.FAILED, "killed")
    assert (settings.results_path / "failed" / f"{run_id}.json").exists()

    register_running(settings, request_, run_id, "dagster-2")
    again = _run(registry, run_id)
    assert (again["status"], again["error"], again["progress"], again["phase"]) == (
        RunStatus.RUNNING,
        None,
        0,
        None,
    )
    assert contents(registry)["artifacts"] == contents(registry)["events"] == []
    assert check_registry(settings).problems == []
    # The first one's end is noticed late.
    assert finalize_pending(settings, "dagster-1", RunStatus.FAILED, "killed") == []
    here = market.settings.model_copy(update={"results_path": settings.results_path})
    run_backtest(request_, here, dagster_run_id="dagster-2", run_id=run_id)
    register_run(settings, run_id)
    ended = _run(registry, run_id)
    assert (ended["status"], ended["dagster_run_id"]) == (RunStatus.SUCCEEDED, "dagster-2")
    assert [row["status"] for row in contents(registry)["runs"]] == [RunStatus.SUCCEEDED]
    grown = contents(registry)
    rebuild(registry, ResultStore(settings.results_path))
    assert contents(registry) == grown


def test_a_run_waits_for_its_next_try_unless_that_has_begun(
    registry: sa.Engine, settings: Settings, request_: RunRequest, run_id: str
) -> None:
    register_running(settings, request_, run_id, "dagster-1")
    (seen,) = pending_runs(settings)
    assert requeue(settings, seen, "dagster-2")
    found = _run(registry, run_id)
    assert (found["status"], found["dagster_run_id"]) == (RunStatus.QUEUED, "dagster-2")
    register_running(settings, request_, run_id, "dagster-2")
    assert not requeue(settings, seen, "dagster-2")
    assert not finalize_run(settings, seen, RunStatus.FAILED, "killed")
    assert _run(registry, run_id)["status"] is RunStatus.RUNNING


def test_a_registry_made_anew_keeps_runs_under_way_and_no_other_without_file(
    registry: sa.Engine, settings: Settings, sample: Path, request_: RunRequest
) -> None:
    documents = stored(sample, settings.results_path, 3)
    rebuild(registry, ResultStore(settings.results_path))
    queued, running = run_id_of(request_), run_id_of(request_)
    register_queued(settings, request_, queued, "dagster-1")
    register_running(settings, request_, running, "dagster-2")
    register_progress(settings, running, 0.75, "finish")
    # One of them ended without its being registered.
    over = documents[0]["run_id"]
    register_queued(settings, request_, run_id_of(request_), "dagster-3")
    with writing(registry) as connection:
        connection.execute(sa.text("DELETE FROM artifacts"))
        connection.execute(sa.text("DELETE FROM events"))
        connection.execute(sa.text("DELETE FROM runs WHERE run_id = :over"), {"over": over})
        connection.execute(
            sa.text("UPDATE runs SET run_id = :over WHERE dagster_run_id = 'dagster-3'"),
            {"over": over},
        )
    ResultStore(settings.results_path).fast_path(documents[1]["run_id"]).unlink()
    before = {row["run_id"]: row for row in contents(registry)["runs"]}

    done = rebuild(registry, ResultStore(settings.results_path))
    assert (done.runs, done.pending) == (2, 2)
    after = {row["run_id"]: row for row in contents(registry)["runs"]}
    assert set(after) == {over, documents[2]["run_id"], queued, running}
    assert after[over]["status"] is RunStatus.SUCCEEDED
    assert [after[each] for each in (queued, running)] == [
        before[each] for each in (queued, running)
    ]
    # New rows get keys after those that were taken over.
    later = run_id_of(request_)
    register_queued(settings, request_, later)
    assert len(contents(registry)["runs"]) == 5


def test_runs_under_way_are_found(
    registry: sa.Engine, settings: Settings, request_: RunRequest
) -> None:
    ids = [run_id_of(request_) for _ in range(3)]
    for run_id in ids:
        register_queued(settings, request_, run_id, "dagster-1")
    register_running(settings, request_, ids[0], "dagster-1")
    finalize_pending(settings, "no such", RunStatus.FAILED, "killed")
    with reading(registry) as connection:
        under_way = RunFilter(status=(RunStatus.QUEUED, RunStatus.RUNNING))
        page = list_runs(connection, under_way, with_total=True, limit=2)
        assert (len(page.rows), page.total) == (2, 3)
        assert (
            list_runs(connection, RunFilter(status=RunStatus.RUNNING)).rows[0]["run_id"] == ids[0]
        )
        assert [row["run_id"] for row in get_runs_of_dagster(connection, "dagster-1")] == ids
        assert list_runs(connection, RunFilter(status=())).rows == []


def test_progress_waits_for_nobody(
    registry: sa.Engine, settings: Settings, request_: RunRequest, run_id: str
) -> None:
    register_running(settings, request_, run_id)
    with writing(registry) as connection:
        # As a rebuild does, which holds the registry for as long as it takes.
        connection.execute(sa.text("UPDATE runs SET phase = 'mine'"))
        started = time.monotonic()
        with pytest.raises(RegistryError):
            register_progress(settings, run_id, 0.5, "replay")
        assert time.monotonic() - started < 2.0
    assert register_progress(settings, run_id, 0.5, "replay")


def test_without_a_registry_nothing_is_under_way(tmp_path: Path) -> None:
    settings = Settings(results_path=tmp_path / "results", database_url=None)
    assert pending_runs(settings) == []
    assert not settings.results_path.exists()


def test_readers_read_on_while_others_write(
    registry: sa.Engine, settings: Settings, request_: RunRequest
) -> None:
    register_queued(settings, request_, run_id_of(request_))
    with writing(registry) as connection:
        connection.execute(sa.text("DELETE FROM runs"))
        assert len(pending_runs(settings)) == 1
    assert pending_runs(settings) == []


def test_the_last_sign_of_life_is_known(
    registry: sa.Engine, settings: Settings, request_: RunRequest, run_id: str
) -> None:
    assert registry is not None
    register_running(settings, request_, run_id)
    (first,) = pending_runs(settings)
    register_progress(settings, run_id, 0.1, "load")
    (second,) = pending_runs(settings)
    assert timedelta(0) < second.seen_at - first.seen_at < timedelta(minutes=1)


def test_a_damaged_file_of_one_run_keeps_no_other_open(
    registry: sa.Engine, settings: Settings, request_: RunRequest
) -> None:
    ids = [run_id_of(request_) for _ in range(3)]
    for run_id in ids:
        register_queued(settings, request_, run_id, "abc")
    damaged = ResultStore(settings.results_path).fast_path(ids[1])
    damaged.parent.mkdir(parents=True)
    damaged.write_text("{")
    with pytest.raises(ResultError, match=ids[1]):
        finalize_pending(settings, "abc", RunStatus.FAILED, "killed")
    assert [_run(registry, run_id)["status"] for run_id in ids] == [
        RunStatus.FAILED,
        RunStatus.QUEUED,
        RunStatus.FAILED,
    ]
    damaged.unlink()
    assert finalize_pending(settings, "abc", RunStatus.FAILED, "killed") == [ids[1]]
