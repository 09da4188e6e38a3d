"""Figures of results of earlier versions, computed from their tables by today's rules.

What belongs here: reading an equity table of any version. What does not: names and meanings of an
earlier summary (``earlier``), the rules (``backtest.metrics``).
"""

from dataclasses import asdict
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.backtest.equity import outside_gaps
from odum_assets.backtest.figures_version import FIGURES_VERSION
from odum_assets.backtest.metrics import EquitySeries, equity_figures
from odum_assets.results.json_figures import numbers
from odum_assets.utc import NS_PER_SECOND


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
        [date.fromisoformat(day) for day in days],
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
    inner = {time for time in times[1:-1] if time % step == 0 and time < last}
    wanted = {times[0], *outside_gaps(sorted(inner), days)}
    rows: list[tuple[int, Decimal]] = [
        point for point in zip(times[:-1], equity[:-1], strict=True) if point[0] in wanted
    ]
    rows.append((last, equity[-1]))
    return EquitySeries(
        times=[time for time, _ in rows],
        equity=[value for _, value in rows],
        interval_secs=interval_secs,
        annualization_days=annualization_days,
    )
