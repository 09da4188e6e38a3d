"""Recording what happens to orders, whatever the strategy does.

What belongs here: a strategy class is wrapped so that its order events are written down before the
strategy sees them, and its positions are closed at the end of the window. What does not: judging the
events (``ledger``, ``tables``).

The engine purges closed orders so that memory stays flat, so the tables of a run are made from what
is recorded here, flushed to disk in batches.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from nautilus_trader.common import TimeEvent
from nautilus_trader.model import (
    LiquiditySide,
    OrderCanceled,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderInitialized,
    OrderRejected,
    OrderSide,
    OrderType,
    PositionId,
    Quantity,
    TimeInForce,
)

from odum_assets.backtest.strategies.base import OdumStrategy

_FLUSH_ROWS = 50_000
_DECIMAL = pa.decimal128(38, 16)

ORDER_EVENTS = pa.schema(
    [
        ("ts", pa.int64()),
        ("order_id", pa.string()),
        ("side", pa.string()),
        ("type", pa.string()),
        ("time_in_force", pa.string()),
        ("price", _DECIMAL),
        ("amount", _DECIMAL),
        ("parent_id", pa.string()),
        ("algorithm", pa.string()),
        ("purpose", pa.string()),
    ]
)
"""Orders as they were created, in order; `parent_id` is the order that a part was made of."""

FILL_EVENTS = pa.schema(
    [
        ("ts", pa.int64()),
        ("order_id", pa.string()),
        ("position_id", pa.string()),
        ("side", pa.string()),
        ("price", _DECIMAL),
        ("quantity", _DECIMAL),
        ("commission", _DECIMAL),
        ("liquidity", pa.string()),
    ]
)
"""Executions in order of time; one order may have several."""

END_EVENTS = pa.schema(
    [("ts", pa.int64()), ("order_id", pa.string()), ("status", pa.string()), ("reason", pa.string())]
)
"""How orders ended other than by filling."""

CLOSE_TAG = "close_positions"

_SIDES = {OrderSide.BUY: "buy", OrderSide.SELL: "sell"}
_TYPES: dict[Any, str] = {OrderType.LIMIT: "LIMIT", OrderType.MARKET: "MARKET"}
_LIFETIMES: dict[Any, str] = {
    TimeInForce.IOC: "IOC",
    TimeInForce.FOK: "FOK",
    TimeInForce.GTC: "GTC",
}
_LIQUIDITY = {LiquiditySide.MAKER: "maker", LiquiditySide.TAKER: "taker"}


class EventTable:
    """Rows collected in memory and written to a parquet file in batches.

    Parameters
    ----------
    path : Path
        The file; it always exists after `close`, with no rows if there were none.
    schema : pa.Schema
        Columns, in the order of a row's values.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._schema = schema
        self._rows: list[tuple[Any, ...]] = []
        self._writer = pq.ParquetWriter(path, schema, compression="zstd", compression_level=1)
        self.add = self._rows.append
        self.rows_written = 0

    def flush_if_full(self) -> None:
        """Write the rows when there are enough for a batch."""
        if len(self._rows) >= _FLUSH_ROWS:
            self._flush()

    def close(self) -> None:
        """Write what is left and close the file."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if not self._rows:
            return
        columns = [
            pa.array(values, type=field.type)
            for values, field in zip(zip(*self._rows, strict=True), self._schema, strict=True)
        ]
        self._writer.write_batch(pa.record_batch(columns, schema=self._schema))
        self.rows_written += len(self._rows)
        self._rows.clear()


class Journal:
    """Everything that is recorded of one run.

    Parameters
    ----------
    folder : Path
        Where the event tables are written.
    """

    def __init__(self, folder: Path) -> None:
        self.orders = EventTable(folder / "order_events.parquet", ORDER_EVENTS)
        self.fills = EventTable(folder / "fill_events.parquet", FILL_EVENTS)
        self.ends = EventTable(folder / "end_events.parquet", END_EVENTS)
        self.order_count = 0
        self.fill_count = 0
        self.open_quantity: dict[str, Decimal] = {}
        """Signed open quantity by position id."""
        self.open_before_closing: dict[str, Decimal] = {}
        self.closing_at_ns: int | None = None

    def close(self) -> None:
        """Write everything to disk."""
        for table in (self.orders, self.fills, self.ends):
            table.close()


@contextmanager
def journal(folder: Path) -> Iterator[Journal]:
    """Record into a folder and close the files at the end, whatever happens."""
    record = Journal(folder)
    try:
        yield record
    finally:
        record.close()


def recorded(
    strategy: type[OdumStrategy], record: Journal, close_at_ns: int | None
) -> type[OdumStrategy]:
    """Return a subclass of a strategy whose order events are recorded.

    Parameters
    ----------
    strategy : type[OdumStrategy]
        Any strategy; it needs no code for this and cannot switch it off by overriding a callback.
    record : Journal
        Where events go.
    close_at_ns : int or None
        Moment (ns) at which open orders are canceled and open positions closed by market orders;
        None leaves them.

    Returns
    -------
    type[OdumStrategy]
        The class to build in place of `strategy`.
    """
    orders, fills, ends = record.orders, record.fills, record.ends
    open_quantity = record.open_quantity

    class Recorded(strategy):  # type: ignore[misc, valid-type]
        def on_start(self) -> None:
            if close_at_ns is not None:
                self.clock.set_time_alert_ns("odum.close", close_at_ns, self._odum_close)
            super().on_start()

        def _odum_close(self, event: TimeEvent) -> None:
            instrument_id = self.setup.instrument_id
            self.cancel_all_orders(instrument_id)
            record.closing_at_ns = event.ts_event
            record.open_before_closing.update(
                {name: amount for name, amount in open_quantity.items() if amount}
            )
            # Not close_all_positions: it copies each position with all its fills.
            for name, amount in list(record.open_before_closing.items()):
                order = self.order_factory.market(
                    instrument_id,
                    OrderSide.SELL if amount > 0 else OrderSide.BUY,
                    Quantity.from_decimal_dp(abs(amount), self.setup.size_precision),
                    reduce_only=True,
                    tags=[CLOSE_TAG],
                )
                self.submit_order(order, position_id=PositionId(name))

        def on_order_initialized(self, event: OrderInitialized) -> None:
            record.order_count += 1
            spawn, price, tags = event.exec_spawn_id, event.price, event.tags
            order_id = str(event.client_order_id)
            algorithm = event.exec_algorithm_id
            parent = None if spawn is None else str(spawn)
            orders.add(
                (
                    event.ts_init,
                    order_id,
                    _SIDES[event.order_side],
                    _TYPES.get(event.order_type) or str(event.order_type),
                    _LIFETIMES.get(event.time_in_force) or str(event.time_in_force),
                    None if price is None else price.as_decimal(),
                    event.quantity.as_decimal(),
                    None if parent == order_id else parent,
                    None if algorithm is None else str(algorithm),
                    CLOSE_TAG if tags and CLOSE_TAG in tags else None,
                )
            )
            orders.flush_if_full()
            super().on_order_initialized(event)

        def on_order_filled(self, event: OrderFilled) -> None:
            record.fill_count += 1
            is_buy = event.is_buy
            quantity = event.last_qty.as_decimal()
            position = str(event.position_id)
            commission = event.commission
            open_quantity[position] = open_quantity.get(position, Decimal(0)) + (
                quantity if is_buy else -quantity
            )
            fills.add(
                (
                    event.ts_event,
                    str(event.client_order_id),
                    position,
                    "buy" if is_buy else "sell",
                    event.last_px.as_decimal(),
                    quantity,
                    None if commission is None else commission.as_decimal(),
                    _LIQUIDITY.get(event.liquidity_side),
                )
            )
            fills.flush_if_full()
            super().on_order_filled(event)

        def on_order_canceled(self, event: OrderCanceled) -> None:
            ends.add((event.ts_event, str(event.client_order_id), "canceled", None))
            ends.flush_if_full()
            super().on_order_canceled(event)

        def on_order_expired(self, event: OrderExpired) -> None:
            ends.add((event.ts_event, str(event.client_order_id), "expired", None))
            ends.flush_if_full()
            super().on_order_expired(event)

        def on_order_denied(self, event: OrderDenied) -> None:
            ends.add((event.ts_event, str(event.client_order_id), "denied", event.reason))
            ends.flush_if_full()
            super().on_order_denied(event)

        def on_order_rejected(self, event: OrderRejected) -> None:
            ends.add((event.ts_event, str(event.client_order_id), "rejected", event.reason))
            ends.flush_if_full()
            super().on_order_rejected(event)

    Recorded.__name__ = strategy.__name__
    Recorded.__qualname__ = strategy.__qualname__
    return Recorded
