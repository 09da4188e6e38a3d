"""Days and times in UTC, as nanoseconds since 1970."""

from datetime import UTC, date, datetime, timedelta
from typing import Final

NS_PER_SECOND: Final = 1_000_000_000
HOUR_NS: Final = 3_600 * NS_PER_SECOND
DAY_NS: Final = 24 * HOUR_NS

_FIRST_DAY: Final = date(1970, 1, 1)


def day_start_ns(day: date) -> int:
    """Return the first nanosecond of a day."""
    return (day - _FIRST_DAY).days * DAY_NS


def day_of_ns(moment: int) -> date:
    """Return the day of a nanosecond."""
    return _FIRST_DAY + timedelta(days=moment // DAY_NS)


def datetime_of_ns(moment: int) -> tuple[datetime, int]:
    """Return a nanosecond as its whole second and the nanoseconds that are left over."""
    seconds, rest = divmod(moment, NS_PER_SECOND)
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds), rest


def iso_ns(moment: int) -> str:
    """Return a nanosecond as ISO 8601 text, with its fraction when it has one."""
    second, rest = datetime_of_ns(moment)
    text = f"{second:%Y-%m-%dT%H:%M:%S}"
    return f"{text}.{rest:09d}Z" if rest else f"{text}Z"
