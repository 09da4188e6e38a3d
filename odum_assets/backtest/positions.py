"""The table of positions: round trips, and what is open.

What belongs here: a table from objects. What does not: making them (``ledger``), writing files
(``tables``).
"""

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

import pyarrow as pa

from odum_assets.backtest.ledger import RoundTrip
from odum_assets.catalog.arrow import arrow
from odum_assets.catalog.fixed_point import DECIMAL
from odum_assets.catalog.nautilus_schema import TIME

_QUANTUM = Decimal("1e-16")
_WIDE = Context(prec=38, rounding=ROUND_HALF_EVEN)

POSITIONS: pa.Schema = arrow.schema(
    [
        ("position_id", pa.string()),
        ("side", pa.string()),
        ("status", pa.string()),
        ("opened", TIME),
        ("closed", TIME),
        ("quantity", DECIMAL),
        ("peak_quantity", DECIMAL),
        ("avg_entry_price", DECIMAL),
        ("avg_exit_price", DECIMAL),
        ("realized_pnl", DECIMAL),
        ("commissions", DECIMAL),
        ("net_pnl", DECIMAL),
        ("fills", pa.int64()),
    ]
)
"""Round trips, and what is open at the end."""

_POSITION_ATTRIBUTES = (
    "position_id side status opened_ts closed_ts quantity peak_quantity average_open average_close "
    "realized_pnl commissions net_pnl fills"
)


def positions_table(trips: Sequence[RoundTrip]) -> pa.Table:
    """Return round trips as a table."""
    return rows_table(POSITIONS, _POSITION_ATTRIBUTES, trips)


def rows_table(schema: pa.Schema, attributes: str, rows: Sequence[object]) -> pa.Table:
    """Return a table whose columns are attributes of objects."""
    arrays: list[Any] = []
    for name, field in zip(attributes.split(), schema, strict=True):
        values = [getattr(row, name) for row in rows]
        if field.name.startswith("avg_"):
            values = [_fit(value) for value in values]
        kind = pa.int64() if field.type == TIME else field.type
        arrays.append(pa.array(values, kind).cast(field.type))
    table: pa.Table = arrow.table(arrays, schema=schema)
    return table


def _fit(value: Decimal | None) -> Decimal | None:
    """Round an average to the table's 16 decimals."""
    return None if value is None else value.quantize(_QUANTUM, context=_WIDE)
