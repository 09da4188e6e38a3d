"""ICEBERG: a part of an order is shown at a time, and replenished when it has filled."""

from decimal import Decimal
from typing import Any, Self

from nautilus_trader.model import ExecAlgorithmId, OrderFilled, OrderType
from nautilus_trader.trading import ExecutionAlgorithm, ExecutionAlgorithmConfig

from odum_assets.backtest.algorithms.lots import Lots
from odum_assets.backtest.algorithms.timed import spawn_part, standing

ICEBERG = "ICEBERG"


class IcebergAlgorithm(ExecutionAlgorithm):
    """Show a fixed part of every order; send the next one when it has filled completely.

    The visible part is a share of the whole order, at least one lot, so the tail has an end. A part
    that is canceled, expires or is refused (an IOC part that the book did not take) ends the order:
    what was never shown is not sent.

    Parameters
    ----------
    visible_pct : Decimal
        Visible share of the order, above 0 and up to 1.
    lots : Lots
        Size increment of the instrument.
    """

    def __new__(cls, *_args: Any) -> Self:  # noqa: ANN401
        """Make the Rust part, which takes the configuration alone."""
        return super().__new__(cls, ExecutionAlgorithmConfig(ExecAlgorithmId(ICEBERG)))  # type: ignore[call-arg]

    def __init__(self, visible_pct: Decimal, lots: Lots) -> None:
        super().__init__(ExecutionAlgorithmConfig(ExecAlgorithmId(ICEBERG)))
        self._visible_pct = visible_pct
        self._lots = lots
        # Visible part -> [order, lots not yet shown, lots of a part, lots of this part unfilled]
        self._shown: dict[str, list[Any]] = {}

    def on_order(self, order: Any) -> None:  # noqa: ANN401 - Nautilus' orders have no common type
        """Show the first part."""
        lots = self._lots.of(order.quantity)
        self._show(order, lots, max(int(lots * self._visible_pct), 1))

    def on_order_filled(self, event: OrderFilled) -> None:
        """Show the next part when one has filled completely."""
        part_id = str(event.client_order_id)
        state = self._shown.get(part_id)
        if state is None:
            return
        state[3] -= self._lots.of(event.last_qty)
        if state[3] > 0:
            return
        order, hidden, size, _ = self._shown.pop(part_id)
        if hidden > 0:
            self._show(order, hidden, size)

    def _end(self, event: Any) -> None:  # noqa: ANN401 - any terminal order event
        self._shown.pop(str(event.client_order_id), None)

    on_order_canceled = _end
    on_order_expired = _end
    on_order_rejected = _end
    on_order_denied = _end

    def _show(self, order: Any, hidden: int, size: int) -> None:  # noqa: ANN401
        current = standing(self, order)
        if current is None:
            return
        part = min(size, hidden)
        state = [order, hidden - part, size, part]
        if hidden > part:
            quantity = self._lots.quantity(part)
            # Known before it is sent: it may fill at once.
            is_market = current.order_type != OrderType.LIMIT
            child = spawn_part(self, current, quantity, is_market=is_market)
            self._shown[str(child.client_order_id)] = state
            self.submit_order(child)
        else:
            self._shown[str(order.client_order_id)] = state
            self.submit_order(current)
