"""The range that price covers while a trade is open, along the path of a bar."""

from collections.abc import Sequence
from itertools import pairwise

from odum_assets.bars.broker import Side


def covered(
    points: Sequence[int], side: Side, trigger: int | None, exit_price: int | None
) -> tuple[int, int]:
    """Return lowest and highest price of a bar between entry and exit, in ticks.

    Parameters
    ----------
    points
        The prices that the bar passes.
    side
        The side of the entry.
    trigger
        The trigger of an entry that filled in this bar; None counts from the bar's open.
    exit_price
        The level of the exit that ended the trade in this bar; None counts to the bar's close.
    """
    path = list(points)
    if trigger is not None:
        path = _from_trigger(path, side, trigger)
    low = high = path[0]
    for here, there in pairwise(path):
        is_end = exit_price is not None and min(here, there) <= exit_price <= max(here, there)
        reached = exit_price if is_end and exit_price is not None else there
        low, high = min(low, reached), max(high, reached)
        if is_end:
            break
    return low, high


def _from_trigger(path: list[int], side: Side, trigger: int) -> list[int]:
    for index, price in enumerate(path):
        if side * (price - trigger) >= 0:
            return path if index == 0 else [trigger, *path[index:]]
    return path[-1:]
