"""Closing what is open at the end of a run: through the book, or at the last trade's price.

What belongs here: the orders that close positions, when they are sent, and the fills that stand for
what the book did not take. What does not: recording (``recorder``), counting (``ledger``).
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, NamedTuple

from nautilus_trader.common import TimeEvent
from nautilus_trader.model import (
    BookType,
    Currency,
    Money,
    OrderSide,
    OrderType,
    PositionId,
    Price,
    Quantity,
    TimeInForce,
)

from odum_assets.backtest.guard import WrappedClock
from odum_assets.backtest.journal import CLOSE_TAG, SIMULATED, SIMULATED_TAG, FillPart, Journal
from odum_assets.backtest.plan import RunPlan
from odum_assets.backtest.strategies.base import OdumStrategy

_RUN_TIMERS = "odum."
_ALWAYS = "odum_runs_always"


@dataclass(frozen=True, slots=True)
class ClosingTimes:
    """When positions are closed, market time in ns.

    Parameters
    ----------
    close_at_ns : int
        When what is open is closed by market orders.
    work_from_ns : int or None
        When the strategy stops and its positions are worked; None if they are not.
    has_books : bool
        Whether the run replays books; trades move the market otherwise.
    """

    close_at_ns: int
    work_from_ns: int | None
    has_books: bool

    @classmethod
    def of(cls, plan: RunPlan) -> "ClosingTimes | None":
        """Return the times of a plan, None where positions stay open."""
        if plan.closing is None:
            return None
        return cls(plan.close_at_ns, plan.work_from_ns, plan.snapshot_mode != "trades")


def closing_strategy(
    strategy: type[OdumStrategy],
    record: Journal,
    times: ClosingTimes | None,
    stop_algorithm: Callable[[], None],
) -> type[OdumStrategy]:
    """Return a subclass of a strategy that closes its positions.

    Parameters
    ----------
    strategy : type[OdumStrategy]
        Any strategy.
    record : Journal
        Says what is open.
    times : ClosingTimes or None
        When; None leaves positions open.
    stop_algorithm : Callable
        Cancels the orders that an execution algorithm is working.
    """
    if times is None:
        return strategy
    if times.work_from_ns is None:
        return _closing_at_end(strategy, record, times.close_at_ns)
    stopped = _Stopped()
    stoppable = _closing_at_end(_stoppable(strategy, stopped), record, times.close_at_ns)
    return _working(stoppable, _Work(record, times, stopped, stop_algorithm))


class _Stopped:
    """Whether a strategy has been stopped."""

    def __init__(self) -> None:
        self.is_set = False

    def __bool__(self) -> bool:
        return self.is_set


def _closing_at_end(
    strategy: type[OdumStrategy], record: Journal, close_at_ns: int
) -> type[OdumStrategy]:
    """Return a subclass that sends market orders for its positions at a moment."""

    class Closing(strategy):  # type: ignore[misc, valid-type]
        def on_start(self) -> None:
            self.clock.set_time_alert_ns("odum.close", close_at_ns, self._odum_close)
            super().on_start()

        @_runs_always
        def _odum_close(self, event: TimeEvent) -> None:
            self.cancel_all_orders(self.setup.instrument_id)
            if record.closing_at_ns is None:
                record.closing_at_ns = event.ts_event
            # Not close_all_positions: it copies each position with all its fills.
            for name, amount in record.open_positions():
                self._odum_send(name, amount, TimeInForce.GTC)

        def _odum_send(self, name: str, amount: Decimal, lifetime: TimeInForce) -> Any:  # noqa: ANN401
            order = self.order_factory.market(
                self.setup.instrument_id,
                OrderSide.SELL if amount > 0 else OrderSide.BUY,
                Quantity.from_decimal_dp(abs(amount), self.setup.size_precision),
                lifetime,
                reduce_only=True,
                tags=[CLOSE_TAG],
            )
            self.submit_order(order, position_id=PositionId(name))
            return order.client_order_id

    return _named(Closing, strategy)


def _runs_always[F: Callable[..., Any]](callback: F) -> F:
    """Mark a timer's callback that is called for a strategy that was stopped, too."""
    callback.__dict__[_ALWAYS] = True
    return callback


def _named(kind: type[OdumStrategy], strategy: type[OdumStrategy]) -> type[OdumStrategy]:
    """Give a subclass the name of the strategy that it stands for."""
    kind.__name__, kind.__qualname__ = strategy.__name__, strategy.__qualname__
    kind.__module__ = strategy.__module__
    return kind


def _stoppable(strategy: type[OdumStrategy], stopped: _Stopped) -> type[OdumStrategy]:
    """Return a subclass whose own callbacks are no longer called once it is stopped.

    Timers' are among them: NautilusTrader collects those of a step of time before it calls any.
    """

    def gated(own: Any) -> Any:  # noqa: ANN401 - a callback
        @functools.wraps(own)
        def call(self: OdumStrategy, *args: Any) -> None:  # noqa: ANN401
            if not stopped:
                own(self, *args)

        return call

    callbacks = {
        name: gated(getattr(strategy, name))
        for name in dir(strategy)
        if name.startswith("on_") and getattr(strategy, name) is not getattr(OdumStrategy, name)
    }

    def gated_timer(callback: Any) -> Any:  # noqa: ANN401
        if getattr(callback, _ALWAYS, False):
            return callback
        return lambda event: None if stopped else callback(event)

    clock = property(lambda self: WrappedClock(super(kind, self).clock, gated_timer))
    kind: Any = type(strategy.__name__, (strategy,), {**callbacks, "clock": clock})
    return _named(kind, strategy)


