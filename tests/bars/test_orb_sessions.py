"""Weeks in which clocks are turned, half days, sessions over midnight, holidays."""

from dataclasses import replace
from datetime import date, time, timedelta

import numpy as np
import pytest
from orbdays import EQUITY, INSIDE, MINUTE, RANGE, at, draw, flat, plain, summary, trade
from orbmarket import random_bars, weekdays

from odum_assets.bars.orb.params import parse_params
from odum_assets.bars.orb.study import prepare_study
from odum_assets.bars.sessions import SessionRules

UP = (10_050, 10_120, 10_050, 10_115)
CALM = (10_150, 10_160, 10_140, 10_150)
OVERNIGHT = SessionRules("eth", time(17), time(16), "America/Chicago")


@pytest.mark.parametrize(
    ("before", "after", "hours"),
    [(date(2024, 3, 8), date(2024, 3, 11), 71), (date(2024, 11, 1), date(2024, 11, 4), 73)],
)
def test_a_week_in_which_clocks_are_turned(before: date, after: date, hours: int) -> None:
    bars = [*RANGE, *[INSIDE] * 10, UP, *[CALM] * 374]
    machine = trade(draw({before: bars, after: bars}), plain())
    assert summary(machine)[0] == summary(machine)[1]
    fills = [item.fills for item in machine.trades]
    # The same local time, another one in UTC.
    for entered, left in zip(*([fill.time for fill in item] for item in fills), strict=True):
        assert left - entered == hours * 60 * MINUTE
    assert [item.end_ns for item in machine.study.ranges] == [
        at(before, "09:35"),
        at(after, "09:35"),
    ]


def test_the_cutoff_is_a_local_time() -> None:
    # Entries rest until 10:00 local time, whatever that is in UTC.
    for day in (date(2024, 3, 8), date(2024, 3, 11)):
        for last, entries in ((24, 1), (25, 0)):
            bars = [*RANGE, *[INSIDE] * last, UP]
            machine = trade(draw({day: bars}), plain(governance={"time_cutoff": "10:00:00"}))
            assert len(machine.trades) == entries


def test_a_half_day_is_flat_before_its_own_end() -> None:
    half = date(2024, 11, 29)
    rules = replace(EQUITY, early_closes={half: time(13)})
    bars = [*RANGE, UP, *[CALM] * 204]
    machine = trade(draw({half: bars}, rules), plain(), rules)
    assert machine.trades[0].exit_reason == "end_of_day"
    assert machine.trades[0].fills[-1].time == at(half, "12:59") + 1
    # Afterwards nothing belongs to a session.
    late = draw({half: [*bars, *flat(60, 9_000)]}, rules)
    assert len(prepare_study(late, rules, plain()).bars) == 210


def test_a_holiday_has_no_session_and_is_no_day_before() -> None:
    monday, tuesday, wednesday = (date(2024, 3, 4) + timedelta(days) for days in range(3))
    days = {monday: RANGE, tuesday: [(20_000, 20_100, 20_000, 20_050)] * 5, wednesday: RANGE}
    rules = replace(EQUITY, holidays=frozenset({tuesday}))
    study = prepare_study(draw(days), rules, plain())
    assert [item.day for item in study.bars.sessions] == [monday, wednesday]
    assert study.factors.short["profile"][5:].tolist() == [False] * 5
    assert prepare_study(draw(days), EQUITY, plain()).factors.short["profile"][10:].all()


def test_a_session_over_midnight_has_one_range_and_the_date_of_its_end() -> None:
    monday = date(2024, 3, 11)
    bars = [*RANGE, *[INSIDE] * 500, UP, *[CALM] * 874]
    machine = trade(draw({monday: bars}, OVERNIGHT), plain(), OVERNIGHT)
    (only,) = machine.study.ranges
    # Sunday evening in Chicago, on the day on which clocks are turned.
    assert only.session.day == monday
    assert only.session.open_ns == at(date(2024, 3, 10), "17:00", "America/Chicago")
    assert only.end_ns == at(date(2024, 3, 10), "17:05", "America/Chicago")
    assert only.session.close_ns - only.session.open_ns == 23 * 60 * MINUTE
    # 505 minutes after 17:00 it is another local day.
    assert (
        machine.trades[0].fills[0].time // MINUTE
        == at(monday, "01:25", "America/Chicago") // MINUTE
    )
    assert machine.trades[0].exit_reason == "end_of_day"


@pytest.mark.parametrize(
    ("cutoff", "local_day", "clock"),
    [("13:30", 11, "13:30"), ("20:00", 10, "20:00"), ("01:00", 11, "01:00")],
)
def test_the_cutoff_of_a_session_over_midnight(cutoff: str, local_day: int, clock: str) -> None:
    params = plain(governance={"time_cutoff": cutoff})
    study = prepare_study(draw({date(2024, 3, 11): RANGE}, OVERNIGHT), OVERNIGHT, params)
    expected = at(date(2024, 3, local_day), clock, "America/Chicago")
    assert study.ranges[0].cutoff_ns == expected


@pytest.mark.parametrize("first", [date(2024, 3, 4), date(2024, 10, 28)])
@pytest.mark.parametrize("rules", [EQUITY, OVERNIGHT], ids=["rth", "eth"])
def test_random_weeks_keep_their_promises(first: date, rules: SessionRules) -> None:
    days = weekdays(first, 12)
    if rules is EQUITY:
        rules = replace(rules, early_closes={days[6]: time(13)})
    series = random_bars(days, np.random.default_rng(first.toordinal()), rules)
    params = parse_params({"scoring": {"enabled": False}, "orb": {"atr_period": 5}})
    machine = trade(series, params, rules)
    assert len(machine.trades) > 5
    for item in machine.trades:
        session = item.opening_range.session
        first_fill, last_fill = item.fills[0].time, item.fills[-1].time
        assert item.opening_range.end_ns < first_fill <= item.opening_range.cutoff_ns
        assert session.open_ns < last_fill < session.close_ns
        assert session.close_ns - last_fill >= MINUTE - 5
        assert item.opening_range.block is None
    assert [item.opening_range.session.day for item in machine.sessions] == days
    assert all(item.entries <= 3 for item in machine.sessions)
