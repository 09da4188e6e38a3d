"""The event-driven crossover against a loop over bars with exact fractions."""

import random
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from bar_replay import share
from random_bars import random_series
from real_bars import US_EQUITY
from test_bar_known_answers import crossover

from odum_assets.backtest.strategies.ma_cross import CrossoverParams, crossings
from odum_assets.bars.fees import FeeRule
from odum_assets.bars.series import BarSeries

BALANCE = 50_000


def reference(  # noqa: C901 - one loop, to be read beside the rules
    series: BarSeries, params: CrossoverParams, fees: FeeRule, slippage: Fraction
) -> tuple[list[tuple[int, int, int]], Fraction]:
    """Return fills as bar, signed quantity and price in ticks, and equity at the last close."""
    cash, position, order = Fraction(BALANCE), 0, 0
    fills: list[tuple[int, int, int]] = []

    def trade(bar: int, quantity: int, price: int) -> None:
        nonlocal cash, position
        cash -= Fraction(quantity * price, 100) + fee(abs(quantity), price)
        position += quantity
        fills.append((bar, quantity, price))

    def fee(quantity: int, price: int) -> Fraction:
        base = Fraction(quantity * price, 100) if fees.model == "rate" else Fraction(quantity)
        return Fraction(round(base * Fraction(fees.amount) * 100), 100)

    def size(price: int) -> int:
        if params.percent_size is None:
            return int(params.fixed_size or 1)
        lots, budget = 0, Fraction(params.percent_size) * cash
        while Fraction((lots + 1) * price, 100) + fee(lots + 1, price) <= budget:
            lots += 1
        return lots

    def average(bar: int, length: int) -> Fraction:
        return Fraction(int(series.close[bar - length + 1 : bar + 1].sum()), length)

    for bar in range(len(series)):
        if order:
            worse = int(series.open[bar]) * (1 + order * slippage)
            price = -(-worse // 1) if order > 0 else worse // 1
            if position:
                trade(bar, -position, int(price))
            if order > 0 or params.side == "long_short":
                trade(bar, order * size(int(price)), int(price))
        order = 0
        if bar < params.slow:
            continue
        before = average(bar - 1, params.fast) - average(bar - 1, params.slow)
        now = average(bar, params.fast) - average(bar, params.slow)
        sign = 1 if before <= 0 < now else -1 if before >= 0 > now else 0
        if sign and position * sign <= 0 and (position or sign > 0 or params.side == "long_short"):
            order = sign
    fills = [fill for fill in fills if fill[1]]
    return fills, cash + Fraction(position * int(series.close[-1]), 100)


def drawn(rng: random.Random) -> tuple[dict[str, Any], FeeRule, str]:
    """Return parameters, fees and slippage."""
    fast = rng.randint(1, 9)
    params: dict[str, Any] = {"fast": fast, "slow": fast + rng.randint(1, 15)}
    params["side"] = rng.choice(("long", "long_short"))
    sizes: list[dict[str, Any]] = [
        {},
        {"fixed_size": rng.randint(1, 500)},
        {"percent_size": Decimal(rng.randint(1, 100)) / 100},
    ]
    params |= rng.choice(sizes)
    fees = rng.choice(
        (
            FeeRule("rate", Decimal("0.0005"), 2),
            FeeRule("rate", Decimal(0), 2),
            FeeRule("per_contract", Decimal("0.0125"), 2),
        )
    )
    return params, fees, rng.choice(("0", "0.0003", "0.002"))


@pytest.mark.parametrize("block", range(4))
def test_random_configurations_equal_the_reference(block: int) -> None:
    fills_seen = 0
    for seed in range(block * 60, (block + 1) * 60):
        rng = random.Random(seed)  # noqa: S311
        series = random_series(rng, 150)
        values, fees, slippage = drawn(rng)
        host, (fills,) = crossover(
            series, US_EQUITY, fees=fees, balance=BALANCE, slippage=slippage, **values
        )
        expected, equity = reference(
            series, CrossoverParams(**values), fees, Fraction(Decimal(slippage))
        )
        found = [
            (int(series.close_time.searchsorted(fill.time)), fill.side * fill.quantity, fill.price)
            for fill in fills
        ]
        assert found == expected, seed
        assert Fraction(host.equity) == equity, seed
        fills_seen += len(found)
    assert fills_seen > 500


def test_several_instruments_size_by_the_equity_of_the_account() -> None:
    every = [random_series(random.Random(seed), 200, instrument=f"S{seed}") for seed in (1, 2)]  # noqa: S311
    host, (first, second) = crossover(
        every, US_EQUITY, fast=2, slow=5, percent_size=Decimal("0.5"), balance=BALANCE,
        instruments=[share("A"), share("B")],
    )  # fmt: skip
    assert first
    assert second
    # Each takes half of what the account is worth then, not half of its cash, and not all.
    assert abs(host.cash) < Decimal("0.05") * BALANCE
    opening = next(fill for fill in second if fill.leg == "entry")
    assert opening.quantity * opening.price <= 0.52 * BALANCE * 100


def test_a_later_bar_changes_no_earlier_crossing() -> None:
    series = random_series(random.Random(3), 400)  # noqa: S311
    whole = crossings(series.close, 5, 13)
    assert abs(whole).sum() > 20
    for cut in range(14, 400, 11):
        changed = series.close.copy()
        changed[cut:] = 5_000
        assert (crossings(changed, 5, 13)[:cut] == whole[:cut]).all()
