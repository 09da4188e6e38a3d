"""Recording what happens to orders, whatever the strategy does.

What belongs here: a strategy class is wrapped so that its order events are written down before the
strategy sees them, and its positions are closed at the end of the window. What does not: how events
are kept (``journal``), judging them (``ledger``, ``tables``).

The engine purges closed orders so that memory stays flat, so the tables of a run are made from what
is recorded here.
"""

import functools
from typing import Any

from nautilus_trader.common import TimeEvent
from nautilus_trader.model import OrderSide, PositionId, Quantity

from odum_assets.backtest.journal import CLOSE_TAG, Journal, Keep
from odum_assets.backtest.strategies.base import OdumStrategy

_ENDS = ("on_order_canceled", "on_order_expired", "on_order_denied", "on_order_rejected")


def recorded(
    strategy: type[OdumStrategy], record: Journal, close_at_ns: int | None, *, hedging: bool = False
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
    hedging : bool, default False
        Whether a fill can close one position and open another.

    Returns
    -------
    type[OdumStrategy]
        The class to build in place of `strategy`.
    """
    keepers: dict[str, Keep] = {
        "on_order_initialized": record.orders.keep,
        "on_order_filled": record.fills.keep,
        "on_order_updated": record.changes.keep,
        **dict.fromkeys(_ENDS, record.ends.keep),
    }
    if hedging:
        keepers["on_position_opened"] = record.position_opened
    base = _closing(strategy, record, close_at_ns)
    callbacks = {name: _callback(strategy, name, keep) for name, keep in keepers.items()}
    Recorded = type(strategy.__name__, (base,), callbacks)  # noqa: N806 - it is a class
    Recorded.__qualname__ = strategy.__qualname__
    return Recorded


def _callback(strategy: type[OdumStrategy], name: str, keep: Keep) -> Any:  # noqa: ANN401
    """Return a callback that keeps an event and then tells the strategy, if it listens."""
    own = getattr(strategy, name)
    if own is getattr(OdumStrategy, name):
        # The engine calls this millions of times: no Python frame when nobody else listens.
        return keep

    @functools.wraps(own)
    def call(self: OdumStrategy, event: Any) -> None:  # noqa: ANN401
        keep(event)
        own(self, event)

    return call


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
