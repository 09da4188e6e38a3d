"""Marking to the market at the right moments, and figures of merit by their formulas."""

import math
from dataclasses import asdict
from datetime import date
from decimal import Context, Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pricefiles import OPEN, trades_file

from odum_assets.backtest.columns import FillColumns
from odum_assets.backtest.counting import FillCounter
from odum_assets.backtest.equity import (
    EquityPoint,
    MarkToMarket,
    before,
    outside_gaps,
    sample_times,
)
from odum_assets.backtest.ledger import AccountRules, LedgerRows
from odum_assets.backtest.metrics import (
    EquitySeries,
    cagr,
    drawdown_figures,
    equity_figures,
    interval_returns,
    trade_statistics,
)
from odum_assets.backtest.outcome import Funding
from odum_assets.backtest.prices import LastPrices
from odum_assets.catalog.fixed_point import units_array

D = Decimal
NS = 1_000_000_000
_PLACE = TemporaryDirectory()
_FOLDER = Path(_PLACE.name)
RULES = AccountRules(
    D(1),
    is_inverse=False,
    is_cash=False,
    price_precision=0,
    size_precision=0,
    currency_precision=0,
)


def _fills(*rows: tuple[int, int, int, int]) -> FillColumns:
    """Return fills of one position: time, signed quantity, price, commission."""
    ts, *columns = np.array(rows, np.int64).reshape(-1, 4).T
    return FillColumns(ts, ["P"], np.zeros(len(rows), np.int64), *columns)


def _prices(*rows: tuple[int, str]) -> LastPrices:
    return LastPrices([trades_file(_FOLDER, [(time, D(price)) for time, price in rows])], OPEN)


def _sample(ts: int, equity: str) -> EquityPoint:
    return EquityPoint(ts, D(equity), D(0), D(0), D(equity), D(0), None, None)


def test_sample_times_are_whole_multiples_after_the_first_and_up_to_the_last() -> None:
    assert sample_times(60 * NS, 180 * NS, 60) == [120 * NS, 180 * NS]
    assert sample_times(59 * NS, 181 * NS - 1, 60) == [60 * NS, 120 * NS, 180 * NS]
    assert sample_times(61 * NS, 119 * NS, 60) == []


def test_what_happens_at_a_moment_is_in_its_sample() -> None:
    counter = FillCounter(RULES, D(1000))
    fills = _fills((10, 1, 100, 1), (20, -1, 110, 1))
    funding = [Funding(15, D(-2)), Funding(20, D(3)), Funding(30, D(5))]
    prices = _prices((10, "100"), (15, "105"), (20, "110"))
    marking = MarkToMarket(counter, funding, [9, 10, 14, 15, 19, 20, 29, 30, 31], prices)
    counted = marking.apply_fills(fills)
    marking.finish()
    samples = marking.points
    assert [(each.ts, each.cash, each.unrealized, each.equity) for each in samples] == [
        (9, D(1000), D(0), D(1000)),
        (10, D(999), D(0), D(999)),
        (14, D(999), D(0), D(999)),
        (15, D(997), D(5), D(1002)),
        (19, D(997), D(5), D(1002)),
        (20, D(1009), D(0), D(1009)),
        (29, D(1009), D(0), D(1009)),
        (30, D(1014), D(0), D(1014)),
        (31, D(1014), D(0), D(1014)),
    ]
    assert counted == LedgerRows([0, 10], [999, 1009], [1, 0])
    assert samples[0].price is None
    assert [each.entry for each in samples[3:6]] == [100, 100, None]


@given(
    st.lists(st.integers(0, 50), max_size=20).map(sorted),
    st.lists(st.integers(0, 50), max_size=20).map(sorted),
    st.lists(st.integers(0, 50), max_size=20, unique=True).map(sorted),
    st.integers(1, 20),
)
def test_every_sample_holds_exactly_what_came_up_to_it(
    fill_times: list[int], funding_times: list[int], moments: list[int], batch: int
) -> None:
    counter = FillCounter(RULES, D(0))
    # A fill costs 1, a payment brings 1000: cash counts both.
    fills = _fills(*((ts, 1, 7, 1) for ts in fill_times))
    funding = [Funding(ts, D(1000)) for ts in funding_times]
    marking = MarkToMarket(counter, funding, moments, _prices((0, "7")))
    parts = [
        marking.apply_fills(
            fills._replace(
                ts=fills.ts[start : start + batch],
                position=fills.position[start : start + batch],
                quantity=fills.quantity[start : start + batch],
                price=fills.price[start : start + batch],
                commission=fills.commission[start : start + batch],
            )
        )
        for start in range(0, len(fills.ts), batch)
    ]
    marking.finish()
    samples = marking.points
    assert [each.ts for each in samples] == moments
    for each in samples:
        filled = sum(ts <= each.ts for ts in fill_times)
        paid = sum(ts <= each.ts for ts in funding_times)
        assert each.cash == 1000 * paid - filled
        assert each.quantity == filled
    assert [each for part in parts for each in part.quantity] == [*range(1, len(fill_times) + 1)]
    assert counter.ledger.cash == 1000 * len(funding) - len(fill_times)


