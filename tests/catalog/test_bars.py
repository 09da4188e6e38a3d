"""Raw bars to catalog bars: every row judged, times of the close, Nautilus' own layout."""

from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from nautilus_trader.model import Bar, BarType, Price, Quantity
from nautilus_trader.persistence import ParquetDataCatalog

from odum_assets.bars.calendar import BarCalendar
from odum_assets.bars.sessions import SessionRules
from odum_assets.catalog import PartitionManifest, convert_partition
from odum_assets.catalog.bar_quality import missing_bars
from odum_assets.catalog.bar_reader import read_bars
from odum_assets.catalog.bar_rules import BarRules
from odum_assets.catalog.definition import definition_folder
from odum_assets.errors import DataError
from odum_assets.instruments import InstrumentSpec, parse_instrument_key
from odum_assets.instruments.definitions import nautilus_instrument
from odum_assets.raw.layout import DataType, list_raw_files, raw_file_path

DAY = date(2011, 1, 3)
MINUTE = 60_000_000_000
OPEN_NS = int(datetime(2011, 1, 3, 14, 30, tzinfo=UTC).timestamp()) * 10**9
SPY = parse_instrument_key("ARCA:EQUITY:SPY")
SPEC = InstrumentSpec(SPY, 2, 0, Decimal(1), Decimal("0.01"), Decimal("0.005"), "USD")
US_EQUITY = SessionRules("rth", time(9, 30), time(16), "America/New_York")
COLUMNS = ("open", "high", "low", "close", "volume")
GOOD = (100.0, 101.0, 99.5, 100.25, 700)


def table(rows: list[tuple[Any, ...]], times: list[int] | None = None, **columns: Any) -> pa.Table:
    """Return raw bars, one a minute from the open on (labels are starts) unless times are given."""
    labels = [OPEN_NS + MINUTE * index for index in range(len(rows))] if times is None else times
    values = {name: [row[index] for row in rows] for index, name in enumerate(COLUMNS)}
    stamps = pa.array(labels, pa.timestamp("ns", "UTC"))
    return pa.table({"timestamp": stamps, **values, **columns})


def convert(
    folder: Path,
    raw: pa.Table,
    *,
    kind: DataType = DataType.BARS_1M,
    spec: InstrumentSpec = SPEC,
    day: date = DAY,
    label: Any = "start",
    sessions: SessionRules | None = None,
    force: bool = False,
) -> PartitionManifest:
    """Write raw bars where they belong and convert them."""
    steps = {"1m": 1, "5m": 5, "15m": 15, "1h": 60, "1d": 1440}
    path = Path(raw_file_path(str(folder / "raw"), day, kind, str(spec.key)))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(raw, path)
    rules = BarRules(steps[kind.step] * MINUTE, label, sessions)
    return convert_partition(
        str(path), spec.key, spec, kind, day, folder / "catalog", bars=rules, force=force
    )


