"""The course of price inside a bar, and what it does to a leg.

What belongs here: which prices a bar passes in which order, and when. What does not: orders
(``odum_assets.backtest.bar_broker``).

- ``adaptive``: open, the extreme nearer the open, the other extreme, close.
- ``conservative``: the same, but the first extreme is passed once more before the close. A leg
  whose entry fills inside the bar meets both extremes after it, so that its stop counts; and a
  target does not fill while the rest of the path reaches the stop.

Where both extremes are equally near, the high comes first.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from odum_assets.bars.broker import Role, Side
    from odum_assets.bars.series import BarSeries

__all__ = ["Exit", "Path", "exit_on", "open_times", "path_points", "reaches"]

type Path = Literal["conservative", "adaptive"]


@dataclass(frozen=True, slots=True)
class Exit:
    """Say how a leg stands at the end of a bar: the role that closed it, and the price in ticks.

    A leg that is still open has the role None and the price of the bar's close.
    """

    role: Role | None
    price: int


def path_points(series: BarSeries, path: Path) -> NDArray[np.int64]:
    """Return the prices that each bar passes, in ticks.

    Parameters
    ----------
    series
        Bars.
    path
        ``conservative`` (five points) or ``adaptive`` (four).

    Returns
    -------
    NDArray[np.int64]
        Shape ``(n, 5)`` or ``(n, 4)``.
    """
    high_first = series.high - series.open <= series.open - series.low
    first = np.where(high_first, series.high, series.low)
    second = np.where(high_first, series.low, series.high)
    between = (first, second, first) if path == "conservative" else (first, second)
    return np.column_stack((series.open, *between, series.close))


def open_times(series: BarSeries) -> NDArray[np.int64]:
    """Return when each bar opens, in nanoseconds: a step before its close, after the bar before.

    Point *k* of a bar's path has the time ``open + 1 + k``: nothing tells when in the bar price was
    there.
    """
    opens = series.close_time - series.step
    opens[1:] = np.maximum(opens[1:], series.close_time[:-1])
    return opens


def reaches(points: Sequence[int], side: Side, stop: int) -> bool:
    """Return whether a path comes to the stop of a long (1) or short (-1) leg."""
    return min(points) <= stop if side > 0 else max(points) >= stop


def exit_on(
    points: Sequence[int],
    side: Side,
    trigger: int | None,
    stop: int,
    target: int | None,
    path: Path,
) -> Exit:
    """Return how a leg stands at the end of a bar whose path is given.

    Parameters
    ----------
    points
        The prices that the bar passes, in ticks.
    side
        The side of the leg's entry.
    trigger
        The trigger of an entry that fills in this bar; None for a leg that is open from the bar's
        open on.
    stop, target
        Its exits in ticks.
    path
        Whether a target gives way to a stop that the rest of the path reaches.
    """
    up = [side * point for point in points]
    low, high = side * stop, None if target is None else side * target
    is_open = trigger is None or up[0] >= side * trigger
    if is_open and up[0] <= low:
        return Exit("stop", points[0])
    if is_open and high is not None and up[0] >= high:
        return Exit("target", points[0])
    for index, (_, here) in enumerate(pairwise(up), 1):
        if not is_open:
            is_open = trigger is not None and here >= side * trigger
        if is_open and here <= low:
            return Exit("stop", stop)
        is_hit = is_open and high is not None and here >= high
        if is_hit and (path == "adaptive" or min(up[index:]) > low):
            return Exit("target", side * high if high is not None else 0)
    return Exit(None, points[-1])
