from datetime import timedelta
from pathlib import Path

import pytest
from rawfiles import DAY, KEY, SPEC, previous_day, some_trades, trades_table, write_raw

from odum_assets.catalog import PartitionRequest, catalog_view, convert_partition
from odum_assets.catalog.paths import PartitionPaths
from odum_assets.errors import DataError
from odum_assets.raw.layout import DataType

REQUEST = PartitionRequest(KEY, DataType.TRADES, (previous_day(), DAY))


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    root = tmp_path / "catalog"
    for day, offset in ((previous_day(), -5000), (DAY, 0), (DAY + timedelta(days=1), 90_000)):
        source = write_raw(trades_table(some_trades(20, offset)), tmp_path / f"{day}.parquet")
        convert_partition(source, KEY, SPEC, DataType.TRADES, day, root)
    return root


def test_a_view_holds_exactly_what_was_asked_for(catalog: Path, tmp_path: Path) -> None:
    stray = PartitionPaths(catalog, KEY, DataType.TRADES, DAY).data_folder / "stray.parquet"
    stray.write_bytes(b"no manifest names it")
    manifests = catalog_view(catalog, [REQUEST], tmp_path / "view")
    assert [manifest.day for manifest in manifests] == [previous_day(), DAY]
    linked = sorted((tmp_path / "view").rglob("*.parquet"))
    assert [path.name for path in linked] == [manifest.file.name for manifest in manifests]
    for path, manifest in zip(linked, manifests, strict=True):
        assert path.samefile(manifest.data_path(catalog))


def test_a_view_keeps_its_rows_when_the_partition_is_replaced(
    catalog: Path, tmp_path: Path
) -> None:
    (manifest,) = catalog_view(
        catalog, [PartitionRequest(KEY, DataType.TRADES, (DAY,))], tmp_path / "view"
    )
    (linked,) = (tmp_path / "view").rglob("*.parquet")
    before = linked.read_bytes()
    source = write_raw(trades_table(some_trades(33)), tmp_path / f"{DAY}.parquet")
    convert_partition(source, KEY, SPEC, DataType.TRADES, DAY, catalog)
    assert linked.read_bytes() == before
    assert not manifest.data_path(catalog).exists() or manifest.file.name == linked.name


def test_missing_partitions_are_all_named_with_what_to_run(catalog: Path, tmp_path: Path) -> None:
    later = (DAY, DAY + timedelta(days=5), DAY + timedelta(days=6))
    with pytest.raises(DataError) as caught:
        catalog_view(
            catalog,
            [
                PartitionRequest(KEY, DataType.TRADES, later),
                PartitionRequest(KEY, DataType.BOOK, (DAY,)),
            ],
            tmp_path / "view",
        )
    text = str(caught.value)
    assert "2024-07-24: expects raw_tick_data/by_date/day-2024-07-24/data_type-trades/" in text
    assert "2024-07-25" in text
    assert "odum convert --instrument 'BINANCE-FUTURES:PERPETUAL:BTC-USDT'" in text
    assert "data_type-book_snapshot_5/BINANCE-FUTURES:PERPETUAL:BTC-USDT.parquet" in text
    assert not (tmp_path / "view").exists()


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_a_file_that_is_not_its_manifests_is_refused(
    catalog: Path, tmp_path: Path, damage: str
) -> None:
    folder = PartitionPaths(catalog, KEY, DataType.TRADES, DAY).data_folder
    for path in folder.glob("2024-07-19*"):
        if damage == "missing":
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[:-1] + b"X")
    with pytest.raises(DataError, match=r"missing or differs .* --force"):
        catalog_view(catalog, [REQUEST], tmp_path / "view")
