"""Sessions: which local hours of which dates are traded, and which bars belong to them.

What belongs here: the rules of a session and their bounds in UTC. What does not: the configuration
that spells them (``config.sections.session``), and which bars there are (``catalog``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Self
from zoneinfo import TZPATH, ZoneInfo

from odum_assets.errors import DataError
from odum_assets.utc import NS_PER_SECOND, day_of_ns

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from odum_assets.config.sections.session import SessionConfig

__all__ = ["OUTSIDE", "SessionRules", "timezone_database"]

OUTSIDE = -1
"""Date of a bar that belongs to no session, in days since 1970."""

_MIDNIGHT = time(0)
_ONE_DAY = timedelta(days=1)
_FIRST_DAY = date(1970, 1, 1)
_SATURDAY = 5


@dataclass(frozen=True)
class SessionRules:
    """Say when sessions open and close, in local wall time.

    A session's date is the local date of its end; an end at midnight belongs to the date that it
    ends. An end that is not after the start makes the session open on the day before. Daylight
    saving time moves the bounds in UTC, never those on the wall.

    Parameters
    ----------
    mode : str
        ``rth`` or ``eth``: dates from Monday to Friday; ``full``: every date.
    start, end : time
        Local wall time; both 00:00 is the whole date.
    timezone : str
        IANA name, such as ``America/New_York``.
    holidays : frozenset of date
        Dates without a session.
    early_closes : mapping of date to time
        Local end of shorter sessions, by date.
    """

    mode: str
    start: time
    end: time
    timezone: str
    holidays: frozenset[date] = frozenset()
    early_closes: Mapping[date, time] = field(default_factory=dict)

    @classmethod
    def of(cls, session: SessionConfig) -> Self:
        """Return the rules that a configuration's ``session`` section spells."""
        return cls(
            session.mode,
            session.start,
            session.end,
            session.timezone,
            frozenset(session.holidays),
            dict(session.early_closes),
        )

    @property
    def crosses_midnight(self) -> bool:
        """Return whether sessions open on the local day before their date."""
        return self.end != _MIDNIGHT and self.end <= self.start

    @cached_property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def is_open(self, day: date) -> bool:
        """Return whether there is a session on a date."""
        return day not in self.holidays and (self.mode == "full" or day.weekday() < _SATURDAY)

    def bounds(self, day: date) -> tuple[int, int] | None:
        """Return when the session of a date opens and closes, None where there is none.

        A bar belongs to it when ``open < close_time <= close``.

        Returns
        -------
        tuple of int
            Nanoseconds since the epoch (UTC).

        Raises
        ------
        DataError
            If a bound does not exist on the local clock, or exists twice.
        """
        if not self.is_open(day):
            return None
        end = self.early_closes.get(day, self.end)
        opens = self._moment(day - _ONE_DAY if self.crosses_midnight else day, self.start)
        closes = self._moment(day + _ONE_DAY if end == _MIDNIGHT else day, end)
        return opens, closes

    def dates(self, first: date, last: date) -> list[date]:
        """Return the dates with a session, from `first` to `last`, both included."""
        days = (first + timedelta(days=index) for index in range((last - first).days + 1))
        return [day for day in days if self.is_open(day)]

    def span(self, first: date, last: date) -> tuple[int, int] | None:
        """Return the open of the first and the close of the last session of some dates (ns).

        None where they have no session.
        """
        dates = self.dates(first, last)
        bounds = [self.bounds(day) for day in dates[:1] + dates[-1:]]
        spans = [span for span in bounds if span is not None]
        return (spans[0][0], spans[-1][1]) if spans else None

    def before(self, day: date, count: int) -> list[date]:
        """Return the `count` dates with a session that come before a date, in order.

        Fewer where rules leave less than that within ten times as many days.
        """
        dates = self.dates(day - timedelta(days=10 * count + 30), day - _ONE_DAY)
        return dates[len(dates) - min(count, len(dates)) :]

    def utc_days(self, day: date) -> list[date]:
        """Return the UTC days that the session of a date touches: those in which its bars open."""
        bounds = self.bounds(day)
        if bounds is None:
            return []
        first, last = day_of_ns(bounds[0]), day_of_ns(bounds[1] - 1)
        return [first + timedelta(days=index) for index in range((last - first).days + 1)]

    def date_of(self, close_time: int) -> date | None:
        """Return the date of the session that a bar belongs to, None outside of all."""
        around = day_of_ns(close_time)
        for shift in (-1, 0, 1):
            bounds = self.bounds(around + timedelta(days=shift))
            if bounds is not None and bounds[0] < close_time <= bounds[1]:
                return around + timedelta(days=shift)
        return None

    def assign(self, close_time: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the session that each bar belongs to.

        Parameters
        ----------
        close_time : ndarray of int64, shape (n,)
            When bars close, ns since the epoch (UTC), in any order.

        Returns
        -------
        ndarray of int32, shape (n,)
            Dates as days since 1970; `OUTSIDE` for a bar of no session.

        Raises
        ------
        DataError
            As `bounds`.
        """
        import numpy as np

        if len(close_time) == 0:
            return np.zeros(0, np.int32)
        first, last = (day_of_ns(int(bound)) for bound in (close_time.min(), close_time.max()))
        dates = self.dates(first - _ONE_DAY, last + _ONE_DAY)
        spans = [bounds for bounds in map(self.bounds, dates) if bounds is not None]
        opens, closes = np.array(spans, np.int64).reshape(-1, 2).T
        ordinals = np.array([*((day - _FIRST_DAY).days for day in dates), OUTSIDE], np.int32)
        # The first session that has not closed before the bar does; behind the last one: none.
        index = closes.searchsorted(close_time, side="left")
        opens = np.append(opens, np.iinfo(np.int64).max)
        sessions: NDArray[np.int32] = np.where(
            opens[index] < close_time, ordinals[index], np.int32(OUTSIDE)
        )
        return sessions

    def _moment(self, day: date, wall: time) -> int:
        """Return a local wall time as nanoseconds since the epoch (UTC)."""
        local = datetime.combine(day, wall, self._zone)
        # Where the clock is turned, the two readings of a wall time differ: it exists twice or not.
        if local.utcoffset() != local.replace(fold=1).utcoffset():
            raise DataError(
                f"session: {wall:%H:%M} on {day} does not exist once in {self.timezone}, where the "
                "clock is turned then. Name the date in session.holidays, or use other hours."
            )
        return int(local.astimezone(UTC).timestamp()) * NS_PER_SECOND


def timezone_database() -> str:
    """Return the version of the time zone database that is used, such as ``2025b``."""
    for folder in TZPATH:
        file = Path(folder) / "tzdata.zi"
        if file.is_file():
            with file.open(encoding="utf-8") as lines:
                return next(lines).rpartition(" ")[2].strip()
    try:
        return f"tzdata {version('tzdata')}"
    except PackageNotFoundError:
        return "unknown"
