"""Hold a position while the price is above its moving average."""

from collections import deque

from nautilus_trader.model import OrderSide, Quantity
from pydantic import BaseModel, ConfigDict

from odum_assets.backtest.strategies.base import OdumStrategy


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    window: int = 200
    amount: str = "0.100"


class Momentum(OdumStrategy):
    Params = Params

    def __init__(self, setup, params):
        super().__init__(setup, params)
        self.prices = deque(maxlen=params.window)
        self.is_long = False

    def on_start(self):
        self.subscribe_trades(self.setup.instrument_id)

    def on_trade(self, trade):
        self.prices.append(float(trade.price))
        is_above = self.prices[-1] > sum(self.prices) / len(self.prices)
        if len(self.prices) == self.params.window and is_above != self.is_long:
            self.is_long = is_above
            side = OrderSide.BUY if is_above else OrderSide.SELL
            size = Quantity.from_str(self.params.amount)
            self.submit_order(self.order_factory.market(self.setup.instrument_id, side, size))
