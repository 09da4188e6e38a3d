"""The real bars of the test data as series, without a catalog."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

from odum_assets.bars.series import BarSeries
from odum_assets.bars.sessions import OUTSIDE, SessionRules

MINUTE, DAY = 60_000_000_000, 86_400_000_000_000
US_EQUITY = SessionRules("rth", time(9, 30), time(16), "America/New_York")
EVERY_DATE = SessionRules("full", time(0), time(0), "UTC")


def spy_2011(root: Path) -> BarSeries:
    """Return SPY's one-minute bars of January 2011, extended hours included; labels are ends."""
    table = pq.read_table(root / "bars" / "SPY_1min_2011-01.parquet")
    closes = table["timestamp"].cast(pa.int64()).to_numpy()
    return _series("ARCA:EQUITY:SPY", table, closes, MINUTE)


def orcl_2001(root: Path) -> BarSeries:
    """Return Oracle's daily bars of 2001, each closing with its session."""
    table = csv.read_csv(root / "bars" / "ORCL_1d_2001.csv").sort_by("Date")
    table = table.rename_columns([name.lower() for name in table.column_names])
    return _series("NASDAQ:EQUITY:ORCL", table, _closes(table["date"], US_EQUITY), DAY)


def btcusd_daily(root: Path) -> BarSeries:
    """Return Coinbase's daily bars of BTC-USD."""
    table = pq.read_table(root / "bars" / "BTCUSD_1d_coinbase_2014-2018.parquet")
    days = table["timestamp"].cast(pa.date32())
    return _series("COINBASE:SPOT_PAIR:BTC-USD", table, _closes(days, EVERY_DATE), DAY, 8)


def in_sessions(series: BarSeries, rules: SessionRules) -> BarSeries:
    """Take the bars that belong to sessions."""
    return series.where(rules.assign(series.close_time) != OUTSIDE)


def ns(text: str) -> int:
    """Return a UTC time such as ``2011-01-03 15:00`` in nanoseconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def _closes(days: Any, rules: SessionRules) -> np.ndarray:
    def close(day: date) -> int:
        bounds = rules.bounds(day)
        assert bounds is not None, day
        return bounds[1]

    return np.array([close(day) for day in days.to_pylist()], dtype=np.int64)


def _series(
    name: str, table: pa.Table, closes: np.ndarray, step: int, size_precision: int = 0
) -> BarSeries:
    volume = np.rint(table["volume"].to_numpy() * 10.0**size_precision).astype(np.int64)
    return BarSeries(
        name,
        step,
        Decimal("0.01"),
        size_precision,
        closes,
        *(
            np.rint(table[column].to_numpy() * 100).astype(np.int64)
            for column in ("open", "high", "low", "close")
        ),
        volume,
    )
