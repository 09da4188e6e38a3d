"""The tables of a run, made from what was recorded: orders, fills, positions, equity.

All columns are Arrow; orders are joined with their fills and ends without a loop over rows.
"""

from collections.abc import Iterable, Iterator
from decimal import ROUND_HALF_EVEN, Context, Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.backtest.equity import Sample
from odum_assets.backtest.journal import read_event_table, read_events, signed_quantity
from odum_assets.backtest.ledger import AccountRules, Counted, Fills, RoundTrip
from odum_assets.catalog.arrow import arrow
from odum_assets.catalog.arrow import kernels as pc
from odum_assets.catalog.fixed_point import DECIMAL, column_units, units_column
from odum_assets.catalog.nautilus_schema import TIME
from odum_assets.errors import BacktestError

_QUANTUM = Decimal("1e-16")
_WIDE = Context(prec=38, rounding=ROUND_HALF_EVEN)

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


def read_fills(path: Path, rules: AccountRules) -> Iterator[tuple[pa.RecordBatch, Fills]]:
    """Yield the recorded fills by batches, as columns and as ledger entries.

    Raises
    ------
    BacktestError
        If times go back: samples would not hold what came before them.
    """
    last = 0
    for batch in read_events(path):
        fills = _entries(batch, rules)
        if fills.ts[0] < last or np.any(np.diff(fills.ts) < 0):
            raise BacktestError("NautilusTrader reported fills out of order of time")
        last = fills.ts[-1]
        yield batch, fills


def _entries(batch: pa.RecordBatch, rules: AccountRules) -> Fills:
    times: list[Any] = batch["ts"].to_pylist()
    names: list[Any] = batch["position_id"].to_pylist()
    return Fills(
        ts=times,
        position_id=names,
        quantity=column_units(signed_quantity(batch), rules.size_precision),
        price=column_units(batch["price"], rules.price_precision),
        commission=column_units(
            pc.fill_null(batch["commission"], Decimal(0)), rules.currency_precision
        ),
    )


class FillsWriter:
    """Write the fills table batch by batch while the ledger counts."""

    def __init__(self, path: Path, rules: AccountRules) -> None:
        self._rules = rules
        self._writer = pq.ParquetWriter(path, FILLS, compression="zstd", compression_level=1)

    def write(self, batch: pa.RecordBatch, counted: Counted) -> None:
        """Write one batch of recorded fills with what the ledger says after each."""
        money, size = self._rules.currency_precision, self._rules.size_precision
        self._writer.write_batch(
            pa.record_batch(
                [
                    batch["ts"].cast(TIME),
                    *(
                        batch[name]
                        for name in (
                            "order_id",
                            "position_id",
                            "side",
                            "price",
                            "quantity",
                            "commission",
                            "liquidity",
                        )
                    ),
                    units_column(counted.realized, money, DECIMAL),
                    units_column(counted.cash, money, DECIMAL),
                    units_column(counted.quantity, size, DECIMAL),
                ],
                schema=FILLS,
            )
        )

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()


def write_orders(folder: Path, path: Path) -> dict[str, Any]:
    """Join orders with their fills and ends, write the orders table and count it.

    Parameters
    ----------
    folder : Path
        The recorded events.
    path : Path
        The orders table: one row per order in order of creation, with ``status`` (filled, canceled,
        expired, denied, rejected, open), ``filled`` quantity, average fill price and reason. The
        amount of an order that an algorithm worked is its own last part: what its parts sent is
        theirs, so that no quantity counts twice.

    Returns
    -------
    dict[str, Any]
        Orders by status, by side, by type, and reasons of denied and rejected orders.
    """
    orders = read_event_table(folder / "order_events.arrow")
    fills = read_event_table(folder / "fill_events.arrow")
    ends = read_event_table(folder / "end_events.arrow")
    orders = _changed(orders, read_event_table(folder / "change_events.arrow"))
    totals = _totals_by_order(fills)
    filled = _lookup(orders["order_id"], totals["order_id"], totals["filled"])
    average = _lookup(orders["order_id"], totals["order_id"], totals["average"])
    # The first end counts: a canceled order can be refused a second cancel.
    ended = _lookup(orders["order_id"], ends["order_id"], ends["status"])
    reason = _lookup(orders["order_id"], ends["order_id"], ends["reason"])
    ended_ts = _lookup(orders["order_id"], ends["order_id"], ends["ts"])
    filled = pc.fill_null(filled, pa.scalar(Decimal(0), DECIMAL))
    status = pc.if_else(
        pc.greater_equal(filled, orders["amount"]), "filled", pc.fill_null(ended, "open")
    )
    table = arrow.table(
        {
            "timestamp": orders["ts"].cast(TIME),
            "id": orders["order_id"],
            "side": orders["side"],
            "type": orders["type"],
            "time_in_force": orders["time_in_force"],
            "price": orders["price"],
            "amount": orders["amount"],
            "status": status,
            "filled": filled,
            "avg_fill_price": average,
            "reason": reason,
            "ended": ended_ts.cast(TIME),
            "parent_id": orders["parent_id"],
            "exec_algorithm": orders["algorithm"],
            "purpose": orders["purpose"],
        }
    )
    pq.write_table(table, path, compression="zstd", compression_level=1)
    return _count_orders(table)


