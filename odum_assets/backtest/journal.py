"""The journal of a run: order events as they happen, on disk as Arrow tables.

What belongs here: collecting events cheaply and turning them into columns. What does not: deciding
which events are recorded (``recorder``), judging them (``ledger``, ``tables``).

A callback only keeps the event; columns are made of thousands of events at a time, which costs a
fraction of taking each apart between two steps of the engine.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from nautilus_trader.model import (
    LiquiditySide,
    Money,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderRejected,
    OrderSide,
    OrderType,
    TimeInForce,
)

from odum_assets.catalog.arrow import arrow
from odum_assets.catalog.arrow import kernels as pc
from odum_assets.catalog.fixed_point import DECIMAL

# Fewer are not worth a batch, and would cut the files into crumbs.
_BATCH_EVENTS = 1_024
_READ_ROWS = 50_000

CLOSE_TAG = "close_positions"
"""Tag and ``purpose`` of the orders that close positions at the end of the window."""

SIMULATED_TAG = "simulated_close"
"""``purpose`` of the orders that stand for what the book did not take at the end of the window."""

FILE_TAG = "orders_file"
"""First tag of an order of a file; its second one is the file's, and its ``purpose``."""

SIMULATED = "simulated"
"""``liquidity`` of the fills of these orders: no order was sent and no engine filled it."""

ORDER_EVENTS: pa.Schema = arrow.schema(
    [
        ("ts", pa.int64()),
        ("order_id", pa.string()),
        ("side", pa.string()),
        ("type", pa.string()),
        ("time_in_force", pa.string()),
        ("price", DECIMAL),
        ("amount", DECIMAL),
        ("parent_id", pa.string()),
        ("algorithm", pa.string()),
        ("purpose", pa.string()),
    ]
)
"""Orders as they were created, in order; `parent_id` is the order that a part was made of."""

FILL_EVENTS: pa.Schema = arrow.schema(
    [
        ("ts", pa.int64()),
        ("order_id", pa.string()),
        ("position_id", pa.string()),
        ("side", pa.string()),
        ("price", DECIMAL),
        ("quantity", DECIMAL),
        ("commission", DECIMAL),
        ("liquidity", pa.string()),
    ]
)
"""Executions in order of time; one order may have several."""

