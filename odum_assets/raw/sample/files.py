"""Writing sample days: columns and types as Tardis delivers them, one parquet file each.

A file appears whole or not at all, and the same request gives the same bytes (for one version of
pyarrow). What is in the rows comes from `market` and `ticker`.
"""

import datetime as dt
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from odum_assets.errors import ConfigError, DataError
from odum_assets.instruments.keys import Product, parse_instrument_key
from odum_assets.raw.layout import DataType, raw_file_path
from odum_assets.raw.sample.draws import Floats, Ints
from odum_assets.raw.sample.market import ASK, BID, LEVELS, Clock, DaySimulation
from odum_assets.raw.sample.spec import SampleSpec, names_of
from odum_assets.raw.sample.ticker import make_ticker
from odum_assets.utc import day_start_ns

ROW_GROUP = 100_000

type Column = pa.Array[Any]


@dataclass(frozen=True)
class SampleFile:
    """Describe a written file.

    Parameters
    ----------
    path : Path
        Where it is.
    key : str
        Instrument.
    data_type : str
        trades, book_snapshot_5 or derivative_ticker.
    day : datetime.date
        Day (UTC).
    rows : int
        Number of rows.
    sha256 : str
        Hash of its bytes, in hex.
    """

    path: Path
    key: str
    data_type: str
    day: dt.date
    rows: int
    sha256: str


def write_sample(
    root: str | Path,
    spec: SampleSpec,
    progress: Callable[[int, int], None] | None = None,
) -> list[SampleFile]:
    """Write sample data into `root/raw_tick_data/by_date/...`.

    Files that are already there are replaced, by the same bytes if the request is the same.

    Parameters
    ----------
    root : str or Path
        Local folder; made if it is missing.
    spec : SampleSpec
        What to make. Perpetuals also get a derivative ticker.
    progress : callable, optional
        Called with (files written, files in all) after each file.

    Returns
    -------
    list[SampleFile]
        The files, by instrument, day and data type.

    Raises
    ------
    ConfigError
        If `root` is a URL.
    DataError
        If a file cannot be written.
    """
    if "://" in str(root):
        msg = f"Sample data can be written to a local folder only, got {root}"
        raise ConfigError(msg)
    keys = [parse_instrument_key(key) for key in spec.keys]
    files_a_day = sum(3 if key.product is Product.PERPETUAL else 2 for key in keys)
    written: list[SampleFile] = []
    for key in keys:
        for offset in range(spec.days):
            day = spec.start + dt.timedelta(days=offset)
            for data_type, table in _tables(DaySimulation(spec, key, day)):
                path = Path(raw_file_path(str(root), day, data_type, str(key)))
                digest = _write(table, path)
                written.append(
                    SampleFile(path, str(key), data_type.value, day, table.num_rows, digest)
                )
                if progress is not None:
                    progress(len(written), files_a_day * spec.days)
    return written


def _tables(sim: DaySimulation) -> Iterator[tuple[DataType, pa.Table]]:
    yield DataType.TRADES, _trades(sim)
    yield DataType.BOOK, _book(sim)
    if sim.key.product is Product.PERPETUAL:
        yield DataType.FUNDING, _ticker(sim)


def _head(sim: DaySimulation, clock: Clock) -> dict[str, Column]:
    rows, midnight = clock.exchange_ms.size, day_start_ns(sim.day) // 1000
    exchange, symbol = names_of(sim.key)
    return {
        "exchange": pa.repeat(pa.scalar(exchange), rows),
        "symbol": pa.repeat(pa.scalar(symbol), rows),
        "timestamp": pa.array(clock.exchange_ms * 1000 + midnight),
        "local_timestamp": pa.array(clock.local_us + midnight),
    }


def _decimals(step: Decimal) -> int:
    exponent = step.normalize().as_tuple().exponent
    return max(0, -int(exponent))


def _values(count: Ints, step: Decimal) -> Column:
    """Return multiples of a decimal step as the doubles nearest to them."""
    scale = 10 ** _decimals(step)
    # One division of whole numbers: 3 * 0.1 would not be 0.3.
    return pa.array(count * int(step * scale) / scale, pa.float64())


def _rounded(values: Floats, step: float, decimals: int) -> Column:
    return pa.array(np.round(values * step, decimals), pa.float64())


def _trades(sim: DaySimulation) -> pa.Table:
    trades = sim.trades
    names = pa.array(["sell", "buy"])
    return pa.table(
        _head(sim, trades.clock)
        | {
            "id": pc.cast(pa.array(trades.ids), pa.string()),
            "side": names.take(pa.array(trades.buy.astype(np.int64), pa.int64())),
            "price": _values(trades.ticks, sim.market.tick),
            "amount": _values(trades.lots, sim.market.lot),
        }
    )


def _book(sim: DaySimulation) -> pa.Table:
    book = sim.book
    columns = _head(sim, book.clock)
    for level in range(LEVELS):
        for side, name in ((ASK, "asks"), (BID, "bids")):
            columns[f"{name}[{level}].price"] = _values(book.ticks[side, level], sim.market.tick)
            columns[f"{name}[{level}].amount"] = _values(book.lots[side, level], sim.market.lot)
    table = pa.table(columns)
    local = book.clock.local_us
    if np.any(local[1:] < local[:-1]):
        table = table.take(pa.array(np.argsort(local, kind="stable"), pa.int64()))
    return table


def _ticker(sim: DaySimulation) -> pa.Table:
    ticker, tick = make_ticker(sim), float(sim.market.tick)
    rows = ticker.funding_ms.size
    return pa.table(
        _head(sim, ticker.clock)
        | {
            "funding_timestamp": pa.array(ticker.funding_ms * 1000 + day_start_ns(sim.day) // 1000),
            "funding_rate": pa.array(ticker.funding_rate),
            # Venues with one rate per interval publish no forecast of the next; Tardis leaves null.
            "predicted_funding_rate": pa.nulls(rows, pa.float64()),
            "open_interest": _rounded(ticker.open_interest, 1.0, _decimals(sim.market.lot)),
            "last_price": _rounded(ticker.last, tick, _decimals(sim.market.tick)),
            "index_price": _rounded(ticker.index, tick, 8),
            "mark_price": _rounded(ticker.mark, tick, 8),
        }
    )


def _write(table: pa.Table, path: Path) -> str:
    """Write a table so that it appears whole or not at all, and return its hash."""
    # No reader takes the unfinished file for data: its name does not end in .parquet.
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            pq.write_table(table, unfinished, compression="zstd", row_group_size=ROW_GROUP)
            with unfinished.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(
            f"Sample data cannot be written to {path}: {error}. Choose another folder, or free "
            "disk space"
        ) from error
    return digest
