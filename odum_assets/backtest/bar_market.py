"""Where price is on the path of a bar, and at which price NautilusTrader fills an order there.

NautilusTrader 2.0.0rc7's own execution on bars fills market orders at the close of the signal's
bar, takes a target before a stop, limits sizes to a quarter of the volume and mishandles exits on
the entry's bar. So it gets quotes along each bar's path instead: its matching engine decides which
order is touched by which quote, a fill model says at which price between two quotes that was.

What belongs here: the quotes, following them, prices of fills. What does not: orders and their
legs (``bar_broker``).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, Self

import numpy as np
from nautilus_trader.backtest import SimulationModule
from nautilus_trader.execution import FeeModel, FillModel
from nautilus_trader.model import (
    Bar,
    BarType,
    BookOrder,
    BookType,
    Currency,
    Money,
    OrderBook,
    OrderSide,
    Price,
    Quantity,
    QuoteTick,
)

from odum_assets.bars.broker import Role, Side
from odum_assets.bars.fees import FeeRule
from odum_assets.bars.path import Path, open_times, path_points, reaches
from odum_assets.bars.series import BarSeries

_BAR = -1
"""In place of the point of a path: the event is the bar itself."""
# More than anybody trades: sizes are unlimited.
_QUOTED = Decimal(10**9)


@dataclass(slots=True)
class PathOrder:
    """An order as the fill model needs it.

    Parameters
    ----------
    leg
        The leg, or the tag of a market order.
    role
        Which of the leg's orders it is.
    side
        Its side.
    quantity
        Units of ``10 ** -size_precision``.
    price
        Trigger or limit in ticks; None for a market order.
    stop
        Of a target: the stop that it gives way to, in ticks.
    since
        Bar and point at which it was sent, and the price there; before the next point it lives
        from that price on.
    withdrawn
        Whether it was canceled in the same moment in which the market comes to it.
    is_last
        Whether it closes what is open at the end of the run.
    at, filled
        Where on the path it fills, and at which price, in ticks.
    """

    leg: str
    role: Role
    side: Side
    quantity: int
    price: int | None
    stop: int | None = None
    since: tuple[int, int, int] | None = None
    withdrawn: bool = False
    is_last: bool = False
    at: int = 0
    filled: int | None = None

    def is_beyond(self, market: int) -> bool:
        """Return whether a market price lies at or beyond the trigger or limit."""
        if self.price is None:
            return True
        beyond = self.side * (market - self.price)
        return beyond <= 0 if self.role == "target" else beyond >= 0


@dataclass(slots=True)
class BarPosition:
    """Where the market of one instrument is: the bar, the point of its path, and the prices.

    Parameters
    ----------
    series
        The bars that are replayed.
    path
        The path through each bar.
    slippage
        Fraction by which market and stop orders fill worse.
    multiplier
        Size of one contract.
    opens
        When each bar opens (ns); by default a step before its close.
    """

    series: BarSeries
    path: Path
    slippage: Decimal
    multiplier: Decimal = Decimal(1)
    opens: list[int] = field(default_factory=list)
    orders: dict[str, PathOrder] = field(default_factory=dict)
    bar: int = -1
    point: int = 0
    start: int = 0
    here: int = 0
    points: list[list[int]] = field(init=False)
    is_closed: bool = False

    def __post_init__(self) -> None:
        self.points = path_points(self.series, self.path).tolist()
        if not self.opens:
            self.opens = open_times(self.series).tolist()

    def move(self, bar: int, point: int) -> None:
        """Go to a point of a bar's path."""
        price = self.points[bar][point]
        self.start = price if point == 0 else self.here
        self.bar, self.point, self.here, self.is_closed = bar, point, price, False

    @property
    def tick_value(self) -> Decimal:
        """Return the money per tick and unit of ``10 ** -size_precision``."""
        unit = Decimal(1).scaleb(-self.series.size_precision)
        return self.series.tick_size * self.multiplier * unit

    def fill_price(self, order: PathOrder) -> int | None:
        """Return at which price an order fills that the market has come to, None if it does not."""
        since = order.since
        start = self.start
        if since is not None and since[:2] == (self.bar, self.point):
            start = since[2]
        if order.withdrawn:
            return None
        price = order.price
        if price is None or order.is_beyond(start):
            price = start
        elif order.role == "target" and self._gives_way(order):
            return None
        order.at = price
        order.filled = price if order.role == "target" else self.slipped(price, order.side)
        return order.filled

    def _gives_way(self, target: PathOrder) -> bool:
        """Return whether the stop of a target's leg comes later on a conservative path."""
        if self.path != "conservative" or target.stop is None:
            return False
        side: Side = -1 if target.side > 0 else 1
        return reaches(self.points[self.bar][self.point :], side, target.stop)

    def slipped(self, price: int, side: Side) -> int:
        """Return a price worse by the slippage, rounded against the order to the tick."""
        if not self.slippage:
            return price
        rounding = ROUND_CEILING if side > 0 else ROUND_FLOOR
        return int((price * (1 + side * self.slippage)).to_integral_value(rounding))


