"""A run by the kernel to its figures and its digest, from columns of whole numbers.

What belongs here: hashing what was matched, and counting and hashing fills, chunk by chunk. What
does not: matching (``backtest.kernel_match``), figures (``backtest.figures``), which are those of
any run, tables (``kernel_tables``), which only reports have, and sweeps (``kernel_sweep``).
"""

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import asdict, dataclass
from decimal import Decimal
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from odum_assets.backtest.columns import FillColumns
from odum_assets.backtest.counting import (
    WORTH_LOADING,
    FillCounter,
    load_kernel,
    load_kernel_beside,
)
from odum_assets.backtest.equity import EquityPoint, MarkToMarket
from odum_assets.backtest.figures import (
    Underway,
    account_rules,
    amounts_explained,
    compute_figures,
)
from odum_assets.backtest.inputs import plan_of, run_inputs
from odum_assets.backtest.kernel_match import Chunk, Ints, KernelMatch
from odum_assets.backtest.kernel_run import (
    EventFiles,
    is_simulated,
    kernel_outcome,
    report_chunk,
)
from odum_assets.backtest.ledger import AccountRules, EngineAccount, LedgerRows
from odum_assets.backtest.outcome import ReplayOutcome
from odum_assets.backtest.plan import Progress, RunPlan
from odum_assets.backtest.reconciliation import CashFlows
from odum_assets.backtest.request import RunRequest
from odum_assets.backtest.run import CompletedRun, ProgressCallback
from odum_assets.backtest.simulation import strategy_of
from odum_assets.backtest.strategies.sources import StrategySources
from odum_assets.backtest.tables import OrderCounts, write_equity
from odum_assets.catalog.arrow import kernels as pc
from odum_assets.catalog.fixed_point import DECIMAL, units_column
from odum_assets.results.digest import TABLES, ColumnHash, joined_digest
from odum_assets.results.json_figures import texts
from odum_assets.results.kernel_tables import ORDER_STATUSES, Fills, KernelTables
from odum_assets.settings import Settings
from odum_assets.vectorized.ticks.rows import RowsAhead
from odum_assets.vectorized.ticks.stored import stored_words

_OF_EVENTS: Final = {
    "order": {"timestamp": "ts", "id": "order_id", "exec_algorithm": "algorithm"},
    "fill": {"timestamp": "ts"},
}
"""Columns of events by those of the tables, where their names differ."""

_COUNTED: Final = ("commission", "realized_pnl", "balance")
_OPEN: Final = "position_quantity"
_ENDED: Final = ("status", "filled", "reason", "ended")
_BATCH_ROWS: Final = 131_072


@dataclass(frozen=True, slots=True)
class Matched:
    """What is known of a run when its matching is over.

    Parameters
    ----------
    skipped : int or None
        Trades that sent no order.
    hashes : dict[str, dict[str, ColumnHash]]
        Of the columns of orders and of fills that do not depend on money.
    orders : OrderCounts
        Orders by status, type and side.
    flows : CashFlows
        Quantities of the fills by price.
    """

    skipped: int | None
    hashes: dict[str, dict[str, ColumnHash]]
    orders: OrderCounts
    flows: CashFlows


class _EventHashes(EventFiles):
    """Hashes of the columns of events, in place of files."""

    def __init__(self, plan: RunPlan, match: KernelMatch) -> None:
        super().__init__(plan, match)
        names = {
            "order": [name for name in TABLES["orders"] if name not in _ENDED],
            "fill": [name for name in TABLES["fills"] if name not in (*_COUNTED, _OPEN)],
        }
        self.hashes = {
            kind: {name: ColumnHash() for name in columns} for kind, columns in names.items()
        }

    @property
    def position(self) -> str:
        """Return the id of the position."""
        return self._position

    @property
    def reason(self) -> str:
        """Return why orders are rejected."""
        return self._reason

    def _opened(self) -> dict[str, Any]:
        return {}

    def _write(self, name: str, schema: pa.Schema, columns: list[Any]) -> None:
        if name not in _OF_EVENTS or not len(columns[0]):
            return
        batch = pa.record_batch(columns, schema=schema)
        for column, value in self.hashes[name].items():
            value.update(batch[_OF_EVENTS[name].get(column, column)])


