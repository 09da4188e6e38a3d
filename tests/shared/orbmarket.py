"""Random sessions of one-minute bars for the opening-range breakout, in ticks."""

import os
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.random import Generator
from orbdays import EQUITY, MINUTE, TICK

from odum_assets.bars.series import BarSeries
from odum_assets.bars.sessions import SessionRules


def random_bars(
    days: list[date], generator: Generator, rules: SessionRules = EQUITY, step: int = 15
) -> BarSeries:
    """Walk through whole sessions; every bar's range holds its open and close."""
    times = []
    for day in days:
        bounds = rules.bounds(day)
        assert bounds is not None
        times.append(np.arange(bounds[0] + MINUTE, bounds[1] + 1, MINUTE))
    close_time = np.concatenate(times).astype(np.int64)
    return with_prices(close_time, generator, 12_000, step)


def with_prices(
    close_time: np.ndarray, generator: Generator, start: int, step: int = 15
) -> BarSeries:
    count = len(close_time)
    close = np.maximum(start + np.cumsum(generator.integers(-step, step + 1, count)), 3_000)
    opened = np.concatenate([[start], close[:-1]]) + generator.integers(-3, 4, count)
    wicks = generator.integers(0, step, (2, count))
    high, low = np.maximum(opened, close) + wicks[0], np.minimum(opened, close) - wicks[1]
    volume = generator.lognormal(7, 0.7, count).astype(np.int64)
    return BarSeries(
        "ARCA:EQUITY:SPY", MINUTE, TICK, 0, close_time, opened, high, low, close, volume
    )


def corrupted(series: BarSeries, after: int, generator: Generator) -> BarSeries:
    """Replace everything behind a bar: other prices, other volumes."""
    other = with_prices(series.close_time[after + 1 :], generator, 30_000, 400)
    return replace(
        series,
        **{
            name: np.concatenate([getattr(series, name)[: after + 1], getattr(other, name)])
            for name in ("open", "high", "low", "close", "volume")
        },
    )


def weekdays(first: date, count: int) -> list[date]:
    result, day = [], first
    while len(result) < count:
        if day.weekday() < 5:
            result.append(day)
        day = date.fromordinal(day.toordinal() + 1)
    return result


def spy_2011() -> BarSeries:
    """Return the real minutes of SPY in January 2011; the label is the end of a bar."""
    folder = os.environ.get("ODUM_TEST_DATA")
    if folder is None:
        pytest.skip("ODUM_TEST_DATA names no folder with real market data")
    table = pq.read_table(Path(folder) / "bars" / "SPY_1min_2011-01.parquet").sort_by("timestamp")
    prices = [
        np.rint(table[name].to_numpy() * 100).astype(np.int64)
        for name in ("open", "high", "low", "close")
    ]
    close_time = table["timestamp"].to_numpy().astype(np.int64)
    return BarSeries(
        "ARCA:EQUITY:SPY", MINUTE, TICK, 0, close_time, *prices, table["volume"].to_numpy()
    )
