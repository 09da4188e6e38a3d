"""The timeline of a run: orders, fills and refusals as one sequence of events by time.

What belongs here: merging the tables slice by slice, and how events are spelled as rows and as JSON
objects. What does not: the files (``documents``), parts of a stored timeline (``tables``).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.catalog.arrow import Column, arrow
from odum_assets.catalog.arrow import kernels as pc
from odum_assets.catalog.fixed_point import DECIMAL, Int64s
from odum_assets.results.json_rows import Rows, json_objects, nested

_BATCH_ROWS: Final = 50_000
_TIME: Final = pa.timestamp("ns", tz="UTC")
_REFUSALS: Final = {"denied": "OrderDenied", "rejected": "OrderRejected"}
_REFUSAL_FIELDS: Final = ("order_id", "reason", "side", "price", "amount")
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


def timeline_objects(batch: pa.RecordBatch) -> "pa.Array[Any]":
    """Return the events of a part of the timeline as JSON objects."""
    texts, places = [], []
    for event, names in _EVENT_FIELDS.items():
        here = pc.indices_nonzero(pc.equal(batch["event"], event))
        part = batch.take(here)
        values: Any = part["data"]
        data = [(name, values.field(name)) for name in names]
        texts.append(json_objects(_fields(part["ts"], part["event"], data)))
        places.append(here)
    return pa.concat_arrays(texts).take(pc.sort_indices(pa.concat_arrays(places)))


def _fields(
    times: Column, kinds: Column | str, data: Sequence[tuple[str, Column]]
) -> list[tuple[str, Any]]:
    """Return the fields of events of one kind, in the order of the document."""
    return [("ts", times), ("event", kinds), ("data", nested(data))]


@dataclass(frozen=True, slots=True)
class _Events:
    """Events of one kind in order of time.

    Parameters
    ----------
    rows : pa.RecordBatch
        Of orders or fills.
    time : str
        Column of their times.
    kind : str or pa.Array
        What all of them are, or each.
    fields : tuple[str, ...]
        What they have of `_EVENT_DATA`.
    places : ndarray of shape (n,)
        Which events of the slice they are.
    """

    rows: pa.RecordBatch
    time: str
    kind: Column | str
    fields: tuple[str, ...]
    places: Int64s

    def json(self) -> Rows:
        """Return them for the document."""
        data = [(name, self._column(name)) for name in self.fields]
        return Rows(_fields(self.rows[self.time], self.kind, data), self.places)

    def table(self) -> pa.RecordBatch:
        """Return them for the table."""
        count = self.rows.num_rows
        kinds = pa.repeat(self.kind, count) if isinstance(self.kind, str) else self.kind
        columns = [
            self._column(name).cast(kind) if name in self.fields else arrow.nulls(count, kind)
            for name, kind in _EVENT_DATA.items()
        ]
        data = pa.StructArray.from_arrays(columns, fields=list(TIMELINE.field("data").type))
        times = self.rows[self.time].cast(_TIME)
        return pa.record_batch([times, kinds, data], schema=TIMELINE)

    def _column(self, name: str) -> Column:
        # A refusal is a row of the orders.
        is_order = "id" in self.rows.schema.names
        return self.rows["id" if is_order and name == "order_id" else name]


@dataclass(frozen=True, slots=True)
class Slice:
    """Events of a span of time."""

    parts: list[_Events]

    def rows(self) -> list[Rows]:
        """Return the events for the document."""
        return [part.json() for part in self.parts]

    def events(self) -> pa.RecordBatch:
        """Return the events in order."""
        places = np.concatenate([part.places for part in self.parts])
        order = np.empty_like(places)
        order[places] = np.arange(len(places))
        together = arrow.concat_batches([part.table() for part in self.parts])
        batch: pa.RecordBatch = together.take(order)
        return batch


def slices(orders: pq.ParquetFile, fills: pq.ParquetFile) -> Iterator[Slice]:
    """Yield the events of a run by time, some ten thousands together.

    Events of one nanosecond stand in the order order, fill, refusal.

    Parameters
    ----------
    orders, fills : ParquetFile
        The tables, whose rows are in order of time. No order is refused before it was made.
    """
    initialized, filled = (
        _Stream(orders, [*_EVENT_FIELDS["Order"], "reason", "timestamp", "ended"]),
        _Stream(fills, [*_EVENT_FIELDS["Fill"], "timestamp"]),
    )
    refused = initialized.before(None)
    cut: int | None = 0
    while cut is not None:
        for stream in (initialized, filled):
            stream.read_to(_BATCH_ROWS)
        cut = min(
            (stream.last for stream in (initialized, filled) if not stream.is_over), default=None
        )
        orders_now, fills_now = initialized.before(cut), filled.before(cut)
        is_refused = pc.is_in(orders_now["status"], pa.array(list(_REFUSALS)))
        refused = arrow.concat_batches([refused, orders_now.filter(is_refused)])
        refused = refused.take(np.argsort(_ns(refused["ended"]), kind="stable"))
        ended = _ns(refused["ended"])
        size = len(ended) if cut is None else int(ended.searchsorted(cut))
        if orders_now.num_rows + fills_now.num_rows + size:
            yield _slice(orders_now, fills_now, refused[:size])
        else:
            # There may be more events at one time than are in memory.
            for stream in (initialized, filled):
                stream.read_to(stream.rows + 1)
        refused = refused[size:]


def _slice(orders: pa.RecordBatch, fills: pa.RecordBatch, refused: pa.RecordBatch) -> Slice:
    initialized, filled, ended = (
        _ns(rows[time])
        for rows, time in ((orders, "timestamp"), (fills, "timestamp"), (refused, "ended"))
    )
    kinds = pc.if_else(pc.equal(refused["status"], "denied"), *_REFUSALS.values())
    order, fill = "Order", "Fill"
    return Slice(
        [
            _Events(
                orders,
                "timestamp",
                order,
                _EVENT_FIELDS[order],
                _places([], initialized, [filled, ended]),
            ),
            _Events(
                fills,
                "timestamp",
                fill,
                _EVENT_FIELDS[fill],
                _places([initialized], filled, [ended]),
            ),
            _Events(
                refused, "ended", kinds, _REFUSAL_FIELDS, _places([initialized, filled], ended, [])
            ),
        ]
    )


def _places(earlier: Sequence[Int64s], own: Int64s, later: Sequence[Int64s]) -> Int64s:
    """Return the places of events among others, of which some come earlier at equal times."""
    places = np.arange(len(own))
    for times in earlier:
        places += times.searchsorted(own, "right")
    for times in later:
        places += times.searchsorted(own, "left")
    return places


class _Stream:
    """Rows of a table in order of time, of which some are in memory."""

    def __init__(self, file: pq.ParquetFile, columns: list[str]) -> None:
        self._batches = file.iter_batches(_BATCH_ROWS, columns=columns)
        fields = [file.schema_arrow.field(name) for name in columns]
        self._held = pa.RecordBatch.from_pylist([], schema=arrow.schema(fields))
        self.is_over = False

    @property
    def rows(self) -> int:
        """Return the number of rows in memory."""
        return self._held.num_rows

    @property
    def last(self) -> int:
        """Return the time of the last row in memory; a stream that is not over has one."""
        return int(_ns(self._held["timestamp"])[-1])

    def read_to(self, rows: int) -> None:
        """Read until so many rows are in memory, or the table is over."""
        while self.rows < rows and not self.is_over:
            batch = next(self._batches, None)
            if batch is None:
                self.is_over = True
            else:
                self._held = arrow.concat_batches([self._held, batch])

    def before(self, cut: int | None) -> pa.RecordBatch:
        """Take the rows before a time out of memory, all for None."""
        end = self.rows if cut is None else int(_ns(self._held["timestamp"]).searchsorted(cut))
        taken = self._held[:end]
        self._held = self._held[end:]
        return taken


def _ns(times: Column) -> Int64s:
    """Return times as ns."""
    numbers: Int64s = times.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return numbers
