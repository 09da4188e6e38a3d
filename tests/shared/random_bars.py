"""Random bars that gap, and a random strategy that uses everything that a broker offers."""

import random
from decimal import Decimal
from typing import Any

import numpy as np

from odum_assets.bars.broker import Bracket, Broker, Fill
from odum_assets.bars.series import BarSeries

MINUTE = 60_000_000_000
START = 1_600_000_020_000_000_000


def series_of(
    rows: Any, step: int = MINUTE, instrument: str = "ARCA:EQUITY:SPY", tick: str = "0.01"
) -> BarSeries:
    """Return a series of bars (open, high, low, close in ticks) without gaps in time."""
    table = np.array(rows, dtype=np.int64)
    times = START // step * step + step * np.arange(1, len(table) + 1)
    volume = np.full(len(table), 3)
    return BarSeries(instrument, step, Decimal(tick), 0, times, *table.T.copy(), volume)


def random_series(rng: random.Random, bars: int, **given: Any) -> BarSeries:
    """Return bars of a few ticks each, some without range, some with a gap before them."""
    rows, price = [], 1_000
    for _ in range(bars):
        opened = price + (rng.randint(-9, 9) if rng.random() < 0.3 else 0)
        size = rng.choice((0, 2, 6, 12))
        high, low = opened + rng.randint(0, size), opened - rng.randint(0, size)
        price = rng.randint(low, high)
        rows.append((opened, high, low, price))
    return series_of(rows, **given)


class RandomHandler:
    """Decide at random; equal fills lead to equal decisions."""

    def __init__(
        self, broker: Broker, series: BarSeries, seed: int, *, reacts: bool = True
    ) -> None:
        self.broker, self.series = broker, series
        self.rng, self.reacts = random.Random(seed), reacts  # noqa: S311
        self.waiting: dict[str, Bracket] = {}
        self.open: dict[str, Bracket] = {}
        self.exits: dict[str, list] = {}
        self.plans: dict[str, Bracket] = {}
        self.count = 0
        self.fills: list[Fill] = []

    def on_bar(self, index: int) -> None:
        rng, close = self.rng, int(self.series.close[index])
        draw = rng.random()
        if draw < 0.25 and len(self.waiting) + len(self.open) < 6:
            self.enter(close)
        elif draw < 0.32:
            self.broker.market(rng.choice((1, -1)), rng.randint(1, 4), f"tag-{index}")
        elif draw < 0.37 and self.waiting:
            name = rng.choice(sorted(self.waiting))
            self.broker.cancel(name)
            del self.waiting[name]
        elif draw < 0.50 and self.open:
            self.move(rng.choice(sorted(self.open)), close)
        elif draw < 0.55 and self.open:
            self.broker.close(rng.choice(sorted(self.open)))

    def enter(self, near: int) -> None:
        """Send one or several legs of one idea."""
        rng = self.rng
        side = rng.choice((1, -1))
        trigger = near + side * rng.randint(-2, 8)
        stop = trigger - side * rng.randint(1, 12)
        if rng.random() < 0.2:
            trigger = None
        self.count += 1
        for number in range(rng.choice((1, 1, 2, 3))):
            base = stop if trigger is None else trigger
            target = None if rng.random() < 0.15 else base + side * rng.randint(1, 14)
            self.send(
                Bracket(f"{self.count}/{number}", side, rng.randint(1, 5), trigger, stop, target)
            )

    def send(self, leg: Bracket) -> None:
        self.plans[leg.leg] = self.waiting[leg.leg] = leg
        self.exits[leg.leg] = [leg.stop, leg.target]
        self.broker.bracket(leg)

    def move(self, name: str, near: int) -> None:
        rng, side, exits = self.rng, self.open[name].side, self.exits[name]
        if rng.random() < 0.5:
            stop = near - side * rng.randint(-3, 10)
            if exits[1] is None or side * (exits[1] - stop) > 0:
                exits[0] = stop
                self.broker.move_stop(name, stop)
        else:
            target = None if rng.random() < 0.2 else near + side * rng.randint(-3, 10)
            if target is None or side * (target - exits[0]) > 0:
                exits[1] = target
                self.broker.move_target(name, target)

    def on_fill(self, fill: Fill) -> None:
        self.fills.append(fill)
        if fill.role == "entry":
            self.open[fill.leg] = self.waiting.pop(fill.leg)
        elif fill.leg in self.open:
            del self.open[fill.leg]
        if self.reacts:
            self.react(fill)

    def react(self, fill: Fill) -> None:
        """Cancel, send, move and close on a fill.

        Fills at one point of a path may be reported in any order: nothing here depends on it.
        """
        idea = fill.leg.split("/")[0]
        group = [name for name in self.exits if name.split("/")[0] == idea and name[-1] != "r"]
        if fill.role == "entry":
            if fill.leg[-1] != "r":
                self.cancel_other_side(fill)
            if fill.price % 5 == 0 and fill.leg[-1] != "r":
                side, near = fill.side * (1 if fill.price % 2 else -1), fill.price
                trigger, stop = near + side * (fill.price % 4), near - side * 4
                self.send(
                    Bracket(f"{fill.leg}r", side, fill.quantity, trigger, stop, near + side * 7)
                )
        for name in group:
            if fill.role == "target":
                self.move_to_entry(name)
            elif fill.role == "stop" and fill.quantity == 1:
                self.broker.close(name)

    def cancel_other_side(self, fill: Fill) -> None:
        for name, leg in list(self.waiting.items()):
            is_other = leg.side != fill.side and leg.trigger is not None and name[-1] != "r"
            if is_other and fill.side * (fill.price - leg.trigger) > 0:
                self.broker.cancel(name)
                del self.waiting[name]

    def move_to_entry(self, name: str) -> None:
        leg = self.plans[name]
        if leg.trigger is None:
            return
        exits = self.exits[name]
        if exits[1] is None or leg.side * (exits[1] - leg.trigger) > 0:
            exits[0] = leg.trigger
            self.broker.move_stop(name, leg.trigger)
