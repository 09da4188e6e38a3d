"""Scores of both sides at every close, and the score that an entry needs."""

from dataclasses import dataclass

import numpy as np

from odum_assets.bars.orb.factors import FactorTable
from odum_assets.bars.orb.indicators import Flags, Floats
from odum_assets.bars.orb.params import OrbParams


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of every bar, length n.

    Parameters
    ----------
    long, short
        Sum of the weights of the factors that are enabled and true.
    required
        Least score of an entry.
    long_passes, short_passes
        Whether a side may be entered; always without scoring.
    """

    long: Floats
    short: Floats
    required: Floats
    long_passes: Flags
    short_passes: Flags


def compute_scores(factors: FactorTable, params: OrbParams) -> Scores:
    """Compute the scores of both sides.

    A trend is weak while the ADX is below its threshold or unknown; without the factor it is never
    weak.
    """
    scoring, enabled = params.scoring, params.factors.enabled()
    count = len(factors.rel_vol)
    long, short = np.zeros((2, count))
    for name in enabled:
        long += scoring.weight(name) * factors.long[name]
        short += scoring.weight(name) * factors.short[name]
    required = np.full(count, float(scoring.base_required))
    if "adx" in enabled:
        required[~factors.long["adx"]] = float(scoring.weak_trend_required)
    if not scoring.enabled:
        required = np.zeros(count)
    # Sums of weights such as 0.1 are not exact.
    least = required - 1e-9
    return Scores(long, short, required, long >= least, short >= least)
