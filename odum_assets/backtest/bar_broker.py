"""Orders of strategies on bars, worked on NautilusTrader.

`BarStrategyHost` is one NautilusTrader strategy for all instruments of a run. For each of them a
`NautilusBroker` takes the orders of a `BarHandler`, keeps what was decided at a close until the
next bar opens, sends the exits of a leg when its entry fills, and withdraws one exit when the other
fills. NautilusTrader matches, fills, and keeps the account.

Decisions wait here, not at the venue: an order sent at a close would meet the price of that close.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from itertools import pairwise
from typing import Any, cast

from nautilus_trader.model import ClientOrderId, OrderSide, Price, Quantity

from odum_assets.backtest.bar_market import BarMarket, BarPosition, PathOrder, bar_type
from odum_assets.backtest.journal import CLOSE_TAG
from odum_assets.backtest.strategies.base import OdumStrategy
from odum_assets.bars.broker import BarHandler, Bracket, Fill, Role, Side, Size
from odum_assets.bars.path import Exit, Path, exit_on, path_points
from odum_assets.bars.series import BarSeries
from odum_assets.bars.strategy import BarAccount
from odum_assets.errors import BacktestError

type HandlerFactory = Callable[["BarStrategyHost"], Sequence[BarHandler]]

EXPIRY_TAG = "expiry"
"""In place of a leg's name: NautilusTrader settled what was open when the contract expired."""

_OTHER_PATH: dict[Path, Path] = {"conservative": "adaptive", "adaptive": "conservative"}


@dataclass(frozen=True, slots=True)
class AmbiguousExit:
    """Say that the other path through a bar would have ended a leg in another way.

    Parameters
    ----------
    instrument
        The instrument key.
    leg
        The leg.
    time
        When the bar closes, in nanoseconds since the epoch (UTC).
    side, quantity
        Of the leg's entry.
    given, other
        How the leg stood at the bar's end on the path of the run, and on the other one.
    risk
        Ticks between the planned entry and the stop that the leg started with.
    """

    instrument: str
    leg: str
    time: int
    side: Side
    quantity: int
    given: Exit
    other: Exit
    risk: int

    @property
    def difference_r(self) -> float:
        """Return by how many R the other path's answer is better, negative if it is worse."""
        return self.side * (self.other.price - self.given.price) / self.risk


@dataclass(slots=True)
class _Leg:
    """A leg that lives: its entry waits, or it is open.

    `entered` is the bar in which its entry filled; `is_late` tells that it was sent inside a bar.
    """

    plan: Bracket
    stop: int
    target: int | None
    is_late: bool
    entry: int | None = None
    entered: int = -1
    orders: dict[Role, str] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        return self.entry is not None

    @property
    def exit_side(self) -> Side:
        return -1 if self.plan.side > 0 else 1

    def price(self, role: Role) -> int | None:
        return self.stop if role == "stop" else self.target


