"""Figures along the day: what happened in each second, folded into a few dozen equal parts.

Seconds are what is collected, because only the end of a partition tells how long its parts are.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from odum_assets.catalog.times import DayWindow

Int64s = npt.NDArray[np.int64]
Numbers = npt.NDArray[Any]

_SECOND = 1_000_000_000
_HOUR = 3_600
_PARTS = 52
_WIDTHS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600)
"""Allowed widths of a part, s: all divide an hour; the last one does for day and tolerance."""
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Which rows of a batch arrived in which second.

    Parameters
    ----------
    starts : ndarray
        First row of each second that has rows; shape (m,).
    seconds : ndarray
        Those seconds, counted from the first one of the window; shape (m,).
    rows : ndarray
        How many rows arrived in each; shape (m,).
    """

    starts: Int64s
    seconds: Int64s
    rows: Int64s

    @classmethod
    def of(cls, ts_init: Int64s, window: DayWindow) -> Self:
        """Group rows by second.

        Parameters
        ----------
        ts_init : ndarray
            Times of arrival (ns) inside the window, never decreasing, at least one; shape (n,).
        window : DayWindow
            Times of the partition.
        """
        seconds = (ts_init - window.first) // _SECOND
        starts = np.concatenate(([0], np.flatnonzero(seconds[1:] != seconds[:-1]) + 1))
        return cls(starts, seconds[starts], np.diff(starts, append=len(seconds)))

    def sums(self, values: Numbers) -> Numbers:
        """Return the sum of a value per row (n,) for each second (m,)."""
        found: Numbers = np.add.reduceat(values, self.starts)
        return found

    def highest(self, values: Numbers) -> Numbers:
        """Return the largest of a value per row (n,) for each second (m,)."""
        found: Numbers = np.maximum.reduceat(values, self.starts)
        return found


class Seconds:
    """A number per second of a window, zero at first."""

    def __init__(self, window: DayWindow, kind: type[np.generic] = np.int64) -> None:
        count = (window.last - window.first) // _SECOND + 1
        self.values: Numbers = np.zeros(-(-count // _HOUR) * _HOUR, kind)

    def add(self, seconds: Int64s, values: Numbers) -> None:
        """Add to the numbers of some seconds, none of which is named twice."""
        self.values[seconds] += values

    def raise_to(self, seconds: Int64s, values: Numbers) -> None:
        """Keep the larger of what is there and what comes, for seconds as in `add`."""
        self.values[seconds] = np.maximum(self.values[seconds], values)


@dataclass(frozen=True, slots=True)
class Parts:
    """Equal parts of the time from the first to the last second with rows, at whole multiples.

    Parameters
    ----------
    width : int
        Length of each, s.
    first, last : int
        The first part and the last one, counted in widths from the window's first second.
    """

    width: int
    first: int
    last: int

    @classmethod
    def of(cls, rows: Seconds) -> Self:
        """Return the narrowest parts that are few enough to look at."""
        found = np.flatnonzero(rows.values)
        first, last = int(found[0]), int(found[-1])
        width = next(each for each in _WIDTHS if last // each - first // each < _PARTS)
        return cls(width, first // width, last // width)

    def start_ns(self, window: DayWindow) -> int:
        """Return when the first part begins, ns."""
        return window.first + self.first * self.width * _SECOND

    def sums(self, seconds: Seconds) -> Numbers:
        """Return the sum of each part."""
        found: Numbers = self._cut(seconds).sum(axis=1)
        return found

    def highest(self, seconds: Seconds) -> Numbers:
        """Return the largest number of each part."""
        found: Numbers = self._cut(seconds).max(axis=1)
        return found

    def _cut(self, seconds: Seconds) -> Numbers:
        return seconds.values.reshape(-1, self.width)[self.first : self.last + 1]


def ratios(tops: Numbers, bottoms: Numbers, scale: float = 1.0) -> list[float | None]:
    """Return ``top / bottom / scale`` to six digits, None where the bottom is zero."""
    return [
        shortened(top / bottom / scale) if bottom else None
        for top, bottom in zip(tops.tolist(), bottoms.tolist(), strict=True)
    ]


def shortened(value: float) -> float:
    """Return a number to six digits: enough to draw, and short in a manifest."""
    return float(f"{value:.{_DIGITS}g}")
