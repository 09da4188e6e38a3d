"""The price of the last trade at a time: the right one, and without the day in memory."""

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pricefiles import OPEN, trades_file

from odum_assets.backtest.prices import LastPrices

D = Decimal
_TIMES = st.lists(st.integers(0, 30), max_size=25).map(sorted)
_BOUND = st.none() | st.integers(-2, 33)


def test_the_last_price_is_the_one_at_or_before_a_moment(tmp_path: Path) -> None:
    rows = [(10, D(1)), (20, D(2)), (20, D(3)), (30, D(4))]
    prices = LastPrices([trades_file(tmp_path, rows)], OPEN)
    assert prices.at([9, 10, 19, 20, 29, 30, 99]) == [None, 1, 1, 3, 3, 4, 4]
    assert prices.at([99, 9, 20]) == [4, None, 3]
    assert prices.at([]) == []
    assert prices.span == (10, 30)
    assert len(prices) == 4


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    days=st.lists(_TIMES, min_size=1, max_size=3),
    group_rows=st.integers(1, 7),
    bounds=st.tuples(_BOUND, _BOUND),
    moments=st.lists(st.integers(-3, 35), max_size=20),
)
def test_files_row_groups_and_windows_make_no_difference(
    tmp_path: Path,
    days: list[list[int]],
    group_rows: int,
    bounds: tuple[int | None, int | None],
    moments: list[int],
) -> None:
    files, every = [], []
    for index, times in enumerate(days):
        rows = [(time, D(100 * index + place)) for place, time in enumerate(times)]
        every += rows
        files.append(trades_file(tmp_path, rows, group_rows))
    start, end = bounds
    every = [
        row for row in every if (start is None or row[0] >= start) and (end is None or row[0] < end)
    ]
    # Sorting is stable: of equal times, the later file's last.
    every.sort(key=lambda row: row[0])
    prices = LastPrices(files, bounds)
    assert len(prices) == len(every)
    if every:
        assert prices.span == (every[0][0], every[-1][0])
    else:
        with pytest.raises(ValueError, match="no trade"):
            _ = prices.span
    for moment, found in zip(moments, prices.at(moments), strict=True):
        known = [price for time, price in every if time <= moment]
        assert found == (known[-1] if known else None)


PEAK = """
import sys
from pathlib import Path
import pyarrow as pa
from odum_assets.backtest.prices import LastPrices
prices = LastPrices([Path(sys.argv[1])], (None, None))
found = prices.at([minute * 60_000_000_000 for minute in range(1_440)])
print(len(prices), found[-1], pa.default_memory_pool().max_memory())
"""


def test_memory_does_not_grow_with_the_day(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        path = tmp_path / f"{count}.parquet"
        schema = pa.schema({"price": pa.decimal128(38, 16), "ts_init": pa.timestamp("ns", "UTC")})
        step = 86_400_000_000_000 // count
        with pq.ParquetWriter(path, schema) as writer:
            for first in range(0, count, 100_000):
                times = pa.array(range(first * step, (first + 100_000) * step, step), pa.int64())
                price = pa.array([D(first)] * 100_000, pa.decimal128(38, 16))
                columns = [price, times.cast(pa.timestamp("ns", "UTC"))]
                writer.write_table(pa.table(columns, schema=schema), 100_000)
        command = [sys.executable, "-c", PEAK, str(path)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rows, last, most = printed.split()
        assert (int(rows), D(last)) == (count, count - 100_000)
        return int(most)

    small, large = peak(200_000), peak(2_000_000)
    # Ten times the rows; all of them as times and prices are 48 MB.
    assert 0 < large < 1.5 * small
    assert large < 12_000_000