class NautilusBroker:
    """Take the orders of a strategy for one instrument: `odum_assets.bars.broker.Broker`.

    Parameters
    ----------
    host
        The NautilusTrader strategy that sends them.
    instrument
        The NautilusTrader instrument.
    market
        Where its price is.
    """

    def __init__(self, host: "BarStrategyHost", instrument: Any, market: BarPosition) -> None:  # noqa: ANN401
        self.ambiguous: list[AmbiguousExit] = []
        self._host = host
        self._instrument = instrument
        self._market = market
        self._handler: BarHandler
        self._legs: dict[str, _Leg] = {}
        self._by_order: dict[str, _Leg] = {}
        self._at_close: list[Callable[[], None]] = []
        self._at_open: deque[Callable[[], bool]] = deque()
        self._unfilled: set[str] = set()
        self._moved: dict[str, _Leg] = {}
        self._position = 0
        self._filled_at: int | None = None
        self._other_path = _OTHER_PATH[market.path]
        self._other_points = path_points(market.series, self._other_path)

    @property
    def series(self) -> BarSeries:
        """Return the bars that are replayed."""
        return self._market.series

    @property
    def account(self) -> BarAccount:
        """Return the account of all instruments."""
        return self._host

    @property
    def position(self) -> int:
        """Give the net position in units of ``10 ** -size_precision``."""
        return self._position

    def market(self, side: Side, quantity: Size, tag: str) -> None:
        """Send a market order that fills at the next bar's open."""
        self._at_open.append(partial(self._send_market, tag, side, quantity))

    def bracket(self, bracket: Bracket) -> None:
        """Rest a leg from the next bar's open on; from `on_fill` on the rest of the bar's path."""
        if bracket.leg in self._legs:
            raise BacktestError(f"leg {bracket.leg}: there is one of this name already")
        check_bracket(bracket)
        is_late = not self._market.is_closed and bracket.trigger is not None
        leg = _Leg(bracket, bracket.stop, bracket.target, is_late)
        self._legs[bracket.leg] = leg
        if is_late:
            self._enter(leg, self._filled_at)
        else:
            self._at_open.append(partial(self._enter, leg))

    def cancel(self, leg: str) -> None:
        """Cancel an entry that has not filled."""
        known = self._legs.get(leg)
        if known is not None and not known.is_open:
            self._end(known)

    def move_stop(self, leg: str, price: int) -> None:
        """Move the stop of a leg, valid from the next bar's open on."""
        self._at_bar_end(lambda: self._move(leg, "stop", price))

    def move_target(self, leg: str, price: int | None) -> None:
        """Move or remove the target of a leg, valid from the next bar's open on."""
        self._at_bar_end(lambda: self._move(leg, "target", price))

    def close(self, leg: str) -> None:
        """Close what is open of a leg at the next open; its exits live to the end of the bar."""
        self._at_bar_end(lambda: self._close(leg))

    def start(self, handler: BarHandler) -> None:
        """Set who is called."""
        self._handler = handler

    def bar_closed(self) -> None:
        """Carry out what waits for the close, then let the strategy decide."""
        self._note_survivors()
        waiting, self._at_close = self._at_close, []
        for act in waiting:
            act()
        self._handler.on_bar(self._market.bar)

    def bar_opened(self) -> None:
        """Carry out what was decided since the close."""
        while self._at_open and self._at_open[0]():
            self._at_open.popleft()

    def close_all(self) -> None:
        """Close everything at the price of the last close."""
        self._at_open.clear()
        rest = self._position
        for leg in list(self._legs.values()):
            plan = leg.plan
            self._end(leg)
            if leg.is_open:
                self._send(plan.leg, "market", leg.exit_side, plan.quantity, None, is_last=True)
                rest -= plan.side * plan.quantity
        if rest:
            side: Side = -1 if rest > 0 else 1
            self._send(CLOSE_TAG, "market", side, abs(rest), None, is_last=True)

    def expire(self) -> None:
        """Forget all legs: their instrument has expired."""
        for leg in list(self._legs.values()):
            self._end(leg)

    def ended(self, name: str) -> None:
        """Go on when an order that had to fill at this open has, or was refused."""
        if name in self._unfilled:
            self._unfilled.remove(name)
            self.bar_opened()

    def refused(self, name: str) -> None:
        """Take note that an order ended without a fill."""
        leg = self._by_order.pop(name, None)
        if leg is not None:
            leg.orders = {role: item for role, item in leg.orders.items() if item != name}
            if not leg.is_open:
                self._legs.pop(leg.plan.leg, None)
        self.ended(name)

    def filled(self, name: str, order: PathOrder, price: int, time: int) -> None:
        """Take in a fill of NautilusTrader's."""
        if price != order.filled:
            raise BacktestError(
                f"NautilusTrader filled {order.role} of {order.leg} at {price} ticks, "
                f"the bar's path gives {order.filled}"
            )
        self._position += order.side * order.quantity
        leg = self._by_order.pop(name, None)
        is_ambiguous = False
        if leg is not None:
            leg.orders.pop(order.role, None)
            if order.role == "entry":
                leg.entry, leg.entered = order.at, self._market.bar
                self._send_exit(leg, "stop", order.at)
                self._send_exit(leg, "target", order.at)
            else:
                is_ambiguous = self._is_ambiguous(leg, Exit(order.role, order.at))
                self._end(leg)
        self._filled_at = order.at
        self._handler.on_fill(
            Fill(order.leg, order.role, order.side, order.quantity, price, time, is_ambiguous)
        )
        self.ended(name)

    def _at_bar_end(self, act: Callable[[], None]) -> None:
        if self._market.is_closed:
            act()
        else:
            self._at_close.append(act)

    # What is carried out at an open says whether it was; if not, it is asked again.

    def _send_market(self, tag: str, side: Side, size: Size) -> bool:
        if not isinstance(size, int):
            if self._unfilled:
                return False
            size = size(self._market.slipped(self._market.here, side))
        if size:
            self._unfilled.add(self._send(tag, "market", side, size, None))
        return True

    def _enter(self, leg: _Leg, since: int | None = None) -> bool:
        plan = leg.plan
        if self._legs.get(plan.leg) is leg:
            self._send(plan.leg, "entry", plan.side, plan.quantity, plan.trigger, leg, since)
        return True

    def _move(self, name: str, role: Role, price: int | None) -> None:
        leg = self._legs.get(name)
        if leg is None:
            return
        if role == "stop":
            assert price is not None  # noqa: S101 - a stop always has one
            leg.stop = price
        else:
            leg.target = price
        check_exits(name, leg.plan.side, leg.stop, leg.target)
        self._moved[name] = leg

    def carry_out_moves(self) -> None:
        """Change exits at the venue to what was decided since the close."""
        if not self._market.is_closed:
            return
        moved, self._moved = self._moved, {}
        for name, leg in moved.items():
            if leg.is_open and self._legs.get(name) is leg:
                self._move_order(leg, "stop")
                self._move_order(leg, "target")

    def _move_order(self, leg: _Leg, role: Role) -> None:
        """Change an exit, unless it would meet the price of this close: then at the next open."""
        market, price, name = self._market, leg.price(role), leg.orders.get(role)
        if role == "target" and name is not None:
            market.orders[name].stop = leg.stop
        if name is not None:
            order = market.orders[name]
            if order.price == price:
                return
            if price is not None and not replace(order, price=price).is_beyond(market.here):
                order.price = price
                self._host.change(name, self._price(price), is_stop=role == "stop")
                return
            self._withdraw(leg, role)
        if price is not None:
            self._at_open.append(partial(self._send_exit, leg, role))

    def _close(self, name: str) -> None:
        leg = self._legs.get(name)
        if leg is None:
            return
        plan = leg.plan
        self._end(leg)
        if leg.is_open:
            self._at_open.append(partial(self._send_market, name, leg.exit_side, plan.quantity))

    def _end(self, leg: _Leg) -> None:
        """Forget a leg and withdraw what is left of its orders."""
        for role in list(leg.orders):
            self._withdraw(leg, role)
        self._legs.pop(leg.plan.leg, None)

    def _withdraw(self, leg: _Leg, role: Role) -> None:
        name = leg.orders.pop(role)
        self._market.orders[name].withdrawn = True
        self._by_order.pop(name, None)
        self._host.withdraw(name)

    def _send_exit(self, leg: _Leg, role: Role, since: int | None = None) -> bool:
        price, plan = leg.price(role), leg.plan
        is_alive = self._legs.get(plan.leg) is leg and role not in leg.orders
        if price is not None and is_alive:
            self._send(plan.leg, role, leg.exit_side, plan.quantity, price, leg, since)
        return True

    def _send(
        self,
        name: str,
        role: Role,
        side: Side,
        quantity: int,
        price: int | None,
        leg: _Leg | None = None,
        since: int | None = None,
        *,
        is_last: bool = False,
    ) -> str:
        market = self._market
        start = market.here if since is None else since
        order = PathOrder(name, role, side, quantity, price, is_last=is_last)
        order.since = (market.bar, market.point, start)
        if role == "target" and leg is not None:
            order.stop = leg.stop
        # The venue compares with the point that price moves to, not with where this fill was.
        if price is not None and order.is_beyond(start) and not order.is_beyond(market.here):
            order.price = None
        identifier = self._host.send(self._instrument, market, order)
        if leg is not None:
            leg.orders[role] = identifier
            self._by_order[identifier] = leg
        return identifier

    def _is_ambiguous(self, leg: _Leg, given: Exit) -> bool:
        """Return whether the other path ends a leg otherwise in this bar, and note it."""
        market, plan = self._market, leg.plan
        is_new = leg.entered == market.bar
        if leg.is_late and is_new:
            return False
        points = self._other_points[market.bar].tolist()
        trigger = plan.trigger if is_new else None
        other = exit_on(points, plan.side, trigger, leg.stop, leg.target, self._other_path)
        if other == given:
            return False
        entry = leg.entry if plan.trigger is None else plan.trigger
        assert entry is not None  # noqa: S101 - only open legs come here
        series = market.series
        self.ambiguous.append(
            AmbiguousExit(
                series.instrument,
                plan.leg,
                int(series.close_time[market.bar]),
                plan.side,
                plan.quantity,
                given,
                other,
                abs(entry - plan.stop),
            )
        )
        return True

    def _note_survivors(self) -> None:
        """Note legs that the path of the run leaves open and the other one does not."""
        market = self._market
        if market.path == "adaptive":
            for leg in self._legs.values():
                if leg.entered == market.bar:
                    self._is_ambiguous(leg, Exit(None, market.here))

    def _price(self, ticks: int) -> Price:
        return Price.from_decimal_dp(
            self._market.series.price(ticks), self._instrument.price_precision
        )


