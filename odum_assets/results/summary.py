"""The summary of a run: the seeds' fields with true figures, what was simulated, what to know.

Amounts are JSON numbers with the digits they have; a figure that is not known is null.
"""

from dataclasses import asdict
from typing import Any

from odum_assets.backtest.figures_version import FIGURES_VERSION
from odum_assets.backtest.metrics import EquityFigures
from odum_assets.backtest.plan import RunPlan
from odum_assets.backtest.request import name_days
from odum_assets.backtest.run import CompletedRun
from odum_assets.backtest.witness import DIFFERS
from odum_assets.config.sections.algorithms import VwapAlgorithm
from odum_assets.raw.layout import DataType
from odum_assets.results.bar_summary import bar_aspects, bar_flags, bar_sections
from odum_assets.results.coverage import coverage_flags, days_without_funding, missing_days
from odum_assets.results.json_figures import amount_text, aspect_entry, numbers
from odum_assets.utc import NS_PER_SECOND, iso_ns


def build_summary(run: CompletedRun) -> dict[str, Any]:
    """Return the summary of a finished run.

    Returns
    -------
    dict[str, Any]
        JSON-ready. ``pnl`` is realized less commissions plus funding on every account; what is
        still open at the end (``closing.is_flat`` says whether anything is) is not in it.
        ``account.balance_change`` is what the balance did, which on a cash account includes what it
        paid for what it holds. ``position_stats`` counts what was filled, each fill once. Names
        that end in ``_pct`` are in percent; losses and drawdowns are negative. ``figures_version``
        says which rules the figures follow
        (`odum_assets.backtest.figures_version.FIGURES_VERSION`).
    """
    figures = run.figures
    account, orders, trades = figures.account, figures.orders, figures.trades
    returns, drawdown = figures.equity.returns, figures.equity.drawdown
    quantity = figures.position.quantity
    summary = {
        "figures_version": FIGURES_VERSION,
        "orders": orders.orders,
        "fills": figures.fills,
        "pnl": account.net,
        "pnl_breakdown": {
            "realized": account.realized,
            "unrealized": account.unrealized,
            "unrealized_before_closing": account.unrealized_before_closing,
            "commissions": account.commissions,
            "funding": account.funding,
            "net": account.net,
        },
        "account": {
            "currency": run.request.config.config.venue.base_currency,
            "starting_balance": account.starting_balance,
            "final_balance": account.final_balance,
            "balance_change": figures.reconciliation.balance_change,
            "final_equity": account.final_equity,
            "lowest_equity": account.lowest_equity,
        },
        "returns": {**asdict(figures.account_returns), **asdict(returns)},
        "position": {
            "side": "FLAT" if not quantity else ("LONG" if quantity > 0 else "SHORT"),
            **asdict(figures.position),
        },
        "position_stats": {
            "buy_orders": orders.buy_orders,
            "buy_quantity": orders.buy_quantity,
            "sell_orders": orders.sell_orders,
            "sell_quantity": orders.sell_quantity,
            "market_orders": orders.orders_by_type.get("MARKET", 0),
            "limit_orders": orders.orders_by_type.get("LIMIT", 0),
        },
        "closing": closing(run),
        "trades": asdict(trades),
        "drawdown": asdict(drawdown),
        "ratios": asdict(figures.equity.ratios),
        # Readers of earlier files look for these beside their sections; they mean the same there.
        "avg_return": returns.avg_return,
        "avg_loss": trades.avg_loss,
        "avg_loss_pct": trades.avg_loss_pct,
        "max_drawdown": drawdown.max_drawdown,
        "max_drawdown_pct": drawdown.max_drawdown_pct,
        "orders_by_status": orders.orders_by_status,
        "orders_filled": orders.orders_filled,
        "refusals": orders.reasons,
        "skipped_no_aggressor": run.outcome.skipped_no_aggressor,
        "valuation": _valuation(run),
        "simulated": simulated(run),
        "missing_days": missing_days(run),
        "flags": flags(run),
    }
    if run.request.config.bars is not None:
        summary |= bar_sections(run)
    return numbers(summary)  # type: ignore[no-any-return]


def closing(run: CompletedRun) -> dict[str, Any]:
    """Return how positions were closed at the end of the window, JSON-ready but for its numbers.

    Returns
    -------
    dict[str, Any]
        ``method`` (None where closing was switched off), ``started`` and ``flat`` (times, None
        where there was nothing to close or it was not closed through the book), ``seconds`` between
        them, ``orders``, what the book took (``quantity``), what simulated fills closed at the last
        trade's price (``simulated_quantity``), and ``is_flat``.
    """
    outcome, orders, position = run.outcome, run.figures.orders, run.figures.position
    chosen = run.request.effective_closing
    started = outcome.closing_at_ns if orders.closing_orders else None
    flat = None if started is None else outcome.flat_at_ns
    return {
        "method": None if chosen is None else chosen.method,
        "started": None if started is None else iso_ns(started),
        "flat": None if flat is None else iso_ns(flat),
        "seconds": None if started is None or flat is None else (flat - started) / NS_PER_SECOND,
        "orders": orders.closing_orders,
        "quantity": orders.closed_quantity,
        "simulated_quantity": orders.simulated_quantity,
        "is_flat": not position.open_positions,
    }


