"""Variants by the kernel to figures and digests; those that are matched alike go over it at once.

What belongs here: matching once what differs in money alone, and giving each chunk to each variant.
What does not: counting and hashing (``kernel_figures``), what is kept of a sweep (``sweep``).

Memory holds some chunks and the state of some variants, whatever the length of a day.
"""

import json
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from functools import cache
from itertools import batched
from pathlib import Path
from threading import Lock
from typing import Any, Final

import pyarrow as pa

from odum_assets.backtest.counting import FillCounter, SharedCounts, load_kernel
from odum_assets.backtest.figures import FigureCounting, no_collections
from odum_assets.backtest.inputs import RunInputs, plan_of, run_inputs
from odum_assets.backtest.kernel_match import Chunk, KernelMatch
from odum_assets.backtest.kernel_run import kernel_outcome, report_chunk
from odum_assets.backtest.ledger import AccountRules
from odum_assets.backtest.outcome import ReplayOutcome
from odum_assets.backtest.plan import Progress, RunPlan
from odum_assets.backtest.prices import LastPrices
from odum_assets.backtest.process import Slots
from odum_assets.backtest.request import RunRequest
from odum_assets.backtest.run import CompletedRun, ProgressCallback
from odum_assets.backtest.simulation import strategy_of
from odum_assets.backtest.strategies.sources import StrategySources
from odum_assets.config.variants import Variant
from odum_assets.errors import OdumError
from odum_assets.results.digest import TABLES, ColumnHash, joined_digest
from odum_assets.results.json_figures import texts
from odum_assets.results.kernel_figures import Columns, Hashing, Matched, underway
from odum_assets.results.kernel_tables import Fills
from odum_assets.settings import Settings
from odum_assets.vectorized.ticks.rows import KeptRows, Rows, RowsAhead

_MONEY: Final = ("maker_fee", "taker_fee", "starting_balance")
"""Keys of ``venue`` that do not change what is matched."""

_TOGETHER: Final = 64
"""Variants that go over the day at once: each has its own samples of the account."""


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
        groups: dict[str, list[int]] = {}
        for index, plan in enumerate(plans):
            groups.setdefault(_matching_key(plan), []).append(index)
        parts = [
            part for group in groups.values() for part in batched(group, _TOGETHER, strict=False)
        ]
        rows = KeptRows(inputs.work) if len(parts) > 1 else RowsAhead()
        prices, total = _KnownPrices(inputs.prices), len(plans)
        done, reached = 0, 0.0

        def tell(underway: float) -> None:
            nonlocal reached
            # Variants that have counted all fills have not ended yet.
            reached = max(reached, (done + underway) / total)
            report(Progress(f"{done} of {total} variants", reached))

        threads = slots if isinstance(slots, int) else slots(total)
        pool = ThreadPoolExecutor(max(threads, 1), "kernel")
        try:
            for part in parts:
                runs = [(index, requests[index], plans[index]) for index in part]
                for end in _Alike(runs, inputs, prices, rows, pool).ends(tell):
                    yield end
                    done += 1
                    tell(0)
        finally:
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


class _Alike:
    """Runs that are matched alike.

    Parameters
    ----------
    runs : sequence of (int, RunRequest, RunPlan)
        With the index of each.
    inputs : RunInputs
        Their data.
    prices : LastPrices
        Trades of the window.
    rows : Rows
        What reads the rows.
    pool : ThreadPoolExecutor
        Where everything is computed.
    """

    def __init__(
        self,
        runs: Sequence[tuple[int, RunRequest, RunPlan]],
        inputs: RunInputs,
        prices: LastPrices,
        rows: Rows,
        pool: ThreadPoolExecutor,
    ) -> None:
        self._runs, self._inputs, self._prices = runs, inputs, prices
        self._rows, self._pool = rows, pool
        self._counting: dict[int, _Variant] = {}
        self._failed: dict[int, OdumError] = {}

    def ends(
        self, counted: Callable[[float], None]
    ) -> Iterator[tuple[int, CompletedRun | OdumError]]:
        """Yield the index of each run, and what became of it.

        `counted` is called with the share of them all that is counted, in runs.
        """
        try:
            self._match(lambda step: counted(step.done * len(self._runs)))
        except OdumError as error:
            self._failed = {index: self._failed.get(index, error) for index, *_ in self._runs}
            self._counting = {}
        yield from self._failed.items()
        indexes = list(self._counting)
        with no_collections():
            # The first one that ends hashes for all what they share.
            while indexes:
                index, end = self._completed(indexes.pop(0))
                yield index, end
                if isinstance(end, CompletedRun):
                    break
            ended = [self._pool.submit(self._completed, index) for index in indexes]
            for future in as_completed(ended):
                yield future.result()

    def _completed(self, index: int) -> tuple[int, CompletedRun | OdumError]:
        try:
            return index, self._counting.pop(index).completed()
        except OdumError as error:
            return index, error

    def _match(self, progress: ProgressCallback) -> None:
        """Match the rows, and let all variants count each chunk while the next one is matched."""
        plan = self._runs[0][2]
        match = KernelMatch(plan, self._rows, is_shared=True)
        hashing = Hashing(plan, match)
        shared = _Shared(hashing.position)
        for index, request, own in self._runs:
            try:
                variant = _Variant(request, self._inputs, own, self._prices, shared)
                self._counting[index] = variant
            except OdumError as error:
                self._failed[index] = error
        chunks = match.chunks()
        coming = self._pool.submit(next, chunks, None)
        try:
            with no_collections():
                while self._counting and (chunk := coming.result()) is not None:
                    coming = self._pool.submit(next, chunks, None)
                    hashed = self._pool.submit(hashing.add, chunk)
                    self._count(chunk)
                    hashed.result()
                    shared.give_up()
                    report_chunk(plan, chunk, progress)
        finally:
            wait([coming])
            chunks.close()
        shared.matched = hashing.matched()

    def _count(self, chunk: Chunk) -> None:
        jobs: dict[int, Future[None]] = {
            index: self._pool.submit(variant.add, chunk)
            for index, variant in self._counting.items()
        }
        wait(jobs.values())
        for index, job in jobs.items():
            try:
                job.result()
            except OdumError as error:
                del self._counting[index]
                self._failed[index] = error