def _changed(orders: pa.Table, changes: pa.Table) -> pa.Table:
    """Return the orders with the price and amount that they had last."""
    latest_first = changes.take(np.arange(changes.num_rows)[::-1])
    for name in ("price", "amount"):
        given = latest_first.filter(pc.is_valid(latest_first[name]))
        last = _lookup(orders["order_id"], given["order_id"], given[name])
        orders = orders.set_column(
            orders.schema.get_field_index(name), name, pc.coalesce(last, orders[name])
        )
    return orders


def _totals_by_order(fills: pa.Table) -> pa.Table:
    value = pc.multiply(fills["price"].cast(pa.float64()), fills["quantity"].cast(pa.float64()))
    grouped = (
        fills.append_column("value", value)
        .group_by("order_id", use_threads=False)
        .aggregate([("quantity", "sum"), ("value", "sum")])
    )
    filled = grouped["quantity_sum"].cast(DECIMAL)
    average = pc.divide(grouped["value_sum"], filled.cast(pa.float64()))
    found: pa.Table = arrow.table(
        {"order_id": grouped["order_id"], "filled": filled, "average": average}
    )
    return found


def _lookup(
    wanted: "pa.ChunkedArray[Any]", keys: "pa.ChunkedArray[Any]", values: "pa.ChunkedArray[Any]"
) -> "pa.ChunkedArray[Any]":
    """Return the value of each wanted key, null where there is none; the first of equal keys."""
    if len(keys) == 0:
        return pa.chunked_array([pa.nulls(len(wanted), values.type)])
    index = pc.index_in(wanted, value_set=keys.combine_chunks())
    return values.take(index)


def _count_orders(table: pa.Table) -> dict[str, Any]:
    refused = table.filter(pc.is_in(table["status"], pa.array(["denied", "rejected"])))
    # What follows the colon is about the one order; the table has it.
    kinds = pc.replace_substring_regex(pc.fill_null(refused["reason"], ""), r"(?s):.*", "")
    reasons = pc.value_counts(kinds).to_pylist()
    by_side = {
        side: table.filter(pc.equal(table["side"], side))["amount"] for side in ("buy", "sell")
    }
    return {
        "orders": table.num_rows,
        "orders_by_status": _counts(table["status"]),
        "orders_by_type": _counts(table["type"]),
        "reasons": {
            each["values"]: each["counts"]
            for each in sorted(reasons, key=lambda each: -int(each["counts"]))[:20]
        },
        "buy_orders": len(by_side["buy"]),
        "buy_quantity": str(pc.sum(by_side["buy"]).as_py() or Decimal(0)),
        "sell_orders": len(by_side["sell"]),
        "sell_quantity": str(pc.sum(by_side["sell"]).as_py() or Decimal(0)),
        "orders_filled": pc.sum(pc.greater(table["filled"], pa.scalar(Decimal(0), DECIMAL))).as_py()
        or 0,
    }


def _counts(column: "pa.ChunkedArray[Any]") -> dict[str, int]:
    counted = pc.value_counts(column).to_pylist()
    return {each["values"]: each["counts"] for each in sorted(counted, key=lambda e: e["values"])}


def write_positions(
    path: Path, closed: Iterable[RoundTrip], still_open: Iterable[RoundTrip]
) -> None:
    """Write the positions table: round trips in order of their end, then what is open."""
    trips = [*closed, *still_open]
    columns: list[list[Any]] = [
        [trip.position_id for trip in trips],
        [trip.side for trip in trips],
        ["open" if trip.closed_ts is None else "closed" for trip in trips],
        [trip.opened_ts for trip in trips],
        [trip.closed_ts for trip in trips],
        [trip.quantity for trip in trips],
        [trip.peak_quantity for trip in trips],
        [_fit(trip.average_open) for trip in trips],
        [_fit(trip.average_close) for trip in trips],
        [trip.realized_pnl for trip in trips],
        [trip.commissions for trip in trips],
        [trip.net_pnl for trip in trips],
        [trip.fills for trip in trips],
    ]
    _write(path, POSITIONS, columns)


def write_equity(path: Path, samples: Iterable[Sample]) -> None:
    """Write the equity table."""
    rows = list(samples)
    columns: list[list[Any]] = [
        [each.ts for each in rows],
        [each.equity for each in rows],
        [each.cash for each in rows],
        [each.realized for each in rows],
        [each.unrealized for each in rows],
        [each.quantity for each in rows],
        [_fit(each.entry) for each in rows],
        [each.price for each in rows],
    ]
    _write(path, EQUITY, columns)


def _write(path: Path, schema: pa.Schema, columns: list[list[Any]]) -> None:
    arrays = [
        pa.array(values, pa.int64()).cast(TIME)
        if field.type == TIME
        else pa.array(values, field.type)
        for values, field in zip(columns, schema, strict=True)
    ]
    pq.write_table(arrow.table(arrays, schema=schema), path, compression="zstd")


def _fit(value: Decimal | None) -> Decimal | None:
    """Round an average to the table's 16 decimals."""
    return None if value is None else value.quantize(_QUANTUM, context=_WIDE)
