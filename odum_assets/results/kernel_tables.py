"""The tables of a report by the kernel, written while its fills are counted.

What belongs here: keeping orders in files until it is known what became of them, and making the
tables that a replay's events become. What does not: matching, counting and hashes
(``kernel_figures``), events as files (``backtest.kernel_run``).

Memory holds some chunks, whatever the length of a run.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from odum_assets.backtest.figures import account_rules
from odum_assets.backtest.journal import FILL_EVENTS, ORDER_EVENTS
from odum_assets.backtest.kernel_match import Chunk, Ints, KernelMatch, Orders
from odum_assets.backtest.kernel_run import EventFiles
from odum_assets.backtest.ledger import LedgerRows
from odum_assets.backtest.plan import RunPlan
from odum_assets.backtest.positions import POSITIONS
from odum_assets.backtest.tables import (
    ORDERS,
    FillsWriter,
    TableWriter,
    order_columns,
)
from odum_assets.catalog.arrow import arrow
from odum_assets.catalog.arrow import kernels as pc
from odum_assets.catalog.fixed_point import to_decimals
from odum_assets.catalog.nautilus_schema import TIME
from odum_assets.results.documents import ORDERS_JSON, order_rows
from odum_assets.results.json_rows import Rows, write_rows
from odum_assets.utc import NS_PER_SECOND
from odum_assets.vectorized.ticks.order_ids import order_ids

ORDER_STATUSES: Final = ("open", "canceled", "rejected", "filled")
"""What becomes of orders, by number."""

_SENT: Final[pa.Schema] = arrow.schema(
    [
        ("ts", pa.int64()),
        ("side", pa.int64()),
        ("price", pa.int64()),
        ("size", pa.int64()),
        ("is_market", pa.bool_()),
        ("lifetime", pa.int64()),
        ("tag", pa.string()),
        ("is_closing", pa.bool_()),
    ]
)
_ENDED: Final[pa.Schema] = arrow.schema(
    [
        ("filled", pa.int64()),
        ("ended", pa.int64()),
        ("status", pa.int8()),
        ("value", pa.float64()),
    ]
)
_BATCH_ROWS: Final = 65_536


class Fills(NamedTuple):
    """Fills of a chunk, and payments that are not known before.

    Parameters
    ----------
    ts, price, signed, commission : int64 arrays, shape (n,)
        Times, prices, signed quantities, commissions.
    fills : int64 array, shape (5, n), optional
        All of `Chunk.fills`, for tables.
    funding : tuple[tuple[int, int], ...]
        As of `Chunk`.
    """

    ts: Ints
    price: Ints
    signed: Ints
    commission: Ints
    fills: Ints | None = None
    funding: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, chunk: Chunk, commission: Ints | None = None) -> "Fills":
        """Return those of a chunk, perhaps of other fees, without what only tables need."""
        fees = chunk.commission if commission is None else commission
        return cls(chunk.fills[1], chunk.fills[2], chunk.signed, fees, funding=chunk.funding)


class KernelTables(EventFiles):
    """The tables of a run and its ``orders.json``, in the plan's work folder.

    First come chunks, and for each order what became of it; then the orders are written, and beside
    them, perhaps in another thread, fills as they are counted.

    Parameters
    ----------
    plan : RunPlan
        The run.
    match : KernelMatch
        Its matching.
    """

    def __init__(self, plan: RunPlan, match: KernelMatch) -> None:
        super().__init__(plan, match)
        self._work = plan.work
        self._sent = _Kept(plan.work / "sent.arrow", _SENT)
        self._ended = _Kept(plan.work / "ended.arrow", _ENDED)
        self._created_secs: list[Ints] = []
        # Of orders from the first one of which not all is known: what their fills are worth.
        self._values = np.empty(0)
        self._first = 0
        self._simulated: dict[str, pa.RecordBatch] = {}
        rules = account_rules(plan, match.terms.currency_precision)
        self._fills = FillsWriter(plan.work / "fills.parquet", rules)
        self._positions = TableWriter(plan.work / "positions.parquet", POSITIONS)

    def _opened(self) -> dict[str, Any]:
        return {}

    def _write(self, name: str, schema: pa.Schema, columns: list[Any]) -> None:
        """Keep an event of what closes a position at the last trade's price."""
        self._simulated[name] = pa.record_batch(columns, schema=schema)

    def _ids(self, numbers: Ints) -> Any:  # noqa: ANN401 - a column
        if len(self._created_secs) > 1:
            self._created_secs = [np.concatenate(self._created_secs)]
        return order_ids(numbers, self._created_secs[0][numbers])

    def add(self, chunk: Chunk) -> None:
        """Take in orders and fills of a chunk."""
        orders, count = chunk.orders, len(chunk.orders.ts)
        self._created_secs.append(orders.ts // NS_PER_SECOND)
        self._values = np.concatenate([self._values, np.zeros(count)])
        # As the sums over a table of events: the same floats in the same order.
        price, quantity = (
            to_decimals(chunk.fills[row], digits).cast(pa.float64()).to_numpy()
            for row, digits in zip((2, 3), self._digits, strict=True)
        )
        np.add.at(self._values, chunk.fills[0] - self._first, price * quantity)
        nothing = pa.nulls(count, pa.string())
        self._sent.write(
            orders.ts,
            orders.side,
            orders.price,
            orders.size,
            orders.is_market,
            orders.lifetime,
            nothing if orders.tag is None else orders.tag,
            np.full(count, chunk.closing),
        )

    def add_ends(self, filled: Ints, ended: Ints, status: NDArray[np.int8]) -> None:
        """Take in what became of the next orders; that of a simulated one is known."""
        values = self._values[: len(filled)]
        self._values = self._values[len(values) :]
        self._first += len(values)
        if len(values) == len(filled):
            self._ended.write(filled, ended, status, values)

    def write_orders(self) -> None:
        """Write the orders as a table and as a document."""
        with TableWriter(self._work / "orders.parquet", ORDERS) as table:

            def documents() -> Iterator[Sequence[Rows]]:
                for part in self._orders():
                    table.write(part)
                    yield [order_rows(part)]

            write_rows(self._work / ORDERS_JSON, documents(), self._sent.rows)

    def _orders(self) -> Iterator[pa.RecordBatch]:
        ends = _Ahead(self._ended.batches())
        number = 0
        for sent in self._sent.batches():
            for start in range(0, sent.num_rows, _BATCH_ROWS):
                part = sent[start : start + _BATCH_ROWS]
                yield self._finished(self._initialized(part, number), ends.take(part.num_rows))
                number += part.num_rows
        if "order" in self._simulated:
            event, fill = self._simulated["order"], self._simulated["fill"]
            price, quantity = (fill[name].cast(pa.float64()) for name in ("price", "quantity"))
            average = pc.divide(pc.multiply(price, quantity), quantity)
            nothing = pa.nulls(1, pa.string())
            columns = order_columns(
                event, pa.array(["filled"]), event["amount"], average, nothing, pa.nulls(1, TIME)
            )
            yield pa.record_batch(columns, schema=ORDERS)

    def _initialized(self, sent: pa.RecordBatch, first: int) -> pa.RecordBatch:
        """Return kept orders as events."""
        numbers = {
            name: sent[name].to_numpy(zero_copy_only=False)
            for name in ("ts", "side", "price", "size", "is_market", "lifetime")
        }
        orders = Orders(first, **numbers, tag=sent["tag"])
        columns = self._order_columns(orders, is_closing=sent["is_closing"][0].as_py())
        return pa.record_batch(columns, schema=ORDER_EVENTS)

    def _finished(self, events: pa.RecordBatch, ends: pa.RecordBatch) -> pa.RecordBatch:
        """Return orders with what became of them."""
        lots, ended = ends["filled"].to_numpy(), ends["ended"].to_numpy()
        filled = to_decimals(lots, self._digits[1])
        average = pc.divide(ends["value"], filled.cast(pa.float64()))
        is_rejected = pc.equal(ends["status"], ORDER_STATUSES.index("rejected"))
        columns = order_columns(
            events,
            pa.array(ORDER_STATUSES).take(ends["status"]),
            filled,
            pc.if_else(pa.array(lots > 0), average, pa.scalar(None, pa.float64())),
            pc.if_else(is_rejected, self._reason, pa.scalar(None, pa.string())),
            pa.array(ended, mask=ended < 0).cast(TIME),
        )
        return pa.record_batch(columns, schema=ORDERS)

    def add_fills(self, part: Fills, counted: LedgerRows) -> None:
        """Write fills, and what the ledger says after each."""
        fills: Any = part
        columns = self._fill_columns(fills)
        self._fills.write(pa.record_batch(columns, schema=FILL_EVENTS), counted)

    def add_simulated_fill(self, counted: LedgerRows) -> None:
        """Write the fill that closes a position."""
        self._fills.write(self._simulated["fill"], counted)

    def close_fills(self) -> None:
        """Finish the table of fills."""
        self._fills.close()

    def write_positions(self, part: pa.Table) -> None:
        """Write the next positions."""
        self._positions.write(part)

    def close_positions(self) -> None:
        """Finish the table of positions."""
        self._positions.close()


class _Kept:
    """Rows in a file.

    Parameters
    ----------
    path : Path
        The file.
    schema : pa.Schema
        Its columns.

    Attributes
    ----------
    rows : int
        How many there are.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path, self._schema = path, schema
        self._writer = arrow.ipc.new_file(str(path), schema)
        self.rows = 0

    def write(self, *columns: Any) -> None:  # noqa: ANN401
        """Add rows."""
        if len(columns[0]):
            self._writer.write_batch(
                pa.record_batch([pa.array(column) for column in columns], schema=self._schema)
            )
            self.rows += len(columns[0])

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows as they were added; no more can be."""
        self._writer.close()
        # Read, not mapped: of a mapped file all that was read stays in memory.
        with pa.OSFile(str(self._path), "rb") as file, pa.ipc.open_file(file) as reader:
            for index in range(reader.num_record_batches):
                yield reader.get_batch(index)


class _Ahead:
    """Rows of batches, taken by numbers that have nothing to do with the batches."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._held: pa.RecordBatch | None = None

    def take(self, rows: int) -> pa.RecordBatch:
        """Return the next rows."""
        parts = []
        while rows:
            held = next(self._batches) if self._held is None else self._held
            parts.append(held[:rows])
            self._held = held[rows:] if held.num_rows > rows else None
            rows -= parts[-1].num_rows
        batch: pa.RecordBatch = arrow.concat_batches(parts)
        return batch
