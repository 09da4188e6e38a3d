"""The whole chain through Dagster: a busy day, days side by side, and what Dagster itself takes."""

import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from dagster import DagsterEventType, DagsterInstance, DagsterRun
from marketday import BUSY_BOOKS, BUSY_TRADES, CONFIG, FIRST_DAY, MarketDay, market_day
from measuring import Measurements

from odum_assets.results.store import ResultStore

ODUM = Path(sys.executable).parent / "odum"
DAYS = 8
TRADES_PER_DAY = 100_000
BACKFILL_LIMIT = 1.25


@pytest.mark.timeout(1_800)
def test_a_busy_day_from_raw_files_to_report(
    benchmark: Any, tmp_path: Path, measurements: Measurements
) -> None:
    day = market_day(tmp_path / "day", BUSY_TRADES)
    took = _run(day, "backtest", CONFIG, "--day", FIRST_DAY.isoformat(), "--report")
    summary = ResultStore(day.settings.results_path).entries()[0].summary()
    measurements.add(
        "Raw files to report: odum backtest as a whole command, nothing converted before",
        raw_rows=f"{BUSY_TRADES:,} trades, {BUSY_BOOKS:,} books",
        orders=f"{summary['orders']:,}",
        time=f"{took:.0f} s",
    )
    benchmark.pedantic(lambda: None, rounds=1)


@pytest.mark.timeout(1_800)
def test_a_backfill_keeps_both_cores_busy(
    benchmark: Any, tmp_path: Path, measurements: Measurements
) -> None:
    day = market_day(tmp_path / "days", TRADES_PER_DAY, days=DAYS)
    last = FIRST_DAY + timedelta(days=DAYS - 1)
    span = ("--from", FIRST_DAY.isoformat(), "--to", last.isoformat())
    # The first pass converts: what is compared is the runs.
    _run(day, "backfill", CONFIG, *span, "--fast", "--slots", "2")
    one = _run(day, "backfill", CONFIG, *span, "--fast", "--force", "--slots", "1")
    overheads = _overheads(day)
    two = _run(day, "backfill", CONFIG, *span, "--fast", "--force", "--slots", "2")
    ratio = two / (one / 2)
    measurements.add(
        f"Backfill of {DAYS} converted days of {TRADES_PER_DAY:,} trades: odum backfill --fast as "
        "a whole command",
        one_slot=f"{one:.1f} s",
        two_slots=f"{two:.1f} s",
        against_half_of_one_slot=f"{ratio:.2f} x",
        limit=f"{BACKFILL_LIMIT} x",
    )
    for name, values in overheads.items():
        measurements.add(
            "Seconds of a run besides its replay (mean of the backfill's runs with one slot)",
            part=name,
            seconds=f"{mean(values):.2f}",
        )
    benchmark.pedantic(lambda: None, rounds=1)
    assert ratio <= BACKFILL_LIMIT


def _overheads(day: MarketDay) -> dict[str, list[float]]:
    """Return where the seconds of the last runs went, from Dagster's event log and the results."""
    parts: dict[str, list[float]] = {
        "Dagster, run created to step start": [],
        "Odum Assets: checks, child process, accounting, publishing": [],
        "Dagster, step end to run success": [],
    }
    before, own, after = parts.values()
    store = ResultStore(day.settings.results_path)
    replayed = {
        each.run_id: each.metadata()["resources"]["replay_secs"] for each in store.entries()
    }
    with DagsterInstance.from_ref(_instance(day)) as instance:
        for record in instance.get_run_records(limit=DAYS):
            run: DagsterRun = record.dagster_run
            times = {
                each.dagster_event.event_type: each.timestamp
                for each in instance.all_logs(run.run_id)
                if each.dagster_event is not None
            }
            made = [
                each.dagster_event.step_materialization_data.materialization
                for each in instance.all_logs(run.run_id)
                if each.dagster_event is not None and each.dagster_event.is_step_materialization
            ]
            names = [
                str(each.metadata["run_id"].value) for each in made if "run_id" in each.metadata
            ]
            start, end = times[DagsterEventType.STEP_START], times[DagsterEventType.STEP_SUCCESS]
            before.append(start - record.create_timestamp.timestamp())
            own.append(end - start - replayed[names[0]])
            after.append(times[DagsterEventType.RUN_SUCCESS] - end)
    return parts


def _instance(day: MarketDay) -> Any:
    from dagster._core.instance.ref import InstanceRef

    return InstanceRef.from_dir(str(day.root / "dagster"))


def _run(day: MarketDay, *arguments: str) -> float:
    """Run the command line and return its seconds."""
    started = time.perf_counter()
    done = subprocess.run(
        [str(ODUM), *arguments],
        env=os.environ | day.environment(),
        cwd=day.root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return time.perf_counter() - started