def simulated(run: CompletedRun) -> list[dict[str, Any]]:
    """Return what of a real market the run simulated and what not, one entry per aspect."""
    if run.request.config.bars is not None:
        return bar_aspects(run)
    config = run.request.config.ticks
    execution, venue = config.execution, config.venue
    mode = run.request.snapshot_mode
    latency = execution.latency
    has_latency = bool(latency.insert_ns or latency.update_ns or latency.cancel_ns)
    refused = {
        status: run.figures.orders.orders_by_status.get(status, 0)
        for status in ("denied", "rejected")
    }
    market = {
        "trades": "best bid and ask follow the last trade; there is no depth",
        "book": "five-level book snapshots; trades are a signal only",
        "both": "five-level book snapshots, and trades fill at their price too",
    }[mode]
    return [
        aspect_entry("market", True, market),
        aspect_entry(
            "fees", True, f"maker {venue.maker_fee:f}, taker {venue.taker_fee:f} of the value"
        ),
        _funding(run),
        aspect_entry(
            "latency",
            has_latency,
            f"insert {latency.insert_ms:f} ms, update {latency.update_ms:f} ms, "
            f"cancel {latency.cancel_ms:f} ms"
            if has_latency
            else "orders arrive at once",
        ),
        aspect_entry(
            "queue_position",
            execution.queue_position,
            "resting orders wait behind the shown size"
            if execution.queue_position
            else "resting orders fill as soon as the market touches their price",
        ),
        aspect_entry(
            "liquidity_consumption",
            execution.liquidity_consumption,
            "fills use up the book until its next snapshot"
            if execution.liquidity_consumption
            else "several orders can fill against the same shown size",
        ),
        *_slippage(run),
        *_random_seed(run),
        aspect_entry("market_impact", False, "the recorded market does not react to orders"),
        aspect_entry(
            "margin_calls", False, "positions are never liquidated, the balance may go negative"
        ),
        aspect_entry(
            "refused_orders", True, f"{refused['denied']} denied, {refused['rejected']} rejected"
        ),
    ]


def _funding(run: CompletedRun) -> dict[str, Any]:
    """Return the aspect of funding: charged where there are data."""
    payments, unfunded = run.figures.account.funding_payments, days_without_funding(run)
    if DataType.FUNDING not in run.request.data_types:
        return aspect_entry("funding", False, _NO_FUNDING)
    if len(unfunded) == len(run.request.days):
        return aspect_entry("funding", False, "there are no funding data")
    rest = f"; no data for {name_days(unfunded)}" if unfunded else ""
    return aspect_entry("funding", True, f"{payments} payments{rest}")


def _slippage(run: CompletedRun) -> list[dict[str, Any]]:
    """Return the aspect of slippage where a chance of it is configured.

    NautilusTrader's fill model lets orders slip on a book of best bid and ask alone; on a book of
    levels it fills them from the levels, whatever the chance.
    """
    config = run.request.config.ticks
    chance = config.execution.fill_model.prob_slippage
    if not chance:
        return []
    if run.request.snapshot_mode == "trades" or config.venue.book_type == "L1_MBP":
        detail = f"crossing orders slip by one price increment with a chance of {chance:f}"
        return [aspect_entry("slippage", True, detail)]
    detail = "prob_slippage has no effect on an L2 book: orders fill from its levels"
    return [aspect_entry("slippage", False, detail)]


def _random_seed(run: CompletedRun) -> list[dict[str, Any]]:
    """Return the aspect of repeatability where fills draw on chance without a seed."""
    if run.request.config.ticks.execution.fill_model.random_seed is not None:
        return []
    detail = "fills draw on a random seed of their own: a re-run may differ"
    return [aspect_entry("repeatable_fills", False, detail)]


_NO_FUNDING = "no funding data are configured (data_catalog.derivative_ticker_path)"


