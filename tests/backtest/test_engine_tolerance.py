"""The bound of NautilusTrader's arithmetic against its own positions, and what it comes to."""

import math
from collections.abc import Iterable
from decimal import Decimal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from nautilus_trader.core import UUID4
from nautilus_trader.model import (
    AccountId,
    ClientOrderId,
    Currency,
    LiquiditySide,
    Money,
    OrderFilled,
    OrderSide,
    OrderType,
    Position,
    PositionId,
    Price,
    Quantity,
    StrategyId,
    TradeId,
    TraderId,
    VenueOrderId,
)
from tinydays import CONTRACTS, INVERSE, LINEAR, variant

from odum_assets.backtest.engine_account import units_apart
from odum_assets.backtest.ledger import AccountRules, Fills, Ledger
from odum_assets.instruments.definitions import nautilus_instrument

D = Decimal
START = D(0)
Fill = tuple[int, int]
"""Signed quantity and price, in units of their last decimals."""


class Engine:
    """NautilusTrader's own position, and the balance that its account makes of it."""

    def __init__(self, name: str, price_precision: int, size_precision: int) -> None:
        precisions = {"price_precision": price_precision, "size_precision": size_precision}
        config = variant(name, instrument=precisions).config
        self.currency = Currency.from_str(config.venue.base_currency)
        self.rules = AccountRules(
            multiplier=config.multiplier,
            is_inverse=config.key.is_inverse,
            is_cash=False,
            price_precision=price_precision,
            size_precision=size_precision,
            currency_precision=self.currency.precision,
        )
        self.instrument = nautilus_instrument(config.spec())
        self.balance = Money.zero(self.currency)
        self.position: Position | None = None
        self.count = 0

    def apply(self, quantity: int, price: int) -> None:
        """Fill an order; one that goes through zero closes first, then opens."""
        held = 0 if self.position is None else self._units(self.position)
        if held * quantity < 0 and abs(quantity) > abs(held):
            self._apply(-held, price)
            self._apply(quantity + held, price)
        else:
            self._apply(quantity, price)

    def _units(self, position: Position) -> int:
        units = round(position.quantity.as_decimal().scaleb(self.rules.size_precision))
        return units if position.is_long else -units

    def _apply(self, quantity: int, price: int) -> None:
        fill = self._event(quantity, price)
        position = self.position
        if position is None:
            self.position = Position(self.instrument, fill)
            return
        held = self._units(position)
        if held * quantity < 0:
            gain = position.calculate_pnl(position.avg_px_open, float(fill.last_px), fill.last_qty)
            self.balance = self.balance + gain
        position.apply(fill)

    def _event(self, quantity: int, price: int) -> OrderFilled:
        self.count += 1
        rules = self.rules
        size = D(abs(quantity)).scaleb(-rules.size_precision)
        return OrderFilled(
            TraderId("T-1"),
            StrategyId("S-1"),
            self.instrument.id,
            ClientOrderId(f"O-{self.count}"),
            VenueOrderId(f"V-{self.count}"),
            AccountId("A-1"),
            TradeId(str(self.count)),
            OrderSide.BUY if quantity > 0 else OrderSide.SELL,
            OrderType.MARKET,
            Quantity.from_decimal_dp(size, rules.size_precision),
            Price.from_decimal_dp(D(price).scaleb(-rules.price_precision), rules.price_precision),
            self.currency,
            LiquiditySide.TAKER,
            UUID4(),
            self.count,
            self.count,
            False,
            PositionId("P"),
            Money.zero(self.currency),
        )


def _counted(engine: Engine, fills: Iterable[Fill]) -> Ledger:
    """Give fills to the engine and to a ledger; return the ledger."""
    rows = list(fills)
    for quantity, price in rows:
        engine.apply(quantity, price)
    ledger = Ledger(engine.rules, START)
    count = len(rows)
    ledger.apply_fills(
        Fills(
            list(range(count)),
            ["P"] * count,
            [quantity for quantity, _ in rows],
            [price for _, price in rows],
            [0] * count,
        )
    )
    return ledger


def _units_off(engine: Engine, ledger: Ledger) -> int:
    difference = engine.balance.as_decimal() - ledger.engine_cash
    return int(abs(difference).scaleb(engine.rules.currency_precision))


