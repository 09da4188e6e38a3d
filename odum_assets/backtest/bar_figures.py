"""From the recorded events of a run on bars to tables and figures: of each instrument, and of all.

Every instrument has a ledger of its own that starts from zero; the account is their sum. Equity is
marked at every close of a bar; returns are those of sessions.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from odum_assets.backtest import tables
from odum_assets.backtest.bar_inputs import BarInputs
from odum_assets.backtest.bar_plan import AMBIGUOUS, LEGS, BarPlan
from odum_assets.backtest.columns import Dues, FillColumns
from odum_assets.backtest.counting import FillCounter, kernel_for
from odum_assets.backtest.equity import EquityPoint
from odum_assets.backtest.figures import (
    AccountFigures,
    AccountReturns,
    AmbiguousBars,
    PositionFigures,
    Resources,
    RunFigures,
    SymbolFigures,
    amounts_explained,
    no_collections,
)
from odum_assets.backtest.journal import read_event_table
from odum_assets.backtest.ledger import ZERO, AccountRules, Ledger, LedgerRows
from odum_assets.backtest.metrics import (
    EquityFigures,
    EquitySeries,
    drawdown_figures,
    equity_figures,
    percent_of,
    trade_statistics,
)
from odum_assets.backtest.outcome import ReplayOutcome
from odum_assets.backtest.positions import positions_table
from odum_assets.backtest.reconciliation import reconcile_instruments
from odum_assets.bars.series import BarSeries
from odum_assets.catalog.arrow import kernels as pc
from odum_assets.catalog.fixed_point import DECIMAL, Units, amount_of, units_column
from odum_assets.utc import DAY_NS, NS_PER_SECOND

_SESSION_SECS = DAY_NS // NS_PER_SECOND

type _Int64s = NDArray[np.int64]


@dataclass(slots=True)
class _Symbol:
    """One instrument while it is counted; amounts in units of their last decimals.

    `cash`, `realized`, `unrealized` and `quantity` are at the samples, `rows` after each fill;
    `ledger`, `closed` and `results` are as of `FillCounter` at the end.
    """

    name: str
    series: BarSeries
    counter: FillCounter
    ledger: Ledger = field(init=False)
    closed: pa.Table = field(init=False)
    results: Units = field(init=False)
    rows: LedgerRows = field(default_factory=lambda: LedgerRows([], [], []))
    cash: list[int] = field(default_factory=list)
    realized: list[int] = field(default_factory=list)
    unrealized: list[int] = field(default_factory=list)
    quantity: list[int] = field(default_factory=list)
    entry: list[Decimal | None] = field(default_factory=list)
    before_closing: int = 0

    def count(self, fills: FillColumns, times: _Int64s, prices: Sequence[int]) -> None:
        """Count all fills and mark what is open at ascending times.

        Parameters
        ----------
        fills
            Of this instrument, in order of time.
        times
            Sample times (ns), shape ``(n,)``; what happens at a time is in its sample.
        prices
            The last close at each time, in units of the price's last decimal.
        """
        done = np.searchsorted(fills.ts, times, side="right")
        starts = np.flatnonzero(np.diff(done, prepend=-1))
        # Before the last one there is what is open before the last moment.
        after = done[starts]
        before = np.searchsorted(fills.ts, times[-1])
        if len(after) > 1:
            before = max(before, after[-2])
        counted = self.counter.count(fills, Dues.samples(np.insert(after, -1, before)))
        self.rows = counted.rows
        *samples, before_closing, last = counted.samples
        self.before_closing = before_closing.unrealized_units([prices[-1]])[0]
        ends = [*starts[1:].tolist(), len(times)]
        for sample, start, stop in zip([*samples, last], starts.tolist(), ends, strict=True):
            cash, realized, quantity = sample.units()
            count = stop - start
            self.cash += [cash] * count
            self.realized += [realized] * count
            self.quantity += [quantity] * count
            self.entry += [sample.entry()] * count
            self.unrealized += sample.unrealized_units(prices[start:stop])
        self.ledger, self.closed = self.counter.ledger, self.counter.closed()
        self.results = self.counter.results()


def compute_bar_figures(plan: BarPlan, inputs: BarInputs, outcome: ReplayOutcome) -> RunFigures:
    """Count the fills of a run on bars, write its tables and return its figures.

    Parameters
    ----------
    plan : BarPlan
        The run.
    inputs : BarInputs
        The bars that were traded.
    outcome : ReplayOutcome
        What the engine said.

    Raises
    ------
    BacktestError
        If the accounts do not reconcile, or amounts are too large for the tables.
    """
    started = time.perf_counter()
    work, start = plan.work, plan.config.venue.starting_balance
    legs = pq.read_table(work / LEGS)
    with no_collections(), amounts_explained():
        orders = tables.write_orders(work, work / "orders.parquet", legs)
        events = read_event_table(work / "fill_events.arrow")
        purposes = legs.drop_columns("trigger_price")
        events = tables.with_legs(events, events["order_id"], purposes)
        times = sample_times(inputs.traded)
        kernel = kernel_for(work / "fill_events.arrow")
        symbols = [
            _Symbol(item.id, series, FillCounter(_rules(plan, number, outcome), ZERO, kernel))
            for number, (item, series) in enumerate(
                zip(plan.config.instruments, inputs.traded, strict=True)
            )
        ]
        names = np.asarray(events["instrument"].to_pylist(), dtype=object)
        rows = [np.flatnonzero(names == part.name) for part in symbols]
        for symbol, index in zip(symbols, rows, strict=True):
            part = _one_batch(events.take(index))
            fills = tables.fill_entries(part, symbol.counter.rules)
            symbol.count(fills, times, _prices(symbol, times))
        _write_fills(plan, events, symbols, rows)
        _write_positions(plan, symbols)
        points = _points(symbols, times, start)
        tables.write_equity(work / "equity.parquet", points)
        _write_symbol_equity(plan, symbols, times)
        reconciliation = reconcile_instruments(
            {part.name: (part.ledger, part.closed) for part in symbols},
            start,
            outcome,
            work / "fills.parquet",
        )
        ends = session_ends(inputs, times)
        ambiguous = pq.read_table(work / AMBIGUOUS)
        figures = {
            part.name: _symbol_figures(plan, part, times, ends, ambiguous) for part in symbols
        }
        whole = _whole_account(plan, figures, symbols, points)
        results = np.concatenate([part.results for part in symbols])
        trades = trade_statistics(results, symbols[0].counter.rules.currency_precision, start)
        equity = _equity(plan, [point.equity for point in points], times, ends)
    single = len(symbols) == 1
    return RunFigures(
        fills=events.num_rows,
        first_ns=plan.first_close_ns,
        last_ns=plan.last_close_ns,
        account=whole,
        account_returns=_returns(whole),
        reconciliation=reconciliation,
        position=figures[symbols[0].name].position if single else _positions(figures),
        trades=trades,
        equity=equity,
        orders=orders,
        resources=Resources.of(outcome, started),
        symbols=figures,
        ambiguous=_ambiguous(ambiguous),
    )


def sample_times(traded: Sequence[BarSeries]) -> _Int64s:
    """Return the open of the first bar, and every time at which a bar closes."""
    closes = np.unique(np.concatenate([series.close_time for series in traded]))
    return np.concatenate(([closes[0] - traded[0].step], closes))


def session_ends(inputs: BarInputs, times: _Int64s) -> _Int64s:
    """Return the index of the first sample, and of the last one in each session."""
    sessions = inputs.rules.assign(times[1:])
    last = np.flatnonzero(np.diff(sessions, append=-2)) + 1
    return np.concatenate(([0], last))


def _rules(plan: BarPlan, number: int, outcome: ReplayOutcome) -> AccountRules:
    item, key = plan.config.instruments[number], plan.config.keys[number]
    return AccountRules(
        multiplier=plan.config.spec(key).multiplier,
        is_inverse=False,
        is_cash=plan.config.venue.account_type == "CASH",
        price_precision=item.price_precision,
        size_precision=item.size_precision,
        currency_precision=outcome.currency_precision,
    )


def _prices(symbol: _Symbol, times: _Int64s) -> list[int]:
    """Return the last close at each time, the first open before there is one."""
    series = symbol.series
    unit = int(series.tick_size.scaleb(symbol.counter.rules.price_precision))
    index = np.searchsorted(series.close_time, times, side="right") - 1
    ticks = np.where(index < 0, series.open[0], series.close[np.maximum(index, 0)])
    prices: list[int] = (ticks * unit).tolist()
    return prices


def _write_fills(
    plan: BarPlan, events: pa.Table, symbols: Sequence[_Symbol], rows: Sequence[NDArray[Any]]
) -> None:
    """Write the fills table: what each fill realized, and account and position after it."""
    money = symbols[0].counter.rules.currency_precision
    realized = np.zeros(events.num_rows, object)
    change = np.zeros(events.num_rows, object)
    quantities, order_of_rows = [], np.concatenate(rows)
    for symbol, index in zip(symbols, rows, strict=True):
        cash = [0, *map(int, symbol.rows.cash)]
        realized[index] = symbol.rows.realized
        change[index] = [after - before for before, after in pairwise(cash)]
        size = symbol.counter.rules.size_precision
        quantities.append(units_column(symbol.rows.quantity, size, DECIMAL))
    first = int(plan.config.venue.starting_balance.scaleb(money))
    balance = [*accumulate(change.tolist(), initial=first)][1:]
    quantity = pa.concat_arrays(quantities).take(np.argsort(order_of_rows))
    names = tables.FILLS.names
    columns: list[Any] = [events["ts"].cast(tables.FILLS.field("timestamp").type)]
    columns += [events[name] for name in names[1:8]]
    columns += [
        units_column(realized.tolist(), money, DECIMAL),
        units_column(balance, money, DECIMAL),
        quantity,
    ]
    table = pa.table(columns, schema=tables.FILLS)
    for name in ("instrument", "leg", "role"):
        table = table.append_column(name, events[name])
    pq.write_table(table, plan.work / "fills.parquet", compression="zstd", compression_level=1)


def _write_positions(plan: BarPlan, symbols: Sequence[_Symbol]) -> None:
    """Write the positions table: round trips in order of their end, then what is open."""
    closed = [_named(part.closed, part.name) for part in symbols]
    still_open = [
        _named(positions_table([*part.ledger.open_positions()]), part.name) for part in symbols
    ]
    ended = pa.concat_tables(closed)
    order = np.argsort(np.asarray(ended["closed"].cast(pa.int64())), kind="stable")
    table = pa.concat_tables([ended.take(order), *still_open]).combine_chunks()
    pq.write_table(table, plan.work / "positions.parquet", compression="zstd")


def _named(table: pa.Table, name: str) -> pa.Table:
    return table.append_column("instrument", pa.array([name] * table.num_rows, pa.string()))


def _points(symbols: Sequence[_Symbol], times: _Int64s, start: Decimal) -> list[EquityPoint]:
    """Return the account at the samples; several instruments have no common quantity or price."""
    rules = symbols[0].counter.rules
    money, first = rules.currency_precision, int(start.scaleb(rules.currency_precision))

    def total(columns: Sequence[list[int]]) -> list[Decimal]:
        return [amount_of(sum(values), money) for values in zip(*columns, strict=True)]

    cash = [start + amount for amount in total([part.cash for part in symbols])]
    realized = total([part.realized for part in symbols])
    unrealized = total([part.unrealized for part in symbols])
    equity = [
        amount_of(first + sum(values), money)
        for values in zip(*(_equity_units(part, times) for part in symbols), strict=True)
    ]
    if len(symbols) == 1:
        (only,) = symbols
        size, digits = rules.size_precision, rules.price_precision
        quantity: Sequence[Any] = [amount_of(units, size) for units in only.quantity]
        price: Sequence[Any] = [amount_of(units, digits) for units in _prices(only, times)]
        entry: Sequence[Any] = only.entry
    else:
        quantity = price = entry = [None] * len(times)
    return [
        EquityPoint(*values)
        for values in zip(
            times.tolist(), cash, realized, unrealized, equity, quantity, entry, price, strict=True
        )
    ]


def _equity_units(symbol: _Symbol, times: _Int64s) -> list[int]:
    """Return cash and what is open; a cash account holds the full value."""
    rules = symbol.counter.rules
    if not rules.is_cash:
        return [cash + gain for cash, gain in zip(symbol.cash, symbol.unrealized, strict=True)]
    # What a position is worth is its cost and its profit; both are exact to the last decimal.
    scale = rules.multiplier.scaleb(
        rules.currency_precision - rules.price_precision - rules.size_precision
    )
    return [
        cash + round(quantity * price * scale)
        for cash, quantity, price in zip(
            symbol.cash, symbol.quantity, _prices(symbol, times), strict=True
        )
    ]


def _write_symbol_equity(plan: BarPlan, symbols: Sequence[_Symbol], times: _Int64s) -> None:
    """Write what each instrument added to the account at every sample."""
    parts = []
    for part in symbols:
        rules = part.counter.rules
        money = rules.currency_precision
        columns = {
            "timestamp": pa.array(times).cast(tables.EQUITY.field("timestamp").type),
            "instrument": pa.array([part.name] * len(times), pa.string()),
            "profit": units_column(_equity_units(part, times), money, DECIMAL),
            "realized_pnl": units_column(part.realized, money, DECIMAL),
            "unrealized_pnl": units_column(part.unrealized, money, DECIMAL),
            "position": units_column(part.quantity, rules.size_precision, DECIMAL),
            "price": units_column(_prices(part, times), rules.price_precision, DECIMAL),
        }
        parts.append(pa.table(columns))
    pq.write_table(pa.concat_tables(parts), plan.work / "symbols.parquet", compression="zstd")


def _symbol_figures(
    plan: BarPlan, symbol: _Symbol, times: _Int64s, ends: _Int64s, ambiguous: pa.Table
) -> SymbolFigures:
    ledger, start = symbol.ledger, plan.config.venue.starting_balance
    rules = ledger.rules
    money = rules.currency_precision
    equity = [start + amount_of(units, money) for units in _equity_units(symbol, times)]
    still_open = list(ledger.open_positions())
    unrealized = amount_of(symbol.unrealized[-1], money)
    account = AccountFigures(
        starting_balance=start,
        final_balance=start + ledger.cash,
        realized=ledger.realized,
        commissions=ledger.commissions,
        funding=ZERO,
        funding_payments=0,
        unrealized=unrealized,
        unrealized_before_closing=amount_of(symbol.before_closing, money)
        if plan.close_positions
        else None,
        final_equity=equity[-1],
        lowest_equity=min(equity),
    )
    return SymbolFigures(
        fills=len(symbol.rows.cash),
        account=account,
        account_returns=_returns(account),
        position=PositionFigures(
            quantity=ledger.quantity,
            entry_price=ledger.entry(),
            current_price=amount_of(_prices(symbol, times)[-1], rules.price_precision),
            open_positions=len(still_open),
            realized_pnl=ledger.realized,
            unrealized_pnl=unrealized,
        ),
        trades=trade_statistics(symbol.results, money, start),
        equity=_equity(plan, equity, times, ends),
        ambiguous=_ambiguous(ambiguous.filter(pc.equal(ambiguous["instrument"], symbol.name))),
    )


def _whole_account(
    plan: BarPlan,
    figures: Mapping[str, SymbolFigures],
    symbols: Sequence[_Symbol],
    points: Sequence[EquityPoint],
) -> AccountFigures:
    start = plan.config.venue.starting_balance
    accounts = [part.account for part in figures.values()]
    before = [account.unrealized_before_closing or ZERO for account in accounts]
    return AccountFigures(
        starting_balance=start,
        final_balance=start + sum((part.ledger.cash for part in symbols), ZERO),
        realized=sum((account.realized for account in accounts), ZERO),
        commissions=sum((account.commissions for account in accounts), ZERO),
        funding=ZERO,
        funding_payments=0,
        unrealized=sum((account.unrealized for account in accounts), ZERO),
        unrealized_before_closing=sum(before, ZERO) if plan.close_positions else None,
        final_equity=points[-1].equity,
        lowest_equity=min(point.equity for point in points),
    )


def _returns(account: AccountFigures) -> AccountReturns:
    start = account.starting_balance
    return AccountReturns(
        total_return_pct=percent_of(account.final_equity - start, start),
        realized_return_pct=percent_of(account.net, start),
        unrealized_return_pct=percent_of(account.unrealized, start),
    )


def _positions(figures: Mapping[str, SymbolFigures]) -> PositionFigures:
    """Return what is open of several instruments: no quantity, no price."""
    parts = [part.position for part in figures.values()]
    return PositionFigures(
        quantity=ZERO,
        entry_price=None,
        current_price=None,
        open_positions=sum(part.open_positions for part in parts),
        realized_pnl=sum((part.realized_pnl for part in parts), ZERO),
        unrealized_pnl=sum((part.unrealized_pnl for part in parts), ZERO),
    )


def _equity(
    plan: BarPlan, equity: Sequence[Decimal], times: _Int64s, ends: _Int64s
) -> EquityFigures:
    """Return figures: returns of sessions, drawdowns at every close."""
    series = EquitySeries(
        times=times[ends].tolist(),
        equity=[equity[index] for index in ends.tolist()],
        interval_secs=_SESSION_SECS,
        annualization_days=plan.config.annualization_days,
    )
    return equity_figures(series, drawdown_figures(times.tolist(), equity))


def _ambiguous(table: pa.Table) -> AmbiguousBars:
    bars = table.group_by(["timestamp", "instrument"]).aggregate([])
    return AmbiguousBars(
        exits=table.num_rows,
        bars=bars.num_rows,
        difference_r=pc.sum(table["difference_r"]).as_py() or 0.0,
    )


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)
