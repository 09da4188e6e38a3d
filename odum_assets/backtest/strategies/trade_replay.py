"""The built-in strategy: one order per trade row, and listed orders at the start."""

from decimal import Decimal
from typing import Any, Literal

from nautilus_trader.model import (
    AggressorSide,
    ExecAlgorithmId,
    OrderSide,
    Price,
    Quantity,
    TimeInForce,
    TradeTick,
)
from pydantic import BaseModel, ConfigDict

from odum_assets.backtest.strategies.base import OdumStrategy, StrategySetup

_SIDES = {AggressorSide.BUY: OrderSide.BUY, AggressorSide.SELL: OrderSide.SELL}


class ListedOrder(BaseModel):
    """An order that is sent once, when the first trade of the window arrives."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    side: Literal["buy", "sell"]
    price: Decimal | None
    amount: Decimal


class TradeReplayParams(BaseModel):
    """Parameters of `TradeReplay`; the run configuration's ``strategy`` section fills them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    per_trade: bool
    order_type: Literal["LIMIT", "MARKET"]
    time_in_force: Literal["IOC", "GTC", "FOK"]
    orders: tuple[ListedOrder, ...] = ()
    exec_algorithm: str | None = None


class TradeReplay(OdumStrategy):
    """Send one order per trade row, with the row's side, price and size.

    Rows without a known side send none and are counted in `skipped_no_aggressor`. Orders listed in
    the configuration are sent once before the first row's own order.

    Parameters
    ----------
    setup : StrategySetup
        What is traded.
    params : TradeReplayParams
        Order type, time in force, listed orders, execution algorithm.
    """

    Params = TradeReplayParams

    def __init__(self, setup: StrategySetup, params: TradeReplayParams) -> None:
        super().__init__(setup, params)
        self.skipped_no_aggressor = 0
        self._instrument_id = setup.instrument_id
        self._time_in_force = getattr(TimeInForce, params.time_in_force)
        self._algorithm = (
            None if params.exec_algorithm is None else ExecAlgorithmId(params.exec_algorithm)
        )
        self._is_limit = params.order_type == "LIMIT"
        self._is_per_trade = params.per_trade
        self._listed = list(params.orders)

    def on_start(self) -> None:
        """Subscribe to the trades."""
        self.subscribe_trades(self._instrument_id)

    def on_trade(self, trade: TradeTick) -> None:
        """Send the row's order."""
        # Called for every row: nothing is looked up twice.
        if self._listed:
            self._send_listed()
        if not self._is_per_trade:
            return
        side = _SIDES.get(trade.aggressor_side)
        if side is None:
            self.skipped_no_aggressor += 1
        else:
            self._send(side, trade.size, trade.price if self._is_limit else None)

    def _send_listed(self) -> None:
        listed, self._listed = self._listed, []
        for order in listed:
            side = OrderSide.BUY if order.side == "buy" else OrderSide.SELL
            size = Quantity.from_decimal_dp(order.amount, self.setup.size_precision)
            price = (
                None
                if order.price is None
                else Price.from_decimal_dp(order.price, self.setup.price_precision)
            )
            self._send(side, size, price)

    def _send(self, side: OrderSide, size: Quantity, price: Price | None) -> None:
        order: Any
        lifetime, algorithm = self._time_in_force, self._algorithm
        if price is None:
            order = self.order_factory.market(
                self._instrument_id, side, size, lifetime, exec_algorithm_id=algorithm
            )
        else:
            order = self.order_factory.limit(
                self._instrument_id, side, size, price, lifetime, exec_algorithm_id=algorithm
            )
        self.submit_order(order)
