import math
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rawfiles import (
    DAY,
    KEY,
    MIDNIGHT_NS,
    SPEC,
    catalog_rows,
    catalog_trades,
    some_trades,
    trades_table,
    write_raw,
)

from odum_assets.catalog import PartitionManifest, convert_partition
from odum_assets.catalog.paths import PartitionPaths
from odum_assets.errors import DataError
from odum_assets.raw.layout import DataType


def convert(source: str, tmp_path: Path, **options: Any) -> PartitionManifest:
    catalog = tmp_path / "catalog"
    return convert_partition(source, KEY, SPEC, DataType.TRADES, DAY, catalog, **options)


def convert_table(table: pa.Table, tmp_path: Path) -> PartitionManifest:
    return convert(write_raw(table, tmp_path / "raw.parquet"), tmp_path)


@pytest.mark.parametrize("strings", ["plain", "large", "dictionary"])
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns", "timestamp-us-UTC", "timestamp-ms-naive"])
@pytest.mark.parametrize("layout", ["exchange", "converted"])
def test_every_layout_unit_and_string_kind_gives_the_same_rows(
    tmp_path: Path, layout: str, unit: str, strings: str
) -> None:
    trades = some_trades()
    table = trades_table(trades, layout=layout, unit=unit, strings=strings)

    manifest = convert(write_raw(table, tmp_path / "raw.parquet", 77), tmp_path)

    assert catalog_rows(manifest.data_path(tmp_path / "catalog")) == catalog_trades(trades)
    assert (manifest.rows_in, manifest.rows_written, manifest.rejected) == (500, 500, {})
    assert manifest.unknown_sides == 100
    assert manifest.sorted_source


def test_digest_and_file_do_not_depend_on_raw_row_groups_or_layout(tmp_path: Path) -> None:
    trades = some_trades(3000)
    made = [
        convert(write_raw(trades_table(trades, layout=layout), tmp_path / "r.parquet", size), path)
        for path, layout, size in (
            (tmp_path / "a", "exchange", None),
            (tmp_path / "b", "exchange", 13),
            (tmp_path / "c", "converted", 1000),
        )
    ]
    assert len({(manifest.digest, manifest.file.sha256) for manifest in made}) == 1


def test_unsorted_rows_are_ordered_and_equal_times_keep_their_order(tmp_path: Path) -> None:
    trades = some_trades(400)
    shuffled = trades[100:] + trades[:100]

    manifest = convert_table(trades_table(shuffled), tmp_path)

    expected = catalog_trades(sorted(shuffled, key=lambda trade: trade.second))
    assert catalog_rows(manifest.data_path(tmp_path / "catalog")) == expected
    assert not manifest.sorted_source
    assert manifest.quality["out_of_order_rows"] == 1


def test_without_arrival_times_the_exchange_time_is_taken_and_said(tmp_path: Path) -> None:
    table = trades_table(some_trades(10)).drop_columns(["local_timestamp"])
    manifest = convert_table(table, tmp_path)
    assert manifest.quality["arrival_times"] is False
    assert manifest.quality["latency"] is None
    assert manifest.first_ts_init == manifest.first_ts_event


def test_without_side_column_every_side_is_unknown(tmp_path: Path) -> None:
    manifest = convert_table(trades_table(some_trades(10)).drop_columns(["side"]), tmp_path)
    assert manifest.unknown_sides == 10


def test_integer_ids_and_decimal_prices_are_taken_exactly(tmp_path: Path) -> None:
    table = trades_table(some_trades(3))
    table = table.set_column(4, "id", pa.array([7, 8, 9]))
    exact = [Decimal("0.1000"), Decimal("64000.3000"), Decimal("1.2500")]
    table = table.set_column(6, "price", pa.array(exact, pa.decimal128(20, 4)))
    manifest = convert_table(table, tmp_path)
    rows = catalog_rows(manifest.data_path(tmp_path / "catalog"))
    assert [(row["trade_id"], row["price"]) for row in rows] == [
        ("7", Decimal("0.1")),
        ("8", Decimal("64000.3")),
    ]
    assert manifest.rejected == {"price_too_many_decimals": 1}


