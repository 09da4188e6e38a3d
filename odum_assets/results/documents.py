"""The documents of a report: orders and the timeline, written as streams from the tables.

The timeline is a table, too, beside its document: programs read that one.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.results.json_rows import Rows, write_rows
from odum_assets.results.timeline import TIMELINE, Slice, slices

ORDERS_JSON: Final = "orders.json"
"""The document of orders."""

SMALL_PAGES: Final[dict[str, Any]] = {
    "compression": "zstd",
    "compression_level": 1,
    "data_page_size": 64 * 1024,
    "dictionary_pagesize_limit": 64 * 1024,
}
"""How tables are written that the service sends: who reads one holds a page of each column."""

_BATCH_ROWS = 50_000
_ORDER_FIELDS = (
    "id",
    "timestamp",
    "side",
    "type",
    "time_in_force",
    "price",
    "amount",
    "status",
    "filled",
    "avg_fill_price",
    "reason",
    "parent_id",
    "exec_algorithm",
    "purpose",
)
_ALL_FIELDS = (*_ORDER_FIELDS, "trigger_price", "instrument", "leg", "role")
"""Fields of ``orders.json``; the last four only where the orders are those of bars."""


def write_orders_json(folder: Path) -> int:
    """Write ``orders.json`` beside the orders table and return the number of orders."""
    with pq.ParquetFile(folder / "orders.parquet") as file:
        names = [name for name in _ALL_FIELDS if name in file.schema_arrow.names]
        batches = file.iter_batches(_BATCH_ROWS, columns=names)
        rows = ([order_rows(batch)] for batch in batches)
        return write_rows(folder / ORDERS_JSON, rows, file.metadata.num_rows)


def order_rows(batch: pa.RecordBatch) -> Rows:
    """Return a part of the orders table as it is in the document."""
    names = [name for name in _ALL_FIELDS if name in batch.schema.names]
    return Rows([(name, batch[name]) for name in names], np.arange(batch.num_rows))


def write_timeline(folder: Path) -> int:
    """Write ``timeline.parquet`` and ``timeline.json``: orders, fills and refusals by time.

    Events of one nanosecond stand in the order order, fill, refusal. One slice of market time is in
    memory at a time.

    Returns
    -------
    int
        Number of events.
    """
    with (
        pq.ParquetFile(folder / "orders.parquet") as orders,
        pq.ParquetFile(folder / "fills.parquet") as fills,
        pq.ParquetWriter(folder / "timeline.parquet", TIMELINE, **SMALL_PAGES) as table,
        # Arrow and compiled code work without Python's lock.
        ThreadPoolExecutor(1, "timeline") as pool,
    ):

        def write(part: Slice) -> None:
            table.write_batch(part.events())

        def documents() -> Iterator[Sequence[Rows]]:
            writing: Future[None] | None = None
            for part in slices(orders, fills):
                if writing is not None:
                    writing.result()
                writing = pool.submit(write, part)
                yield part.rows()
            if writing is not None:
                writing.result()

        expected = orders.metadata.num_rows + fills.metadata.num_rows
        return write_rows(folder / "timeline.json", documents(), expected)
