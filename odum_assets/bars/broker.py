"""Say what a strategy on bars may ask of the market, and what it hears back.

A strategy is written against `Broker` and knows no engine. The adapter to
NautilusTrader and the plain simulator of the tests both implement it, which is how
the two answers can be compared.

The rules of execution (the same for every implementation):

- A decision at the close of bar *i* knows bars up to *i*. A market order fills at
  the open of bar *i + 1*, across sessions, too. Resting orders live from that open.
- Within a bar price moves continuously along the bar's path. A stop fills at its
  trigger, a limit at its limit; an open beyond either fills at the open.
- Exits of a bracket live from the fill of its entry, on the rest of that bar's path.
- Fills at one point of a path may be reported in any order; a cancel that answers one of them does
  not prevent another at the same point.
- A bar that touches stop and target of an open leg fills the stop on the path
  ``conservative``; on ``adaptive`` the extreme nearer the open comes first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

__all__ = ["BarHandler", "Bracket", "Broker", "Fill", "Role", "Side", "Size"]

type Side = Literal[1, -1]
"""1 buys, -1 sells."""

type Role = Literal["entry", "stop", "target", "market"]

type Size = int | Callable[[int], int]
"""Units of ``10 ** -size_precision``; or from the price at which a market order fills, in ticks, to
them, asked when orders that were sent before it have filled. 0 sends nothing."""


@dataclass(frozen=True, slots=True)
class Bracket:
    """Describe one leg: a resting stop entry with its own stop and target.

    Parameters
    ----------
    leg
        The identifier of the leg, unique within a run and an instrument.
    side
        The side of the entry.
    quantity
        Units of ``10 ** -size_precision``.
    trigger
        The entry's trigger in ticks; None enters at the next open.
    stop
        The protective stop in ticks.
    target
        The limit at which profit is taken, in ticks; None takes none.
    """

    leg: str
    side: Side
    quantity: int
    trigger: int | None
    stop: int
    target: int | None


@dataclass(frozen=True, slots=True)
class Fill:
    """Report one fill.

    Parameters
    ----------
    leg
        The leg, or the tag of a market order.
    role
        Which of the leg's orders filled.
    side
        The side of the order that filled.
    quantity
        Units of ``10 ** -size_precision``.
    price
        In ticks.
    time
        Nanoseconds since the epoch (UTC).
    ambiguous
        Whether the bar touched the other exit of the leg, too, so that the
        other path would have given another answer.
    """

    leg: str
    role: Role
    side: Side
    quantity: int
    price: int
    time: int
    ambiguous: bool = False


class Broker(Protocol):
    """Take the orders of a strategy for one instrument."""

    @property
    def position(self) -> int:
        """Give the net position in units of ``10 ** -size_precision``."""
        ...

    def market(self, side: Side, quantity: Size, tag: str) -> None:
        """Send a market order that fills at the next bar's open."""
        ...

    def bracket(self, bracket: Bracket) -> None:
        """Rest a leg from the next bar's open on."""
        ...

    def cancel(self, leg: str) -> None:
        """Cancel an entry that has not filled."""
        ...

    def move_stop(self, leg: str, price: int) -> None:
        """Move the stop of a leg, valid from the next bar's open on."""
        ...

    def move_target(self, leg: str, price: int | None) -> None:
        """Move or remove the target of a leg, valid from the next bar's open on."""
        ...

    def close(self, leg: str) -> None:
        """Close what is open of a leg at the next open; its exits live to the end of the bar."""
        ...


class BarHandler(Protocol):
    """Be called by an engine or a simulator as bars close and orders fill."""

    def on_bar(self, index: int) -> None:
        """Decide at the close of the bar at an index of the instrument's series."""
        ...

    def on_fill(self, fill: Fill) -> None:
        """Take note of a fill; orders sent here live on the rest of the bar's path."""
        ...
