"""From recorded events to tables and figures: the ledger is run, checked and written down."""

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple, Protocol, Self

import pyarrow as pa

from odum_assets.backtest import tables
from odum_assets.backtest.counting import FillCounter, kernel_for
from odum_assets.backtest.equity import (
    EquityPoint,
    MarkToMarket,
    before,
    equity_point,
    outside_gaps,
    sample_times,
)
from odum_assets.backtest.ledger import AccountRules, EngineAccount
from odum_assets.backtest.metrics import (
    EquityFigures,
    EquitySeries,
    TradeResults,
    TradeStatistics,
    equity_figures,
    percent_of,
)
from odum_assets.backtest.outcome import Funding, ReplayOutcome
from odum_assets.backtest.plan import RunPlan
from odum_assets.backtest.positions import POSITIONS, positions_table
from odum_assets.backtest.prices import LastPrices
from odum_assets.backtest.reconciliation import CashFlows, Reconciliation, TripSums, reconcile
from odum_assets.catalog.fixed_point import Units
from odum_assets.errors import BacktestError

_RATE_LIMIT = "RATE_LIMIT"


@dataclass(frozen=True, slots=True)
class AccountFigures:
    """The account at the end of a run, in its currency; ``lowest_equity`` is of all samples."""

    starting_balance: Decimal
    final_balance: Decimal
    realized: Decimal
    commissions: Decimal
    funding: Decimal
    funding_payments: int
    unrealized: Decimal
    unrealized_before_closing: Decimal | None
    final_equity: Decimal
    lowest_equity: Decimal

    @property
    def net(self) -> Decimal:
        """Return what was realized, after commissions and funding."""
        return self.realized - self.commissions + self.funding


@dataclass(frozen=True, slots=True)
class AccountReturns:
    """Profit in percent of the starting balance."""

    total_return_pct: float
    realized_return_pct: float
    unrealized_return_pct: float


@dataclass(frozen=True, slots=True)
class PositionFigures:
    """What is open at the end: signed quantity, prices, number of positions, profit."""

    quantity: Decimal
    entry_price: Decimal | None
    current_price: Decimal | None
    open_positions: int
    realized_pnl: Decimal
    unrealized_pnl: Decimal


@dataclass(frozen=True, slots=True)
class Resources:
    """Wall time (s) of replay and counting, and largest resident size of the replay (MiB)."""

    replay_secs: float
    accounting_secs: float
    peak_memory_mib: int

    @classmethod
    def of(cls, outcome: ReplayOutcome, started: float) -> Self:
        """Return what a replay took, and what counting took since a time of `perf_counter`."""
        accounting = round(time.perf_counter() - started, 3)
        return cls(outcome.replay_secs, accounting, outcome.peak_memory_mib)


@dataclass(frozen=True, slots=True)
class RunFigures:
    """The figures of a run; unknown ones are None.

    `first_ns` and `last_ns` are the times of the first and the last trade of the window.
    """

    fills: int
    first_ns: int
    last_ns: int
    account: AccountFigures
    account_returns: AccountReturns
    reconciliation: Reconciliation
    position: PositionFigures
    trades: TradeStatistics
    equity: EquityFigures
    orders: tables.OrderCounts
    resources: Resources
    symbols: Mapping[str, "SymbolFigures"] = field(default_factory=dict)
    ambiguous: "AmbiguousBars | None" = None


@dataclass(frozen=True, slots=True)
class SymbolFigures:
    """The figures of one of several instruments, as if it alone had traded the account."""

    fills: int
    account: AccountFigures
    account_returns: AccountReturns
    position: PositionFigures
    trades: TradeStatistics
    equity: EquityFigures
    ambiguous: "AmbiguousBars"


@dataclass(frozen=True, slots=True)
class AmbiguousBars:
    """Exits that the other path through a bar would have given otherwise, and by how many R.

    ``difference_r`` is what all of them together would have been better, negative if worse.
    """

    exits: int
    bars: int
    difference_r: float


def account_rules(plan: RunPlan, currency_precision: int) -> AccountRules:
    """Return how the account of a run counts money."""
    config = plan.config
    return AccountRules(
        multiplier=config.multiplier,
        is_inverse=config.key.is_inverse,
        is_cash=config.venue.account_type == "CASH",
        price_precision=config.instrument.price_precision,
        size_precision=config.instrument.size_precision,
        currency_precision=currency_precision,
    )


class Underway(NamedTuple):
    """What is known of a run while it is matched and counted at the same time.

    Parameters
    ----------
    currency_precision : int
        Decimals of the account currency.
    closing_at_ns : int or None
        As of `ReplayOutcome`.
    ended : callable
        Returns what the engine said, when all fills were counted.
    funding : tuple[Funding, ...]
        What was paid so far; later payments are given to `MarkToMarket.pay`.
    """

    currency_precision: int
    closing_at_ns: int | None
    ended: Callable[[], ReplayOutcome]
    funding: tuple[Funding, ...] = ()


