"""Trades partitions of times and prices alone."""

import uuid
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

OPEN = (None, None)
"""A window that cuts nothing off."""


def trades_file(
    folder: Path, rows: Sequence[tuple[int, Decimal]], group_rows: int = 131_072
) -> Path:
    """Write times (ns, ascending) and prices as the catalog has them; return the file."""
    table = pa.table(
        {
            "price": pa.array([price for _, price in rows], pa.decimal128(38, 16)),
            "ts_init": pa.array([time for time, _ in rows], pa.timestamp("ns", "UTC")),
        }
    )
    path = folder / f"{uuid.uuid4().hex}.parquet"
    pq.write_table(table, path, row_group_size=group_rows)
    return path
