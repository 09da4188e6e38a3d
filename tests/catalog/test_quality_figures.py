"""Rates, skew and spreads of real days and of irregular made-up ones, computed a second time.

Every figure of :mod:`measured` comes from raw rows in Python's own numbers; nothing of the
conversion is used but its manifest.
"""

import datetime as dt
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import measured
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rawfiles import DAY, KEY, SPEC, books_table, some_trades, trades_table, write_raw

from odum_assets.catalog import PartitionManifest, convert_partition, read_manifest
from odum_assets.instruments import parse_instrument_key
from odum_assets.raw.layout import DataType, RawFile, list_raw_files
from odum_assets.raw.sample import SampleSpec, write_sample

PRECISIONS = {
    "BINANCE-FUTURES:PERPETUAL:BTC-USDT": (1, 3),
    "BINANCE-FUTURES:PERPETUAL:ETH-USDT": (2, 3),
    "BINANCE:SPOT_PAIR:BTC-USDT": (2, 5),
}
REAL = list_raw_files(os.environ["ODUM_TEST_DATA"]) if "ODUM_TEST_DATA" in os.environ else []
SAMPLE_DAY = dt.date(2024, 1, 1)
SAMPLES = {
    "a whole day": {"trades_per_day": 4_000, "books_per_day": 4_000},
    "three busy hours": {"trades_per_day": 9_000, "books_per_day": 9_000, "hours": (9, 12)},
    "few rows": {"trades_per_day": 40, "books_per_day": 40},
}


def convert(file: RawFile, catalog: Path) -> PartitionManifest:
    price, size = PRECISIONS[file.key_text]
    key = parse_instrument_key(file.key_text)
    spec = replace(SPEC, key=key, price_precision=price, size_precision=size)
    return convert_partition(file.path, key, spec, file.data_type, file.day, catalog)


def agree(manifest: PartitionManifest, path: str) -> None:
    """Check all figures of a partition against the raw file."""
    frame = pd.read_parquet(path)
    frame = frame.sort_values("local_timestamp", kind="stable", ignore_index=True)
    days = pd.to_datetime(frame["local_timestamp"], unit="us", utc=True).dt.date
    frame = frame[days == manifest.day].reset_index(drop=True)
    quality = manifest.quality
    assert quality["rate"] == pytest.approx(measured.rates(frame))
    expected = measured.timeline(frame)
    assert {name: quality["timeline"][name] for name in expected} == expected
    found = quality["latency"]
    skew = measured.latency(frame)
    assert {name: found[name] for name in skew} == skew
    bars = found["distribution"]
    assert [bars["below"], *bars["rows"], bars["above"]] == measured.distribution(
        frame, bars["start_ms"], bars["step_ms"], len(bars["rows"])
    )
    assert sum(bars["rows"]) >= 0.97 * len(frame)
    assert len(bars["rows"]) <= 45
    if manifest.data_type is DataType.BOOK:
        _spreads_agree(quality, measured.spreads(frame, manifest.price_precision))


def _spreads_agree(quality: dict[str, Any], expected: dict[str, Any]) -> None:
    found, along = quality["spread"], quality["timeline"]
    assert found["books"] == expected["books"]
    assert found["median"] == expected["median"]
    assert found["mean"] == pytest.approx(expected["mean"], rel=1e-12)
    assert list(found["ticks"].values()) == expected["ticks"]
    # Known to half of a 256th.
    assert list(found["bps"].values()) == pytest.approx(expected["bps"], rel=1 / 500)
    by_time = found["by_time"]
    assert by_time["seconds"] == pytest.approx(expected["seconds"], rel=1e-12)
    assert by_time["mean_ticks"] == pytest.approx(expected["mean_ticks"], rel=1e-12)
    assert (by_time["median_ticks"], by_time["p95_ticks"]) == (
        expected["median_ticks"],
        expected["p95_ticks"],
    )
    for name in ("spread_mean", "spread_max"):
        nothing = [value is None for value in along[name]]
        assert nothing == [value is None for value in expected[name]]
        assert [value for value in along[name] if value is not None] == pytest.approx(
            [value for value in expected[name] if value is not None], rel=1e-5
        )


@pytest.mark.real_data
@pytest.mark.skipif(not REAL, reason="ODUM_TEST_DATA names no market data folder")
@pytest.mark.parametrize(
    "file",
    [file for file in REAL if file.data_type is not DataType.FUNDING],
    ids=lambda file: f"{file.day}-{file.data_type}-{file.key_text.replace(':', '_')}",
)
def test_figures_of_real_days(file: RawFile, tmp_path: Path) -> None:
    agree(convert(file, tmp_path), file.path)


