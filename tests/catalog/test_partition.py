"""Partitions are replaced whole or not at all, by one process at a time, and only when needed."""

import errno
import os
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rawfiles import (
    DAY,
    KEY,
    SPEC,
    catalog_rows,
    catalog_trades,
    previous_day,
    some_trades,
    trades_table,
    write_raw,
)

from odum_assets.catalog import PartitionManifest, convert_partition, list_manifests, read_manifest
from odum_assets.catalog.paths import PartitionPaths
from odum_assets.catalog.publish import sweep_staging
from odum_assets.errors import DataError
from odum_assets.instruments import InstrumentKey, parse_instrument_key
from odum_assets.raw.layout import DataType
from odum_assets.storage.locks import hold_lock


def convert(source: str, catalog: Path, day: date = DAY, **options: Any) -> PartitionManifest:
    return convert_partition(source, KEY, SPEC, DataType.TRADES, day, catalog, **options)


def contents(catalog: Path) -> dict[str, bytes]:
    """Return every file of a catalog but lock files, with its bytes."""
    return {
        str(path.relative_to(catalog)): path.read_bytes()
        for path in sorted(catalog.rglob("*"))
        if path.is_file() and ".locks" not in path.parts
    }


@pytest.fixture
def source(tmp_path: Path) -> str:
    return write_raw(trades_table(some_trades()), tmp_path / "raw.parquet")


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    return tmp_path / "catalog"


def test_an_unchanged_file_is_not_converted_again(source: str, catalog: Path) -> None:
    first = convert(source, catalog)
    inode = first.data_path(catalog).stat().st_ino
    assert convert(source, catalog) == first
    assert first.data_path(catalog).stat().st_ino == inode
    assert read_manifest(catalog, KEY, DataType.TRADES, DAY) == first


def test_a_touched_file_only_updates_what_the_manifest_says_of_it(
    source: str, catalog: Path
) -> None:
    first = convert(source, catalog)
    inode = first.data_path(catalog).stat().st_ino
    os.utime(source, ns=(1, 1))
    second = convert(source, catalog)
    assert second == replace(first, source=replace(first.source, mtime_ns=1))
    assert second.data_path(catalog).stat().st_ino == inode


def test_a_changed_file_replaces_the_partition(source: str, catalog: Path) -> None:
    convert(source, catalog)
    trades = some_trades(300, day_offset=77)
    write_raw(trades_table(trades), Path(source))
    manifest = convert(source, catalog)
    (data,) = (catalog / "data/trades").rglob("*.parquet")
    assert data == manifest.data_path(catalog)
    assert catalog_rows(data) == catalog_trades(trades)


def test_force_gives_the_same_bytes_again(source: str, catalog: Path) -> None:
    convert(source, catalog)
    before = contents(catalog)
    convert(source, catalog, force=True)
    assert contents(catalog) == before


def test_other_precisions_convert_again(source: str, catalog: Path) -> None:
    convert(source, catalog)
    finer = replace(SPEC, price_precision=2)
    manifest = convert_partition(source, KEY, finer, DataType.TRADES, DAY, catalog)
    assert manifest.price_precision == 2
    schema = pq.read_schema(manifest.data_path(catalog))
    assert schema.metadata[b"price_precision"] == b"2"


@pytest.mark.parametrize("damage", ["data", "manifest", "rejects"])
def test_a_damaged_partition_is_made_again(tmp_path: Path, catalog: Path, damage: str) -> None:
    table = trades_table(some_trades(20))
    table = table.set_column(6, "price", pa.array([-1.0] + [1.0] * 19))
    source = write_raw(table, tmp_path / "raw.parquet")
    manifest = convert(source, catalog)
    before = contents(catalog)
    paths = PartitionPaths(catalog, KEY, DataType.TRADES, DAY)
    if damage == "data":
        manifest.data_path(catalog).unlink()
    elif damage == "manifest":
        paths.manifest.write_text("{")
    else:
        paths.rejects.unlink()
    convert(source, catalog)
    assert contents(catalog) == before


def test_days_live_side_by_side_and_are_listed_in_order(source: str, tmp_path: Path) -> None:
    catalog = tmp_path / "catalog"
    earlier = write_raw(trades_table(some_trades(9, -9000)), tmp_path / "earlier.parquet")
    convert(source, catalog)
    convert(earlier, catalog, previous_day())
    assert [each.day for each in list_manifests(catalog, KEY)] == [previous_day(), DAY]
    assert list_manifests(catalog, data_type=DataType.BOOK) == []
    assert len(list((catalog / "data/trades").rglob("*.parquet"))) == 2


def test_what_a_killed_run_left_is_removed(source: str, catalog: Path) -> None:
    manifest = convert(source, catalog)
    clean = contents(catalog)
    paths = PartitionPaths(catalog, KEY, DataType.TRADES, DAY)
    paths.staged("data").write_bytes(b"half")
    stray = paths.data_folder / "2024-07-19T00-00-00-000000000Z_2024-07-19T01-00-00-0Z.parquet"
    stray.write_bytes(manifest.data_path(catalog).read_bytes())
    convert(source, catalog, force=True)
    assert contents(catalog) == clean


