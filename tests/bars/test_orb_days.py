"""Days drawn by hand, one for each rule of the opening-range breakout."""

from datetime import date

import pytest
from orbdays import (
    INSIDE,
    MONDAY,
    RANGE,
    TICK,
    TUESDAY,
    at,
    draw,
    flat,
    plain,
    shifted,
    summary,
    trade,
)

from odum_assets.bars.orb.exits import ClosedBar, Exit
from odum_assets.bars.orb.machine import State
from odum_assets.bars.orb.trade import Trade

UP = (10_050, 10_120, 10_050, 10_115)
"""A bar that breaks out above: it enters at 10110."""
STOPPED = (10_050, 10_060, 9_990, 10_000)
"""A bar that meets the stop of a long trade, 9995, and not the trigger below, 9990."""
WEDNESDAY = date(2024, 3, 6)
BY_VOLUME = {
    "scoring": {"enabled": True, "base_required": 1, "weak_trend_required": 1},
    "factors": {
        "rel_volume": {"lookback": 5},
        "price_action": {"enabled": False},
        "profile_proxy": {"enabled": False},
    },
}
"""Entries need volume, so that a bar says by its own whether the next one may enter."""
FEBRUARY = [day for number in range(1, 22) if (day := date(2024, 2, number)).weekday() < 5]
"""Fifteen sessions: with `RANGE` the average true range of five minutes is 100 ticks."""


def test_three_targets_and_nothing_left() -> None:
    rise = [UP, (10_115, 10_230, 10_110, 10_228), (10_228, 10_290, 10_226, 10_285),
            (10_285, 10_400, 10_280, 10_390)]  # fmt: skip
    machine = trade(draw({MONDAY: [*RANGE, *rise]}), plain())
    # T1 10110 + 115, T2 10110 + 172.5 rounded away, runner 10110 + 230; of four 2, 1, 1.
    assert summary(machine) == [(1, 10_110, "target_runner", [10_225, 10_283, 10_340])]
    only = machine.trades[0]
    assert only.gain == 2 * 115 + 173 + 230
    assert only.risk == 4 * 115
    assert only.realized_r == pytest.approx(633 / 460)
    # The close is above the long trigger, so that only a short entry rests.
    assert machine.sessions[0].state is State.ARMED


def test_short_mirrors() -> None:
    fall = [(10_050, 10_050, 9_980, 9_985), (9_985, 9_990, 9_870, 9_872),
            (9_872, 9_874, 9_810, 9_815), (9_815, 9_820, 9_700, 9_710)]  # fmt: skip
    machine = trade(draw({MONDAY: [*RANGE, *fall]}), plain())
    assert summary(machine) == [(-1, 9_990, "target_runner", [9_875, 9_817, 9_760])]
    assert machine.trades[0].realized_r == pytest.approx(633 / 460)


def test_stop_comes_before_target_in_a_bar_that_touches_both() -> None:
    both = (10_115, 10_300, 9_990, 10_100)
    machine = trade(draw({MONDAY: [*RANGE, UP, both]}), plain())
    assert summary(machine) == [(1, 10_110, "stop", [9_995] * 3)]
    assert machine.trades[0].realized_r == -1
    # 185 of 300 ticks up: the low is nearer the open, and comes first on both paths.
    assert (
        trade(draw({MONDAY: [*RANGE, UP, both]}), plain(), path="adaptive").trades[0].gain == -460
    )
    high_first = (10_115, 10_230, 9_990, 10_000)
    by_path = [
        trade(draw({MONDAY: [*RANGE, UP, high_first]}), plain(), path=path).trades[0]
        for path in ("conservative", "adaptive")
    ]
    assert [item.realized_r for item in by_path] == [-1, pytest.approx((2 * 115 - 2 * 115) / 460)]


def test_entry_bar_is_managed() -> None:
    machine = trade(draw({MONDAY: [*RANGE, (10_050, 10_120, 9_991, 10_000)]}), plain())
    assert summary(machine) == [(1, 10_110, "stop", [9_995] * 3)]


def test_open_beyond_the_trigger_fills_at_the_open() -> None:
    gap = (10_150, 10_160, 10_140, 10_155)
    machine = trade(draw({MONDAY: [*RANGE, gap, *flat(2, 10_155)]}), plain())
    only = machine.trades[0]
    assert only.entry_price == 10_150
    assert only.plan.risk == 115  # as planned from the trigger
    assert only.excursion(only.best) == pytest.approx(10 / 115)
    assert only.excursion(only.worst) == pytest.approx(-10 / 115)