@dataclass(slots=True)
class BarMarket:
    """The instruments of a run and the order in which their quotes and bars come.

    Parameters
    ----------
    positions
        One for each instrument, in the order of the configuration: at equal times it counts.
    instruments
        The NautilusTrader instruments, in the same order.
    """

    positions: Sequence[BarPosition]
    instruments: Sequence[Any]
    by_order: dict[str, BarPosition] = field(default_factory=dict)
    slot: int = 0
    remaining: int = 0
    _events: list[tuple[int, int, int]] = field(default_factory=list)
    _next: int = 0

    def chunks(self, bars: int) -> Iterator[tuple[list[Any], int]]:
        """Yield events in order of time, and the time of the last (ns), some bars at a time.

        The order is known before: the market is followed by counting events.
        """
        order = self._order()
        self.remaining = len(order)
        cuts = np.flatnonzero(order[:, 2] == _BAR)[bars - 1 :: bars] + 1
        for rows in np.split(order, cuts):
            if len(rows):
                self._events, self._next = rows[:, :3].tolist(), 0
                yield self._data(rows), int(rows[-1, 3])

    def step(self) -> None:
        """Follow the market to its next event."""
        self.slot, bar, point = self._events[self._next]
        self._next += 1
        self.remaining -= 1
        if point == _BAR:
            self.positions[self.slot].is_closed = True
        else:
            self.positions[self.slot].move(bar, point)

    def book(self, instrument: Any, order: Any) -> OrderBook | None:  # noqa: ANN401 - of Nautilus
        """Return a book that fills an order at its price, an empty one if it does not fill.

        None for an order of NautilusTrader's own, by which it settles what has expired: it fills at
        the last price.
        """
        name = str(order.client_order_id)
        position = self.by_order.get(name)
        if position is None:
            return None
        book = OrderBook(instrument.id, BookType.L1_MBP)
        price = position.fill_price(position.orders[name])
        if price is not None:
            side = OrderSide.SELL if order.side == OrderSide.BUY else OrderSide.BUY
            level = Price.from_decimal_dp(position.series.price(price), instrument.price_precision)
            book.add(BookOrder(side, level, order.quantity, 1), 0, 0, 0)
        return book

    def _order(self) -> np.ndarray:
        """Return instrument, bar, point and time of every event, in order of time."""
        parts = []
        for slot, position in enumerate(self.positions):
            series = position.series
            points = np.asarray(position.points, dtype=np.int64).reshape(len(series), -1)
            changed = np.ones_like(points, dtype=bool)
            changed[:, 1:] = points[:, 1:] != points[:, :-1]
            bar, point = np.nonzero(changed)
            times = np.asarray(position.opens, dtype=np.int64)[bar] + 1 + point
            index = np.arange(len(series))
            parts += [
                np.column_stack((np.full_like(bar, slot), bar, point, times)),
                np.column_stack(
                    (np.full_like(index, slot), index, np.full_like(index, _BAR), series.close_time)
                ),
            ]
        rows = np.concatenate(parts)
        return rows[np.argsort(rows[:, 3], kind="stable")]

    def _data(self, rows: np.ndarray) -> list[Any]:
        builders = [
            _Builder(position.series, instrument)
            for position, instrument in zip(self.positions, self.instruments, strict=True)
        ]
        return [
            builders[slot].bar(bar)
            if point == _BAR
            else builders[slot].quote(self.positions[slot].points[bar][point], time)
            for slot, bar, point, time in rows.tolist()
        ]


