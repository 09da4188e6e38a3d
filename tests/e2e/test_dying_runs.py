"""A run worker that dies is started once more by Dagster; data that are not there are not."""

import datetime as dt
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from dagsterdev import CONFIG, KEY, RESULT, SLUG, Dagster, deliver

from odum_assets.backtest.request import RunRequest
from odum_assets.catalog import convert_partition
from odum_assets.catalog.locks import held
from odum_assets.catalog.paths import PartitionPaths
from odum_assets.config import LoadedConfig, instrument_spec, load_configs, raw_path
from odum_assets.instruments import parse_instrument_key
from odum_assets.raw.layout import DataType
from odum_assets.registry.checking import check_registry
from odum_assets.registry.database import reading
from odum_assets.registry.pending import attach_dagster_run, register_queued
from odum_assets.registry.queries import get_run
from odum_assets.registry.register import opened
from odum_assets.registry.types import RunStatus
from odum_assets.results.failures import run_id_of
from odum_assets.results.store import ResultStore
from odum_assets.settings import Settings

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(280)]

TRADES = ["catalog", SLUG, "trades"]
DAYS = [dt.date(2024, 1, 1) + dt.timedelta(days=index) for index in range(4)]
NOTICED_WITHIN_S = 45.0


def hold(folder: Path, day: dt.date) -> AbstractContextManager[None]:
    """Hold the lock of a partition: a conversion of it waits in its step."""
    key = parse_instrument_key(KEY)
    return held(PartitionPaths(folder / "data/catalog", key, DataType.TRADES, day).partition_lock)


def convert_day(
    settings: Settings, loaded: LoadedConfig, data_type: DataType, day: dt.date
) -> None:
    """Convert a day that a run of Dagster is to find converted."""
    convert_partition(
        raw_path(loaded, data_type, day, settings),
        loaded.key,
        instrument_spec(loaded),
        data_type,
        day,
        settings.catalog_path,
    )


def kill_worker(dagster: Dagster, run_id: str) -> float:
    """Kill the process of a run that is in its step; return when."""
    dagster.wait(
        "step under way",
        lambda: "ExecutionStepStartEvent" in dict(dagster.events(run_id)),
    )
    text = "\n".join(message for _, message in dagster.events(run_id))
    found = re.search(r"Started process for run \(pid: (\d+)\)", text)
    assert found is not None, text
    os.kill(int(found[1]), signal.SIGKILL)
    return time.monotonic()


def test_a_died_run_is_retried_once_and_missing_data_never(dagster: Dagster) -> None:
    killed_day, missing, good = DAYS[0], DAYS[1], DAYS[2:]
    for day in (killed_day, *good):
        deliver(dagster.folder, day)
    with hold(dagster.folder, killed_day):
        first = dagster.launch(TRADES, killed_day)
        killed_at = kill_worker(dagster, first)

    keys = [TRADES, ["catalog", SLUG, "book_depths"], RESULT]
    fast = {"ops": {"__".join(RESULT): {"config": {"mode": "fast"}}}}
    backfill_id = dagster.backfill(keys, [missing, *good], fast)

    def noticed() -> bool:
        return any(run["status"] == "FAILURE" for run in dagster.runs_of(killed_day))

    dagster.wait("failed run", noticed)
    noticed_after = time.monotonic() - killed_at
    print(f"noticed after {noticed_after:.1f} s")
    assert noticed_after < NOTICED_WITHIN_S
    again = dagster.wait(
        "retried run",
        lambda: [run for run in dagster.runs_of(killed_day) if run["status"] == "SUCCESS"],
    )
    (retried,) = again
    assert retried["tags"]["dagster/parent_run_id"] == first
    assert retried["tags"]["dagster/retry_number"] == "1"

    ended_as = dagster.wait("finished backfill", lambda: dagster.backfill_end(backfill_id))
    assert ended_as == "COMPLETED_FAILED"
    (failed,) = dagster.runs_of(missing)
    assert failed["status"] == "FAILURE"
    assert "dagster/retry_number" not in failed["tags"]
    text = "\n".join(message for _, message in dagster.events(failed["runId"]))
    assert f"day-{missing}/data_type-trades/{KEY}.parquet: there is no raw trades file" in text
    store = ResultStore(dagster.folder / "data/results")
    for day in good:
        assert [run["status"] for run in dagster.runs_of(day)] == ["SUCCESS"]
        assert store.current(CONFIG, str(day)) is not None
    assert store.current(CONFIG, str(missing)) is None
    assert len(dagster.runs_of(killed_day)) == 2


