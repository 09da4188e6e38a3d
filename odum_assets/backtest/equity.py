"""Marking an account to the market at set times while its fills are replayed.

What belongs here: merging fills, funding and sample times into one pass over a `Ledger`. What does
not: statistics over the samples (``metrics``).
"""

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import pairwise

from odum_assets.backtest.ledger import ZERO, Fills, Ledger, LedgerRows
from odum_assets.backtest.outcome import Funding
from odum_assets.backtest.prices import LastPrices
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


@dataclass(frozen=True, slots=True)
class _Due:
    """A payment, which comes before the fills of its moment, or a sample, which comes after."""

    ts: int
    before_fills: bool
    amount: Decimal = ZERO
    price: Decimal | None = None


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
    return [each for each in times if not any(low < each <= high for low, high in gaps)]


class MarkToMarket:
    """Apply fills and funding in order of time and mark the account at set times.

    Parameters
    ----------
    ledger : Ledger
        The account; it is changed.
    funding : sequence of Funding
        In order of time; a payment is counted before the fills of its moment.
    times : sequence of int
        Sample times (ns), ascending. What happens at a time is in its sample.
    prices : LastPrices
        The market.

    Attributes
    ----------
    points : list[EquityPoint]
        What was marked so far.
    """

    def __init__(
        self,
        ledger: Ledger,
        funding: Sequence[Funding],
        times: Sequence[int],
        prices: LastPrices,
    ) -> None:
        self.points: list[EquityPoint] = []
        self.ledger = ledger
        marks = prices.at(times) if times else []
        due: list[_Due] = [_Due(each.ts, before_fills=True, amount=each.amount) for each in funding]
        due += [
            _Due(ts, before_fills=False, price=price)
            for ts, price in zip(times, marks, strict=True)
        ]
        due.sort(key=lambda each: (each.ts, not each.before_fills))
        self._due = deque(due)

    def apply_fills(self, fills: Fills) -> LedgerRows:
        """Apply fills and what is due between them; return what the ledger says after each."""
        rows = LedgerRows([], [], [])
        start = 0
        while start < len(fills.ts):
            stop = self._next_stop(fills.ts, start)
            step = self.ledger.apply_fills(fills.part(start, stop))
            for whole, part in zip(rows, step, strict=True):
                whole.extend(part)
            # What is due after the last fill may still have fills before it in the next part.
            if stop < len(fills.ts):
                self._take()
            start = stop
        return rows

    def finish(self) -> None:
        """Count and mark what is due after the last fill."""
        while self._due:
            self._take()

    def _next_stop(self, times: list[int], start: int) -> int:
        if not self._due:
            return len(times)
        due = self._due[0]
        place = bisect_left if due.before_fills else bisect_right
        return place(times, due.ts, start)

    def _take(self) -> None:
        due = self._due.popleft()
        if due.before_fills:
            self.ledger.apply_funding(due.amount)
        else:
            self.points.append(equity_point(self.ledger, due.ts, due.price))


def equity_point(ledger: Ledger, ts: int, price: Decimal | None) -> EquityPoint:
    """Return the account as it is, marked at a price."""
    return EquityPoint(
        ts=ts,
        cash=ledger.cash,
        realized=ledger.realized,
        unrealized=ledger.unrealized(price),
        equity=ledger.equity(price),
        quantity=ledger.quantity,
        entry=ledger.entry(),
        price=price,
    )


def before(points: Sequence[EquityPoint], ts: int) -> EquityPoint | None:
    """Return the last sample at or before a time."""
    index = bisect_right(points, ts, key=lambda each: each.ts)
    return points[index - 1] if index else None