class _OrderEnds:
    """What became of orders, hashed as soon as it is known of one and of all before it.

    Parameters
    ----------
    reason : str
        Why orders are rejected.
    digits : (int, int)
        Decimals of prices and of sizes.
    tables : KernelTables, optional
        Takes what became of them, too.
    """

    def __init__(
        self, reason: str, digits: tuple[int, int], tables: KernelTables | None = None
    ) -> None:
        self._reason = reason
        self._digits = digits
        self._tables = tables
        self.hashes = {name: ColumnHash() for name in _ENDED}
        self._first = 0
        nothing = np.empty(0, np.int64)
        # Of orders from the first one that may still be filled: size, what was filled, time of the
        # end (-1: none yet), status.
        self._waiting: list[NDArray[Any]] = [nothing, nothing, nothing, np.empty(0, np.int8)]
        self._statuses = np.zeros(len(ORDER_STATUSES), np.int64)
        self._sides = {1: 0, -1: 0}
        self._quantities = {1: 0, -1: 0}
        self._markets = self._filled = self._closing = self._closed = self._simulated = 0

    def add(self, chunk: Chunk) -> None:
        """Take in orders, fills and ends."""
        orders, fills = chunk.orders, chunk.fills
        count = len(orders.ts)
        unfilled, unended = np.zeros(count, np.int64), np.full(count, -1)
        fresh = (orders.size, unfilled, unended, np.zeros(count, np.int8))
        self._waiting = [
            np.concatenate([old, new]) for old, new in zip(self._waiting, fresh, strict=True)
        ]
        _, filled, ended, status = self._waiting
        numbers, ends = fills[0] - self._first, chunk.ends[0] - self._first
        np.add.at(filled, numbers, fills[3])
        if min(numbers.min(initial=0), ends.min(initial=0)) < 0:
            raise AssertionError("an order has an event after its end")
        status[ends] = chunk.ends[2] + 1
        ended[ends] = chunk.ends[1]
        self._markets += int(orders.is_market.sum())
        for side, amounts_of in ((1, chunk.signed > 0), (-1, chunk.signed < 0)):
            self._sides[side] += int((orders.side == side).sum())
            self._quantities[side] += int(fills[3][amounts_of].sum())
        if chunk.closing:
            self._closing += count
            self._closed += int(fills[3][fills[0] >= orders.first].sum())
        self._hash_known()

    def _hash_known(self) -> None:
        size, filled, ended, _ = self._waiting
        is_open = (ended < 0) & (filled < size)
        self._hash(int(np.argmax(is_open)) if is_open.any() else len(size))

    def _hash(self, count: int) -> None:
        """Hash the first orders of those that wait; no event may name one of them later."""
        size, filled, ended, status = (column[:count] for column in self._waiting)
        self._waiting = [column[count:] for column in self._waiting]
        self._first += count
        rejected = status == ORDER_STATUSES.index("rejected")
        status = np.where(filled >= size, np.int8(ORDER_STATUSES.index("filled")), status)
        if self._tables is not None:
            self._tables.add_ends(filled, ended, status)
        self._statuses += np.bincount(status, minlength=len(ORDER_STATUSES))
        self._filled += int((filled > 0).sum())
        names: Any = pa.array(ORDER_STATUSES)
        nothing = pa.scalar(None, pa.string())
        for start in range(0, count, _BATCH_ROWS):
            part = slice(start, start + _BATCH_ROWS)
            self.hashes["status"].update(names.take(pa.array(status[part])))
            self.hashes["filled"].update_words(stored_words(filled[part], self._digits[1]))
            is_refused = pa.array(rejected[part])
            self.hashes["reason"].update(pc.if_else(is_refused, self._reason, nothing))
            self.hashes["ended"].update(pa.array(ended[part], mask=ended[part] < 0))

    def finish(self, simulated: int) -> OrderCounts:
        """Hash what is open at the end, and the order that closes so many lots; count all."""
        self._hash(len(self._waiting[0]))
        if simulated:
            size = np.array([abs(simulated)])
            self._waiting = [size, size, np.array([-1]), np.zeros(1, np.int8)]
            self._hash(1)
            side = -1 if simulated > 0 else 1
            self._sides[side] += 1
            self._quantities[side] += abs(simulated)
            self._markets += 1
        by_status = dict(zip(ORDER_STATUSES, self._statuses.tolist(), strict=True))
        by_type = {"LIMIT": self._first - self._markets, "MARKET": self._markets}
        refused = by_status["rejected"]
        return OrderCounts(
            orders=self._first,
            orders_by_status={name: count for name, count in sorted(by_status.items()) if count},
            orders_by_type={name: count for name, count in by_type.items() if count},
            reasons={self._reason.partition(":")[0]: refused} if refused else {},
            buy_orders=self._sides[1],
            buy_quantity=self._quantity(self._quantities[1]),
            sell_orders=self._sides[-1],
            sell_quantity=self._quantity(self._quantities[-1]),
            closing_orders=self._closing,
            closed_quantity=self._quantity(self._closed),
            simulated_quantity=self._quantity(abs(simulated)),
            orders_filled=self._filled,
        )

    def _quantity(self, lots: int) -> Decimal:
        return Decimal(lots).scaleb(-self._digits[1])


