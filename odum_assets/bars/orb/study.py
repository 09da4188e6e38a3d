"""Everything that the strategy computes ahead of a run, as arrays that look back only."""

from dataclasses import dataclass

from odum_assets.bars.orb.factors import FactorTable, compute_factors
from odum_assets.bars.orb.indicators import Floats, last_swing
from odum_assets.bars.orb.opening_range import OpeningRange, find_opening_ranges
from odum_assets.bars.orb.params import OrbParams
from odum_assets.bars.orb.scoring import Scores, compute_scores
from odum_assets.bars.orb.sessions import SessionBars, select_bars
from odum_assets.bars.series import BarSeries
from odum_assets.bars.sessions import SessionRules


@dataclass(frozen=True, slots=True)
class Study:
    """The bars of one instrument with what is known at each close.

    Parameters
    ----------
    bars
        Bars inside of sessions, length n.
    ranges
        Opening ranges, one per session.
    factors, scores
        At each close, length n.
    swing_low, swing_high
        The last swings in ticks, NaN without one, length n.
    """

    bars: SessionBars
    ranges: tuple[OpeningRange, ...]
    factors: FactorTable
    scores: Scores
    swing_low: Floats
    swing_high: Floats


def prepare_study(series: BarSeries, rules: SessionRules, params: OrbParams) -> Study:
    """Compute opening ranges, factors and scores of a series.

    Parameters
    ----------
    series
        Bars, those of earlier sessions for the indicators included.
    rules
        Which bars belong to which session.
    params
        Parameters.

    Raises
    ------
    ConfigError
        If a length in minutes is no multiple of the bars'.
    """
    bars = select_bars(series, rules)
    ranges = find_opening_ranges(bars, params, series.step, series.tick_size, rules.timezone)
    factors = compute_factors(bars, ranges, params)
    reach = params.factors.price_action.pivot_len
    return Study(
        bars,
        ranges,
        factors,
        compute_scores(factors, params),
        last_swing(bars.low, reach, bars.first),
        -last_swing(-bars.high, reach, bars.first),
    )
