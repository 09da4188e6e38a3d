"""Bars from CSV and parquet into the raw layout: notations, rejects, merging, repetition."""

import os
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from odum_assets.errors import ConfigError, DataError
from odum_assets.raw.imports.partitions import Collected, collapse
from odum_assets.raw.imports.run import ImportRequest, ImportResult, import_bars
from odum_assets.raw.imports.source import TableBars, open_source

SPY = "ARCA:EQUITY:SPY"
HEAD = "timestamp,open,high,low,close,volume"


def _csv(folder: Path, *rows: str, head: str = HEAD, name: str = "bars.csv") -> Path:
    path = folder / name
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return path


def _import(path: Path, **given: Any) -> ImportResult:
    root = path.parent / "data"
    request = ImportRequest(**{"key": SPY, "label": "end", "max_reject_ratio": 1.0, **given})
    return import_bars(open_source(path), request, str(root))


def _minutes(count: int, day: str = "2024-01-02", hour: int = 15, zone: str = "Z") -> list[str]:
    return [
        f"{day}T{hour + minute // 60:02d}:{minute % 60:02d}:00{zone},100,101,99,100.5,{minute}"
        for minute in range(count)
    ]


def _rows(result: ImportResult) -> list[dict[str, Any]]:
    return [row for file in result.files for row in pq.read_table(file.path).to_pylist()]


# --- where rows go ------------------------------------------------------------------------------


def test_a_bar_belongs_to_the_utc_day_in_which_it_opens(tmp_path: Path) -> None:
    rows = ["2024-01-02T23:59:00Z,1,2,1,2,5", "2024-01-03T00:00:00Z,1,2,1,2,6"]
    rows += ["2024-01-03T00:01:00Z,1,2,1,2,7"]
    path = _csv(tmp_path, *rows)
    by_end = _import(path)
    assert [(file.path.parts[-3], file.rows) for file in by_end.files] == [
        ("day-2024-01-02", 2),
        ("day-2024-01-03", 1),
    ]
    (tmp_path / "other").mkdir()
    by_start = _import(_csv(tmp_path / "other", *rows), label="start")
    assert [file.rows for file in by_start.files] == [1, 2]
    assert by_end.files[0].path.parts[-2:] == ("data_type-bars_1m", f"{SPY}.parquet")


def test_daily_bars_go_by_year_with_their_dates(tmp_path: Path) -> None:
    head = "Date,Open,High,Low,Close,Volume,Adj Close"
    rows = ["2002-01-02,14,15,13,14.5,7,9", "2001-12-31,14.1,14.23,13.8,13.81,29814500,13.5"]
    rows += ["2001-12-28,14.06,14.36,14.01,14.06,24619200,13.75"]
    result = _import(_csv(tmp_path, *rows, head=head), step="1d")
    assert [file.path.parts[-3] for file in result.files] == ["year-2001", "year-2002"]
    assert result.ignored == ["Adj Close"]
    assert [row["Date"] for row in _rows(result)] == [
        date(2001, 12, 28),
        date(2001, 12, 31),
        date(2002, 1, 2),
    ]
    assert _rows(result)[1]["close"] == 13.81


@pytest.mark.parametrize(
    ("label", "wall", "day"),
    [
        ("start", 0, date(2024, 3, 11)),
        ("end", 0, date(2024, 3, 10)),
        ("end", 16, date(2024, 3, 11)),
    ],
)
def test_a_daily_time_belongs_to_a_local_date(
    tmp_path: Path, label: Any, wall: int, day: date
) -> None:
    zone = ZoneInfo("America/New_York")
    times = [datetime(2024, 3, number, wall, tzinfo=zone) for number in (8, 11, 12)]
    columns = {name: [10.0] * 3 for name in ("open", "high", "low", "close", "volume")}
    table = pa.table({"timestamp": pa.array(times, pa.timestamp("ns", str(zone))), **columns})
    pq.write_table(table, tmp_path / "bars.parquet")
    result = _import(tmp_path / "bars.parquet", label=label, step="1d")
    assert day in [row["Date"] for row in _rows(result)]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_whole_numbers_are_times_in_the_unit_of_their_size(tmp_path: Path, unit: str) -> None:
    factor = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    first = int(datetime(2024, 1, 2, 15, tzinfo=ZoneInfo("UTC")).timestamp())
    rows = [f"{(first + 60 * index) * factor},1,2,1,2,5" for index in range(5)]
    result = _import(_csv(tmp_path, *rows))
    assert (result.first, result.last) == ("2024-01-02T15:00:00Z", "2024-01-02T15:04:00Z")


