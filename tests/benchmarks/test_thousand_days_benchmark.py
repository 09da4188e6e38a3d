"""A backfill of many small days: what a run takes beside its replay, and what it leaves behind.

``ODUM_BENCHMARK_DAYS`` sets the number of days.
"""

import json
import os
import resource
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from marketday import CONFIG, FIRST_DAY, MarketDay, market_day
from measuring import Measurements

from odum_assets.results.store import ResultStore

ODUM = Path(sys.executable).parent / "odum"
COUNTED = Path(__file__).parent / "counted_command.py"
DAYS = int(os.environ.get("ODUM_BENCHMARK_DAYS", "100"))
TRADES_PER_DAY = 20_000
SLOTS = 2


@pytest.mark.timeout(36_000)
def test_many_small_days(benchmark: Any, tmp_path: Path, measurements: Measurements) -> None:
    day = market_day(tmp_path / "days", TRADES_PER_DAY, days=DAYS)
    # What is measured is the runs.
    day.convert(DAYS)
    single, _, _ = _backfill(day, 1, "--force")
    before = _sizes(day)
    processor, wall, runs = _backfill(day, DAYS, "--force")
    after = _sizes(day)
    store = ResultStore(day.settings.results_path)
    replay = sum(store.entry(run).metadata()["resources"]["replay_secs"] for run in runs)
    measurements.add(
        f"Backfill of {DAYS} converted days of {TRADES_PER_DAY:,} trades, {SLOTS} slots",
        processor_time_of_a_further_run=f"{(processor - single) / max(DAYS - 1, 1):.2f} s",
        replay=f"{replay / DAYS:.2f} s",
        total_against_replay_over_slots=f"{wall / (replay / SLOTS):.2f} x",
    )
    for name, size in after.items():
        measurements.add(
            "Growth per 1,000 runs",
            what=name,
            megabytes=f"{(size - before[name]) / DAYS * 1000 / 1e6:.0f}",
        )
    benchmark.pedantic(lambda: None, rounds=1)
    assert len(set(runs)) == DAYS


def _sizes(day: MarketDay) -> dict[str, int]:
    results = day.settings.results_path
    return {
        "Dagster's database": _size(day.root / "dagster"),
        "results in mode fast": _size(results / "fast") + _size(results / "partitions"),
        "run registry": sum(each.stat().st_size for each in results.glob("registry.sqlite*")),
    }


def _size(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())


def _backfill(day: MarketDay, days: int, *options: str) -> tuple[float, float, list[str]]:
    """Run a backfill; return its processor time and its time (s), and the ids of its runs.

    The processor time is that of all its processes, with the replays.
    """
    last = FIRST_DAY + timedelta(days=days - 1)
    span = ("--from", FIRST_DAY.isoformat(), "--to", last.isoformat())
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [ODUM, "backfill", CONFIG, *span, "--fast", "--slots", str(SLOTS), "--json"]
    done = subprocess.run(
        [sys.executable, COUNTED, *command, *options],
        env=os.environ | day.environment(),
        cwd=day.root,
        capture_output=True,
        text=True,
        check=False,
    )
    took = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stdout + done.stderr
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used, took, [each["run_id"] for each in json.loads(done.stdout)["days"]]