def flags(run: CompletedRun) -> list[str]:
    """Return what a reader of the result must know, in short sentences.

    What holds for every run of a configuration is an assumption (`simulated`) and no warning.
    """
    figures, outcome = run.figures, run.outcome
    flags = [*_witness_flags(run), *_account_flags(run), *coverage_flags(run)]
    flags += _refusal_flags(run)
    if run.request.config.bars is not None:
        return flags + bar_flags(run) + _growth_flags(figures.equity)
    if outcome.skipped_no_aggressor:
        flags.append(
            f"{outcome.skipped_no_aggressor} trade rows had no aggressor side and sent no order."
        )
    flags += _order_file_flags(run)
    if outcome.strategy_changed:
        flags.append(
            f"{', '.join(outcome.strategy_changed)} was edited during the run; this is the "
            "result of the code as it was at the start, which strategy_sha256 identifies."
        )
    flags += _volume_flags(run)
    if not figures.fills:
        flags.append("No order was filled.")
    return flags + _growth_flags(figures.equity)


def _witness_flags(run: CompletedRun) -> list[str]:
    if run.witness is None or run.witness.verdict != DIFFERS:
        return []
    return [
        f"NautilusTrader and the kernel disagree, first in {run.witness.detail}. One of them is "
        "wrong: do not rely on this result."
    ]


def _account_flags(run: CompletedRun) -> list[str]:
    """Say what is open at the end, what was closed without a market, and that equity was gone."""
    account, position = run.figures.account, run.figures.position
    quantity = run.figures.orders.simulated_quantity
    flags = []
    if quantity and isinstance(run.plan, RunPlan):
        flags.append(
            f"The closing orders did not fill {amount_text(quantity)} of what was open. It was "
            f"closed at the last trade's price {amount_text(run.plan.last_price)} (simulated): "
            "taker fee paid, market impact ignored."
        )
    if position.quantity or position.open_positions:
        what = (
            f"A position of {amount_text(position.quantity)} is still open ({_why_open(run)})."
            if len(run.figures.symbols) < 2
            else f"Positions still open: {position.open_positions} ({_why_open(run)})."
        )
        flags.append(
            f"{what} PnL does not include it; return and equity do, with "
            f"{amount_text(account.unrealized)} {run.request.config.config.venue.base_currency} "
            "unrealized."
        )
    if account.lowest_equity < 0:
        flags.append("Equity fell below zero; margin calls and liquidation are not simulated.")
    return flags


def _why_open(run: CompletedRun) -> str:
    if not run.request.close_positions:
        return "closing was switched off"
    chosen = run.request.effective_closing
    if chosen is not None and chosen.method == "work":
        return f"working it through the books of {chosen.work_secs:f} s did not close all of it"
    return "the closing orders did not take all of it, or orders on their way filled after them"


def _refusal_flags(run: CompletedRun) -> list[str]:
    statuses = run.figures.orders.orders_by_status
    return [
        f"{statuses[status]} orders were {status}; see refusals for the reasons."
        for status in ("denied", "rejected")
        if statuses.get(status)
    ]


def _order_file_flags(run: CompletedRun) -> list[str]:
    orders = run.plan.orders if isinstance(run.plan, RunPlan) else None
    if orders is None or not orders.before + orders.after:
        return []
    outside = orders.before + orders.after
    return [
        f"{outside} of the {orders.orders} orders of {orders.named} lie outside the run and were "
        f"not sent: {orders.before} before its first trade, {orders.after} at its end or later."
    ]


def _growth_flags(equity: EquityFigures) -> list[str]:
    """Say that growth is extrapolated where the window is shorter than a year."""
    ratios = equity.ratios
    if equity.returns.cagr_pct is None or ratios.returns >= ratios.intervals_per_year:
        return []
    days = ratios.returns * ratios.equity_interval_secs / 86_400
    return [f"CAGR and Calmar ratio are extrapolated from {days:.0f} days to a year."]


def _volume_flags(run: CompletedRun) -> list[str]:
    if not isinstance(run.plan, RunPlan) or not isinstance(run.plan.exec_algorithm, VwapAlgorithm):
        return []
    if not run.curve_days:
        return ["VWAP split orders evenly: the catalog has no day before this one."]
    uneven = run.outcome.orders_without_curve
    if not uneven:
        return []
    return [
        f"VWAP split {uneven} orders evenly: the days before had no volume at those times of day."
    ]


def _valuation(run: CompletedRun) -> dict[str, Any] | None:
    config = run.request.config
    stub = None if config.bars is not None else config.ticks.fx_stub
    if stub is None:
        return None
    account = run.figures.account
    pair, rate = next(iter(stub.items()))
    return {
        "currency": pair.partition("_")[2],
        "rate": rate,
        "rate_source": f"fx_stub.{pair}",
        "starting_balance": float(account.starting_balance * rate),
        "final_balance": float(account.final_balance * rate),
        "pnl": float(account.net * rate),
        "final_equity": float(account.final_equity * rate),
    }


def describe_window(run: CompletedRun) -> tuple[str, str]:
    """Return start and end of the replayed window as ISO 8601 texts."""
    end = run.request.end_ns
    return (
        iso_ns(run.window_start_ns),
        iso_ns(run.figures.last_ns if end is None else end),
    )
