"""The tables of a run, made from what was recorded: orders, fills, positions, equity.

All columns are Arrow; orders are joined with their fills and ends without a loop over rows.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.backtest.columns import FillColumns
from odum_assets.backtest.equity import EquityPoint
from odum_assets.backtest.journal import (
    CLOSE_TAG,
    SIMULATED,
    SIMULATED_TAG,
    read_event_table,
    read_events,
    signed_quantity,
)
from odum_assets.backtest.ledger import AccountRules, LedgerRows
from odum_assets.backtest.pandas_types import computable
from odum_assets.backtest.positions import rows_table
from odum_assets.catalog.arrow import arrow, flags_of, text_parts
from odum_assets.catalog.arrow import kernels as pc
from odum_assets.catalog.fixed_point import DECIMAL, column_units, units_column
from odum_assets.catalog.nautilus_schema import TIME
from odum_assets.errors import BacktestError

_GROUP_ROWS: Final = 32_768
"""Rows of a group: what is read at least to see a part of a table."""

FILLS: pa.Schema = arrow.schema(
    [
        ("timestamp", TIME),
        ("order_id", pa.string()),
        ("position_id", pa.string()),
        ("side", pa.string()),
        ("price", DECIMAL),
        ("quantity", DECIMAL),
        ("commission", DECIMAL),
        ("liquidity", pa.string()),
        ("realized_pnl", DECIMAL),
        ("balance", DECIMAL),
        ("position_quantity", DECIMAL),
    ]
)
"""Executions with what each realized, and cash and signed position after it."""

ORDERS: pa.Schema = arrow.schema(
    [
        ("timestamp", TIME),
        ("id", pa.string()),
        ("side", pa.string()),
        ("type", pa.string()),
        ("time_in_force", pa.string()),
        ("price", DECIMAL),
        ("amount", DECIMAL),
        ("status", pa.string()),
        ("filled", DECIMAL),
        ("avg_fill_price", pa.float64()),
        ("reason", pa.string()),
        ("ended", TIME),
        ("parent_id", pa.string()),
        ("exec_algorithm", pa.string()),
        ("purpose", pa.string()),
    ]
)
"""Orders with what became of them."""

EQUITY: pa.Schema = arrow.schema(
    [
        ("timestamp", TIME),
        ("portfolio_value", DECIMAL),
        ("balance", DECIMAL),
        ("realized_pnl", DECIMAL),
        ("unrealized_pnl", DECIMAL),
        ("position", DECIMAL),
        ("avg_entry_price", DECIMAL),
        ("price", DECIMAL),
    ]
)
"""The account marked to the market at every sample."""

_LONGEST_NUMBER = 17
_EQUITY_ATTRIBUTES = "ts equity cash realized unrealized quantity entry price"


def read_fills(path: Path, rules: AccountRules) -> Iterator[tuple[pa.RecordBatch, FillColumns]]:
    """Yield the recorded fills by batches, as columns and as ledger entries.

    Simulated ones, the last of a run, are in a batch of their own.

    Raises
    ------
    BacktestError
        If times go back: samples would not hold what came before them.
    """
    last = 0
    for batch in _by_origin(read_events(path)):
        fills = fill_entries(batch, rules)
        if fills.ts[0] < last or np.any(np.diff(fills.ts) < 0):
            raise BacktestError("NautilusTrader reported fills out of order of time")
        last = int(fills.ts[-1])
        yield batch, fills


def _by_origin(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Cut batches where simulated fills begin."""
    for batch in batches:
        simulated = pc.sum(pc.equal(batch["liquidity"], SIMULATED)).as_py() or 0
        own = batch.num_rows - simulated
        yield from (part for part in (batch[:own], batch[own:]) if part.num_rows)


def is_simulated(batch: pa.RecordBatch) -> bool:
    """Return whether a batch of `read_fills` holds simulated fills."""
    return bool(batch["liquidity"][0].as_py() == SIMULATED)


def fill_entries(batch: pa.RecordBatch, rules: AccountRules) -> FillColumns:
    """Return recorded fills of one instrument as columns to count."""
    ids: Any = batch["position_id"]
    ids = ids.dictionary_encode()
    return FillColumns(
        ts=np.asarray(batch["ts"], np.int64),
        names=ids.dictionary.to_pylist(),
        position=np.asarray(ids.indices, np.int64),
        quantity=column_units(signed_quantity(batch), rules.size_precision),
        price=column_units(batch["price"], rules.price_precision),
        commission=column_units(
            pc.fill_null(batch["commission"], Decimal(0)), rules.currency_precision
        ),
    )


