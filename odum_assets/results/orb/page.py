"""The HTML report of one symbol: figures, curve in R, factors and scores, sessions, trades.

One file, drawn as the tearsheet is: nothing is loaded from elsewhere and nothing runs.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pyarrow as pa

from odum_assets.results.orb.run import OrbRun
from odum_assets.results.tearsheet import formats
from odum_assets.results.tearsheet.charts import Line, draw_chart, span_of
from odum_assets.results.tearsheet.html import html_page

_TRADES = 200
"""At most so many trades are listed."""

_NAMES = {
    "total_trades": "Trades",
    "win_rate": "Win rate",
    "total_r": "Total",
    "expectancy": "Expectancy",
    "median_r": "Median",
    "profit_factor": "Profit factor",
    "sharpe_ratio": "Sharpe ratio",
    "sortino_ratio": "Sortino ratio",
    "max_drawdown_r": "Maximum drawdown",
    "max_drawdown_pct": "Maximum drawdown, equity",
    "avg_winner_r": "Average winner",
    "avg_loser_r": "Average loser",
    "largest_winner_r": "Largest winner",
    "largest_loser_r": "Largest loser",
    "consecutive_wins": "Wins in a row",
    "consecutive_losses": "Losses in a row",
}


def report_html(run: OrbRun, symbol: str) -> str:
    """Return the page of a symbol.

    Raises
    ------
    ResultError
        If the run's files cannot be read.
    """
    metrics = run.symbol_metrics()[symbol]
    trades, sessions = run.trades(symbol), run.sessions(symbol)
    flags = [flag for flag in run.metrics()["flags"] if flag.startswith(f"{symbol}:")]
    return html_page(
        f"{symbol} opening-range breakout",
        [
            _header(run, symbol, sessions),
            _flags(flags),
            _figures(metrics),
            *_curves(run, symbol, trades),
            _factors(metrics["factor_attribution"]),
            _scores(metrics["score_buckets"]),
            _counts("Exits", "Last exit of the trade", map(str, trades["exit_reason"].to_pylist())),
            _counts("Opening ranges", "Outcome", _outcomes(sessions)),
            _trades(trades),
        ],
    )


def _header(run: OrbRun, symbol: str, sessions: pa.Table) -> str:
    days = sessions["session"].to_pylist()
    entry = run.entry
    rows = [
        ("Run", entry.run_id),
        ("Configuration", entry.config_name),
        ("Sessions", f"{len(days)}, {days[0]} to {days[-1]}" if days else "none"),
        ("Digest", entry.digest[:16]),
        ("R", "gain after fees over the risk as planned: distance of the stop times size"),
    ]
    facts = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in rows
    )
    return (
        f"<header><p>Opening-range breakout</p><h1>{escape(symbol)}</h1>"
        f'<dl class="facts">{facts}</dl></header>'
    )


def _flags(flags: Sequence[str]) -> str:
    if not flags:
        return '<section class="warnings none"><p>No warnings.</p></section>'
    items = "".join(f"<li>{escape(flag)}</li>" for flag in flags)
    return f'<section class="warnings"><h2>Warnings</h2><ul>{items}</ul></section>'


def _figures(metrics: Mapping[str, Any]) -> str:
    cards = "".join(
        f"<div><dt>{escape(label)}</dt><dd>{_figure(name, metrics[name])}</dd></div>"
        for name, label in _NAMES.items()
    )
    return f'<section><h2>Result</h2><dl class="cards">{cards}</dl></section>'


def _figure(name: str, value: float | None) -> str:
    if value is None:
        return "unknown"
    if name == "win_rate" or name.endswith("_win_rate"):
        return formats.figure(value, f"{formats.decimals(100 * value, 1)} %")
    if name.endswith("_pct"):
        return formats.figure(value, f"{formats.decimals(value, 2)} %")
    if name.endswith("_r") or name == "expectancy":
        return formats.figure(value, f"{formats.decimals(value, 3, sign=True)} R")
    return formats.figure(value, formats.decimals(value, 0 if isinstance(value, int) else 2))


def _curves(run: OrbRun, symbol: str, trades: pa.Table) -> list[str]:
    if not trades.num_rows:
        return ["<section><h2>Over time</h2><p>No trades.</p></section>"]
    curve = run.table(f"{symbol}_equity")
    # The tables have microseconds.
    times = 1_000 * curve["exit_timestamp"].cast(pa.int64()).to_numpy()
    span = span_of([times])
    total, drawdown = curve["cumulative_r"].to_numpy(), curve["drawdown_r"].to_numpy()
    parts = [
        '<section class="charts"><h2>Over time</h2>',
        draw_chart("Total", "R", span, [Line(times, total, "equity", "closed trades", True)]),
    ]
    if np.any(drawdown):
        line = Line(times, drawdown, "drawdown", "below the peak before", True, True)
        parts.append(draw_chart("Drawdown", "R", span, [line]))
    return [*parts, "</section>"]


def _factors(rows: Sequence[Mapping[str, Any]]) -> str:
    heads = {
        "factor_name": "Factor",
        "present_count": "Trades with it",
        "present_win_rate": "Win rate",
        "present_avg_r": "Average",
        "absent_count": "Trades without",
        "absent_win_rate": "Win rate",
        "absent_avg_r": "Average",
        "delta_avg_r": "Difference",
    }
    return _table("Factors", heads, rows, "No factor is enabled, or there are no trades.")


def _scores(rows: Sequence[Mapping[str, Any]]) -> str:
    heads = {"bucket": "Score", "count": "Trades", "win_rate": "Win rate", "avg_r": "Average"}
    return _table("Scores", heads, rows, "No scores.")


def _outcomes(sessions: pa.Table) -> list[str]:
    outcomes = []
    for row in sessions.select(["not_traded", "reason", "or_minutes"]).to_pylist():
        words = [row["reason"], f"{row['or_minutes']} minutes"]
        allowed = ", ".join(["open to entries", *filter(None, words)])
        outcomes.append(f"not traded: {row['not_traded']}" if row["not_traded"] else allowed)
    return outcomes


def _counts(title: str, head: str, values: Iterable[str]) -> str:
    rows = [{"name": name, "count": count} for name, count in Counter(values).most_common()]
    return _table(title, {"name": head, "count": "Number"}, rows, "None.")


def _trades(trades: pa.Table) -> str:
    heads = {
        "trade_id": "Trade",
        "direction": "Side",
        "entry": "Entry, UTC",
        "exit": "Exit, UTC",
        "entry_price": "Entry price",
        "exit_price": "Exit price",
        "exit_reason": "Exit",
        "score": "Score",
        "mfe_r": "Best",
        "mae_r": "Worst",
        "realized_r": "Result",
    }
    rows = [
        {**row, **{side: str(row[f"{side}_timestamp"])[:19] for side in ("entry", "exit")}}
        for row in trades.slice(0, _TRADES).to_pylist()
    ]
    more = trades.num_rows - len(rows)
    note = f"<p>{more:,} more: all_trades.parquet has them.</p>" if more > 0 else ""
    return _table("Trades", heads, rows, "None.") + note


def _table(
    title: str, heads: Mapping[str, str], rows: Sequence[Mapping[str, Any]], nothing: str
) -> str:
    if not rows:
        return f"<section><h2>{escape(title)}</h2><p>{escape(nothing)}</p></section>"
    head = "".join(f"<th>{escape(text)}</th>" for text in heads.values())
    body = "".join(
        "<tr>"
        + "".join(
            f'<td data-name="{escape(text)}">{_cell(name, row[name])}</td>'
            for name, text in heads.items()
        )
        + "</tr>"
        for row in rows
    )
    return (
        f'<section class="trades figures"><h2>{escape(title)}</h2>'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></section>"
    )


def _cell(name: str, value: object) -> str:
    if isinstance(value, float) and name.endswith("_price"):
        return formats.figure(value, formats.digits_of(value, 9), is_colored=False)
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return _figure(name, value)
    return escape(str(value))
