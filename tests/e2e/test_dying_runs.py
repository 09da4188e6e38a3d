"""A run worker that dies is started once more by Dagster; data that are not there are not."""

import datetime as dt
import json
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
from odum_assets.catalog.paths import PartitionPaths
from odum_assets.config import instrument_spec, load_configs, raw_path
from odum_assets.instruments import parse_instrument_key
from odum_assets.raw.layout import DataType
from odum_assets.registry.checking import check_registry
from odum_assets.registry.database import reading
from odum_assets.registry.pending import register_queued
from odum_assets.registry.queries import get_run
from odum_assets.registry.register import opened
from odum_assets.registry.types import RunStatus
from odum_assets.results.run_id import run_id_of
from odum_assets.results.store import ResultStore
from odum_assets.settings import Settings
from odum_assets.storage.locks import hold_lock

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(280)]

TRADES = ["catalog", SLUG, "trades"]
DAYS = [dt.date(2024, 1, 1) + dt.timedelta(days=index) for index in range(4)]
NOTICED_WITHIN_S = 45.0


def hold(folder: Path, day: dt.date) -> AbstractContextManager[None]:
    """Hold the lock of a partition: a conversion of it waits in its step."""
    key = parse_instrument_key(KEY)
    return hold_lock(
        PartitionPaths(folder / "data/catalog", key, DataType.TRADES, day).partition_lock
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


class Registered:
    """A run that somebody asked for: its id, and what the registry says of it."""

    def __init__(self, folder: Path, day: dt.date) -> None:
        self.settings = Settings(
            raw_root=str(folder / "data"),
            results_path=folder / "data/results",
            catalog_path=folder / "data/catalog",
            configs_path=folder / "configs",
            database_url=None,
        )
        (self.loaded,) = load_configs(self.settings.configs_path)
        self.day = day
        request = RunRequest(self.loaded, (day,), day.isoformat())
        self.run_id = run_id_of(request)
        register_queued(self.settings, request, self.run_id)

    def convert(self) -> None:
        """Convert the day, so that its backtest can be run alone."""
        for data_type in (DataType.TRADES, DataType.BOOK):
            convert_partition(
                raw_path(self.loaded, data_type, self.day, self.settings),
                self.loaded.key,
                instrument_spec(self.loaded),
                data_type,
                self.day,
                self.settings.catalog_path,
            )

    def hold(self) -> AbstractContextManager[None]:
        """Hold the lock of the manifests: a backtest waits in its step."""
        root, key = self.settings.catalog_path, self.loaded.key
        return hold_lock(PartitionPaths(root, key, DataType.TRADES, self.day).manifest_lock)

    def row(self) -> dict[str, Any]:
        """Return what the registry says now."""
        with opened(self.settings) as engine, reading(engine) as connection:
            found = get_run(connection, self.run_id)
        assert found is not None
        return found

    def is_(self, status: RunStatus) -> bool:
        """Return whether the run stands there."""
        return bool(self.row()["status"] is status)


def test_a_died_run_is_retried_once_and_missing_data_never(dagster: Dagster) -> None:
    killed_day, missing, good = DAYS[0], DAYS[1], DAYS[2:]
    for day in (killed_day, *good):
        deliver(dagster.folder, day)
    asked = Registered(dagster.folder, killed_day)
    asked.convert()
    with asked.hold():
        tags = {"odum__run_id": asked.run_id, "odum__config": CONFIG}
        first = dagster.launch(RESULT, killed_day, **tags)
        dagster.wait("running row", lambda: asked.is_(RunStatus.RUNNING))
        assert asked.row()["dagster_run_id"] == first
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
    dagster.wait("result in the registry", lambda: asked.is_(RunStatus.SUCCEEDED))
    assert asked.row()["dagster_run_id"] == retried["runId"]
    assert (asked.row()["error"], asked.row()["progress"]) == (None, 1)
    assert not (asked.settings.results_path / "failed" / f"{asked.run_id}.json").exists()

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
    # Also the day that failed in its conversion: a sensor tells the registry of it.
    folder = asked.settings.results_path / "failed"
    (record,) = dagster.wait("record", lambda: [*folder.glob("*.json")])
    assert json.loads(record.read_text())["metadata"]["dagster_run_id"] == failed["runId"]
    checked = check_registry(asked.settings)
    assert (checked.problems, checked.pending, checked.runs) == ([], 0, 2 + len(good))


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