def test_breakeven_after_one_r_at_the_close() -> None:
    days = [UP, (10_115, 10_226, 10_110, 10_220), (10_220, 10_222, 10_050, 10_060)]
    machine = trade(draw({MONDAY: [*RANGE, *days]}), plain())
    # The first target, then the rest at the entry and a cent.
    assert summary(machine) == [(1, 10_110, "breakeven", [10_225, 10_111, 10_111])]
    assert machine.trades[0].stop_final == 10_111
    assert machine.trades[0].realized_r == pytest.approx((2 * 115 + 2 * 1) / 460)


def test_breakeven_waits_for_the_close() -> None:
    # The bar that reaches one R falls back to the initial stop on its way.
    bar = (10_115, 10_224, 9_990, 10_000)
    machine = trade(draw({MONDAY: [*RANGE, UP, bar]}), plain(trade={"move_be_at_r": 0.5}))
    assert machine.trades[0].exit_reason == "stop"


def test_one_target_without_partials() -> None:
    machine = trade(
        draw({MONDAY: [*RANGE, UP, (10_115, 10_300, 10_110, 10_290)]}),
        plain(trade={"partials": False}),
    )
    assert summary(machine) == [(1, 10_110, "target_t1", [10_283])]
    assert machine.trades[0].quantity == 4


def test_parts_that_do_not_divide_go_to_the_largest_remainder() -> None:
    for contracts, parts in ((1, [1, 0, 0]), (2, [1, 1, 0]), (3, [1, 1, 1]), (5, [3, 1, 1])):
        machine = trade(draw({MONDAY: RANGE}), plain(backtest={"contracts_per_trade": contracts}))
        assert machine.quantities == parts


def test_two_full_stops_lock_the_session_and_not_the_next() -> None:
    lose = [UP, STOPPED, INSIDE]
    days = {MONDAY: [*RANGE, *lose, *lose, *lose], TUESDAY: [*RANGE, *lose, *lose]}
    machine = trade(draw(days), plain(governance={"max_signals_per_day": 9}))
    assert [item.day for item in machine.trades] == [MONDAY, MONDAY, TUESDAY]
    monday, tuesday = machine.sessions
    assert (monday.lockout, monday.state) == ("losses", State.DONE)
    assert monday.lockout_ns == at(MONDAY, "09:39") + 3
    # The count goes on over night: one more full stop is enough.
    assert (tuesday.lockout, tuesday.entries) == ("losses", 1)


def test_a_win_ends_the_count_of_losses() -> None:
    win = [UP, (10_115, 10_400, 10_110, 10_390), (10_390, 10_390, 10_040, 10_050)]
    lose = [UP, STOPPED, INSIDE]
    days = {MONDAY: [*RANGE, *lose, *win, *lose, *flat(1)]}
    machine = trade(draw(days), plain(governance={"max_signals_per_day": 9}))
    assert [item.realized_r > 0 for item in machine.trades] == [False, True, False]
    assert machine.sessions[0].lockout is None


def test_a_loss_after_the_first_target_is_no_full_stop() -> None:
    # Breakeven far away: the rest leaves at the initial stop.
    half = [UP, (10_115, 10_226, 10_110, 10_220), (10_220, 10_220, 9_990, 10_000), INSIDE]
    machine = trade(
        draw({MONDAY: [*RANGE, *half, *half, *half]}),
        plain(trade={"move_be_at_r": 9}, governance={"lockout_after_losses": 1}),
    )
    assert [item.exit_reason for item in machine.trades] == ["stop"] * 3
    assert machine.sessions[0].lockout is None


def test_signals_of_a_day_are_limited() -> None:
    lose = [UP, STOPPED, INSIDE]
    bars = [*RANGE, *lose, *lose, *lose]
    for most in (1, 2):
        limits = {"max_signals_per_day": most, "lockout_after_losses": 9}
        machine = trade(draw({MONDAY: bars}), plain(governance=limits))
        assert len(machine.trades) == most
        assert machine.sessions[0].state is State.DONE


def test_daily_loss_in_r_locks_the_session() -> None:
    lose = [UP, STOPPED, INSIDE]
    limits = {"max_daily_loss_r": 1, "lockout_after_losses": 9}
    days = {MONDAY: [*RANGE, *lose, *lose], TUESDAY: [*RANGE, *lose]}
    machine = trade(draw(days), plain(governance=limits))
    assert [item.day for item in machine.trades] == [MONDAY, TUESDAY]
    assert machine.sessions[0].lockout == "daily_loss_r"


