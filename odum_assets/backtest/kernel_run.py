"""A run by the kernel: the journal that a replay would have written, and its outcome.

What belongs here: columns of orders, fills and ends as event tables. What does not: matching
(``kernel_match``), counting (``figures``), which is the same for both engines.
"""

import time
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa

from odum_assets.backtest.journal import (
    CHANGE_EVENTS,
    CLOSE_TAG,
    END_EVENTS,
    FILL_EVENTS,
    ORDER_EVENTS,
    SIMULATED,
    SIMULATED_TAG,
)
from odum_assets.backtest.kernel_match import Chunk, Ints, KernelMatch, Orders
from odum_assets.backtest.outcome import ReplayOutcome
from odum_assets.backtest.plan import Progress, RunPlan
from odum_assets.backtest.strategies.sources import strategy_path
from odum_assets.catalog.arrow import arrow
from odum_assets.catalog.arrow import kernels as pc
from odum_assets.catalog.fixed_point import DECIMAL, to_decimals, units_column, units_of
from odum_assets.utc import NS_PER_SECOND

if TYPE_CHECKING:
    from odum_assets.backtest.strategies.sources import StrategySources


def run_kernel(plan: RunPlan, progress: Callable[[Progress], None] | None = None) -> ReplayOutcome:
    """Match a plan's orders and write its events to the plan's work folder.

    Parameters
    ----------
    plan : RunPlan
        A covered run.
    progress : callable, optional
        Called as the run proceeds.

    Raises
    ------
    NotCoveredError
        If the data hold what the kernel does not cover.
    """
    from odum_assets.backtest.simulation import strategy_of
    from odum_assets.backtest.strategies.sources import StrategySources

    started = time.perf_counter()
    sources = StrategySources([strategy_of(plan)])
    match = KernelMatch(plan)
    last_fill: int | None = None
    with EventFiles(plan, match) as files:
        for chunk in match.chunks():
            files.write(chunk)
            if len(chunk.fills[0]):
                last_fill = int(chunk.fills[1, -1])
            if progress is not None:
                report_chunk(plan, chunk, progress)
        if is_simulated(plan, match):
            files.write_simulated(match.account.lots)
    return kernel_outcome(plan, match, sources, last_fill, started)


def report_chunk(plan: RunPlan, chunk: Chunk, progress: Callable[[Progress], None]) -> None:
    """Say how far a run is after a chunk."""
    if not len(chunk.orders.ts):
        return
    now = int(chunk.orders.ts[-1])
    span = max(plan.close_at_ns - plan.first_trade_ns, 1)
    share = min((now - plan.first_trade_ns) / span, 1.0)
    progress(Progress("replay", share, chunk.orders.first + len(chunk.orders.ts), now))


def is_simulated(plan: RunPlan, match: KernelMatch) -> bool:
    """Return whether what is left open is closed at the last trade's price."""
    closing = plan.closing
    return bool(match.account.lots) and closing is not None and closing.method == "last_price"


def kernel_outcome(
    plan: RunPlan,
    match: KernelMatch,
    sources: "StrategySources",
    last_fill: int | None,
    started: float,
) -> ReplayOutcome:
    """Return what the kernel says of a run at its end.

    Parameters
    ----------
    plan : RunPlan
        The run.
    match : KernelMatch
        Its matching, which is over.
    sources : StrategySources
        The code that it ran.
    last_fill : int or None
        Time of the last fill (ns).
    started : float
        When it began, of `time.perf_counter`.
    """
    from odum_assets.backtest.simulation import peak_memory_mib, strategy_of

    strategy, lots = strategy_of(plan), match.account.lots
    return ReplayOutcome(
        engine_balance=match.account.balance,
        engine_quantity=Decimal(lots).scaleb(-match.digits[1]),
        currency_precision=match.terms.currency_precision,
        funding=match.funding,
        closing_at_ns=None if plan.closing is None else plan.close_at_ns,
        flat_at_ns=last_fill if lots == 0 else None,
        skipped_no_aggressor=match.skipped,
        orders_without_curve=0,
        strategy_modules=sources.modules(strategy),
        strategy_changed=sources.changed(strategy),
        replay_secs=round(time.perf_counter() - started, 3),
        peak_memory_mib=peak_memory_mib(),
    )


