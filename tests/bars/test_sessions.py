"""Sessions: bounds in UTC, over clock changes, midnights, holidays; which bars belong to them."""

import os
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow.parquet as pq
import pytest

from odum_assets.bars.calendar import BarCalendar
from odum_assets.bars.sessions import OUTSIDE, SessionRules, timezone_database
from odum_assets.errors import DataError
from odum_assets.utc import DAY_NS, iso_ns

MINUTE = 60_000_000_000
NEW_YORK = SessionRules("rth", time(9, 30), time(16), "America/New_York")
GLOBEX = SessionRules("eth", time(17), time(16), "America/Chicago")
WHOLE_DATES = SessionRules("full", time(0), time(0), "UTC")
NEW_YORK_DATES = SessionRules("full", time(0), time(0), "America/New_York")
ALL = [NEW_YORK, GLOBEX, WHOLE_DATES, NEW_YORK_DATES]


def texts(rules: SessionRules, day: date) -> list[str] | None:
    """Return the bounds of a session as text."""
    bounds = rules.bounds(day)
    return None if bounds is None else [iso_ns(bound) for bound in bounds]


def ns(text: str) -> int:
    """Return a time as nanoseconds."""
    return int(datetime.fromisoformat(text).timestamp()) * 1_000_000_000


@pytest.mark.parametrize(
    ("rules", "day", "bounds"),
    [
        (NEW_YORK, date(2011, 1, 3), ["2011-01-03T14:30:00Z", "2011-01-03T21:00:00Z"]),
        # Clocks go forward on Sunday the 13th: an hour earlier in UTC.
        (NEW_YORK, date(2011, 3, 11), ["2011-03-11T14:30:00Z", "2011-03-11T21:00:00Z"]),
        (NEW_YORK, date(2011, 3, 14), ["2011-03-14T13:30:00Z", "2011-03-14T20:00:00Z"]),
        (NEW_YORK, date(2011, 3, 12), None),
        # A session of Monday opens on Sunday; that of Tuesday after the clocks went back, later.
        (GLOBEX, date(2011, 11, 4), ["2011-11-03T22:00:00Z", "2011-11-04T21:00:00Z"]),
        (GLOBEX, date(2011, 11, 7), ["2011-11-06T23:00:00Z", "2011-11-07T22:00:00Z"]),
        (GLOBEX, date(2011, 11, 6), None),
        (WHOLE_DATES, date(2024, 2, 29), ["2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z"]),
        # A date of 23 hours.
        (NEW_YORK_DATES, date(2011, 3, 13), ["2011-03-13T05:00:00Z", "2011-03-14T04:00:00Z"]),
    ],
)
def test_bounds_follow_the_wall_clock(
    rules: SessionRules, day: date, bounds: list[str] | None
) -> None:
    assert texts(rules, day) == bounds


def test_holidays_and_early_closes() -> None:
    day = date(2011, 11, 25)
    rules = SessionRules(
        "rth",
        time(9, 30),
        time(16),
        "America/New_York",
        frozenset({date(2011, 11, 24)}),
        {day: time(13)},
    )
    assert texts(rules, date(2011, 11, 24)) is None
    assert texts(rules, day) == ["2011-11-25T14:30:00Z", "2011-11-25T18:00:00Z"]
    assert rules.dates(date(2011, 11, 21), date(2011, 11, 28)) == [
        *(date(2011, 11, number) for number in (21, 22, 23, 25, 28))
    ]
    assert rules.before(date(2011, 11, 28), 2) == [date(2011, 11, 23), day]
    assert rules.before(date(2011, 11, 28), 0) == []


@pytest.mark.parametrize(
    ("start", "day"), [(time(2, 30), date(2011, 3, 13)), (time(1, 30), date(2011, 11, 6))]
)
def test_a_time_that_does_not_exist_once_is_refused(start: time, day: date) -> None:
    rules = SessionRules("full", start, time(16), "America/New_York")
    with pytest.raises(
        DataError, match=r"session: 0\d:30 on .* does not exist once in America/New"
    ):
        rules.bounds(day)
    assert rules.bounds(day + timedelta(days=1)) is not None


def test_a_bar_belongs_when_it_closes_after_the_open_and_not_after_the_close() -> None:
    opens, closes = ns("2011-01-03T14:30:00Z"), ns("2011-01-03T21:00:00Z")
    day = (date(2011, 1, 3) - date(1970, 1, 1)).days
    times = np.array([closes + MINUTE, opens, opens + MINUTE, closes, opens + 1, closes + 1])
    assert NEW_YORK.assign(times).tolist() == [OUTSIDE, OUTSIDE, day, day, day, OUTSIDE]
    assert NEW_YORK.assign(times).dtype == np.int32
    assert NEW_YORK.assign(np.zeros(0, np.int64)).shape == (0,)
    assert NEW_YORK.date_of(opens) is None
    assert NEW_YORK.date_of(closes) == date(2011, 1, 3)