def fills_file(path: Path) -> pq.ParquetWriter:
    """Open a fills table for writing; see `write_table` for its dictionaries."""
    return pq.ParquetWriter(
        path,
        computable(FILLS),
        compression="zstd",
        compression_level=1,
        use_dictionary=["position_id", "side", "liquidity"],  # type: ignore[arg-type]
    )


class FillsWriter:
    """Write the fills table batch by batch while the ledger counts."""

    def __init__(self, path: Path, rules: AccountRules) -> None:
        self._rules = rules
        self._writer = fills_file(path)

    def write(self, batch: pa.RecordBatch, rows: LedgerRows) -> None:
        """Write one batch of recorded fills with what the ledger says after each."""
        money, size = self._rules.currency_precision, self._rules.size_precision
        self._writer.write_batch(
            pa.record_batch(
                [
                    batch["ts"].cast(TIME),
                    *batch.columns[1:],
                    units_column(rows.realized, money, DECIMAL),
                    units_column(rows.cash, money, DECIMAL),
                    units_column(rows.quantity, size, DECIMAL),
                ],
                schema=FILLS,
            )
        )

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()


@dataclass(frozen=True, slots=True)
class OrderCounts:
    """Orders of a run by status, type and side, and why orders were denied or rejected.

    `buy_quantity` and `sell_quantity` are what was filled. Of what was open at the end, the
    `closing_orders` closed `closed_quantity`, and simulated fills `simulated_quantity`.
    """

    orders: int
    orders_by_status: dict[str, int]
    orders_by_type: dict[str, int]
    reasons: dict[str, int]
    buy_orders: int
    buy_quantity: Decimal
    sell_orders: int
    sell_quantity: Decimal
    closing_orders: int
    closed_quantity: Decimal
    simulated_quantity: Decimal
    orders_filled: int


def write_orders(folder: Path, path: Path, legs: pa.Table | None = None) -> OrderCounts:
    """Join orders with their fills and terminal events, write the orders table and count it.

    Parameters
    ----------
    folder : Path
        The recorded events.
    path : Path
        The orders table: one row per order in order of creation, with ``status`` (filled, canceled,
        expired, denied, rejected, open), ``filled`` quantity, average fill price and reason. An
        order that an algorithm worked has its whole amount, and what its parts filled: sums over
        all rows count that twice, sums over rows without a ``parent_id`` once.
    legs : pa.Table, optional
        Further columns by ``order_id``.
    """
    orders = read_event_table(folder / "order_events.arrow")
    ids = orders["order_id"]
    index = _OrderIndex(ids)
    orders = _changed(orders, read_event_table(folder / "change_events.arrow"), index)
    fills = read_event_table(folder / "fill_events.arrow")
    filled, average = _totals_by_order(fills, orders, index)
    # The first terminal event counts: a canceled order can be refused a second cancel.
    ends = read_event_table(folder / "end_events.arrow")
    ended, reason, ended_ts = index.firsts(ends, "status", "reason", "ts")
    filled = pc.fill_null(filled, pa.scalar(Decimal(0), DECIMAL))
    status = pc.if_else(
        pc.greater_equal(filled, orders["amount"]), "filled", pc.fill_null(ended, "open")
    )
    columns = order_columns(orders, status, filled, average, reason, ended_ts.cast(TIME))
    table = with_legs(arrow.table(columns, schema=ORDERS), ids, legs)
    write_table(path, table)
    return _count_orders(table, fills)


def order_columns(
    events: Any,  # noqa: ANN401 - a table or a batch
    status: Any,  # noqa: ANN401 - columns of either
    filled: Any,  # noqa: ANN401
    average: Any,  # noqa: ANN401
    reason: Any,  # noqa: ANN401
    ended: Any,  # noqa: ANN401
) -> list[Any]:
    """Return the columns of the orders table from events and from what became of the orders."""
    return [
        events["ts"].cast(TIME),
        events["order_id"],
        *(events[name] for name in ("side", "type", "time_in_force", "price", "amount")),
        status,
        filled,
        average,
        reason,
        ended,
        *(events[name] for name in ("parent_id", "algorithm", "purpose")),
    ]


def with_legs(
    table: pa.Table, order_ids: "pa.ChunkedArray[Any]", legs: pa.Table | None
) -> pa.Table:
    """Append what is known of the order of each row; nothing without `legs`."""
    if legs is not None:
        places = _OrderIndex(legs["order_id"]).places(order_ids)
        taken: Any = pa.array(places, mask=places < 0)
        for name in legs.column_names:
            if name != "order_id":
                table = table.append_column(name, legs[name].take(taken))
    return table


