"""Indicators and factors against plain loops, and what they say while they know nothing."""

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
from orbdays import EQUITY, MINUTE, MONDAY, PLAIN, TUESDAY, draw, flat, merged, plain, trade
from orbmarket import random_bars, spy_2011, weekdays

from odum_assets.bars.orb.factors import relative_volume
from odum_assets.bars.orb.indicators import (
    average_directional_index,
    average_true_range,
    last_swing,
)
from odum_assets.bars.orb.params import parse_params
from odum_assets.bars.orb.stops import divide
from odum_assets.bars.orb.study import Study, prepare_study

ALL: dict[str, Any] = {
    "factors": {"vwap": {"enabled": True}, "adx": {"enabled": True}},
    "scoring": {"enabled": True},
}


@pytest.fixture(scope="module")
def study() -> Study:
    series = random_bars(weekdays(date(2024, 3, 4), 4), np.random.default_rng(3))
    # A few bars without volume, and a run of them longer than the look-back.
    volume = series.volume.copy()
    volume[[3, 400, 401]] = 0
    volume[900:930] = 0
    return prepare_study(replace(series, volume=volume), EQUITY, parse_params(merged(PLAIN, ALL)))


def rows(study: Study) -> list[tuple[int, int, int, int, int, int]]:
    bars = study.bars
    columns = (bars.open, bars.high, bars.low, bars.close, bars.volume, bars.session)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_relative_volume(study: Study) -> None:
    table = rows(study)
    for row, (*_, volume, _) in enumerate(table):
        before = [item[4] for item in table[max(0, row - 20) : row]]
        expected = len(before) == 20 and sum(before) > 0 and volume >= 1.25 * sum(before) / 20
        assert study.factors.long["rel_vol"][row] == expected
        assert study.factors.short["rel_vol"][row] == expected
    # Nothing traded before: unknown, and not a spike.
    assert np.isnan(study.factors.rel_vol[930])
    assert not study.factors.long["rel_vol"][930]


def test_price_action(study: Study) -> None:
    table = rows(study)
    for row, (opened, high, low, close, _, session) in enumerate(table):
        expected = [False, False]
        for side, sign in enumerate((1, -1)):
            if row and table[row - 1][5] == session:
                before_open, before_close = table[row - 1][0], table[row - 1][3]
                expected[side] |= (
                    sign * before_close < sign * before_open
                    and sign * opened < sign * before_close
                    and sign * close > sign * before_open
                )
            if row >= 3 and table[row - 3][5] == session:
                expected[side] |= (
                    sign * high > sign * table[row - 3][1] and sign * low > sign * table[row - 3][2]
                )
        assert study.factors.long["price_action"][row] == expected[0]
        assert study.factors.short["price_action"][row] == expected[1]


def test_profile(study: Study) -> None:
    table = rows(study)
    for session in study.bars.sessions:
        result = [study.factors.long["profile"], study.factors.short["profile"]]
        if session.number == 0:
            assert not result[0][: session.stop].any()
            assert not result[1][: session.stop].any()
            continue
        prior = [item for item in table if item[5] == session.number - 1]
        top, bottom = max(item[1] for item in prior), min(item[2] for item in prior)
        val, vah = bottom + 0.25 * (top - bottom), bottom + 0.75 * (top - bottom)
        for row in range(session.first, session.stop):
            close, opening = table[row][3], table[session.first : session.first + 5]
            inside = val <= close <= vah and row >= session.first + 4
            low, high = min(item[2] for item in opening), max(item[1] for item in opening)
            assert result[0][row] == (close > vah or (inside and low > (val + vah) / 2))
            assert result[1][row] == (close < val or (inside and high < (val + vah) / 2))


@pytest.mark.parametrize("reset", ["session", "or_end"])
def test_vwap(study: Study, reset: str) -> None:
    params = parse_params(merged(PLAIN, {"factors": {"vwap": {"reset_mode": reset}}}))
    result = prepare_study(study.bars, EQUITY, params).factors
    table = rows(study)
    for session in study.bars.sessions:
        first = session.first + (5 if reset == "or_end" else 0)
        for row in range(session.first, session.stop):
            seen = table[first : row + 1]
            total = sum(item[4] for item in seen)
            if len(seen) < 5 or not total:
                assert np.isnan(result.vwap[row])
                assert not result.long["vwap"][row]
                assert not result.short["vwap"][row]
                continue
            vwap = sum((item[1] + item[2] + item[3]) / 3 * item[4] for item in seen) / total
            assert result.vwap[row] == pytest.approx(vwap, rel=1e-12)
            assert result.long["vwap"][row] == (table[row][3] > vwap)