END_EVENTS: pa.Schema = arrow.schema(
    [
        ("ts", pa.int64()),
        ("order_id", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
    ]
)
"""How orders ended other than by filling."""

CHANGE_EVENTS: pa.Schema = arrow.schema(
    [("ts", pa.int64()), ("order_id", pa.string()), ("price", DECIMAL), ("amount", DECIMAL)]
)
"""Changes of orders, in order: new quantity, and new price where it changed.

An order that is worked in parts shrinks by each part and grows by what a part did not fill.
"""

_SIDES = {OrderSide.BUY: "buy", OrderSide.SELL: "sell"}
_TYPES: dict[Any, str] = {OrderType.LIMIT: "LIMIT", OrderType.MARKET: "MARKET"}
_LIFETIMES: dict[Any, str] = {
    TimeInForce.IOC: "IOC",
    TimeInForce.FOK: "FOK",
    TimeInForce.GTC: "GTC",
}
_LIQUIDITY: dict[Any, str] = {
    LiquiditySide.MAKER: "maker",
    LiquiditySide.TAKER: "taker",
    SIMULATED: SIMULATED,
}

_ENDS: dict[type, str] = {
    OrderCanceled: "canceled",
    OrderExpired: "expired",
    OrderDenied: "denied",
    OrderRejected: "rejected",
}

_REFUSALS = (OrderDenied, OrderRejected)

Columns = list[list[Any]]
Keep = Callable[[Any], None]


class FillPart(NamedTuple):
    """A part of a fill that changed two positions; the names are those of the fill's event."""

    ts_event: int
    client_order_id: Any
    position_id: Any
    is_buy: bool
    last_px: Any
    last_qty: Any
    commission: Any
    liquidity_side: Any


class EventTable:
    """Events kept in memory and written to an Arrow file in batches.

    Parameters
    ----------
    path : Path
        The file (Arrow IPC); it always exists after `close`, with no rows if there were none.
    schema : pa.Schema
        Its columns.
    columns : Callable[[list], list[list]]
        Turns events into values, a list per column.
    on_batch : Callable[[pa.RecordBatch], None], optional
        Called with every batch that is written.
    """

    def __init__(
        self,
        path: Path,
        schema: pa.Schema,
        columns: Callable[[list[Any]], Columns],
        on_batch: Callable[[pa.RecordBatch], None] | None = None,
    ) -> None:
        self._schema = schema
        self._columns = columns
        self._on_batch = on_batch
        self._events: list[Any] = []
        self.keep: Keep = self._events.append
        """Keeps an event; a built-in method, since it is called for every event of a run."""
        self._written = 0
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        self._writer = pa.ipc.new_file(str(path), schema, options=options)

    def __len__(self) -> int:
        return self._written + len(self._events)

    @property
    def kept(self) -> list[Any]:
        """Return the events that are not written yet, in order."""
        return self._events

    def flush_if_worth(self) -> None:
        """Write what is kept if it makes a batch; called many times in a run."""
        if len(self._events) >= _BATCH_EVENTS:
            self.flush()

    def flush(self) -> None:
        """Write what is kept."""
        if not self._events:
            return
        columns = [
            _column(values, field.type)
            for values, field in zip(self._columns(self._events), self._schema, strict=True)
        ]
        batch = pa.record_batch(columns, schema=self._schema)
        self._writer.write_batch(batch)
        self._written += len(self._events)
        self._events.clear()
        if self._on_batch is not None:
            self._on_batch(batch)

    def close(self) -> None:
        """Write what is left and close the file."""
        self.flush()
        self._writer.close()


class Journal:
    """Everything that is recorded of one run.

    Parameters
    ----------
    folder : Path
        Where the event tables are written.
    """

    def __init__(self, folder: Path) -> None:
        self.orders = EventTable(folder / "order_events.arrow", ORDER_EVENTS, _order_columns)
        self.fills = EventTable(
            folder / "fill_events.arrow", FILL_EVENTS, _fill_columns, self._add_to_positions
        )
        self.ends = EventTable(folder / "end_events.arrow", END_EVENTS, _end_columns)
        self.changes = EventTable(folder / "change_events.arrow", CHANGE_EVENTS, _change_columns)
        self.closing_at_ns: int | None = None
        self.last_fill_ns: int | None = None
        self._quantities: dict[str, Decimal] = {}

    def flush_if_worth(self) -> None:
        """Write what makes a batch."""
        for table in (self.orders, self.fills, self.ends, self.changes):
            table.flush_if_worth()

    def position_opened(self, event: Any) -> None:  # noqa: ANN401 - a PositionOpened
        """Give the rest of a fill that went through zero to the position that it opened.

        With HEDGING, NautilusTrader closes the position of the fill and opens another one with the
        rest, under an id that no fill names. It publishes the fill first, then the position.
        """
        kept = self.fills.kept
        for index in range(len(kept) - 1, -1, -1):
            fill = kept[index]
            if fill.client_order_id == event.opening_order_id:
                if fill.position_id != event.position_id:
                    kept[index : index + 1] = _parts(fill, event)
                return
            if fill.ts_event < event.ts_event:
                return

    def open_positions(self) -> list[tuple[str, Decimal]]:
        """Return the id and the signed quantity of every open position."""
        self.fills.flush()
        return list(self._quantities.items())

    def close(self) -> None:
        """Write everything to disk."""
        for table in (self.orders, self.fills, self.ends, self.changes):
            table.close()

    def _add_to_positions(self, batch: pa.RecordBatch) -> None:
        self.last_fill_ns = batch["ts"][-1].as_py()
        table = pa.table({"id": batch["position_id"], "quantity": signed_quantity(batch)})
        sums = table.group_by("id", use_threads=False).aggregate([("quantity", "sum")])
        for row in sums.to_pylist():
            amount = self._quantities.pop(row["id"], Decimal(0)) + row["quantity_sum"]
            if amount:
                self._quantities[row["id"]] = amount


@contextmanager
def journal(folder: Path) -> Iterator[Journal]:
    """Record into a folder and close the files at the end, whatever happens."""
    record = Journal(folder)
    try:
        yield record
    finally:
        record.close()


def read_events(path: Path) -> Iterator[pa.RecordBatch]:
    """Yield an event file in batches of tens of thousands of rows."""
    with pa.memory_map(str(path)) as file:
        reader = pa.ipc.open_file(file)
        parts: list[pa.RecordBatch] = []
        for index in range(reader.num_record_batches):
            parts.append(reader.get_batch(index))
            is_last = index + 1 == reader.num_record_batches
            if is_last or sum(part.num_rows for part in parts) >= _READ_ROWS:
                yield from pa.Table.from_batches(parts).combine_chunks().to_batches()
                parts = []


def read_event_table(path: Path) -> pa.Table:
    """Return a whole event file."""
    with pa.memory_map(str(path)) as file:
        return pa.ipc.open_file(file).read_all()


def signed_quantity(fills: pa.RecordBatch) -> Any:  # noqa: ANN401 - see catalog.arrow
    """Return the quantities of fills, negative where they sell."""
    return pc.if_else(
        pc.equal(fills["side"], "buy"), fills["quantity"], pc.negate(fills["quantity"])
    )


def _column(values: list[Any], kind: pa.DataType) -> "pa.Array[Any]":
    """Return a column; a decimal one from NautilusTrader's whole numbers of its 16 decimals."""
    if not pa.types.is_decimal(kind):
        return pa.array(values, kind)
    # Bytes are several times as fast as texts or Python's decimals.
    if None in values:
        known = pa.array([value is not None for value in values])
        filled = _column([value or 0 for value in values], kind)
        nullable: pa.Array[Any] = pc.if_else(known, filled, pa.scalar(None, kind))
        return nullable
    raw = b"".join([value.to_bytes(16, "little", signed=True) for value in values])
    column: pa.Array[Any] = pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(raw)])
    return column


