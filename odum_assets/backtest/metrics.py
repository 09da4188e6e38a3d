"""Figures of merit from round trips and from marked-to-market equity.

A figure that cannot be known is None: a ratio over one return, a profit factor without losses.
"""

import math
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from statistics import fmean, stdev
from typing import Any

from odum_assets.backtest.equity import Sample
from odum_assets.backtest.ledger import ZERO, RoundTrip

_HUNDRED = Decimal(100)
_DAY_SECS = 86_400


def trade_statistics(trips: Sequence[RoundTrip], starting_balance: Decimal) -> dict[str, Any]:
    """Summarize round trips by their result after commissions.

    Parameters
    ----------
    trips : sequence of RoundTrip
        Closed round trips.
    starting_balance : Decimal
        Basis of percentages.

    Returns
    -------
    dict[str, Any]
        Counts, rates in percent and amounts in the account currency. ``profit_factor`` is the sum
        of wins over the absolute sum of losses; ``expectancy`` is the mean result of a round trip.
    """
    results = [trip.net_pnl for trip in trips]
    wins = [each for each in results if each > 0]
    losses = [each for each in results if each < 0]
    total_wins, total_losses = sum(wins, ZERO), sum(losses, ZERO)
    average_win = _mean(wins)
    average_loss = _mean(losses)
    return {
        "total_trades": len(results),
        "winning_trades": len(wins),
        "losing_trades": len(losses),
        "break_even_trades": len(results) - len(wins) - len(losses),
        "win_rate": float(_HUNDRED * len(wins) / len(results)) if results else None,
        "avg_win": average_win,
        "avg_loss": average_loss,
        "avg_win_pct": _percent(average_win, starting_balance),
        "avg_loss_pct": _percent(average_loss, starting_balance),
        "largest_win": max(wins, default=None),
        "largest_loss": min(losses, default=None),
        "profit_factor": float(total_wins / -total_losses) if total_losses else None,
        "expectancy": _mean(results),
        "total_wins": total_wins,
        "total_losses": total_losses,
    }


def drawdown(samples: Sequence[Sample]) -> tuple[Decimal, float | None]:
    """Return the largest fall of equity from an earlier peak: amount, and percent of that peak.

    The percentage is that of the largest amount; None when its peak was not positive.
    """
    if not samples:
        return ZERO, None
    peak = worst_peak = samples[0].equity
    worst = ZERO
    for sample in samples:
        peak = max(peak, sample.equity)
        if peak - sample.equity > worst:
            worst, worst_peak = peak - sample.equity, peak
    return worst, float(_HUNDRED * worst / worst_peak) if worst_peak > 0 else None


def interval_returns(equity: Sequence[Decimal]) -> list[float] | None:
    """Return simple returns between samples, None when equity was not positive throughout."""
    if any(each <= 0 for each in equity):
        return None
    return [float(later / earlier) - 1.0 for earlier, later in pairwise(equity)]


def ratios(
    equity: Sequence[Decimal], interval_secs: int, annualization_days: int
) -> dict[str, float | int | None]:
    """Return annualized Sharpe and Sortino ratios with a risk-free rate and target of zero.

    Sharpe (1994): mean over sample standard deviation of the returns. Sortino and Price (1994):
    mean over the root of the mean squared negative part of all returns. Both times the square root
    of the number of intervals in a year.

    Parameters
    ----------
    equity : sequence of Decimal
        Equity at equally spaced moments.
    interval_secs : int
        Their distance in seconds.
    annualization_days : int
        Trading days of a year.

    Returns
    -------
    dict[str, float | int | None]
        The ratios, None where they are not defined, and what they were computed from.
    """
    returns = interval_returns(equity) or []
    scale = math.sqrt(annualization_days * _DAY_SECS / interval_secs)
    sharpe = sortino = None
    if len(returns) >= 2:
        mean, deviation = fmean(returns), stdev(returns)
        downside = math.sqrt(fmean([min(each, 0.0) ** 2 for each in returns]))
        sharpe = mean / deviation * scale if deviation > 0 else None
        sortino = mean / downside * scale if downside > 0 else None
    return {
        "sharpe": sharpe,
        "sortino": sortino,
        "equity_interval_secs": interval_secs,
        "annualization_days": annualization_days,
        "returns": len(returns),
    }


def return_statistics(equity: Sequence[Decimal]) -> dict[str, float | None]:
    """Return mean returns per interval in percent: all, the positive, the negative ones."""
    returns = interval_returns(equity) or []
    return {
        "avg_return": _mean_percent(returns),
        "avg_win_return": _mean_percent([each for each in returns if each > 0]),
        "avg_loss_return": _mean_percent([each for each in returns if each < 0]),
    }


def percent_of(amount: Decimal, base: Decimal) -> float:
    """Return an amount in percent of a positive base."""
    return float(_HUNDRED * amount / base)


def _mean(values: Sequence[Decimal]) -> Decimal | None:
    return sum(values, ZERO) / len(values) if values else None


def _percent(amount: Decimal | None, base: Decimal) -> float | None:
    return None if amount is None else percent_of(amount, base)


def _mean_percent(values: Sequence[float]) -> float | None:
    return 100.0 * fmean(values) if values else None
