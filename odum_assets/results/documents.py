"""The JSON documents of a report: orders and the timeline, written as streams from the tables."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.catalog.arrow import kernels as pc
from odum_assets.results.json_rows import json_objects, nested, write_array

_BATCH_ROWS = 100_000
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
_REFUSALS = {"denied": "OrderDenied", "rejected": "OrderRejected"}


def write_orders_json(folder: Path) -> int:
    """Write ``orders.json`` beside the orders table and return the number of orders."""
    with pq.ParquetFile(folder / "orders.parquet") as file:
        batches = (
            json_objects([(name, batch[name]) for name in _ORDER_FIELDS])
            for batch in file.iter_batches(batch_size=_BATCH_ROWS)
        )
        return write_array(folder / "orders.json", batches)


def write_timeline_json(folder: Path) -> int:
    """Write ``timeline.json``: orders, fills and refusals in order of time.

    Events of one nanosecond stand in the order order, fill, refusal. One slice of market time is in
    memory at a time.

    Returns
    -------
    int
        Number of events.
    """
    return write_array(folder / "timeline.json", _timeline(folder))


def _timeline(folder: Path) -> Iterator["pa.Array[Any]"]:
    orders = pq.read_table(folder / "orders.parquet", columns=[*_ORDER_FIELDS, "ended"])
    fills = pq.read_table(
        folder / "fills.parquet",
        columns=["timestamp", "order_id", "price", "quantity", "side", "commission", "liquidity"],
    )
    refused = orders.filter(pc.is_in(orders["status"], pa.array(list(_REFUSALS))))
    streams = [
        (orders, "timestamp", _order_event),
        (fills, "timestamp", _fill_event),
        (refused.sort_by("ended"), "ended", _refusal_event),
    ]
    times = [table[column].cast(pa.int64()).to_numpy() for table, column, _ in streams]
    cuts = [int(times[0][at]) for at in range(_BATCH_ROWS, len(times[0]), _BATCH_ROWS)]
    starts = [0, 0, 0]
    for cut in [*cuts, None]:
        texts, stamps = [], []
        for place, (table, _, event) in enumerate(streams):
            end = len(table) if cut is None else int(times[place].searchsorted(cut))
            part = table.slice(starts[place], end - starts[place]).combine_chunks()
            texts.append(event(part))
            stamps.append(pa.array(times[place][starts[place] : end]))
            starts[place] = end
        # Arrow's sort is stable: equal times keep the order of the streams.
        order = pc.sort_indices(pa.concat_arrays(stamps))
        yield pa.concat_arrays([_one(each) for each in texts]).take(order)


def _order_event(part: pa.Table) -> Any:  # noqa: ANN401
    data = [(name, part[name]) for name in ("id", "side", "price", "amount", "status", "type")]
    return _event(part["timestamp"], "Order", data)


def _fill_event(part: pa.Table) -> Any:  # noqa: ANN401
    names = ("order_id", "price", "quantity", "side", "commission", "liquidity")
    return _event(part["timestamp"], "Fill", [(name, part[name]) for name in names])


def _refusal_event(part: pa.Table) -> Any:  # noqa: ANN401
    event = pc.if_else(pc.equal(part["status"], "denied"), "OrderDenied", "OrderRejected")
    data = [
        ("order_id", part["id"]),
        *((name, part[name]) for name in ("reason", "side", "price", "amount")),
    ]
    return _event(part["ended"], event, data)


def _event(times: Any, event: Any, data: list[tuple[str, Any]]) -> Any:  # noqa: ANN401
    named = pa.array([event] * len(times), pa.string()) if isinstance(event, str) else event
    return json_objects([("ts", times), ("event", named), ("data", nested(data))])


def _one(values: Any) -> "pa.Array[Any]":  # noqa: ANN401
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