def test_a_row_belongs_to_the_day_on_which_it_arrived(tmp_path: Path) -> None:
    """Up to, not including, midnight; its exchange time may lie an hour beside the day."""
    clocks = [  # arrival and exchange time, us since midnight
        (-(10**6) * 86_400 - 1, 0),
        (-(10**6) * 86_400, -(10**6) * 86_400),
        (-1, 0),
        (0, -1),
        (10**6, -3600 * 10**6),
        (10**6, -3600 * 10**6 - 1),
        (86_400 * 10**6 - 1, 90_000 * 10**6),
        (86_400 * 10**6 - 1, 90_000 * 10**6 + 1),
        (86_400 * 10**6, 86_400 * 10**6 - 1),
        (2 * 86_400 * 10**6 - 1, 2 * 86_400 * 10**6),
        (2 * 86_400 * 10**6, 0),
    ]
    table = trades_table(some_trades(len(clocks)))
    for place, name in ((1, "timestamp"), (0, "local_timestamp")):
        times = pa.array([MIDNIGHT_NS // 1000 + clock[place] for clock in clocks])
        table = table.set_column(table.schema.get_field_index(name), name, times)
    manifest = convert_table(table, tmp_path)
    assert manifest.rejected == {"previous_day": 2, "next_day": 2, "timestamp_outside_day": 4}
    rows = catalog_rows(manifest.data_path(tmp_path / "catalog"))
    assert [(row["ts_init"] - MIDNIGHT_NS) // 1000 for row in rows] == [
        0,
        10**6,
        86_400 * 10**6 - 1,
    ]


def test_without_arrival_times_the_time_of_the_exchange_decides_the_day(tmp_path: Path) -> None:
    table = trades_table(some_trades(4)).drop_columns(["local_timestamp"])
    end = 86_400 * 10**6
    times = pa.array([MIDNIGHT_NS // 1000 + us for us in (-1, 0, end - 1, end)])
    table = table.set_column(table.schema.get_field_index("timestamp"), "timestamp", times)
    manifest = convert_table(table, tmp_path)
    assert (manifest.rows_written, manifest.rejected) == (2, {"previous_day": 1, "next_day": 1})


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("local_timestamp", pa.array(["2024"] * 4), "needs an integer or timestamp type"),
        ("timestamp", pa.array([MIDNIGHT_NS // 1000 - 10**14] * 4), "in s, ms, us or ns"),
        ("price", pa.array(["1"] * 4), "needs a float, decimal or integer type"),
        ("id", pa.array([1.5] * 4), "needs text or integer"),
    ],
)
def test_columns_that_cannot_be_used_are_an_error(
    tmp_path: Path, column: str, values: "pa.Array[Any]", message: str
) -> None:
    table = trades_table(some_trades(4))
    table = table.set_column(table.schema.get_field_index(column), column, values)
    with pytest.raises(DataError, match=message):
        convert_table(table, tmp_path)
    assert not list((tmp_path / "catalog").glob("data/**/*.parquet"))


HOSTILE_FLOATS = st.one_of(
    st.none(),
    st.sampled_from([0.0, -1.0, math.nan, math.inf, -math.inf, 1e300, 1e-300, 1.23456, 2.0**53]),
    st.integers(1, 10**7).map(lambda ticks: ticks / 10),
    st.integers(1, 10**7).map(lambda ticks: ticks / 1000),
    st.floats(),
)
HOSTILE_IDS = st.one_of(
    st.none(), st.sampled_from(["", "  ", "x" * 36, "x" * 37, "ä", "a\nb", "17", "a b"])
)
HOSTILE_TIMES = st.one_of(
    st.none(),
    st.integers(0, 86_399).map(lambda second: MIDNIGHT_NS // 1000 + second * 10**6),
    st.sampled_from([0, -1, 2**63 - 1, MIDNIGHT_NS // 1000 - 3600 * 10**6 - 1]),
)
HOSTILE_ROW = st.tuples(
    HOSTILE_TIMES,
    HOSTILE_TIMES,
    st.sampled_from(["BTCUSDT", "btc-usdt", "BTC_USDT", "ETHUSDT", None]),
    HOSTILE_IDS,
    HOSTILE_FLOATS,
    HOSTILE_FLOATS,
    st.sampled_from(["buy", "SELL", "Buyer", "2", "", None, "both"]),
)


def number_problem(name: str, number: float | None, places: int, limit: int) -> str | None:
    if number is None or math.isnan(number):
        return f"{name}_missing"
    if math.isinf(number):
        return f"{name}_not_finite"
    if number <= 0:
        return f"{name}_not_positive"
    if number > limit:
        return f"{name}_too_large"
    written = Decimal(repr(number))
    if written == written.quantize(Decimal(1).scaleb(-places)):
        return None
    return f"{name}_too_many_decimals"


def reason(row: tuple[Any, ...]) -> str | None:
    event, init, symbol, trade_id, price, size, _ = row
    if event is None or init is None:
        return "timestamp_missing"
    midnight, day = MIDNIGHT_NS // 1000, 86_400 * 10**6
    beside = {-1: "previous_day", 1: "next_day"}.get((init - midnight) // day)
    if beside is not None:
        return beside
    first, last = midnight - 3600 * 10**6, midnight + 90_000 * 10**6
    if not (first <= event <= last and midnight <= init < midnight + day):
        return "timestamp_outside_day"
    if symbol in ("ETHUSDT", None):
        return "wrong_symbol"
    if trade_id is None or not trade_id.strip():
        return "id_missing"
    if len(trade_id) > 36:
        return "id_too_long"
    if not (trade_id.isascii() and trade_id.isprintable()):
        return "id_not_ascii"
    return number_problem("price", price, 1, 17_014_118_346_046) or number_problem(
        "size", size, 3, 34_028_236_692_093
    )


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=st.lists(HOSTILE_ROW, max_size=25), row_group=st.integers(1, 9))
def test_every_row_is_written_or_rejected_for_its_first_reason(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[Any, ...]], row_group: int
) -> None:
    tmp_path = tmp_path_factory.mktemp("hostile")
    good = MIDNIGHT_NS // 1000 + 10**6
    # Enough rows of the day that the unit of the times is not in doubt.
    rows = rows + [(good, good, "BTCUSDT", "1", 1.5, 0.001, "buy")] * (3 * len(rows) + 1)
    kinds = [pa.int64(), pa.int64(), pa.string(), pa.string(), pa.float64(), pa.float64()]
    names = ["timestamp", "local_timestamp", "symbol", "id", "price", "amount", "side"]
    columns = [
        pa.array([row[place] for row in rows], kind)
        for place, kind in enumerate([*kinds, pa.string()])
    ]
    source = write_raw(pa.table(columns, names), tmp_path / "raw.parquet", row_group)

    manifest = convert(source, tmp_path)

    expected = [reason(row) for row in rows]
    rejected = [(place, why) for place, why in enumerate(expected) if why is not None]
    paths = PartitionPaths(tmp_path / "catalog", KEY, DataType.TRADES, DAY)
    side_file = pq.read_table(paths.rejects).to_pylist() if rejected else []
    assert [(row["row"], row["reason"]) for row in side_file] == rejected
    assert paths.rejects.is_file() == bool(rejected)
    assert manifest.rows_in == len(rows)
    assert manifest.rows_written == len(rows) - len(rejected)
    kept = [row for row, why in zip(rows, expected, strict=True) if why is None]
    kept.sort(key=lambda row: row[1])
    sides = {"buy": "BUY", "Buyer": "BUY", "SELL": "SELL", "2": "SELL"}
    assert [
        (
            row["ts_event"],
            row["ts_init"],
            row["trade_id"],
            row["price"],
            row["size"],
            row["aggressor_side"],
        )
        for row in catalog_rows(manifest.data_path(tmp_path / "catalog"))
    ] == [
        (
            row[0] * 1000,
            row[1] * 1000,
            row[3],
            Decimal(repr(row[4])),
            Decimal(repr(row[5])),
            sides.get(row[6], "NO_AGGRESSOR"),
        )
        for row in kept
    ]


def test_a_year_whose_times_could_be_taken_for_another_unit_is_told_apart(tmp_path: Path) -> None:
    """Seconds of 2024 are milliseconds of January 1970: the day decides."""
    table = trades_table(some_trades(1), unit="s")
    source = write_raw(table, tmp_path / "raw.parquet")
    january = date(1970, 1, 20)
    manifest = convert_partition(source, KEY, SPEC, DataType.TRADES, january, tmp_path / "early")
    assert manifest.time_units["local_timestamp"] == "ms"
    assert convert(source, tmp_path).time_units["local_timestamp"] == "s"


def test_rejected_rows_with_views_of_strings_are_kept_aside(tmp_path: Path) -> None:
    table = trades_table(some_trades(5))
    ids = pa.array(["1", "2", "x" * 200, "4", None], pa.string_view())
    table = table.set_column(table.schema.get_field_index("id"), "id", ids)
    assert convert_table(table, tmp_path).rejected == {"id_missing": 1, "id_too_long": 1}
    paths = PartitionPaths(tmp_path / "catalog", KEY, DataType.TRADES, DAY)
    assert pq.read_table(paths.rejects)["raw.id"].to_pylist() == ["x" * 200, None]


def test_an_unsigned_time_beyond_int64_is_outside_the_day_and_not_missing(tmp_path: Path) -> None:
    table = trades_table(some_trades(5))
    times = [*table["local_timestamp"].to_pylist()[:3], 2**63, None]
    index = table.schema.get_field_index("local_timestamp")
    table = table.set_column(index, "local_timestamp", pa.array(times, pa.uint64()))
    manifest = convert_table(table, tmp_path)
    assert manifest.rejected == {"timestamp_missing": 1, "timestamp_outside_day": 1}
