"""A backfill of many small days: what a run takes beside its replay, and what it leaves behind.

``ODUM_BENCHMARK_DAYS`` sets the number of days.
"""

import json
import os
import resource
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from marketday import CONFIG, FIRST_DAY, MarketDay, market_day
from measuring import Measurements

from odum_assets.results.store import ResultStore

ODUM = Path(sys.executable).parent / "odum"
COUNTED = Path(__file__).parent / "counted_command.py"
DAYS = int(os.environ.get("ODUM_BENCHMARK_DAYS", "100"))
TRADES_PER_DAY = 20_000
SLOTS = 2
_FEW = 10


@pytest.mark.timeout(36_000)
def test_many_small_days(benchmark: Any, tmp_path: Path, measurements: Measurements) -> None:
    day = market_day(tmp_path / "days", TRADES_PER_DAY, days=DAYS)
    # What is measured is the runs.
    day.convert(DAYS)
    single = _backfill(day, 1, 1)
    few = _backfill(day, _FEW, 1)
    replays = _replays(day, few.runs[1:])
    measurements.add(
        f"A further run of a backfill, {TRADES_PER_DAY:,} trades, one slot",
        run=f"{(few.wall - single.wall) / (_FEW - 1):.2f} s",
        of_it_replay=f"{sum(replays) / len(replays):.2f} s",
        beside_the_replay=f"{(few.wall - single.wall - sum(replays)) / (_FEW - 1):.2f} s",
        processor_time=f"{(few.processor - single.processor) / (_FEW - 1):.2f} s",
    )
    before = _sizes(day)
    many = _backfill(day, DAYS, SLOTS)
    after = _sizes(day)
    replay = sum(_replays(day, many.runs))
    measurements.add(
        f"Backfill of {DAYS} converted days of {TRADES_PER_DAY:,} trades, {SLOTS} slots",
        wall=f"{many.wall:.0f} s",
        replay=f"{replay / DAYS:.2f} s",
        total_against_replay_over_slots=f"{many.wall / (replay / SLOTS):.2f} x",
        last_part_against_first=f"{_last_against_first(day, many.runs):.2f} x",
    )
    for name, size in after.items():
        measurements.add(
            "Growth per 1,000 runs",
            what=name,
            megabytes=f"{(size - before[name]) / DAYS * 1000 / 1e6:.0f}",
        )
    benchmark.pedantic(lambda: None, rounds=1)
    assert len(set(many.runs)) == DAYS


class _Backfill(NamedTuple):
    """A backfill: processor time and time (s) of all its processes, and the ids of its runs."""

    processor: float
    wall: float
    runs: list[str]


def _replays(day: MarketDay, runs: list[str]) -> list[float]:
    """Return how long the replay of each run took (s)."""
    store = ResultStore(day.settings.results_path)
    return [store.entry(run).metadata()["resources"]["replay_secs"] for run in runs]


def _last_against_first(day: MarketDay, runs: list[str]) -> float:
    """Return how much longer the last tenth of the runs took than the first."""
    store, part = ResultStore(day.settings.results_path), max(len(runs) // 10, 2)
    ended = sorted(datetime.fromisoformat(store.entry(run).created_at) for run in runs)
    return (ended[-1] - ended[-part]) / (ended[part - 1] - ended[0])


def _sizes(day: MarketDay) -> dict[str, int]:
    results = day.settings.results_path
    return {
        "Dagster's database": _size(day.root / "dagster"),
        "results in mode fast": _size(results / "fast") + _size(results / "partitions"),
        "run registry": sum(each.stat().st_size for each in results.glob("registry.sqlite*")),
    }


def _size(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())


def _backfill(day: MarketDay, days: int, slots: int) -> _Backfill:
    """Run a backfill anew."""
    last = FIRST_DAY + timedelta(days=days - 1)
    span = ("--from", FIRST_DAY.isoformat(), "--to", last.isoformat())
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [ODUM, "backfill", CONFIG, *span, "--fast", "--slots", str(slots)]
    done = subprocess.run(
        [sys.executable, COUNTED, *command, "--force", "--json"],
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
    return _Backfill(used, took, [each["run_id"] for each in json.loads(done.stdout)["days"]])
