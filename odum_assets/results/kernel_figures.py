"""Variants by the kernel to figures and digests, from columns of whole numbers, without files.

What belongs here: matching once what differs in money alone, and counting and hashing each variant.
What does not: matching (``backtest.kernel_match``), figures (``backtest.figures``), which are those
of any run.
"""

import json
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from threading import Event, Lock
from typing import Any, Final

import numpy as np
import pyarrow as pa

from odum_assets.backtest.columns import FillColumns
from odum_assets.backtest.counting import FillCounter, load_kernel
from odum_assets.backtest.equity import EquityPoint, MarkToMarket
from odum_assets.backtest.figures import account_rules, compute_figures
from odum_assets.backtest.inputs import RunInputs, plan_of, run_inputs
from odum_assets.backtest.kernel_match import Chunk, Ints, KernelMatch
from odum_assets.backtest.kernel_run import EventFiles, amounts, is_simulated, kernel_outcome
from odum_assets.backtest.ledger import AccountRules, EngineAccount, LedgerRows, RoundTrip
from odum_assets.backtest.plan import Progress, RunPlan
from odum_assets.backtest.positions import positions_table
from odum_assets.backtest.prices import LastPrices
from odum_assets.backtest.process import Slots
from odum_assets.backtest.reconciliation import CashFlows
from odum_assets.backtest.request import RunRequest
from odum_assets.backtest.run import CompletedRun, ProgressCallback
from odum_assets.backtest.simulation import strategy_of
from odum_assets.backtest.strategies.sources import StrategySources
from odum_assets.backtest.tables import OrderCounts
from odum_assets.catalog.arrow import kernels as pc
from odum_assets.catalog.fixed_point import DECIMAL, to_decimals, units_column
from odum_assets.config.variants import Variant
from odum_assets.errors import BacktestError, OdumError
from odum_assets.results.digest import TABLES, ColumnHash, joined_digest
from odum_assets.results.json_figures import texts
from odum_assets.settings import Settings
from odum_assets.vectorized.ticks.rows import HeldRows

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
_STATUSES: Final = ("open", "canceled", "rejected", "filled")
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
    chunks : list[Chunk]
        Orders, fills and ends, with the commissions of one of the runs.
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
    """

    chunks: list[Chunk]
    skipped: int | None
    hashes: dict[str, dict[str, ColumnHash]]
    orders: OrderCounts
    position: str
    flows: CashFlows


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


def _match(plan: RunPlan, rows: HeldRows) -> _Matched:
    match = KernelMatch(plan, rows)
    events = _EventHashes(plan, match)
    chunks = []
    for chunk in match.chunks():
        events.write(chunk)
        chunks.append(chunk)
    simulated = match.account.lots if is_simulated(plan, match) else 0
    if simulated:
        events.write_simulated(simulated)
    ended, counts = _orders(chunks, simulated, events.reason, match.digits)
    known = {**events.hashes["order"], **ended}
    fills = {**events.hashes["fill"], _OPEN: ColumnHash()}
    hashes = {"orders": {name: known[name] for name in TABLES["orders"]}, "fills": fills}
    flows, held = CashFlows(account_rules(plan, match.terms.currency_precision)), 0
    parts = [(chunk.signed, chunk.fills[2]) for chunk in chunks]
    if simulated:
        _, price, signed, _ = EventFiles.simulated_fill(plan, match)
        parts.append((np.array([signed]), np.array([price])))
    for quantity, prices in parts:
        flows.add_units(events.position, quantity, prices)
        fills[_OPEN].update(units_column(held + np.cumsum(quantity), match.digits[1], DECIMAL))
        held += int(quantity.sum())
    return _Matched(chunks, match.skipped, hashes, counts, events.position, flows)


def _orders(
    chunks: Sequence[Chunk], simulated: int, reason: str, digits: tuple[int, int]
) -> tuple[dict[str, ColumnHash], OrderCounts]:
    """Return the hashes of what became of orders, and their counts, as of `tables.write_orders`."""

    def together(columns: Iterator[Ints]) -> Ints:
        return np.concatenate([np.empty(0, np.int64), *columns])

    size = together(chunk.orders.size for chunk in chunks)
    side = together(chunk.orders.side for chunk in chunks)
    is_market = together(chunk.orders.is_market.astype(np.int64) for chunk in chunks) == 1
    numbers = together(chunk.fills[0] for chunk in chunks)
    signed = together(chunk.signed for chunk in chunks)
    ends = [together(chunk.ends[row] for chunk in chunks) for row in range(3)]
    filled = np.zeros(len(size), np.int64)
    np.add.at(filled, numbers, np.abs(signed))
    status, ended = np.zeros(len(size), np.int8), np.full(len(size), -1)
    # The first end counts: it is written last.
    status[ends[0][::-1]] = ends[2][::-1] + 1
    ended[ends[0][::-1]] = ends[1][::-1]
    rejected = status == _STATUSES.index("rejected")
    status[filled >= size] = _STATUSES.index("filled")
    closing = sum(len(chunk.orders.ts) for chunk in chunks if chunk.closing)
    closed = int(filled[len(filled) - closing :].sum())
    if simulated:
        lots = abs(simulated)
        side = np.append(side, -np.sign(simulated))
        signed = np.append(signed, -simulated)
        is_market, rejected = np.append(is_market, True), np.append(rejected, False)
        filled, ended = np.append(filled, lots), np.append(ended, -1)
        status = np.append(status, np.int8(_STATUSES.index("filled")))
    hashes = {name: ColumnHash() for name in _ENDED}
    names: Any = pa.array(_STATUSES)
    for start in range(0, len(status), _BATCH_ROWS):
        part = slice(start, start + _BATCH_ROWS)
        hashes["status"].update(names.take(pa.array(status[part])))
        hashes["filled"].update(to_decimals(filled[part], digits[1]))
        texts_of = pc.if_else(pa.array(rejected[part]), reason, pa.scalar(None, pa.string()))
        hashes["reason"].update(texts_of)
        times = ended[part]
        hashes["ended"].update(pa.array(times, mask=times < 0))

    def quantity(lots: int) -> Decimal:
        return Decimal(lots).scaleb(-digits[1])

    refused = int((status == _STATUSES.index("rejected")).sum())
    by_status = {name: int((status == code).sum()) for code, name in enumerate(_STATUSES)}
    by_type = {"LIMIT": int((~is_market).sum()), "MARKET": int(is_market.sum())}
    return hashes, OrderCounts(
        orders=len(status),
        orders_by_status={name: by_status[name] for name in sorted(by_status) if by_status[name]},
        orders_by_type={name: count for name, count in by_type.items() if count},
        reasons={reason.partition(":")[0]: refused} if refused else {},
        buy_orders=int((side > 0).sum()),
        buy_quantity=quantity(int(signed[signed > 0].sum())),
        sell_orders=int((side < 0).sum()),
        sell_quantity=quantity(-int(signed[signed < 0].sum())),
        closing_orders=closing,
        closed_quantity=quantity(closed),
        simulated_quantity=quantity(abs(simulated)),
        orders_filled=int((filled > 0).sum()),
    )


def _completed(
    request: RunRequest, inputs: RunInputs, plan: RunPlan, group: _Group, prices: LastPrices
) -> CompletedRun:
    started = time.perf_counter()
    sources = StrategySources([strategy_of(plan)])
    matched = group.matched(plan)
    match = KernelMatch(plan)
    match.skipped = matched.skipped
    chunks = [match.counted(chunk) for chunk in matched.chunks]
    last_fill = max(
        (int(chunk.fills[1, -1]) for chunk in chunks if len(chunk.fills[0])), default=None
    )
    outcome = kernel_outcome(plan, match, sources, last_fill, started)
    columns = _Columns(plan, match, matched, chunks)
    figures = compute_figures(plan, prices, outcome, columns)
    digest = joined_digest(columns.hashes, texts(asdict(figures.account)))
    return CompletedRun(request, inputs, plan, [], outcome, figures, None, digest)


class _Columns:
    """The columns of a run, counted and hashed; see `odum_assets.backtest.figures.Recorded`."""

    def __init__(
        self, plan: RunPlan, match: KernelMatch, matched: _Matched, chunks: list[Chunk]
    ) -> None:
        self._plan, self._match, self._matched, self._chunks = plan, match, matched, chunks
        own = {name: ColumnHash() for name in _COUNTED}
        fills = {**matched.hashes["fills"], **own}
        self.hashes = {
            "orders": matched.hashes["orders"],
            "fills": {name: fills[name] for name in TABLES["fills"]},
            "positions": {name: ColumnHash() for name in TABLES["positions"]},
        }
        self._flows = matched.flows.copy()

    def counter(self, rules: AccountRules, starting_balance: Decimal) -> FillCounter:
        """Return what counts the fills."""
        return FillCounter(rules, starting_balance, load_kernel())

    def orders(self) -> OrderCounts:
        """Return the counts, which all share."""
        return self._matched.orders

    def apply_fills(self, market: MarkToMarket) -> tuple[int, int, EngineAccount]:
        """Run the ledger over the fills and hash what it says."""
        count = last = 0
        for chunk in self._chunks:
            fills = chunk.fills
            if len(fills[0]):
                self._count(market, fills[1], chunk.signed, fills[2], chunk.commission)
                count, last = count + len(fills[0]), int(fills[1, -1])
        market.finish()
        engine = market.counter.ledger.engine_account
        if is_simulated(self._plan, self._match):
            ts, price, signed, fee = EventFiles.simulated_fill(self._plan, self._match)
            self._count(market, *(np.array([t]) for t in (ts, signed, price, fee)))
            count, last = count + 1, ts
            market.finish()
        return count, last, engine

    def flows(self, rules: AccountRules) -> CashFlows:
        """Return the sums of the fills."""
        assert self._flows.rules == rules  # noqa: S101 - its own
        return self._flows

    def write_equity(self, points: Sequence[EquityPoint]) -> None:
        """Keep nothing: the figures have what they need."""

    def write_positions(self, closed: pa.Table, still_open: Sequence[RoundTrip]) -> None:
        """Hash round trips in order of their end, then what is open."""
        table = pa.concat_tables([closed, positions_table(still_open)]).combine_chunks()
        for name, value in self.hashes["positions"].items():
            column: Any = table[name]
            for part in column.chunks:
                value.update(part)

    def _count(
        self, market: MarkToMarket, ts: Ints, signed: Ints, price: Ints, commission: Ints
    ) -> None:
        names = [self._matched.position]
        columns = FillColumns(ts, names, np.zeros(len(ts), np.int64), signed, price, commission)
        rows: LedgerRows = market.apply_fills(columns)
        rules, own = market.counter.rules, self.hashes["fills"]
        money = rules.currency_precision
        own["commission"].update(amounts(commission, money))
        own["realized_pnl"].update(units_column(rows.realized, money, DECIMAL))
        own["balance"].update(units_column(rows.cash, money, DECIMAL))
        self._flows.commissions += int(commission.sum())
        self._flows.realized += int(np.sum(rows.realized))
