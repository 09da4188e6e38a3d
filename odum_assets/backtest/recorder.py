"""Recording what happens to orders, whatever the strategy does.

What belongs here: a strategy class is wrapped so that its order events are written down before the
strategy sees them. What does not: closing its positions (``closing``), how events are kept
(``journal``), judging them (``ledger``, ``tables``).

The engine purges closed orders so that memory stays flat, so the tables of a run are made from what
is recorded here.
"""

import functools
from typing import Any

from odum_assets.backtest.journal import Journal, Keep
from odum_assets.backtest.strategies.base import OdumStrategy

_ENDS = ("on_order_canceled", "on_order_expired", "on_order_denied", "on_order_rejected")


def recorded(
    strategy: type[OdumStrategy], record: Journal, *, hedging: bool = False
) -> type[OdumStrategy]:
    """Return a subclass of a strategy whose order events are recorded.

    Parameters
    ----------
    strategy : type[OdumStrategy]
        Any strategy; it needs no code for this and cannot switch it off by overriding a callback.
    record : Journal
        Where events go.
    hedging : bool, default False
        Whether a fill can close one position and open another.

    Returns
    -------
    type[OdumStrategy]
        The class to build in place of `strategy`.
    """
    writers: dict[str, Keep] = {
        "on_order_initialized": record.orders.keep,
        "on_order_filled": record.fills.keep,
        "on_order_updated": record.changes.keep,
        **dict.fromkeys(_ENDS, record.ends.keep),
    }
    if hedging:
        writers["on_position_opened"] = record.position_opened
    callbacks = {name: _callback(strategy, name, keep) for name, keep in writers.items()}
    Recorded = type(strategy.__name__, (strategy,), callbacks)  # noqa: N806 - it is a class
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
