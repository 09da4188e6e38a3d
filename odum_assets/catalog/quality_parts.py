"""Small collectors that quality figures are made of; each takes arrays and gives numbers."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from odum_assets.catalog.arrow import Column, kernels, text_parts

Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]

_SECOND = 1_000_000_000
_GAPS_KEPT = 5
_SKIPS_OF_A_SEQUENCE = 10
"""Ids are taken for a sequence when at most one in this many is missing."""


class Histogram:
    """Count whole numbers from 0 to `size` - 1; larger ones share the last bin."""

    def __init__(self, size: int) -> None:
        self._counts = np.zeros(size, np.int64)

    def update(self, values: Int64s, weights: Int64s | None = None) -> None:
        """Count more values, none negative; each as often as its weight says, or once."""
        if len(values) == 0:
            return
        top = int(values.max())
        if top >= len(self._counts):
            values = np.minimum(values, len(self._counts) - 1)
        if weights is None:
            found = np.bincount(values)
        else:
            # Sums of whole numbers in float64, exact below 2**53: a day has 2**47 ns.
            found = np.bincount(values, weights).astype(np.int64)
        self._counts[: len(found)] += found

    def __len__(self) -> int:
        """Return the number of bins."""
        return len(self._counts)

    @property
    def total(self) -> int:
        """How many values were counted, by weight."""
        return int(self._counts.sum())

    def mean(self) -> Fraction | None:
        """Return the exact mean; None without values or if one is beyond the last bin."""
        found = np.flatnonzero(self._counts)
        if len(found) == 0 or found[-1] == len(self._counts) - 1:
            return None
        counts = self._counts[found].tolist()
        values = zip(found.tolist(), counts, strict=True)
        return Fraction(sum(value * count for value, count in values), sum(counts))

    def quantiles(self, percents: Sequence[int]) -> list[int | None]:
        """Return lower quantiles: the least value that so many percent do not exceed.

        Each is None without values or if it is in the last bin.
        """
        up_to = np.cumsum(self._counts)
        total = int(up_to[-1])
        if total == 0:
            return [None] * len(percents)
        ranks = [max(-(-total * percent // 100), 1) for percent in percents]
        found = np.searchsorted(up_to, ranks).tolist()
        return [None if value == len(self._counts) - 1 else int(value) for value in found]

    def between(self, first: int, last: int) -> Int64s:
        """Return the counts of the values from `first` to `last`, both included."""
        return self._counts[first : last + 1]


class Latency:
    """Time from the exchange's clock to the recorder's: negative when the clocks disagree.

    Quantiles are lower ones, known to a tenth of a millisecond, and only within ten seconds.
    """

    _STEP_NS = 100_000
    _REACH = 100_000
    _PERCENTS = (1, 5, 50, 95, 99)
    _BARS = 40
    _STEPS = tuple(digit * 10**power for power in range(5) for digit in (1, 2, 5))
    """Widths of a bar, in tenths of a millisecond; round ones do not comb through rounded times."""

    def __init__(self) -> None:
        self._bins = Histogram(2 * self._REACH + 2)
        self._low: int | None = None
        self._high: int | None = None
        self._negative = 0

    def update(self, latency_ns: Int64s) -> None:
        """Take ``ts_init - ts_event`` of more rows, ns."""
        low, high = int(latency_ns.min()), int(latency_ns.max())
        self._low = low if self._low is None else min(self._low, low)
        self._high = high if self._high is None else max(self._high, high)
        if low < 0:
            self._negative += int(np.count_nonzero(latency_ns < 0))
        steps = latency_ns // self._STEP_NS + (self._REACH + 1)
        if low < -self._REACH * self._STEP_NS:
            steps = np.maximum(steps, 0)
        self._bins.update(steps)

    def figures(self, rows: int) -> dict[str, Any]:
        """Return bounds, quantiles and distribution in ms, and the rows and share below zero."""
        found = [each or None for each in self._bins.quantiles(self._PERCENTS)]
        p01, p05, median, p95, p99 = (None if each is None else self._ms(each) for each in found)
        return {
            "min_ms": None if self._low is None else self._low / 1e6,
            "p01_ms": p01,
            "p05_ms": p05,
            "median_ms": median,
            "p95_ms": p95,
            "p99_ms": p99,
            "max_ms": None if self._high is None else self._high / 1e6,
            "negative_rows": self._negative,
            "negative_share": self._negative / rows if rows else None,
            "distribution": self._distribution(rows, found[0], found[-1]),
        }

    def _distribution(self, rows: int, p01: int | None, p99: int | None) -> dict[str, Any] | None:
        """Return bars around the middle 98 % of the rows, and how many are beside them."""
        if p01 is None or p99 is None:
            return None
        step = next(each for each in self._STEPS if each * self._BARS > p99 - p01)
        # Whole multiples of the step, so that zero lies between two bars and not within one.
        zero = self._REACH + 1
        first = max((p01 - zero) // step - 1, -self._REACH // step) * step + zero
        count = min((p99 - first) // step + 2, (len(self._bins) - 1 - first) // step)
        bars = self._bins.between(first, first + count * step - 1).reshape(count, step)
        below = int(self._bins.between(0, first - 1).sum())
        shown = bars.sum(axis=1).tolist()
        return {
            "start_ms": self._ms(first),
            "step_ms": step / 10,
            "rows": shown,
            "below": below,
            "above": rows - below - sum(shown),
        }

    def _ms(self, value: int) -> float:
        return (value - self._REACH - 1) / 10


class Covered:
    """The time from the first row to the last one, and its distance to the edges of the day."""

    def __init__(self) -> None:
        self._first: int | None = None
        self._last: int | None = None

    def update(self, times: Int64s) -> None:
        """Take times of arrival of more rows (ns), in order."""
        if len(times) == 0:
            return
        self._first = int(times[0]) if self._first is None else self._first
        self._last = int(times[-1])

    def figures(self, day_start: int, day_end: int) -> dict[str, Any] | None:
        """Return first and last time (ns as text) and their distance to the edges, s.

        None without rows.
        """
        if self._first is None or self._last is None:
            return None
        return {
            "first": str(self._first),
            "last": str(self._last),
            "starts_late_s": (self._first - day_start) / _SECOND,
            "ends_early_s": (day_end - self._last) / _SECOND,
        }


class Gaps:
    """Times without rows, between neighbors in order of arrival."""

    def __init__(self) -> None:
        self._over_10s = 0
        self._over_60s = 0
        self._largest: list[tuple[int, int]] = []

    def update(self, times: Int64s, steps: Int64s) -> None:
        """Take more neighbors: n + 1 times and the n steps between them, ns."""
        if len(steps) == 0:
            return
        if int(steps.max()) > 10 * _SECOND:
            self._over_10s += int(np.count_nonzero(steps > 10 * _SECOND))
            self._over_60s += int(np.count_nonzero(steps > 60 * _SECOND))
        count = min(_GAPS_KEPT, len(steps))
        rows = np.argpartition(steps, len(steps) - count)[-count:]
        found = [(int(steps[row]), int(times[row])) for row in rows]
        # Longest first; of equal ones the earliest, so that the answer does not depend on batches.
        ranked = sorted([*self._largest, *found], key=lambda gap: (-gap[0], gap[1]))
        self._largest = ranked[:_GAPS_KEPT]

    def figures(self) -> dict[str, Any]:
        """Return counts and the largest gaps with their start and end (ns as text)."""
        return {
            "max_s": self._largest[0][0] / _SECOND if self._largest else None,
            "over_10s": self._over_10s,
            "over_60s": self._over_60s,
            "largest": [
                {"start": str(start), "end": str(start + step), "seconds": step / _SECOND}
                for step, start in self._largest
                if step > _SECOND
            ],
        }


class IdTracker:
    """Count duplicate trade ids and, where ids are a sequence, the missing ones.

    Eight bytes are kept per id: numbers as they are, other ids as a 64-bit hash (two of ten million
    different ids share one with a chance of three in a million).
    """

    def __init__(self) -> None:
        self._numeric = True
        self._rising = True
        self._chunks: list[Int64s] = []

    def update(self, ids: Column) -> None:
        """Take more ids (strings, none null or empty)."""
        if self._numeric:
            numbers = _as_numbers(ids)
            if numbers is not None:
                self._keep(numbers)
                return
            self._numeric = self._rising = False
            earlier, self._chunks = self._chunks, []
            for chunk in earlier:
                self._chunks.append(hash_texts(kernels.cast(pa.array(chunk), pa.string())))
        self._chunks.append(hash_texts(ids))

    def figures(self) -> dict[str, Any]:
        """Return duplicates, and skips and missing ids of a sequence (None if it is none)."""
        ids = np.concatenate(self._chunks) if self._chunks else np.zeros(0, np.int64)
        if not self._rising:
            ids.sort()
        steps = np.diff(ids)
        duplicates = int(np.count_nonzero(steps == 0))
        skips = missing = None
        if self._numeric and len(ids):
            gaps = int(ids[-1]) - int(ids[0]) + 1 - (len(ids) - duplicates)
            if gaps * _SKIPS_OF_A_SEQUENCE <= len(ids):
                skips, missing = int(np.count_nonzero(steps > 1)), gaps
        return {"duplicate_ids": duplicates, "id_skips": skips, "ids_missing": missing}

    def _keep(self, numbers: Int64s) -> None:
        if self._rising:
            joins = not self._chunks or self._chunks[-1][-1] < numbers[0]
            self._rising = bool(joins and (numbers[1:] > numbers[:-1]).all())
        self._chunks.append(numbers)


def _as_numbers(ids: Column) -> Int64s | None:
    try:
        numbers: Int64s = kernels.cast(ids, pa.int64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return None
    odd = kernels.or_(kernels.starts_with(ids, "0"), kernels.starts_with(ids, "-"))
    if kernels.any(odd).as_py() and kernels.cast(pa.array(numbers), pa.string()) != ids:
        return None  # "007" and "7" are different ids
    return numbers


def hash_texts(texts: Column) -> Int64s:
    """Return a 64-bit hash per text (ASCII, none null); shape (n,)."""
    ends, data = text_parts(texts)
    lengths = np.diff(ends)
    hashes = np.zeros(len(texts), np.uint64)
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        words = -(-int(length) // 8)
        letters = np.zeros((len(rows), words * 8), np.uint8)
        letters[:, :length] = data[ends[rows][:, None] + np.arange(length)]
        hashes[rows] = _mix(letters.view(np.uint64), int(length))
    return hashes.view(np.int64)


def _mix(words: UInt64s, seed: int) -> UInt64s:
    mixed = np.full(len(words), seed + 1, np.uint64)
    for index in range(words.shape[1]):
        mixed = (mixed ^ words[:, index]) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(32)
    return mixed


def exact_sum(ticks: Int64s) -> int:
    """Return the sum without overflow: high and low halves are added apart."""
    return (int((ticks >> 32).sum()) << 32) + int((ticks & 0xFFFFFFFF).sum())