class Hashing:
    """Hashes and sums of what does not depend on money, chunk by chunk."""

    def __init__(
        self, plan: RunPlan, match: KernelMatch, tables: KernelTables | None = None
    ) -> None:
        self._plan, self._match, self._tables = plan, match, tables
        self._events = _EventHashes(plan, match)
        self._ends = _OrderEnds(self._events.reason, match.digits, tables)
        self._flows = CashFlows(account_rules(plan, match.terms.currency_precision))
        self._open, self._held = ColumnHash(), 0

    def add(self, chunk: Chunk) -> None:
        """Take in a chunk."""
        # A table of orders holds their last sizes.
        last = chunk.at_end
        if self._tables is not None:
            self._tables.add(last)
        self._events.write(last)
        self._ends.add(last)
        self._add_fills(chunk.signed, chunk.fills[2])

    def _add_fills(self, signed: Ints, price: Ints) -> None:
        self._flows.add_units(self._events.position, signed, price)
        held = self._held + np.cumsum(signed)
        self._open.update_words(stored_words(held, self._match.digits[1]))
        self._held += int(signed.sum())

    @property
    def position(self) -> str:
        """Return the id of the position."""
        return self._events.position

    def matched(self) -> Matched:
        """Return what came of all chunks, when matching is over."""
        plan, match, events = self._plan, self._match, self._events
        simulated = match.account.lots if is_simulated(plan, match) else 0
        if simulated:
            events.write_simulated(simulated)
            if self._tables is not None:
                self._tables.write_simulated(simulated)
            _, price, signed, _ = EventFiles.simulated_fill(plan, match)
            self._add_fills(np.array([signed]), np.array([price]))
        counts = self._ends.finish(simulated)
        known = {**events.hashes["order"], **self._ends.hashes}
        fills = {**events.hashes["fill"], _OPEN: self._open}
        hashes = {"orders": {name: known[name] for name in TABLES["orders"]}, "fills": fills}
        return Matched(match.skipped, hashes, counts, self._flows)


def _hashed(match: KernelMatch, hashing: Hashing) -> Iterator[Chunk]:
    """Yield the chunks of a matching; each is hashed in a thread while the next one is matched."""
    with ThreadPoolExecutor(1, "hashing") as pool:
        last: Future[None] | None = None
        for chunk in match.chunks():
            if last is not None:
                last.result()
            last = pool.submit(hashing.add, chunk)
            yield chunk
        if last is not None:
            last.result()


class _FillsFile:
    """Fills of chunks in a file: memory holds those of one.

    Parameters
    ----------
    path : Path
        The file, which is written.
    chunks : iterable of Chunk
        Chunks of a matching.
    """

    def __init__(self, path: Path, chunks: Iterable[Chunk]) -> None:
        self._path = path
        self._counts: list[int] = []
        with path.open("wb") as file:
            for chunk in chunks:
                if count := len(chunk.signed):
                    np.vstack([chunk.fills, chunk.signed, chunk.commission]).tofile(file)
                    self._counts.append(count)

    def __iter__(self) -> Iterator[Fills]:
        with self._path.open("rb") as file:
            for count in self._counts:
                rows = np.fromfile(file, np.int64, 7 * count).reshape(7, count)
                yield Fills(rows[1], rows[2], rows[5], rows[6], rows[:5])


