"""Hold the bars of one instrument as columns of integers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["BarSeries"]


@dataclass(frozen=True, slots=True)
class BarSeries:
    """Hold the bars of one instrument, ordered by time, each time once.

    Prices are whole ticks: comparisons and sums of them are exact.

    Parameters
    ----------
    instrument
        The instrument key, such as ``ARCA:EQUITY:SPY``.
    step
        The length of a bar in nanoseconds.
    tick_size
        The price of one tick in the quote currency.
    size_precision
        Decimals of a volume; a volume is an integer of ``10 ** -size_precision``.
    close_time
        Nanoseconds since the epoch (UTC) at which each bar closes, shape ``(n,)``.
    open, high, low, close
        Prices in ticks, shape ``(n,)``.
    volume
        Volumes in units of ``10 ** -size_precision``, shape ``(n,)``.
    """

    instrument: str
    step: int
    tick_size: Decimal
    size_precision: int
    close_time: NDArray[np.int64]
    open: NDArray[np.int64]
    high: NDArray[np.int64]
    low: NDArray[np.int64]
    close: NDArray[np.int64]
    volume: NDArray[np.int64]

    def __len__(self) -> int:
        """Count the bars."""
        return len(self.close_time)

    def between(self, start: int, end: int) -> BarSeries:
        """Take the bars that close in ``(start, end]``, in nanoseconds."""
        first, last = self.close_time.searchsorted([start, end], side="right")
        return self.where(slice(first, last))

    def after(self, first: int) -> BarSeries:
        """Take the bars from an index on."""
        return self.where(slice(first, None))

    def where(self, rows: slice | NDArray[np.bool_]) -> BarSeries:
        """Take some bars, by a slice or by a mask of shape ``(n,)``."""
        columns = (
            self.close_time,
            self.open,
            self.high,
            self.low,
            self.close,
            self.volume,
        )
        return BarSeries(
            self.instrument,
            self.step,
            self.tick_size,
            self.size_precision,
            *(column[rows] for column in columns),
        )

    def price(self, ticks: int) -> Decimal:
        """Give a price of whole ticks in the quote currency."""
        return self.tick_size * ticks
