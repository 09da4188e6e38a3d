"""The documents of a report: orders and the timeline, written as streams from the tables.

The timeline is a table, too, beside its document: programs read that one.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.catalog.arrow import Column, arrow
from odum_assets.catalog.arrow import kernels as pc
from odum_assets.catalog.fixed_point import DECIMAL
from odum_assets.results.json_rows import json_objects, nested, write_array

SMALL_PAGES: Final[dict[str, Any]] = {
    "compression": "zstd",
    "compression_level": 1,
    "data_page_size": 64 * 1024,
    "dictionary_pagesize_limit": 64 * 1024,
}
"""How tables are written that the service sends: who reads one holds a page of each column."""

_BATCH_ROWS = 100_000
_TIME: Final = pa.timestamp("ns", tz="UTC")
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
_REFUSALS = {"denied": "OrderDenied", "rejected": "OrderRejected"}
_REFUSAL_FIELDS = ("order_id", "reason", "side", "price", "amount")
_EVENT_FIELDS: Final = {
    "Order": ("id", "side", "price", "amount", "status", "type"),
    "Fill": ("order_id", "price", "quantity", "side", "commission", "liquidity"),
    "OrderDenied": _REFUSAL_FIELDS,
    "OrderRejected": _REFUSAL_FIELDS,
}
"""What the events of each kind have of `_EVENT_DATA`, in the order of the document."""

_EVENT_DATA: Final[dict[str, pa.DataType]] = {
    "id": pa.string(),
    "order_id": pa.string(),
    "side": pa.string(),
    "price": DECIMAL,
    "amount": DECIMAL,
    "quantity": DECIMAL,
    "status": pa.string(),
    "type": pa.string(),
    "commission": DECIMAL,
    "liquidity": pa.string(),
    "reason": pa.string(),
}
TIMELINE: Final[pa.Schema] = arrow.schema(
    [("ts", _TIME), ("event", pa.string()), ("data", pa.struct(list(_EVENT_DATA.items())))]
)
"""Columns of the timeline; in ``data`` is null what an event of its kind does not have."""


def write_orders_json(folder: Path) -> int:
    """Write ``orders.json`` beside the orders table and return the number of orders."""
    with pq.ParquetFile(folder / "orders.parquet") as file:
        batches = (
            json_objects(
                [(name, batch[name]) for name in _ALL_FIELDS if name in batch.schema.names]
            )
            for batch in file.iter_batches(batch_size=_BATCH_ROWS)
        )
        return write_array(folder / "orders.json", batches)


def write_timeline(folder: Path) -> int:
    """Write ``timeline.parquet`` and ``timeline.json``: orders, fills and refusals by time.

    Events of one nanosecond stand in the order order, fill, refusal. One slice of market time is in
    memory at a time.

    Returns
    -------
    int
        Number of events.
    """
    path = folder / "timeline.parquet"
    with pq.ParquetWriter(path, TIMELINE, **SMALL_PAGES) as table:

        def documents() -> Iterator["pa.Array[Any]"]:
            for batch in _timeline(folder):
                table.write_batch(batch)
                yield timeline_objects(batch)

        return write_array(folder / "timeline.json", documents())


def timeline_objects(batch: pa.RecordBatch) -> "pa.Array[Any]":
    """Return the events of a part of the timeline as JSON objects."""
    texts, places = [], []
    for event, names in _EVENT_FIELDS.items():
        here = pc.indices_nonzero(pc.equal(batch["event"], event))
        part = batch.take(here)
        values: Any = part["data"]
        data = nested([(name, values.field(name)) for name in names])
        texts.append(json_objects([("ts", part["ts"]), ("event", part["event"]), ("data", data)]))
        places.append(here)
    return pa.concat_arrays(texts).take(pc.sort_indices(pa.concat_arrays(places)))


def _timeline(folder: Path) -> Iterator[pa.RecordBatch]:
    orders = pq.read_table(folder / "orders.parquet", columns=[*_ORDER_FIELDS, "ended"])
    fills = pq.read_table(folder / "fills.parquet", columns=["timestamp", *_EVENT_FIELDS["Fill"]])
    refused = orders.filter(pc.is_in(orders["status"], pa.array(list(_REFUSALS))))
    refused = refused.sort_by("ended")
    streams = [
        (orders, "timestamp", _events(orders, "timestamp", "Order")),
        (fills, "timestamp", _events(fills, "timestamp", "Fill")),
        (refused, "ended", _refusals(refused)),
    ]
    times = [table[column].cast(pa.int64()).to_numpy() for table, column, _ in streams]
    cuts = [int(times[0][at]) for at in range(_BATCH_ROWS, len(times[0]), _BATCH_ROWS)]
    starts = [0, 0, 0]
    for cut in [*cuts, None]:
        parts = []
        for number, (table, _, events) in enumerate(streams):
            end = len(table) if cut is None else int(times[number].searchsorted(cut))
            parts.append(events.slice(starts[number], end - starts[number]))
            starts[number] = end
        together = pa.concat_tables(parts).combine_chunks()
        # Arrow's sort is stable: equal times keep the order of the streams.
        order = pc.sort_indices(together["ts"].cast(pa.int64()))
        yield from together.take(order).combine_chunks().to_batches()


def _refusals(refused: pa.Table) -> pa.Table:
    kinds = pc.if_else(pc.equal(refused["status"], "denied"), *_REFUSALS.values())
    return _events(refused.append_column("order_id", refused["id"]), "ended", kinds)


def _events(table: pa.Table, time: str, kinds: Column | str) -> pa.Table:
    """Return rows of a table as events of the timeline, of one kind or of one for each row."""
    names = _EVENT_FIELDS[kinds if isinstance(kinds, str) else "OrderDenied"]
    if isinstance(kinds, str):
        kinds = pa.repeat(kinds, len(table))
    columns = [
        table[name].combine_chunks().cast(kind) if name in names else arrow.nulls(len(table), kind)
        for name, kind in _EVENT_DATA.items()
    ]
    data = pa.StructArray.from_arrays(columns, fields=list(TIMELINE.field("data").type))
    return pa.table([table[time].cast(_TIME), kinds, data], schema=TIMELINE)