def closes(folder: Path, kind: DataType = DataType.BARS_1M) -> list[str]:
    """Return when the bars of the catalog close, as text in UTC."""
    series = read_bars(folder / "catalog", SPY, kind.step, 0, 2**62)  # type: ignore[arg-type]
    return [
        datetime.fromtimestamp(close // 10**9, UTC).strftime("%d %H:%M")
        for close in series.close_time.tolist()
    ]


# --- rows ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ((None, 101.0, 99.5, 100.25, 700), "price_missing"),
        ((float("nan"), 101.0, 99.5, 100.25, 700), "price_missing"),
        ((100.0, float("inf"), 99.5, 100.25, 700), "price_not_finite"),
        ((100.0, 101.0, 0.0, 100.25, 700), "price_not_positive"),
        ((100.0, 101.0, -1.0, 100.25, 700), "price_not_positive"),
        ((100.0, 101.0, 99.5, 100.255, 700), "price_too_many_decimals"),
        ((100.0, 1e15, 99.5, 100.25, 700), "price_too_large"),
        ((100.0, 100.1, 99.5, 100.25, 700), "range_not_enclosing"),
        ((100.0, 101.0, 100.1, 100.25, 700), "range_not_enclosing"),
        ((100.0, 99.0, 101.0, 100.25, 700), "range_not_enclosing"),
        ((100.0, 101.0, 99.5, 100.25, None), "volume_missing"),
        ((100.0, 101.0, 99.5, 100.25, float("nan")), "volume_missing"),
        ((100.0, 101.0, 99.5, 100.25, float("inf")), "volume_not_finite"),
        ((100.0, 101.0, 99.5, 100.25, -1), "volume_negative"),
        ((100.0, 101.0, 99.5, 100.25, 0.5), "volume_too_many_decimals"),
        ((100.0, 101.0, 99.5, 100.25, 1e16), "volume_too_large"),
    ],
)
def test_a_bad_row_is_rejected_with_its_reason(
    tmp_path: Path, row: tuple[Any, ...], reason: str
) -> None:
    manifest = convert(tmp_path, table([GOOD, row, GOOD]))
    assert manifest.rejected == {reason: 1}
    assert (manifest.rows_in, manifest.rows_written) == (3, 2)
    (side,) = (tmp_path / "catalog/manifests/arca_equity_spy/bars_1m").glob("*.rejects.parquet")
    (kept,) = pq.read_table(side).to_pylist()
    assert (kept["row"], kept["reason"]) == (1, reason)
    assert closes(tmp_path) == ["03 14:31", "03 14:33"]


def test_a_bar_without_volume_or_range_is_a_bar(tmp_path: Path) -> None:
    manifest = convert(tmp_path, table([(100, 100, 100, 100, 0), GOOD]))
    assert manifest.rejected == {}
    assert manifest.quality["zero_volume_bars"] == 1


def test_prices_off_the_tick_are_rejected(tmp_path: Path) -> None:
    spec = replace(
        SPEC,
        key=parse_instrument_key("CME:FUTURE:ESH1"),
        tick_size=Decimal("0.25"),
        expiry=date(2011, 3, 18),
        multiplier=Decimal(50),
    )
    rows = [(1270.25, 1270.75, 1270.0, 1270.5, 9), (1270.25, 1270.75, 1270.1, 1270.5, 9)]
    manifest = convert(tmp_path, table(rows), spec=spec)
    assert manifest.rejected == {"price_off_tick": 1}
    series = read_bars(tmp_path / "catalog", spec.key, "1m", 0, 2**62)
    assert series.open.tolist() == [5081]
    assert series.price(5081) == Decimal("1270.25")


def test_equal_rows_count_once_and_differing_ones_not_at_all(tmp_path: Path) -> None:
    other = (*GOOD[:4], 701)
    times = [OPEN_NS + MINUTE * index for index in (3, 0, 1, 0, 2, 2)]
    manifest = convert(tmp_path, table([GOOD, GOOD, GOOD, GOOD, GOOD, other], times))
    assert manifest.rejected == {"time_repeated": 2}
    assert manifest.unchanged == 1
    assert closes(tmp_path) == ["03 14:31", "03 14:32", "03 14:34"]
    side = next((tmp_path / "catalog/manifests/arca_equity_spy").rglob("*.rejects.parquet"))
    assert pq.read_table(side)["row"].to_pylist() == [4, 5]


def test_a_rejected_row_contradicts_none(tmp_path: Path) -> None:
    times = [OPEN_NS, OPEN_NS, OPEN_NS + MINUTE]
    manifest = convert(tmp_path, table([(*GOOD[:4], -1), GOOD, GOOD], times))
    assert manifest.rejected == {"volume_negative": 1}
    assert manifest.rows_written == 2


# --- times --------------------------------------------------------------------------------------


def test_the_label_says_when_a_bar_closes(tmp_path: Path) -> None:
    convert(tmp_path / "a", table([GOOD, GOOD]), label="start")
    convert(tmp_path / "b", table([GOOD, GOOD]), label="end")
    assert closes(tmp_path / "a") == ["03 14:31", "03 14:32"]
    assert closes(tmp_path / "b") == ["03 14:30", "03 14:31"]


