"""A stored result of two million orders, written as a run writes it, without running one.

Its market is a generated day that was really converted; each of its trades filled an order.
"""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from marketday import FIRST_DAY, MarketDay

from odum_assets.backtest.positions import POSITIONS
from odum_assets.backtest.request import RunRequest
from odum_assets.backtest.tables import EQUITY, FILLS, fills_file, write_table
from odum_assets.catalog import read_manifest
from odum_assets.catalog.fixed_point import DECIMAL
from odum_assets.raw.layout import DataType
from odum_assets.results.run import run_backtest
from odum_assets.results.store import ResultEntry, ResultStore

Numbers = npt.NDArray[Any]
RUN_ID = "BNF_BTC_20240101_00000000_1a2b3c_200000"
_FILLS_BATCH = 50_000
"""Fills that a run writes at once."""

_TIME = FILLS.field("timestamp").type


def large_result(day: MarketDay, equity_rows: int) -> ResultEntry:
    """Store a result whose orders are the trades of a converted day.

    Parameters
    ----------
    day : MarketDay
        The day, converted.
    equity_rows : int
        Samples of the equity curve.
    """
    start = 1_704_067_200_000_000_000
    request = RunRequest(
        day.loaded, (FIRST_DAY,), "window", start_ns=start, end_ns=start + 30_000_000_000
    )
    small = run_backtest(request, day.settings)
    store = ResultStore(day.settings.results_path)
    document = copy.deepcopy(store.entry(small.run_id).document)
    manifest = read_manifest(day.settings.catalog_path, day.loaded.key, DataType.TRADES, FIRST_DAY)
    assert manifest is not None
    trades = pq.read_table(manifest.data_path(day.settings.catalog_path))
    with store.workspace() as work:
        report = work / "report"
        report.mkdir()
        orders = _write_tables(report, trades, equity_rows)
        document["run_id"] = document["metadata"]["run_id"] = RUN_ID
        document["summary"] |= {"orders": orders, "fills": orders}
        document["summary"]["orders_by_status"] = {
            "filled": orders - orders // 100,
            "denied": orders // 100,
        }
        document["metadata"] |= {"mode": "report", "partition": FIRST_DAY.isoformat()}
        document["metadata"]["window"] |= {
            "start_ns": None,
            "end_ns": None,
            "first_trade_ns": str(manifest.first_ts_init),
            "last_trade_ns": str(manifest.last_ts_init),
        }
        document["mode"] = "report"
        document["start"], document["end"] = "2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"
        return store.publish(document, report)


def _write_tables(folder: Path, trades: pa.Table, equity_rows: int) -> int:
    rows = trades.num_rows
    draws = np.random.default_rng(1)
    times = trades["ts_init"].cast(pa.int64()).to_numpy()
    sides = pa.array(np.array(["buy", "sell"])[draws.integers(0, 2, rows)])
    numbers = pa.array(np.arange(rows)).cast(pa.string())
    ids = pa.array(["O-20240101-000000-001-000-"] * rows)
    ids = pa.compute.binary_join_element_wise(ids, numbers, "")
    size, price = trades["size"].combine_chunks(), trades["price"].combine_chunks()
    pnl = draws.integers(-(10**10), 10**10, rows)
    position = np.cumsum(draws.integers(-5, 6, rows))
    nothing = pa.nulls(rows, pa.string())
    fills = [
        pa.array(times).cast(_TIME),
        ids,
        pa.array(["P-1"] * rows),
        sides,
        price,
        size,
        _decimals(draws.integers(0, 10**8, rows)),
        pa.array(["taker"] * rows),
        _decimals(pnl),
        _decimals(10**14 + np.cumsum(pnl)),
        _decimals(position * 10**8),
    ]
    with fills_file(folder / "fills.parquet") as file:
        file.write_table(pa.table(fills, schema=FILLS), row_group_size=_FILLS_BATCH)
    status = pa.array(np.where(np.arange(rows) % 100 == 0, "denied", "filled"))
    orders = {
        "timestamp": pa.array(times).cast(_TIME),
        "id": ids,
        "side": sides,
        "type": pa.array(["LIMIT"] * rows),
        "time_in_force": pa.array(["GTC"] * rows),
        "price": price,
        "amount": size,
        "status": status,
        "filled": size,
        "avg_fill_price": price.cast(pa.float64()),
        "reason": nothing,
        "ended": pa.nulls(rows, _TIME),
        "parent_id": nothing,
        "exec_algorithm": nothing,
        "purpose": nothing,
    }
    write_table(folder / "orders.parquet", pa.table(orders))
    write_table(folder / "equity.parquet", _equity(times, equity_rows, draws))
    write_table(folder / "positions.parquet", _positions(times[::4], draws))
    return rows


def _equity(times: Numbers, rows: int, draws: np.random.Generator) -> pa.Table:
    at = np.linspace(times[0], times[-1], rows).astype(np.int64)
    equity = 10**14 + np.cumsum(draws.integers(-(10**9), 10**9 + 1, rows))
    money, zero = _decimals(equity), _decimals(np.zeros(rows, np.int64))
    position = _decimals(np.cumsum(draws.integers(-5, 6, rows)) * 10**8)
    nothing = pa.nulls(rows, DECIMAL)
    columns = [pa.array(at).cast(_TIME), money, money, zero, zero, position, nothing, nothing]
    return pa.table(columns, schema=EQUITY)


def _positions(times: Numbers, draws: np.random.Generator) -> pa.Table:
    rows = len(times)
    pnl = draws.integers(-(10**11), 10**11, rows)
    fee = draws.integers(0, 10**8, rows)
    one = _decimals(np.full(rows, 10**8))
    columns = [
        pa.array([f"P-{number}" for number in range(rows)]),
        pa.array(np.array(["long", "short"])[draws.integers(0, 2, rows)]),
        pa.array(["closed"] * rows),
        pa.array(times).cast(_TIME),
        pa.array(times + 1_000_000).cast(_TIME),
        _decimals(np.zeros(rows, np.int64)),
        one,
        one,
        one,
        _decimals(pnl),
        _decimals(fee),
        _decimals(pnl - fee),
        pa.array(np.full(rows, 4)),
    ]
    return pa.table(columns, schema=POSITIONS)


def _decimals(units: Numbers) -> "pa.Array[Any]":
    """Return whole numbers of the eighth decimal as decimals."""
    words = np.stack([units.astype(np.int64), units.astype(np.int64) >> 63], axis=1)
    buffer = pa.py_buffer(np.ascontiguousarray(words))
    return pa.Array.from_buffers(pa.decimal128(38, 8), len(units), [None, buffer]).cast(DECIMAL)