def _order_columns(events: list[Any]) -> Columns:
    ids = [str(event.client_order_id) for event in events]
    parents = [event.exec_spawn_id for event in events]
    algorithms = [event.exec_algorithm_id for event in events]
    return [
        [event.ts_init for event in events],
        ids,
        [_SIDES[event.order_side] for event in events],
        [_TYPES.get(event.order_type) or str(event.order_type) for event in events],
        [_LIFETIMES.get(event.time_in_force) or str(event.time_in_force) for event in events],
        [None if (price := event.price) is None else price.raw for event in events],
        [event.quantity.raw for event in events],
        [_parent(parent, own) for parent, own in zip(parents, ids, strict=True)],
        [None if algorithm is None else str(algorithm) for algorithm in algorithms],
        [_purpose(event.tags) for event in events],
    ]


def _parent(spawn: object, own: str) -> str | None:
    # An order that is worked in parts names itself as the root of its parts.
    return None if spawn is None or str(spawn) == own else str(spawn)


def _purpose(tags: list[str] | None) -> str | None:
    if not tags:
        return None
    if tags[0] == FILE_TAG and len(tags) > 1:
        return tags[1]
    return next((tag for tag in tags if tag in (CLOSE_TAG, SIMULATED_TAG)), None)


def _fill_columns(events: list[Any]) -> Columns:
    commissions = [event.commission for event in events]
    return [
        [event.ts_event for event in events],
        [str(event.client_order_id) for event in events],
        [str(event.position_id) for event in events],
        ["buy" if event.is_buy else "sell" for event in events],
        [event.last_px.raw for event in events],
        [event.last_qty.raw for event in events],
        [None if commission is None else commission.raw for commission in commissions],
        [_LIQUIDITY.get(event.liquidity_side) for event in events],
    ]


def _parts(fill: Any, opened: Any) -> tuple[FillPart, FillPart]:  # noqa: ANN401 - events
    """Split a fill by quantity between the position it names and the one it opened."""
    closing = fill.last_qty - opened.quantity
    paid = own = fill.commission
    if paid is not None:
        share = closing.as_decimal() / fill.last_qty.as_decimal()
        own = Money.from_decimal(paid.as_decimal() * share, paid.currency)
        paid = paid - own

    def part(position_id: Any, quantity: Any, commission: Any) -> FillPart:  # noqa: ANN401
        return FillPart(
            fill.ts_event,
            fill.client_order_id,
            position_id,
            fill.is_buy,
            fill.last_px,
            quantity,
            commission,
            fill.liquidity_side,
        )

    return part(fill.position_id, closing, own), part(opened.position_id, opened.quantity, paid)


def _end_columns(events: list[Any]) -> Columns:
    # Only refusals have a reason.
    return [
        [event.ts_event for event in events],
        [str(event.client_order_id) for event in events],
        [_ENDS[type(event)] for event in events],
        [event.reason if isinstance(event, _REFUSALS) else None for event in events],
    ]


def _change_columns(events: list[Any]) -> Columns:
    return [
        [event.ts_event for event in events],
        [str(event.client_order_id) for event in events],
        [None if (price := event.price) is None else price.raw for event in events],
        [event.quantity.raw for event in events],
    ]