class _Work:
    """Working the positions of a strategy that was stopped."""

    def __init__(
        self,
        record: Journal,
        times: ClosingTimes,
        stopped: _Stopped,
        stop_algorithm: Callable[[], None],
    ) -> None:
        self.times = times
        self.stopped = stopped
        self._record = record
        self._stop_algorithm = stop_algorithm
        self._sent: dict[str, Any] = {}

    def begin(self, strategy: Any, now_ns: int) -> None:  # noqa: ANN401 - of a class made here
        """Stop a strategy, and send what is open into the book as it is."""
        strategy.on_stop()
        self.stopped.is_set = True
        for name in strategy.clock.timer_names():
            if not name.startswith(_RUN_TIMERS):
                strategy.clock.cancel_timer(name)
        self._stop_algorithm()
        instrument_id = strategy.setup.instrument_id
        strategy.cancel_all_orders(instrument_id)
        self._record.closing_at_ns = now_ns
        if self.times.has_books:
            strategy.subscribe_book_depth(instrument_id, BookType.L2_MBP)
        else:
            strategy.subscribe_trades(instrument_id)
        self.proceed(strategy)

    def proceed(self, strategy: Any) -> None:  # noqa: ANN401
        """Send what is open, and not on its way, into the book as it is."""
        for name, amount in self._record.open_positions():
            sent = self._sent.get(name)
            order = None if sent is None else strategy.cache.order(sent)
            # With latency, several books go by before an order has arrived.
            if order is None or order.is_closed:
                self._sent[name] = strategy._odum_send(name, amount, TimeInForce.IOC)


def _working(strategy: type[OdumStrategy], work: _Work) -> type[OdumStrategy]:
    """Return a subclass that stops at a moment and sends what is open into each book from then."""
    stopped, times = work.stopped, work.times

    class Working(strategy):  # type: ignore[misc, valid-type]
        def on_start(self) -> None:
            self.clock.set_time_alert_ns("odum.work", times.work_from_ns, self._odum_begin)
            super().on_start()

        @_runs_always
        def _odum_begin(self, event: TimeEvent) -> None:
            work.begin(self, event.ts_event)

        def on_book_depth(self, depth: Any) -> None:  # noqa: ANN401
            if not stopped:
                super().on_book_depth(depth)
            elif times.has_books:
                work.proceed(self)

        def on_trade(self, trade: Any) -> None:  # noqa: ANN401
            if not stopped:
                super().on_trade(trade)
            elif not times.has_books:
                work.proceed(self)

    return _named(Working, strategy)


class _SimulatedOrder(NamedTuple):
    """An order that was never sent; the names are those of an order's event."""

    ts_init: int
    client_order_id: str
    order_side: OrderSide
    order_type: OrderType
    time_in_force: TimeInForce
    price: None
    quantity: Quantity
    exec_spawn_id: None
    exec_algorithm_id: None
    tags: list[str]


def close_at_last_price(plan: RunPlan, record: Journal, now_ns: int) -> None:
    """Record a fill at the last trade's price for each open position, marked as simulated.

    NautilusTrader does not know of these fills: for it the positions stay open.
    """
    config = plan.config
    sizes, prices = config.instrument.size_precision, config.instrument.price_precision
    currency = Currency.from_str(config.venue.base_currency)
    price = Price.from_decimal_dp(plan.last_price, prices)
    for number, (name, amount) in enumerate(record.open_positions(), 1):
        order_id = f"SIMULATED-{number}"
        quantity = Quantity.from_decimal_dp(abs(amount), sizes)
        fee = _notional(plan, abs(amount)) * config.venue.taker_fee
        rounded = fee.quantize(Decimal(1).scaleb(-currency.precision), ROUND_HALF_EVEN)
        record.orders.keep(
            _SimulatedOrder(
                now_ns,
                order_id,
                OrderSide.SELL if amount > 0 else OrderSide.BUY,
                OrderType.MARKET,
                TimeInForce.IOC,
                None,
                quantity,
                None,
                None,
                [SIMULATED_TAG],
            )
        )
        commission = Money.from_decimal(rounded, currency)
        record.fills.keep(
            FillPart(now_ns, order_id, name, amount < 0, price, quantity, commission, SIMULATED)
        )


def _notional(plan: RunPlan, quantity: Decimal) -> Decimal:
    """Return the value of a quantity at the last price, in the account currency."""
    contracts = quantity * plan.config.multiplier
    if plan.config.key.is_inverse:
        return contracts / plan.last_price
    return contracts * plan.last_price
