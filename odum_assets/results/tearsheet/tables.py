"""What a tearsheet takes from the tables of a report: series for its charts, and round trips."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from odum_assets.catalog.arrow import kernels as pc
from odum_assets.results.store import ResultEntry, ResultError
from odum_assets.results.tearsheet.buckets import Rows, Times, Values

TRADES = 40
"""At most so many round trips are listed."""

_FILL_AMOUNTS = ("price", "position_quantity", "balance")
_TRADE_COLUMNS = (
    "side",
    "opened",
    "closed",
    "peak_quantity",
    "avg_entry_price",
    "avg_exit_price",
    "net_pnl",
    "commissions",
    "fills",
)


@dataclass(frozen=True, slots=True)
class FillSeries:
    """Fills in order of time, length n: what they paid and what the account had after each."""

    times: Times
    is_buy: NDArray[np.bool_]
    price: Values
    position: Values
    balance: Values


@dataclass(frozen=True, slots=True)
class EquitySeries:
    """The account marked to the market, length n; the price is NaN before the first trade."""

    times: Times
    equity: Values
    price: Values


@dataclass(frozen=True, slots=True)
class Trades:
    """Round trips to list, in order of their opening; what is open at the end is one, too.

    Parameters
    ----------
    rows : list[dict[str, Any]]
        Times in nanoseconds, amounts as numbers.
    closed, still_open : int
        How many the table has.
    """

    rows: list[dict[str, Any]]
    closed: int
    still_open: int


def read_fills(entry: ResultEntry) -> FillSeries:
    """Read the fills of a report."""
    kinds = {"timestamp": _ns, "side": _is_buy, **dict.fromkeys(_FILL_AMOUNTS, _floats)}
    return FillSeries(*_columns(entry, "fills", kinds))


def read_equity(entry: ResultEntry) -> EquitySeries:
    """Read the marked equity of a report.

    Raises
    ------
    ResultError
        If it has no rows.
    """
    kinds = {"timestamp": _ns, "portfolio_value": _floats, "price": _floats}
    equity = EquitySeries(*_columns(entry, "equity", kinds))
    if not len(equity.times):
        raise ResultError(f"{entry.report_file('equity.parquet').path}: the table has no rows")
    return equity


def read_trades(entry: ResultEntry) -> Trades:
    """Read the round trips of a report: all, or half of `TRADES` with the best and the worst."""
    kinds = dict.fromkeys(_TRADE_COLUMNS, _as_is)
    table = pa.table(dict(zip(_TRADE_COLUMNS, _columns(entry, "positions", kinds), strict=True)))
    kept = table.take(_best_and_worst(_floats(table["net_pnl"])))
    for name in ("opened", "closed"):
        number = kept.schema.get_field_index(name)
        kept = kept.set_column(number, name, kept[name].cast(pa.int64()))
    # Python's decimals become the nearest float, which Arrow's do not always.
    rows = [
        {name: float(value) if isinstance(value, Decimal) else value for name, value in row.items()}
        for row in kept.to_pylist()
    ]
    rows.sort(key=lambda row: row["opened"])
    still_open = table["closed"].null_count
    return Trades(rows, table.num_rows - still_open, still_open)


def _best_and_worst(net: Values) -> Rows:
    if len(net) <= TRADES:
        return np.arange(len(net))
    order = np.argsort(net, kind="stable")
    return np.concatenate([order[: TRADES // 2], order[-TRADES // 2 :]])


def _columns(
    entry: ResultEntry, table: str, kinds: Mapping[str, Callable[[Any], Any]]
) -> list[Any]:
    """Read columns of a table one by one, each turned into what its function returns."""
    file = entry.report_file(f"{table}.parquet")
    with file.opened() as path:
        try:
            with pq.ParquetFile(path) as parquet:
                return [convert(parquet.read([name])[name]) for name, convert in kinds.items()]
        except (pa.ArrowInvalid, KeyError) as error:
            raise ResultError(f"{file.path}: not a table of {table} ({error})") from error


def _as_is(column: "pa.ChunkedArray[Any]") -> "pa.ChunkedArray[Any]":
    return column


def _is_buy(column: "pa.ChunkedArray[Any]") -> "NDArray[np.bool_]":
    is_buy: NDArray[np.bool_] = pc.equal(column, "buy").to_numpy()
    return is_buy


def _ns(column: "pa.ChunkedArray[Any]") -> Times:
    times: Times = column.cast(pa.int64()).to_numpy()
    return times


def _floats(column: "pa.ChunkedArray[Any]") -> Values:
    """Return decimals as floats, nulls as NaN.

    Arrow's own cast takes five times as long, more than all else of a page of a million fills.
    """
    if column.null_count or not len(column):
        floats: Values = column.cast(pa.float64()).to_numpy()
        return floats
    return np.concatenate([_decimals(chunk) for chunk in column.chunks])


def _decimals(chunk: Any) -> Values:  # noqa: ANN401 - its buffers have no type
    """Return 128-bit decimals without nulls as floats."""
    words = np.frombuffer(chunk.buffers()[1], np.uint64).reshape(-1, 2)
    # The low word first.
    low, high = words[chunk.offset : chunk.offset + len(chunk)].T
    is_negative = high >> 63 == 1
    has_negative = bool(is_negative.any())
    if has_negative:
        # Their sizes: of a complement, the leading digits would use up the float's.
        high = np.where(is_negative, ~high + (low == 0), high)
        low = np.where(is_negative, ~low + 1, low)
    size: Values = (high * 2.0**64 + low) / 10.0**chunk.type.scale
    return np.where(is_negative, -size, size) if has_negative else size
