"""TWAP and VWAP: an order is sent in slices at set times."""

from dataclasses import dataclass, field
from typing import Any, Self

from nautilus_trader.common import TimeEvent
from nautilus_trader.model import ExecAlgorithmId, OrderFilled, OrderType, Quantity
from nautilus_trader.trading import ExecutionAlgorithm, ExecutionAlgorithmConfig

from odum_assets.backtest.algorithms.lots import Lots
from odum_assets.backtest.algorithms.schedule import Slice, VolumeCurve, schedule
from odum_assets.utc import DAY_NS, NS_PER_SECOND


@dataclass(frozen=True, slots=True)
class Timing:
    """When slices are sent.

    Parameters
    ----------
    interval_ns : int
        Time between two slices.
    intervals : int
        Number of slices.
    curve : VolumeCurve or None
        Volume over the day; None splits evenly.
    """

    interval_ns: int
    intervals: int
    curve: VolumeCurve | None


@dataclass(slots=True)
class _Parent:
    """An order that is being sent in slices; `unfilled` are the lots that no part has filled."""

    order: Any
    arrived: int
    unfilled: int
    slices: list[Slice]
    under_way: dict[str, int] = field(default_factory=dict)
    """Lots of the parts that have not ended, by their order id."""


class TimedAlgorithm(ExecutionAlgorithm):
    """Send every order in slices: evenly (TWAP), or along a volume curve (VWAP).

    Every slice is an order of its own, the last one with what earlier ones did not fill. The order
    itself is never sent: it keeps its amount and is canceled once its last slice is sent.

    Parameters
    ----------
    name : str
        Algorithm id, ``TWAP`` or ``VWAP``.
    timing : Timing
        When slices are sent.
    lots : Lots
        Size increment of the instrument.
    is_market : bool
        Whether slices of limit orders are market orders; else they have the order's price.

    Attributes
    ----------
    orders_without_curve : int
        Orders that were split evenly because the curve has no volume at their time.
    """

    def __new__(cls, name: str, *_args: Any) -> Self:  # noqa: ANN401
        """Make the Rust part, which takes the configuration alone."""
        return super().__new__(cls, ExecutionAlgorithmConfig(ExecAlgorithmId(name)))  # type: ignore[call-arg]

    def __init__(self, name: str, timing: Timing, lots: Lots, is_market: bool) -> None:
        super().__init__(ExecutionAlgorithmConfig(ExecAlgorithmId(name)))
        self._timing = timing
        self._lots = lots
        self._is_market = is_market
        self.orders_without_curve = 0
        self._parents: dict[str, _Parent] = {}
        self._parent_of: dict[str, _Parent] = {}

    def on_order(self, order: Any) -> None:  # noqa: ANN401 - Nautilus' orders have no common type
        """Send the first slice now and set the clock for the others."""
        now = _clock(self).timestamp_ns()
        lots = self._lots.of(order.quantity)
        slices = schedule(lots, self._timing.interval_ns, self._shares(now))
        order_id = str(order.client_order_id)
        self._parents[order_id] = _Parent(order, now, lots, slices)
        self._send_due(order_id, now)

    def abandon(self) -> None:
        """Send no more slices of any order."""
        for order_id in self._parents:
            _clock(self).cancel_timer(order_id)
        self._parents.clear()

    def on_order_filled(self, event: OrderFilled) -> None:
        """Count what a slice has filled."""
        part_id = str(event.client_order_id)
        parent = self._parent_of.get(part_id)
        if parent is None:
            return
        lots = self._lots.of(event.last_qty)
        parent.unfilled -= lots
        parent.under_way[part_id] -= lots
        if not parent.under_way[part_id]:
            self._end(event)

    def _end(self, event: Any) -> None:  # noqa: ANN401 - any terminal order event
        part_id = str(event.client_order_id)
        parent = self._parent_of.pop(part_id, None)
        if parent is not None:
            del parent.under_way[part_id]

    on_order_canceled = _end
    on_order_expired = _end
    on_order_rejected = _end
    on_order_denied = _end

    def _shares(self, now: int) -> list[float]:
        timing = self._timing
        even = [1.0] * timing.intervals
        if timing.curve is None:
            return even
        second = (now % DAY_NS) / NS_PER_SECOND
        interval_secs = timing.interval_ns / NS_PER_SECOND
        shares = timing.curve.shares(second, interval_secs, timing.intervals)
        if sum(shares) > 0:
            return shares
        self.orders_without_curve += 1
        return even

    def _send_due(self, order_id: str, now: int) -> None:
        parent = self._parents[order_id]
        slices = parent.slices
        while slices and parent.arrived + slices[0].offset_ns <= now:
            current = standing(self, parent.order)
            if current is None:
                slices.clear()
                break
            part = slices.pop(0)
            # What earlier slices did not fill is made up for by the last one.
            rest = parent.unfilled - sum(parent.under_way.values())
            lots = part.lots if slices else rest
            if lots:
                self._send(parent, current, lots)
            if not slices:
                self.cancel_order(current)
        if slices:
            _clock(self).set_time_alert_ns(
                order_id, parent.arrived + slices[0].offset_ns, self._on_alert
            )
        else:
            del self._parents[order_id]

    def _send(self, parent: _Parent, order: Any, lots: int) -> None:  # noqa: ANN401
        is_market = self._is_market or order.order_type != OrderType.LIMIT
        part = spawn_part(
            self, order, self._lots.quantity(lots), is_market=is_market, reduces=False
        )
        part_id = str(part.client_order_id)
        # Known before it is sent: it may fill at once.
        parent.under_way[part_id] = lots
        self._parent_of[part_id] = parent
        self.submit_order(part)

    def _on_alert(self, event: TimeEvent) -> None:
        self._send_due(event.name, event.ts_event)


def _clock(algorithm: ExecutionAlgorithm) -> Any:  # noqa: ANN401 - Nautilus' clock
    clock = algorithm.clock
    assert clock is not None  # noqa: S101 - a registered algorithm has a clock
    return clock


def standing(algorithm: ExecutionAlgorithm, order: Any) -> Any:  # noqa: ANN401
    """Return an order as its parts have left it, None when it has ended.

    The one that was handed to the algorithm is a copy: it does not shrink.
    """
    cache: Any = algorithm.cache
    current = cache.order(order.client_order_id)
    return None if current is None or current.is_closed else current


def spawn_part(
    algorithm: ExecutionAlgorithm,
    order: Any,  # noqa: ANN401
    quantity: Quantity,
    *,
    is_market: bool,
    reduces: bool = True,
) -> Any:  # noqa: ANN401
    """Make a part of an order, with its time in force.

    Parameters
    ----------
    algorithm : ExecutionAlgorithm
        Whose part it is.
    order : Order
        The order.
    quantity : Quantity
        Size of the part.
    is_market : bool
        Whether it is a market order; else a limit order with the order's price.
    reduces : bool, default True
        Whether the order shrinks by it.
    """
    lifetime = order.time_in_force
    if is_market:
        return algorithm.spawn_market(
            order, quantity, time_in_force=lifetime, reduce_primary=reduces
        )
    return algorithm.spawn_limit(
        order, quantity, order.price, time_in_force=lifetime, reduce_primary=reduces
    )
