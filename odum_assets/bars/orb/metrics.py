"""Figures of trades in R: the core figures, and what factors and scores were worth.

R of a trade is its gain after fees over what it risked as planned. A figure that too few trades
leave open is None, never zero.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from odum_assets.bars.orb.params import FACTORS

BUCKETS = ("Very Low", "Low", "Medium", "High", "Very High")
"""Parts of equal width of the scores that can be reached."""

_SESSIONS_OF_A_YEAR = 252


@dataclass(frozen=True, slots=True)
class TradeResults:
    """Trades in order of their exits, length n.

    Parameters
    ----------
    realized_r
        Results in R.
    equity
        Money of the account after each trade, its start included: length n + 1.
    sessions_r
        Sums of R of every session that was traded, those without a trade are zero.
    """

    realized_r: NDArray[np.float64]
    equity: NDArray[np.float64]
    sessions_r: NDArray[np.float64]


def core_metrics(results: TradeResults) -> dict[str, Any]:
    """Return the nineteen figures of a set of trades.

    Sharpe and Sortino ratios are those of sessions, not of trades: mean over standard deviation
    (sample), and over the root of the mean squared loss, times the root of 252. Drawdown in R is
    measured from zero on, in percent of the highest equity in money.
    """
    realized = results.realized_r
    winners, losers = realized[realized > 0], realized[realized < 0]
    count, lost = len(realized), -float(losers.sum())
    curve = np.concatenate([[0.0], np.cumsum(realized)])
    mean = float(realized.mean()) if count else None
    return {
        "total_trades": count,
        "winning_trades": len(winners),
        "losing_trades": len(losers),
        "win_rate": len(winners) / count if count else None,
        "total_r": float(realized.sum()),
        "average_r": mean,
        "median_r": float(np.median(realized)) if count else None,
        "expectancy": mean,
        "profit_factor": float(winners.sum()) / lost if lost else None,
        "sharpe_ratio": _sharpe(results.sessions_r),
        "sortino_ratio": _sortino(results.sessions_r),
        "max_drawdown_r": float((curve - np.maximum.accumulate(curve)).min()),
        "max_drawdown_pct": _drawdown_pct(results.equity),
        "avg_winner_r": float(winners.mean()) if len(winners) else None,
        "avg_loser_r": float(losers.mean()) if len(losers) else None,
        "largest_winner_r": float(winners.max()) if len(winners) else None,
        "largest_loser_r": float(losers.min()) if len(losers) else None,
        "consecutive_wins": _longest_run(realized > 0),
        "consecutive_losses": _longest_run(realized < 0),
    }


def factor_attribution(trades: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Compare trades with a factor to those without it.

    Parameters
    ----------
    trades
        With ``realized_r`` and ``factors``, flags by name; a factor that is off is left out.
    """
    rows = []
    for name in FACTORS:
        known = [trade for trade in trades if trade["factors"].get(name) is not None]
        if not known:
            continue
        present, absent = (
            [trade["realized_r"] for trade in known if trade["factors"][name] is flag]
            for flag in (True, False)
        )
        row: dict[str, Any] = {"factor_name": name}
        for label, group in (("present", present), ("absent", absent)):
            row[f"{label}_count"] = len(group)
            row[f"{label}_win_rate"] = _win_rate(group)
            row[f"{label}_avg_r"] = _mean(group)
        for figure in ("win_rate", "avg_r"):
            with_it, without = row[f"present_{figure}"], row[f"absent_{figure}"]
            both = with_it is not None and without is not None
            row[f"delta_{figure}"] = with_it - without if both else None
        rows.append(row)
    return rows


def score_buckets(trades: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Compare trades of low and high scores, in five parts of the scores that can be reached.

    Parameters
    ----------
    trades
        With ``realized_r``, ``score`` and ``score_max``.
    """
    groups: dict[str, list[float]] = {name: [] for name in BUCKETS}
    for trade in trades:
        if trade["score_max"]:
            share = trade["score"] / trade["score_max"] * len(BUCKETS)
            groups[BUCKETS[min(int(share), len(BUCKETS) - 1)]].append(trade["realized_r"])
    return [
        {"bucket": name, "count": len(group), "avg_r": _mean(group), "win_rate": _win_rate(group)}
        for name, group in groups.items()
    ]


def _sharpe(sessions: NDArray[np.float64]) -> float | None:
    if len(sessions) < 2 or not sessions.std():
        return None
    return float(sessions.mean() / sessions.std(ddof=1) * np.sqrt(_SESSIONS_OF_A_YEAR))


def _sortino(sessions: NDArray[np.float64]) -> float | None:
    if len(sessions) < 2:
        return None
    downside = float(np.sqrt(np.mean(np.minimum(sessions, 0) ** 2)))
    return float(sessions.mean() / downside * np.sqrt(_SESSIONS_OF_A_YEAR)) if downside else None


def _drawdown_pct(equity: NDArray[np.float64]) -> float | None:
    peak = np.maximum.accumulate(equity)
    return float(100 * (equity / peak - 1).min()) if len(equity) and peak[0] > 0 else None


def _longest_run(flags: NDArray[np.bool_]) -> int:
    runs = (len(list(group)) for flag, group in groupby(flags.tolist()) if flag)
    return max(runs, default=0)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _win_rate(values: Sequence[float]) -> float | None:
    return sum(value > 0 for value in values) / len(values) if values else None