@pytest.mark.parametrize("name", SAMPLES)
def test_figures_of_irregular_sample_days(name: str, tmp_path: Path) -> None:
    options: dict[str, Any] = SAMPLES[name]
    spec = SampleSpec(
        keys=(str(KEY),), start=SAMPLE_DAY, days=1, seed=5, irregularities=True, **options
    )
    write_sample(tmp_path / "raw", spec)
    files = [
        file
        for file in list_raw_files(str(tmp_path / "raw"))
        if file.data_type is not DataType.FUNDING
    ]
    assert len(files) == 2
    irregular = 0
    for file in files:
        manifest = convert(file, tmp_path / "catalog")
        figures = manifest.quality
        irregular += figures["event_out_of_order_rows"] + figures["equal_ts_init_rows"]
        agree(manifest, file.path)
    assert irregular > 0 or options["trades_per_day"] < 100


def test_row_groups_do_not_change_a_figure(tmp_path: Path) -> None:
    spec = SampleSpec(
        keys=(str(KEY),), start=SAMPLE_DAY, days=1, books_per_day=3_000, irregularities=True
    )
    write_sample(tmp_path / "raw", spec)
    (book,) = [
        file for file in list_raw_files(str(tmp_path / "raw")) if file.data_type is DataType.BOOK
    ]
    table = pq.read_table(book.path)
    whole = convert(book, tmp_path / "a").quality
    pq.write_table(table, book.path, row_group_size=17)
    assert convert(book, tmp_path / "b").quality == whole


def book_quality(seconds: list[int], tmp_path: Path, **columns: Any) -> dict[str, Any]:
    source = write_raw(books_table(seconds, levels=1, **columns), tmp_path / "raw.parquet")
    manifest = convert_partition(source, KEY, SPEC, DataType.BOOK, DAY, tmp_path / "catalog")
    return manifest.quality


def test_a_book_counts_until_the_next_and_no_longer_than_ten_seconds(tmp_path: Path) -> None:
    quality = book_quality(
        [0, 4, 5, 65],
        tmp_path,
        bid_price_0=[100.0, 100.0, 100.0, 100.0],
        ask_price_0=[100.1, 100.3, 100.2, 100.9],
    )
    # 1 tick for 4 s, 3 for 1 s, 2 for 10 of 60 s; the last book's time is unknown.
    assert quality["spread"]["by_time"] == {
        "seconds": 15.0,
        "mean_ticks": pytest.approx((1 * 4 + 3 * 1 + 2 * 10) / 15),
        "median_ticks": 2,
        "p95_ticks": 3,
    }
    assert quality["spread"]["ticks"] == {
        **dict.fromkeys(("p05", "p25"), 1),
        "median": 2,
        "p75": 3,
        **dict.fromkeys(("p95", "p99", "max"), 9),
    }
    assert quality["spread"]["bps"]["median"] == pytest.approx(0.2 / 100.1 * 1e4, rel=1 / 500)


def test_what_cannot_be_known_of_a_spread_is_null(tmp_path: Path) -> None:
    crossed = book_quality([1, 2], tmp_path, bid_price_0=[101.0, 101.0], ask_price_0=[100.0, 100.0])
    nothing = dict.fromkeys(("p05", "p25", "median", "p75", "p95", "p99"))
    assert crossed["spread"] == {
        "books": 0,
        "median": None,
        "mean": None,
        "ticks": {**nothing, "max": None},
        "bps": nothing,
        "by_time": {"seconds": 0.0, "mean_ticks": None, "median_ticks": None, "p95_ticks": None},
    }
    assert set(crossed["timeline"]["spread_mean"]) == {None}
    assert set(crossed["timeline"]["spread_max"]) == {None}


def test_spreads_beyond_reach_are_unknown_and_their_maximum_is_not(tmp_path: Path) -> None:
    quality = book_quality(
        [1, 2, 3], tmp_path, bid_price_0=[1.0, 1.0, 1.0], ask_price_0=[1.1, 90_000.0, 90_000.0]
    )
    found = quality["spread"]
    assert (found["ticks"]["p05"], found["ticks"]["median"]) == (1, None)
    assert found["ticks"]["max"] == 899_990
    assert found["mean"] == pytest.approx((0.1 + 2 * 89_999) / 3)
    assert found["by_time"]["mean_ticks"] is None


def test_prices_at_the_bound_of_sixteen_decimals_have_a_spread(tmp_path: Path) -> None:
    fine = replace(SPEC, price_precision=16)
    table = books_table([1, 2], levels=1, bid_price_0=[461.0] * 2, ask_price_0=[462.0] * 2)
    source = write_raw(table, tmp_path / "raw.parquet")
    found = convert_partition(source, KEY, fine, DataType.BOOK, DAY, tmp_path / "catalog").quality
    assert found["spread"]["mean"] == 1.0
    assert found["spread"]["bps"]["median"] == pytest.approx(1 / 461.5 * 1e4, rel=1 / 500)


