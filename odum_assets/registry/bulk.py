"""Writing rows as each database does it best: many at once, and one in place of another."""

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from odum_assets.registry.records import Row


def load(connection: sa.Connection, table: sa.Table, rows: Sequence[Row]) -> None:
    """Insert rows that all have the same columns: COPY on PostgreSQL, else one statement.

    Parameters
    ----------
    connection : sa.Connection
        In a transaction for writing.
    table : sa.Table
        Where to.
    rows : sequence of dict
        Values by column, keys included.
    """
    if not rows:
        return
    if connection.dialect.name != "postgresql":
        connection.execute(table.insert(), list(rows))
        return
    columns = [table.c[name] for name in rows[0]]
    convert = [_converter(column, connection.dialect) for column in columns]
    names = ", ".join(f'"{column.name}"' for column in columns)
    driver: Any = connection.connection.driver_connection
    with (
        driver.cursor() as cursor,
        cursor.copy(f'COPY "{table.name}" ({names}) FROM STDIN') as copy,
    ):
        for row in rows:
            copy.write_row(
                [function(value) for function, value in zip(convert, row.values(), strict=True)]
            )


def insert(connection: sa.Connection) -> Callable[[sa.Table], sqlite.Insert | postgresql.Insert]:
    """Return the database's own insert, which can update what is there already."""
    return postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert


def _converter(column: sa.Column[Any], dialect: sa.Dialect) -> Callable[[Any], Any]:
    processor = column.type.dialect_impl(dialect).bind_processor(dialect)
    return (lambda value: value) if processor is None else processor