def _changed(orders: pa.Table, changes: pa.Table, index: "_OrderIndex") -> pa.Table:
    """Return the orders with the price and amount that they had last.

    One that an algorithm works shrinks by each part: what it was given counts.
    """
    if not changes.num_rows:
        return orders
    is_worked = pc.and_(pc.is_valid(orders["algorithm"]), pc.is_null(orders["parent_id"]))
    given_amounts = orders["amount"]
    latest_first = changes.take(np.arange(changes.num_rows)[::-1])
    for name in ("price", "amount"):
        given = latest_first.filter(pc.is_valid(latest_first[name]))
        (last,) = index.firsts(given, name)
        orders = orders.set_column(
            orders.schema.get_field_index(name), name, pc.coalesce(last, orders[name])
        )
    amounts = pc.if_else(is_worked, given_amounts, orders["amount"])
    return orders.set_column(orders.schema.get_field_index("amount"), "amount", amounts)


def _totals_by_order(
    fills: pa.Table, orders: pa.Table, index: "_OrderIndex"
) -> "list[pa.ChunkedArray[Any]]":
    """Return quantity and average price of the fills of each order, its parts' included."""
    places = index.places(fills["order_id"])
    parents = index.places(orders["parent_id"])[places]
    parents[places < 0] = -1
    of_parents = fills.filter(pa.array(parents >= 0)) if (parents >= 0).any() else fills[:0]
    fills = pa.concat_tables([fills, of_parents])
    places = np.concatenate([places, parents[parents >= 0]])
    value = pc.multiply(fills["price"].cast(pa.float64()), fills["quantity"].cast(pa.float64()))
    grouped = (
        arrow.table({"place": places, "quantity": fills["quantity"], "value": value})
        .group_by("place", use_threads=False)
        .aggregate([("quantity", "sum"), ("value", "sum")])
    )
    filled = grouped["quantity_sum"].cast(DECIMAL)
    average = pc.divide(grouped["value_sum"], filled.cast(pa.float64()))
    totals = arrow.table({"filled": filled, "average": average})
    return index.firsts_at(grouped["place"].to_numpy(), totals, "filled", "average")


class _OrderIndex:
    """Where each order stands in a table of orders.

    Ids of NautilusTrader end with a number that counts up: as far as those of the table do, an id
    is looked up by it and compared as a whole, which costs a fraction of a table of texts.

    Parameters
    ----------
    ids : pa.ChunkedArray of string
        The orders' ids; the first of equal ones counts.
    """

    def __init__(self, ids: "pa.ChunkedArray[Any]") -> None:
        self._ids: Any = ids.combine_chunks()
        self._start = self._first = self._counting = 0
        if len(ids) and not ids.null_count:
            self._start = self._ids[0].as_py().rfind("-") + 1
            numbers = _last_numbers(self._ids, self._start)
            self._first = int(numbers[0])
            differs = numbers != np.arange(self._first, self._first + len(numbers))
            self._counting = int(np.argmax(differs)) if differs.any() else len(numbers)

    def places(self, ids: "pa.ChunkedArray[Any]") -> npt.NDArray[np.int64]:
        """Return the row of each id, -1 for those of no order; shape (n,)."""
        positions = np.full(len(ids), -1)
        if ids.null_count == len(ids):
            return positions
        wanted: Any = pc.fill_null(ids, "").combine_chunks()
        places = _last_numbers(wanted, self._start) - self._first
        places[(places < 0) | (places >= self._counting)] = -1
        is_same = pc.equal(self._ids.take(pa.array(places, mask=places < 0)), wanted)
        is_known = flags_of(is_same)
        positions[is_known] = places[is_known]
        # Equal ids have equal numbers: the others are none of those that count up.
        left = np.flatnonzero(~is_known)
        if len(left):
            others = pc.index_in(wanted.take(pa.array(left)), value_set=self._ids[self._counting :])
            positions[left] = pc.fill_null(pc.add(others, self._counting), -1).to_numpy()
        if ids.null_count:
            positions[flags_of(ids.is_null().combine_chunks())] = -1
        return positions

    def firsts(self, table: pa.Table, *columns: str) -> "list[pa.ChunkedArray[Any]]":
        """Return columns of a table for each order, null where it has none; first rows count."""
        return self.firsts_at(self.places(table["order_id"]), table, *columns)

    def firsts_at(
        self, places: npt.NDArray[np.int64], table: pa.Table, *columns: str
    ) -> "list[pa.ChunkedArray[Any]]":
        """Return columns of a table whose rows are of the orders at these places, as `firsts`."""
        rows = np.full(len(self._ids), -1)
        is_known = places >= 0
        rows[places[is_known][::-1]] = np.flatnonzero(is_known)[::-1]
        taken: Any = pa.array(rows, mask=rows < 0)
        return [table[column].take(taken) for column in columns]