def test_a_single_row_has_one_busy_second_and_no_mean_rate(tmp_path: Path) -> None:
    source = write_raw(trades_table(some_trades(1)), tmp_path / "raw.parquet")
    manifest = convert_partition(source, KEY, SPEC, DataType.TRADES, DAY, tmp_path / "catalog")
    assert manifest.quality["rate"] == {
        "median_per_second": 1,
        "p99_per_second": 1,
        "max_per_second": 1,
        "mean_per_second": None,
    }
    assert manifest.quality["timeline"]["rows"] == [1]


def test_without_arrival_times_there_is_no_skew(tmp_path: Path) -> None:
    table = trades_table(some_trades(50)).drop_columns(["local_timestamp"])
    source = write_raw(table, tmp_path / "raw.parquet")
    manifest = convert_partition(source, KEY, SPEC, DataType.TRADES, DAY, tmp_path / "catalog")
    assert manifest.quality["latency"] is None
    assert manifest.quality["timeline"]["latency_mean_ms"] is None
    assert sum(manifest.quality["timeline"]["rows"]) == 50


def test_latencies_beyond_ten_seconds_have_bounds_and_no_quantiles(tmp_path: Path) -> None:
    trades = [replace(trade, event_second=trade.second - 600) for trade in some_trades(20)]
    trades = [replace(trade, second=trade.second + 3600) for trade in trades]
    source = write_raw(trades_table(trades), tmp_path / "raw.parquet")
    manifest = convert_partition(source, KEY, SPEC, DataType.TRADES, DAY, tmp_path / "catalog")
    latency = manifest.quality["latency"]
    assert (latency["min_ms"], latency["max_ms"]) == (4_200_000.0, 4_200_000.0)
    assert (latency["median_ms"], latency["p99_ms"], latency["distribution"]) == (None, None, None)


@pytest.mark.parametrize("version", [1, 2])
def test_an_earlier_manifest_is_read_and_made_anew(tmp_path: Path, version: int) -> None:
    source = write_raw(trades_table(some_trades()), tmp_path / "raw.parquet")
    new = convert_partition(source, KEY, SPEC, DataType.TRADES, DAY, tmp_path)
    (path,) = (tmp_path / "manifests").rglob("*.json")
    text = path.read_text()
    assert text.count('"manifest_version": 3') == 1
    path.write_text(text.replace('"manifest_version": 3', f'"manifest_version": {version}'))

    old = read_manifest(tmp_path, KEY, DataType.TRADES, DAY)
    assert old is not None
    assert (old.manifest_version, old.digest) == (version, new.digest)
    again = convert_partition(source, KEY, SPEC, DataType.TRADES, DAY, tmp_path)
    assert again == new
    assert path.read_text() == text


@pytest.mark.parametrize("kind", [DataType.TRADES, DataType.FUNDING])
def test_the_distance_of_the_rows_to_the_edges_of_the_day_is_known(
    tmp_path: Path, kind: DataType
) -> None:
    """A delivery cut after seven minutes; of funding only the first row says something new."""
    seconds = [5, 60, 420]
    trades = [
        replace(trade, second=second, event_second=second)
        for trade, second in zip(some_trades(3), seconds, strict=True)
    ]
    table = trades_table(trades)
    if kind is DataType.FUNDING:
        table = table.select(["timestamp", "local_timestamp"])
        table = table.append_column("funding_rate", pa.array([1e-4] * 3))
    source = write_raw(table, tmp_path / "raw.parquet")
    manifest = convert_partition(source, KEY, SPEC, kind, DAY, tmp_path / "catalog")
    start = 1_721_347_200 * 10**9
    assert manifest.quality["covered"] == {
        "first": str(start + 5 * 10**9),
        "last": str(start + 420 * 10**9),
        "starts_late_s": 5.0,
        "ends_early_s": 85_980.0,
    }
    assert manifest.covered == (start + 5 * 10**9, start + 420 * 10**9)
    assert manifest.rows_written == (1 if kind is DataType.FUNDING else 3)


def test_a_day_of_many_batches_agrees(tmp_path: Path) -> None:
    """More rows than a batch holds: what reaches over a border is counted once."""
    rows = 150_000
    local = pa.array(range(1721347200_000_000, 1721347200_000_000 + rows * 500_000, 500_000))
    bids = [64_000.0 + (row % 13) / 10 for row in range(rows)]
    asks = [bid + (row % 7) / 10 for row, bid in enumerate(bids)]
    table = pa.table(
        {
            "timestamp": pa.array([time.as_py() - 20_000 - time.as_py() % 997 for time in local]),
            "local_timestamp": local,
            "bids[0].price": [round(bid, 1) for bid in bids],
            "bids[0].amount": [1.0] * rows,
            "asks[0].price": [round(ask, 1) for ask in asks],
            "asks[0].amount": [1.0] * rows,
        }
    )
    source = write_raw(table, tmp_path / "raw.parquet")
    agree(convert_partition(source, KEY, SPEC, DataType.BOOK, DAY, tmp_path / "c"), source)