class Recorded(Protocol):
    """What was recorded of a run, and where its tables go."""

    def counter(self, rules: AccountRules, starting_balance: Decimal) -> FillCounter:
        """Return what counts the fills."""

    def orders(self) -> tables.OrderCounts:
        """Write the orders and count them."""

    def apply_fills(self, market: MarkToMarket) -> tuple[int, int, EngineAccount]:
        """Run the ledger over the fills and write them; what is too large is `amounts_explained`.

        Returns
        -------
        tuple[int, int, EngineAccount]
            The number of fills, the time of the last one (ns, 0 without fills), and what
            NautilusTrader should say, which knows nothing of simulated fills.
        """

    def flows(self, rules: AccountRules) -> CashFlows:
        """Sum up the fills as they were written."""

    def write_equity(self, points: Sequence[EquityPoint]) -> None:
        """Write the samples of the account."""

    def write_positions(self, part: pa.Table) -> None:
        """Write the next round trips in order of their end; what is open comes last."""

    def close_positions(self) -> None:
        """Say that all positions are written."""


class _Files:
    """Event files and tables in a work folder."""

    def __init__(self, work: Path) -> None:
        self._work = work
        self._positions = tables.TableWriter(work / "positions.parquet", POSITIONS)

    def counter(self, rules: AccountRules, starting_balance: Decimal) -> FillCounter:
        kernel = kernel_for(self._work / "fill_events.arrow")
        return FillCounter(rules, starting_balance, kernel)

    def orders(self) -> tables.OrderCounts:
        return tables.write_orders(self._work, self._work / "orders.parquet")

    def apply_fills(self, market: MarkToMarket) -> tuple[int, int, EngineAccount]:
        with amounts_explained():
            return _apply_fills(self._work, market)

    def flows(self, rules: AccountRules) -> CashFlows:
        return CashFlows.read(self._work / "fills.parquet", rules)

    def write_equity(self, points: Sequence[EquityPoint]) -> None:
        tables.write_equity(self._work / "equity.parquet", points)

    def write_positions(self, part: pa.Table) -> None:
        self._positions.write(part)

    def close_positions(self) -> None:
        self._positions.close()


def compute_figures(
    plan: RunPlan,
    prices: LastPrices,
    outcome: ReplayOutcome | Underway,
    recorded: Recorded | None = None,
) -> RunFigures:
    """Count a run's fills, write its tables and return its figures.

    The equity table holds exactly the samples that returns and drawdowns are computed from.

    Parameters
    ----------
    plan : RunPlan
        The run.
    prices : LastPrices
        Trades of the window.
    outcome : ReplayOutcome or Underway
        What the engine said; of a run without funding it may be known only after the last fill.
    recorded : Recorded, optional
        What was recorded; by default the files in the plan's work folder.

    Raises
    ------
    BacktestError
        If orders were denied by a limit that nobody set, the accounts do not reconcile, or amounts
        are too large for the tables.
    """
    started = time.perf_counter()
    recorded = recorded or _Files(plan.work)
    # Arrow joins the orders on one core while the ledger counts on the other.
    with ThreadPoolExecutor(1) as pool, no_collections():
        is_over = isinstance(outcome, ReplayOutcome)
        orders = pool.submit(recorded.orders) if is_over else None
        counting = FigureCounting(plan, prices, outcome, recorded)
        counted = recorded.apply_fills(counting.market)
        if isinstance(outcome, Underway):
            outcome, started = outcome.ended(), time.perf_counter()
        if orders is None:
            orders = pool.submit(recorded.orders)
        return counting.figures(outcome, counted, orders.result, started)


