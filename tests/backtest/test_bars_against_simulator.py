"""Random strategies on random bars: NautilusTrader with our paths against a plain simulator."""

import random
from collections import Counter
from typing import Any

import pytest
from bar_replay import replayed
from bar_simulator import BarSimulator
from random_bars import MINUTE, RandomHandler, random_series

from odum_assets.bars.broker import Bracket, Fill
from odum_assets.bars.series import BarSeries

BLOCKS, SEEDS, BARS = 10, 270, 50
PATHS = ("conservative", "adaptive")


def facts(fill: Fill) -> tuple:
    """Return what must be equal; fills at one point of a path may come in any order."""
    return (fill.time, fill.leg, fill.role, fill.side, fill.quantity, fill.price)


def engine_fills(series: BarSeries, seed: int, path: str, **given: Any) -> list[Fill]:
    handlers = []

    def factory(broker: Any) -> RandomHandler:
        handlers.append(RandomHandler(broker, series, seed))
        return handlers[-1]

    replayed(series, factory, path, **given)
    return handlers[0].fills


@pytest.mark.parametrize("block", range(BLOCKS))
def test_random_strategies_fill_as_in_the_simulator(block: int) -> None:
    """Run 5,400 times over all blocks: both paths, legs as partials, every kind of exit."""
    kinds = Counter()
    for seed in range(block * SEEDS, (block + 1) * SEEDS):
        series = random_series(random.Random(seed), BARS)  # noqa: S311
        for path in PATHS:
            found = sorted(map(facts, engine_fills(series, seed, path)))
            expected = BarSimulator(series, path).run(
                lambda broker, series=series, seed=seed: RandomHandler(broker, series, seed)
            )
            assert found == sorted(map(facts, expected)), (seed, path)
            kinds.update(fill.role for fill in expected)
            kinds.update(_in_one_bar(expected))
    assert min(kinds[each] for each in ("entry", "stop", "target", "market", "same bar")) > 500


def _in_one_bar(fills: list[Fill]) -> list[str]:
    """Name entries whose exit lies in the same bar."""
    entered = {fill.leg: fill.time // MINUTE for fill in fills if fill.role == "entry"}
    return [
        "same bar"
        for fill in fills
        if fill.role in ("stop", "target") and entered.get(fill.leg) == fill.time // MINUTE
    ]


def test_fills_do_not_depend_on_chunks() -> None:
    series = random_series(random.Random(7), 300)  # noqa: S311
    fills = engine_fills(series, 7, "conservative")
    assert len(fills) > 50
    for chunk in (1, 17, 299):
        assert engine_fills(series, 7, "conservative", chunk_bars=chunk) == fills


class OneLeg:
    """Send one leg at the first close."""

    def __init__(self, broker: Any, leg: Bracket) -> None:
        self.broker, self.leg, self.fills = broker, leg, []

    def on_bar(self, index: int) -> None:
        if index == 0:
            self.broker.bracket(self.leg)

    def on_fill(self, fill: Fill) -> None:
        self.fills.append(fill)


def one_leg(rng: random.Random, near: int) -> Bracket:
    side = rng.choice((1, -1))
    trigger = near + side * rng.randint(0, 6)
    stop, target = trigger - side * rng.randint(1, 8), trigger + side * rng.randint(1, 8)
    return Bracket("only", side, 1, trigger if rng.random() < 0.7 else None, stop, target)


def exit_of(series: BarSeries, path: str, leg: Bracket) -> Fill | None:
    handlers = []
    BarSimulator(series, path).run(
        lambda broker: handlers.append(OneLeg(broker, leg)) or handlers[-1]
    )
    return next((fill for fill in handlers[0].fills if fill.role != "entry"), None)


@pytest.mark.parametrize("path", PATHS)
def test_ambiguous_bars_name_what_the_other_path_would_have_given(path: str) -> None:
    other_path = PATHS[1 - PATHS.index(path)]
    counted = Counter()
    for seed in range(600):
        rng = random.Random(seed)  # noqa: S311
        series = random_series(rng, 20)
        leg = one_leg(rng, int(series.close[0]))
        host = replayed(series, lambda broker, leg=leg: OneLeg(broker, leg), path)
        noted = host.brokers[0].ambiguous
        mine, other = exit_of(series, path, leg), exit_of(series, other_path, leg)
        if not noted:
            assert (mine and facts(mine)) == (other and facts(other)), seed
            continue
        first = noted[0]
        given = mine if mine and mine.time < first.time else None
        elsewise = other if other and other.time < first.time else None
        for fill, said in ((given, first.given), (elsewise, first.other)):
            index = int(series.close_time.searchsorted(first.time))
            expected = (None, int(series.close[index])) if fill is None else (fill.role, fill.price)
            assert (said.role, said.price) == expected, seed
        counted[first.given.role, first.other.role] += 1
        worth = leg.side * (first.other.price - first.given.price)
        assert first.difference_r == worth / first.risk
        # The stop counts: the other path never does worse.
        assert path == "adaptive" or worth > 0
    assert counted["stop", "target"] > 10 or counted["target", "stop"] > 10


def test_the_fill_says_that_it_is_ambiguous() -> None:
    for seed in range(200):
        rng = random.Random(seed)  # noqa: S311
        series = random_series(rng, 20)
        leg = one_leg(rng, int(series.close[0]))
        handler = OneLeg(None, leg)

        def factory(broker: Any, handler: OneLeg = handler) -> OneLeg:
            handler.broker = broker
            return handler

        host = replayed(series, factory)
        flagged = [fill for fill in handler.fills if fill.ambiguous]
        assert len(flagged) == len(host.brokers[0].ambiguous)