def test_daily_loss_in_money_locks_the_session() -> None:
    lose = [UP, STOPPED, INSIDE]
    limits = {"max_daily_loss": 4.60, "lockout_after_losses": 9}
    days = {MONDAY: [*RANGE, *lose, *lose], TUESDAY: [*RANGE, *lose]}
    machine = trade(draw(days), plain(governance=limits), tick_value=TICK)
    assert [item.day for item in machine.trades] == [MONDAY, TUESDAY]
    assert machine.sessions[0].lockout == "account_loss"
    wider = plain(governance={**limits, "max_daily_loss": 4.61})
    assert len(trade(draw(days), wider, tick_value=TICK).trades) == 3


def test_no_entry_from_the_cutoff_on() -> None:
    # The close at 09:37 is the first at the cutoff; what rested until then could still fill.
    for quiet, entered in ((1, 1), (2, 0)):
        bars = [*RANGE, *[INSIDE] * quiet, UP]
        machine = trade(draw({MONDAY: bars}), plain(governance={"time_cutoff": "09:37"}))
        assert len(machine.trades) == entered
    assert machine.sessions[0].state is State.DONE


def test_an_open_trade_outlives_the_cutoff() -> None:
    bars = [*RANGE, UP, (10_115, 10_400, 10_110, 10_390)]
    machine = trade(draw({MONDAY: bars}), plain(governance={"time_cutoff": "09:36"}))
    assert [item.exit_reason for item in machine.trades] == ["target_runner"]


@pytest.mark.parametrize(("minutes", "entries"), [(0, 0), (2, 1)])
def test_second_chance_revives_a_trigger_that_was_crossed_without_an_order(
    minutes: int, entries: int
) -> None:
    params = plain(**BY_VOLUME, governance={"second_chance_minutes": minutes})
    crossed = (10_050, 10_115, 10_050, 10_060, 1_000)
    back = (10_060, 10_070, 10_050, 10_060, 9_000)
    machine = trade(draw({MONDAY: [*RANGE, crossed, back, UP]}), params)
    assert len(machine.trades) == entries


def test_a_trigger_revives_after_a_trade_however_late() -> None:
    lose = [UP, STOPPED, INSIDE]
    bars = [*RANGE, *lose, *[INSIDE] * 60, *lose]
    machine = trade(draw({MONDAY: bars}), plain(governance={"second_chance_minutes": 0}))
    assert len(machine.trades) == 2


def test_after_a_stop_beyond_the_trigger_the_close_must_come_back_inside() -> None:
    # Stopped in a bar that closes above the trigger: no order can rest there.
    whip = [UP, (10_115, 10_118, 9_994, 10_115), (10_115, 10_130, 10_112, 10_120), INSIDE, UP]
    machine = trade(draw({MONDAY: [*RANGE, *whip]}), plain())
    assert len(machine.trades) == 2
    assert machine.trades[1].fills[0].time == at(MONDAY, "09:39") + 3


def test_cooldown_counts_for_the_side_of_the_trade() -> None:
    lose = [UP, STOPPED]
    short = (10_000, 10_000, 9_980, 9_985)
    cool = plain(governance={"cooldown_minutes": 10})
    machine = trade(draw({MONDAY: [*RANGE, *lose, INSIDE, UP, INSIDE, short]}), cool)
    assert [item.side for item in machine.trades] == [1, -1]


def test_first_fill_cancels_the_other_side() -> None:
    machine = trade(draw({MONDAY: [*RANGE, UP, (10_115, 10_115, 9_996, 10_000), INSIDE]}), plain())
    assert [item.side for item in machine.trades] == [1]
    both = (10_050, 10_112, 9_980, 10_000)
    machine = trade(draw({MONDAY: [*RANGE, both]}), plain())
    # Long at the high first, stopped on the way down; the short order is gone by then.
    assert summary(machine) == [(1, 10_110, "stop", [9_995] * 3)]


def test_flat_at_the_open_of_the_last_bar() -> None:
    calm = [(10_150, 10_160, 10_140, 10_150)] * 383
    bars = [*RANGE, UP, *calm, (10_155, 10_170, 10_000, 10_010)]
    machine = trade(draw({MONDAY: bars}), plain())
    only = machine.trades[0]
    assert only.exit_reason == "end_of_day"
    assert only.fills[-1].time == at(MONDAY, "15:59") + 1
    assert only.exit_price == 10_155
    # The last bar counts at its open only; the first comes back to its low after the entry.
    assert (only.worst, only.best) == (10_050, 10_160)