def test_before_finds_the_sample_at_or_before() -> None:
    samples = [_sample(10, "1"), _sample(20, "2")]
    assert before(samples, 9) is None
    assert before(samples, 19) is samples[0]
    assert before(samples, 20) is samples[1]


def test_samples_of_days_without_data_are_left_out() -> None:
    hour = 3600 * NS
    days = (date(1970, 1, 1), date(1970, 1, 2), date(1970, 1, 5))
    times = [at * hour for at in range(12, 4 * 24 + 13, 12)]
    # The midnight that ends the second day stays, the one that ends the gap goes.
    assert [time // hour for time in outside_gaps(times, days)] == [12, 24, 36, 48, 108]
    assert outside_gaps(times, days[:2]) == times


def _drawdown(*equity: str) -> dict[str, Any]:
    """Return the drawdown of equity marked every second."""
    times = [at * NS for at in range(len(equity))]
    return asdict(drawdown_figures(times, [D(each) for each in equity]))


def test_drawdown_is_the_largest_fall_from_an_earlier_peak() -> None:
    assert _drawdown("100", "120", "90", "130", "110", "131") == {
        "max_drawdown": -0.25,
        "max_drawdown_pct": -25.0,
        "max_drawdown_amount": D(-30),
        "max_drawdown_duration_secs": 2.0,
    }


def test_the_largest_percentage_and_the_largest_amount_are_different_falls() -> None:
    found = _drawdown("100", "50", "1000", "900")
    assert (found["max_drawdown_pct"], found["max_drawdown_amount"]) == (-50.0, -100)


def test_an_account_that_lost_everything_fell_by_more_than_all_of_its_peak() -> None:
    found = _drawdown("100", "-20", "-10")
    assert (found["max_drawdown"], found["max_drawdown_amount"]) == (-1.2, -120)
    # From a peak below zero there is no percentage; the next one has one.
    found = _drawdown("-10", "-30", "100", "90")
    assert (found["max_drawdown"], found["max_drawdown_amount"]) == (-0.1, -20)


def test_the_longest_drawdown_lasts_until_equity_is_as_high_again_or_to_the_end() -> None:
    for equity, secs in (
        ("100 90 100", 2),
        ("100 100 90 95 99 100 100", 4),
        ("100 90 95", 2),
        ("100 90 110 105 104 103", 3),
        ("100 110 120", 0),
        ("100 100 100", 0),
        ("100", 0),
    ):
        assert _drawdown(*equity.split())["max_drawdown_duration_secs"] == secs, equity


def test_drawdown_without_a_fall_or_a_positive_peak() -> None:
    for equity, share, amount in (
        ((), None, 0),
        (("5", "6"), 0.0, 0),
        (("-1", "-3"), None, -2),
    ):
        found = _drawdown(*equity)
        assert (found["max_drawdown"], found["max_drawdown_pct"]) == (share, share)
        assert found["max_drawdown_amount"] == amount
    assert math.copysign(1, _drawdown("5", "6")["max_drawdown"]) == 1


@given(st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=50))
def test_drawdown_agrees_with_numpy(units: list[int]) -> None:
    amounts = np.array(units)
    peaks = np.maximum.accumulate(amounts)
    found = _drawdown(*(str(D(each).scaleb(-4)) for each in units))
    assert found["max_drawdown_amount"] == D(int(np.min(amounts - peaks))).scaleb(-4)
    has_peak = peaks > 0
    shares = (amounts - peaks)[has_peak] / peaks[has_peak]
    expected = pytest.approx(np.min(shares), rel=1e-12) if len(shares) else None
    assert found["max_drawdown"] == expected


def _figures(*equity: str | int, interval_secs: int = 60) -> dict[str, Any]:
    times = [at * interval_secs * NS for at in range(len(equity))]
    series = EquitySeries(times, [D(each) for each in equity], interval_secs, 365)
    return asdict(equity_figures(series))


