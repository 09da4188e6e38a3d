"""Variants by the kernel to figures and digests, from columns of whole numbers, without files.

What belongs here: matching once what differs in money alone, and counting and hashing each variant.
What does not: matching (``backtest.kernel_match``), figures (``backtest.figures``), which are those
of any run, and tables (``kernel_tables``), which only reports have.
"""

import json
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from functools import cache, cached_property
from pathlib import Path
from threading import Event, Lock
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from odum_assets.backtest.columns import FillColumns
from odum_assets.backtest.counting import (
    WORTH_LOADING,
    FillCounter,
    SharedCounts,
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
from odum_assets.backtest.inputs import RunInputs, plan_of, run_inputs
from odum_assets.backtest.kernel_match import Chunk, HeldFills, Ints, KernelMatch
from odum_assets.backtest.kernel_run import (
    EventFiles,
    is_simulated,
    kernel_outcome,
    report_chunk,
)
from odum_assets.backtest.ledger import AccountRules, EngineAccount, LedgerRows, RoundTrip
from odum_assets.backtest.outcome import ReplayOutcome
from odum_assets.backtest.plan import Progress, RunPlan
from odum_assets.backtest.positions import positions_table
from odum_assets.backtest.prices import LastPrices
from odum_assets.backtest.process import Slots
from odum_assets.backtest.reconciliation import CashFlows
from odum_assets.backtest.request import RunRequest
from odum_assets.backtest.run import CompletedRun, ProgressCallback
from odum_assets.backtest.simulation import strategy_of
from odum_assets.backtest.strategies.sources import StrategySources
from odum_assets.backtest.tables import OrderCounts, write_equity
from odum_assets.catalog.arrow import kernels as pc
from odum_assets.catalog.fixed_point import DECIMAL, units_column
from odum_assets.config.variants import Variant
from odum_assets.errors import BacktestError, OdumError
from odum_assets.results.digest import TABLES, ColumnHash, joined_digest
from odum_assets.results.json_figures import texts
from odum_assets.results.kernel_tables import ORDER_STATUSES, Fills, KernelTables
from odum_assets.settings import Settings
from odum_assets.vectorized.ticks.rows import HeldRows, RowsAhead
from odum_assets.vectorized.ticks.stored import stored_words

_MONEY: Final = ("maker_fee", "taker_fee", "starting_balance")
"""Keys of ``venue`` that do not change what is matched."""

_OF_EVENTS: Final = {
    "order": {"timestamp": "ts", "id": "order_id", "exec_algorithm": "algorithm"},
    "fill": {"timestamp": "ts"},
}
"""Columns of events by those of the tables, where their names differ."""

_COUNTED: Final = ("commission", "realized_pnl", "balance")
_OPEN: Final = "position_quantity"
_ENDED: Final = ("status", "filled", "reason", "ended")
_BATCH_ROWS: Final = 131_072


def variants_figures(
    request: RunRequest,
    variants: Sequence[Variant],
    settings: Settings,
    workspace: AbstractContextManager[Path],
    *,
    slots: int | Slots,
    begun: Callable[[Sequence[RunRequest]], None],
    progress: ProgressCallback | None = None,
) -> Generator[tuple[int, CompletedRun | OdumError]]:
    """Run variants by the kernel over the data of a request, some at a time, in threads.

    Parameters
    ----------
    request, variants, settings, workspace, slots, begun, progress : any
        As of `odum_assets.backtest.sweep.completed_variants`.

    Yields
    ------
    tuple[int, CompletedRun or OdumError]
        Index of a variant, and its run, which has no tables, or why there is none.

    Raises
    ------
    OdumError
        If the request cannot be served; nothing is run then.
    """
    report = progress or (lambda _: None)
    with run_inputs(request, settings, workspace) as inputs:
        requests = [replace(inputs.request, config=variant.config) for variant in variants]
        begun(requests)
        plans = [plan_of(request, inputs, inputs.work)[0] for request in requests]
        groups: dict[str, _Group] = {}
        rows, prices = HeldRows(), _KnownPrices(inputs.prices)
        is_over, one = Event(), Lock()
        of = [groups.setdefault(key, _Group(key, rows, one)) for key in map(_matching_key, plans)]
        for group in of:
            group.left += 1

        def end(index: int) -> tuple[int, CompletedRun | OdumError]:
            try:
                if is_over.is_set():
                    raise BacktestError("the sweep was stopped")
                return index, _completed(requests[index], inputs, plans[index], of[index], prices)
            except OdumError as error:
                return index, error
            finally:
                of[index].leave()

        threads = slots if isinstance(slots, int) else slots(len(plans))
        pool = ThreadPoolExecutor(max(threads, 1), "kernel")
        try:
            # Those that are matched alike one after the other: one matching is in memory.
            order = sorted(range(len(plans)), key=lambda index: list(groups).index(of[index].key))
            futures = [pool.submit(end, index) for index in order]
            for number, done in enumerate(as_completed(futures), 1):
                yield done.result()
                phase = f"{number} of {len(plans)} variants"
                report(Progress(phase, number / len(plans)))
        finally:
            is_over.set()
            pool.shutdown(cancel_futures=True)


def _matching_key(plan: RunPlan) -> str:
    """Return what decides the matching of a plan."""
    document = plan.config.document()
    venue = {name: value for name, value in document["venue"].items() if name not in _MONEY}
    others = {name: value for name, value in document.items() if name != "metrics"}
    return json.dumps({**others, "venue": venue}, sort_keys=True, default=str)


class _KnownPrices(LastPrices):
    """Prices of which every question is answered once; threads ask the same."""

    def __init__(self, prices: LastPrices) -> None:
        self._prices = prices
        self._known: dict[tuple[int, ...], list[Decimal | None]] = {}
        self._asking = Lock()

    def __len__(self) -> int:
        return len(self._prices)

    @property
    def span(self) -> tuple[int, int]:
        """Return the first and last time (ns)."""
        return self._prices.span

    def at(self, moments: Sequence[int]) -> list[Decimal | None]:
        """Return the price at each moment (ns), None before the first trade."""
        key = tuple(moments)
        with self._asking:
            if key not in self._known:
                self._known[key] = self._prices.at(moments)
            return self._known[key]


@dataclass(slots=True)
class _Matched:
    """What runs that are matched alike share.

    Parameters
    ----------
    fills : list[HeldFills]
        Fills by chunks.
    skipped : int or None
        Trades that sent no order.
    hashes : dict[str, dict[str, ColumnHash]]
        Of the columns of orders and of fills that do not depend on money.
    orders : OrderCounts
        Orders by status, type and side.
    position : str
        Id of the position.
    flows : CashFlows
        Quantities of the fills by price.
    counts : dict[int, SharedCounts]
        What is counted of the fills, by the interval of samples.
    realized : ColumnHash or None
        Of what the fills realize, when a run has counted it.
    """

    fills: list[HeldFills]
    skipped: int | None
    hashes: dict[str, dict[str, ColumnHash]]
    orders: OrderCounts
    position: str
    flows: CashFlows
    counts: dict[int, SharedCounts] = field(default_factory=dict)
    realized: ColumnHash | None = None

    def counter(self, plan: RunPlan, rules: AccountRules, balance: Decimal) -> FillCounter:
        """Return what counts the fills of one of several runs."""
        kernel = load_kernel()
        if kernel is None:
            return FillCounter(rules, balance)
        key = plan.config.metrics.equity_interval_secs
        shared = self.counts.setdefault(key, SharedCounts(kernel, rules))
        return FillCounter(rules, balance, kernel, shared)


@dataclass(slots=True)
class _Group:
    """Variants that are matched alike; the first one that comes is matched.

    The lock `one` lets one group be in memory at a time.
    """

    key: str
    rows: HeldRows
    one: Any
    left: int = 0
    _holds: bool = False
    _matched: _Matched | None = None
    _lock: Any = field(default_factory=Lock)

    def matched(self, plan: RunPlan) -> _Matched:
        """Return what all share."""
        with self._lock:
            if not self._holds:
                self.one.acquire()
                self._holds = True
            if self._matched is None:
                self._matched = _match(plan, self.rows)
            return self._matched

    def leave(self) -> None:
        """Say that a variant has ended; what was matched is given up after the last one."""
        with self._lock:
            self.left -= 1
            if not self.left:
                self._matched = None
                if self._holds:
                    self.one.release()


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


class _Hashing:
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

    def matched(self, held: Sequence[HeldFills] = ()) -> _Matched:
        """Return what came of all chunks, when matching is over; what is held of them is given."""
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
        return _Matched(list(held), match.skipped, hashes, counts, events.position, self._flows)


def _hashed(match: KernelMatch, hashing: _Hashing) -> Iterator[Chunk]:
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


def _match(plan: RunPlan, rows: HeldRows) -> _Matched:
    match = KernelMatch(plan, rows)
    hashing = _Hashing(plan, match)
    return hashing.matched([HeldFills.of(chunk) for chunk in _hashed(match, hashing)])


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
        hashing = _Hashing(plan, match, tables)
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
            if match.is_funded or tables is not None:
                # What is paid must be known before fills are counted, and what becomes of orders
                # before they are written.
                fills = _FillsFile(inputs.work / "fills.bin", coming)
                known, whole = ended(), hashing.matched()
                columns = _Columns(
                    plan, match, hashing.position, fills, lambda: whole, equity, tables
                )
            else:
                fills = map(Fills.of, coming)
                known = _underway(plan, match, ended)
                columns = _Columns(plan, match, hashing.position, fills, hashing.matched, equity)
            figures = compute_figures(plan, inputs.prices, known, columns)
        digest = joined_digest(columns.hashes(), texts(asdict(figures.account)))
        yield CompletedRun(inputs.request, inputs, plan, curve_days, ended(), figures, None, digest)


def _completed(
    request: RunRequest, inputs: RunInputs, plan: RunPlan, group: _Group, prices: LastPrices
) -> CompletedRun:
    started = time.perf_counter()
    sources = StrategySources([strategy_of(plan)])
    matched = group.matched(plan)
    match = KernelMatch(plan)
    match.skipped = matched.skipped
    fills: Iterable[Fills] = (
        Fills(held.ts, held.price, held.signed, match.counted(held)) for held in matched.fills
    )
    if match.is_funded:
        # What is paid must be known before fills are counted.
        fills = list(fills)
    last_fill = max((int(held.ts[-1]) for held in matched.fills if len(held.ts)), default=None)

    @cache
    def ended() -> ReplayOutcome:
        return kernel_outcome(plan, match, sources, last_fill, started)

    known = ended() if match.is_funded else _underway(plan, match, ended)
    columns = _Columns(plan, match, matched.position, fills, lambda: matched, is_shared=True)
    figures = compute_figures(plan, prices, known, columns)
    hashes = columns.hashes()
    matched.realized = hashes["fills"]["realized_pnl"]
    digest = joined_digest(hashes, texts(asdict(figures.account)))
    return CompletedRun(request, inputs, plan, [], ended(), figures, None, digest)


def _underway(plan: RunPlan, match: KernelMatch, ended: Callable[[], ReplayOutcome]) -> Underway:
    closing_at_ns = None if plan.closing is None else plan.close_at_ns
    return Underway(match.terms.currency_precision, closing_at_ns, ended)


class _Columns:
    """The columns of a run, counted and hashed; see `odum_assets.backtest.figures.Recorded`."""

    def __init__(
        self,
        plan: RunPlan,
        match: KernelMatch,
        position: str,
        parts: Iterable[Fills],
        matched: Callable[[], _Matched],
        equity: Path | None = None,
        tables: KernelTables | None = None,
        *,
        is_shared: bool = False,
    ) -> None:
        self._plan, self._match, self._position, self._parts = plan, match, position, parts
        self._of_all, self._equity, self._is_shared = matched, equity, is_shared
        self._tables = tables
        self._own = {name: ColumnHash() for name in _COUNTED}
        # Only of runs that are matched alike something may be known before.
        self._realized = matched().realized if is_shared else None
        if self._realized is not None:
            self._own["realized_pnl"] = self._realized
        self._trips = {name: ColumnHash() for name in TABLES["positions"]}
        self._paid = self._gained = 0

    @cached_property
    def _matched(self) -> _Matched:
        """What all share, when matching is over."""
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
        if self._is_shared:
            return self._matched.counter(self._plan, rules, starting_balance)
        return FillCounter(rules, starting_balance, load_kernel())

    def orders(self) -> OrderCounts:
        """Return the counts, which all share; write the orders where they are wanted."""
        if self._tables is not None:
            self._tables.write_orders()
        return self._matched.orders

    def apply_fills(self, market: MarkToMarket) -> tuple[int, int, EngineAccount]:
        """Run the ledger over the fills and hash what it says."""
        count = last = 0
        for part in self._parts:
            if len(part.ts):
                counted = self._count(market, part)
                if self._tables is not None:
                    self._tables.add_fills(part, counted)
                count, last = count + len(part.ts), int(part.ts[-1])
        with amounts_explained():
            market.finish()
        engine = market.counter.ledger.engine_account
        if is_simulated(self._plan, self._match):
            ts, price, signed, fee = EventFiles.simulated_fill(self._plan, self._match)
            counted = self._count(
                market, Fills(*(np.array([each]) for each in (ts, price, signed, fee)))
            )
            if self._tables is not None:
                self._tables.add_simulated_fill(counted)
            count, last = count + 1, ts
            with amounts_explained():
                market.finish()
        if self._tables is not None:
            self._tables.close_fills()
        # Here, before several threads ask for it.
        _ = self._matched
        return count, last, engine

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

    def write_positions(self, closed: pa.Table, still_open: Sequence[RoundTrip]) -> None:
        """Hash round trips in order of their end, then what is open."""
        table = pa.concat_tables([closed, positions_table(still_open)]).combine_chunks()
        for name, value in self._trips.items():
            column: Any = table[name]
            for part in column.chunks:
                value.update(part)
        if self._tables is not None:
            self._tables.write_positions(closed, still_open)

    def _count(self, market: MarkToMarket, fills: Fills) -> LedgerRows:
        ts, price, signed, commission = fills[:4]
        one = np.zeros(len(ts), np.int64)
        columns = FillColumns(ts, [self._position], one, signed, price, commission)
        own, money = self._own, market.counter.rules.currency_precision
        with amounts_explained():
            rows: LedgerRows = market.apply_fills(columns)
        own["commission"].update_words(stored_words(commission, money))
        if self._realized is None:
            _hash_units(own["realized_pnl"], rows.realized, money)
        _hash_units(own["balance"], rows.cash, money)
        self._paid += int(commission.sum())
        self._gained += int(np.sum(rows.realized))
        return rows


def _hash_units(hashed: ColumnHash, units: Any, precision: int) -> None:  # noqa: ANN401
    """Hash amounts, which the exact ledger gives as a list of numbers of any size."""
    if isinstance(units, np.ndarray) and units.dtype == np.int64:
        hashed.update_words(stored_words(units, precision))
    else:
        hashed.update(units_column(units, precision, DECIMAL))