def test_two_spellings_of_one_instrument_cannot_share_a_catalog(source: str, catalog: Path) -> None:
    convert(source, catalog)
    other: InstrumentKey = parse_instrument_key(f"{KEY}@LIN")
    before = contents(catalog)
    with pytest.raises(
        DataError, match=r"have the same NautilusTrader id BTC-USDT-PERP\.BINANCE_FUTURES"
    ):
        convert_partition(source, other, replace(SPEC, key=other), DataType.TRADES, DAY, catalog)
    assert contents(catalog) == before


def test_data_of_somebody_else_are_not_touched(source: str, catalog: Path) -> None:
    folder = PartitionPaths(catalog, KEY, DataType.TRADES, DAY).data_folder
    folder.mkdir(parents=True)
    (folder / "1_2.parquet").write_bytes(b"theirs")
    before = contents(catalog)
    with pytest.raises(
        DataError, match=r"1 data files were not written by a conversion, such as 1_2\.parquet"
    ):
        convert(source, catalog)
    assert contents(catalog) == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read as parquet"),
        (b"not parquet at all", "cannot be read as parquet"),
        (None, "there is no such raw file"),
        ("truncated", "cannot be read as parquet"),
        ("zero rows", "has no rows"),
        ("all rejected", r"none of its 5 rows can be used \(price_not_positive 5\)"),
        ("other columns", "missing .*Columns: a"),
        ("no day", "Check that the file is in the folder of its day"),
    ],
)
def test_an_unusable_file_leaves_the_old_partition(
    source: str, catalog: Path, content: str | bytes | None, message: str
) -> None:
    convert(source, catalog)
    before = contents(catalog)
    path = Path(source)
    table = trades_table(some_trades(5))
    if content is None:
        path.unlink()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "truncated":
        path.write_bytes(path.read_bytes()[:-200])
    elif content == "zero rows":
        write_raw(table.slice(0, 0), path)
    elif content == "all rejected":
        write_raw(table.set_column(6, "price", pa.array([0.0, -1, -2, -3, -4])), path)
    elif content == "other columns":
        write_raw(pa.table({"a": [1]}), path)
    else:
        write_raw(trades_table(some_trades(5, -10 * 86_400)), path)
    with pytest.raises(DataError, match=message) as caught:
        convert(source, catalog)
    assert source in str(caught.value)
    assert contents(catalog) == before


def test_damaged_pages_are_an_error(source: str, catalog: Path) -> None:
    content = bytearray(Path(source).read_bytes())
    content[200:900] = bytes(700)
    Path(source).write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as parquet"):
        convert(source, catalog)
    assert contents(catalog) == {}


def test_duplicate_columns_are_an_error(source: str, catalog: Path) -> None:
    table = trades_table(some_trades(5))
    write_raw(table.append_column("price", table["price"]), Path(source))
    with pytest.raises(DataError, match="columns occur more than once: price"):
        convert(source, catalog)


def test_a_file_that_changes_while_it_is_read_is_refused(source: str, catalog: Path) -> None:
    def touch(_done: int, _total: int) -> None:
        os.utime(source, ns=(5, 5))

    with pytest.raises(DataError, match="changed while it was read"):
        convert(source, catalog, progress=touch)
    assert contents(catalog) == {}


def test_a_full_disk_leaves_the_old_partition(
    source: str, catalog: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert(source, catalog)
    before = contents(catalog)

    def full(_path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("odum_assets.catalog.partition_writer.sync", full)
    with pytest.raises(DataError, match="No space left on device"):
        convert(source, catalog, force=True)
    assert contents(catalog) == before


def test_a_catalog_that_cannot_be_written_is_an_error(source: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="the catalog cannot be written"):
        convert(source, tmp_path / "file" / "catalog")


def test_progress_counts_to_the_end(source: str, catalog: Path) -> None:
    steps: list[tuple[int, int]] = []
    convert(source, catalog, progress=lambda done, total: steps.append((done, total)))
    assert steps[-1] == (500, 500)


def test_a_url_is_converted_like_a_path(source: str, tmp_path: Path) -> None:
    from fsspec import filesystem

    filesystem("memory").pipe("/odum-test/raw.parquet", Path(source).read_bytes())
    remote = convert("memory://odum-test/raw.parquet", tmp_path / "remote")
    local = convert(source, tmp_path / "local")
    assert (remote.digest, remote.file) == (local.digest, local.file)
    assert convert("memory://odum-test/raw.parquet", tmp_path / "remote") == remote
    with pytest.raises(DataError, match="there is no such raw file"):
        convert("memory://odum-test/other.parquet", tmp_path / "remote")


def test_what_dead_conversions_left_goes_and_what_is_under_way_stays(tmp_path: Path) -> None:
    catalog = tmp_path / "catalog"
    source = write_raw(trades_table(some_trades()), tmp_path / "raw.parquet")
    convert(source, catalog)
    before = contents(catalog)
    dead, alive = (
        PartitionPaths(catalog, KEY, data_type, DAY)
        for data_type in (DataType.TRADES, DataType.BOOK)
    )
    for paths in (dead, alive):
        for kind in ("data", "old-0"):
            paths.staged(kind).write_bytes(b"half a file")

    with hold_lock(alive.partition_lock):
        sweep_staging(catalog)
        left = {path.name for path in dead.staging_folder.glob("*.part")}
        assert left == {alive.staged(kind).name for kind in ("data", "old-0")}
    sweep_staging(catalog)
    assert contents(catalog) == before
