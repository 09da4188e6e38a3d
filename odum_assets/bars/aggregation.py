"""Bars of trades: one bar for every interval in which something was traded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["TradedBars", "aggregate"]


@dataclass(frozen=True, slots=True)
class TradedBars:
    """Bars as columns of shape ``(n,)``: when they open (ns), prices and volumes in whole units."""

    open_time: NDArray[np.int64]
    open: NDArray[np.int64]
    high: NDArray[np.int64]
    low: NDArray[np.int64]
    close: NDArray[np.int64]
    volume: NDArray[np.int64]


def aggregate(
    times: NDArray[np.int64],
    prices: NDArray[np.int64],
    sizes: NDArray[np.int64],
    step: int,
    first: int,
) -> TradedBars:
    """Aggregate trades to bars by their arrival.

    A bar holds the trades of ``(open, open + step]``, as NautilusTrader's own aggregation of time
    bars does; without a trade there is no bar. A trade that arrives exactly when the first bar
    opens belongs to that bar: the one before is another partition's.

    Parameters
    ----------
    times : ndarray of int64, shape (n,)
        Arrival, ns since the epoch (UTC), never decreasing and none before `first`.
    prices, sizes : ndarray of int64, shape (n,)
        In whole units.
    step : int
        Length of a bar, ns.
    first : int
        When the first bar may open, ns; a multiple of `step`.
    """
    if len(times) == 0:
        return TradedBars(*(np.zeros(0, np.int64) for _ in range(6)))
    number = np.maximum(times - 1 - first, 0) // step
    starts = np.flatnonzero(np.append(True, number[1:] != number[:-1]))
    ends = np.append(starts[1:], len(times)) - 1
    return TradedBars(
        open_time=first + number[starts] * step,
        open=prices[starts],
        high=np.maximum.reduceat(prices, starts),
        low=np.minimum.reduceat(prices, starts),
        close=prices[ends],
        volume=np.add.reduceat(sizes, starts),
    )
