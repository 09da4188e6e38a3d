"""TWAP and VWAP: an order is sent in slices at set times."""

from typing import Any, Self

from nautilus_trader.common import TimeEvent
from nautilus_trader.model import ExecAlgorithmId, OrderType, Quantity
from nautilus_trader.trading import ExecutionAlgorithm, ExecutionAlgorithmConfig

from odum_assets.backtest.algorithms.lots import Lots
from odum_assets.backtest.algorithms.schedule import Slice, VolumeCurve, schedule
from odum_assets.utc import DAY_NS, NS_PER_SECOND


class TimedAlgorithm(ExecutionAlgorithm):
    """Send every order in slices: evenly (TWAP), or along a volume curve (VWAP).

    Parameters
    ----------
    name : str
        Algorithm id, ``TWAP`` or ``VWAP``.
    interval_ns : int
        Time between two slices.
    intervals : int
        Number of slices.
    curve : VolumeCurve or None
        Volume over the day; None splits evenly.
    lots : Lots
        Size increment of the instrument.

    Attributes
    ----------
    orders_without_curve : int
        Orders that were split evenly because the curve has no volume at their time.
    """

    def __new__(cls, name: str, *_args: Any) -> Self:  # noqa: ANN401
        """Make the Rust part, which takes the configuration alone."""
        return super().__new__(cls, ExecutionAlgorithmConfig(ExecAlgorithmId(name)))  # type: ignore[call-arg]

    def __init__(
        self, name: str, interval_ns: int, intervals: int, curve: VolumeCurve | None, lots: Lots
    ) -> None:
        super().__init__(ExecutionAlgorithmConfig(ExecAlgorithmId(name)))
        self._interval_ns = interval_ns
        self._intervals = intervals
        self._curve = curve
        self._lots = lots
        self.orders_without_curve = 0
        self._waiting: dict[str, tuple[Any, list[Slice], int]] = {}

    def on_order(self, order: Any) -> None:  # noqa: ANN401 - Nautilus' orders have no common type
        """Send the first slice now and set the clock for the others."""
        clock = self.clock
        assert clock is not None  # noqa: S101 - a registered algorithm has a clock
        now = clock.timestamp_ns()
        slices = schedule(self._lots.of(order.quantity), self._interval_ns, self._shares(now))
        self._waiting[str(order.client_order_id)] = (order, slices, now)
        self._send_due(str(order.client_order_id), now)

    def _shares(self, now: int) -> list[float]:
        even = [1.0] * self._intervals
        if self._curve is None:
            return even
        second = (now % DAY_NS) / NS_PER_SECOND
        shares = self._curve.shares(second, self._interval_ns / NS_PER_SECOND, self._intervals)
        if sum(shares) > 0:
            return shares
        self.orders_without_curve += 1
        return even

    def _send_due(self, order_id: str, now: int) -> None:
        order, slices, arrived = self._waiting[order_id]
        while slices and arrived + slices[0].offset_ns <= now:
            current = standing(self, order)
            if current is None:
                slices.clear()
                break
            part = slices.pop(0)
            if slices:
                self.submit_order(spawn_part(self, current, self._lots.quantity(part.lots)))
            else:
                # The last slice is the order itself: what remains of it, with what earlier slices
                # did not fill.
                self.submit_order(current)
        if slices:
            clock = self.clock
            assert clock is not None  # noqa: S101
            clock.set_time_alert_ns(order_id, arrived + slices[0].offset_ns, self._on_alert)
        else:
            del self._waiting[order_id]

    def _on_alert(self, event: TimeEvent) -> None:
        self._send_due(event.name, event.ts_event)


def standing(algorithm: ExecutionAlgorithm, order: Any) -> Any:  # noqa: ANN401
    """Return an order as its parts have left it, None when it has ended.

    The one that was handed to the algorithm is a copy: it does not shrink.
    """
    cache: Any = algorithm.cache
    current = cache.order(order.client_order_id)
    return None if current is None or current.is_closed else current


def spawn_part(algorithm: ExecutionAlgorithm, order: Any, quantity: Quantity) -> Any:  # noqa: ANN401
    """Make a part of an order, with the same type, price and time in force; the order shrinks."""
    if order.order_type == OrderType.LIMIT:
        return algorithm.spawn_limit(
            order, quantity, order.price, time_in_force=order.time_in_force
        )
    return algorithm.spawn_market(order, quantity, time_in_force=order.time_in_force)
