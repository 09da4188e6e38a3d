"""From recorded events to tables and figures: the ledger is run, checked and written down."""

import gc
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

from odum_assets.backtest import tables
from odum_assets.backtest.equity import (
    Marking,
    Sample,
    before,
    mark,
    outside_gaps,
    sample_times,
)
from odum_assets.backtest.facts import ReplayFacts
from odum_assets.backtest.ledger import AccountRules, Ledger
from odum_assets.backtest.metrics import (
    EquitySeries,
    equity_figures,
    percent_of,
    trade_statistics,
)
from odum_assets.backtest.plan import RunPlan
from odum_assets.backtest.prices import LastPrices
from odum_assets.backtest.reconciliation import reconcile
from odum_assets.backtest.strategies.sources import fingerprint
from odum_assets.errors import BacktestError

# Averages have no last decimal; the tables' 16 are shown.
_FINEST = -16
_SHOWN = Decimal("1e-16")
_THROTTLE = "RATE_LIMIT"


def account(plan: RunPlan, prices: LastPrices, facts: ReplayFacts) -> dict[str, Any]:
    """Count a run's fills, write its tables and return its figures.

    Parameters
    ----------
    plan : RunPlan
        The run.
    prices : LastPrices
        Trades of the window.
    facts : ReplayFacts
        What the engine said.

    Returns
    -------
    dict[str, Any]
        JSON-ready figures; amounts in the account currency as text, unknown ones None.

    Raises
    ------
    BacktestError
        If orders were denied by a limit that nobody set, the accounts do not reconcile, or amounts
        are too large for the tables.
    """
    started = time.perf_counter()
    # Arrow joins the orders on one core while the ledger counts on the other.
    with ThreadPoolExecutor(1) as pool, _no_collections(), _amounts_explained():
        orders = pool.submit(tables.write_orders, plan.work, plan.work / "orders.parquet")
        figures = _figures(plan, prices, facts)
        counts = orders.result()
    _check_throttle(plan, counts["reasons"])
    resources = {
        "replay_secs": facts.replay_secs,
        "accounting_secs": round(time.perf_counter() - started, 3),
        "peak_memory_mib": facts.peak_memory_mib,
    }
    return {**figures, "counts": counts, "resources": resources}


