"""Times and instruments as requests spell them."""

import re
from datetime import date, timedelta

from odum_assets.api.problems import ProblemError
from odum_assets.config import LoadedConfig
from odum_assets.errors import ConfigError
from odum_assets.orchestration.run_config import parse_moment
from odum_assets.utc import day_of_ns

_MOST_DAYS = 3_660


def moment_ns(name: str, text: str) -> int:
    """Return a time as nanoseconds since 1970 (UTC).

    Raises
    ------
    ProblemError
        If it is no ISO 8601 time with a zone.
    """
    try:
        found = parse_moment(name, text, None)
    except (ConfigError, OverflowError) as error:
        raise ProblemError(422, "invalid-time", str(error)) from None
    if found is None:
        raise ProblemError(422, "invalid-time", f"{name}: allowed a time, found an empty text")
    if not -(2**63) <= found < 2**63:
        raise ProblemError(
            422, "invalid-time", f"{name}: found {text[:40]!r}, allowed times from 1678 to 2261"
        )
    return found


def days_of(start_ns: int, end_ns: int) -> list[date]:
    """Return the UTC days of a window whose end is exclusive.

    Raises
    ------
    ProblemError
        If it is empty or longer than ten years.
    """
    if start_ns >= end_ns:
        raise ProblemError(422, "invalid-window", "start is not before end (which is exclusive)")
    return days_between(day_of_ns(start_ns), day_of_ns(end_ns - 1))


def days_between(first: date, last: date) -> list[date]:
    """Return every day from `first` to `last`, both included.

    Raises
    ------
    ProblemError
        If there are none, or more than ten years of them.
    """
    number = (last - first).days + 1
    if not 1 <= number <= _MOST_DAYS:
        raise ProblemError(
            422, "invalid-window", f"{first} to {last}: allowed 1 to {_MOST_DAYS:,} days"
        )
    return [first + timedelta(days=index) for index in range(number)]


def names_instrument(text: str, loaded: LoadedConfig) -> bool:
    """Return whether a text is a spelling of a configuration's instrument."""
    key = loaded.key
    named = [str(key), f"{key.venue}:{key.product}:{key.symbol}", key.nautilus_id, key.slug]
    named += [key.symbol, f"{key.symbol}.{key.venue}", loaded.config.instrument.id]
    if key.product != "SPOT_PAIR":
        named.append(f"{key.symbol}-PERP")
    return _plain(text) in {_plain(each) for each in named}


def _plain(text: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", text.upper())