_PRICES = st.one_of(st.integers(1, 10**7), st.integers(640_000, 650_000), st.just(123_457))
_SIZES = st.one_of(st.integers(1, 10**6), st.integers(1, 30), st.just(10**9))
_FILLS = st.lists(
    st.tuples(st.tuples(_SIZES, st.sampled_from([1, -1])).map(math.prod), _PRICES),
    min_size=1,
    max_size=80,
)


@pytest.mark.parametrize("size_precision", [0, 3])
@pytest.mark.parametrize("name", [LINEAR, CONTRACTS, INVERSE])
@settings(max_examples=60, deadline=None)
@given(fills=_FILLS, price_precision=st.integers(0, 4))
def test_no_position_of_the_engine_is_further_off_than_the_bound(
    name: str, size_precision: int, fills: list[Fill], price_precision: int
) -> None:
    engine = Engine(name, price_precision, size_precision)
    turnover = sum(abs(quantity) * price for quantity, price in fills)
    # NautilusTrader holds no amount beyond 1.7E13.
    assume(engine.rules.is_inverse or turnover < 10 ** (13 + price_precision + size_precision))
    ledger = _counted(engine, fills)
    assert _units_off(engine, ledger) <= ledger.engine_tolerance_units


def _ways(count: int, size: int) -> dict[str, list[Fill]]:
    prices = [640_000 + 37 * index % 1_009 for index in range(count)]
    flips = [size, *(-2 * size if index % 2 else 2 * size for index in range(1, count))]
    turns = [size * step for step in (3, -1, 1, -2, 2, -1)]
    return {
        "accumulate": [*((size, price) for price in prices), (-count * size, 645_001)],
        "short": [*((-size, price) for price in prices), (count * size, 645_001)],
        "flip": list(zip(flips, prices, strict=True)),
        "turn over": [
            (1_000 * size, 640_001),
            *((turns[index % 6], price) for index, price in enumerate(prices)),
        ],
    }


@pytest.mark.parametrize("way", ["accumulate", "short", "flip", "turn over"])
@pytest.mark.parametrize("size", [1, 37, 1_000_000_000])
@pytest.mark.parametrize("name", [LINEAR, INVERSE])
def test_the_bound_holds_for_many_fills_and_follows_turnover(
    name: str, size: int, way: str
) -> None:
    engine = Engine(name, 1, 3 if name == LINEAR else 0)
    ledger = _counted(engine, _ways(3_000, size)[way])
    assert _units_off(engine, ledger) <= ledger.engine_tolerance_units
    # Under one part in ten million of a single fill's value, whatever its size.
    one = 64_000 * size / 1_000 if name == LINEAR else size / 64_000
    allowed = ledger.engine_tolerance_units / 10**engine.rules.currency_precision
    assert allowed <= max(1e-6 * one, 3e-8)


def test_small_trades_that_come_back_to_flat_leave_no_room_at_all() -> None:
    engine = Engine(LINEAR, 1, 3)
    ledger = _counted(engine, _ways(3_000, 37)["flip"])
    assert ledger.engine_tolerance_units == 0
    assert engine.balance.as_decimal() == ledger.engine_cash == ledger.cash


def test_buying_often_needs_room_that_fills_which_reduce_do_not_show() -> None:
    engine = Engine(LINEAR, 1, 3)
    ledger = _counted(engine, _ways(10_000, 37)["accumulate"])
    # One fill realizes, and NautilusTrader is off by more than its last decimal.
    assert 1 < _units_off(engine, ledger) <= ledger.engine_tolerance_units


@pytest.mark.parametrize(
    ("error", "remainder", "units"),
    [
        (0.0, 0.0, 0),
        (0.4, 0.0, 0),
        (0.5, 0.0, 1),
        (0.1, 0.39, 0),
        (0.1, 0.41, 1),
        (0.1, -0.41, 1),
        (0.0, 0.5, 1),
        (0.0, -0.5, 1),
        (1.2, 0.4, 2),
        (7.0, 0.25, 7),
    ],
)
def test_two_roundings_differ_by_the_halves_that_lie_between(
    error: float, remainder: float, units: int
) -> None:
    assert units_apart(error, remainder) == units