def test_other_names_separators_and_two_columns_of_time(tmp_path: Path) -> None:
    rows = [f"2024-01-02;15:{minute:02d};1;2;1;2;3" for minute in range(4)]
    path = _csv(tmp_path, *rows, head="\ufeffDate;TIME;Open;HIGH;low;Close;Volume")
    assert _import(path, timezone="UTC").first == "2024-01-02T15:00:00Z"


def test_decimals_and_32_bit_numbers_stay_what_was_meant(tmp_path: Path) -> None:
    times = pa.array(np.arange(3) * 60 + 1_704_207_600, pa.int64())
    columns: dict[str, Any] = {"time": times, "volume": pa.array([1, 2, 3], pa.uint32())}
    for name in ("open", "high", "low"):
        columns[name] = pa.array([0.1, 0.1, 0.1], pa.float32())
    columns["close"] = pa.array(["0.10", "0.10", "0.10"]).cast(pa.decimal128(10, 2))
    pq.write_table(pa.table(columns), tmp_path / "bars.parquet")
    row = _rows(_import(tmp_path / "bars.parquet"))[0]
    assert (row["open"], row["close"], row["volume"]) == (0.1, 0.1, 1.0)


# --- zones --------------------------------------------------------------------------------------


def test_naive_times_need_a_zone(tmp_path: Path) -> None:
    path = _csv(tmp_path, *_minutes(3, zone=""))
    with pytest.raises(DataError, match=r"name no time zone; .* --timezone"):
        _import(path)
    assert not (tmp_path / "data" / "raw_tick_data").exists()
    assert _import(path, timezone="America/New_York").first == "2024-01-02T20:00:00Z"


def test_local_times_that_do_not_exist_once_are_rejected(tmp_path: Path) -> None:
    spring = [
        f"2024-03-10T0{hour}:{minute}:00,1,2,1,2,3" for hour in "123" for minute in ("00", "30")
    ]
    autumn = [
        f"2024-11-03T0{hour}:{minute}:00,1,2,1,2,3" for hour in "12" for minute in ("00", "30")
    ]
    filler = _minutes(200, day="2024-05-02", zone="")
    path = _csv(tmp_path, *filler, *spring, *autumn)
    result = _import(path, timezone="America/New_York")
    assert result.rejected == {"local time that does not exist once, where the clock is turned": 4}
    times = [row["timestamp"].strftime("%m-%dT%H:%M") for row in _rows(result)]
    assert "03-10T06:30" in times
    assert "03-10T07:00" in times


def test_an_unknown_zone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Mars/Phobos"):
        _import(_csv(tmp_path, *_minutes(3, zone="")), timezone="Mars/Phobos")


# --- rejects ------------------------------------------------------------------------------------


BAD = {
    "2024-01-02T16:00:30Z,1,2,1,2,3": "time off the grid of the step",
    "yesterday,1,2,1,2,3": "time missing or not readable",
    "2024-02-30T16:00:00Z,1,2,1,2,3": "time missing or not readable",
    "2024-01-02T16:01:00Z,,2,1,2,3": "price missing or not a number",
    "2024-01-02T16:02:00Z,nan,2,1,2,3": "price missing or not a number",
    "2024-01-02T16:03:00Z,1,inf,1,2,3": "price missing or not a number",
    "2024-01-02T16:04:00Z,1,1e999,1,2,3": "price missing or not a number",
    "2024-01-02T16:05:00Z,-1,2,-1,2,3": "price not above zero",
    "2024-01-02T16:06:00Z,0,0,0,0,3": "price not above zero",
    "2024-01-02T16:07:00Z,1,2,1.5,2,3": "high or low does not enclose open and close",
    "2024-01-02T16:08:00Z,3,2,1,2,3": "high or low does not enclose open and close",
    "2024-01-02T16:09:00Z,1,2,1,2,many": "volume missing or not a number",
    "2024-01-02T16:10:00Z,1,2,1,2,-3": "volume below zero",
    "2024-01-02T16:11:00Z,1,2,1,2": "too few or too many fields",
    "2024-01-02T16:12:00Z,1,2,1,2,3,4": "too few or too many fields",
}