@given(st.lists(st.integers(900_000, 1_100_000), min_size=3, max_size=60))
def test_ratios_agree_with_their_formulas(units: list[int]) -> None:
    # Rounded once: steps of a millionth leave few digits of a difference of two ratios.
    returns = np.array([float(Fraction(later, earlier) - 1) for earlier, later in pairwise(units)])
    scale = math.sqrt(365 * 86_400 / 60)
    figures = _figures(*units)
    found = figures["ratios"]
    deviation = np.std(returns, ddof=1)
    downside = np.sqrt(np.mean(np.minimum(returns, 0.0) ** 2))
    assert found["returns"] == len(returns)
    assert figures["returns"]["volatility_pct"] == _close(100 * deviation * scale)
    if deviation > 1e-12:
        assert found["sharpe"] == _close(returns.mean() / deviation * scale)
    if downside > 0:
        assert found["sortino"] == _close(returns.mean() / downside * scale)
    else:
        assert found["sortino"] is None


def _close(value: float) -> Any:
    return pytest.approx(value, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("equity", ["", "100", "100 101", "100 100 100", "100 0 100", "100 -5 90"])
def test_ratios_that_are_not_defined_are_none(equity: str) -> None:
    found = _figures(*equity.split())["ratios"]
    assert (found["sharpe"], found["sortino"], found["calmar"]) == (None, None, None)


def test_returns_need_positive_equity_throughout() -> None:
    assert interval_returns([D(100), D(110), D(99)]) == pytest.approx([0.1, -0.1])
    assert interval_returns([D(100), D(0), D(99)]) is None
    found = _figures(100, 110, 99)["returns"]
    means = {name: found[name] for name in ("avg_return", "avg_win_return", "avg_loss_return")}
    assert means == pytest.approx({"avg_return": 0, "avg_win_return": 10, "avg_loss_return": -10})
    for equity in ((100,), (100, -5, 90)):
        assert set(_figures(*equity)["returns"].values()) == {None}


def test_growth_is_annualized_from_thirty_days_on() -> None:
    day = 86_400
    grown = [D(100) * D("1.001") ** at for at in range(32)]
    short = _figures(*map(str, grown[:30]), interval_secs=day)
    assert (short["ratios"]["returns"], short["returns"]["cagr_pct"]) == (29, None)
    enough = _figures(*map(str, grown[:31]), interval_secs=day)
    assert enough["returns"]["cagr_pct"] == pytest.approx(100 * (1.001**365 - 1), rel=1e-12)
    # Nothing fell: there is nothing to divide by.
    assert enough["ratios"]["calmar"] is None
    fell = _figures(*map(str, [*grown[:31], grown[29]]), interval_secs=day)
    growth = (1.001**29) ** (365 / 31) - 1
    assert fell["ratios"]["calmar"] == pytest.approx(growth / (1 - 1 / 1.001), rel=1e-9)


def test_growth_that_no_number_holds_is_not_known() -> None:
    assert cagr([1e6], 525_600.0) is None


def test_trades_are_judged_by_their_results() -> None:
    results = np.array([3000, -1000, 0, 1000, -500])
    assert asdict(trade_statistics(results, 2, D(1000))) == {
        "total_trades": 5,
        "winning_trades": 2,
        "losing_trades": 2,
        "break_even_trades": 1,
        "win_rate_pct": 40.0,
        "win_rate": 40.0,
        "avg_win": D(20),
        "avg_loss": D("-7.5"),
        "avg_win_pct": 2.0,
        "avg_loss_pct": -0.75,
        "largest_win": D(30),
        "largest_loss": D(-10),
        "profit_factor": pytest.approx(40 / 15),
        "expectancy": D(5),
        "total_wins": D(40),
        "total_losses": D(-15),
    }


def test_figures_of_no_trades_and_of_no_losses_are_none() -> None:
    nothing = asdict(trade_statistics(np.empty(0, np.int64), 2, D(1000)))
    assert nothing["total_trades"] == 0
    unknown = (
        "win_rate",
        "win_rate_pct",
        "avg_win",
        "avg_loss",
        "largest_win",
        "profit_factor",
        "expectancy",
    )
    assert {nothing[name] for name in unknown} == {None}
    only_wins = trade_statistics(np.array([500]), 2, D(1000))
    assert (only_wins.profit_factor, only_wins.avg_loss) == (None, None)
    assert only_wins.win_rate == 100.0


@given(st.lists(st.one_of(st.integers(-(2**62), 2**62), st.integers(-(10**30), 10**30))))
def test_sums_of_results_are_exact(units: list[int]) -> None:
    found = trade_statistics(units_array(units), 2, D(1000))
    assert found.total_wins.scaleb(2, Context(99)) == sum(each for each in units if each > 0)
    assert found.total_losses.scaleb(2, Context(99)) == sum(each for each in units if each < 0)
    assert found.largest_win == max(
        (D(each).scaleb(-2, Context(99)) for each in units if each > 0), default=None
    )
