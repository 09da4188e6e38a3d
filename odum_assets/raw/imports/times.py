"""Times of imported bars: which notation and unit they are in, and what they are in UTC.

A time is text in ISO 8601, a date, an Arrow timestamp, or a whole number since 1970 whose unit
follows from its size. A time without a zone needs one: nothing in a file tells it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from odum_assets.errors import DataError
from odum_assets.raw.imports.rows import Reason
from odum_assets.utc import DAY_NS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    type Int64s = NDArray[np.int64]

_ISO: Final = r"^\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?$"
_ZONE: Final = r":\d{2}(\.\d+)?(Z|[+-]\d{2}:?\d{2})$"
_NS_PER_UNIT: Final = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_UNITS: Final[tuple[tuple[int, Literal["s", "ms", "us", "ns"]], ...]] = (
    (10**11, "s"),
    (10**14, "ms"),
    (10**17, "us"),
    (2**63, "ns"),
)
"""Whole numbers below a bound are in a unit: 1e11 seconds are in the year 5138."""


@dataclass(frozen=True, slots=True)
class Times:
    """Times of a batch of n rows.

    Parameters
    ----------
    utc : int64 array, shape (n,)
        Nanoseconds since the epoch; meaningless where a reason is given.
    local : int64 array, shape (n,)
        The same on the wall of the zone; a date is its midnight.
    reasons : uint8 array, shape (n,)
        Why a row's time cannot be used; 0 where it can.
    are_dates : bool
        Whether they are dates without a time of day.
    """

    utc: Int64s
    local: Int64s
    reasons: NDArray[np.uint8]
    are_dates: bool


class TimeReader:
    """Read the times of one source, batch by batch.

    Parameters
    ----------
    source : str
        Its name, for messages.
    timezone : str or None
        The zone of times that name none.
    """

    def __init__(self, source: str, timezone: str | None) -> None:
        self._source = source
        self._timezone = timezone
        self._unit: Literal["s", "ms", "us", "ns"] | None = None
        self._are_dates: bool | None = None

    def read(self, column: Any) -> Times:  # noqa: ANN401 - an Arrow array
        """Return the times of a batch.

        Raises
        ------
        DataError
            If they have no zone and none was given, or are of a type that is no time.
        """
        kind = column.type
        if pa.types.is_dictionary(kind):
            column, kind = pc.cast(column, kind.value_type), kind.value_type
        if pa.types.is_date(kind):
            return self._dates(pc.cast(column, pa.timestamp("ns")))
        if pa.types.is_timestamp(kind):
            moments = pc.cast(column, pa.timestamp("ns", kind.tz), safe=False)
            return self._naive(moments) if kind.tz is None else self._aware(moments, kind.tz)
        if pa.types.is_integer(kind):
            return self._aware(self._epoch(column), "UTC")
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return self._texts(column)
        raise DataError(
            f"{self._source}: the times are {kind}; allowed timestamps, dates, ISO 8601 text, or "
            "whole numbers since 1970"
        )

    def _texts(self, column: Any) -> Times:  # noqa: ANN401
        text = pc.utf8_trim_whitespace(column)
        if _share(pc.match_substring_regex(text, r"^\d{9,19}$")) > 0.5:
            digits = pc.if_else(
                pc.match_substring_regex(text, r"^([0-8]\d{18}|\d{9,18})$"), text, None
            )
            return self._aware(self._epoch(pc.cast(digits, pa.int64())), "UTC")
        text = pc.if_else(pc.match_substring_regex(text, _ISO), text, None)
        zoned = pc.match_substring_regex(text, _ZONE)
        if _share(zoned) > 0.5:
            return self._aware(_moments(pc.if_else(zoned, text, None), "UTC"), "UTC")
        # One notation a file: a time with a zone among times without is not readable.
        plain = _moments(pc.if_else(zoned, None, text), None)
        if _share(pc.match_substring_regex(text, r"^.{10}$")) > 0.5:
            return self._dates(plain)
        return self._naive(plain)

    def _epoch(self, column: Any) -> Any:  # noqa: ANN401
        unit = self._unit or self._unit_of(pc.drop_null(column))
        self._unit = unit
        largest = 2**63 // _NS_PER_UNIT[unit] - 1
        inside = pc.less_equal(pc.abs(column), pa.scalar(largest))
        column = pc.if_else(inside, pc.cast(column, pa.int64(), safe=False), None)
        return pc.cast(column.cast(pa.timestamp(unit, "UTC")), pa.timestamp("ns", "UTC"))

    def _unit_of(self, known: Any) -> Literal["s", "ms", "us", "ns"]:  # noqa: ANN401
        middle = int(np.median(np.abs(known.to_numpy()))) if len(known) else 0
        return next(unit for bound, unit in _UNITS if middle < bound)

    def _dates(self, column: Any) -> Times:  # noqa: ANN401
        wall, reasons = _values(column)
        return Times(wall, wall, reasons, are_dates=True)

    def _naive(self, column: Any) -> Times:  # noqa: ANN401
        wall, reasons = _values(column)
        if self._are_dates is None:
            # A first batch of midnights only is dates, as pandas writes them.
            self._are_dates = not (wall[reasons == 0] % DAY_NS).any()
        if self._are_dates:
            return Times(wall, wall, reasons, are_dates=True)
        if self._timezone is None:
            raise DataError(
                f"{self._source}: the times name no time zone; say which one they are in with "
                "--timezone, such as --timezone UTC or --timezone America/New_York"
            )
        first, last = (
            _values(pc.assume_timezone(column, self._timezone, ambiguous=which, nonexistent=which))[
                0
            ]
            for which in ("earliest", "latest")
        )
        # Where the clock is turned, both readings of a wall time differ.
        reasons[(reasons == 0) & (first != last)] = Reason.TIME_NOT_ONCE.code
        return Times(first, wall, reasons, are_dates=False)

    def _aware(self, column: Any, zone: str) -> Times:  # noqa: ANN401
        moments, reasons = _values(column)
        local = pc.local_timestamp(column.cast(pa.timestamp("ns", self._timezone or zone)))
        return Times(moments, _values(local)[0], reasons, are_dates=False)


def check_timezone(name: str) -> str:
    """Return the name of a time zone.

    Raises
    ------
    DataError
        If there is none of this name.
    """
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise DataError(
            f"{name!r} is not a time zone; allowed IANA names such as UTC or America/New_York"
        ) from None
    return name


def _share(flags: Any) -> float:  # noqa: ANN401
    """Return the share of true values among those that are known."""
    return float(pc.mean(pc.cast(flags, pa.float64())).as_py() or 0.0)


def _values(column: Any) -> tuple[Int64s, NDArray[np.uint8]]:  # noqa: ANN401
    reasons = np.where(
        pc.is_null(column).to_numpy(zero_copy_only=False), Reason.TIME_MISSING.code, 0
    )
    whole = pc.fill_null(column.view(pa.int64()), 0)
    return whole.to_numpy(zero_copy_only=False).copy(), reasons.astype(np.uint8)


def _moments(text: Any, zone: str | None) -> Any:  # noqa: ANN401
    """Return ISO 8601 texts as times; a day that no calendar has is null."""
    kind = pa.timestamp("ns", zone)
    try:
        return pc.cast(text, kind)
    except pa.ArrowInvalid:
        return pa.array([_moment(value, zone) for value in text.to_pylist()], pa.string()).cast(
            kind
        )


def _moment(text: str | None, zone: str | None) -> str | None:
    try:
        moment = None if text is None else datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment is None or not 1678 <= moment.year <= 2261:
        return None
    return text if zone is None else moment.astimezone(UTC).isoformat()
