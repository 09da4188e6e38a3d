"""Small raw files for the catalog's tests, and what they must become, worked out row by row."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.instruments import InstrumentSpec, parse_instrument_key

DAY = date(2024, 7, 19)
KEY = parse_instrument_key("BINANCE-FUTURES:PERPETUAL:BTC-USDT")
SPEC = InstrumentSpec(KEY, 1, 3, Decimal(1), Decimal("0.01"), Decimal("0.005"), "USDT")
MIDNIGHT_NS = int(datetime(2024, 7, 19, tzinfo=UTC).timestamp()) * 10**9
PER_UNIT = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
STRINGS = {
    "plain": pa.string(),
    "large": pa.large_string(),
    "dictionary": pa.dictionary(pa.int32(), pa.string()),
}


@dataclass(frozen=True)
class Trade:
    """One trade as an exchange means it: times in whole seconds of the day."""

    second: int
    event_second: int
    price: Decimal
    size: Decimal
    side: str
    trade_id: str


def some_trades(count: int = 500, day_offset: int = 0) -> list[Trade]:
    """Return trades in order of arrival, two per second, with every kind of side."""
    return [
        Trade(
            second=day_offset + 10 + row // 2,
            event_second=day_offset + 9 + row // 2,
            price=Decimal(640_000 + (row * 7919) % 501).scaleb(-1),
            size=Decimal(1 + (row * 104_729) % 99_991).scaleb(-3),
            side=("buy", "sell", "buy", "sell", "unknown")[row % 5],
            trade_id=str(5_000_000 + row),
        )
        for row in range(count)
    ]


def trades_table(
    trades: list[Trade], *, layout: str = "exchange", unit: str = "us", strings: str = "plain"
) -> pa.Table:
    """Return raw trades in one of the two layouts."""
    text = STRINGS[strings]
    event = _times([trade.event_second for trade in trades], unit)
    init = _times([trade.second for trade in trades], unit)
    prices = [float(trade.price) for trade in trades]
    sizes = [float(trade.size) for trade in trades]
    ids = pa.array([trade.trade_id for trade in trades]).cast(text)
    if layout == "exchange":
        return pa.table(
            {
                "exchange": pa.array(["binance-futures"] * len(trades)).cast(text),
                "symbol": pa.array(["BTCUSDT"] * len(trades)).cast(text),
                "timestamp": event,
                "local_timestamp": init,
                "id": ids,
                "side": pa.array([trade.side for trade in trades]).cast(text),
                "price": prices,
                "amount": sizes,
            }
        )
    codes = {"buy": 1, "sell": 2, "unknown": 0}
    return pa.table(
        {
            "instrument_key": pa.array([str(KEY)] * len(trades)).cast(text),
            "ts_event": event,
            "ts_init": init,
            "price": prices,
            "size": sizes,
            "aggressor_side": pa.array([codes[trade.side] for trade in trades], pa.int8()),
            "trade_id": ids,
        }
    )


def catalog_trades(trades: list[Trade]) -> list[dict[str, Any]]:
    """Return the catalog rows that trades must become."""
    sides = {"buy": "BUY", "sell": "SELL", "unknown": "NO_AGGRESSOR"}
    return [
        {
            "price": trade.price,
            "size": trade.size,
            "aggressor_side": sides[trade.side],
            "trade_id": trade.trade_id,
            "ts_event": MIDNIGHT_NS + trade.event_second * 10**9,
            "ts_init": MIDNIGHT_NS + trade.second * 10**9,
        }
        for trade in trades
    ]


def books_table(
    seconds: list[int],
    *,
    layout: str = "exchange",
    unit: str = "us",
    levels: int = 5,
    **changed: Any,
) -> pa.Table:
    """Return raw books around 64000.0; `changed` replaces columns such as ``ask_price_2``."""
    count = len(seconds)
    names = ("timestamp", "local_timestamp") if layout == "exchange" else ("ts_event", "ts_init")
    columns: dict[str, Any] = {name: _times(seconds, unit) for name in names}
    for level in range(levels):
        for side, sign in (("ask", 1), ("bid", -1)):
            start = 640_001 if side == "ask" else 640_000
            prices = [(start + sign * level + row % 7) / 10 for row in range(count)]
            sizes = [(1 + level + row % 11) / 1000 for row in range(count)]
            for part, values in (("price", prices), ("size", sizes)):
                role = f"{side}_{part}_{level}"
                name = role
                if layout == "exchange":
                    name = f"{side}s[{level}].{'price' if part == 'price' else 'amount'}"
                columns[name] = pa.array(changed.get(role, values), pa.float64())
    return pa.table(columns)


def write_raw(table: pa.Table, path: Path, row_group_size: int | None = None) -> str:
    """Write a raw file; return its path as text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=row_group_size)
    return str(path)


def catalog_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a catalog file, times as int ns."""
    table = pq.read_table(path)
    for name in ("ts_event", "ts_init"):
        index = table.schema.get_field_index(name)
        table = table.set_column(index, name, table[name].cast(pa.int64()))
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def previous_day(day: date = DAY) -> date:
    """Return the day before."""
    return day - timedelta(days=1)


def _times(seconds: list[int], unit: str) -> "pa.Array[Any]":
    if unit.startswith("timestamp"):
        arrow_unit: Any
        _, arrow_unit, zone = unit.split("-")
        nanoseconds = [MIDNIGHT_NS + second * 10**9 for second in seconds]
        values = [time // PER_UNIT[arrow_unit] for time in nanoseconds]
        kind = pa.timestamp(arrow_unit, None if zone == "naive" else zone)
        return pa.array(values, pa.int64()).cast(kind)
    factor = PER_UNIT[unit]
    return pa.array([(MIDNIGHT_NS + second * 10**9) // factor for second in seconds], pa.int64())
