"""A thousand variants of a moving-average crossover on 100,000 bars, equity marked on every bar.

The first call is that of a fresh process with an empty cache: Numba is imported and compiles. A
warm call is the fastest of several. Beside it stands plain pandas on the same bars with the same
fills, for a few variants, and what a thousand would take.
"""

import os
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from barseries import random_series
from measuring import Measurements

from odum_assets.bars.fees import FeeRule
from odum_assets.bars.series import BarSeries
from odum_assets.vectorized.crossover import CrossoverGrid
from odum_assets.vectorized.terms import Terms

BARS = 100_000
PAIRS = [(fast, slow) for fast in range(5, 105, 5) for slow in range(110, 610, 10)]
PANDAS_VARIANTS = 10
ROUNDS = 7
LIMIT_SECS = 0.4
SIZE, BALANCE, RATE = 100, 1_000_000, 0.0005

TERMS = Terms(
    tick_size=Decimal("0.01"),
    size_precision=0,
    lot=1,
    multiplier=Decimal(1),
    starting_balance=Decimal(BALANCE),
    fees=FeeRule("rate", Decimal(str(RATE)), 2),
    side="long",
    fixed_size=Decimal(SIZE),
    percent_size=None,
)


def _grid(series: BarSeries) -> CrossoverGrid:
    return CrossoverGrid(series, np.arange(BARS) // 390, 0, TERMS, 252)


@pytest.mark.timeout(600)
def test_a_thousand_variants(benchmark: Any, tmp_path: Path, measurements: Measurements) -> None:
    series = random_series(1, BARS, price=40_000)
    grid = _grid(series)
    assert len(PAIRS) == 1_000
    table = grid.figures(PAIRS)
    costs = [_secs(lambda: grid.figures(PAIRS)) for _ in range(ROUNDS)]
    warm, processor = (min(kind) for kind in zip(*costs, strict=True))
    prices = pd.DataFrame({"open": series.open / 100, "close": series.close / 100})
    started = time.perf_counter()
    equity = [_pandas(prices, *pair) for pair in PAIRS[:PANDAS_VARIANTS]]
    plain = (time.perf_counter() - started) * len(PAIRS) / PANDAS_VARIANTS
    final = table["final_equity"].to_numpy()[:PANDAS_VARIANTS]
    drawdown = table["max_drawdown_pct"].to_numpy()[:PANDAS_VARIANTS]
    assert np.allclose([curve.iloc[-1] for curve in equity], final, rtol=0, atol=0.005 + 1e-6)
    falls = [100 * (curve / curve.cummax().clip(lower=BALANCE) - 1).min() for curve in equity]
    assert np.allclose(falls, drawdown, atol=1e-6)
    first = _first_call(tmp_path)
    measurements.add(
        f"A moving-average crossover: {len(PAIRS):,} variants on {BARS:,} bars",
        way="odum vsweep",
        warm=f"{warm:.2f} s",
        processor_time=f"{processor:.2f} s",
        first_call=f"{first:.1f} s",
        limit=f"{LIMIT_SECS} s warm",
    )
    measurements.add(
        f"A moving-average crossover: {len(PAIRS):,} variants on {BARS:,} bars",
        way=f"pandas {pd.__version__} ({PANDAS_VARIANTS} variants, extrapolated)",
        warm=f"{plain:.1f} s",
        processor_time=None,
        first_call=None,
        limit=None,
    )
    benchmark.pedantic(lambda: None, rounds=1)
    assert warm <= LIMIT_SECS


def _pandas(prices: pd.DataFrame, fast: int, slow: int) -> pd.Series:
    """Return equity at each close, fees rounded to cents, orders filled at the next open."""
    close, opens = prices["close"], prices["open"]
    ticks = (close * 100).round()
    difference = ticks.rolling(fast).sum() * slow - ticks.rolling(slow).sum() * fast
    before = difference.shift(1)
    signal = pd.Series(np.nan, index=close.index)
    signal[(before <= 0) & (difference > 0)] = 1.0
    signal[(before >= 0) & (difference < 0)] = 0.0
    position = signal.ffill().fillna(0.0).shift(1).fillna(0.0) * SIZE
    traded = position.diff().fillna(position)
    # A tick is a cent. The division by a whole number is exact where the product by a rate is not.
    fees = np.rint(traded.abs() * (opens * 100).round() / round(1 / RATE)) / 100
    cash = BALANCE - (traded * opens + fees).cumsum()
    return cash + position * close


def _first_call(folder: Path) -> float:
    """Return how long a fresh process takes to import Numba, compile and run."""
    program = (
        "import time\n"
        "import test_vsweep_benchmark as measured\n"
        "series = measured.random_series(1, measured.BARS, price=40_000)\n"
        "ready = time.perf_counter()\n"
        "measured._grid(series).figures(measured.PAIRS)\n"
        "print(time.perf_counter() - ready)\n"
    )
    tests = Path(__file__).parents[1]
    paths = [str(tests / name) for name in ("benchmarks", "vectorized")]
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "NUMBA_CACHE_DIR": str(folder), "PYTHONPATH": os.pathsep.join(paths)},
    )
    return float(done.stdout)


def _secs(work: Any) -> tuple[float, float]:
    """Return the seconds on the clock, and of all processors."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor
