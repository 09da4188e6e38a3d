"""Strategies that trade in ways that accounts must survive; named by tests as import paths."""

from collections.abc import Iterator
from decimal import Decimal
from itertools import cycle
from typing import Any, Literal

from nautilus_trader.model import OrderSide, PositionId, Quantity
from pydantic import BaseModel, ConfigDict

from odum_assets.backtest.strategies.base import OdumStrategy, StrategySetup

Style = Literal["accumulate", "pyramid", "flip", "hold", "inventory"]


class Params(BaseModel):
    """What is traded, and in which position.

    Hedged ones have a long and a short leg that the strategy names; with `follow`, orders name the
    position that NautilusTrader opened last.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    style: Style
    amount: str
    hedged: bool = False
    follow: bool = False


def steps(style: Style) -> Iterator[int]:
    """Yield signed multiples of the amount, one per order; zero sends none."""
    if style == "accumulate":
        return cycle([1])
    if style == "pyramid":
        # Six growing buys up to 21, scaled out by 1, 2, ... 6; then the same short.
        return cycle([*range(1, 7), *range(-1, -7, -1), *range(-1, -7, -1), *range(1, 7)])
    if style == "flip":
        return iter_after(1, cycle([-2, 2]))
    if style == "hold":
        return iter_after(1, cycle([0]))
    # Bought thirty, then three forward and three back: never flat, the entry always moves.
    return iter_after(30, cycle([2, -3, 1, 3, -1, -2]))


def iter_after(first: int, rest: Iterator[int]) -> Iterator[int]:
    """Yield one step, then the others."""
    yield first
    yield from rest


class Styled(OdumStrategy):
    """Send one market order per trade row, as the style says."""

    Params = Params

    def __init__(self, setup: StrategySetup, params: Any) -> None:
        super().__init__(setup, params)
        self.amount = Decimal(params.amount)
        self.legs = [("LONG", 1, steps(params.style)), ("SHORT", -1, steps(params.style))]
        self.single = steps(params.style)
        self.sent = 0
        self.opened: PositionId | None = None

    def on_start(self) -> None:
        self.subscribe_trades(self.setup.instrument_id)

    def on_trade(self, _trade: Any) -> None:
        self.sent += 1
        if not self.params.hedged:
            self.send(next(self.single), self.opened if self.params.follow else None)
            return
        name, sign, leg = self.legs[self.sent % 2]
        self.send(sign * next(leg), PositionId(name))

    def on_position_opened(self, event: Any) -> None:
        self.opened = event.position_id

    def send(self, step: int, position: PositionId | None) -> None:
        """Send one order."""
        if not step:
            return
        order = self.order_factory.market(
            self.setup.instrument_id,
            OrderSide.BUY if step > 0 else OrderSide.SELL,
            Quantity.from_decimal_dp(abs(step) * self.amount, self.setup.size_precision),
        )
        self.submit_order(order, position_id=position)
