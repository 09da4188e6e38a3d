"""Summaries that earlier versions of the rules left, in the form of today.

What belongs here: names, signs and meanings. What does not: computing figures again from a report's
tables (``recomputed``), the rules themselves (``backtest.metrics``). Files of results
stay as they are.
"""

from typing import Any

from odum_assets.backtest.figures_version import FIGURES_VERSION


def version_of(summary: dict[str, Any]) -> int:
    """Return the version of the rules that the figures of a summary follow."""
    return int(summary.get("figures_version", 1))


def in_current_form(summary: dict[str, Any]) -> dict[str, Any]:
    """Return a summary of any version with the names, signs and meanings of today's.

    Drawdowns become zero or negative, ``pnl`` net of commissions and funding, figures that were not
    computed then null. What needs the tables stays as it was: ratios, average returns, and the
    drawdown in percent, which is that of the largest amount. So ``figures_version`` stays too.

    Parameters
    ----------
    summary : dict[str, Any]
        As a file has it; sections may be missing. It is not changed.
    """
    trades = summary.get("trades")
    if isinstance(trades, dict) and "win_rate_pct" not in trades:
        # Files of earlier versions have the other name alone.
        summary = {**summary, "trades": {"win_rate_pct": trades.get("win_rate"), **trades}}
    if version_of(summary) >= FIGURES_VERSION:
        return summary
    document = {
        name: dict(value) if isinstance(value, dict) else value for name, value in summary.items()
    }
    _name_drawdown(document)
    _take_net_pnl(document)
    trades = document.get("trades")
    if isinstance(trades, dict):
        document |= {name: trades.get(name) for name in ("avg_loss", "avg_loss_pct")}
    for section, names in (("returns", ("cagr_pct", "volatility_pct")), ("ratios", ("calmar",))):
        if isinstance(document.get(section), dict):
            document[section] = dict.fromkeys(names) | document[section]
    return document


def _name_drawdown(summary: dict[str, Any]) -> None:
    section = summary.get("drawdown")
    if not isinstance(section, dict):
        return
    amount, percent = section["max_drawdown"], section["max_drawdown_pct"]
    # 0 - x: a drawdown of zero is not minus zero.
    depth = None if percent is None else 0 - percent
    summary["drawdown"] = {
        "max_drawdown": None if depth is None else depth / 100,
        "max_drawdown_pct": depth,
        "max_drawdown_amount": None if amount is None else 0 - amount,
        "max_drawdown_duration_secs": None,
    }
    summary |= {name: summary["drawdown"][name] for name in ("max_drawdown", "max_drawdown_pct")}


def _take_net_pnl(summary: dict[str, Any]) -> None:
    parts, valuation = summary.get("pnl_breakdown"), summary.get("valuation")
    if not isinstance(parts, dict) or parts.get("net") is None:
        return
    summary["pnl"] = parts["net"]
    if isinstance(valuation, dict):
        valuation["pnl"] = parts["net"] * valuation["rate"]
