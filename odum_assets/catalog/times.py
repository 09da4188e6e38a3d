"""Timestamps: which unit a column is in, its values as nanoseconds since the epoch, and their day.

The unit follows from the values against the day of the partition, never from a column's name. A
row belongs to the UTC day on which it arrived, as Tardis splits its files, and to no other; where a
file has no arrival times, the exchange's time takes their place.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from odum_assets.catalog.arrow import Column, kernels
from odum_assets.utc import DAY_NS, HOUR_NS, NS_PER_SECOND, day_start_ns

Int64s = npt.NDArray[np.int64]

NS_PER_UNIT = {"s": NS_PER_SECOND, "ms": 1_000_000, "us": 1_000, "ns": 1}
MISSING = np.iinfo(np.int64).min
"""Stands for a null in an int64 array of times; a raw file cannot mean it."""


@dataclass(frozen=True, slots=True)
class DayWindow:
    """The nanoseconds of a partition: its UTC day, and how far beyond it exchange times may lie.

    A row arrives in the day, from midnight up to, not including, midnight. Its exchange time may
    lie an hour on either side: clocks disagree, and what happens before midnight arrives after it.
    """

    day: date
    tolerance_ns: int = HOUR_NS

    @property
    def day_start(self) -> int:
        """Midnight at which the day begins, ns."""
        return day_start_ns(self.day)

    @property
    def day_end(self) -> int:
        """Midnight at which the day ends, ns; the first moment of the next day."""
        return self.day_start + DAY_NS

    @property
    def first(self) -> int:
        """First nanosecond allowed."""
        return self.day_start - self.tolerance_ns

    @property
    def last(self) -> int:
        """Last nanosecond allowed."""
        return self.day_end + self.tolerance_ns

    def counts(self, raw: Int64s) -> dict[str, int]:
        """Return per unit how many of the raw integers would lie inside."""
        counts_by_unit = {}
        for unit, factor in NS_PER_UNIT.items():
            inside = (raw >= -(-self.first // factor)) & (raw <= self.last // factor)
            counts_by_unit[unit] = int(np.count_nonzero(inside))
        return counts_by_unit


def wide_window(window: DayWindow) -> DayWindow:
    """Return a month on either side of the day, for times that lie ahead (next funding)."""
    return DayWindow(window.day, 31 * DAY_NS)


def raw_integers(column: Column) -> Int64s:
    """Return a time column's raw int64 values, nulls as `MISSING`; shape (n,)."""
    kind = column.type
    if pa.types.is_date(kind):
        column = kernels.cast(column, pa.timestamp("s")).view(pa.int64())
    elif pa.types.is_timestamp(kind):
        column = column.view(pa.int64())
    elif kind != pa.int64():
        if column.type == pa.uint64():
            # Beyond int64 no number is a time in any unit.
            largest = pa.scalar(2**63 - 1, pa.uint64())
            column = kernels.min_element_wise(column, largest, skip_nulls=False)
        column = kernels.cast(column, pa.int64())
    if column.null_count:
        column = kernels.fill_null(column, int(MISSING))
    values: Int64s = column.to_numpy(zero_copy_only=False)
    return values


def fixed_unit(kind: pa.DataType) -> str | None:
    """Return the unit that an Arrow timestamp type states, None for integers; s for dates."""
    if pa.types.is_date(kind):
        return "s"
    return str(kind.unit) if pa.types.is_timestamp(kind) else None


def to_ns(raw: Int64s, unit: str, window: DayWindow) -> tuple[Int64s, npt.NDArray[np.bool_] | None]:
    """Turn raw integers into ns.

    Returns
    -------
    tuple
        The times, and which rows lie outside `window` (None if all are inside). A time outside or
        missing has no meaningful value.
    """
    factor = NS_PER_UNIT[unit]
    outside = (raw < -(-window.first // factor)) | (raw > window.last // factor)
    times = raw if factor == 1 else raw * np.int64(factor)  # what wraps is outside anyway
    return times, outside if outside.any() else None


def in_span(raw: Int64s, unit: str, first_ns: int, end_ns: int) -> npt.NDArray[np.bool_]:
    """Return which raw integers are times from `first_ns` up to, not including, `end_ns`."""
    factor = NS_PER_UNIT[unit]
    inside: npt.NDArray[np.bool_]
    inside = (raw >= -(-first_ns // factor)) & (raw < -(-end_ns // factor))
    return inside


def arrivals_in_ns(
    raw: Int64s, unit: str, window: DayWindow
) -> tuple[Int64s, npt.NDArray[np.bool_] | None]:
    """Turn raw times of arrival into ns.

    Returns
    -------
    tuple
        The times, and which rows did not arrive on the day of `window` (None if all did). A time
        outside or missing has no meaningful value.
    """
    factor = NS_PER_UNIT[unit]
    times = raw if factor == 1 else raw * np.int64(factor)  # what wraps is outside anyway
    inside = in_span(raw, unit, window.day_start, window.day_end)
    return times, None if inside.all() else ~inside


def to_timestamps(times: Int64s) -> Column:
    """Return int64 ns as the catalog's ``timestamp[ns, UTC]``."""
    buffer = pa.py_buffer(np.ascontiguousarray(times))
    return pa.Array.from_buffers(pa.timestamp("ns", "UTC"), len(times), [None, buffer])
