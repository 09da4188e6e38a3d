"""Loading many rows at once: COPY on PostgreSQL, one prepared statement elsewhere."""

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from odum_assets.registry.records import Row


def load(connection: sa.Connection, table: sa.Table, rows: Sequence[Row]) -> None:
    """Insert rows that all have the same columns.

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


def _converter(column: sa.Column[Any], dialect: sa.Dialect) -> Callable[[Any], Any]:
    processor = column.type.dialect_impl(dialect).bind_processor(dialect)
    return (lambda value: value) if processor is None else processor