class _Builder:
    """Build NautilusTrader's objects of one instrument; a price is built once."""

    def __init__(self, series: BarSeries, instrument: Any) -> None:  # noqa: ANN401
        self._series = series
        self._id = instrument.id
        self._precision = instrument.price_precision
        self._quoted = Quantity.from_decimal_dp(_QUOTED, instrument.size_precision)
        self._type = bar_type(instrument, series.step)
        self._prices: dict[int, Price] = {}

    def price(self, ticks: int) -> Price:
        price = self._prices.get(ticks)
        if price is None:
            price = Price.from_decimal_dp(self._series.price(ticks), self._precision)
            self._prices[ticks] = price
        return price

    def quote(self, ticks: int, time: int) -> QuoteTick:
        price, size = self.price(ticks), self._quoted
        return QuoteTick(self._id, price, price, size, size, time, time)

    def bar(self, index: int) -> Bar:
        series = self._series
        opened, high, low, close = (
            self.price(int(column[index]))
            for column in (series.open, series.high, series.low, series.close)
        )
        volume = Decimal(int(series.volume[index])).scaleb(-series.size_precision)
        time = int(series.close_time[index])
        size = Quantity.from_decimal_dp(volume, series.size_precision)
        return Bar(self._type, opened, high, low, close, size, time, time)


def bar_type(instrument: Any, step: int) -> BarType:  # noqa: ANN401 - a Nautilus instrument
    """Return NautilusTrader's name of bars of a step (ns)."""
    minutes = step // 60_000_000_000
    for unit, size in (("DAY", 1440), ("HOUR", 60), ("MINUTE", 1)):
        if minutes and minutes % size == 0:
            return BarType.from_str(f"{instrument.id}-{minutes // size}-{unit}-LAST-EXTERNAL")
    return BarType.from_str(f"{instrument.id}-{step // 1_000_000_000}-SECOND-LAST-EXTERNAL")


class PathFillModel(FillModel):
    """Price every fill by the path of the bar."""

    def __new__(cls, *_args: Any) -> Self:  # noqa: ANN401
        """Make the Rust part, which takes no arguments of ours."""
        return super().__new__(cls)

    def __init__(self, market: BarMarket) -> None:
        super().__init__()
        self._market = market

    def is_limit_filled(self) -> bool:
        """Fill a limit that is touched."""
        return True

    def is_slipped(self) -> bool:
        """Leave slippage to the price of the fill."""
        return False

    def fill_limit_inside_spread(self) -> bool:
        """Answer for a market whose bid is its ask."""
        return False

    def get_orderbook_for_fill_simulation(
        self,
        _instrument: Any,  # noqa: ANN401
        _order: Any,  # noqa: ANN401
        _best_bid: Price | None = None,
        _best_ask: Price | None = None,
    ) -> OrderBook | None:
        """Return the book that an order is filled from."""
        return self._market.book(_instrument, _order)


class BarFeeModel(FeeModel):
    """Charge fees by a rule, to the last decimal."""

    def __new__(cls, *_args: Any) -> Self:  # noqa: ANN401
        """Make the Rust part, which takes no arguments of ours."""
        return super().__new__(cls)

    def __init__(self, rule: FeeRule, currency: str) -> None:
        super().__init__()
        self._rule = rule
        self._currency = Currency.from_str(currency)

    def get_commission(
        self,
        _order: Any,  # noqa: ANN401
        _fill_quantity: Quantity,
        _fill_px: Price,
        _instrument: Any,  # noqa: ANN401
    ) -> Money:
        """Return the fee of a fill."""
        size = _fill_quantity.as_decimal()
        value = size * _fill_px.as_decimal() * _instrument.multiplier.as_decimal()
        return Money.from_decimal(self._rule.fee(size, value), self._currency)


class PathModule(SimulationModule):
    """Follow the market, before an event is matched."""

    def __new__(cls, *_args: Any) -> Self:  # noqa: ANN401
        """Make the Rust part, which takes no arguments of ours."""
        return super().__new__(cls)

    def __init__(self, market: BarMarket) -> None:
        super().__init__()
        self._step = market.step

    def pre_process(self, _data: Any) -> None:  # noqa: ANN401
        """Go to the next event."""
        self._step()

    def process(self, _ts_now: int, _context: Any) -> None:  # noqa: ANN401
        """Change no balance."""

    def acknowledge(self, _outcomes: Any) -> None:  # noqa: ANN401
        """Take note of nothing."""

    def log_diagnostics(self) -> None:
        """Log nothing."""

    def reset(self) -> None:
        """Keep nothing from one run to the next."""
