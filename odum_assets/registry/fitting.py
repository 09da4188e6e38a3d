"""Whether the values of a record can stand in the registry's columns.

SQLite keeps a text where a number belongs, and PostgreSQL refuses it together with the batch that
it is in: what does not fit is found before it is written, and its file named.
"""

import math
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa

from odum_assets.registry.models import ARTIFACTS, DATASETS, EVENTS, RUNS, STRATEGIES
from odum_assets.registry.records import Record, Row
from odum_assets.registry.types import Exact, UtcTime
from odum_assets.results.store import ResultError

type _Fits = Callable[[Any], bool]


def require_fits(record: Record) -> None:
    """Refuse a record with a value that its column cannot hold.

    Raises
    ------
    ResultError
        If there is one; file, column and value are named.
    """
    for columns, rows in (
        (_DATASET, [record.dataset]),
        (_STRATEGY, [record.strategy]),
        (_RUN, [record.run]),
        (_ARTIFACT, record.artifacts),
        (_EVENT, record.events),
    ):
        for row in rows:
            misfit = None if row is None else _misfit(columns, row)
            if misfit is not None:
                raise ResultError(
                    f"{record.path}: {misfit}, which the registry cannot store; move it away or "
                    "run the backtest again"
                )


def _misfit(columns: dict[str, _Fits], row: Row) -> str | None:
    for name, value in row.items():
        fits = columns.get(name)
        if fits is not None and not fits(value):
            return f"{name} is {repr(value)[:80]}"
    return None


def _columns(table: sa.Table) -> dict[str, _Fits]:
    checks = {}
    for column in table.c:
        fits = _fits(column.type)
        if fits is not None:
            checks[column.name] = _or_null(fits) if column.nullable else fits
    return checks


def _or_null(fits: _Fits) -> _Fits:
    return lambda value: value is None or fits(value)


def _fits(kind: sa.types.TypeEngine[Any]) -> _Fits | None:
    """Return what decides about values of a column; None for those that the database decides."""
    if isinstance(kind, Exact):
        return _fits_exact(10 ** (kind.digits - kind.decimals))
    if isinstance(kind, UtcTime):
        return lambda value: isinstance(value, datetime) and value.utcoffset() is not None
    if isinstance(kind, sa.Enum):
        members = kind.enum_class
        return lambda value: members is not None and isinstance(value, members)
    if isinstance(kind, sa.Integer):
        end = 2**63 if isinstance(kind, sa.BigInteger) else 2**31
        return lambda value: type(value) is int and -end <= value < end
    if isinstance(kind, sa.String):
        return _fits_text(kind.length)
    return None


def _fits_exact(end: int) -> _Fits:
    def fits(value: Any) -> bool:  # noqa: ANN401 - whatever a file says
        if type(value) is float:
            return math.isfinite(value) and abs(value) < end
        if isinstance(value, Decimal):
            return value.is_finite() and abs(value) < end
        return type(value) is int and abs(value) < end

    return fits


def _fits_text(length: int | None) -> _Fits:
    def fits(value: Any) -> bool:  # noqa: ANN401 - whatever a file says
        if not isinstance(value, str) or "\x00" in value:
            return False
        # Half a character can stand in a JSON text, but in no database.
        is_text = value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value)
        return is_text and (length is None or len(value) <= length)

    return fits


_DATASET: Final = _columns(DATASETS)
_STRATEGY: Final = _columns(STRATEGIES)
_RUN: Final = _columns(RUNS)
_ARTIFACT: Final = _columns(ARTIFACTS)
_EVENT: Final = _columns(EVENTS)
