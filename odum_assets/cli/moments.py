"""Times on a command line."""

from datetime import UTC, date, datetime, timedelta

from odum_assets.cli.errors import UsageError
from odum_assets.utc import day_of_ns

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_ns(option: str, text: str) -> int:
    """Return a time as nanoseconds since 1970 (UTC).

    Raises
    ------
    UsageError
        If it is no ISO 8601 time with a zone.
    """
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(
            f"{option}: found {text!r}, allowed a time such as 2023-05-23T19:23:00Z"
        ) from None
    if found.utcoffset() is None:
        # Written out: a day alone takes no zone.
        whole = f"{found.isoformat()}Z"
        raise UsageError(f"{option}: found {text!r} without a time zone, add Z for UTC: {whole}")
    return (found - _EPOCH) // timedelta(microseconds=1) * 1000


def days_of(start_ns: int, end_ns: int) -> list[date]:
    """Return the UTC days of a window whose end is exclusive.

    Raises
    ------
    UsageError
        If the window is empty.
    """
    if start_ns >= end_ns:
        raise UsageError("the start is not before the end (which is exclusive)")
    first, last = day_of_ns(start_ns), day_of_ns(end_ns - 1)
    return [first + timedelta(days=index) for index in range((last - first).days + 1)]