class BarStrategyHost(OdumStrategy):
    """Run strategies on bars inside NautilusTrader, one for each instrument.

    Parameters
    ----------
    setup
        The instruments in the order of the configuration, and their market.
    params
        Makes the strategies of the instruments from their brokers.
    balance
        Cash at the start.

    Attributes
    ----------
    sent
        Order id, instrument, leg and role of every order.
    triggers
        Trigger price of every stop order, the last one where it was moved, by order id.
    closes_at_end
        Whether what is open is closed at the last close.
    """

    def __init__(
        self, setup: BarMarket, params: HandlerFactory, balance: Decimal = Decimal(0)
    ) -> None:
        super().__init__(cast("Any", setup), params)
        self.market = setup
        self.cash = balance
        self.sent: list[tuple[str, str, str, Role]] = []
        self.triggers: dict[str, Decimal] = {}
        self.closes_at_end = False
        self.brokers = [
            NautilusBroker(self, instrument, position)
            for instrument, position in zip(setup.instruments, setup.positions, strict=True)
        ]
        for broker, handler in zip(self.brokers, params(self), strict=True):
            broker.start(handler)

    @property
    def equity(self) -> Decimal:
        """Return cash and what is open, at the latest price of each instrument."""
        return self.cash + sum(
            (
                broker.position * position.here * position.tick_value
                for broker, position in zip(self.brokers, self.market.positions, strict=True)
            ),
            Decimal(0),
        )

    def on_start(self) -> None:
        """Subscribe to bars, and to the quotes of which the first of a bar is its open."""
        for instrument, position in zip(
            self.market.instruments, self.market.positions, strict=True
        ):
            self.subscribe_quotes(instrument.id)
            self.subscribe_bars(bar_type(instrument, position.series.step))

    def on_quote(self, _quote: Any) -> None:  # noqa: ANN401
        """Carry out at a bar's open what was decided before."""
        slot = self.market.slot
        if not self.market.positions[slot].point:
            self.brokers[slot].bar_opened()

    def on_bar(self, _bar: Any) -> None:  # noqa: ANN401
        """Let the strategy of the instrument decide."""
        self.brokers[self.market.slot].bar_closed()
        for broker in self.brokers:
            broker.carry_out_moves()
        if self.closes_at_end and not self.market.remaining:
            for broker in self.brokers:
                broker.close_all()

    def on_order_filled(self, event: Any) -> None:  # noqa: ANN401
        """Tell the strategy of the instrument."""
        name = str(event.client_order_id)
        position = self.market.by_order.pop(name, None)
        if position is None:
            position = self._settlement(name, event)
        order = position.orders.pop(name)
        ticks = int(event.last_px.as_decimal() / position.series.tick_size)
        self.cash -= ticks * order.side * order.quantity * position.tick_value
        self.cash -= event.commission.as_decimal()
        self._broker_of(position).filled(name, order, ticks, event.ts_event)
        for broker in self.brokers:
            broker.carry_out_moves()

    def on_order_canceled(self, event: Any) -> None:  # noqa: ANN401
        """Forget an order."""
        self._forget(event)

    def on_order_rejected(self, event: Any) -> None:  # noqa: ANN401
        """Go on without an entry that is refused (it has expired); an exit must not be."""
        self._refused(event)

    def on_order_denied(self, event: Any) -> None:  # noqa: ANN401
        """Go on without an entry that the account cannot pay; an exit must not be denied."""
        self._refused(event)

    def _refused(self, event: Any) -> None:  # noqa: ANN401
        order = self._forget(event)
        is_exit = order is not None and order.role in ("stop", "target")
        if order is not None and is_exit and not order.withdrawn:
            raise BacktestError(
                f"NautilusTrader refused {order.role} of {order.leg}: {event.reason}"
            )

    def send(self, instrument: Any, position: BarPosition, order: PathOrder) -> str:  # noqa: ANN401
        """Send an order and return its id."""
        amount = Decimal(order.quantity).scaleb(-position.series.size_precision)
        size = Quantity.from_decimal_dp(amount, instrument.size_precision)
        side = OrderSide.BUY if order.side > 0 else OrderSide.SELL
        tags = [order.leg, order.role, *([CLOSE_TAG] if order.is_last else [])]
        factory, created = self.order_factory, cast("Any", None)
        if order.price is None:
            created = factory.market(instrument.id, side, size, tags=tags)
        else:
            price = Price.from_decimal_dp(
                position.series.price(order.price), instrument.price_precision
            )
            kind = factory.limit if order.role == "target" else factory.stop_market
            created = kind(instrument.id, side, size, price, tags=tags)
        name = str(created.client_order_id)
        position.orders[name] = order
        self.market.by_order[name] = position
        self.sent.append((name, position.series.instrument, order.leg, order.role))
        if order.price is not None and order.role != "target":
            self.triggers[name] = position.series.price(order.price)
        self.submit_order(created)
        return name

    def withdraw(self, name: str) -> None:
        """Cancel an order."""
        self.cancel_order(ClientOrderId(name))

    def change(self, name: str, price: Price, *, is_stop: bool) -> None:
        """Change the price of an exit."""
        if is_stop:
            self.triggers[name] = price.as_decimal()
            self.modify_order(ClientOrderId(name), trigger_price=price)
        else:
            self.modify_order(ClientOrderId(name), price=price)

    def _settlement(self, name: str, event: Any) -> BarPosition:  # noqa: ANN401
        """Take in the order by which NautilusTrader settles what has expired."""
        slot = next(
            slot
            for slot, instrument in enumerate(self.market.instruments)
            if instrument.id == event.instrument_id
        )
        position, broker = self.market.positions[slot], self.brokers[slot]
        broker.expire()
        units = int(event.last_qty.as_decimal().scaleb(position.series.size_precision))
        ticks = int(event.last_px.as_decimal() / position.series.tick_size)
        order = PathOrder(EXPIRY_TAG, "market", 1 if event.is_buy else -1, units, None)
        order.at = order.filled = ticks
        position.orders[name] = order
        self.sent.append((name, position.series.instrument, EXPIRY_TAG, "market"))
        return position

    def _forget(self, event: Any) -> PathOrder | None:  # noqa: ANN401
        name = str(event.client_order_id)
        position = self.market.by_order.pop(name, None)
        if position is None:
            return None
        self._broker_of(position).refused(name)
        return position.orders.pop(name, None)

    def _broker_of(self, position: BarPosition) -> NautilusBroker:
        index = next(index for index, own in enumerate(self.market.positions) if own is position)
        return self.brokers[index]


def check_bracket(bracket: Bracket) -> None:
    """Refuse a leg whose prices do not lie in order, or without a size."""
    if bracket.quantity <= 0:
        raise BacktestError(f"leg {bracket.leg}: its quantity {bracket.quantity} is not positive")
    trigger, stop, target = bracket.trigger, bracket.stop, bracket.target
    prices = [stop, *(item for item in (trigger, target) if item is not None)]
    if any(bracket.side * (high - low) <= 0 for low, high in pairwise(prices)):
        raise BacktestError(
            f"leg {bracket.leg}: stop {stop}, trigger {trigger} and target {target} (ticks) do not "
            f"lie in the order of a {'long' if bracket.side > 0 else 'short'} position"
        )


def check_exits(leg: str, side: Side, stop: int, target: int | None) -> None:
    """Refuse a stop that lies beyond the target of its leg."""
    if target is not None and side * (target - stop) <= 0:
        raise BacktestError(f"leg {leg}: stop {stop} lies at or beyond target {target} (ticks)")
