"""Rows that two neighboring partitions hold are in a view of both once."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rawfiles import DAY, KEY, SPEC, books_table, catalog_rows, some_trades, trades_table, write_raw

from odum_assets.catalog import (
    PartitionManifest,
    PartitionRequest,
    catalog_view,
    convert_partition,
)
from odum_assets.catalog.manifest import FileRecord
from odum_assets.catalog.partition_writer import open_writer
from odum_assets.catalog.paths import PartitionPaths, data_file_name
from odum_assets.catalog.repeats import drop_repeats
from odum_assets.raw.layout import DataType
from odum_assets.storage.files import hash_file

EVE = DAY - timedelta(days=1)


def _convert(table: pa.Table, kind: DataType, day: object, tmp_path: Path) -> PartitionManifest:
    source = write_raw(table, tmp_path / f"{day}-{kind}.parquet")
    return convert_partition(source, KEY, SPEC, kind, day, tmp_path / "catalog")  # type: ignore[arg-type]


def _viewed(tmp_path: Path, kind: DataType) -> tuple[list[PartitionManifest], Path, list[int]]:
    view = tmp_path / "view"
    manifests = catalog_view(tmp_path / "catalog", [PartitionRequest(KEY, kind, (EVE, DAY))], view)
    return manifests, view, drop_repeats(view, manifests)


@pytest.mark.parametrize("group", [None, 7])
def test_trades_that_are_sent_again_after_midnight_are_in_the_view_once(
    tmp_path: Path, group: int | None
) -> None:
    """A new connection begins with the last trades of the day before, with another arrival."""
    evening = some_trades(40, day_offset=-30)[:40]
    morning = some_trades(30, day_offset=0)
    morning = [replace(each, trade_id=f"m{each.trade_id}") for each in morning]
    again = [replace(each, second=1) for each in evening[-12:]]
    _convert(trades_table(evening), DataType.TRADES, EVE, tmp_path)
    late = write_raw(trades_table([*again, *morning]), tmp_path / "late.parquet", group)
    made = convert_partition(late, KEY, SPEC, DataType.TRADES, DAY, tmp_path / "catalog")
    before = made.data_path(tmp_path / "catalog").read_bytes()

    manifests, view, dropped = _viewed(tmp_path, DataType.TRADES)

    assert dropped == [0, 12]
    ids = [row["trade_id"] for each in manifests for row in catalog_rows(each.data_path(view))]
    assert ids == [each.trade_id for each in [*evening, *morning]]
    # The catalog's own file, of which the view had a link, is as it was.
    assert made.data_path(tmp_path / "catalog").read_bytes() == before
    assert hash_file(made.data_path(tmp_path / "catalog")) == made.file.sha256
    schema = pq.read_schema(made.data_path(view))
    assert schema.equals(pq.read_schema(made.data_path(tmp_path / "catalog")), True)


def test_an_id_that_another_trade_has_is_no_repeat(tmp_path: Path) -> None:
    """Some venues count from one each day; and a trade at the same time is another trade."""
    evening = some_trades(20, day_offset=-11)
    for other in (
        [replace(each, second=5, event_second=each.event_second + 1) for each in evening],
        [replace(each, second=5, price=each.price + 1) for each in evening],
        [replace(each, second=5, size=each.size + 1) for each in evening],
        [replace(each, second=5, trade_id=f"x{each.trade_id}") for each in evening],
        [replace(each, second=5, side="sell" if each.side == "buy" else "buy") for each in evening],
    ):
        place = tmp_path / str(id(other))
        place.mkdir()
        _convert(trades_table(evening), DataType.TRADES, EVE, place)
        _convert(trades_table(other), DataType.TRADES, DAY, place)
        assert _viewed(place, DataType.TRADES)[2] == [0, 0]


def _with_rows_of_the_day_before(
    eve: PartitionManifest, later: PartitionManifest, rows: int, root: Path
) -> None:
    """Make the later partition what an earlier version made of a file with rows of both days."""
    extra = pq.read_table(eve.data_path(root)).slice(eve.rows_written - rows)
    merged = pa.concat_tables([extra, pq.read_table(later.data_path(root))])
    first = merged["ts_init"][0].cast(pa.int64()).as_py()
    paths = PartitionPaths(root, KEY, later.data_type, later.day)
    later.data_path(root).unlink()
    path = paths.data_folder / data_file_name(first, later.last_ts_init)
    with open_writer(path, merged.schema) as writer:
        writer.write_table(merged)
    event = min(each.cast(pa.int64()).as_py() for each in merged["ts_event"])
    old = replace(
        later,
        converter_version=1,
        rows_written=merged.num_rows,
        first_ts_init=first,
        first_ts_event=event,
        file=FileRecord(path.name, path.stat().st_size, hash_file(path)),
    )
    paths.manifest.write_text(old.to_json())


@pytest.mark.parametrize("kind", [DataType.TRADES, DataType.BOOK, DataType.FUNDING])
def test_a_partition_of_an_earlier_version_that_holds_rows_of_the_day_before(
    tmp_path: Path, kind: DataType
) -> None:
    def table(start: int) -> pa.Table:
        if kind is DataType.BOOK:
            return books_table(list(range(start, start + 50)))
        trades = trades_table(some_trades(50, day_offset=start))
        if kind is DataType.TRADES:
            return trades
        rates = [(index + start % 7) * 1e-6 for index in range(50)]
        return trades.select(["timestamp", "local_timestamp"]).append_column(
            "funding_rate", pa.array(rates)
        )

    eve = _convert(table(-100), kind, EVE, tmp_path)
    day = _convert(table(10), kind, DAY, tmp_path)
    whole = [
        row for each in (eve, day) for row in catalog_rows(each.data_path(tmp_path / "catalog"))
    ]
    _with_rows_of_the_day_before(eve, day, 20, tmp_path / "catalog")
    manifests, view, dropped = _viewed(tmp_path, kind)
    assert [each.converter_version for each in manifests] == [2, 1]
    assert dropped == [0, 20]
    found = [row for each in manifests for row in catalog_rows(each.data_path(view))]
    assert found == whole
