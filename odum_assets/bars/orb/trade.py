"""One trade from its first fill to its last: legs, excursions, result."""

from dataclasses import dataclass, field
from datetime import date

from odum_assets.bars.broker import Fill, Side
from odum_assets.bars.orb.opening_range import OpeningRange
from odum_assets.bars.orb.stops import EntryPlan


@dataclass(slots=True)
class Leg:
    """A part of a trade with a target of its own.

    Parameters
    ----------
    name
        Its identifier at the broker.
    target_name
        The exit reason of its target.
    quantity
        Units of ``10 ** -size_precision``.
    stop, target
        Prices in ticks; the stop moves.
    entry, exit
        Fills; None before they happen.
    reason
        Why it was closed.
    """

    name: str
    target_name: str
    quantity: int
    stop: int
    target: int
    entry: Fill | None = None
    exit: Fill | None = None
    reason: str | None = None


@dataclass(slots=True)
class Trade:
    """A trade of several legs that were entered at the same trigger.

    Parameters
    ----------
    number
        Its position among the trades of the instrument, from 1.
    opening_range
        The opening range of its session.
    plan
        The entry as planned.
    legs
        By name.
    decided
        Index of the bar at whose close the entry was last confirmed.
    best, worst
        Furthest prices in favor and against, in ticks.
    stop_reason
        Why the stop is where it is.
    close_reason
        Why the strategy closes it; None while it does not.
    is_new
        Whether the bar of its entry has not closed yet.
    ambiguous
        Exits whose bar also touched the leg's other exit.
    fills
        In order of time.
    """

    number: int
    opening_range: OpeningRange
    plan: EntryPlan
    legs: dict[str, Leg]
    decided: int
    best: int = 0
    worst: int = 0
    stop_reason: str = "stop"
    close_reason: str | None = None
    is_new: bool = True
    ambiguous: int = 0
    fills: list[Fill] = field(default_factory=list)

    @property
    def side(self) -> Side:
        """Return the side of the entry."""
        return self.plan.side

    @property
    def day(self) -> date:
        """Return the date of its session."""
        return self.opening_range.session.day

    @property
    def is_closed(self) -> bool:
        """Return whether every leg was entered and left."""
        return all(leg.exit is not None for leg in self.legs.values())

    @property
    def quantity(self) -> int:
        """Return the size that was entered, units of ``10 ** -size_precision``."""
        return sum(leg.quantity for leg in self.legs.values() if leg.entry is not None)

    @property
    def entry_price(self) -> float:
        """Return the mean price of the entries, ticks."""
        return _mean([leg.entry for leg in self.legs.values()])

    @property
    def exit_price(self) -> float:
        """Return the mean price of the exits, ticks."""
        return _mean([leg.exit for leg in self.legs.values()])

    @property
    def gain(self) -> int:
        """Return what the closed legs gained, in ticks times units."""
        return self.side * sum(
            (leg.exit.price - leg.entry.price) * leg.quantity
            for leg in self.legs.values()
            if leg.entry is not None and leg.exit is not None
        )

    @property
    def risk(self) -> int:
        """Return what was risked as planned: one R, in ticks times units."""
        return self.plan.risk * sum(leg.quantity for leg in self.legs.values())

    @property
    def realized_r(self) -> float:
        """Return the gain in R, fees excluded."""
        return self.gain / self.risk

    @property
    def is_full_stop(self) -> bool:
        """Return whether every leg left at its initial stop."""
        return all(leg.reason == "stop" for leg in self.legs.values())

    @property
    def exit_reason(self) -> str:
        """Return why the last leg was closed; of several at once, the furthest target's."""
        last = max(leg.exit.time for leg in self.legs.values() if leg.exit is not None)
        return [
            leg.reason or ""
            for leg in self.legs.values()
            if leg.exit is not None and leg.exit.time == last
        ][-1]

    @property
    def stop_final(self) -> int:
        """Return where the stop stood at the end, ticks."""
        return [leg.stop for leg in self.legs.values()][-1]

    def excursion(self, price: int) -> float:
        """Return how far a price is from the entry, in R; in favor is above zero."""
        return self.side * (price - self.entry_price) / self.plan.risk

    def extend(self, low: int, high: int) -> None:
        """Take note of the range that the price covered while the trade was open."""
        best, worst = (high, low) if self.side > 0 else (low, high)
        if self.side * (best - self.best) > 0:
            self.best = best
        if self.side * (worst - self.worst) < 0:
            self.worst = worst

    def enter(self, fill: Fill) -> None:
        """Take note of the fill of an entry."""
        if not self.fills:
            self.best = self.worst = fill.price
        self.legs[fill.leg].entry = fill
        self.fills.append(fill)

    def leave(self, fill: Fill) -> None:
        """Take note of the fill of an exit."""
        leg = self.legs[fill.leg]
        leg.exit = fill
        if fill.role == "target":
            leg.reason = leg.target_name
        elif fill.role == "stop":
            leg.reason = self.stop_reason if leg.stop != self.plan.stop else "stop"
        else:
            leg.reason = self.close_reason or "end_of_run"
        self.ambiguous += fill.ambiguous
        self.fills.append(fill)


def _mean(fills: list[Fill | None]) -> float:
    present = [fill for fill in fills if fill is not None]
    total = sum(fill.quantity for fill in present)
    return sum(fill.price * fill.quantity for fill in present) / total if total else float("nan")
