"""Where a trade's stop and targets go, and how its size is divided."""

import math
from dataclasses import dataclass
from decimal import Decimal

from odum_assets.bars.broker import Side
from odum_assets.bars.orb.opening_range import OpeningRange
from odum_assets.bars.orb.params import TradeParams


@dataclass(frozen=True, slots=True)
class EntryPlan:
    """An entry as planned, all prices in ticks.

    Parameters
    ----------
    side
        Its side.
    entry
        The trigger; of an entry at the next open the close before it.
    stop
        The protective stop.
    targets
        Prices of the targets, in the order of the parameters.
    """

    side: Side
    entry: int
    stop: int
    targets: tuple[int, ...]

    @property
    def risk(self) -> int:
        """Return the distance of the stop: one R, in ticks."""
        return abs(self.entry - self.stop)


class EntryPlanner:
    """Plan entries of one instrument.

    Parameters
    ----------
    params
        Stop mode and targets.
    tick_size
        The price of one tick.
    """

    def __init__(self, params: TradeParams, tick_size: Decimal) -> None:
        self._mode = params.stop_mode
        self._buffer = params.extra_stop_buffer / tick_size
        self._cap = float(params.atr_stop_cap_mult)
        self._target_rs = [r for _, r, _ in params.targets()]

    def plan(
        self, side: Side, entry: int, opening_range: OpeningRange, swing: float
    ) -> EntryPlan | None:
        """Plan an entry.

        Parameters
        ----------
        side
            Its side.
        entry
            Where it is expected, in ticks.
        opening_range
            The session's.
        swing
            The last swing low (of a short: high) in ticks, NaN without one.

        Returns
        -------
        EntryPlan or None
            None if no stop lies on the losing side of the entry.
        """
        edge = opening_range.low if side > 0 else opening_range.high
        stop = self._beyond(side, edge)
        if self._mode == "swing" and not math.isnan(swing):
            swing_stop = self._beyond(side, int(swing))
            # A swing on the far side of the entry protects nothing.
            stop = swing_stop if side * (entry - swing_stop) > 0 else stop
        if self._mode == "atr_capped" and opening_range.atr:
            capped = _outwards(entry - side * self._cap * opening_range.atr, side)
            stop = max(stop, capped) if side > 0 else min(stop, capped)
        risk = side * (entry - stop)
        if risk <= 0:
            return None
        targets = tuple(entry + side * math.ceil(risk * multiple) for multiple in self._target_rs)
        return EntryPlan(side, entry, stop, targets)

    def _beyond(self, side: Side, level: int) -> int:
        """Return a level with the buffer, rounded away from the entry."""
        return _outwards(level - side * self._buffer, side)


def _outwards(price: float | Decimal, side: Side) -> int:
    return math.floor(price) if side > 0 else math.ceil(price)


def divide(quantity: int, shares: list[Decimal]) -> list[int]:
    """Divide a quantity by shares that add up to one; what is left goes to the largest remainders.

    Of equal remainders the earlier share gets it.
    """
    exact = [quantity * share for share in shares]
    parts = [math.floor(part) for part in exact]
    by_remainder = sorted(range(len(parts)), key=lambda index: parts[index] - exact[index])
    for index in by_remainder[: quantity - sum(parts)]:
        parts[index] += 1
    return parts