def test_bars_of_five_minutes_leave_a_bar_before_the_end() -> None:
    bars = [RANGE[0], UP, *[(10_150, 10_160, 10_140, 10_150)] * 76]
    machine = trade(draw({MONDAY: bars}, minutes=5), plain())
    assert machine.trades[0].fills[-1].time == at(MONDAY, "15:55") + 1
    assert machine.trades[0].exit_reason == "end_of_day"


def test_a_position_that_meets_a_new_session_is_closed_and_named() -> None:
    days = {MONDAY: [*RANGE, UP, *flat(3, 10_150)], TUESDAY: flat(20, 10_160)}
    machine = trade(draw(days), plain())
    only = machine.trades[0]
    assert only.exit_reason == "carried"
    assert only.fills[-1].time == at(TUESDAY, "09:31") + 1
    keeping = plain(governance={"flatten_at_session_end": False})
    full = {MONDAY: [*RANGE, UP, *flat(384, 10_150)], TUESDAY: flat(20, 10_160)}
    assert trade(draw(full), keeping).trades[0].exit_reason == "carried"


def test_entries_do_not_rest_over_night() -> None:
    days = {MONDAY: [*RANGE, *flat(385)], TUESDAY: [(10_050, 10_500, 10_050, 10_400)]}
    assert trade(draw(days), plain(governance={"time_cutoff": None})).trades == []


def test_the_stop_goes_to_the_last_swing() -> None:
    # 10020 is the lowest of three bars on both sides, and known three bars later.
    dip = [INSIDE, INSIDE, INSIDE, (10_050, 10_050, 10_020, 10_040), INSIDE, INSIDE]
    params = plain(trade={"stop_mode": "swing"})
    early = trade(draw({MONDAY: [*RANGE, *dip, UP]}), params)
    assert early.trades[0].plan.stop == 9_995  # not known yet: the other edge
    late = trade(draw({MONDAY: [*RANGE, *dip, INSIDE, UP]}), params)
    assert late.trades[0].plan.stop == 10_020 - 5


def test_the_stop_is_no_further_than_the_cap() -> None:
    days = dict.fromkeys(FEBRUARY, RANGE)
    capped = plain(trade={"stop_mode": "atr_capped", "atr_stop_cap_mult": 0.8})
    machine = trade(draw({**days, MONDAY: [*RANGE, UP]}), capped, trade_from=at(MONDAY, "09:30"))
    assert machine.trades[0].opening_range.atr == pytest.approx(100)
    assert machine.trades[0].plan.stop == 10_110 - 80
    wide = plain(trade={"stop_mode": "atr_capped", "atr_stop_cap_mult": 3})
    machine = trade(draw({**days, MONDAY: [*RANGE, UP]}), wide, trade_from=at(MONDAY, "09:30"))
    assert machine.trades[0].plan.stop == 9_995
    # Without an average true range the session has no entries.
    machine = trade(draw({MONDAY: [*RANGE, UP]}), capped)
    assert machine.trades == []
    assert machine.sessions[0].opening_range.block == "atr_unknown"


def test_entry_by_close_fills_at_the_next_open() -> None:
    params = plain(entry={"mode": "close"})
    wick = (10_050, 10_140, 10_050, 10_105)
    bars = [*RANGE, wick, (10_105, 10_120, 10_100, 10_118), (10_122, 10_125, 10_120, 10_124)]
    only = trade(draw({MONDAY: bars}), params).trades[0]
    assert (only.entry_price, only.plan.entry, only.plan.risk) == (10_122, 10_118, 123)
    assert only.fills[0].time == at(MONDAY, "09:37") + 1


def test_entry_by_close_is_spent_by_a_close_that_does_not_enter() -> None:
    once = {"second_chance_minutes": 0}
    scored = plain(**BY_VOLUME, entry={"mode": "close"}, governance=once)
    thin, thick = (10_100, 10_120, 10_100, 10_115, 100), (10_115, 10_130, 10_115, 10_125, 9_000)
    assert trade(draw({MONDAY: [*RANGE, thin, thick, *flat(2, 10_125)]}), scored).trades == []
    assert len(trade(draw({MONDAY: [*RANGE, thick, *flat(2, 10_125)]}), scored).trades) == 1


