"""Types of single values: numbers, times, names and folders, as a configuration spells them.

What belongs here: what one value may be, whatever key it stands under. What does not: the keys
(``sections``), rules between keys (``rules``), names of raw files (``raw_paths``).
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticKnownError

from odum_assets.config.problems import printable, show
from odum_assets.errors import ConfigError
from odum_assets.instruments.keys import VENUE_CODES, normalize_venue, parse_instrument_id
from odum_assets.settings import parse_boolean, parse_folder, parse_root, parse_true

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?", re.ASCII)

_WALL_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)


def _check_number(value: object) -> object:
    # Pydantic would take true for 1, and "1_0" for 10.
    if isinstance(value, bool) or (isinstance(value, str) and not _NUMBER.fullmatch(value)):
        raise PydanticKnownError("decimal_type")
    return value


def _parse_time(value: object) -> datetime:
    # Pydantic would take seconds since 1970, a day alone, and a time without a zone.
    if not isinstance(value, datetime):
        if not isinstance(value, str) or not _TIME.fullmatch(value):
            raise PydanticKnownError("datetime_type")
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise PydanticKnownError("datetime_type") from None
    text = value.isoformat()
    if value.utcoffset() is None:
        raise ValueError(f"found {text} without a time zone, add Z for UTC: {text}Z")
    if not 1970 < value.year < 2200:  # nanoseconds since 1970 end in 2262
        raise ValueError(f"found {text}, allowed the years 1971 to 2199")
    return value.astimezone(UTC)


def parse_day(value: object) -> date:
    """Return a date of ``YYYY-MM-DD`` text.

    Pydantic would take seconds since 1970, too.
    """
    given = value
    if not isinstance(value, date):
        try:
            value = date.fromisoformat(value) if isinstance(value, str) else None
        except ValueError:
            value = None
    if value is None or isinstance(value, datetime):
        raise ValueError(f"found {show(given)}, should be a date such as 2011-01-03")
    return value


def parse_wall_time(value: object) -> time:
    """Return a time of day of ``HH:MM`` text."""
    if isinstance(value, time):
        return value
    if not isinstance(value, str) or not _WALL_TIME.fullmatch(value):
        raise ValueError(f"found {show(value)}, should be a time of day such as 09:30")
    return time.fromisoformat(value)


def _parse_venue(text: str) -> str:
    try:
        return normalize_venue(text)
    except ConfigError as error:
        raise ValueError(str(error)) from None


def _readable(parse: Callable[[str], object]) -> AfterValidator:
    """Return a validator that tries a text and keeps it as it is written."""

    def check(text: str) -> str:
        try:
            parse(text)
        except ConfigError as error:
            raise ValueError(printable(str(error))) from None
        return text

    return AfterValidator(check)


Number = Annotated[Decimal, BeforeValidator(_check_number), Field(allow_inf_nan=False)]
Amount = Annotated[Number, Field(gt=0, le=1_000_000_000_000)]
Ratio = Annotated[Number, Field(ge=0, le=1)]
# NautilusTrader's decimals have 28 places at most, and 28 digits.
Margin = Annotated[Ratio, Field(decimal_places=28)]
Fee = Annotated[Number, Field(ge=-1, le=1, decimal_places=28)]
Milliseconds = Annotated[Number, Field(ge=0, le=3_600_000)]
Seconds = Annotated[Number, Field(gt=0, le=86_400)]
Gap = Annotated[Number, Field(gt=0, le=1_000_000_000)]
Whole = Annotated[int, Field(strict=True)]
Switch = Annotated[bool, Field(strict=True)]
Time = Annotated[
    datetime,
    BeforeValidator(_parse_time),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]

Text = Annotated[str, Field(strict=True)]
Currency = Annotated[Text, Field(pattern=r"^[A-Z0-9]{2,16}$")]
CurrencyPair = Annotated[Text, Field(pattern=r"^[A-Z0-9]{2,16}_[A-Z0-9]{2,16}$")]
InstrumentId = Annotated[Text, _readable(parse_instrument_id)]
VenueName = Annotated[
    Text,
    AfterValidator(_parse_venue),
    WithJsonSchema({"type": "string", "enum": [*VENUE_CODES, "BINANCE_FUTURES"]}),
]
Folder = Annotated[Text, Field(min_length=1), _readable(parse_folder)]
RawRoot = Annotated[Text, Field(min_length=1), _readable(parse_root)]
BooleanText = Annotated[Text, _readable(parse_boolean)]
TrueText = Annotated[Text, _readable(parse_true)]
