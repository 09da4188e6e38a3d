"""Splitting a quantity over time: in equal parts (TWAP) or by a volume curve (VWAP)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_DAY_SECS = 86_400.0


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of an order: nanoseconds after the order's arrival, and lots."""

    offset_ns: int
    lots: int


def split_lots(lots: int, shares: Sequence[float]) -> list[int]:
    """Split whole lots by shares so that nothing is lost.

    Parameters
    ----------
    lots : int
        Lots to split, at least 0.
    shares : sequence of float
        Non-negative weights with a positive sum.

    Returns
    -------
    list[int]
        Lots per share: each running total is rounded down, the last part takes what remains.
    """
    total = sum(shares)
    parts, running, given = [], 0.0, 0
    for share in shares[:-1]:
        running += share
        # Shares are binary fractions: a millionth of a lot short of a whole one is whole.
        upto = min(int(lots * running / total + 1e-6), lots)
        parts.append(upto - given)
        given = upto
    return [*parts, lots - given]


def schedule(lots: int, interval_ns: int, shares: Sequence[float]) -> list[Slice]:
    """Return the slices of an order, one per interval, leaving out empty ones."""
    return [
        Slice(index * interval_ns, part)
        for index, part in enumerate(split_lots(lots, shares))
        if part > 0
    ]


@dataclass(frozen=True, slots=True)
class VolumeCurve:
    """Share of a day's volume that has traded by a time of day, UTC.

    Parameters
    ----------
    cumulative : tuple of float
        Running share at equally spaced moments from 00:00 to 24:00, from 0.0 up to 1.0; volume
        inside a bucket counts as evenly spread.
    """

    cumulative: tuple[float, ...]

    def traded_by(self, second_of_day: float) -> float:
        """Return the share traded by a second of the day; beyond midnight the curve repeats."""
        days, second = divmod(second_of_day, _DAY_SECS)
        position = second / _DAY_SECS * (len(self.cumulative) - 1)
        index = min(int(position), len(self.cumulative) - 2)
        low, high = self.cumulative[index], self.cumulative[index + 1]
        return days + low + (high - low) * (position - index)

    def shares(self, start_second: float, interval_secs: float, intervals: int) -> list[float]:
        """Return the share of volume in each of consecutive intervals, 0.0 where none is."""
        edges = [self.traded_by(start_second + k * interval_secs) for k in range(intervals + 1)]
        return [max(high - low, 0.0) for low, high in pairwise(edges)]


def curve_from_volumes(volumes: Sequence[float]) -> VolumeCurve | None:
    """Return the curve of volumes per bucket of the day, None when there is no volume."""
    total = float(sum(volumes))
    if total <= 0:
        return None
    running, cumulative = 0.0, [0.0]
    for volume in volumes:
        running += volume
        cumulative.append(running / total)
    cumulative[-1] = 1.0
    return VolumeCurve(tuple(cumulative))
