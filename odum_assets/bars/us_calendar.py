"""Holidays and early closes of the US stock exchanges, by the rules of today.

New Year's Day, Martin Luther King Jr. Day, Washington's Birthday, Good Friday, Memorial Day,
Juneteenth (from 2022), Independence Day, Labor Day, Thanksgiving, Christmas: NYSE Rule 7.2. A
holiday on a Saturday is kept on Friday, except New Year's Day; on a Sunday, on Monday. Closings for
single events are not among them: a configuration names its own dates.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

__all__ = ["early_closes", "holidays"]

_DAY: Final = timedelta(days=1)
_MONDAY, _THURSDAY, _SATURDAY, _SUNDAY = 0, 3, 5, 6
_JUNETEENTH_SINCE: Final = 2022


def holidays(year: int) -> list[date]:
    """Return the dates of a year without a session, in order; weekends are not among them."""
    new_year = date(year, 1, 1)
    days = [
        new_year if new_year.weekday() != _SUNDAY else new_year + _DAY,
        _nth(year, 1, _MONDAY, 3),
        _nth(year, 2, _MONDAY, 3),
        easter(year) - 2 * _DAY,
        _nth(year, 6, _MONDAY, 1) - 7 * _DAY,
        _observed(date(year, 7, 4)),
        _nth(year, 9, _MONDAY, 1),
        _nth(year, 11, _THURSDAY, 4),
        _observed(date(year, 12, 25)),
    ]
    if year >= _JUNETEENTH_SINCE:
        days.append(_observed(date(year, 6, 19)))
    return sorted(day for day in days if day.weekday() < _SATURDAY)


def early_closes(year: int) -> list[date]:
    """Return the dates of a year on which trading ends at 13:00 in New York, in order."""
    closed = holidays(year)
    days = [date(year, 7, 3), _nth(year, 11, _THURSDAY, 4) + _DAY, date(year, 12, 24)]
    return [day for day in days if day.weekday() < _SATURDAY and day not in closed]


def easter(year: int) -> date:
    """Return Easter Sunday (Meeus, "Astronomical algorithms", the Gregorian calendar)."""
    century, golden = year // 100, year % 19
    moon = century - century // 4 - (8 * century + 13) // 25 + 19 * golden + 15
    moon %= 30
    moon -= (moon // 28) * (1 - (moon // 28) * (29 // (moon + 1)) * ((21 - golden) // 11))
    weekday = (year + year // 4 + moon + 2 - century + century // 4) % 7
    offset = moon - weekday
    month = 3 + (offset + 40) // 44
    return date(year, month, offset + 28 - 31 * (month // 4))


def _nth(year: int, month: int, weekday: int, number: int) -> date:
    """Return the n-th of a weekday in a month."""
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (number - 1))


def _observed(day: date) -> date:
    """Return when a holiday is kept that may fall on a weekend."""
    if day.weekday() == _SATURDAY:
        return day - _DAY
    return day + _DAY if day.weekday() == _SUNDAY else day
