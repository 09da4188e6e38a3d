"""Figures in R against what they should be for trades that one can add up."""

from typing import Any

import numpy as np
import pytest

from odum_assets.bars.orb.metrics import (
    TradeResults,
    core_metrics,
    factor_attribution,
    score_buckets,
)

REALIZED = np.array([1.0, -1.0, -1.0, 2.0, 0.0, 1.0, 1.0])


def results(realized: Any, sessions: Any, equity: Any = (100.0,)) -> TradeResults:
    return TradeResults(np.array(realized), np.array(equity), np.array(sessions))


def test_nineteen_figures() -> None:
    figures = core_metrics(results(REALIZED, [0.0, 1.0, -1.0], [100.0, 110.0, 99.0, 105.0]))
    assert len(figures) == 19
    assert (figures["total_trades"], figures["winning_trades"], figures["losing_trades"]) == (
        7,
        4,
        2,
    )
    assert figures["win_rate"] == pytest.approx(4 / 7)
    assert figures["total_r"] == 3
    assert figures["expectancy"] == figures["average_r"] == pytest.approx(3 / 7)
    assert figures["median_r"] == 1
    assert figures["profit_factor"] == pytest.approx(2.5)
    assert (figures["avg_winner_r"], figures["avg_loser_r"]) == (1.25, -1)
    assert (figures["largest_winner_r"], figures["largest_loser_r"]) == (2, -1)
    assert (figures["consecutive_wins"], figures["consecutive_losses"]) == (2, 2)
    assert figures["max_drawdown_r"] == -2
    assert figures["max_drawdown_pct"] == pytest.approx(-10)
    # Sessions of 0, 1 and -1 R: mean zero.
    assert figures["sharpe_ratio"] == figures["sortino_ratio"] == 0


def test_ratios_are_those_of_sessions() -> None:
    figures = core_metrics(results([1.0, 1.0, -1.0], [2.0, -1.0, 0.0]))
    assert figures["sharpe_ratio"] == pytest.approx((1 / 3) / np.std([2, -1, 0], ddof=1) * 252**0.5)
    assert figures["sortino_ratio"] == pytest.approx((1 / 3) / (1 / 3) ** 0.5 * 252**0.5)


def test_a_drawdown_counts_from_the_start() -> None:
    assert core_metrics(results([-1.0, -2.0, 1.0], [-2.0]))["max_drawdown_r"] == -3


@pytest.mark.parametrize("realized", [[], [1.0], [-1.0]])
def test_too_few_trades_are_unknown_and_not_zero(realized: list[float]) -> None:
    figures = core_metrics(results(realized, realized))
    assert figures["sharpe_ratio"] is None
    if not realized:
        unknown = {name for name, value in figures.items() if value is None}
        assert {"win_rate", "average_r", "median_r", "expectancy", "profit_factor"} <= unknown
        assert figures["total_r"] == 0
    if realized == [1.0]:
        assert figures["profit_factor"] is None
        assert figures["avg_loser_r"] is None


def test_attribution_by_factor_and_score() -> None:
    trades = [
        {
            "realized_r": result,
            "factors": {"rel_vol": flag, "vwap": None},
            "score": score,
            "score_max": 3.0,
        }
        for result, flag, score in ((1.0, True, 3.0), (-1.0, False, 2.0), (2.0, True, 0.0))
    ]
    (only,) = factor_attribution(trades)
    assert only == {
        "factor_name": "rel_vol",
        "present_count": 2,
        "present_win_rate": 1.0,
        "present_avg_r": 1.5,
        "absent_count": 1,
        "absent_win_rate": 0.0,
        "absent_avg_r": -1.0,
        "delta_win_rate": 1.0,
        "delta_avg_r": 2.5,
    }
    buckets = {item["bucket"]: item for item in score_buckets(trades)}
    assert [item["count"] for item in buckets.values()] == [1, 0, 0, 1, 1]
    assert buckets["Very High"]["avg_r"] == 1
    assert buckets["Low"]["avg_r"] is None
