"""Whole commands by the kernel on a busy day, beside the command by NautilusTrader.

Processor time is of the command and its processes: it depends less on what else a machine does.
"""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from marketday import BUSY_TRADES, CONFIG, FIRST_DAY, MarketDay, market_day
from measuring import Measurements

TITLE = "One order per trade as a whole command: 2,000,000 trades, 864,000 books"
FEES = ",".join(f"{index / 100_000:.5f}" for index in range(25))
VARY = ["--vary", f"venue.taker_fee={FEES}", "--vary", "strategy.order_type=LIMIT,MARKET"]
VARY += ["--vary", "strategy.time_in_force=IOC,FOK"]
RATIOS = {"fast": 5, "report": 2, "figures": 20}
"""How many times NautilusTrader's processor time (of a sweep: for as many runs) it must be."""


class Cost(NamedTuple):
    """Seconds on the clock and of processors, and the largest resident size (MiB)."""

    wall: float
    cpu: float
    peak: int


def _ran(day: MarketDay, *arguments: str) -> tuple[Cost, Any]:
    command = [sys.executable, "-m", "odum_assets.cli.main", *arguments, "--json"]
    started = time.perf_counter()
    with subprocess.Popen(
        command, env={**os.environ, **day.environment()}, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        out = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    cost = Cost(
        time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss // 1024
    )
    return cost, json.loads(out)


@pytest.mark.timeout(7_200)
def test_whole_commands(benchmark: Any, tmp_path: Path, measurements: Measurements) -> None:
    day = _covered(market_day(tmp_path / "day", BUSY_TRADES))
    day.convert()
    run = ["backtest", CONFIG, "--day", FIRST_DAY.isoformat()]
    sweep = ["sweep", CONFIG, "--day", FIRST_DAY.isoformat(), "--fast", *VARY]
    # The first command compiles.
    _ran(day, *run, "--fast", "--engine", "kernel")
    costs = {}
    for name, arguments in (
        ("nautilus fast", [*run, "--fast"]),
        ("nautilus report", [*run, "--report"]),
        ("kernel fast", [*run, "--fast", "--engine", "kernel"]),
        ("kernel report", [*run, "--report", "--engine", "kernel"]),
        ("kernel figures", [*sweep, "--engine", "kernel", "--figures-only"]),
    ):
        costs[name], _ = _ran(day, *arguments)
    reference = {**costs, "nautilus figures": costs["nautilus fast"]}
    for name, cost in costs.items():
        engine, _, mode = name.partition(" ")
        runs = 100 if mode == "figures" else 1
        measurements.add(
            TITLE,
            engine=engine,
            work="100 variants, figures only" if runs > 1 else f"{mode} mode",
            time=f"{cost.wall:.1f} s",
            processor_time=f"{cost.cpu:.1f} s",
            against_NautilusTrader=f"{runs * reference[f'nautilus {mode}'].cpu / cost.cpu:.0f} x",
            peak_memory=f"{cost.peak:,} MiB",
        )
    benchmark.pedantic(lambda: None, rounds=1)
    for mode, ratio in RATIOS.items():
        runs = 100 if mode == "figures" else 1
        gained = runs * reference[f"nautilus {mode}"].cpu / costs[f"kernel {mode}"].cpu
        assert gained >= ratio, (mode, gained)


@pytest.mark.timeout(1_800)
def test_memory_by_trades(benchmark: Any, tmp_path: Path, measurements: Measurements) -> None:
    """Memory holds some chunks of a day: it hardly grows with its length."""
    peaks: dict[str, list[int]] = {}
    for trades in (BUSY_TRADES // 4, BUSY_TRADES // 2, BUSY_TRADES):
        day = _covered(market_day(tmp_path / str(trades), trades))
        day.convert()
        kernel = ["--day", FIRST_DAY.isoformat(), "--engine", "kernel"]
        for name, arguments in (
            ("fast_mode", ["backtest", CONFIG, *kernel, "--fast"]),
            ("report_mode", ["backtest", CONFIG, *kernel, "--report"]),
            ("figures_only", ["sweep", CONFIG, *kernel, "--fast", *VARY, "--figures-only"]),
        ):
            peaks.setdefault(name, []).append(_ran(day, *arguments)[0].peak)
        measurements.add(
            "Peak memory of whole commands by the kernel; figures only: of 100 variants",
            trades=f"{trades:,}",
            books=f"{day.books:,}",
            **{name: f"{found[-1]:,} MiB" for name, found in peaks.items()},
        )
    benchmark.pedantic(lambda: None, rounds=1)
    for name, (_, half, whole) in peaks.items():
        assert whole <= 1.25 * half, (name, half, whole)
    assert peaks["figures_only"][-1] * 2**20 <= 10**9, peaks


def _covered(day: MarketDay) -> MarketDay:
    """Return a day whose configuration names no funding, which the kernel does not cover."""
    path = day.settings.configs_path / f"{CONFIG}.json"
    values = json.loads(path.read_text())
    values["data_catalog"].pop("derivative_ticker_path", None)
    path.write_text(json.dumps(values))
    return day


@pytest.mark.timeout(600)
def test_the_kernel_itself(benchmark: Any, measurements: Measurements) -> None:
    """One limit order per trade against one book: matching alone, on one core."""
    from odum_assets.vectorized.ticks.kernel import Rules
    from odum_assets.vectorized.ticks.rows import Books
    from odum_assets.vectorized.ticks.run import Matching

    count = 2_000_000
    draw = np.random.default_rng(1)
    ts = np.arange(10, 10 + count)
    price = 640_000 + np.cumsum(draw.integers(-1, 2, count))
    side = draw.choice([-1, 1], count)
    trades = np.stack([ts, ts, price, draw.integers(1, 500, count), side])
    # A book before each second trade, five levels a side, around its price.
    middle = price[::2]
    levels = np.arange(5)
    starts = np.arange(len(middle) + 1) * 5
    bids = (middle[:, None] - 1 - levels).ravel()
    asks = (middle[:, None] + 1 + levels).ravel()
    size = np.full(len(bids), 100)
    books = Books(
        np.stack([ts[::2] - 1] * 2),
        np.stack([starts, starts]),
        np.stack([bids, size]),
        np.stack([asks, size]),
    )
    rules = Rules(False, True, True, False, 0, True, 0)

    def run() -> float:
        matching = Matching(rules, np.zeros((5, 0), np.int64))
        before = resource.getrusage(resource.RUSAGE_THREAD)
        for _ in matching.events([trades], [books]):
            pass
        after = resource.getrusage(resource.RUSAGE_THREAD)
        return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime

    run()
    secs = min(run() for _ in range(5))
    measurements.add(
        "The kernel itself: matching on one core, arrays in, fills out",
        orders=f"{count:,}",
        books=f"{len(middle):,}",
        million_orders_per_second_of_processor=f"{count / secs / 1e6:.1f}",
    )
    benchmark.pedantic(lambda: None, rounds=1)
