"""Recording what happens to orders, whatever the strategy does.

What belongs here: a strategy class is wrapped so that its order events are written down before the
strategy sees them, and its positions are closed at the end of the window. What does not: how events
are kept (``journal``), judging them (``ledger``, ``tables``).

The engine purges closed orders so that memory stays flat, so the tables of a run are made from what
is recorded here.
"""

from nautilus_trader.common import TimeEvent
from nautilus_trader.model import (
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderInitialized,
    OrderRejected,
    OrderSide,
    OrderUpdated,
    PositionId,
    Quantity,
)

from odum_assets.backtest.journal import CLOSE_TAG, Journal
from odum_assets.backtest.strategies.base import OdumStrategy


def recorded(
    strategy: type[OdumStrategy], record: Journal, close_at_ns: int | None
) -> type[OdumStrategy]:
    """Return a subclass of a strategy whose order events are recorded.

    Parameters
    ----------
    strategy : type[OdumStrategy]
        Any strategy; it needs no code for this and cannot switch it off by overriding a callback.
    record : Journal
        Where events go.
    close_at_ns : int or None
        Moment (ns) at which open orders are canceled and open positions closed by market orders;
        None leaves them.

    Returns
    -------
    type[OdumStrategy]
        The class to build in place of `strategy`.
    """
    keep_order, keep_fill = record.orders.add, record.fills.add
    keep_change, keep_end = record.changes.add, record.ends.add

    class Recorded(_closing(strategy, record, close_at_ns)):  # type: ignore[misc]
        def on_order_initialized(self, event: OrderInitialized) -> None:
            keep_order(event)
            super().on_order_initialized(event)

        def on_order_filled(self, event: OrderFilled) -> None:
            keep_fill(event)
            super().on_order_filled(event)

        def on_order_updated(self, event: OrderUpdated) -> None:
            keep_change(event)
            super().on_order_updated(event)

        def on_order_canceled(self, event: OrderCanceled) -> None:
            keep_end((event, "canceled"))
            super().on_order_canceled(event)

        def on_order_expired(self, event: OrderExpired) -> None:
            keep_end((event, "expired"))
            super().on_order_expired(event)

        def on_order_denied(self, event: OrderDenied) -> None:
            keep_end((event, "denied"))
            super().on_order_denied(event)

        def on_order_rejected(self, event: OrderRejected) -> None:
            keep_end((event, "rejected"))
            super().on_order_rejected(event)

    Recorded.__name__ = strategy.__name__
    Recorded.__qualname__ = strategy.__qualname__
    return Recorded


def _closing(
    strategy: type[OdumStrategy], record: Journal, close_at_ns: int | None
) -> type[OdumStrategy]:
    """Return a subclass that closes its positions at a moment."""

    class Closing(strategy):  # type: ignore[misc, valid-type]
        def on_start(self) -> None:
            if close_at_ns is not None:
                self.clock.set_time_alert_ns("odum.close", close_at_ns, self._odum_close)
            super().on_start()

        def _odum_close(self, event: TimeEvent) -> None:
            instrument_id = self.setup.instrument_id
            self.cancel_all_orders(instrument_id)
            record.closing_at_ns = event.ts_event
            # Not close_all_positions: it copies each position with all its fills.
            for name, amount in record.open_positions():
                order = self.order_factory.market(
                    instrument_id,
                    OrderSide.SELL if amount > 0 else OrderSide.BUY,
                    Quantity.from_decimal_dp(abs(amount), self.setup.size_precision),
                    reduce_only=True,
                    tags=[CLOSE_TAG],
                )
                self.submit_order(order, position_id=PositionId(name))

    return Closing
