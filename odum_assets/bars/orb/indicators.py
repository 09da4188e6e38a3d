"""Indicators as functions of arrays: each value depends on its own bar and earlier ones only.

Unknown values (too few bars) are NaN.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

type Floats = NDArray[np.float64]
type Ints = NDArray[np.int64]
type Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Groups:
    """Longer bars, made of consecutive shorter ones.

    Parameters
    ----------
    high, low, close
        Prices in ticks, shape ``(m,)``.
    last
        Index of the last shorter bar in each, shape ``(m,)``.
    """

    high: Ints
    low: Ints
    close: Ints
    last: Ints


def group_bars(high: Ints, low: Ints, close: Ints, key: Ints) -> Groups:
    """Join consecutive bars of equal key.

    Parameters
    ----------
    high, low, close
        Prices in ticks, shape ``(n,)``.
    key
        A number that changes where a longer bar ends, shape ``(n,)``.
    """
    if not len(key):
        return Groups(high, low, close, np.zeros(0, np.int64))
    first = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
    last = np.append(first[1:], len(key)) - 1
    return Groups(
        np.maximum.reduceat(high, first), np.minimum.reduceat(low, first), close[last], last
    )


def wilder(values: Floats, period: int) -> Floats:
    """Smooth as Wilder does: seeded by the mean of the first `period` values.

    ``y[i] = y[i - 1] + (x[i] - y[i - 1]) / period`` (Wilder, New Concepts in Technical Trading
    Systems, 1978).

    Returns
    -------
    array, shape ``(n,)``
        NaN before the seed at ``period - 1``.
    """
    import pandas as pd

    smoothed = np.full(len(values), np.nan)
    if len(values) >= period:
        seeded = np.concatenate([[values[:period].mean()], values[period:]])
        smoothed[period - 1 :] = pd.Series(seeded).ewm(alpha=1 / period, adjust=False).mean()
    return smoothed


def true_range(high: Ints, low: Ints, close: Ints) -> Floats:
    """Return the range of each bar, the close before it included; the first is high less low."""
    if not len(close):
        return np.zeros(0)
    before = np.concatenate([close[:1], close[:-1]])
    before[0] = min(max(before[0], low[0]), high[0])
    spread: Floats = (np.maximum(high, before) - np.minimum(low, before)).astype(np.float64)
    return spread


def average_true_range(high: Ints, low: Ints, close: Ints, period: int) -> Floats:
    """Return Wilder's average true range in ticks, NaN for the first ``period - 1`` bars."""
    return wilder(true_range(high, low, close), period)


def average_directional_index(high: Ints, low: Ints, close: Ints, period: int) -> Floats:
    """Return Wilder's ADX from 0 to 100.

    Directional movement starts with the second bar; the first ADX is the mean of `period` DX, at
    index ``2 * period - 1``.
    """
    adx = np.full(len(close), np.nan)
    if len(close) < 2 * period:
        return adx
    up, down = np.diff(high), -np.diff(low)
    plus = wilder(np.where((up > down) & (up > 0), up, 0).astype(np.float64), period)
    minus = wilder(np.where((down > up) & (down > 0), down, 0).astype(np.float64), period)
    # The true range divides both and cancels out.
    plus, minus = plus[period - 1 :], minus[period - 1 :]
    total = plus + minus
    moving = total > 0
    dx = np.divide(100 * np.abs(plus - minus), total, out=np.zeros(len(total)), where=moving)
    adx[period:] = wilder(dx, period)
    return adx


def deviation_of_changes(close: Ints, count: int) -> Floats:
    """Return the standard deviation of the last `count` absolute changes of the close, in ticks."""
    from numpy.lib.stride_tricks import sliding_window_view

    deviation = np.full(len(close), np.nan)
    if len(close) > count:
        changes = np.abs(np.diff(close)).astype(np.float64)
        deviation[count:] = sliding_window_view(changes, count).std(axis=1)
    return deviation


def last_swing(values: Ints, reach: int, first: Ints) -> Floats:
    """Return the last swing low that is known at each bar, within its session.

    A swing low is the lowest of `reach` bars on both sides, and known `reach` bars later. Of
    negated highs it is the swing high, negated.

    Parameters
    ----------
    values
        Lows in ticks, shape ``(n,)``.
    reach
        Bars on both sides.
    first
        Index of the first bar of each bar's session, shape ``(n,)``.
    """
    from numpy.lib.stride_tricks import sliding_window_view

    count, width = len(values), 2 * reach + 1
    swing = np.full(count, np.nan)
    if count < width:
        return swing
    lowest = sliding_window_view(values, width).min(axis=1)
    middle = np.arange(reach, count - reach)
    known = middle + reach
    is_swing = (values[middle] == lowest) & (middle - reach >= first[known])
    latest = np.full(count, -1)
    latest[known[is_swing]] = middle[is_swing]
    latest = np.maximum.accumulate(latest)
    present = latest >= first
    swing[present] = values[latest[present]]
    return swing