@contextmanager
def figures_run(
    request: RunRequest,
    settings: Settings,
    workspace: AbstractContextManager[Path],
    progress: ProgressCallback | None = None,
) -> Iterator[CompletedRun]:
    """Run a request by the kernel to its figures and its digest; as of `completed_run`.

    In report mode tables and ``orders.json`` are written, else only the samples of the account.
    """
    report = progress or (lambda _: None)
    report(Progress("validate", 0.0))
    with run_inputs(request, settings, workspace) as inputs:
        plan, curve_days = plan_of(inputs.request, inputs, inputs.work)
        started = time.perf_counter()
        load_kernel_beside(WORTH_LOADING)
        sources = StrategySources([strategy_of(plan)])
        match = KernelMatch(plan, RowsAhead())
        tables = KernelTables(plan, match) if request.mode == "report" else None
        hashing = Hashing(plan, match, tables)
        last: int | None = None

        def chunks() -> Generator[Chunk]:
            nonlocal last
            for chunk in _hashed(match, hashing):
                if len(chunk.signed):
                    last = int(chunk.fills[1, -1])
                report_chunk(plan, chunk, report)
                yield chunk

        @cache
        def ended() -> ReplayOutcome:
            return kernel_outcome(plan, match, sources, last, started)

        equity = inputs.work / "equity.parquet"
        with closing(chunks()) as coming:
            known: ReplayOutcome | Underway
            fills: Iterable[Fills]
            if tables is not None:
                # What becomes of orders must be known before they are written.
                fills = _FillsFile(inputs.work / "fills.bin", coming)
                known, whole = ended(), hashing.matched()
                columns = Columns(
                    plan, match, hashing.position, fills, lambda: whole, equity, tables
                )
            else:
                fills = map(Fills.of, coming)
                known = underway(plan, match, ended)
                columns = Columns(plan, match, hashing.position, fills, hashing.matched, equity)
            figures = compute_figures(plan, inputs.prices, known, columns)
        digest = joined_digest(columns.hashes(), texts(asdict(figures.account)))
        yield CompletedRun(inputs.request, inputs, plan, curve_days, ended(), figures, None, digest)


def underway(plan: RunPlan, match: KernelMatch, ended: Callable[[], ReplayOutcome]) -> Underway:
    """Return what is known of a run before its last chunk."""
    closing_at_ns = None if plan.closing is None else plan.close_at_ns
    return Underway(match.terms.currency_precision, closing_at_ns, ended)


