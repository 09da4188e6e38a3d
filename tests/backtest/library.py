"""The figures of an equity curve as empyrical computes them, an implementation that is not ours."""

import math
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import empyrical
import numpy as np
import pandas as pd
import pytest

_RECOVERED = -1e-12
"""A product of returns comes back to its peak but for rounding."""


def library_figures(
    times: Sequence[int], equity: Sequence[Decimal], intervals_per_year: float
) -> dict[str, float]:
    """Return figures as fractions, NaN where the library does not define them.

    Parameters
    ----------
    times : sequence of int, length n
        Times in ns.
    equity : sequence of Decimal, length n
        Positive equity at these times.
    intervals_per_year : float
        What annualized figures are annualized with.
    """
    exact = [Fraction(each) for each in equity]
    changes = [float(later / earlier - 1) for earlier, later in pairwise(exact)]
    # The library drops the peak before the first return; the duration counts from it.
    returns = pd.Series(changes, index=list(times[1:]), dtype=float)
    below = [0.0, *empyrical.stats.drawdown_series(returns)] if changes else [0.0]
    options: dict[str, Any] = {"annualization": intervals_per_year}
    with np.errstate(over="ignore"):
        growth = float(empyrical.cagr(returns, **options))
        calmar = float(empyrical.calmar_ratio(returns, **options))
    return {
        "total_return": float(empyrical.cum_returns_final(returns)),
        "sharpe": float(empyrical.sharpe_ratio(returns, **options)),
        "sortino": float(empyrical.sortino_ratio(returns, **options)),
        "volatility": float(empyrical.annual_volatility(returns, **options)),
        "cagr": growth,
        "calmar": calmar,
        "max_drawdown": float(empyrical.max_drawdown(returns)),
        "max_drawdown_duration_secs": _longest(times, below) / 1e9,
    }


def _longest(times: Sequence[int], below: Sequence[float]) -> int:
    """Return the longest time between two samples at the peak with one below it, or to the end."""
    at_peak = [at for at, depth in enumerate(below) if depth >= _RECOVERED]
    spans = [times[late] - times[early] for early, late in pairwise(at_peak) if late - early > 1]
    rest = times[-1] - times[at_peak[-1]] if at_peak[-1] < len(below) - 1 else 0
    return max([0, rest, *spans])


def same(found: float | None, expected: float) -> bool:
    """Return whether a figure is the library's to 1e-12; None is what it does not define."""
    if found is None:
        return not math.isfinite(expected)
    return bool(found == pytest.approx(expected, rel=1e-12, abs=1e-12))


def assert_same(summary: dict[str, Any], expected: dict[str, float]) -> None:
    """Compare the figures of a summary with the library's.

    Growth is compared where it is stated; over short windows it is null by our own rule.
    """
    returns, ratios, drawdown = summary["returns"], summary["ratios"], summary["drawdown"]
    found = {
        "total_return": returns["total_return_pct"] / 100,
        "sharpe": ratios["sharpe"],
        "sortino": ratios["sortino"],
        "volatility": _fraction(returns["volatility_pct"]),
        "max_drawdown": drawdown["max_drawdown"],
        "max_drawdown_duration_secs": drawdown["max_drawdown_duration_secs"],
    }
    if returns["cagr_pct"] is not None:
        found |= {"cagr": returns["cagr_pct"] / 100, "calmar": ratios["calmar"]}
    assert {name for name, value in found.items() if not same(value, expected[name])} == set()
    assert drawdown["max_drawdown_pct"] == pytest.approx(100 * drawdown["max_drawdown"], rel=1e-15)


def _fraction(percent: float | None) -> float | None:
    return None if percent is None else percent / 100