def test_average_directional_index_as_wilder_has_it(study: Study) -> None:
    bars, period = study.bars, 14
    high, low, close = (column.tolist() for column in (bars.high, bars.low, bars.close))
    moves = []
    for row in range(1, len(high)):
        up, down = high[row] - high[row - 1], low[row - 1] - low[row]
        spread = max(high[row], close[row - 1]) - min(low[row], close[row - 1])
        moved = (up if up > max(down, 0) else 0, down if down > max(up, 0) else 0)
        moves.append((*moved, spread))
    smooth = [sum(item[part] for item in moves[:period]) / period for part in range(3)]
    strength: list[float] = []
    adx = None
    result = average_directional_index(bars.high, bars.low, bars.close, period)
    for row in range(period, len(high)):
        if row > period:
            smooth = [
                old + (new - old) / period for old, new in zip(smooth, moves[row - 1], strict=True)
            ]
        plus, minus = 100 * smooth[0] / smooth[2], 100 * smooth[1] / smooth[2]
        strength.append(100 * abs(plus - minus) / (plus + minus))
        if len(strength) == period:
            adx = sum(strength) / period
        elif adx is not None:
            adx += (strength[-1] - adx) / period
        if adx is None:
            assert np.isnan(result[row])
        else:
            assert result[row] == pytest.approx(adx, rel=1e-9)
    assert np.isnan(result[: 2 * period - 1]).all()
    assert not np.isnan(result[2 * period - 1])


def test_average_true_range_is_seeded_by_the_mean() -> None:
    high, low = np.array([110, 120, 130, 100]), np.array([100, 105, 121, 90])
    close = np.array([105, 110, 125, 95])
    # Ranges 10, 15, 130 - 110, 125 - 90.
    result = average_true_range(high, low, close, 3)
    assert np.isnan(result[:2]).all()
    assert result[2:].tolist() == pytest.approx([15, 15 + (35 - 15) / 3])


def test_unknown_factors_are_false_and_an_unknown_trend_is_weak() -> None:
    # A first session of 27 bars: nothing but price action and VWAP can be known.
    params = parse_params(merged(PLAIN, merged(ALL, {"factors": {"rel_volume": {"lookback": 30}}})))
    bars = [(10_000 + row, 10_020 + row, 9_990 + row, 10_010 + row) for row in range(27)]
    series = draw({MONDAY: [(*bar, 1_000 * row) for row, bar in enumerate(bars, 1)]})
    result = prepare_study(series, EQUITY, params)
    for name in ("rel_vol", "profile", "adx"):
        assert not result.factors.long[name].any()
        assert not result.factors.short[name].any()
    assert not result.factors.long["vwap"][:4].any()
    assert result.factors.long["vwap"][4:].all()
    assert (result.scores.required == 3).all()
    assert result.scores.long.max() == 2
    # Without the factor no trend is weak, and without scoring nothing is required.
    calm = parse_params(merged(PLAIN, {"scoring": {"enabled": True}}))
    assert (prepare_study(series, EQUITY, calm).scores.required == 2).all()
    assert prepare_study(series, EQUITY, plain()).scores.short_passes.all()


def test_weights_add_up_and_ties_pass() -> None:
    weights = {"price_action": 0.1, "rel_vol": 0.2, "profile": 0}
    scoring = {
        "enabled": True,
        "base_required": 0.3,
        "weak_trend_required": 0.3,
        "weights": weights,
    }
    factors = {"rel_volume": {"lookback": 5}}
    params = parse_params(merged(PLAIN, {"scoring": scoring, "factors": factors}))
    bars = [(10_000 + row, 10_020 + row, 9_990 + row, 10_010 + row, 1_000) for row in range(9)]
    bars.append((10_020, 10_040, 10_010, 10_030, 5_000))
    result = prepare_study(draw({MONDAY: bars}), EQUITY, params).scores
    assert result.long_passes.tolist() == [False] * 9 + [True]


def test_a_swing_is_known_so_many_bars_later() -> None:
    low = np.array([9, 8, 7, 5, 7, 8, 9, 4, 9, 9, 9])
    first = np.zeros(11, dtype=np.int64)
    result = last_swing(low, 3, first)
    assert np.isnan(result[:6]).all()
    assert result[6:].tolist() == [5, 5, 5, 5, 4]
    # A session that starts behind it does not know it.
    first[4:] = 4
    assert np.isnan(last_swing(low, 3, first)[4:10]).all()


def test_shares_add_up() -> None:
    from decimal import Decimal

    thirds = [Decimal("0.34"), Decimal("0.33"), Decimal("0.33")]
    assert divide(10, thirds) == [4, 3, 3]
    assert divide(1, thirds) == [1, 0, 0]


def test_relative_volume_of_a_short_series() -> None:
    assert np.isnan(relative_volume(np.array([1, 2, 3]), 20)).all()


@pytest.mark.real_data
def test_opening_range_of_a_known_day() -> None:
    # 2011-01-03, the first fifteen regular minutes of SPY: 126.98 and 126.66.
    series = spy_2011()
    for shift in (0, 1, -1):
        moved = replace(series, close_time=series.close_time + shift * MINUTE)
        part = moved.between(0, int(moved.close_time[2_000]))
        result = trade(part, plain(orb={"base_minutes": 15})).sessions[0].opening_range
        assert (result.session.day, result.coverage) == (date(2011, 1, 3), 1)
        assert ((result.high, result.low) == (12_698, 12_666)) == (shift == 0)


def test_an_empty_series_and_one_without_sessions() -> None:
    nothing = draw({MONDAY: []})
    assert trade(nothing, plain()).sessions == []
    outside = replace(
        draw({MONDAY: flat(3)}), close_time=draw({MONDAY: flat(3)}).close_time - 5 * 60 * MINUTE
    )
    assert trade(outside, plain()).sessions == []
    assert trade(draw({TUESDAY: flat(1)}), plain()).sessions[0].state == "forming"
