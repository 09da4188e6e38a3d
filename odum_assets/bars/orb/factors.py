"""Factors that speak for a breakout, as flags of every closed bar and side.

Each flag knows its bar and earlier ones only. A factor that is not known yet (too few bars) is
false, never true.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from odum_assets.bars.orb.indicators import Flags, Floats, Ints, average_directional_index
from odum_assets.bars.orb.opening_range import OpeningRange
from odum_assets.bars.orb.params import OrbParams, PriceActionParams, ProfileParams
from odum_assets.bars.orb.sessions import SessionBars

_VWAP_BARS = 5
"""From so many bars on an average price is known."""


@dataclass(frozen=True, slots=True)
class FactorTable:
    """Factors of every bar, length n.

    Parameters
    ----------
    long, short
        Flags by the names of `FACTORS`.
    rel_vol, vwap, adx
        Values, NaN while unknown; the price in ticks.
    """

    long: dict[str, Flags]
    short: dict[str, Flags]
    rel_vol: Floats
    vwap: Floats
    adx: Floats


def compute_factors(
    bars: SessionBars, ranges: tuple[OpeningRange, ...], params: OrbParams
) -> FactorTable:
    """Compute all factors, those that are switched off, too."""
    factors = params.factors
    rel_vol = relative_volume(bars.volume, factors.rel_volume.lookback)
    spike = rel_vol >= float(factors.rel_volume.spike_mult)
    vwap = session_vwap(bars, _vwap_starts(bars, ranges, factors.vwap.reset_mode))
    adx = average_directional_index(bars.high, bars.low, bars.close, factors.adx.period)
    trending = adx >= float(factors.adx.threshold)
    action = price_action(bars, factors.price_action)
    value_area = profile(bars, ranges, factors.profile_proxy)
    return FactorTable(
        long={
            "price_action": action[0],
            "rel_vol": spike,
            "profile": value_area[0],
            "vwap": bars.close > vwap,
            "adx": trending,
        },
        short={
            "price_action": action[1],
            "rel_vol": spike,
            "profile": value_area[1],
            "vwap": bars.close < vwap,
            "adx": trending,
        },
        rel_vol=rel_vol,
        vwap=vwap,
        adx=adx,
    )


def relative_volume(volume: Ints, lookback: int) -> Floats:
    """Return volume over the mean of the `lookback` bars before it; sessions join.

    NaN for the first `lookback` bars and where these had no volume.
    """
    ratio = np.full(len(volume), np.nan)
    total = np.concatenate([[0], np.cumsum(volume)])
    if len(volume) > lookback:
        before = total[lookback:-1] - total[: -1 - lookback]
        present = before > 0
        ratio[lookback:][present] = volume[lookback:][present] * lookback / before[present]
    return ratio


def price_action(bars: SessionBars, params: PriceActionParams) -> tuple[Flags, Flags]:
    """Return where a bar engulfs an opposite one, or steps up (down) over `pivot_len` bars.

    The body must lie strictly around the body before, high and low strictly above (below) those
    `pivot_len` bars ago; both within the session.
    """
    long, short = np.zeros((2, len(bars)), dtype=bool)
    rows = np.arange(len(bars))
    if params.enable_engulfing:
        at = rows[rows - 1 >= bars.first]
        opened, closed = bars.open[at], bars.close[at]
        opened_before, closed_before = bars.open[at - 1], bars.close[at - 1]
        down, up = closed_before < opened_before, closed_before > opened_before
        long[at] |= down & (opened < closed_before) & (closed > opened_before)
        short[at] |= up & (opened > closed_before) & (closed < opened_before)
    if params.enable_structure:
        at = rows[rows - params.pivot_len >= bars.first]
        then = at - params.pivot_len
        high, low = bars.high[at] - bars.high[then], bars.low[at] - bars.low[then]
        long[at] |= (high > 0) & (low > 0)
        short[at] |= (high < 0) & (low < 0)
    return long, short


def profile(
    bars: SessionBars, ranges: tuple[OpeningRange, ...], params: ProfileParams
) -> tuple[Flags, Flags]:
    """Return where the close and the opening range stand against the session before.

    Long: a close above the value area, or inside of it with the opening range's low above its
    middle. The opening range counts once it is complete.
    """
    long, short = np.zeros((2, len(bars)), dtype=bool)
    for before, current in pairwise(ranges):
        rows = slice(before.session.first, before.session.stop)
        low, high = int(bars.low[rows].min()), int(bars.high[rows].max())
        bottom = low + float(params.val_pct) * (high - low)
        top = low + float(params.vah_pct) * (high - low)
        middle = (bottom + top) / 2
        session = current.session
        close = bars.close[session.first : session.stop]
        complete = np.arange(session.first, session.stop) >= current.ready
        inside = (close >= bottom) & (close <= top) & complete
        rows = slice(session.first, session.stop)
        long[rows] = (close > top) | (inside & (current.low > middle))
        short[rows] = (close < bottom) | (inside & (current.high < middle))
    return long, short


def session_vwap(bars: SessionBars, starts: list[tuple[int, int]]) -> Floats:
    """Return the volume-weighted average of ``(high + low + close) / 3``, in ticks.

    Parameters
    ----------
    bars
        Bars.
    starts
        Rows of each session that count: first and stop. NaN elsewhere, before the fifth bar, and
        without volume.
    """
    vwap = np.full(len(bars), np.nan)
    typical = (bars.high + bars.low + bars.close) / 3
    for first, stop in starts:
        volume = np.cumsum(bars.volume[first:stop]).astype(np.float64)
        paid = np.cumsum(typical[first:stop] * bars.volume[first:stop])
        known = (volume > 0) & (np.arange(len(volume)) >= _VWAP_BARS - 1)
        vwap[first:stop][known] = paid[known] / volume[known]
    return vwap


def _vwap_starts(
    bars: SessionBars, ranges: tuple[OpeningRange, ...], reset_mode: str
) -> list[tuple[int, int]]:
    if reset_mode == "session":
        return [(session.first, session.stop) for session in bars.sessions]
    return [
        (min(opening.ready + 1, opening.session.stop), opening.session.stop) for opening in ranges
    ]
