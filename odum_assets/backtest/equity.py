"""Marking an account to the market at set times while its fills are replayed.

What belongs here: merging fills, funding and sample times into one pass of a `FillCounter`. What
does not: statistics over the samples (``metrics``).
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pyarrow as pa

from odum_assets.backtest.columns import Dues, FillColumns
from odum_assets.backtest.counting import FillCounter
from odum_assets.backtest.ledger import LedgerRows, Marking
from odum_assets.backtest.outcome import Funding
from odum_assets.backtest.prices import LastPrices
from odum_assets.catalog.fixed_point import Int64s, Units, units_array, units_of
from odum_assets.utc import DAY_NS, NS_PER_SECOND, day_start_ns


@dataclass(frozen=True, slots=True)
class EquityPoint:
    """The account at one moment, marked at the last trade's price (None before the first)."""

    ts: int
    cash: Decimal
    realized: Decimal
    unrealized: Decimal
    equity: Decimal
    quantity: Decimal
    entry: Decimal | None
    price: Decimal | None


def sample_times(first: int, last: int, interval_secs: int) -> list[int]:
    """Return whole multiples of an interval (ns since 1970) after `first` and up to `last`."""
    step = interval_secs * NS_PER_SECOND
    return list(range((first // step + 1) * step, last + 1, step))


def outside_gaps(times: Sequence[int], days: Sequence[date]) -> list[int]:
    """Return the times that do not lie in days without data, between two days that have them.

    The midnight that ends a day with data belongs to it. The midnight that ends a gap is left out:
    it would repeat the sample from before the gap as a return of zero.

    Parameters
    ----------
    times : sequence of int
        Times in ns.
    days : sequence of date
        UTC days that have data, ascending.
    """
    gaps = [
        (day_start_ns(earlier) + DAY_NS, day_start_ns(later))
        for earlier, later in pairwise(days)
        if (later - earlier).days > 1
    ]
    return [time for time in times if not any(low < time <= high for low, high in gaps)]


class MarkToMarket:
    """Apply fills and funding in order of time and mark the account at set times.

    Parameters
    ----------
    counter : FillCounter
        The account; it is changed.
    funding : sequence of Funding
        In order of time; a payment is counted before the fills of its moment.
    times : sequence of int
        Sample times (ns), ascending. What happens at a time is in its sample.
    prices : LastPrices
        The market.
    ended : callable, optional
        Takes round trips as they end, and their results, which the counter no longer has then.

    Attributes
    ----------
    points : list[EquityPoint]
        What was marked so far.
    """

    def __init__(
        self,
        counter: FillCounter,
        funding: Sequence[Funding],
        times: Sequence[int],
        prices: LastPrices,
        ended: Callable[[pa.Table, Units], None] | None = None,
    ) -> None:
        self._ended = ended
        self.points: list[EquityPoint] = []
        self.counter = counter
        marks = prices.at(times) if times else []
        self._marks = iter(zip(times, marks, strict=True))
        precision = counter.rules.currency_precision
        # A payment comes before the fills of its moment, a sample after them.
        due = [(payment.ts, 0, units_of(payment.amount, precision)) for payment in funding]
        due += [(ts, 1, 0) for ts in times]
        due.sort(key=lambda due_item: due_item[:2])
        ts, kinds, amounts = zip(*due, strict=True) if due else ((), (), ())
        self._due_ts = np.array(ts, np.int64)
        self._is_sample = np.array(kinds, np.bool_)
        self._amount = units_array(amounts)

    def pay(self, payments: Iterable[tuple[int, int]]) -> None:
        """Add payments: time (ns), and units of the currency's last decimal.

        No fill of its moment or later may have been applied.
        """
        for ts, units in payments:
            place = int(np.searchsorted(self._due_ts, ts))
            self._due_ts = np.insert(self._due_ts, place, ts)
            self._is_sample = np.insert(self._is_sample, place, False)
            self._amount = np.insert(self._amount, place, units)

    def apply_fills(self, fills: FillColumns) -> LedgerRows:
        """Apply fills and what is due between them; return what the ledger says after each."""
        before = np.searchsorted(fills.ts, self._due_ts, side="left")
        after = np.where(
            self._is_sample, np.searchsorted(fills.ts, self._due_ts, side="right"), before
        )
        # What is due after the last fill may still have fills before it in the next part.
        return self._count(fills, after, int(np.searchsorted(after, len(fills.ts))))

    def finish(self) -> None:
        """Count and mark what is due after the last fill."""
        rest = len(self._due_ts)
        self._count(FillColumns.none(), np.zeros(rest, np.int64), rest)

    def _count(self, fills: FillColumns, after: Int64s, count: int) -> LedgerRows:
        """Count fills and the first things that are due."""
        dues = Dues(after[:count], self._amount[:count], self._is_sample[:count])
        counted = self.counter.count(fills, dues)
        self._due_ts, self._amount = self._due_ts[count:], self._amount[count:]
        self._is_sample = self._is_sample[count:]
        # Marks last: samples may be fewer than they are.
        for state, (ts, price) in zip(counted.samples, self._marks, strict=False):
            self.points.append(equity_point(state, ts, price))
        if self._ended is not None and (trips := self.counter.taken()) is not None:
            self._ended(*trips)
        return counted.rows


def equity_point(account: Marking, ts: int, price: Decimal | None) -> EquityPoint:
    """Return an account as it is, marked at a price."""
    return EquityPoint(
        ts=ts,
        cash=account.cash,
        realized=account.realized,
        unrealized=account.unrealized(price),
        equity=account.equity(price),
        quantity=account.quantity,
        entry=account.entry(),
        price=price,
    )


def before(points: Sequence[EquityPoint], ts: int) -> EquityPoint | None:
    """Return the last sample at or before a time."""
    index = bisect_right(points, ts, key=lambda point: point.ts)
    return points[index - 1] if index else None
