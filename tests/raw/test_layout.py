import subprocess
import sys
from datetime import date
from pathlib import Path

from fsspec import filesystem

from odum_assets.raw.layout import (
    BY_DATE,
    DataType,
    list_days,
    list_raw_files,
    raw_file_path,
)

KEY = "BINANCE-FUTURES:PERPETUAL:BTC-USDT"
DAY = date(2024, 7, 19)


def put(root: Path, relative: str) -> Path:
    path = root / "raw_tick_data" / "by_date" / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"12345")
    return path


def test_files_are_listed_and_everything_else_is_not(tmp_path: Path) -> None:
    wanted = [
        put(tmp_path, f"day-2024-07-18/data_type-trades/{KEY}.parquet"),
        put(tmp_path, f"day-2024-07-19/data_type-book_snapshot_5/{KEY}.parquet"),
        put(tmp_path, "day-2024-07-19/data_type-trades/BYBIT%3APERPETUAL%3ABTC-USDT%40LIN.parquet"),
    ]
    for name in (
        f"day-2024-07-19/data_type-trades/.{KEY}.parquet",
        f"day-2024-07-19/data_type-trades/{KEY}.parquet.tmp",
        "day-2024-07-19/data_type-trades/_metadata.parquet",
        f"day-2024-07-19/data_type-quotes/{KEY}.parquet",
        f"day-2024-13-40/data_type-trades/{KEY}.parquet",
        f"day-2024-07-20x/data_type-trades/{KEY}.parquet",
        "day-2024-07-21",
    ):
        put(tmp_path, name)

    files = list_raw_files(str(tmp_path))

    assert [file.path for file in files] == [str(path) for path in wanted]
    assert [file.key_text for file in files] == [KEY, KEY, "BYBIT:PERPETUAL:BTC-USDT@LIN"]
    assert files[0].mtime_ns == wanted[0].stat().st_mtime_ns
    assert {file.size for file in files} == {5}
    assert list_days(str(tmp_path)) == [date(2024, 7, 18), DAY]


def test_the_plain_spelling_wins_over_the_encoded_one(tmp_path: Path) -> None:
    put(tmp_path, f"day-2024-07-19/data_type-trades/{KEY.replace(':', '%3A')}.parquet")
    plain = put(tmp_path, f"day-2024-07-19/data_type-trades/{KEY}.parquet")
    (found,) = list_raw_files(str(tmp_path), day=DAY)
    assert found.key_text == KEY
    assert found.path == str(plain) == raw_file_path(str(tmp_path), DAY, DataType.TRADES, KEY)


def test_known_files_are_left_out_in_either_spelling(tmp_path: Path) -> None:
    put(tmp_path, f"day-2024-07-19/data_type-trades/{KEY.replace(':', '%3A')}.parquet")
    plain = put(tmp_path, f"day-2024-07-19/data_type-trades/{KEY}.parquet")
    other = put(tmp_path, f"day-2024-07-18/data_type-trades/{KEY}.parquet")
    (single,) = list_raw_files(str(tmp_path), known={str(plain)})
    assert single.path == str(other)
    put(tmp_path, "day-2024-07-18/data_type-book_snapshot_5/a_link.parquet").unlink()
    link = tmp_path / BY_DATE / "day-2024-07-18/data_type-book_snapshot_5/a_link.parquet"
    link.symlink_to(plain)
    link.with_name("to_nothing.parquet").symlink_to(tmp_path / "nothing")
    link.with_name("folder.parquet").mkdir()
    found = list_raw_files(str(tmp_path), known={str(plain), str(other)})
    assert [(file.path, file.size) for file in found] == [(str(link), 5)]


def test_a_root_that_is_not_there_has_no_days(tmp_path: Path) -> None:
    assert list_days(str(tmp_path / "nowhere")) == []
    assert list_raw_files(str(tmp_path / "nowhere"), day=DAY) == []


def test_a_url_is_listed_like_a_folder() -> None:
    store = filesystem("memory")
    store.pipe(raw_file_path("/raw-layout", DAY, DataType.TRADES, KEY), b"123")
    (file,) = list_raw_files("memory://raw-layout")
    assert (file.day, file.key_text, file.size) == (DAY, KEY, 3)
    assert file.path == raw_file_path("memory://raw-layout", DAY, DataType.TRADES, KEY).replace(
        "memory://", "memory:///"
    )


def test_the_layout_is_imported_without_heavy_libraries() -> None:
    code = (
        "import sys, odum_assets.raw.layout, odum_assets.raw.fingerprint, odum_assets.catalog;"
        "print([n for n in ('pyarrow', 'numpy', 'fsspec', 'nautilus_trader') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