@pytest.mark.parametrize("row", BAD)
def test_a_row_that_is_no_bar_is_rejected_with_its_reason(tmp_path: Path, row: str) -> None:
    good = _minutes(30)
    result = _import(_csv(tmp_path, *good[:9], row, *good[9:]))
    assert result.rejected == {BAD[row]: 1}
    assert (result.read, result.written) == (31, 30)


def test_too_many_rejects_write_nothing_and_are_explained(tmp_path: Path) -> None:
    path = _csv(tmp_path, *_minutes(20), *BAD)
    with pytest.raises(DataError) as caught:
        _import(path, max_reject_ratio=0.01)
    text = str(caught.value)
    assert "15 of 35 rows are no bars, allowed 1.0%; nothing was written" in text
    assert "2 high or low does not enclose open and close" in text
    assert "row 21: time off the grid of the step (2024-01-02T16:00:30Z, 1, 2, 1, 2, 3)" in text
    assert not (tmp_path / "data" / "raw_tick_data").exists()


def test_repetitions_collapse_and_contradictions_are_rejected(tmp_path: Path) -> None:
    rows = _minutes(10)
    other = rows[4].replace("100.5", "100.6")
    result = _import(_csv(tmp_path, *rows, rows[2], rows[2], other))
    assert result.repeated == 2
    assert result.rejected == {"time occurs with different values": 2}
    assert result.written == 9


def test_files_without_bars_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no rows with a readable time"):
        _import(_csv(tmp_path))
    with pytest.raises(DataError, match="missing columns: close, volume"):
        _import(_csv(tmp_path, head="timestamp,open,high,low"))
    with pytest.raises(DataError, match="most bars are 120 seconds apart"):
        _import(_csv(tmp_path, *_minutes(30)[::2]))
    with pytest.raises(DataError, match="say it with --step"):
        _import(_csv(tmp_path, *_minutes(1)))
    # Commas of decimals, say: no row of the file is a bar.
    bad = _csv(tmp_path, *(row.replace("100.5", "many") for row in _minutes(3)))
    for ratio in (0.01, 1.0):
        with pytest.raises(DataError, match="3 price missing or not a number"):
            _import(bad, max_reject_ratio=ratio)
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(DataError, match="cannot be read"):
        _import(tmp_path / "broken.parquet")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x01" * 20)
    with pytest.raises(DataError, match="neither parquet nor UTF-8"):
        _import(tmp_path / "binary")
    with pytest.raises(ConfigError, match="SPY"):
        _import(_csv(tmp_path, *_minutes(5)), key="SPY")


# --- again --------------------------------------------------------------------------------------


def test_an_import_can_be_repeated(tmp_path: Path) -> None:
    path = _csv(tmp_path, *_minutes(90))
    first = _import(path)
    before = {file.path: file.path.stat().st_mtime_ns for file in first.files}
    again = _import(path)
    assert [file.state for file in again.files] == ["unchanged"]
    assert {file.path: file.path.stat().st_mtime_ns for file in again.files} == before


def test_parts_of_a_day_meet_in_one_file(tmp_path: Path) -> None:
    rows = _minutes(60)
    _import(_csv(tmp_path, *rows[:40]))
    later = _import(_csv(tmp_path, *rows[20:]))
    assert [(file.state, file.rows) for file in later.files] == [("extended", 60)]


def test_other_values_are_replaced_only_when_asked(tmp_path: Path) -> None:
    rows = _minutes(30)
    _import(_csv(tmp_path, *rows))
    changed = _csv(tmp_path, *[row.replace("100.5", "100.7") for row in rows[:2]], *rows[2:4])
    with pytest.raises(DataError, match=r"other values at 2024-01-02T15:00:00Z and 1 more.*--over"):
        _import(changed)
    result = _import(changed, overwrite=True)
    assert [(file.state, file.rows) for file in result.files] == [("replaced", 30)]
    assert [row["close"] for row in _rows(result)][:3] == [100.7, 100.7, 100.5]


