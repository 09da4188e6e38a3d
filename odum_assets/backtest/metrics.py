"""Figures of merit from round trips and from marked-to-market equity.

A figure that cannot be known is None: a ratio over one return, a profit factor without losses.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from statistics import fmean
from typing import Final

import numpy as np

from odum_assets.backtest.ledger import ZERO
from odum_assets.catalog.fixed_point import Units, amount_of
from odum_assets.utc import NS_PER_SECOND

MIN_GROWTH_DAYS: Final = 30
"""Observed days from which on growth is annualized; over fewer, the power of a day's return says
nothing. Below a year it is an extrapolation, which GIPS does not allow to be shown as performance:
such a result is flagged."""

_HUNDRED = Decimal(100)
_HALF = 32
_DAY_SECS = 86_400
_LOWEST = Decimal("-Infinity")


@dataclass(frozen=True, slots=True)
class TradeStatistics:
    """Round trips by their result after commissions; amounts in the account currency.

    Names with ``pct`` are in percent (of the starting balance). ``win_rate`` is the earlier name of
    ``win_rate_pct``, in percent; the registry's is a fraction. ``profit_factor`` is the
    sum of wins over the absolute sum of losses; ``expectancy`` is the mean result of a round trip.
    """

    total_trades: int
    winning_trades: int
    losing_trades: int
    break_even_trades: int
    win_rate_pct: float | None
    win_rate: float | None
    avg_win: Decimal | None
    avg_loss: Decimal | None
    avg_win_pct: float | None
    avg_loss_pct: float | None
    largest_win: Decimal | None
    largest_loss: Decimal | None
    profit_factor: float | None
    expectancy: Decimal | None
    total_wins: Decimal
    total_losses: Decimal


@dataclass(frozen=True, slots=True)
class IntervalReturns:
    """Means of returns per interval (all, positive, negative), and annualized figures; percent."""

    avg_return: float | None
    avg_win_return: float | None
    avg_loss_return: float | None
    cagr_pct: float | None
    volatility_pct: float | None


@dataclass(frozen=True, slots=True)
class Drawdown:
    """The largest falls of equity below its running peak, zero or negative.

    ``max_drawdown`` is the largest relative fall as a fraction of the peak that it fell from,
    ``max_drawdown_pct`` the same in percent; only positive peaks count, None when there are none.
    ``max_drawdown_amount`` is the largest fall in the account currency, which may be another fall.
    ``max_drawdown_duration_secs`` is the longest time from a peak until equity was as high again,
    or until the end; zero without a fall.
    """

    max_drawdown: float | None
    max_drawdown_pct: float | None
    max_drawdown_amount: Decimal
    max_drawdown_duration_secs: float


@dataclass(frozen=True, slots=True)
class Ratios:
    """Annualized ratios, what they are annualized with, and the number of ``returns``."""

    sharpe: float | None
    sortino: float | None
    calmar: float | None
    equity_interval_secs: int
    annualization_days: int
    intervals_per_year: float
    returns: int


@dataclass(frozen=True, slots=True)
class EquityFigures:
    """What follows from marked equity."""

    returns: IntervalReturns
    drawdown: Drawdown
    ratios: Ratios


@dataclass(slots=True)
class TradeResults:
    """Sums over the results of closed round trips, which may come in parts; memory holds no part.

    Amounts are what round trips gave after commissions, in units of the currency's last decimal.
    """

    count: int = 0
    wins: int = 0
    losses: int = 0
    total_wins: int = 0
    total_losses: int = 0
    largest_win: int = 0
    largest_loss: int = 0

    def add(self, results: Units) -> None:
        """Take in the results of round trips, an array of whole numbers."""
        wins, losses = results[results > 0], results[results < 0]
        self.count += len(results)
        self.wins += len(wins)
        self.losses += len(losses)
        self.total_wins += _sum(wins)
        self.total_losses += _sum(losses)
        self.largest_win = max(self.largest_win, int(wins.max(initial=0)))
        self.largest_loss = min(self.largest_loss, int(losses.min(initial=0)))

    def statistics(self, precision: int, starting_balance: Decimal) -> TradeStatistics:
        """Summarize round trips; percentages are of the starting balance.

        Parameters
        ----------
        precision : int
            Decimals of the account currency.
        starting_balance : Decimal
            In the account currency.
        """
        count, wins, losses = self.count, self.wins, self.losses
        total_wins = amount_of(self.total_wins, precision) if wins else ZERO
        total_losses = amount_of(self.total_losses, precision) if losses else ZERO
        total = amount_of(self.total_wins + self.total_losses, precision)
        average_win = total_wins / wins if wins else None
        average_loss = total_losses / losses if losses else None
        win_rate = float(_HUNDRED * wins / count) if count else None
        return TradeStatistics(
            total_trades=count,
            winning_trades=wins,
            losing_trades=losses,
            break_even_trades=count - wins - losses,
            win_rate_pct=win_rate,
            win_rate=win_rate,
            avg_win=average_win,
            avg_loss=average_loss,
            avg_win_pct=_percent(average_win, starting_balance),
            avg_loss_pct=_percent(average_loss, starting_balance),
            largest_win=amount_of(self.largest_win, precision) if wins else None,
            largest_loss=amount_of(self.largest_loss, precision) if losses else None,
            profit_factor=float(total_wins / -total_losses) if total_losses else None,
            expectancy=total / count if count else None,
            total_wins=total_wins,
            total_losses=total_losses,
        )


def trade_statistics(results: Units, precision: int, starting_balance: Decimal) -> TradeStatistics:
    """Summarize closed round trips by their results, as `TradeResults.statistics`."""
    sums = TradeResults()
    sums.add(results)
    return sums.statistics(precision, starting_balance)


@dataclass(frozen=True, slots=True)
class EquitySeries:
    """Marked equity at ascending times: what returns, ratios and drawdowns are computed from.

    Parameters
    ----------
    times : sequence of int, length n
        Times in ns.
    equity : sequence of Decimal, length n
        Equity at these times in the account currency: before the first trade, at whole multiples
        of the interval, and after closing.
    interval_secs : int
        The interval in seconds.
    annualization_days : int
        Trading days of a year.
    """

    times: Sequence[int]
    equity: Sequence[Decimal]
    interval_secs: int
    annualization_days: int

    @property
    def intervals_per_year(self) -> float:
        """Return the number of whole intervals in a year of trading days."""
        return self.annualization_days * _DAY_SECS / self.interval_secs


def equity_figures(series: EquitySeries, drawdown: Drawdown | None = None) -> EquityFigures:
    """Return the figures that follow from marked equity.

    A drawdown of finer samples takes the place of that of the series.

    A return belongs to each pair of neighboring samples, so the returns compound to the total
    return: the last one holds the costs of closing, and days without data lie between two samples,
    whose return holds the change over them. The first and the last interval are usually shorter
    than the others, and count as whole ones. So an annualized figure is what any library gives for
    the same returns and ``intervals_per_year``; the window is taken for less than two intervals
    longer than it is, days without data left out.

    A figure that is not defined is None; all that come from returns are when equity was not
    positive throughout, and CAGR and Calmar ratio are for less than `MIN_GROWTH_DAYS`.
    """
    returns = interval_returns(series.equity) or []
    per_year = series.intervals_per_year
    if drawdown is None:
        drawdown = drawdown_figures(series.times, series.equity)
    is_long = len(returns) * series.interval_secs >= MIN_GROWTH_DAYS * _DAY_SECS
    growth = cagr(returns, per_year) if is_long else None
    return EquityFigures(
        IntervalReturns(
            avg_return=_mean_percent(returns),
            avg_win_return=_mean_percent([value for value in returns if value > 0]),
            avg_loss_return=_mean_percent([value for value in returns if value < 0]),
            cagr_pct=_in_percent(growth),
            volatility_pct=_in_percent(volatility(returns, per_year)),
        ),
        drawdown,
        Ratios(
            sharpe=sharpe_ratio(returns, per_year),
            sortino=sortino_ratio(returns, per_year),
            calmar=calmar_ratio(growth, drawdown.max_drawdown),
            equity_interval_secs=series.interval_secs,
            annualization_days=series.annualization_days,
            intervals_per_year=per_year,
            returns=len(returns),
        ),
    )


def drawdown_figures(times: Sequence[int], equity: Sequence[Decimal]) -> Drawdown:
    """Return the largest falls of equity (account currency) at ascending times (ns).

    The drawdown at a time is ``equity - peak``, relative to the peak ``equity / peak - 1``; the
    maximum drawdown is the lowest over all times (Magdon-Ismail and Atiya, "Maximum drawdown", Risk
    17(10), 2004). The sign is that of empyrical, pyfolio, QuantStats and NautilusTrader.
    """
    peak, peak_time, is_below = _LOWEST, 0, False
    amount, share, longest = ZERO, ZERO, 0
    for time, value in zip(times, equity, strict=True):
        if value < peak or is_below:
            longest = max(longest, time - peak_time)
        is_below = value < peak
        if not is_below:
            peak, peak_time = value, time
            continue
        amount = min(amount, value - peak)
        if peak > 0:
            share = min(share, (value - peak) / peak)
    # The running peak only rises: the last one is positive if any was.
    has_share = peak > 0
    return Drawdown(
        max_drawdown=float(share) if has_share else None,
        max_drawdown_pct=float(_HUNDRED * share) if has_share else None,
        max_drawdown_amount=amount,
        max_drawdown_duration_secs=longest / NS_PER_SECOND,
    )


def interval_returns(equity: Sequence[Decimal]) -> list[float] | None:
    """Return simple returns between samples, None when equity was not positive throughout."""
    if any(value <= 0 for value in equity):
        return None
    return [float((later - earlier) / earlier) for earlier, later in pairwise(equity)]


def sharpe_ratio(returns: Sequence[float], intervals_per_year: float) -> float | None:
    """Return the annualized Sharpe ratio with a risk-free rate of zero.

    ``mean(r) / std(r) * sqrt(intervals_per_year)`` with the sample standard deviation (Sharpe, "The
    Sharpe ratio", Journal of Portfolio Management 21(1), 1994). None for less than two returns, or
    when they are all equal.
    """
    deviation = _deviation(returns)
    if not deviation:
        return None
    return fmean(returns) / deviation * math.sqrt(intervals_per_year)


def sortino_ratio(returns: Sequence[float], intervals_per_year: float) -> float | None:
    """Return the annualized Sortino ratio with a target of zero.

    ``mean(r) / sqrt(mean(min(r, 0)^2)) * sqrt(intervals_per_year)``; the mean of squares is over
    all returns (Sortino and Price, "Performance measurement in a downside risk framework", Journal
    of Investing 3(3), 1994). None for less than two returns, or when none is negative.
    """
    if len(returns) < 2:
        return None
    downside = math.sqrt(fmean([min(value, 0.0) ** 2 for value in returns]))
    return fmean(returns) / downside * math.sqrt(intervals_per_year) if downside > 0 else None


def volatility(returns: Sequence[float], intervals_per_year: float) -> float | None:
    """Return the annualized volatility as a fraction.

    ``std(r) * sqrt(intervals_per_year)`` with the sample standard deviation (Hull, "Options,
    futures, and other derivatives", estimating volatility from historical data). None for less than
    two returns.
    """
    deviation = _deviation(returns)
    return None if deviation is None else deviation * math.sqrt(intervals_per_year)


def cagr(returns: Sequence[float], intervals_per_year: float) -> float | None:
    """Return the compound annual growth rate as a fraction.

    ``prod(1 + r) ^ (intervals_per_year / n) - 1``, the annualized return of the CFA Institute's
    Global Investment Performance Standards (GIPS). None without returns, or when it is too large
    for a number. GIPS does not annualize less than a year; see `MIN_GROWTH_DAYS`.
    """
    if not returns:
        return None
    total = float(np.prod(1.0 + np.asarray(returns)))
    try:
        growth: float = total ** (1.0 / (len(returns) / intervals_per_year)) - 1.0
    except OverflowError:
        return None
    return growth


def calmar_ratio(growth: float | None, max_drawdown: float | None) -> float | None:
    """Return the Calmar ratio: CAGR over the size of the maximum drawdown, both as fractions.

    ``cagr / abs(max_drawdown)`` (Young, "Calmar ratio: a smoother tool", Futures 20(1), 1991), over
    the whole window. None without a drawdown, or when either is not known.
    """
    if growth is None or not max_drawdown:
        return None
    return growth / abs(max_drawdown)


def percent_of(amount: Decimal, base: Decimal) -> float:
    """Return an amount in percent of a positive base."""
    return float(_HUNDRED * amount / base)


def _sum(units: Units) -> int:
    """Return the sum of whole numbers."""
    if units.dtype == object:
        return int(sum(units.tolist()))
    # Halves of 64 bits, which do not overflow.
    high, low = int((units >> _HALF).sum()), int((units & ((1 << _HALF) - 1)).sum())
    return (high << _HALF) + low


def _percent(amount: Decimal | None, base: Decimal) -> float | None:
    return None if amount is None else percent_of(amount, base)


def _deviation(values: Sequence[float]) -> float | None:
    """Return the sample standard deviation, zero for equal values, None for less than two."""
    if len(values) < 2:
        return None
    if min(values) == max(values):
        return 0.0
    mean = fmean(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _in_percent(value: float | None) -> float | None:
    return None if value is None else 100.0 * value


def _mean_percent(values: Sequence[float]) -> float | None:
    return 100.0 * fmean(values) if values else None
