"""The digest of a result: equal for equal orders, fills, positions and balances.

It is a SHA-256 over the rows of the tables in order, without wall-clock times and random ids (run
ids, trade ids and event ids are random; order ids follow from market time). It does not depend on
process, chunk size, mode, or on how the tables are stored.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.results.json_rows import json_objects, lines_of

_BATCH_ROWS = 100_000
_TABLES = {
    "orders": (
        "timestamp",
        "id",
        "side",
        "type",
        "time_in_force",
        "price",
        "amount",
        "status",
        "filled",
        "reason",
        "ended",
        "parent_id",
        "exec_algorithm",
        "purpose",
    ),
    "fills": (
        "timestamp",
        "order_id",
        "side",
        "price",
        "quantity",
        "commission",
        "liquidity",
        "realized_pnl",
        "balance",
        "position_quantity",
    ),
    "positions": (
        "side",
        "status",
        "opened",
        "closed",
        "quantity",
        "peak_quantity",
        "avg_entry_price",
        "avg_exit_price",
        "realized_pnl",
        "commissions",
        "fills",
    ),
}
_BALANCES = ("starting_balance", "final_balance", "realized", "commissions", "funding")


def result_digest(folder: Path, account: dict[str, Any]) -> str:
    """Return the digest of a run's tables and balances.

    Parameters
    ----------
    folder : Path
        Holds orders.parquet, fills.parquet and positions.parquet.
    account : dict[str, Any]
        Balances as text.

    Returns
    -------
    str
        64 hex digits.
    """
    digest = hashlib.sha256()
    for name, columns in _TABLES.items():
        digest.update(f"{name}\n".encode())
        for batch in _batches(folder / f"{name}.parquet", columns):
            rows = json_objects([(column, batch[column]) for column in columns])
            digest.update(lines_of(rows, "\n"))
    balances = {name: account[name] for name in _BALANCES}
    digest.update(json.dumps(balances, sort_keys=True).encode())
    return digest.hexdigest()


def _batches(path: Path, columns: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(batch_size=_BATCH_ROWS, columns=list(columns))
