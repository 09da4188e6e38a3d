"""What happened around a moment, to the nanosecond: the market, and the life of orders."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.catalog.arrow import kernels as pc
from odum_assets.catalog.fixed_point import Float64s, Int64s
from odum_assets.raw.layout import DataType
from odum_assets.results.buckets import is_value, nearest_floats
from odum_assets.results.curve import known
from odum_assets.results.market import PartitionNow, rows_in_order
from odum_assets.results.scanning import scan, times_of
from odum_assets.results.tables import TableFile

MOST_ROWS: Final = 5_000
LEVELS: Final = 5
_SIDES: Final = {"BUY": "buy", "SELL": "sell"}
_LATEST: Final = 2**63 - 1

type Columns = dict[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Span:
    """A span of time around a moment, ns; its end is excluded."""

    at: int
    start: int
    end: int

    def nearest(self, times: Int64s) -> tuple[slice, bool]:
        """Return which of rows in order of time are given, and whether others are left out."""
        if len(times) <= MOST_ROWS:
            return slice(0, len(times)), False
        middle = int(times.searchsorted(self.at))
        first = min(max(0, middle - MOST_ROWS // 2), len(times) - MOST_ROWS)
        return slice(first, first + MOST_ROWS), True


def trade_columns(rows: pa.Table, span: Span) -> Columns:
    """Return trades: time after the moment, price, size, side of the aggressor, id."""
    sides = [_SIDES.get(str(side), "none") for side in rows["aggressor_side"].to_pylist()]
    return {
        **_times(rows, span),
        "price": nearest_floats(one(rows["price"])).tolist(),
        "size": nearest_floats(one(rows["size"])).tolist(),
        "side": sides,
        "trade_id": rows["trade_id"].to_pylist(),
    }


def book_columns(rows: pa.Table, span: Span) -> Columns:
    """Return books: of each side five levels, the best first, each with a value per row."""
    columns: Columns = dict(_times(rows, span))
    for name, column in (("bid", one(rows["bids"])), ("ask", one(rows["asks"]))):
        starts = np.asarray(column.offsets)
        for part in ("price", "size"):
            values = nearest_floats(column.values.field(part))
            columns[f"{name}_{part}"] = [
                known(_level(values, starts, level)) for level in range(LEVELS)
            ]
    return columns


def bar_columns(rows: pa.Table, span: Span) -> Columns:
    """Return bars: their close after the moment, prices and volume."""
    names = {"o": "open", "h": "high", "l": "low", "c": "close", "v": "volume"}
    return {
        "dt_ns": _times(rows, span)["dt_ns"],
        **{short: nearest_floats(one(rows[name])).tolist() for short, name in names.items()},
    }


MARKET: Final = {
    DataType.TRADES: ("price", "size", "aggressor_side", "trade_id", "ts_event"),
    DataType.BOOK: ("bids", "asks", "ts_event"),
}
"""Columns of the catalog that are read, by kind of data."""

BARS: Final = ("open", "high", "low", "close", "volume", "ts_event")


def market_rows(
    partitions: Sequence[PartitionNow], columns: Sequence[str], span: Span
) -> tuple[pa.Table, bool]:
    """Return rows of one kind of data, those nearest to the moment, and whether there are more."""
    return _collected(rows_in_order(partitions, columns, span.start, span.end), span)


def books_around(partitions: Sequence[PartitionNow], span: Span) -> tuple[pa.Table, bool]:
    """Return books as `market_rows`, and before them the one that stood when the span begins."""
    columns = MARKET[DataType.BOOK]
    before: pa.RecordBatch | None = None
    inside: list[tuple[Int64s, pa.RecordBatch]] = []
    begin = span.start - _LOOKBACK_NS
    for times, batch in rows_in_order(partitions, columns, begin, span.end):
        first = int(times.searchsorted(span.start))
        if first:
            before = batch.slice(first - 1, 1)
        if first < len(times):
            inside.append((times[first:], batch.slice(first)))
    rows, more = _collected(inside, span)
    if before is None or more:
        return rows, more
    parts = [before, *rows.to_batches()] if rows.num_rows else [before]
    return pa.Table.from_batches(parts).combine_chunks(), False


_LOOKBACK_NS: Final = 600_000_000_000
"""Longest age of a book that is given as the one that stands, ns."""


def exported_rows(ticks: TableFile, span: Span) -> tuple[pa.Table, bool]:
    """Return trades of the run's own export, as `market_rows`."""
    names = MARKET[DataType.TRADES]
    return _collected(scan(ticks, "ts_init", names, span.start, span.end), span)


def fill_columns(fills: TableFile, span: Span, instrument: str | None) -> tuple[Columns, bool]:
    """Return fills, and whether there are more."""
    numbers = ("price", "quantity", "commission", "realized_pnl", "position_quantity")
    texts = ("order_id", "side", "liquidity")
    names = (*numbers, *texts, "instrument")
    batches = scan(fills, "timestamp", names, span.start, span.end)
    rows, more = _collected(_of_instrument(batches, instrument), span, "timestamp")
    if not rows.num_rows:
        return {name: [] for name in ("dt_ns", *numbers, *texts)}, False
    return {**_times(rows, span, "timestamp"), **_values(rows, numbers, texts)}, more


