"""Quality figures: what is odd about the rows of a partition, counted and never repaired.

Figures are collected batch by batch in order of ``ts_init``, in memory that does not follow the
number of rows, except for eight bytes per trade id. A figure that cannot be known is None.
"""

from typing import Any

import numpy as np
import pyarrow as pa

from odum_assets.catalog.book import level_matrix
from odum_assets.catalog.labels import BUY, NO_AGGRESSOR, SELL
from odum_assets.catalog.quality_parts import Gaps, IdTracker, Int64s, Latency, exact_sum
from odum_assets.catalog.spread import Spreads
from odum_assets.catalog.timeline import Arrivals, Parts, Seconds, ratios
from odum_assets.catalog.times import DayWindow
from odum_assets.instruments import InstrumentSpec
from odum_assets.raw.layout import DataType

_SECOND = 1_000_000_000
_RATES = ("median_per_second", "p99_per_second", "max_per_second", "mean_per_second")


class Quality:
    """Collect the figures that all data types have.

    Parameters
    ----------
    window : DayWindow
        The times of the partition.
    spec : InstrumentSpec
        For prices and sizes in their own units.
    has_arrivals : bool
        Whether ``ts_init`` is a time of arrival; else there is no latency to know.
    """

    unknown_sides: int | None = None

    def __init__(self, window: DayWindow, spec: InstrumentSpec, *, has_arrivals: bool) -> None:
        self._has_arrivals = has_arrivals
        self._window = window
        self._spec = spec
        self._rows = 0
        self._equal = 0
        self._event_backwards = 0
        self._last: tuple[int, int] | None = None
        self._first_init = 0
        self._gaps = Gaps()
        self._latency = Latency()
        self._row_seconds = Seconds(window)
        self._latency_us = Seconds(window)
        self.first_ts_event = 0
        self.last_ts_event = 0

    def update(self, plain: pa.RecordBatch) -> None:
        """Take the next rows, in order of ``ts_init``."""
        if plain.num_rows == 0:
            return
        ts_init, ts_event = plain["ts_init"].to_numpy(), plain["ts_event"].to_numpy()
        first, last = int(ts_event.min()), int(ts_event.max())
        if self._last is None:
            self._first_init = int(ts_init[0])
            self.first_ts_event, self.last_ts_event = first, last
        else:
            # A step between batches counts like one within.
            ts_init = np.concatenate(([self._last[0]], ts_init))
            ts_event = np.concatenate(([self._last[1]], ts_event))
            self.first_ts_event = min(self.first_ts_event, first)
            self.last_ts_event = max(self.last_ts_event, last)
        new = slice(0 if self._last is None else 1, None)
        steps = np.diff(ts_init)
        self._rows += plain.num_rows
        self._equal += int(np.count_nonzero(steps == 0))
        self._event_backwards += int(np.count_nonzero(ts_event[1:] < ts_event[:-1]))
        self._gaps.update(ts_init, steps)
        latency = ts_init[new] - ts_event[new]
        self._latency.update(latency)
        arrivals = Arrivals.of(ts_init[new], self._window)
        self._row_seconds.add(arrivals.seconds, arrivals.rows)
        # Microseconds: the sum of a second's nanoseconds could be too large for 64 bits.
        self._latency_us.add(arrivals.seconds, arrivals.sums(latency // 1000))
        self._last = (int(ts_init[-1]), int(ts_event[-1]))
        self._update(plain)

    def _update(self, plain: pa.RecordBatch) -> None:
        """Take the columns of one data type."""

    def figures(self) -> dict[str, Any]:
        """Return the figures, ready for JSON."""
        return {
            "latency": self._latency.figures(self._rows) if self._has_arrivals else None,
            "gaps": self._gaps.figures(),
            "equal_ts_init_rows": self._equal,
            "event_out_of_order_rows": self._event_backwards,
            "rate": self._rate(),
            "timeline": self._timeline(),
        }

    def _rate(self) -> dict[str, Any]:
        """Return rows per second, from the first to the last second with rows."""
        if self._last is None:
            return dict.fromkeys(_RATES)
        span_ns = self._last[0] - self._first_init
        found = np.flatnonzero(self._row_seconds.values)
        rows = np.sort(self._row_seconds.values[found[0] : found[-1] + 1])
        ranks = [-(-len(rows) * percent // 100) - 1 for percent in (50, 99)]
        values = (*rows[ranks].tolist(), int(rows[-1]))
        mean = self._rows * _SECOND / span_ns if span_ns else None
        return dict(zip(_RATES, (*values, mean), strict=True))

    def _timeline(self) -> dict[str, Any] | None:
        """Return figures along the day; None without rows."""
        if self._last is None:
            return None
        parts = Parts.of(self._row_seconds)
        rows = parts.sums(self._row_seconds)
        return {
            "start": str(parts.start_ns(self._window)),
            "part_s": parts.width,
            "rows": rows.tolist(),
            "latency_mean_ms": ratios(parts.sums(self._latency_us), rows, 1000)
            if self._has_arrivals
            else None,
            **self._along_the_day(parts),
        }

    def _along_the_day(self, parts: Parts) -> dict[str, Any]:
        """Return what else is known along the day."""
        del parts
        return {}

    def _price(self, ticks: float) -> float:
        """Return ticks as a price, by one correctly rounded division."""
        return float(ticks / 10**self._spec.price_precision)


class TradesQuality(Quality):
    """Collect the figures of trades."""

    def __init__(self, window: DayWindow, spec: InstrumentSpec, *, has_arrivals: bool) -> None:
        super().__init__(window, spec, has_arrivals=has_arrivals)
        self.unknown_sides = 0
        self._sides = np.zeros(3, np.int64)
        self._ids = IdTracker()
        self._low, self._high = 2**63 - 1, 0
        self._volume = 0

    def _update(self, plain: pa.RecordBatch) -> None:
        self._sides += np.bincount(plain["side"].to_numpy(), minlength=3)
        self.unknown_sides = int(self._sides[NO_AGGRESSOR])
        self._ids.update(plain["trade_id"])
        prices = plain["price"].to_numpy()
        self._low = min(self._low, int(prices.min()))
        self._high = max(self._high, int(prices.max()))
        self._volume += exact_sum(plain["size"].to_numpy())

    def figures(self) -> dict[str, Any]:
        """Return the figures, ready for JSON."""
        return {
            **super().figures(),
            "sides": {"buy": int(self._sides[BUY]), "sell": int(self._sides[SELL])},
            "price_min": self._price(self._low),
            "price_max": self._price(self._high),
            "volume": float(self._volume / 10**self._spec.size_precision),
            **self._ids.figures(),
        }


class BookQuality(Quality):
    """Collect the figures of books."""

    def __init__(self, window: DayWindow, spec: InstrumentSpec, *, has_arrivals: bool) -> None:
        super().__init__(window, spec, has_arrivals=has_arrivals)
        self._crossed = self._locked = self._one_sided = self._short = 0
        self._repeated = self._disordered = 0
        self._spreads = Spreads(window)
        self._last_row: list[int] | None = None

    def _update(self, plain: pa.RecordBatch) -> None:
        names = plain.schema.names
        bids = level_matrix(plain, "bid", "price", _levels(names, "bid"))
        asks = level_matrix(plain, "ask", "price", _levels(names, "ask"))
        self._short += int(np.count_nonzero((bids == 0).any(axis=1) | (asks == 0).any(axis=1)))
        self._disordered += int(
            np.count_nonzero(_disordered(bids, rising=False) | _disordered(asks, rising=True))
        )
        best_bid, best_ask = _best(bids), _best(asks)
        self._count_sides(best_bid, best_ask)
        self._spreads.update(plain["ts_init"].to_numpy(), best_bid, best_ask)
        self._update_repeated(plain)

    def _count_sides(self, best_bid: Int64s, best_ask: Int64s) -> None:
        both = (best_bid > 0) & (best_ask > 0)
        self._one_sided += len(both) - int(np.count_nonzero(both))
        self._crossed += int(np.count_nonzero(both & (best_bid > best_ask)))
        self._locked += int(np.count_nonzero(both & (best_bid == best_ask)))

    def _update_repeated(self, plain: pa.RecordBatch) -> None:
        columns = [column.to_numpy() for column in plain.columns[2:]]
        same = np.ones(plain.num_rows - 1, np.bool_)
        for column in columns:
            same &= column[1:] == column[:-1]
        self._repeated += int(np.count_nonzero(same))
        self._repeated += int(self._last_row == [int(column[0]) for column in columns])
        self._last_row = [int(column[-1]) for column in columns]

    def figures(self) -> dict[str, Any]:
        """Return the figures, ready for JSON."""
        return {
            **super().figures(),
            "crossed_books": self._crossed,
            "locked_books": self._locked,
            "one_sided_books": self._one_sided,
            "short_books": self._short,
            "repeated_books": self._repeated,
            "disordered_books": self._disordered,
            "spread": self._spreads.figures(10**self._spec.price_precision),
        }

    def _along_the_day(self, parts: Parts) -> dict[str, Any]:
        return self._spreads.along_the_day(parts, 10**self._spec.price_precision)


def quality_of(
    data_type: DataType, spec: InstrumentSpec, window: DayWindow, *, has_arrivals: bool
) -> Quality:
    """Return the collector for a data type."""
    kind = {DataType.TRADES: TradesQuality, DataType.BOOK: BookQuality}.get(data_type, Quality)
    return kind(window, spec, has_arrivals=has_arrivals)


def _levels(names: list[str], side: str) -> int:
    return sum(name.startswith(f"{side}_price_") for name in names)


def _best(prices: Int64s) -> Int64s:
    """Return the first price that is there per row, 0 where there is none; shape (rows,)."""
    if prices.shape[1] == 0:
        return np.zeros(len(prices), np.int64)
    best = prices[:, 0].copy()
    for level in range(1, prices.shape[1]):
        if best.all():
            break
        best = np.where(best > 0, best, prices[:, level])
    return best


def _disordered(prices: Int64s, *, rising: bool) -> "np.ndarray[Any, np.dtype[np.bool_]]":
    """Return which rows have neighboring levels that are both there and in the wrong order."""
    steps = np.diff(prices, axis=1)
    wrong = steps <= 0 if rising else steps >= 0
    flags: np.ndarray[Any, np.dtype[np.bool_]]
    flags = (wrong & (prices[:, 1:] > 0) & (prices[:, :-1] > 0)).any(axis=1)
    return flags
