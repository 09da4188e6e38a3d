"""Funding beside the kernel: when it is settled, at which price, and what is paid.

What belongs here: NautilusTrader's settlements (``SimulatedExchange.settle_funding_rate``) from the
rows of a plan. What does not: matching (``vectorized.ticks``), the account (``kernel_match``).
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow.parquet as pq

from odum_assets.backtest.coverage import NotCoveredError
from odum_assets.backtest.plan import RunPlan
from odum_assets.utc import iso_ns

if TYPE_CHECKING:
    from odum_assets.vectorized.ticks.money import MoneyTerms


class Settlement(NamedTuple):
    """A moment at which funding is settled.

    Parameters
    ----------
    ts : int
        Market time (ns): after all rows and all timers of this time.
    rate : Decimal
        Fraction of the value that a long position pays.
    """

    ts: int
    rate: Decimal


def settlements(plan: RunPlan) -> list[Settlement]:
    """Return when funding is settled in a run, in order.

    The last rate that arrives for a time until then counts; later ones are passed over.

    Raises
    ------
    NotCoveredError
        If the first rate of a time arrives after it: NautilusTrader ends such a run.
    """
    amounts: dict[int, Decimal] = {}
    for ts, rate, due in _rates(plan):
        if ts <= due:
            amounts[due] = rate
        elif due not in amounts:
            raise NotCoveredError(
                f"the funding of {iso_ns(due)} arrives later, at {iso_ns(ts)}, with which "
                "NautilusTrader ends a run"
            )
    return [Settlement(ts, amounts[ts]) for ts in sorted(amounts) if ts < plan.ends_at_ns]


def _rates(plan: RunPlan) -> Iterator[tuple[int, Decimal, int]]:
    """Yield time, rate, and when it is due, in order of time."""
    start, end = plan.bounds
    for path in plan.funding_files:
        table: Any = pq.read_table(path, columns=["ts_init", "rate", "next_funding_ns"])
        times = [table[name].cast("int64").to_pylist() for name in ("ts_init", "next_funding_ns")]
        for ts, due, rate in zip(*times, table["rate"].to_pylist(), strict=True):
            is_inside = (start is None or ts >= start) and (end is None or ts < end)
            # A rate without a time is never settled.
            if due is not None and is_inside:
                yield ts, Decimal(rate), due


def payment(
    due: Settlement, tops: tuple[int, int] | None, lots: Sequence[int], terms: "MoneyTerms"
) -> int:
    """Return what positions receive, in units of the currency's last decimal.

    Parameters
    ----------
    due : Settlement
        What is settled.
    tops : (int, int) or None
        Best bid and ask of the venue's book, in ticks; None where a side is empty.
    lots : sequence of int
        The open positions.
    terms : MoneyTerms
        How prices and sizes become money.

    Raises
    ------
    NotCoveredError
        If there is no price: NautilusTrader ends such a run.
    """
    if not lots:
        return 0
    if tops is None:
        raise NotCoveredError(
            f"the funding of {iso_ns(due.ts)} has no price, since the book lacks a side; "
            "NautilusTrader ends such a run"
        )
    middle, odd = divmod(sum(tops), 2)
    # Half of a tick goes to the even one.
    price = middle + (middle & odd)
    rate = Fraction(due.rate)
    return sum(-round(round(terms.notional(price, held)) * rate) for held in lots)
