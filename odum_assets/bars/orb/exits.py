"""Exit rules beside a leg's own stop and target: each is one class, and acts at closes.

A rule sees an open trade and a closed bar, and says where the stop should be or that the trade
ends. The machine carries that out at the next open, and never loosens a stop.
"""

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from odum_assets.bars.orb.opening_range import OpeningRange
from odum_assets.bars.orb.params import OrbParams
from odum_assets.bars.orb.trade import Trade


@dataclass(frozen=True, slots=True)
class ClosedBar:
    """What a rule may know at a close.

    Parameters
    ----------
    time
        Nanoseconds since the epoch (UTC).
    close
        Ticks.
    opening_range
        The one of the bar's session.
    """

    time: int
    close: int
    opening_range: OpeningRange


@dataclass(frozen=True, slots=True)
class Exit:
    """What a rule asks for.

    Parameters
    ----------
    reason
        The exit reason that follows from it.
    stop
        Where the stop should be, in ticks; None closes the trade at the next open.
    """

    reason: str
    stop: int | None = None


class ExitRule(Protocol):
    """Decide at a close what becomes of an open trade."""

    def decide(self, trade: Trade, bar: ClosedBar) -> Exit | None:
        """Return what to do, None for nothing."""
        ...


class Breakeven:
    """Move the stop to the entry once the best price is far enough beyond it.

    Parameters
    ----------
    at_r
        How far, in R.
    buffer
        Ticks beyond the entry, in favor.
    """

    def __init__(self, at_r: Decimal, buffer: Decimal) -> None:
        self._at_r = float(at_r)
        self._buffer = math.ceil(buffer)

    def decide(self, trade: Trade, bar: ClosedBar) -> Exit | None:  # noqa: ARG002 - one interface
        """Return the stop at breakeven once it is reached."""
        if trade.excursion(trade.best) < self._at_r - 1e-9:
            return None
        entry = trade.entry_price
        at_entry = math.ceil(entry) if trade.side > 0 else math.floor(entry)
        return Exit("breakeven", at_entry + trade.side * self._buffer)


class SessionEnd:
    """Close before the session ends."""

    def decide(self, trade: Trade, bar: ClosedBar) -> Exit | None:  # noqa: ARG002 - one interface
        """Close from `OpeningRange.flatten_ns` on."""
        return Exit("end_of_day") if bar.time >= bar.opening_range.flatten_ns else None


class Carried:
    """Close a position that meets another session than its own."""

    def decide(self, trade: Trade, bar: ClosedBar) -> Exit | None:
        """Close at the first close of the next session."""
        is_own = bar.opening_range.session.number == trade.opening_range.session.number
        return None if is_own else Exit("carried")


def exit_rules(params: OrbParams, tick_size: Decimal) -> tuple[ExitRule, ...]:
    """Return the rules of a configuration; those that close come first."""
    trade, governance = params.trade, params.governance
    rules: list[ExitRule] = [Carried()]
    if governance.flatten_at_session_end:
        rules.append(SessionEnd())
    rules.append(Breakeven(trade.move_be_at_r, trade.be_buffer / tick_size))
    return tuple(rules)
