"""Random bars for tests, and bars of given prices."""

from datetime import date
from decimal import Decimal

import numpy as np

from odum_assets.bars.series import BarSeries
from odum_assets.utc import day_start_ns

MINUTE_NS = 60_000_000_000


def random_series(seed: int, bars: int, *, tick: str = "0.01", price: int = 10_000) -> BarSeries:
    """Return one-minute bars that gap, stand still, and cross their averages often."""
    rng = np.random.default_rng(seed)
    step = rng.integers(-12, 13, bars) * (rng.random(bars) < 0.8)
    close = np.maximum(price + np.cumsum(step), 50)
    opens = np.maximum(np.concatenate(([price], close[:-1])) + rng.integers(-5, 6, bars), 1)
    high = np.maximum(opens, close) + rng.integers(0, 6, bars)
    low = np.maximum(np.minimum(opens, close) - rng.integers(0, 6, bars), 1)
    return series_of(
        day_start_ns(date(2024, 1, 2)) + MINUTE_NS * np.arange(1, bars + 1),
        np.stack((opens, high, low, close)),
        tick=tick,
    )


def series_of(
    close_time: np.ndarray,
    prices: np.ndarray,
    *,
    tick: str = "0.01",
    step: int = MINUTE_NS,
    size_precision: int = 0,
) -> BarSeries:
    """Return bars of prices in ticks, shape (4, n), with a volume of one each."""
    columns = [np.ascontiguousarray(row, np.int64) for row in prices]
    volume = np.ones(len(close_time), np.int64)
    return BarSeries(
        "ARCA:EQUITY:SPY",
        step,
        Decimal(tick),
        size_precision,
        close_time.astype(np.int64),
        *columns,
        volume,
    )
