"""The built-in strategy of a file of orders: each is sent at its time."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from nautilus_trader.common import TimeEvent
from nautilus_trader.model import ExecAlgorithmId, OrderSide, Price, Quantity, TimeInForce
from pydantic import BaseModel, ConfigDict

from odum_assets.backtest.journal import FILE_TAG
from odum_assets.backtest.order_file import LIFETIMES, NO_PRICE, HeldOrders
from odum_assets.backtest.strategies.base import OdumStrategy, StrategySetup
from odum_assets.catalog.fixed_point import amount_of

_LIFETIMES = [getattr(TimeInForce, name) for name in LIFETIMES]
_TIMER = "orders_file"


class OrderReplayParams(BaseModel):
    """Parameters of `OrderReplay`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    orders: HeldOrders
    exec_algorithm: str | None = None


class _Order(NamedTuple):
    """An order of the file."""

    ts: int
    side: int
    price: int
    size: int
    lifetime: int
    tag: str | None


class OrderReplay(OdumStrategy):
    """Send the orders of a file, each at its time.

    A timer goes off when all rows of its time have moved the market, and before the next row: what
    is sent then meets the market as it was known at that time.

    Parameters
    ----------
    setup : StrategySetup
        What is traded.
    params : OrderReplayParams
        The file, and the execution algorithm.
    """

    Params = OrderReplayParams

    def __init__(self, setup: StrategySetup, params: OrderReplayParams) -> None:
        super().__init__(setup, params)
        self._algorithm = (
            None if params.exec_algorithm is None else ExecAlgorithmId(params.exec_algorithm)
        )
        self._orders = _orders(params.orders, (setup.price_precision, setup.size_precision))
        self._coming: _Order | None = None

    def on_start(self) -> None:
        """Wait for the time of the first order."""
        # An engine replays what somebody listens to.
        self.subscribe_trades(self.setup.instrument_id)
        self._coming = next(self._orders, None)
        self._wait()

    def _wait(self) -> None:
        if self._coming is not None:
            # One timer at a time: memory does not follow the size of the file.
            self.clock.set_time_alert_ns(_TIMER, self._coming.ts, self._on_time)

    def _on_time(self, event: TimeEvent) -> None:
        while self._coming is not None and self._coming.ts <= event.ts_event:
            self._send(self._coming)
            self._coming = next(self._orders, None)
        self._wait()

    def _send(self, order: _Order) -> None:
        setup, tag = self.setup, order.tag
        side = OrderSide.BUY if order.side > 0 else OrderSide.SELL
        size = Quantity.from_decimal_dp(
            amount_of(order.size, setup.size_precision), setup.size_precision
        )
        tags = None if tag is None else [FILE_TAG, tag]
        sent: Any
        if order.price == NO_PRICE:
            sent = self.order_factory.market(
                setup.instrument_id,
                side,
                size,
                _LIFETIMES[order.lifetime],
                exec_algorithm_id=self._algorithm,
                tags=tags,
            )
        else:
            sent = self.order_factory.limit(
                setup.instrument_id,
                side,
                size,
                Price.from_decimal_dp(
                    amount_of(order.price, setup.price_precision), setup.price_precision
                ),
                _LIFETIMES[order.lifetime],
                exec_algorithm_id=self._algorithm,
                tags=tags,
            )
        self.submit_order(sent)


def _orders(held: HeldOrders, digits: tuple[int, int]) -> Iterator[_Order]:
    for rows in held.rows(digits):
        columns = [column.tolist() for column in rows[:-1]]
        yield from map(_Order, *columns, rows.tag.to_pylist())