def test_days_that_are_not_traded() -> None:
    days = {MONDAY: [*RANGE, UP], TUESDAY: [*RANGE, UP], WEDNESDAY: [*RANGE, UP]}
    filters = {"no_trade_dates": ["2024-03-05"], "weekdays": ["mon", "tue"]}
    machine = trade(draw(days), plain(filters=filters))
    assert [item.day for item in machine.trades] == [MONDAY]
    blocks = [item.opening_range.block for item in machine.sessions]
    assert blocks == [None, "no_trade_date", "weekday"]
    assert [item.state for item in machine.sessions][1:] == [State.INVALID] * 2


@pytest.mark.parametrize(
    ("width", "reason"), [(10, "too_narrow"), (25, None), (175, None), (180, "too_wide")]
)
def test_a_range_too_narrow_or_too_wide_is_not_traded(width: int, reason: str | None) -> None:
    days = dict.fromkeys(FEBRUARY, RANGE)
    drawn = [(10_000, 10_000 + width, 10_000, 10_000)] * 5
    up = (10_000, 10_300, 10_000, 10_290)
    checked = plain(orb={"enable_validity_filter": True})
    machine = trade(draw({**days, MONDAY: [*drawn, up]}), checked, trade_from=at(MONDAY, "09:30"))
    assert machine.sessions[0].opening_range.reason == reason
    assert len(machine.trades) == (reason is None)
    unchecked = trade(draw({**days, MONDAY: [*drawn, up]}), plain(), trade_from=at(MONDAY, "09:30"))
    assert len(unchecked.trades) == 1


def test_a_range_with_missing_bars_is_not_traded() -> None:
    checked = plain(orb={"enable_validity_filter": True})
    bars = [*RANGE[:4], None, INSIDE, UP]
    result = trade(draw({MONDAY: bars}), checked).sessions[0].opening_range
    assert (result.coverage, result.reason) == (0.8, "missing_bars")
    # Its last bar is missing: it is complete at the next close.
    assert result.ready == 4


def test_a_session_without_bars_in_its_range() -> None:
    machine = trade(draw({MONDAY: [None] * 5 + [INSIDE, UP]}), plain())
    assert machine.sessions[0].opening_range.block == "no_bars"
    assert machine.trades == []


def test_length_follows_volatility() -> None:
    # Sessions of one, two or thirteen steps of five minutes and 100 ticks.
    dates = [date(2024, 1, day) for day in range(2, 32) if date(2024, 1, day).weekday() < 5][:20]
    result = []
    for steps in (1, 2, 13):
        levels = [100 * number for number in range(steps) for _ in range(5)]
        bars = [(10_050 + up, 10_100 + up, 10_000 + up, 10_050 + up) for up in levels]
        days = dict.fromkeys(dates, bars)
        params = plain(orb={"adaptive": True, "base_minutes": 15})
        machine = trade(draw({**days, MONDAY: RANGE}), params)
        result.append(machine.sessions[-1].opening_range)
        assert machine.sessions[0].opening_range.minutes == 15  # nothing known yet
    assert [item.minutes for item in result] == [30, 15, 10]
    volatile = [item.norm_vol for item in result]
    assert volatile == sorted(volatile, reverse=True)


def test_labels_shifted_by_a_bar_change_the_range() -> None:
    series = draw({MONDAY: [*RANGE[:4], (10_050, 10_300, 10_050, 10_060), INSIDE, UP]})
    right = trade(series, plain()).sessions[0].opening_range
    wrong = trade(shifted(series, 1), plain()).sessions[0].opening_range
    assert (right.high, wrong.high) == (10_300, 10_100)
    assert (right.ready, wrong.ready) == (4, 3)


class Loosen:
    """An exit rule that asks for a wider stop, and one bar later for the end of the trade."""

    def decide(self, trade: Trade, bar: ClosedBar) -> Exit | None:
        if bar.close < 10_115:
            return Exit("given_up")
        return Exit("loosened", trade.plan.stop - 50)


def test_an_exit_rule_is_one_class_and_never_loosens_a_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("odum_assets.bars.orb.machine.exit_rules", lambda *_: (Loosen(),))
    bars = [*RANGE, UP, (10_115, 10_120, 10_112, 10_118), (10_118, 10_119, 10_100, 10_105), INSIDE]
    only = trade(draw({MONDAY: bars}), plain()).trades[0]
    assert only.stop_final == only.plan.stop
    assert only.exit_reason == "given_up"
    assert only.exit_price == INSIDE[0]