class FigureCounting:
    """The counting of a run's fills up to its figures; see `compute_figures`.

    Parameters
    ----------
    plan, prices, outcome, recorded : any
        As of `compute_figures`.

    Attributes
    ----------
    market : MarkToMarket
        Takes the fills.
    """

    def __init__(
        self,
        plan: RunPlan,
        prices: LastPrices,
        outcome: ReplayOutcome | Underway,
        recorded: Recorded,
    ) -> None:
        config = plan.config
        self._plan, self._prices, self._recorded = plan, prices, recorded
        self._rules = account_rules(plan, outcome.currency_precision)
        self._sums, self._results = TripSums(0, 0), TradeResults()
        counter = recorded.counter(self._rules, config.venue.starting_balance)
        first, last = prices.span[0], plan.close_at_ns
        self._closing = closing = outcome.closing_at_ns
        regular = sample_times(first, last, config.metrics.equity_interval_secs)
        self._grid = {first - 1, *outside_gaps(regular, plan.days)}
        times = sorted(self._grid if closing is None else {*self._grid, closing - 1})
        with amounts_explained():
            self.market = MarkToMarket(counter, outcome.funding, times, prices, self._ended)

    def _ended(self, trips: pa.Table, results: Units) -> None:
        self._sums = self._sums.plus(TripSums.of(trips, self._rules))
        self._results.add(results)
        self._recorded.write_positions(trips)

    def figures(
        self,
        outcome: ReplayOutcome,
        counted: tuple[int, int, EngineAccount],
        orders: Callable[[], tables.OrderCounts],
        started: float,
    ) -> RunFigures:
        """Return the figures, when all fills are counted.

        Parameters
        ----------
        outcome : ReplayOutcome
            What the engine said.
        counted : tuple[int, int, EngineAccount]
            What `Recorded.apply_fills` returned.
        orders : callable
            Returns the counts of the orders.
        started : float
            When counting began, of `time.perf_counter`.
        """
        plan, prices, recorded, rules = self._plan, self._prices, self._recorded, self._rules
        closing, marked, metrics = self._closing, self.market.points, plan.config.metrics
        fills, last_fill, engine = counted
        last = plan.close_at_ns
        with amounts_explained():
            ledger = self.market.counter.ledger
            end = equity_point(ledger, max(last, closing or 0, last_fill), prices.at([last])[0])
            points = [*(mark for mark in marked if mark.ts in self._grid and mark.ts < end.ts), end]
            still_open = list(ledger.open_positions())
            recorded.write_equity(points)
            recorded.write_positions(positions_table(still_open))
            recorded.close_positions()
            flows = recorded.flows(rules)
            reconciliation = reconcile(ledger, outcome, flows, engine, self._sums)
            series = EquitySeries(
                times=[point.ts for point in points],
                equity=[point.equity for point in points],
                interval_secs=metrics.equity_interval_secs,
                annualization_days=metrics.annualization_days,
            )
            start = ledger.starting_balance
            before_closing = None if closing is None else before(marked, closing - 1)
            account = AccountFigures(
                starting_balance=start,
                final_balance=ledger.cash,
                realized=ledger.realized,
                commissions=ledger.commissions,
                funding=ledger.funding,
                funding_payments=len(outcome.funding),
                unrealized=end.unrealized,
                unrealized_before_closing=None
                if before_closing is None
                else before_closing.unrealized,
                final_equity=end.equity,
                lowest_equity=min(series.equity),
            )
            trades = self._results.statistics(rules.currency_precision, start)
            equity = equity_figures(series)
            counts = orders()
        _check_rate_limit(plan, counts.reasons)
        return RunFigures(
            fills=fills,
            first_ns=prices.span[0],
            last_ns=prices.span[1],
            account=account,
            account_returns=AccountReturns(
                total_return_pct=percent_of(end.equity - start, start),
                realized_return_pct=percent_of(account.net, start),
                unrealized_return_pct=percent_of(end.unrealized, start),
            ),
            reconciliation=reconciliation,
            position=PositionFigures(
                quantity=end.quantity,
                entry_price=end.entry,
                current_price=end.price,
                open_positions=len(still_open),
                realized_pnl=ledger.realized,
                unrealized_pnl=end.unrealized,
            ),
            trades=trades,
            equity=equity,
            orders=counts,
            resources=Resources.of(outcome, started),
        )


@contextmanager
def no_collections() -> Iterator[None]:
    """Make no garbage collections: counting makes many small objects and no cycles."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def amounts_explained() -> Iterator[None]:
    """Say what it means when an amount does not fit."""
    try:
        yield
    except (InvalidOperation, pa.ArrowInvalid) as error:
        raise BacktestError(
            "the amounts of this run have more digits than its tables hold, 22 before and 16 after "
            f"the point ({error}); check prices and sizes of the day against the instrument's "
            "precisions, and the starting balance"
        ) from error


def _apply_fills(work: Path, market: MarkToMarket) -> tuple[int, int, EngineAccount]:
    count = last = 0
    engine: EngineAccount | None = None
    rules = market.counter.rules
    writer = tables.FillsWriter(work / "fills.parquet", rules)
    for batch, fills in tables.read_fills(work / "fill_events.arrow", rules):
        if tables.is_simulated(batch) and engine is None:
            # They are the last of all: funding and samples that are due come before them.
            market.finish()
            engine = market.counter.ledger.engine_account
        writer.write(batch, market.apply_fills(fills))
        count += len(fills.ts)
        last = int(fills.ts[-1])
    writer.close()
    market.finish()
    return count, last, engine or market.counter.ledger.engine_account


def _check_rate_limit(plan: RunPlan, reasons: dict[str, int]) -> None:
    denied = sum(count for reason, count in reasons.items() if _RATE_LIMIT in reason)
    if denied and plan.config.risk.throttling_per_sec is None:
        raise BacktestError(
            f"{denied} orders were denied by an order rate limit, but risk.throttling_per_sec is "
            "not set; set it to the rate that you mean"
        )