class EventFiles:
    """The event tables of a run, written chunk by chunk.

    Parameters
    ----------
    plan : RunPlan
        The run; the files lie in its work folder.
    match : KernelMatch
        Its matching.
    """

    def __init__(self, plan: RunPlan, match: KernelMatch) -> None:
        self._plan = plan
        self._match = match
        self._seconds: list[Ints] = []
        name = strategy_path(plan.config.strategy).rpartition(":")[2]
        self._position = f"{plan.config.key.nautilus_id}-{name}-000"
        self._reason = f"No market for {plan.config.key.nautilus_id}"
        self._writers = self._opened()

    def _opened(self) -> dict[str, Any]:
        return {
            name: _writer(self._plan.work / f"{name}_events.arrow", schema)
            for name, schema in (
                ("order", ORDER_EVENTS),
                ("fill", FILL_EVENTS),
                ("end", END_EVENTS),
                ("change", CHANGE_EVENTS),
            )
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for writer in self._writers.values():
            writer.close()

    def write(self, chunk: Chunk) -> None:
        """Write the events of a chunk."""
        self._seconds.append(chunk.orders.ts // NS_PER_SECOND)
        if len(self._seconds) > 1 and len(chunk.fills[0]) + len(chunk.ends[0]):
            self._seconds = [np.concatenate(self._seconds)]
        self._write("order", ORDER_EVENTS, self._order_columns(chunk.orders, chunk.closing))
        self._write("fill", FILL_EVENTS, self._fill_columns(chunk))
        self._write("end", END_EVENTS, self._end_columns(chunk.ends))
        if chunk.reduced is not None:
            self._write("change", CHANGE_EVENTS, self._change_columns(chunk))

    def write_simulated(self, lots: int) -> None:
        """Write a fill at the last trade's price for an open position, marked as simulated."""
        plan, match = self._plan, self._match
        ts, _, _, units = self.simulated_fill(plan, match)
        amount = Decimal(abs(lots)).scaleb(-self._digits[1])
        fee = Decimal(units).scaleb(-match.terms.currency_precision)
        side, order_id = ("sell" if lots > 0 else "buy"), "SIMULATED-1"
        order = (ts, order_id, side, "MARKET", "IOC", None, amount, None, None, SIMULATED_TAG)
        fill = (ts, order_id, self._position, side, plan.last_price, amount, fee, SIMULATED)
        for name, schema, row in (("order", ORDER_EVENTS, order), ("fill", FILL_EVENTS, fill)):
            values = [[cell] for cell in row]
            columns = [pa.array(*pair) for pair in zip(values, schema.types, strict=True)]
            self._write(name, schema, columns)

    @staticmethod
    def simulated_fill(plan: RunPlan, match: KernelMatch) -> tuple[int, int, int, int]:
        """Return time, price, signed quantity and fee, in units, of what closes a position."""
        terms, lots = match.terms, match.account.lots
        contracts = Decimal(abs(lots)).scaleb(-match.digits[1]) * plan.config.multiplier
        value = contracts / plan.last_price if terms.is_inverse else contracts * plan.last_price
        unit = Decimal(1).scaleb(-terms.currency_precision)
        fee = (value * terms.taker_fee).quantize(unit, ROUND_HALF_EVEN)
        price = units_of(plan.last_price, match.digits[0])
        return plan.ends_at_ns, price, -lots, units_of(fee, terms.currency_precision)

    @property
    def _digits(self) -> tuple[int, int]:
        return self._match.digits

    def _ids(self, numbers: Ints) -> Any:  # noqa: ANN401 - a column
        from odum_assets.vectorized.ticks.order_ids import order_ids

        return order_ids(numbers, self._seconds[0][numbers] if len(numbers) else numbers)

    def _order_columns(self, orders: Orders, is_closing: bool) -> list[Any]:
        from odum_assets.vectorized.ticks.order_ids import order_ids

        count = len(orders.ts)
        numbers = np.arange(orders.first, orders.first + count)
        nothing = pa.nulls(count, pa.string())
        priced = np.where(orders.is_market, 0, orders.price)
        price = to_decimals(priced, self._digits[0])
        if orders.is_market.any():
            price = pc.if_else(pa.array(orders.is_market), pa.scalar(None, DECIMAL), price)
        return [
            pa.array(orders.ts),
            order_ids(numbers, orders.ts // NS_PER_SECOND),
            _named(orders.side > 0, "buy", "sell"),
            _named(orders.is_market, "MARKET", "LIMIT"),
            _texts(orders.lifetime, ["IOC", "FOK", "GTC"]),
            price,
            to_decimals(orders.size, self._digits[1]),
            nothing,
            nothing,
            _texts(np.zeros(count, np.int64), [CLOSE_TAG])
            if is_closing
            else orders.tag
            if orders.tag is not None
            else nothing,
        ]

    def _fill_columns(self, chunk: Chunk) -> list[Any]:
        fills = chunk.fills
        return [
            pa.array(fills[1]),
            self._ids(fills[0]),
            _texts(np.zeros(len(fills[0]), np.int64), [self._position]),
            _named(chunk.signed > 0, "buy", "sell"),
            to_decimals(fills[2], self._digits[0]),
            to_decimals(fills[3], self._digits[1]),
            amounts(chunk.commission, self._match.terms.currency_precision),
            _named(fills[4] == 1, "maker", "taker"),
        ]

    def _end_columns(self, ends: Ints) -> list[Any]:
        rejected = ends[2] == 1
        reasons = pc.if_else(pa.array(rejected), self._reason, pa.scalar(None, pa.string()))
        return [
            pa.array(ends[1]),
            self._ids(ends[0]),
            _named(rejected, "rejected", "canceled"),
            reasons,
        ]

    def _change_columns(self, chunk: Chunk) -> list[Any]:
        orders = chunk.at_end.orders
        return [
            pa.array(chunk.fills[1, -1:]),
            self._ids(np.array([orders.first])),
            pa.nulls(1, DECIMAL),
            to_decimals(orders.size, self._digits[1]),
        ]

    def _write(self, name: str, schema: pa.Schema, columns: list[Any]) -> None:
        if len(columns[0]):
            self._writers[name].write_batch(pa.record_batch(columns, schema=schema))


def _writer(path: Path, schema: pa.Schema) -> Any:  # noqa: ANN401 - Arrow's
    return arrow.ipc.new_file(
        str(path), schema, options=arrow.ipc.IpcWriteOptions(compression="lz4")
    )


def _texts(places: Ints, names: list[str]) -> Any:  # noqa: ANN401 - a column
    """Return names by their places as a column."""
    codes: Any = pa.array(places.astype(np.int8))
    return pa.DictionaryArray.from_arrays(codes, pa.array(names)).cast(pa.string())


def _named(is_first: Any, first: str, other: str) -> Any:  # noqa: ANN401
    return _texts(np.where(is_first, 0, 1), [first, other])


def amounts(units: Ints, precision: int) -> Any:  # noqa: ANN401 - a column
    """Return amounts of either sign."""
    return units_column(units, precision, DECIMAL)
