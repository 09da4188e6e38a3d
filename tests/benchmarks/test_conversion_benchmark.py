"""Conversion against the floor and against building Nautilus objects, on a busy day's rows.

The floor reads the same columns and writes the same output with pyarrow, with nothing in between.
Rounds alternate between the two and the fastest of each counts, so that what else the machine does
weighs on both. Building objects is measured on fewer rows and compared per row.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from measuring import Measurements
from nautilus_trader.model import AggressorSide, InstrumentId, Price, Quantity, TradeId, TradeTick
from nautilus_trader.persistence import ParquetDataCatalog

from odum_assets.catalog import PartitionManifest, convert_partition
from odum_assets.catalog.partition_writer import ROW_GROUP_ROWS, open_writer
from odum_assets.instruments import InstrumentSpec, parse_instrument_key
from odum_assets.raw.layout import DataType

DAY = date(2024, 7, 19)
KEY = parse_instrument_key("BINANCE-FUTURES:PERPETUAL:BTC-USDT")
SPEC = InstrumentSpec(KEY, 1, 3, Decimal(1), Decimal("0.01"), Decimal("0.005"), "USDT")
ROWS = {DataType.TRADES: 2_000_000, DataType.BOOK: 864_000}
LIMITS = {DataType.TRADES: 1.4, DataType.BOOK: 1.7}
MEMORY_LIMITS_MIB = {"sorted": 1024, "unsorted": 2048}
OBJECT_ROWS = 100_000
ROUNDS = 7


def raw_day(data_type: DataType, path: Path, *, in_order: bool = True) -> Path:
    """Write a busy day: a random walk, and out-of-order arrival in places unless `in_order`."""
    random = np.random.default_rng(7)
    rows = ROWS[data_type]
    start = int(datetime(DAY.year, DAY.month, DAY.day, tzinfo=UTC).timestamp()) * 10**6
    local = np.sort(random.integers(start, start + 86_399 * 10**6, rows))
    if not in_order:
        late = random.integers(0, rows - 1, rows // 1000)
        local[late], local[late + 1] = local[late + 1].copy(), local[late].copy()
    columns: dict[str, Any] = {
        "exchange": np.full(rows, "binance-futures"),
        "symbol": np.full(rows, "BTCUSDT"),
        "timestamp": local - random.integers(1_000, 200_000, rows),
        "local_timestamp": local,
    }
    middle = 600_000 + np.cumsum(random.integers(-5, 6, rows))
    if data_type is DataType.TRADES:
        columns["id"] = pa.array(np.arange(rows) + 5 * 10**9).cast(pa.string())
        columns["side"] = np.where(random.integers(0, 2, rows), "buy", "sell")
        columns["price"] = np.round(middle * 0.1, 1)
        columns["amount"] = np.round(random.lognormal(-4, 1.5, rows) + 0.001, 3)
    else:
        for side, sign in (("asks", 1), ("bids", -1)):
            ticks = middle + (sign > 0)
            for level in range(5):
                sizes = np.round(random.lognormal(0, 1.5, rows) + 0.001, 3)
                columns[f"{side}[{level}].price"] = np.round(ticks * 0.1, 1)
                columns[f"{side}[{level}].amount"] = sizes
                ticks = ticks + sign * random.integers(1, 4, rows)
    pq.write_table(pa.table(columns), path, compression="zstd", row_group_size=1 << 20)
    return path


def convert(source: Path, data_type: DataType, catalog: Path) -> PartitionManifest:
    return convert_partition(str(source), KEY, SPEC, data_type, DAY, catalog, force=True)


def floor(source: Path, output: pa.Table, target: Path) -> None:
    """Read what the conversion reads and write what it writes."""
    pq.read_table(source)
    with open_writer(target, output.schema) as writer:
        writer.write_table(output, row_group_size=ROW_GROUP_ROWS)


def seconds(action: Callable[[], object]) -> float:
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


@pytest.mark.parametrize("data_type", [DataType.TRADES, DataType.BOOK])
def test_conversion_against_the_floor(
    benchmark: Any, tmp_path: Path, data_type: DataType, measurements: Measurements
) -> None:
    source = raw_day(data_type, tmp_path / "raw.parquet")
    manifest = convert(source, data_type, tmp_path / "catalog")
    data = manifest.data_path(tmp_path / "catalog")
    output = pq.read_table(data).cast(pq.read_schema(data))
    floors: list[float] = []

    def one_floor() -> None:
        floors.append(seconds(lambda: floor(source, output, tmp_path / "floor.parquet")))

    one_floor()
    benchmark.pedantic(
        lambda: convert(source, data_type, tmp_path / "catalog"),
        setup=one_floor,
        rounds=ROUNDS,
    )
    best = benchmark.stats.stats.min
    ratio = best / min(floors)
    measurements.add(
        "Conversion: a call of convert_partition in a warm process, against reading the same "
        "columns and writing the same output with pyarrow there, the fastest of each",
        data=data_type.value,
        rows=f"{ROWS[data_type]:,}",
        rows_per_second=f"{ROWS[data_type] / best:,.0f}",
        measured=f"{ratio:.2f} x",
        limit=f"{LIMITS[data_type]} x",
    )
    assert ratio <= LIMITS[data_type]


def test_conversion_against_building_nautilus_objects(
    benchmark: Any, tmp_path: Path, measurements: Measurements
) -> None:
    source = raw_day(DataType.TRADES, tmp_path / "raw.parquet")
    frame = pq.read_table(source).slice(0, OBJECT_ROWS)
    identity = InstrumentId.from_str(KEY.nautilus_id)
    (tmp_path / "nautilus").mkdir()

    def build_and_write() -> None:
        sides = {"buy": AggressorSide.BUY, "sell": AggressorSide.SELL}
        columns = ("price", "amount", "side", "id", "timestamp", "local_timestamp")
        ticks = [
            TradeTick(
                identity,
                Price(price, 1),
                Quantity(size, 3),
                sides[side],
                TradeId(trade_id),
                event * 1000,
                init * 1000,
            )
            for price, size, side, trade_id, event, init in zip(
                *(frame[name].to_pylist() for name in columns), strict=True
            )
        ]
        ParquetDataCatalog(str(tmp_path / "nautilus")).write_trade_ticks(ticks)

    objects = seconds(build_and_write) / OBJECT_ROWS
    benchmark.pedantic(
        lambda: convert(source, DataType.TRADES, tmp_path / "catalog"), rounds=3, warmup_rounds=1
    )
    ratio = objects / (benchmark.stats.stats.min / ROWS[DataType.TRADES])
    measurements.add(
        "Conversion of trades: time per row, against building NautilusTrader objects and "
        "write_trade_ticks, both in a warm process",
        measured_on=f"{OBJECT_ROWS:,} rows",
        faster_per_row=f"{ratio:.1f} x",
        at_least="5 x",
    )
    assert ratio >= 5


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux' /proc")
@pytest.mark.parametrize("order", ["sorted", "unsorted"])
@pytest.mark.parametrize("data_type", [DataType.TRADES, DataType.BOOK])
def test_peak_memory_of_a_conversion(
    benchmark: Any,
    tmp_path: Path,
    data_type: DataType,
    order: str,
    measurements: Measurements,
) -> None:
    source = raw_day(data_type, tmp_path / "raw.parquet", in_order=order == "sorted")
    code = (
        f"import re, sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from pathlib import Path; import test_conversion_benchmark as bench\n"
        f"bench.convert(Path({str(source)!r}), bench.DataType({data_type.value!r}),"
        f" Path({str(tmp_path / 'catalog')!r}))\n"
        # Not getrusage: its peak counts the process that this one was forked from.
        "status = Path('/proc/self/status').read_text()\n"
        "print(int(re.search(r'VmHWM:\\s+(\\d+)', status)[1]) // 1024)"
    )
    run = [sys.executable, "-c", code]
    peaks: list[int] = []

    def convert_apart() -> None:
        done = subprocess.run(run, capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout))

    benchmark.pedantic(convert_apart, rounds=1)
    measurements.add(
        "Peak memory of a process that converts one raw file",
        data=data_type.value,
        file=order,
        rows=f"{ROWS[data_type]:,}",
        peak=f"{peaks[0]:,} MiB",
        limit=f"{MEMORY_LIMITS_MIB[order]:,} MiB",
    )
    assert peaks[0] <= MEMORY_LIMITS_MIB[order]