def test_the_registry_tells_of_a_died_run_and_of_its_second_try(dagster: Dagster) -> None:
    """Killed in its backtest; the second try has the same run id. Another is canceled queued."""
    day = DAYS[0]
    deliver(dagster.folder, day)
    settings = Settings(
        raw_root=str(dagster.folder / "data"),
        results_path=dagster.folder / "data/results",
        catalog_path=dagster.folder / "data/catalog",
        configs_path=dagster.folder / "configs",
        database_url=None,
    )
    (loaded,) = load_configs(settings.configs_path)
    for data_type in (DataType.TRADES, DataType.BOOK):
        convert_day(settings, loaded, data_type, day)
    request = RunRequest(loaded, (day,), day.isoformat())
    run_id, waiting = run_id_of(request), run_id_of(request)
    register_queued(settings, request, run_id)

    def row(of: str) -> dict[str, Any]:
        with opened(settings) as engine, reading(engine) as connection:
            found = get_run(connection, of)
        assert found is not None
        return found

    paths = PartitionPaths(settings.catalog_path, loaded.key, DataType.TRADES, day)
    tags = {"odum__run_id": run_id, "odum__config": CONFIG}
    with held(paths.manifest_lock):
        first = dagster.launch(RESULT, day, **tags)
        dagster.wait("running row", lambda: row(run_id)["status"] is RunStatus.RUNNING)
        assert row(run_id)["dagster_run_id"] == first
        kill_worker(dagster, first)
        dagster.wait("second try", lambda: row(run_id)["dagster_run_id"] != first)

        # Steps wait in the first run's second try; two more fill the queue up.
        register_queued(settings, request, waiting)
        third = dagster.launch(RESULT, day, odum__run_id=waiting, odum__config=CONFIG)
        attach_dagster_run(settings, waiting, third)
        dagster.terminate(third)
        dagster.wait("canceled row", lambda: row(waiting)["status"] is RunStatus.CANCELED)
    dagster.wait("result", lambda: row(run_id)["status"] is RunStatus.SUCCEEDED)
    ended = row(run_id)
    assert (ended["error"], ended["progress"]) == (None, 1)
    assert not (settings.results_path / "failed" / f"{run_id}.json").exists()
    assert check_registry(settings).problems == []
    assert check_registry(settings).pending == 0


@pytest.mark.torture
def test_a_run_that_dies_twice_is_given_up(dagster: Dagster) -> None:
    """With a pool of one slot, which the first run held when it died."""
    limited = [sys.executable, "-m", "dagster", "instance", "concurrency", "set", "conversion", "1"]
    subprocess.run(
        limited,
        cwd=dagster.folder,
        env={**dagster.environment, "DAGSTER_HOME": str(dagster.folder)},
        check=True,
        capture_output=True,
    )
    day = DAYS[0]
    deliver(dagster.folder, day)
    with hold(dagster.folder, day):
        killed_at = kill_worker(dagster, dagster.launch(TRADES, day))
        dagster.wait("second run", lambda: len(dagster.runs_of(day)) == 2)
        second = dagster.runs_of(day)[0]["runId"]
        kill_worker(dagster, second)
        print(f"second try under way {time.monotonic() - killed_at:.1f} s after the first died")
        dagster.wait(
            "end of both",
            lambda: [run["status"] for run in dagster.runs_of(day)] == ["FAILURE", "FAILURE"],
        )
        time.sleep(20)
        assert len(dagster.runs_of(day)) == 2
