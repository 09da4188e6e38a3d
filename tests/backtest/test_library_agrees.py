"""Figures of equity against empyrical, on the same returns to 1e-12."""

import math
import random
from dataclasses import asdict
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from library import assert_same, library_figures, same
from tinydays import LINEAR, SPOT, Market, Outcome, variant

from odum_assets.backtest.metrics import (
    EquitySeries,
    cagr,
    calmar_ratio,
    drawdown_figures,
    equity_figures,
    interval_returns,
    sharpe_ratio,
    sortino_ratio,
    volatility,
)

D = Decimal
NS = 1_000_000_000
FIRST = date(2024, 3, 5)


def _walk(seed: int, count: int, step: float, drift: float = 0.0) -> list[Decimal]:
    """Return equity to the cent that wanders by some share per interval."""
    draws = random.Random(seed)  # noqa: S311 - not a secret
    value, found = 1_000_000.0, []
    for _ in range(count + 1):
        found.append(round(D(value), 2))
        value *= 1 + draws.gauss(drift, step)
    return found


def _as_summary(series: EquitySeries) -> dict[str, Any]:
    figures = asdict(equity_figures(series))
    total = series.equity[-1] / series.equity[0] - 1
    figures["returns"]["total_return_pct"] = float(100 * total)
    return figures


@pytest.mark.parametrize("annualization_days", [252, 365])
@pytest.mark.parametrize(
    ("interval_secs", "count", "step", "drift"),
    [
        (60, 1_441, 1e-5, 0.0),
        (1, 20_000, 1e-6, -1e-8),
        (3_600, 24 * 90, 1e-3, 1e-5),
        (86_400, 800, 2e-2, 3e-4),
        (86_400, 400, 3e-2, -5e-3),
        (900, 96 * 45, 5e-4, 0.0),
    ],
)
def test_generated_equity_has_the_figures_of_the_library(
    interval_secs: int, count: int, step: float, drift: float, annualization_days: int
) -> None:
    for seed in range(5):
        equity = _walk(seed, count, step, drift)
        # The first and the last interval are shorter, as they are in runs.
        times = [at * interval_secs * NS for at in range(count + 1)]
        times[0], times[-1] = interval_secs * NS // 3, times[-1] - interval_secs * NS // 2
        series = EquitySeries(times, equity, interval_secs, annualization_days)
        found = _as_summary(series)
        assert found["ratios"]["returns"] == count
        assert (found["returns"]["cagr_pct"] is None) == (count * interval_secs < 30 * 86_400)
        assert_same(found, library_figures(times, equity, series.intervals_per_year))


@given(
    st.lists(st.integers(1_000, 3_000), min_size=1, max_size=40),
    st.sampled_from([252.0, 365.0, 365.0 * 24]),
)
def test_any_equity_has_the_figures_of_the_library(units: list[int], per_year: float) -> None:
    equity = [D(each) for each in units]
    times = [at * 60 * NS for at in range(len(equity))]
    returns = interval_returns(equity) or []
    drawdown = drawdown_figures(times, equity)
    expected = library_figures(times, equity, per_year)
    assert same(sharpe_ratio(returns, per_year), expected["sharpe"])
    assert same(sortino_ratio(returns, per_year), expected["sortino"])
    assert same(volatility(returns, per_year), expected["volatility"])
    growth = cagr(returns, per_year)
    assert growth is None or same(growth, expected["cagr"])
    if returns:
        assert same(drawdown.max_drawdown, expected["max_drawdown"])
        assert math.prod(1 + each for each in returns) == pytest.approx(
            units[-1] / units[0], rel=1e-12
        )
    assert drawdown.max_drawdown_duration_secs == expected["max_drawdown_duration_secs"]
    # Where the library's own depth is rounding, so is its ratio.
    if growth is not None and expected["max_drawdown"] < -1e-9:
        ours = calmar_ratio(growth, drawdown.max_drawdown)
        assert ours == pytest.approx(expected["calmar"], rel=1e-9)


def _expected(run: Outcome) -> dict[str, float]:
    return library_figures(
        [each["timestamp"] for each in run.equity],
        [each["portfolio_value"] for each in run.equity],
        run.summary["ratios"]["intervals_per_year"],
    )


def _hours(day: int, prices: list[str], side: str | None = None) -> list[Any]:
    return [(3_600.0 * at + 10 + day, side, price, "0.5") for at, price in enumerate(prices)]


def test_a_run_has_the_figures_of_the_library(market: Market) -> None:
    prices = ["64000", "64100", "63500", "63900", "64700", "64600", "64000"]
    rows = [*_hours(0, prices[:3], "buy"), *_hours(3, prices[3:], "sell")]
    config = variant(LINEAR, metrics={"equity_interval_secs": 60})
    market.trades(sorted(rows), config)
    run = market.run(config)
    assert run.summary["fills"] >= 7
    assert_same(run.summary, _expected(run))
    assert run.summary["ratios"]["returns"] == len(run.equity) - 1


def test_a_cash_account_that_keeps_has_the_figures_of_the_library(market: Market) -> None:
    config = variant(SPOT, venue={"account_type": "CASH"}, metrics={"equity_interval_secs": 900})
    market.trades([(10, "buy", "64000.00", "3"), (4_000, None, "60000.00", "1")], config)
    run = market.run(config, close_positions=False)
    assert_same(run.summary, _expected(run))
    assert run.summary["pnl"] == -192.0
    assert run.summary["account"]["balance_change"] == -192_192.0


def test_six_weeks_with_missing_days_have_the_figures_of_the_library(market: Market) -> None:
    days = tuple(FIRST + timedelta(days=at) for at in range(42) if at not in (7, 8, 30))
    config = variant(metrics={"equity_interval_secs": 3_600})
    draws = random.Random(7)  # noqa: S311 - not a secret
    for day in days:
        prices = [f"{64_000 + draws.randrange(-900, 900)}.0" for _ in range(24)]
        sides = draws.choices(("buy", "sell", None), k=24)
        rows = [
            (3_600.0 * at + 5, side, price, "0.5")
            for at, (side, price) in enumerate(zip(sides, prices, strict=True))
        ]
        market.trades(rows, config, day)
    run = market.run(config, days)
    # 24 a day; the last one ends with the last row, five seconds past 23:00.
    assert run.summary["ratios"]["returns"] == 39 * 24
    assert run.summary["returns"]["cagr_pct"] is not None
    assert run.summary["ratios"]["calmar"] is not None
    assert_same(run.summary, _expected(run))
    assert "CAGR and Calmar ratio are extrapolated from 39 days to a year." in run.result.flags