@contextmanager
def _no_collections() -> Iterator[None]:
    """Make no garbage collections: counting makes many small objects and no cycles."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def _amounts_explained() -> Iterator[None]:
    """Say what it means when an amount does not fit."""
    try:
        yield
    except (InvalidOperation, pa.ArrowInvalid) as error:
        raise BacktestError(
            "the amounts of this run have more digits than its tables hold, 22 before and 16 after "
            f"the point ({error}); check prices and sizes of the day against the instrument's "
            "precisions, and the starting balance"
        ) from error


def _figures(plan: RunPlan, prices: LastPrices, facts: ReplayFacts) -> dict[str, Any]:
    """Run the ledger, write fills, positions and equity, and return the account's figures.

    The equity table holds exactly the samples that returns and drawdowns are computed from.
    """
    config = plan.config
    rules = AccountRules(
        multiplier=config.multiplier,
        is_inverse=config.key.is_inverse,
        is_cash=config.venue.account_type == "CASH",
        price_precision=config.instrument.price_precision,
        size_precision=config.instrument.size_precision,
        currency_precision=facts.currency_precision,
    )
    ledger = Ledger(rules, config.venue.starting_balance)
    first, last = prices.span[0], plan.close_at_ns
    regular = sample_times(first, last, config.metrics.equity_interval_secs)
    grid = [first - 1, *outside_gaps(regular, plan.days)]
    closing = [] if facts.closing_at_ns is None else [facts.closing_at_ns - 1]
    marked, fill_count, last_fill = _count(plan, ledger, facts, sorted({*grid, *closing}), prices)
    end = mark(ledger, max(last, facts.closing_at_ns or 0, last_fill), prices.at([last])[0])
    wanted = set(grid)
    samples = [*(each for each in marked if each.ts in wanted and each.ts < end.ts), end]
    tables.write_equity(plan.work / "equity.parquet", samples)
    still_open = list(ledger.open_positions())
    tables.write_positions(plan.work / "positions.parquet", ledger.round_trips, still_open)
    reconciliation = reconcile(ledger, facts, plan.work / "fills.parquet")
    series = EquitySeries(
        times=[each.ts for each in samples],
        equity=[each.equity for each in samples],
        interval_secs=config.metrics.equity_interval_secs,
        annualization_days=config.metrics.annualization_days,
    )
    found = equity_figures(series)
    start = ledger.starting_balance
    closed_at = None if facts.closing_at_ns is None else before(marked, facts.closing_at_ns - 1)
    figures: dict[str, Any] = _text(
        {
            "fills": fill_count,
            "first_ns": first,
            "last_ns": prices.span[1],
            "closed_at_ns": facts.closing_at_ns,
            "skipped_no_aggressor": facts.skipped_no_aggressor,
            "orders_without_curve": facts.orders_without_curve,
            "strategy_sha256": fingerprint(facts.strategy_modules),
            "strategy_modules": facts.strategy_modules,
            "strategy_changed": facts.strategy_changed,
            "account": {
                "starting_balance": start,
                "final_balance": ledger.cash,
                "realized": ledger.realized,
                "commissions": ledger.commissions,
                "funding": ledger.funding,
                "funding_payments": len(facts.funding),
                "unrealized": end.unrealized,
                "unrealized_before_closing": None if closed_at is None else closed_at.unrealized,
                "final_equity": end.equity,
                "lowest_equity": min(series.equity),
            },
            "reconciliation": reconciliation,
            "position": {
                "quantity": end.quantity,
                "entry_price": end.entry,
                "current_price": end.price,
                "open_positions": len(still_open),
                "realized_pnl": ledger.realized,
                "unrealized_pnl": end.unrealized,
            },
            "trades": trade_statistics(ledger.round_trips, start),
            "returns": {
                "total_return_pct": percent_of(end.equity - start, start),
                "realized_return_pct": percent_of(
                    ledger.realized - ledger.commissions + ledger.funding, start
                ),
                "unrealized_return_pct": percent_of(end.unrealized, start),
                **found["returns"],
            },
            "drawdown": found["drawdown"],
            "ratios": found["ratios"],
        }
    )
    return figures


def _count(
    plan: RunPlan, ledger: Ledger, facts: ReplayFacts, moments: list[int], prices: LastPrices
) -> tuple[list[Sample], int, int]:
    """Run the ledger over the recorded fills and write the fills table.

    Returns
    -------
    tuple[list[Sample], int, int]
        The samples, the number of fills, and the time of the last one (ns, 0 without fills).
    """
    marking = Marking(ledger, facts.funding, moments, prices)
    fill_count = last_fill = 0
    writer = tables.FillsWriter(plan.work / "fills.parquet", ledger.rules)
    for batch, fills in tables.read_fills(plan.work / "fill_events.arrow", ledger.rules):
        writer.write(batch, marking.count(fills))
        fill_count += len(fills.ts)
        last_fill = fills.ts[-1]
    writer.close()
    marking.finish()
    return marking.samples, fill_count, last_fill


def _check_throttle(plan: RunPlan, reasons: dict[str, int]) -> None:
    denied = sum(count for reason, count in reasons.items() if _THROTTLE in reason)
    if denied and plan.config.risk.throttling_per_sec is None:
        raise BacktestError(
            f"{denied} orders were denied by an order rate limit, but risk.throttling_per_sec is "
            "not set; set it to the rate that you mean"
        )


def _text(value: Any) -> Any:  # noqa: ANN401 - any JSON-like value
    """Return a value with amounts as text and without exponents."""
    if isinstance(value, Decimal):
        exponent = value.as_tuple().exponent
        if isinstance(exponent, int) and exponent < _FINEST:
            value = value.quantize(_SHOWN)
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    if isinstance(value, dict):
        return {key: _text(each) for key, each in value.items()}
    return value