def order_columns(
    orders: TableFile, fills: TableFile, span: Span, instrument: str | None
) -> tuple[Columns, bool]:
    """Return orders that were alive in the span, and whether there are more.

    An order that was filled ends with its last fill, which the orders' table does not say. Of a
    large table only orders are given that were made in the span or in ten minutes before it.
    """
    numbers = ("price", "amount", "filled", "avg_fill_price")
    texts = ("id", "side", "type", "status", "reason", "purpose")
    names = ("ended", "time_in_force", "instrument", *numbers, *texts)
    with orders.opened() as path:
        horizon = _HORIZON if pq.read_metadata(path).num_rows > _LARGE else span.start
    batches = scan(orders, "timestamp", names, span.start - horizon, span.end)
    columns = [
        batch.filter(pa.array(_may_live(times, batch, span, instrument)))
        for times, batch in batches
    ]
    if not any(batch.num_rows for batch in columns):
        empty: Columns = {name: [] for name in ("dt_ns", "ended_dt_ns", *numbers, *texts)}
        return empty, False
    table = pa.Table.from_batches(columns)
    until = None if horizon == span.start else span.end + horizon
    ended = _ends(table, fills, until)
    alive = ended >= span.start
    table, ended = table.filter(pa.array(alive)), ended[alive]
    some, more = span.nearest(times_of(one(table["timestamp"])))
    table, ended = table.slice(some.start, some.stop - some.start), ended[some]
    return {
        "dt_ns": _times(table, span, "timestamp")["dt_ns"],
        "ended_dt_ns": [None if end == _LATEST else end - span.at for end in ended.tolist()],
        **_values(table, numbers, texts),
    }, more


def _may_live(
    times: Int64s, batch: pa.RecordBatch, span: Span, instrument: str | None
) -> npt.NDArray[np.bool_]:
    """Return which orders may be alive in the span: when filled ones ended is not known here."""
    ended = batch["ended"].cast(pa.int64()).fill_null(-1).to_numpy()
    at_once = is_value(batch, "type", "MARKET")
    for force in ("IOC", "FOK"):
        at_once |= is_value(batch, "time_in_force", force)
    # What fills at once takes no longer than latencies.
    recent = ~at_once | (times >= span.start - _AT_ONCE)
    filled = is_value(batch, "status", "filled") & (ended < 0) & recent
    living = is_value(batch, "status", "open") | filled | (ended >= span.start)
    return living & is_value(batch, "instrument", instrument)


_LARGE: Final = 200_000
_HORIZON: Final = 600_000_000_000
_AT_ONCE: Final = 60_000_000_000


def _ends(table: pa.Table, fills: TableFile, until: int | None) -> Int64s:
    """Return when orders ended, ns, by fills until then; the largest time for what is open."""
    ends: Int64s = one(table["ended"]).cast(pa.int64()).fill_null(-1).to_numpy().copy()
    unknown = ends < 0
    wanted = one(table["id"]).filter(pa.array(unknown))
    if not len(wanted):
        return ends
    # Open ones, and orders whose parts an algorithm filled.
    last = np.full(len(wanted), _LATEST, np.int64)
    is_filled = is_value(table, "status", "filled")[unknown]
    last[is_filled] = -1
    filled_at = times_of(one(table["timestamp"]))[unknown][is_filled]
    if len(filled_at):
        for times, batch in scan(fills, "timestamp", ("order_id",), int(filled_at.min()), until):
            at = pc.index_in(batch["order_id"], value_set=wanted)
            rows = np.flatnonzero(at.is_valid().to_numpy(zero_copy_only=False))
            places = at.take(rows).to_numpy()
            last[places] = np.where(is_filled[places], times[rows], last[places])
    last[last < 0] = _LATEST
    ends[unknown] = last
    return ends


def _of_instrument(
    batches: Iterable[tuple[Int64s, pa.RecordBatch]], instrument: str | None
) -> Iterator[tuple[Int64s, pa.RecordBatch]]:
    for times, batch in batches:
        if instrument is None or "instrument" not in batch.schema.names:
            yield times, batch
            continue
        rows = pc.indices_nonzero(pc.equal(batch["instrument"], instrument))
        yield times[rows.to_numpy()], batch.take(rows)


def _collected(
    batches: Iterable[tuple[Int64s, pa.RecordBatch]], span: Span, time: str = "ts_init"
) -> tuple[pa.Table, bool]:
    """Return the rows nearest to the moment as one table, and whether others are left out."""
    kept: pa.Table | None = None
    more = False
    for _, batch in batches:
        both = [batch] if kept is None else [*kept.to_batches(), batch]
        kept = pa.Table.from_batches(both).combine_chunks()
        some, cut = span.nearest(times_of(one(kept[time])))
        more = more or cut
        kept = kept.slice(some.start, some.stop - some.start)
    return (pa.table({}) if kept is None else kept), more


def _times(rows: pa.Table, span: Span, time: str = "ts_init") -> dict[str, list[int]]:
    columns = {"dt_ns": (times_of(one(rows[time])) - span.at).tolist()}
    if "ts_event" in rows.column_names:
        columns["event_dt_ns"] = (times_of(one(rows["ts_event"])) - span.at).tolist()
    return columns


def _values(rows: pa.Table, numbers: Sequence[str], texts: Sequence[str]) -> Columns:
    return {
        **{name: known(nearest_floats(one(rows[name]))) for name in numbers},
        **{name: rows[name].to_pylist() for name in texts},
    }


def _level(values: Float64s, starts: Int64s, level: int) -> Float64s:
    """Return a level of each book, nan where there are fewer."""
    is_there = starts[1:] - starts[:-1] > level
    level_values = np.full(len(is_there), np.nan)
    level_values[is_there] = values[starts[:-1][is_there] + level]
    return level_values


def one(column: Any) -> Any:  # noqa: ANN401 - a column
    """Return a column of a table as one array."""
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
