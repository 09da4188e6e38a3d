"""Execution on bars by the rules of `odum_assets.bars.broker`, worked out without an engine.

Price walks from point to point of a bar's path; the order that it meets first fills first. Nothing
here comes from the package but the messages, so that the adapter to NautilusTrader has somebody to
disagree with.
"""

from collections.abc import Callable
from dataclasses import dataclass

from odum_assets.bars.broker import BarHandler, Bracket, Fill, Role, Side
from odum_assets.bars.series import BarSeries


@dataclass(eq=False)
class Leg:
    plan: Bracket
    stop: int
    target: int | None
    state: str = "waiting"  # resting, open, done
    start: int = 0  # where its exits began to live in this bar


class BarSimulator:
    """A `Broker` for one instrument; `run` replays all bars and returns the fills."""

    def __init__(self, series: BarSeries, path: str = "conservative") -> None:
        self.series, self.path = series, path
        self.position = self.time = self.price = 0
        self.fills: list[Fill] = []
        self.legs: dict[str, Leg] = {}
        self.at_close: list[Callable[[], None]] = []
        self.decided: list[Callable[[], None]] = []
        self.inside = False

    def market(self, side: Side, quantity: int, tag: str) -> None:
        self.decided.append(lambda: self.fill(tag, "market", side, quantity))

    def bracket(self, bracket: Bracket) -> None:
        leg = self.legs[bracket.leg] = Leg(bracket, bracket.stop, bracket.target)
        if self.inside and bracket.trigger is not None:
            leg.state = "resting"
        else:
            self.decided.append(lambda: self.rest(leg))

    def rest(self, leg: Leg) -> None:
        if leg.state == "waiting":
            leg.state = "resting"

    def cancel(self, name: str) -> None:
        if (leg := self.legs.get(name)) and leg.state in ("waiting", "resting"):
            leg.state = "done"

    def move_stop(self, name: str, price: int) -> None:
        self.later(lambda: setattr(self.legs[name], "stop", price))

    def move_target(self, name: str, price: int | None) -> None:
        self.later(lambda: setattr(self.legs[name], "target", price))

    def close(self, name: str) -> None:
        def act() -> None:
            leg = self.legs.get(name)
            if leg and leg.state == "open":
                plan = leg.plan
                self.decided.append(lambda: self.fill(name, "market", -plan.side, plan.quantity))
            if leg:
                leg.state = "done"

        self.later(act)

    def later(self, act: Callable[[], None]) -> None:
        """Act now if the bar is closed, else at its close."""
        if self.inside:
            self.at_close.append(act)
        else:
            act()

    def fill(self, name: str, role: Role, side: Side, quantity: int) -> None:
        self.position += side * quantity
        fill = Fill(name, role, side, quantity, self.price, self.time)
        self.fills.append(fill)
        self.handler.on_fill(fill)

    def meet(self, leg: Leg, goal: int, rest: list[int]) -> tuple[int, str] | None:
        """Say at which price on the way to a goal a leg's order is met, and which one."""
        side, here, low, high = leg.plan.side, self.price, leg.stop, leg.target
        if leg.state == "resting":
            trigger = here if leg.plan.trigger is None else leg.plan.trigger
            if side * (here - trigger) >= 0:
                return here, "entry"
            return (trigger, "entry") if side * (goal - trigger) >= 0 else None
        if leg.state != "open":
            return None
        if side * (min(here, goal) if side > 0 else max(here, goal)) <= side * low:
            return (here if side * (here - low) <= 0 else low), "stop"
        if high is None or side * (goal - high) < 0:
            return None
        if side * (leg.start - high) >= 0:
            return here, "target"
        meets_stop = any(side * (point - low) <= 0 for point in rest)
        return None if self.path == "conservative" and meets_stop else (high, "target")

    def walk(self, goal: int, rest: list[int]) -> None:
        """Walk from the present price to the next point of the path."""
        while True:
            met = [
                (abs(m[0] - self.price), m, leg)
                for leg in self.legs.values()
                if (m := self.meet(leg, goal, rest))
            ]
            if not met:
                break
            _, (self.price, role), leg = min(met, key=lambda each: each[0])
            side = leg.plan.side if role == "entry" else -leg.plan.side
            leg.state, leg.start = "open" if role == "entry" else "done", self.price
            self.fill(leg.plan.leg, role, side, leg.plan.quantity)
        self.price = goal

    def run(self, factory: Callable[["BarSimulator"], BarHandler]) -> list[Fill]:
        s = self.series
        self.handler = factory(self)
        last_close = None
        for index in range(len(s)):
            o, h, low, c = (int(column[index]) for column in (s.open, s.high, s.low, s.close))
            first, second = (h, low) if h - o <= o - low else (low, h)
            points = [o, first, second, *([first] if self.path == "conservative" else []), c]
            close = int(s.close_time[index])
            opened = close - s.step if last_close is None else max(close - s.step, last_close)
            last_close, self.price, self.inside = close, o, True
            self.time = opened + 1
            for leg in self.legs.values():
                leg.start = o
            self.walk(o, points)  # what rests meets the open first
            decided, self.decided = self.decided, []
            for act in decided:
                act()
            for number, goal in enumerate(points):
                self.time = opened + 1 + number
                self.walk(goal, points[number:])
            self.inside = False
            due, self.at_close = self.at_close, []
            for act in due:
                act()
            self.handler.on_bar(index)
        return self.fills
