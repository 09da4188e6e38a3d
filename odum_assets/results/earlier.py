"""Figures of results that earlier versions of the rules left, and what becomes of them here.

What belongs here: reading summaries of every version in the form of today, and computing figures
again from the tables of a report. What does not: the rules themselves (``backtest.metrics``). Files
of results are never rewritten.
"""

from dataclasses import asdict
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.backtest.equity import outside_gaps
from odum_assets.backtest.metrics import FIGURES_VERSION, EquitySeries, equity_figures
from odum_assets.results.json_figures import numbers
from odum_assets.utc import NS_PER_SECOND


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
    found = {name: dict(each) if isinstance(each, dict) else each for name, each in summary.items()}
    _name_drawdown(found)
    _take_net_pnl(found)
    trades = found.get("trades")
    if isinstance(trades, dict):
        found |= {name: trades.get(name) for name in ("avg_loss", "avg_loss_pct")}
    for section, names in (("returns", ("cagr_pct", "volatility_pct")), ("ratios", ("calmar",))):
        if isinstance(found.get(section), dict):
            found[section] = dict.fromkeys(names) | found[section]
    return found


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


def recomputed(summary: dict[str, Any], days: list[str], equity: Path) -> dict[str, Any]:
    """Return a summary with its figures computed from the tables of its report by today's rules.

    Parameters
    ----------
    summary : dict[str, Any]
        In today's form.
    days : list of str
        UTC days (ISO 8601) that the run went over.
    equity : Path
        The equity table of its report.

    Returns
    -------
    dict[str, Any]
        With the ``figures_version`` of today.

    Raises
    ------
    OSError, ValueError, KeyError
        If the equity table cannot be read, or is none.
    """
    ratios = summary["ratios"]
    series = equity_series(
        equity,
        ratios["equity_interval_secs"],
        ratios["annualization_days"],
        [date.fromisoformat(each) for each in days],
    )
    figures = numbers(asdict(equity_figures(series)))
    drawdown = figures["drawdown"]
    return {
        **summary,
        "figures_version": FIGURES_VERSION,
        "account": {**summary["account"], "lowest_equity": float(min(series.equity))},
        "returns": {**summary["returns"], **figures["returns"]},
        "drawdown": drawdown,
        "ratios": figures["ratios"],
        "avg_return": figures["returns"]["avg_return"],
        "max_drawdown": drawdown["max_drawdown"],
        "max_drawdown_pct": drawdown["max_drawdown_pct"],
    }


def equity_series(
    path: Path, interval_secs: int, annualization_days: int, days: list[date]
) -> EquitySeries:
    """Return the samples of an equity table, of any version, that figures are computed from.

    These are the first and the last row and the whole multiples of the interval between them, days
    without data left out. Tables of today have no other rows; earlier ones also have a row just
    before closing and rows of days without data.

    Raises
    ------
    OSError, ValueError, KeyError
        If the table cannot be read, or is none.
    """
    table = pq.read_table(path, columns=["timestamp", "portfolio_value"])
    times: list[Any] = table["timestamp"].cast(pa.int64()).to_pylist()
    equity: list[Any] = table["portfolio_value"].to_pylist()
    if not times:
        raise ValueError(f"{path}: the equity table has no rows")
    last, step = times[-1], interval_secs * NS_PER_SECOND
    inner = {each for each in times[1:-1] if each % step == 0 and each < last}
    wanted = {times[0], *outside_gaps(sorted(inner), days)}
    rows: list[tuple[int, Decimal]] = [
        each for each in zip(times[:-1], equity[:-1], strict=True) if each[0] in wanted
    ]
    rows.append((last, equity[-1]))
    return EquitySeries(
        times=[time for time, _ in rows],
        equity=[value for _, value in rows],
        interval_secs=interval_secs,
        annualization_days=annualization_days,
    )
