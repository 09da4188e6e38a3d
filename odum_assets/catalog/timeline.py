"""Figures along the day: the rows of a partition in a few dozen equal spans of time."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from odum_assets.catalog.times import Int64s
from odum_assets.utc import NS_PER_SECOND

Numbers = npt.NDArray[Any]

_MOST = 52
_WIDTHS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600)
"""Allowed widths of a span, s: all divide an hour; the last one does for a day."""
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Timeline:
    """Equal spans from the first to the last row, each beginning at a multiple of its width.

    Parameters
    ----------
    start_ns : int
        When the first span begins, ns.
    width_s : int
        Length of each, s.
    rows : ndarray
        How many rows arrived in each; shape (spans,).
    first_rows : ndarray
        The first row of each span that has rows; shape (spans with rows,).
    """

    start_ns: int
    width_s: int
    rows: Int64s
    first_rows: Int64s

    @classmethod
    def of(cls, ts_init: Int64s) -> Self:
        """Return the narrowest spans that are few enough to draw.

        Parameters
        ----------
        ts_init : ndarray
            Times of arrival (ns), never decreasing, at least one; shape (n,).
        """
        first, last = int(ts_init[0]) // NS_PER_SECOND, int(ts_init[-1]) // NS_PER_SECOND
        width = next(width for width in _WIDTHS if last // width - first // width < _MOST)
        numbers = np.arange(first // width, last // width + 1)
        edges = np.searchsorted(ts_init, numbers * (width * NS_PER_SECOND))
        rows = np.diff(edges, append=len(ts_init))
        return cls(int(numbers[0]) * width * NS_PER_SECOND, width, rows, edges[rows > 0])

    def sums(self, values: Numbers) -> Numbers:
        """Return the sum of a value per row (n,) for each span."""
        return self._reduced(np.add, values)

    def highest(self, values: Numbers) -> Numbers:
        """Return the largest of a value per row (n,), none negative, for each span."""
        return self._reduced(np.maximum, values)

    def _reduced(self, function: np.ufunc, values: Numbers) -> Numbers:
        reduced = np.zeros(len(self.rows), values.dtype)
        reduced[self.rows > 0] = function.reduceat(values, self.first_rows)
        return reduced


def ratios(tops: Numbers, bottoms: Numbers, scale: float = 1.0) -> list[float | None]:
    """Return ``top / bottom / scale`` to six digits, None where the bottom is zero."""
    return [
        shortened(top / bottom / scale) if bottom else None
        for top, bottom in zip(tops.tolist(), bottoms.tolist(), strict=True)
    ]


def shortened(value: float) -> float:
    """Return a number to six digits: enough to draw, and short in a manifest."""
    return float(f"{value:.{_DIGITS}g}")
