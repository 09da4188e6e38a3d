"""Columns by bucket of time: equal spans of a few usual lengths, so that zooms find them again.

Batches are reduced with NumPy as they come. First, lowest, highest and last value of a bucket are
those of its rows: no extreme is lost, and values are the float64 nearest to the stored decimal.
Sums are exact.
"""

from dataclasses import dataclass
from decimal import Context
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from odum_assets.catalog.arrow import kernels as pc
from odum_assets.catalog.fixed_point import Float64s, Int64s
from odum_assets.results.scanning import of_texts
from odum_assets.utc import DAY_NS, NS_PER_SECOND

_MS: Final = 1_000_000
_S: Final = NS_PER_SECOND
LADDER: Final = (
    *(count * _MS for count in (10, 20, 50, 100, 200, 500)),
    *(count * _S for count in (1, 2, 5, 10, 15, 30)),
    *(count * 60 * _S for count in (1, 2, 5, 10, 15, 30)),
    *(count * 3_600 * _S for count in (1, 2, 4, 8, 12)),
    DAY_NS,
)
"""Lengths of buckets, ns; each divides a day."""

_PRECISIONS: Final = (8, 12, 16)
_EXACT: Final = 2**53
_WIDE: Final = Context(prec=100)


@dataclass(frozen=True, slots=True)
class Grid:
    """Buckets side by side.

    Parameters
    ----------
    t0 : int
        When the first one begins, ns; a multiple of the step.
    step : int
        Length of each, ns.
    count : int
        How many.
    """

    t0: int
    step: int
    count: int

    @property
    def end(self) -> int:
        """Return when the last bucket ends, ns."""
        return self.t0 + self.step * self.count

    def groups(self, times: Int64s) -> "Groups":
        """Return the buckets of times (n,), which ascend and must lie in the grid."""
        if not len(times):
            return Groups(np.zeros(0, np.int64), np.zeros(0, np.int64), 0)
        first, last = (int(times[at] - self.t0) // self.step for at in (0, -1))
        buckets = np.arange(first, last + 1)
        # Few buckets are looked for in many times: faster than a division for each of them.
        starts = times.searchsorted(self.t0 + self.step * buckets)
        has_rows = starts < np.append(starts[1:], len(times))
        return Groups(buckets[has_rows], starts[has_rows], len(times))

    def inside(self, fine: "Grid", rows: Int64s) -> tuple[Int64s, "Groups"]:
        """Return which buckets of a finer grid have rows and lie in this one, and their groups.

        Parameters
        ----------
        fine : Grid
            Its step divides this one's.
        rows : ndarray
            Rows of each of its buckets; shape (count,).
        """
        at = np.flatnonzero(rows)
        places = (fine.t0 + fine.step * at - self.t0) // self.step
        is_inside = (places >= 0) & (places < self.count)
        return at[is_inside], Groups.of(places[is_inside])


@dataclass(frozen=True, slots=True)
class Groups:
    """Rows in order of their buckets.

    Parameters
    ----------
    buckets : ndarray
        The different buckets that have rows, ascending; shape (m,).
    starts : ndarray
        First row of each; shape (m,).
    rows : int
        Number of rows.
    """

    buckets: Int64s
    starts: Int64s
    rows: int

    @classmethod
    def of(cls, buckets: Int64s) -> "Groups":
        """Return the groups of rows whose buckets (n,) ascend."""
        starts = np.flatnonzero(np.diff(buckets, prepend=buckets[:1] - 1))
        return cls(buckets[starts], starts, len(buckets))

    @property
    def counts(self) -> Int64s:
        """Return the number of rows of each; shape (m,)."""
        return np.diff(self.starts, append=self.rows)

    def only(self, rows: Int64s) -> "Groups":
        """Return the groups of some of the rows, by their ascending numbers."""
        starts = rows.searchsorted(self.starts)
        has_rows = starts < np.append(starts[1:], len(rows))
        return Groups(self.buckets[has_rows], starts[has_rows], len(rows))


def grid_over(start_ns: int, end_ns: int, points: int, *, least_step: int = 0) -> Grid:
    """Return the finest buckets over a window that are few enough; days if none are.

    Parameters
    ----------
    start_ns, end_ns : int
        The window, its end excluded; an empty one has no buckets.
    points : int
        Buckets at most.
    least_step : int
        Shortest length, ns: that of what is put into them.
    """
    ladder = [step for step in LADDER if step >= least_step] or [DAY_NS]
    for step in ladder:
        first, last = start_ns // step, -(-end_ns // step)
        if last - first <= points:
            break
    return Grid(first * step, step, max(0, last - first))


class Extremes:
    """First, lowest, highest and last value of each bucket, of rows in order of time.

    Parameters
    ----------
    count : int
        Number of buckets.
    """

    def __init__(self, count: int) -> None:
        self.rows = np.zeros(count, np.int64)
        self.first, self.min, self.max, self.last = (np.full(count, np.nan) for _ in range(4))

    def update(self, groups: Groups, values: Float64s) -> None:
        """Take the next rows and their values (n,); those without a value (nan) are left out."""
        absent = np.isnan(values)
        if absent.any():
            rows = np.flatnonzero(~absent)
            groups, values = groups.only(rows), values[rows]
        if groups.rows:
            self._merge(groups, values, values, values, values, groups.counts)

    def add(self, fine: "Extremes", at: Int64s, groups: Groups) -> None:
        """Take finer buckets that have rows, in their order: their numbers, and their groups."""
        if groups.rows:
            rows = np.add.reduceat(fine.rows[at], groups.starts)
            parts = (fine.first[at], fine.min[at], fine.max[at], fine.last[at])
            self._merge(groups, *parts, rows)

    def _merge(
        self,
        groups: Groups,
        first: Float64s,
        low: Float64s,
        high: Float64s,
        last: Float64s,
        rows: Int64s,
    ) -> None:
        at, starts = groups.buckets, groups.starts
        ends = np.append(starts[1:], groups.rows)
        self.first[at] = np.where(self.rows[at] > 0, self.first[at], first[starts])
        self.min[at] = np.fmin(self.min[at], np.minimum.reduceat(low, starts))
        self.max[at] = np.fmax(self.max[at], np.maximum.reduceat(high, starts))
        self.last[at] = last[ends - 1]
        self.rows[at] += rows


class Sums:
    """Exact sums of decimals for each bucket.

    Parameters
    ----------
    count : int
        Number of buckets.
    """

    def __init__(self, count: int) -> None:
        self._units: npt.NDArray[Any] = np.zeros(count, np.int64)
        self._precision = _PRECISIONS[0]

    @property
    def nbytes(self) -> int:
        """Return about how many bytes the sums take."""
        return self._units.nbytes * (4 if self._units.dtype == object else 1)

    def update(self, groups: Groups, column: Any) -> None:  # noqa: ANN401 - a decimal column
        """Take rows and their decimals, without nulls; shape (n,)."""
        self.add(groups, *amounts_of(column))

    def add_finer(self, fine: "Sums", at: Int64s, groups: Groups) -> None:
        """Take the sums of finer buckets, by their numbers, and their groups."""
        self.add(groups, fine._units[at], fine._precision)

    def add(self, groups: Groups, units: npt.NDArray[Any], precision: int) -> None:
        """Take rows and their amounts (n,) as `amounts_of` returns them."""
        if not groups.rows:
            return
        at, starts = groups.buckets, groups.starts
        if precision > self._precision:
            self._units = self._units.astype(object) * 10 ** (precision - self._precision)
            self._precision = precision
        elif precision < self._precision:
            units = units.astype(object) * 10 ** (self._precision - precision)
        if self._units.dtype != object and _may_overflow(self._units, units):
            self._units = self._units.astype(object)
        if self._units.dtype == object:
            units = units.astype(object)
        self._units[at] += np.add.reduceat(units, starts)

    def floats(self) -> Float64s:
        """Return the sums as the nearest floats."""
        scale = 10**self._precision
        return np.array([int(unit) / scale for unit in self._units], np.float64)


def amounts_of(column: Any) -> tuple[npt.NDArray[Any], int]:  # noqa: ANN401 - a decimal column
    """Return decimals without nulls as whole numbers of their last digit, and its place.

    As `units_of`; what does not fit 64 bits as Python's integers.
    """
    units = units_of(column)
    if units is not None:
        return units
    whole = [int(value.scaleb(16, _WIDE)) for value in column.to_pylist()]
    return np.array(whole, object), _PRECISIONS[-1]


def units_of(column: Any) -> tuple[Int64s, int] | None:  # noqa: ANN401 - a decimal column
    """Return decimals without nulls as whole numbers of their last digit, and its place.

    Returns
    -------
    tuple of ndarray and int, or None
        Units (n,) and the number of decimals; None if they do not fit 64 bits.
    """
    quick = _quick_units(column)
    if quick is not None:
        return quick, _PRECISIONS[0]
    for precision in _PRECISIONS:
        try:
            scaled = column.cast(pa.decimal128(38, precision))
        except pa.ArrowInvalid:
            continue
        words = np.frombuffer(scaled.buffers()[1], np.int64).reshape(-1, 2)
        words = words[scaled.offset : scaled.offset + len(scaled)]
        low = np.ascontiguousarray(words[:, 0])
        return (low, precision) if np.array_equal(words[:, 1], low >> 63) else None
    return None


def _quick_units(column: Any) -> Int64s | None:  # noqa: ANN401 - a decimal column
    """Return decimals as units of the first precision, None if that needs a closer look.

    The quotient of floats is right to within its last bits, and the product of whole numbers says
    for sure whether it is: several times as fast as Arrow's cast.
    """
    finer = column.type.scale - _PRECISIONS[0]
    if column.type.bit_width != 128 or finer < 0:
        return None
    words = np.frombuffer(column.buffers()[1], np.int64).reshape(-1, 2)
    words = words[column.offset : column.offset + len(column)]
    low = np.ascontiguousarray(words[:, 0])
    amounts = low.view(np.uint64).astype(np.float64)
    amounts += words[:, 1] * 2.0**64
    amounts /= 10.0**finer
    np.rint(amounts, out=amounts)
    if np.abs(amounts).max(initial=0) > _EXACT:
        return None
    units = amounts.astype(np.int64)
    # Equal in the lower 64 bits; that far off no quotient of floats is.
    return units if np.array_equal(units * 10**finer, low) else None


def nearest_floats(column: Any) -> Float64s:  # noqa: ANN401 - a decimal column
    """Return the float64 nearest to each decimal, nan for nulls; shape (n,).

    Decimals of up to 15 digits come back as they were; beyond 2**53 units of the eighth decimal the
    last bit may be another one.
    """
    if not pa.types.is_decimal(column.type):
        floats: Float64s = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        return floats
    absent = column.is_null().to_numpy(zero_copy_only=False) if column.null_count else None
    filled = column if absent is None else pc.fill_null(column, pa.scalar(0).cast(column.type))
    values: Float64s
    exact = units_of(filled)
    if exact is None:
        values = filled.cast(pa.string()).cast(pa.float64()).to_numpy(zero_copy_only=False)
    else:
        values = floats_of_units(*exact)
    if absent is not None:
        values = np.where(absent, np.nan, values)
    return values


def floats_of_units(units: Int64s, precision: int) -> Float64s:
    """Return the float64 nearest to each number of units of a decimal place; shape (n,)."""
    if np.abs(units).max(initial=0) <= _EXACT:
        # Whole numbers that a float holds, over a power of ten that it holds: rounded once.
        return units / 10.0**precision
    # More digits than a float has: the last bit may be another one.
    values: Float64s = (units.astype(np.longdouble) / 10.0**precision).astype(np.float64)
    return values


def is_value(rows: Any, column: str, value: str | None) -> npt.NDArray[np.bool_]:  # noqa: ANN401
    """Return which rows of a batch or table have a text in a column; shape (n,).

    All have where no text is asked for or there is no such column.
    """
    if value is None or column not in rows.schema.names:
        return np.ones(rows.num_rows, np.bool_)
    matches = of_texts(rows[column], lambda texts: pc.equal(texts, value))
    equal: npt.NDArray[np.bool_] = np.asarray(pc.fill_null(matches, False))
    return equal


def _may_overflow(sums: npt.NDArray[Any], units: npt.NDArray[Any]) -> bool:
    if units.dtype == object:
        return True
    largest = float(np.abs(sums).max(initial=0)) + float(np.abs(units).sum(dtype=np.float64))
    return largest > 2.0**62