@dataclass(slots=True)
class _Shared:
    """What runs that are matched alike count and hash once: all but commissions and balances.

    Parameters
    ----------
    position : str
        Id of the position.
    realized : ColumnHash
        Of what the fills realize.
    trips : dict[str, ColumnHash]
        Of columns of the positions table.
    matched : Matched or None
        What is known when all chunks came.
    """

    position: str
    realized: ColumnHash = field(default_factory=ColumnHash)
    trips: dict[str, ColumnHash] = field(
        default_factory=lambda: {
            name: ColumnHash() for name in TABLES["positions"] if name != "commissions"
        }
    )
    matched: Matched | None = None
    _counts: dict[int, SharedCounts] = field(default_factory=dict)
    _taken: dict[str, int] = field(default_factory=dict)
    _asking: Any = field(default_factory=Lock)

    def counter(self, plan: RunPlan, rules: AccountRules, balance: Decimal) -> FillCounter:
        """Return what counts the fills of a run."""
        kernel = load_kernel()
        if kernel is None:
            return FillCounter(rules, balance)
        key = plan.config.metrics.equity_interval_secs
        counts = self._counts.setdefault(key, SharedCounts(kernel, rules))
        return FillCounter(rules, balance, kernel, counts)

    def whole(self) -> Matched:
        """Return what is known when all chunks came."""
        if self.matched is None:
            raise AssertionError("chunks are still to come")
        return self.matched

    def is_first(self, column: str, part: int) -> bool:
        """Return whether no run has asked before for a part of a column, which are numbered."""
        with self._asking:
            is_first = self._taken.get(column, 0) == part
            self._taken[column] = max(self._taken.get(column, 0), part + 1)
            return is_first

    def give_up(self) -> None:
        """Give up what all runs have counted."""
        for counts in self._counts.values():
            counts.give_up()


class _Variant:
    """One of several runs that are matched alike."""

    def __init__(
        self,
        request: RunRequest,
        inputs: RunInputs,
        plan: RunPlan,
        prices: LastPrices,
        shared: _Shared,
    ) -> None:
        self._request, self._inputs, self._plan, self._shared = request, inputs, plan, shared
        started, sources = time.perf_counter(), StrategySources([strategy_of(plan)])
        self._match = match = KernelMatch(plan)
        self._last_fill: int | None = None

        @cache
        def ended() -> ReplayOutcome:
            return kernel_outcome(plan, match, sources, self._last_fill, started)

        self._ended = ended
        self._columns = _VariantColumns(plan, match, shared)
        known = underway(plan, match, ended)
        self._counting = FigureCounting(plan, prices, known, self._columns)

    def add(self, chunk: Chunk) -> None:
        """Count the fills of a chunk."""
        if len(chunk.signed):
            self._last_fill = int(chunk.fills[1, -1])
        fills = Fills.of(chunk, self._match.counted(chunk))
        self._columns.add(self._counting.market, fills)

    def completed(self) -> CompletedRun:
        """Return the run, when all chunks came."""
        self._match.skipped = self._shared.whole().skipped
        counted = self._columns.ended(self._counting.market)
        outcome, started = self._ended(), time.perf_counter()
        figures = self._counting.figures(outcome, counted, self._columns.orders, started)
        digest = joined_digest(self._columns.hashes(), texts(asdict(figures.account)))
        return CompletedRun(
            self._request, self._inputs, self._plan, [], outcome, figures, None, digest
        )


class _VariantColumns(Columns):
    """The columns of a variant: what all share is hashed once."""

    def __init__(self, plan: RunPlan, match: KernelMatch, shared: _Shared) -> None:
        super().__init__(plan, match, shared.position, (), shared.whole)
        self._shared = shared
        self._own |= {name: ColumnHash(shared.realized) for name in self._own}
        self._own["realized_pnl"] = shared.realized
        self._trips |= shared.trips
        # How many parts of each came.
        self._numbers = {"realized": 0, "trips": 0}

    def counter(self, rules: AccountRules, starting_balance: Decimal) -> FillCounter:
        """Return what counts the fills."""
        return self._shared.counter(self._plan, rules, starting_balance)

    def write_positions(self, part: pa.Table) -> None:
        """Hash the next round trips in order of their end; what is open comes last."""
        self._hash_trips(part, self._trips if self._is_first("trips") else ("commissions",))

    def _hash_realized(self, units: Any, precision: int) -> None:  # noqa: ANN401
        if self._is_first("realized"):
            super()._hash_realized(units, precision)

    def _is_first(self, column: str) -> bool:
        part = self._numbers[column]
        self._numbers[column] += 1
        return self._shared.is_first(column, part)