def test_a_bar_belongs_to_the_day_in_which_it_opens(tmp_path: Path) -> None:
    midnight = int(datetime(2011, 1, 3, tzinfo=UTC).timestamp()) * 10**9
    day = 86_400 * 10**9
    labels = [
        midnight + day,
        midnight,
        midnight + MINUTE,
        midnight + day + MINUTE,
        midnight + 2 * day,
    ]
    manifest = convert(tmp_path, table([GOOD] * 5, labels), label="end")
    assert manifest.rejected == {"previous_day": 1, "next_day": 2}
    assert closes(tmp_path) == ["03 00:01", "04 00:00"]
    assert not manifest.sorted_source


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_integer_times_of_every_unit(tmp_path: Path, unit: str) -> None:
    factor = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[unit]
    raw = table([GOOD, GOOD]).set_column(
        0, "TimeStamp", pa.array([OPEN_NS // factor, (OPEN_NS + MINUTE) // factor])
    )
    assert convert(tmp_path, raw).time_units == {"TimeStamp": unit}
    assert closes(tmp_path) == ["03 14:31", "03 14:32"]


def test_rows_off_the_grid_are_rejected(tmp_path: Path) -> None:
    times = [OPEN_NS, OPEN_NS + MINUTE + 1, OPEN_NS + 2 * MINUTE]
    assert convert(tmp_path, table([GOOD] * 3, times)).rejected == {"off_grid": 1}


def test_hours_begin_where_the_exchange_opens(tmp_path: Path) -> None:
    hour = 60 * MINUTE
    times = [OPEN_NS + hour * index for index in range(6)] + [OPEN_NS + MINUTE * 15]
    manifest = convert(tmp_path, table([GOOD] * 7, times), kind=DataType.BARS_1H)
    assert manifest.rejected == {"off_grid": 1}
    assert closes(tmp_path, DataType.BARS_1H)[0] == "03 15:30"


def test_daily_bars_close_with_their_session(tmp_path: Path) -> None:
    days = [date(2011, 11, 4), date(2011, 3, 11), date(2011, 3, 14), date(2011, 3, 13)]
    raw = table([GOOD] * 4).set_column(0, "Date", pa.array(days))
    raw = raw.append_column("Adj Close", pa.array([1.0] * 4))
    manifest = convert(
        tmp_path, raw, kind=DataType.BARS_1D, day=date(2011, 1, 1), sessions=US_EQUITY
    )
    # Clocks go forward on Sunday 13 March, on which there is no session.
    assert manifest.rejected == {"no_session": 1}
    assert manifest.quality["ignored_columns"] == ["Adj Close"]
    assert closes(tmp_path, DataType.BARS_1D) == ["11 21:00", "14 20:00", "04 20:00"]
    assert manifest.rules["session"]["timezone"] == "America/New_York"
    assert manifest.versions["tzdata"]


def test_another_label_or_session_is_another_partition(tmp_path: Path) -> None:
    raw = table([GOOD, GOOD])
    first = convert(tmp_path, raw)
    assert convert(tmp_path, raw).digest == first.digest
    assert convert(tmp_path, raw, label="end").digest != first.digest
    assert closes(tmp_path) == ["03 14:30", "03 14:31"]


# --- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (table([GOOD]).slice(0, 0), "has no rows"),
        (table([GOOD]).drop_columns(["volume"]), "missing volume"),
        (table([GOOD]).rename_columns(["time", *COLUMNS]), r"missing timestamp \(or Date\)"),
        (table([GOOD], Open=[1.0]), "Open is there in another spelling"),
        (
            table([GOOD]).set_column(0, "timestamp", pa.array([OPEN_NS], pa.timestamp("ns"))),
            "times without a time zone",
        ),
        (table([GOOD]).set_column(1, "open", pa.array(["1"])), "open is string, needs"),
        (table([GOOD], [OPEN_NS + 86_400 * 10**9 * 5]), "does not hold times of 2011-01-03"),
        (
            table([GOOD] * 60, [OPEN_NS + 5 * MINUTE * index for index in range(60)]),
            "all bars are 300 s apart or more, and the folder says 60 s",
        ),
        (
            table([GOOD] * 60, [OPEN_NS + MINUTE * index // 2 for index in range(60)]),
            "59 of 59 distances between bars are no multiple of 60 s",
        ),
        (table([(1.0, 0.5, 2.0, 1.0, 1)]), "none of its 1 rows can be used"),
    ],
)
def test_a_file_that_is_refused_whole(tmp_path: Path, raw: pa.Table, text: str) -> None:
    with pytest.raises(DataError, match=text):
        convert(tmp_path, raw)
    assert not (tmp_path / "catalog/manifests").exists()


def test_thin_bars_are_no_other_step(tmp_path: Path) -> None:
    minutes = np.random.default_rng(3).permutation(380)[:60]
    times = [OPEN_NS + MINUTE * int(index) for index in minutes]
    assert convert(tmp_path, table([GOOD] * 60, times)).rows_written == 60


def test_raw_files_of_years_are_listed(tmp_path: Path) -> None:
    convert(tmp_path, table([GOOD]))
    raw = table([GOOD]).set_column(0, "Date", pa.array([DAY]))
    convert(tmp_path, raw, kind=DataType.BARS_1D, day=date(2011, 1, 1), sessions=US_EQUITY)
    found = [(file.day, file.data_type) for file in list_raw_files(str(tmp_path / "raw"))]
    assert found == [(date(2011, 1, 1), DataType.BARS_1D), (DAY, DataType.BARS_1M)]


# --- figures ------------------------------------------------------------------------------------


def test_bars_that_sessions_lack_are_counted(tmp_path: Path) -> None:
    there = [*range(100), *range(150, 390), 400]
    times = [OPEN_NS + MINUTE * index for index in there]
    manifest = convert(tmp_path, table([GOOD] * len(there), times))
    assert missing_bars(manifest, BarCalendar(US_EQUITY, is_daily=False)) == (50, 390)
    everything = SessionRules("full", time(0), time(0), "UTC")
    assert missing_bars(manifest, BarCalendar(everything, is_daily=False)) == (1440 - 341, 1440)
    # The session of Monday that opened on Sunday, and that of Tuesday.
    globex = SessionRules("eth", time(17), time(16), "America/Chicago")
    assert missing_bars(manifest, BarCalendar(globex, is_daily=False)) == (1380 - 341, 1380)


def test_bars_that_are_all_apart_hide_no_missing_one(tmp_path: Path) -> None:
    times = [OPEN_NS + 2 * MINUTE * index for index in range(10)]
    manifest = convert(tmp_path, table([GOOD] * 10, times))
    missing, expected = missing_bars(manifest, BarCalendar(US_EQUITY, is_daily=False))
    assert (missing, expected) == (380, 390)


def test_daily_bars_lack_sessions_between_the_first_and_the_last(tmp_path: Path) -> None:
    days = [date(2011, 3, number) for number in (7, 8, 10, 11, 14)]
    raw = table([GOOD] * 5).set_column(0, "Date", pa.array(days))
    manifest = convert(
        tmp_path, raw, kind=DataType.BARS_1D, day=date(2011, 1, 1), sessions=US_EQUITY
    )
    assert missing_bars(manifest, BarCalendar(US_EQUITY, is_daily=True)) == (1, 6)


def test_jumps_are_named(tmp_path: Path) -> None:
    half = (50.0, 51.0, 49.0, 50.0, 1)
    manifest = convert(tmp_path, table([GOOD, half, half]))
    assert manifest.quality["split_suspected"] == [str(OPEN_NS + 2 * MINUTE)]


# --- the catalog --------------------------------------------------------------------------------


def test_the_catalog_is_nautilus_own(tmp_path: Path) -> None:
    """Nautilus reads what is written, and writes the same file of the same bars."""
    convert(tmp_path, table([GOOD, (100.25, 100.5, 100.0, 100.5, 0)]))
    (ours,) = (tmp_path / "catalog/data/bars").rglob("*.parquet")
    assert ours.parent.name == "SPY.ARCA-1-MINUTE-LAST-EXTERNAL"
    bar_type = BarType.from_str(ours.parent.name)
    bars = ParquetDataCatalog(str(tmp_path / "catalog")).query_bars()
    first = Bar(
        bar_type,
        Price.from_str("100.00"),
        Price.from_str("101.00"),
        Price.from_str("99.50"),
        Price.from_str("100.25"),
        Quantity.from_int(700),
        OPEN_NS + MINUTE,
        OPEN_NS + MINUTE,
    )
    assert bars[0] == first
    assert len(bars) == 2
    (tmp_path / "theirs").mkdir()
    ParquetDataCatalog(str(tmp_path / "theirs")).write_bars(bars)
    (theirs,) = (tmp_path / "theirs").rglob("*.parquet")
    assert theirs.relative_to(tmp_path / "theirs") == ours.relative_to(tmp_path / "catalog")
    assert pq.read_schema(ours).equals(pq.read_schema(theirs), check_metadata=True)
    assert pq.read_table(ours).equals(pq.read_table(theirs))


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("ARCA:EQUITY:SPY", {"lot_size": Decimal(100)}),
        ("NYSE:EQUITY:BRK.B", {}),
        (
            "CME:FUTURE:ESZ5",
            {
                "tick_size": Decimal("0.25"),
                "multiplier": Decimal(50),
                "expiry": date(2025, 12, 19),
            },
        ),
        ("CBOT:FUTURE:ZNH26", {"multiplier": Decimal(1000), "expiry": date(2026, 3, 20)}),
    ],
)
def test_definitions_are_nautilus_own(tmp_path: Path, text: str, changes: dict[str, Any]) -> None:
    spec = replace(SPEC, key=parse_instrument_key(text), **changes)
    convert(tmp_path, table([GOOD]), spec=spec)
    (ours,) = definition_folder(tmp_path / "catalog", spec.key).iterdir()
    instrument = nautilus_instrument(spec)
    (tmp_path / "theirs").mkdir()
    ParquetDataCatalog(str(tmp_path / "theirs")).write_instruments([instrument])
    (theirs,) = (tmp_path / "theirs").rglob("*.parquet")
    assert theirs.relative_to(tmp_path / "theirs") == ours.relative_to(tmp_path / "catalog")
    one, other = pq.read_table(ours), pq.read_table(theirs)
    assert one.schema.equals(other.schema)
    assert one.to_pylist() == other.to_pylist()
    assert one.schema.metadata[b"type_name"] == other.schema.metadata[b"type_name"]
    assert ParquetDataCatalog(str(tmp_path / "catalog")).instruments() == [instrument]


def test_reading_takes_bars_by_their_close(tmp_path: Path) -> None:
    convert(tmp_path, table([GOOD] * 5))
    catalog = tmp_path / "catalog"
    series = read_bars(catalog, SPY, "1m", OPEN_NS + MINUTE, OPEN_NS + 3 * MINUTE)
    assert (series.close_time - OPEN_NS).tolist() == [2 * MINUTE, 3 * MINUTE]
    assert (series.high.tolist(), series.volume.tolist()) == ([10100, 10100], [700, 700])
    with pytest.raises(DataError, match="there are no bars_1m of ARCA:EQUITY:SPY"):
        read_bars(catalog, SPY, "1m", OPEN_NS + 9 * MINUTE, 2**62)


def test_reading_refuses_partitions_of_different_ticks(tmp_path: Path) -> None:
    convert(tmp_path, table([GOOD]))
    later = [OPEN_NS + 86_400 * 10**9]
    spec = replace(SPEC, tick_size=Decimal("0.05"))
    convert(tmp_path, table([GOOD], later), spec=spec, day=date(2011, 1, 4))
    with pytest.raises(DataError, match="convert the days again"):
        read_bars(tmp_path / "catalog", SPY, "1m", 0, 2**62)
