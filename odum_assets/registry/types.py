"""Column types that mean the same on SQLite and PostgreSQL.

Amounts and ratios are `Decimal` in Python. PostgreSQL keeps them as NUMERIC; SQLite, which has no
decimals, as 8-byte floats, which is what the numbers of the result files are.
"""

from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

MONEY_DIGITS, MONEY_DECIMALS = 38, 12
RATIO_DIGITS, RATIO_DECIMALS = 24, 12


class RunStatus(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


class RunMode(StrEnum):
    """What kind of trading a run was."""

    BACKTEST = "backtest"
    PAPER = "paper"
    LIVE = "live"


class ArtifactKind(StrEnum):
    """What a file of a run is."""

    PLOT = "plot"
    REPORT = "report"
    CSV = "csv"
    PICKLE = "pickle"
    JSON = "json"
    PARQUET = "parquet"


class Exact(sa.types.TypeDecorator[Decimal]):
    """A decimal with a fixed number of decimals.

    Parameters
    ----------
    digits : int
        Digits in all.
    decimals : int
        Digits after the point; more are rounded half-even, on both databases alike.
    """

    impl = sa.Numeric
    cache_ok = True

    def __init__(self, digits: int, decimals: int) -> None:
        super().__init__(digits, decimals)
        self.digits = digits
        self.decimals = decimals

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """Return the column type of a database."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(sa.Double())
        return dialect.type_descriptor(sa.Numeric(self.digits, self.decimals))

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> Any:  # noqa: ANN401
        """Return what is stored."""
        if value is None:
            return None
        exact = self._rounded(value)
        return float(exact) if dialect.name == "sqlite" else exact

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Decimal | None:  # noqa: ANN401, ARG002
        """Return a stored value as a decimal; it was rounded when it was stored."""
        return Decimal(repr(value)) if isinstance(value, float) else value

    def _rounded(self, value: Any) -> Decimal:  # noqa: ANN401
        # The shortest text of a float is what the result file shows.
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        # Not Decimal.quantize(): the context's 28 digits are too few for large amounts.
        return Decimal(f"{number:.{self.decimals}f}")


class UtcTime(sa.types.TypeDecorator[datetime]):
    """A moment with its zone; SQLite keeps it as UTC text of fixed width, which sorts."""

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """Return the column type of a database."""
        return dialect.type_descriptor(sa.DateTime(timezone=dialect.name != "sqlite"))

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Return what is stored.

        Raises
        ------
        ValueError
            If the time has no zone.
        """
        if value is None:
            return None
        if value.utcoffset() is None:
            raise ValueError(f"{value}: a time without a zone cannot be stored")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(
        self,
        value: datetime | None,
        dialect: sa.Dialect,  # noqa: ARG002
    ) -> datetime | None:
        """Return a stored time in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def enumeration(kind: type[StrEnum], name: str) -> sa.Enum:
    """Return the type of a column that holds an enum by value; SQLite checks the text."""
    return sa.Enum(
        kind,
        name=name,
        values_callable=lambda members: [member.value for member in members],
        create_constraint=True,
    )


MONEY = Exact(MONEY_DIGITS, MONEY_DECIMALS)
RATIO = Exact(RATIO_DIGITS, RATIO_DECIMALS)
JSONB = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
TEXTS = postgresql.ARRAY(sa.String(64)).with_variant(sa.JSON(), "sqlite")
KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""SQLite numbers rows by itself in columns of type INTEGER only."""
