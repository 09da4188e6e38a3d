"""Bars for tests: random ones, and the real files as they are on disk."""

import os
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from odum_assets.bars.series import BarSeries
from odum_assets.utc import DAY_NS, day_start_ns

MINUTE_NS = 60_000_000_000
REAL = Path(os.environ.get("ODUM_TEST_DATA", "")) / "bars"


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


def spy_2011() -> tuple[BarSeries, np.ndarray]:
    """Return the regular hours of SPY in January 2011, and the day of each bar.

    Labels are ends. New York is at UTC-5 throughout.
    """
    table = pq.read_table(REAL / "SPY_1min_2011-01.parquet")
    times = pc.cast(table["timestamp"], "int64").to_numpy()
    local = times - 5 * 60 * MINUTE_NS
    minute = local % DAY_NS // MINUTE_NS
    inside = (minute > 9 * 60 + 30) & (minute <= 16 * 60)
    rows = table.filter(inside)
    return series_of(times[inside], _ticks(rows, 100)), local[inside] // DAY_NS


def btcusd() -> BarSeries:
    """Return the daily bars of BTCUSD; a bar closes at the midnight that ends its date."""
    table = pq.read_table(REAL / "BTCUSD_1d_coinbase_2014-2018.parquet")
    times = pc.cast(table["timestamp"], "int64").to_numpy()
    return series_of(times + DAY_NS, _ticks(table, 100), step=DAY_NS)


def orcl() -> BarSeries:
    """Return the daily bars of ORCL in 2001, which the file has newest first."""
    table = pa_csv.read_csv(REAL / "ORCL_1d_2001.csv").sort_by("Date")
    table = table.rename_columns([name.lower() for name in table.column_names])
    times = np.array([day_start_ns(day) for day in table["date"].to_pylist()]) + DAY_NS
    return series_of(times, _ticks(table, 100), step=DAY_NS)


def _ticks(table: object, scale: int) -> np.ndarray:
    return np.stack(
        [
            np.rint(table[name].to_numpy() * scale)  # type: ignore[index]
            for name in ("open", "high", "low", "close")
        ]
    )


def utc(text: str) -> int:
    """Return a time as nanoseconds since the epoch."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000
