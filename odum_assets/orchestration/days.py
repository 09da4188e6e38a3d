"""Moments and days as requests spell them.

What belongs here: reading a time, and which UTC days a window or a range has. What does not:
nanoseconds and days of the engine (``backtest.request``), times in raw files (``catalog.times``).
"""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from odum_assets.errors import InvalidRequestError
from odum_assets.utc import day_of_ns

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_DAYS: Final = 3_660
_TIME_OF_DAY: Final = re.compile(r"\d\d:\d\d(:\d\d(\.\d{1,6})?)?Z?", re.ASCII)


def parse_time(name: str, text: str | None, day: date | None) -> int | None:
    """Return a time as nanoseconds since 1970 (UTC).

    Parameters
    ----------
    name : str
        Field, for the message.
    text : str or None
        ISO 8601 with a zone, or a time of `day` in UTC; None and empty text mean no bound.
    day : date or None
        The day that a time of day belongs to; None where only whole times are allowed.

    Raises
    ------
    InvalidRequestError
        If the text is no such time, or is outside 1678 to 2261.
    """
    if text is None or not text.strip():
        return None
    text = text.strip()
    try:
        if day is not None and _TIME_OF_DAY.fullmatch(text):
            moment = datetime.combine(day, time.fromisoformat(text.removesuffix("Z")), UTC)
        else:
            moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        allowed = "2023-05-23T19:23:00Z" + ("" if day is None else " or 19:23:00")
        raise _invalid_time(f"{name}: found {text!r}, allowed a time such as {allowed}") from None
    if moment.utcoffset() is None:
        # Written out: a day alone takes no zone.
        whole = f"{moment.isoformat()}Z"
        raise _invalid_time(f"{name}: found {text!r} without a time zone, add Z for UTC: {whole}")
    nanoseconds = (moment - _EPOCH) // timedelta(microseconds=1) * 1000
    if not -(2**63) <= nanoseconds < 2**63:
        raise _invalid_time(f"{name}: found {text[:40]!r}, allowed times from 1678 to 2261")
    return nanoseconds


def require_time(name: str, text: str) -> int:
    """Return a time as nanoseconds since 1970 (UTC); it must be there, whole.

    Raises
    ------
    InvalidRequestError
        If the text is empty, or no ISO 8601 time with a zone.
    """
    moment = parse_time(name, text, None)
    if moment is None:
        raise _invalid_time(f"{name}: allowed a time, found an empty text")
    return moment


def days_of(start_ns: int, end_ns: int) -> list[date]:
    """Return the UTC days of a window whose end is exclusive.

    Raises
    ------
    InvalidRequestError
        If it is empty or longer than ten years.
    """
    if start_ns >= end_ns:
        raise InvalidRequestError("invalid-window", "start must be before end (exclusive)")
    return days_between(day_of_ns(start_ns), day_of_ns(end_ns - 1))


def days_between(first: date, last: date) -> list[date]:
    """Return every day from `first` to `last`, both included.

    Raises
    ------
    InvalidRequestError
        If there are none, or more than ten years of them.
    """
    number = (last - first).days + 1
    if number < 1:
        raise InvalidRequestError(
            "invalid-window", f"the last day {last} is before the first day {first}"
        )
    if number > _MAX_DAYS:
        raise InvalidRequestError(
            "invalid-window", f"{first} to {last}: allowed up to {_MAX_DAYS:,} days"
        )
    return [first + timedelta(days=index) for index in range(number)]


def _invalid_time(message: str) -> InvalidRequestError:
    return InvalidRequestError("invalid-time", message)