class Columns:
    """The columns of a run, counted and hashed; see `odum_assets.backtest.figures.Recorded`.

    Parameters
    ----------
    plan : RunPlan
        The run.
    match : KernelMatch
        Its matching.
    position : str
        Id of the position.
    parts : iterable of Fills
        Its fills; none where `add` is given them.
    matched : callable
        Returns what is known when all parts came.
    equity : Path, optional
        Where samples of the account are written.
    tables : KernelTables, optional
        The tables of a report.
    """

    def __init__(
        self,
        plan: RunPlan,
        match: KernelMatch,
        position: str,
        parts: Iterable[Fills],
        matched: Callable[[], Matched],
        equity: Path | None = None,
        tables: KernelTables | None = None,
    ) -> None:
        self._plan, self._match, self._position, self._parts = plan, match, position, parts
        self._of_all, self._equity, self._tables = matched, equity, tables
        self._own = {name: ColumnHash() for name in _COUNTED}
        self._trips = {name: ColumnHash() for name in TABLES["positions"]}
        self._paid = self._gained = 0
        self._count = self._last = 0

    @cached_property
    def _matched(self) -> Matched:
        return self._of_all()

    def hashes(self) -> dict[str, dict[str, ColumnHash]]:
        """Return the hashes of all columns, when all is counted."""
        known = self._matched.hashes
        fills = {**known["fills"], **self._own}
        return {
            "orders": known["orders"],
            "fills": {name: fills[name] for name in TABLES["fills"]},
            "positions": self._trips,
        }

    def counter(self, rules: AccountRules, starting_balance: Decimal) -> FillCounter:
        """Return what counts the fills."""
        return FillCounter(rules, starting_balance, load_kernel())

    def orders(self) -> OrderCounts:
        """Return the counts; write the orders where they are wanted."""
        if self._tables is not None:
            self._tables.write_orders()
        return self._matched.orders

    def apply_fills(self, market: MarkToMarket) -> tuple[int, int, EngineAccount]:
        """Run the ledger over the fills and hash what it says."""
        for part in self._parts:
            self.add(market, part)
        return self.ended(market)

    def add(self, market: MarkToMarket, part: Fills) -> None:
        """Run the ledger over the next fills."""
        market.pay(part.funding)
        if len(part.ts):
            counted = self._counted(market, part)
            if self._tables is not None:
                self._tables.add_fills(part, counted)

    def ended(self, market: MarkToMarket) -> tuple[int, int, EngineAccount]:
        """Count what comes after all fills, and return what `apply_fills` does."""
        with amounts_explained():
            market.finish()
        engine = market.counter.ledger.engine_account
        if is_simulated(self._plan, self._match):
            ts, price, signed, fee = EventFiles.simulated_fill(self._plan, self._match)
            one = Fills(np.array([ts]), np.array([price]), np.array([signed]), np.array([fee]))
            counted = self._counted(market, one)
            if self._tables is not None:
                self._tables.add_simulated_fill(counted)
            with amounts_explained():
                market.finish()
        if self._tables is not None:
            self._tables.close_fills()
        # Here, before another thread asks for it.
        _ = self._matched
        return self._count, self._last, engine

    def flows(self, rules: AccountRules) -> CashFlows:
        """Return the sums of the fills."""
        flows = self._matched.flows.copy()
        assert flows.rules == rules  # noqa: S101 - its own
        flows.commissions, flows.realized = self._paid, self._gained
        return flows

    def write_equity(self, points: Sequence[EquityPoint]) -> None:
        """Write them where they are wanted: the figures have what they need."""
        if self._equity is not None:
            write_equity(self._equity, points)

    def write_positions(self, part: pa.Table) -> None:
        """Hash the next round trips in order of their end; what is open comes last."""
        self._hash_trips(part, self._trips)
        if self._tables is not None:
            self._tables.write_positions(part)

    def close_positions(self) -> None:
        """Finish their table where there is one."""
        if self._tables is not None:
            self._tables.close_positions()

    def _counted(self, market: MarkToMarket, fills: Fills) -> LedgerRows:
        ts, price, signed, commission = fills[:4]
        one = np.zeros(len(ts), np.int64)
        columns = FillColumns(ts, [self._position], one, signed, price, commission)
        own, money = self._own, market.counter.rules.currency_precision
        with amounts_explained():
            rows: LedgerRows = market.apply_fills(columns)
        own["commission"].update_words(stored_words(commission, money))
        self._hash_realized(rows.realized, money)
        _hash_units(own["balance"], rows.cash, money)
        self._paid += int(commission.sum())
        self._gained += int(np.sum(rows.realized))
        self._count, self._last = self._count + len(ts), int(ts[-1])
        return rows

    def _hash_realized(self, units: Any, precision: int) -> None:  # noqa: ANN401
        _hash_units(self._own["realized_pnl"], units, precision)

    def _hash_trips(self, part: pa.Table, names: Iterable[str]) -> None:
        for name in names:
            column: Any = part[name]
            for chunk in column.chunks:
                self._trips[name].update(chunk)


def _hash_units(hashed: ColumnHash, units: Any, precision: int) -> None:  # noqa: ANN401
    """Hash amounts, which the exact ledger gives as a list of numbers of any size."""
    if isinstance(units, np.ndarray) and units.dtype == np.int64:
        hashed.update_words(stored_words(units, precision))
    else:
        hashed.update(units_column(units, precision, DECIMAL))
