"""Daily bars for trying moving averages: trends that turn, jumps, and crossovers that are there."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from odum_assets.errors import ConfigError
from odum_assets.raw.sample.draws import Draws, Floats

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ATTEMPTS: Final = 200
_LEAST_TURN: Final = 40


@dataclass(frozen=True)
class OhlcvSpec:
    """Say which daily bars to make.

    Parameters
    ----------
    n_days : int
        Number of business days.
    start_date : datetime.date
        The first one, or the next business day.
    initial_price : float
        First open.
    mu, sigma : float
        Mean and standard deviation of a day's log return.
    intra_day_vol : float
        Standard deviation of the extremes around the open, as a fraction of it.
    base_volume, volume_volatility : float
        Mean volume and its relative standard deviation; half as much again on days whose return is
        beyond two `sigma`.
    trend_change_prob, trend_strength : float
        Chance of a day to turn the trend; what the trend adds to a return.
    jump_prob, jump_size : float
        Chance of a jump up or down, and its log return.
    ma_crossover_pairs : tuple of (int, int)
        Fast and slow lengths whose averages are to cross.
    ensure_crossovers : bool
        Turn the trend regularly, and verify that the averages of every pair cross both ways.
    seed : int
        The same seed gives the same bars.

    Raises
    ------
    ConfigError
        If a value cannot be used; the message names it.
    """

    n_days: int = 1_000
    start_date: dt.date = dt.date(2020, 1, 1)
    initial_price: float = 100.0
    mu: float = 0.0008
    sigma: float = 0.018
    intra_day_vol: float = 0.008
    base_volume: float = 100_000.0
    volume_volatility: float = 0.3
    trend_change_prob: float = 0.06
    trend_strength: float = 0.004
    jump_prob: float = 0.02
    jump_size: float = 0.04
    ma_crossover_pairs: tuple[tuple[int, int], ...] = ((20, 50), (50, 100), (50, 200), (100, 300))
    ensure_crossovers: bool = True
    seed: int = 1

    def __post_init__(self) -> None:
        """Refuse values that cannot be met."""
        bounds = {
            "n_days": (1, 100_000),
            "initial_price": (0.01, 1e9),
            "mu": (-1.0, 1.0),
            **dict.fromkeys(("sigma", "intra_day_vol", "trend_strength", "jump_size"), (0.0, 0.5)),
            "base_volume": (0.0, 1e12),
            "volume_volatility": (0.0, 10.0),
            **dict.fromkeys(("trend_change_prob", "jump_prob"), (0.0, 1.0)),
            "seed": (0, 2**63 - 1),
        }
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"{name}: found {value}, allowed {low:g} to {high:g}")
        for fast, slow in self.ma_crossover_pairs:
            if not 1 <= fast < slow:
                raise ConfigError(
                    f"ma_crossover_pairs: found {fast}/{slow}, needs 1 <= fast < slow"
                )
            if self.ensure_crossovers and slow + 2 > self.n_days:
                raise ConfigError(
                    f"n_days: in {self.n_days} days averages of {fast} and {slow} cannot cross; "
                    "give more days, or fewer ma_crossover_pairs"
                )


def make_ohlcv(spec: OhlcvSpec) -> pa.Table:
    """Return daily bars: ``Date Open High Low Close Volume``, prices to the cent.

    Raises
    ------
    ConfigError
        If crossovers are to be ensured and many draws had none.
    """
    attempts = _ATTEMPTS if spec.ensure_crossovers else 1
    for attempt in range(attempts):
        table = _draw(spec, Draws(spec.seed, "ohlcv", attempt))
        counts = crossovers(table["Close"].to_numpy(), spec.ma_crossover_pairs)
        if not spec.ensure_crossovers or all(min(both) > 0 for both in counts.values()):
            return table
    without = [f"{fast}/{slow}" for (fast, slow), both in counts.items() if min(both) == 0]
    raise ConfigError(
        f"ensure_crossovers: in {attempts} draws the averages of {', '.join(without)} days did not "
        "cross both ways; give a larger n_days, trend_strength or sigma, or other "
        "ma_crossover_pairs"
    )


def crossovers(
    close: Floats, pairs: tuple[tuple[int, int], ...]
) -> dict[tuple[int, int], tuple[int, int]]:
    """Return how often the averages of each pair cross upwards and downwards."""
    sums = np.concatenate(([0.0], np.cumsum(close)))
    counts = {}
    for fast, slow in pairs:
        ends = np.arange(slow, len(sums))
        spread = (sums[ends] - sums[ends - fast]) / fast - (sums[ends] - sums[ends - slow]) / slow
        before, now = spread[:-1], spread[1:]
        up, down = (before <= 0) & (now > 0), (before >= 0) & (now < 0)
        counts[fast, slow] = int(up.sum()), int(down.sum())
    return counts


def _draw(spec: OhlcvSpec, draws: Draws) -> pa.Table:
    days = spec.n_days
    turns = draws.uniform(days) < spec.trend_change_prob
    if spec.ensure_crossovers and spec.ma_crossover_pairs:
        slowest = max(slow for _, slow in spec.ma_crossover_pairs)
        turns[slowest :: max(_LEAST_TURN, slowest // 2)] = True
    first = 1.0 if draws.uniform(1)[0] < 0.5 else -1.0
    trend = first * np.where(np.cumsum(turns) % 2, -1.0, 1.0) * spec.trend_strength
    jumps = np.where(draws.uniform(days) < 0.5, -1.0, 1.0) * spec.jump_size
    returns = spec.mu + trend + spec.sigma * draws.normal(days)
    returns += np.where(draws.uniform(days) < spec.jump_prob, jumps, 0.0)
    close = spec.initial_price * np.exp(np.cumsum(returns))
    opens = np.concatenate(([spec.initial_price], close[:-1]))
    around = opens * (1 + spec.intra_day_vol * draws.normal(2 * days).reshape(2, days))
    busy = np.where(np.abs(returns) > 2 * spec.sigma, 1.5, 1.0)
    volume = spec.base_volume * busy * (1 + spec.volume_volatility * draws.normal(days))
    prices = [opens, np.maximum.reduce([opens, close, *around]), close]
    prices.insert(2, np.minimum.reduce([opens, close, *around]))
    if not (np.isfinite(prices).all() and min(map(np.min, prices)) >= 0.01):
        raise ConfigError("mu, sigma, trend_strength: prices leave 0.01 to what a number holds")
    columns = [_business_days(spec), *(np.round(price, 2) for price in prices)]
    columns.append(np.maximum(np.round(volume), 0).astype(np.int64))
    return pa.table(
        [pa.array(column) for column in columns],
        names=["Date", "Open", "High", "Low", "Close", "Volume"],
    )


def _business_days(spec: OhlcvSpec) -> NDArray[np.datetime64]:
    first = np.busday_offset(np.datetime64(spec.start_date), 0, roll="forward")
    return np.busday_offset(first, np.arange(spec.n_days))
