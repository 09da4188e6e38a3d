"""The shared market data: every file becomes the partition that plain pandas says it must."""

import os
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rawfiles import KEY, SPEC, catalog_rows

from odum_assets.catalog import PartitionManifest, convert_partition
from odum_assets.instruments import InstrumentSpec, parse_instrument_key
from odum_assets.raw.layout import DataType, RawFile, list_days, list_raw_files

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(
        "ODUM_TEST_DATA" not in os.environ, reason="ODUM_TEST_DATA names no market data folder"
    ),
]
PRECISIONS = {
    "BINANCE-FUTURES:PERPETUAL:BTC-USDT": (1, 3),
    "BINANCE-FUTURES:PERPETUAL:ETH-USDT": (2, 3),
    "BINANCE:SPOT_PAIR:BTC-USDT": (2, 5),
}
FILES = list_raw_files(os.environ["ODUM_TEST_DATA"]) if "ODUM_TEST_DATA" in os.environ else []


def spec_of(file: RawFile) -> InstrumentSpec:
    price, size = PRECISIONS[file.key_text]
    key = parse_instrument_key(file.key_text)
    return replace(SPEC, key=key, price_precision=price, size_precision=size)


def convert(file: RawFile, catalog: Path) -> PartitionManifest:
    spec = spec_of(file)
    return convert_partition(file.path, spec.key, spec, file.data_type, file.day, catalog)


def frame_of(file: RawFile) -> pd.DataFrame:
    frame = pd.read_parquet(file.path)
    return frame.sort_values("local_timestamp", kind="stable", ignore_index=True)


def arrived_on(file: RawFile, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that arrived on the day of the file; a recorder's clock may be behind."""
    days = pd.to_datetime(frame["local_timestamp"], unit="us", utc=True).dt.date
    return frame[days == file.day].reset_index(drop=True)


def named(file: RawFile) -> str:
    return f"{file.day}-{file.data_type}-{file.key_text.replace(':', '_')}"


def test_the_shared_days_are_found() -> None:
    assert list_days(os.environ["ODUM_TEST_DATA"]) == [
        date(2023, 4, 4),
        date(2023, 4, 5),
        date(2024, 7, 18),
        date(2024, 7, 19),
        date(2026, 2, 16),
    ]
    assert len(FILES) == 16


@pytest.mark.parametrize(
    "file", [file for file in FILES if file.data_type is DataType.TRADES], ids=named
)
def test_trades(file: RawFile, tmp_path: Path) -> None:
    manifest = convert(file, tmp_path)
    frame = frame_of(file)
    assert (manifest.rows_in, manifest.rows_written) == (len(frame), len(frame))
    assert manifest.rejected == {}
    sides = {"buy": "BUY", "sell": "SELL"}
    records: list[dict[str, Any]] = frame.to_dict("records")  # type: ignore[assignment]
    assert catalog_rows(manifest.data_path(tmp_path)) == [
        {
            "price": Decimal(repr(row["price"])),
            "size": Decimal(repr(row["amount"])),
            "aggressor_side": sides[row["side"]],
            "trade_id": row["id"],
            "ts_event": row["timestamp"] * 1000,
            "ts_init": row["local_timestamp"] * 1000,
        }
        for row in records
    ]
    latency = frame["local_timestamp"] - frame["timestamp"]
    assert manifest.quality["latency"]["negative_rows"] == int((latency < 0).sum())
    assert manifest.quality["duplicate_ids"] == int(frame["id"].duplicated().sum())


@pytest.mark.parametrize(
    "file", [file for file in FILES if file.data_type is DataType.BOOK], ids=named
)
def test_books(file: RawFile, tmp_path: Path) -> None:
    manifest = convert(file, tmp_path)
    delivered = frame_of(file)
    frame = arrived_on(file, delivered)
    # In 2024 the recorder's clock is 1.5 s behind the exchange, by whose time the files are split.
    before = len(delivered) - len(frame)
    assert (manifest.rows_in, manifest.rows_written) == (len(delivered), len(frame))
    assert manifest.rejected == ({"previous_day": before} if before else {})
    assert before == (2 if (file.day, file.key_text) == (date(2024, 7, 19), str(KEY)) else 0)
    rows = catalog_rows(manifest.data_path(tmp_path))
    records = frame.to_dict("records")
    for side in ("bids", "asks"):
        found = [[(level["price"], level["size"]) for level in row[side]] for row in rows]
        assert found == [
            [
                (
                    Decimal(repr(row[f"{side}[{n}].price"])),
                    Decimal(repr(row[f"{side}[{n}].amount"])),
                )
                for n in range(5)
            ]
            for row in records
        ]
    assert [row["ts_init"] for row in rows] == [row["local_timestamp"] * 1000 for row in records]
    spread = frame["asks[0].price"] - frame["bids[0].price"]
    assert manifest.quality["crossed_books"] == int((spread < 0).sum())
    assert manifest.quality["locked_books"] == int((spread == 0).sum())


def test_the_known_quirks_are_reported(tmp_path: Path) -> None:
    trades = {
        file.day: convert(file, tmp_path)
        for file in FILES
        if file.data_type is DataType.TRADES and file.key_text == str(KEY)
    }
    assert trades[date(2024, 7, 19)].quality["latency"]["negative_share"] == 1.0
    assert 0 < trades[date(2023, 4, 5)].quality["latency"]["negative_share"] < 1
    assert trades[date(2026, 2, 16)].quality["latency"]["negative_rows"] == 0
    assert trades[date(2026, 2, 16)].quality["id_skips"] == 19
