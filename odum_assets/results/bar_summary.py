"""What the summary of a run on bars says beside that of any run."""

from dataclasses import asdict
from typing import Any

from odum_assets.backtest.bar_inputs import BarInputs
from odum_assets.backtest.run import CompletedRun
from odum_assets.results.json_figures import amount_text, aspect_entry

_PATHS = {
    "conservative": "a bar that touches stop and target fills the stop",
    "adaptive": "the extreme nearer the open comes first",
}


def bar_sections(run: CompletedRun) -> dict[str, Any]:
    """Return the sections that only a run on bars has.

    ``symbols`` holds the figures of each instrument as if it alone had traded the account;
    ``ambiguous_bars`` counts exits that the other path through their bar would have given
    otherwise, with the R between both answers.
    """
    figures = run.figures
    return {
        "symbols": {name: _symbol(item) for name, item in figures.symbols.items()},
        "ambiguous_bars": None if figures.ambiguous is None else asdict(figures.ambiguous),
    }


def _symbol(figures: Any) -> dict[str, Any]:  # noqa: ANN401 - see below
    account = figures.account
    return {
        "fills": figures.fills,
        "pnl": account.net,
        "pnl_breakdown": {
            "realized": account.realized,
            "unrealized": account.unrealized,
            "unrealized_before_closing": account.unrealized_before_closing,
            "commissions": account.commissions,
            "net": account.net,
        },
        "returns": {**asdict(figures.account_returns), **asdict(figures.equity.returns)},
        "position": asdict(figures.position),
        "trades": asdict(figures.trades),
        "drawdown": asdict(figures.equity.drawdown),
        "ratios": asdict(figures.equity.ratios),
        "ambiguous_bars": asdict(figures.ambiguous),
    }


def bar_aspects(run: CompletedRun) -> list[dict[str, Any]]:
    """Return what of a real market a run on bars simulated and what not."""
    config = run.request.config.required_bars
    execution, fees = config.execution, config.venue.fees
    charged = (
        f"{amount_text(fees.rate)} of the value"
        if fees.model == "rate"
        else f"{amount_text(fees.amount)} {config.venue.base_currency} per unit of size"
    )
    slips = f"market and stop orders fill {execution.slippage:f} of the price worse"
    return [
        aspect_entry("market", True, f"the path of price within a bar: {_PATHS[execution.path]}"),
        aspect_entry("orders", True, "decided at a close, live from the next bar's open"),
        aspect_entry("fees", True, charged),
        aspect_entry("slippage", bool(execution.slippage), slips),
        aspect_entry("size", False, "orders of any size fill whole"),
        aspect_entry("market_impact", False, "the recorded market does not react to orders"),
        aspect_entry("margin_calls", False, "positions are never liquidated"),
    ]


def bar_flags(run: CompletedRun) -> list[str]:
    """Return what a reader of a run on bars must know, in short sentences."""
    flags = []
    if isinstance(run.inputs, BarInputs) and run.inputs.warmup_missing:
        lacking = ", ".join(
            f"{count} of {name}" for name, count in run.inputs.warmup_missing.items()
        )
        wanted = run.request.config.required_bars.bars.warmup_sessions
        flags.append(
            f"Of the {wanted} sessions that warm indicators up are missing: {lacking}; figures "
            "that need them are unknown."
        )
    ambiguous = run.figures.ambiguous
    if ambiguous is not None and ambiguous.exits:
        flags.append(
            f"{ambiguous.exits} exits in {ambiguous.bars} bars depend on the path within the bar; "
            f"on the other path they differ by {ambiguous.difference_r:.2f} R together."
        )
    if run.outcome.strategy_changed:
        flags.append(
            f"{', '.join(run.outcome.strategy_changed)} was edited during the run; this is the "
            "result of the code as it was at the start."
        )
    if not run.figures.fills:
        flags.append("No order was filled.")
    return flags