def test_the_other_label_is_refused_where_bars_are(tmp_path: Path) -> None:
    path = _csv(tmp_path, *_minutes(30))
    _import(path)
    with pytest.raises(DataError, match="its times are the ends of bars; import with --label end"):
        _import(path, label="start")


def test_rows_on_the_disk_are_those_in_memory(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    rows = rng.integers(0, 50, (1_000, 6))
    partitions = rows[:, 0] // 10
    spilling, holding = Collected(tmp_path, held_rows=90), Collected(tmp_path)
    for block in np.array_split(np.arange(1_000), 40):
        for collected in (spilling, holding):
            collected.add(partitions[block], rows[block])
    assert any(tmp_path.glob("*.npy"))
    assert list(spilling) == list(holding) == [0, 1, 2, 3, 4]
    for partition in holding:
        assert np.array_equal(spilling.rows(partition), holding.rows(partition))


def test_collapse_keeps_order_and_drops_contradictions() -> None:
    rows = np.array([[3, 1], [1, 5], [3, 1], [2, 7], [2, 8], [1, 5], [1, 5]])
    kept, repeated, contradictions = collapse(rows)
    assert kept.tolist() == [[1, 5], [3, 1]]
    assert repeated == 3
    assert contradictions.tolist() == [[2, 7], [2, 8]]


def test_a_killed_import_leaves_nothing_behind_that_the_next_one_keeps(tmp_path: Path) -> None:
    rows = [row for day in range(2, 29) for row in _minutes(300, day=f"2024-01-{day:02d}")]
    path = _csv(tmp_path, *rows)
    program = (
        "import os, pathlib, odum_assets.raw.imports.partitions as p\n"
        "count = [0]\n"
        "real = os.replace\n"
        "def replace(a, b):\n"
        "    count[0] += 1\n"
        "    os._exit(9) if count[0] == 5 else real(a, b)\n"
        "p.os.replace = replace\n"
        "from odum_assets.raw.imports.run import ImportRequest, import_bars\n"
        "from odum_assets.raw.imports.source import open_source\n"
        f"import_bars(open_source(pathlib.Path({str(path)!r})), "
        f"ImportRequest({SPY!r}, 'end'), {str(tmp_path / 'data')!r})\n"
    )
    killed = subprocess.run([sys.executable, "-c", program], check=False, env=os.environ)
    assert killed.returncode == 9
    assert len(list((tmp_path / "data").rglob("*.parquet"))) > 4
    result = _import(path)
    assert sorted({file.state for file in result.files}) == ["new", "unchanged"]
    assert sum(file.rows for file in result.files) == 27 * 300
    assert not [name for name in (tmp_path / "data" / ".import").iterdir() if name.is_dir()]


def test_tables_in_memory_are_imported_like_files(tmp_path: Path) -> None:
    table = pa.table(
        {
            "timestamp": pa.array([0, 60, 120], pa.timestamp("s", "UTC")),
            **{name: [1.0, 1.0, 1.0] for name in ("open", "high", "low", "close", "volume")},
        }
    )
    request = ImportRequest(SPY, "start")
    result = import_bars(TableBars("memory", [table, table]), request, str(tmp_path))
    assert (result.written, result.repeated) == (3, 3)


# --- real files ---------------------------------------------------------------------------------


@pytest.mark.real_data
def test_real_files_are_imported_whole(tmp_path: Path) -> None:
    root = os.environ.get("ODUM_TEST_DATA")
    if not root:
        pytest.skip("ODUM_TEST_DATA is not set")
    bars = Path(root) / "bars"
    for name, key, label, rows, files in (
        ("SPY_1min_2011-01.parquet", SPY, "end", 14_180, 25),
        ("SPY_1min_2013-10.parquet", SPY, "start", 4_839, 6),
        ("BTCUSD_1d_coinbase_2014-2018.parquet", "COINBASE:SPOT_PAIR:BTC-USD", "start", 1_318, 5),
        ("ORCL_1d_2001.csv", "NASDAQ:EQUITY:ORCL", "start", 248, 1),
    ):
        request = ImportRequest(key, label)  # type: ignore[arg-type]
        result = import_bars(open_source(bars / name), request, str(tmp_path))
        assert (result.written, len(result.files)) == (rows, files)
        assert (result.rejected, result.repeated) == ({}, 0)