def by_wall_clock(rules: SessionRules, close: int) -> int:
    """Return the session of a bar by the wall clock at the moment before it closes.

    Independent of the rules' own bounds: it only reads the local time, and knows no UTC bound.
    """
    local = datetime.fromtimestamp((close - 1) // 1_000_000_000, UTC).astimezone(
        ZoneInfo(rules.timezone)
    )
    day, wall = local.date(), local.time()
    if rules.end == time(0):
        inside = True
    elif rules.start < rules.end:
        inside = rules.start <= wall < rules.end
    else:
        inside = wall >= rules.start or wall < rules.end
        day += timedelta(days=1 if wall >= rules.start else 0)
    is_open = inside and (rules.mode == "full" or day.weekday() < 5)
    return (day - date(1970, 1, 1)).days if is_open else OUTSIDE


@pytest.mark.parametrize("rules", ALL, ids=["new york", "globex", "utc", "new york dates"])
@pytest.mark.parametrize("first", ["2011-03-10", "2011-11-03", "2024-12-30"])
def test_weeks_with_clock_changes_equal_the_wall_clock(rules: SessionRules, first: str) -> None:
    start = ns(f"{first}T00:00:00Z")
    times = np.arange(start + MINUTE, start + 7 * DAY_NS, 7 * MINUTE)
    expected = [by_wall_clock(rules, close) for close in times.tolist()]
    assert rules.assign(times).tolist() == expected
    shuffled = np.random.default_rng(1).permutation(len(times))
    assert rules.assign(times[shuffled]).tolist() == np.array(expected)[shuffled].tolist()


@pytest.mark.parametrize("rules", ALL)
def test_sessions_never_overlap(rules: SessionRules) -> None:
    dates = rules.dates(date(2011, 1, 1), date(2011, 12, 31))
    bounds = [rules.bounds(day) for day in dates]
    spans = [span for span in bounds if span is not None]
    assert len(spans) == len(dates) > 250
    assert all(first[1] <= second[0] for first, second in pairwise(spans))


def test_the_days_that_a_session_touches() -> None:
    assert NEW_YORK.utc_days(date(2011, 1, 3)) == [date(2011, 1, 3)]
    assert GLOBEX.utc_days(date(2011, 1, 3)) == [date(2011, 1, 2), date(2011, 1, 3)]
    # The last bar opens before midnight UTC: the next day is not touched.
    assert WHOLE_DATES.utc_days(date(2011, 1, 3)) == [date(2011, 1, 3)]
    assert NEW_YORK_DATES.utc_days(date(2011, 1, 3)) == [date(2011, 1, 3), date(2011, 1, 4)]
    assert NEW_YORK.utc_days(date(2011, 1, 2)) == []


@pytest.mark.parametrize(
    ("rules", "offsets"),
    [(NEW_YORK, (0, 0)), (GLOBEX, (-1, 0)), (NEW_YORK_DATES, (0, 1)), (WHOLE_DATES, (0, 0))],
)
def test_how_far_the_days_of_a_session_lie_from_its_date(
    rules: SessionRules, offsets: tuple[int, int]
) -> None:
    assert BarCalendar(rules, is_daily=False).day_offsets() == offsets


def test_partitions_of_daily_bars_are_years() -> None:
    calendar = BarCalendar(NEW_YORK, is_daily=True)
    assert calendar.partition_of(date(2011, 6, 5)) == date(2011, 1, 1)
    assert len(calendar.dates(date(2011, 1, 1))) == 260
    assert calendar.catalog_days([date(2011, 6, 6), date(2012, 1, 3)]) == [
        date(2011, 1, 1),
        date(2012, 1, 1),
    ]
    start, end = ns("2011-01-03T21:00:00Z"), ns("2011-01-05T21:00:00Z")
    # Of a daily bar only the close counts: that of the third is the window's start.
    assert calendar.dates_between(start, end) == [date(2011, 1, 4), date(2011, 1, 5)]
    assert BarCalendar(NEW_YORK, is_daily=False).dates_between(start - MINUTE, start + MINUTE) == [
        date(2011, 1, 3)
    ]


def test_the_time_zone_database_has_a_version() -> None:
    assert timezone_database()[:2] in ("20", "tz")


@pytest.mark.skipif("ODUM_TEST_DATA" not in os.environ, reason="ODUM_TEST_DATA names no folder")
def test_real_spy_sessions_have_390_bars() -> None:
    folder = Path(os.environ["ODUM_TEST_DATA"]) / "bars"
    times = pq.read_table(folder / "SPY_1min_2011-01.parquet")["timestamp"].cast("int64").to_numpy()
    sessions, counts = np.unique(NEW_YORK.assign(times), return_counts=True)
    assert sessions[0] == OUTSIDE
    assert counts[1:].tolist() == [390] * 20
