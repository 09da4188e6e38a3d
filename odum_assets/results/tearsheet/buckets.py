"""Long series cut down to what a chart can show, without losing an extreme."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

type Times = NDArray[np.int64]
type Values = NDArray[np.float64]
type Rows = NDArray[np.intp]


def rows_to_draw(times: Times, values: Values, span: tuple[int, int], buckets: int) -> Rows:
    """Return the rows to draw: the first, lowest, highest and last of every bucket of time.

    Parameters
    ----------
    times : array of int64, length n
        Nanoseconds, ascending, inside the span.
    values : array of float64, length n
        Finite numbers.
    span : tuple[int, int]
        First and last nanosecond of the chart.
    buckets : int
        Number of equal parts of the span.

    Returns
    -------
    array of int, length at most 4 * buckets
        Ascending; all rows when there are no more than that. Of equal extremes of a bucket, the
        earliest.
    """
    if len(times) <= 4 * buckets:
        return np.arange(len(times))
    starts, lengths = _runs(times, span, buckets)
    extremes = [
        _first_equal(values, reduce(values, starts), starts, lengths)
        for reduce in (np.minimum.reduceat, np.maximum.reduceat)
    ]
    return np.unique(np.concatenate([starts, *extremes, starts + lengths - 1]))


def value_ranges(
    times: Times, values: Values, span: tuple[int, int], buckets: int
) -> tuple[Times, Values, Values]:
    """Return middle, lowest and highest value of every bucket of time that has rows.

    Parameters are those of `rows_to_draw`; the middle is that of the bucket, in nanoseconds.
    """
    starts, _ = _runs(times, span, buckets)
    step = _step(span, buckets)
    middles = span[0] + (times[starts] - span[0]) // step * step + step // 2
    return middles, np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)


def _step(span: tuple[int, int], buckets: int) -> int:
    return (span[1] - span[0]) // buckets + 1


def _runs(times: Times, span: tuple[int, int], buckets: int) -> tuple[Rows, Rows]:
    """Return where each bucket's rows begin and how many it has; empty buckets have none."""
    edges = span[0] + _step(span, buckets) * np.arange(buckets, dtype=np.int64)
    starts = np.searchsorted(times, edges)
    lengths = np.diff(starts, append=len(times))
    return starts[lengths > 0], lengths[lengths > 0]


def _first_equal(values: Values, wanted: Values, starts: Rows, lengths: Rows) -> Rows:
    """Return the first row of each bucket that has the bucket's wanted value."""
    indices: NDArray[Any] = np.flatnonzero(values == np.repeat(wanted, lengths))
    return indices[np.searchsorted(indices, starts)]