def _last_numbers(ids: Any, start: int) -> npt.NDArray[np.int64]:  # noqa: ANN401 - a column
    """Return the numbers that ids have from a place on; other texts give any number."""
    ends, data = text_parts(ids)
    digits = np.diff(ends) - start
    numbers = np.zeros(len(ids), np.int64)
    for power in range(min(int(digits.max()), _LONGEST_NUMBER)):
        # Those of fewer digits read another byte, which counts nothing.
        digit = data[ends[1:] - (1 + power)] - np.uint8(ord("0"))
        numbers += digit * np.where(digits > power, 10**power, 0)
    return numbers


def _count_orders(table: pa.Table, fills: pa.Table) -> OrderCounts:
    refused = table.filter(pc.is_in(table["status"], pa.array(["denied", "rejected"])))
    # What follows the colon is about the one order; the table has it.
    kinds = pc.replace_substring_regex(pc.fill_null(refused["reason"], ""), r"(?s):.*", "")
    reasons = pc.value_counts(kinds).to_pylist()
    bought, sold = (
        pc.sum(fills.filter(pc.equal(fills["side"], side))["quantity"]).as_py() or Decimal(0)
        for side in ("buy", "sell")
    )
    closing, simulated = (
        table.filter(pc.equal(table["purpose"], purpose)) for purpose in (CLOSE_TAG, SIMULATED_TAG)
    )
    return OrderCounts(
        orders=table.num_rows,
        orders_by_status=_counts(table["status"]),
        orders_by_type=_counts(table["type"]),
        reasons={
            reason["values"]: reason["counts"]
            for reason in sorted(reasons, key=lambda row: -int(row["counts"]))[:20]
        },
        buy_orders=pc.sum(pc.equal(table["side"], "buy")).as_py() or 0,
        buy_quantity=bought,
        sell_orders=pc.sum(pc.equal(table["side"], "sell")).as_py() or 0,
        sell_quantity=sold,
        closing_orders=closing.num_rows,
        closed_quantity=pc.sum(closing["filled"]).as_py() or Decimal(0),
        simulated_quantity=pc.sum(simulated["filled"]).as_py() or Decimal(0),
        orders_filled=pc.sum(pc.greater(table["filled"], pa.scalar(Decimal(0), DECIMAL))).as_py()
        or 0,
    )


def _counts(column: "pa.ChunkedArray[Any]") -> dict[str, int]:
    counted = pc.value_counts(column).to_pylist()
    return {
        count["values"]: count["counts"] for count in sorted(counted, key=lambda e: e["values"])
    }


def write_equity(path: Path, points: Sequence[EquityPoint]) -> None:
    """Write the equity table."""
    write_table(path, rows_table(EQUITY, _EQUITY_ATTRIBUTES, points))


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table of a result as a `TableWriter` does."""
    with TableWriter(path, table.schema) as writer:
        writer.write(table)


class TableWriter:
    """Write a table of a result part by part, so that a part of it is found and read quickly.

    Only texts of a few values get a dictionary: one of amounts or of ids makes the file larger, and
    takes longer to write and to read.

    Parameters
    ----------
    path : Path
        The file.
    schema : pa.Schema
        Columns of the table.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        few = [
            field.name
            for field in schema
            if pa.types.is_string(field.type) and field.name not in ("id", "position_id")
        ]
        self._schema = computable(schema)
        self._held = arrow.table([[] for _ in schema], schema=self._schema)
        self._writer = pq.ParquetWriter(
            path,
            self._schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=few or False,  # type: ignore[arg-type]
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is None:
            self.close()
        else:
            self._writer.close()

    def close(self) -> None:
        """Write what waits, and finish the file."""
        self._write(self._held)
        self._writer.close()

    def write(self, part: pa.Table | pa.RecordBatch) -> None:
        """Write the next rows; some may wait until they make a group."""
        table = pa.Table.from_batches([part]) if isinstance(part, pa.RecordBatch) else part
        table = pa.concat_tables([self._held, table.cast(self._schema)])
        whole = table.num_rows // _GROUP_ROWS * _GROUP_ROWS
        self._write(table[:whole])
        self._held = table[whole:]

    def _write(self, table: pa.Table) -> None:
        if table.num_rows:
            self._writer.write_table(table, row_group_size=_GROUP_ROWS)
