"""Files that are no whole parquet file of their kind: an error that names them, nothing written."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hostilefile import KEY, catalog_files, convert, examples, place, spec_with
from hypothesis import given
from hypothesis import strategies as st
from rawcells import DAY, MIDNIGHT_NS

from odum_assets.catalog.paths import PartitionPaths
from odum_assets.errors import DataError, OdumError
from odum_assets.raw.layout import DataType

SPEC = spec_with(1, 3)


def trades(rows: int = 200, **columns: Any) -> pa.Table:
    """Return plain good trades, some columns replaced."""
    times = pa.array([(MIDNIGHT_NS + row * 10**9) // 1000 for row in range(rows)], pa.int64())
    values: dict[str, Any] = {
        "symbol": ["BTCUSDT"] * rows,
        "timestamp": times,
        "local_timestamp": times,
        "id": [str(row) for row in range(rows)],
        "side": ["buy", "sell"] * (rows // 2) + ["buy"] * (rows % 2),
        "price": [64000.0 + row % 7 for row in range(rows)],
        "amount": [0.001 * (1 + row % 5) for row in range(rows)],
    }
    return pa.table({**values, **columns})


def refused(path: Path, catalog: Path, data_type: DataType = DataType.TRADES) -> str:
    """Convert what cannot be converted; return the message."""
    with pytest.raises(DataError) as caught:
        convert(path, catalog, SPEC, data_type)
    assert str(path) in str(caught.value)
    assert catalog_files(catalog) == []
    return str(caught.value)


def whole_file() -> bytes:
    """Return the bytes of a good file with several row groups."""
    sink = pa.BufferOutputStream()
    pq.write_table(trades(), sink, row_group_size=37, compression="snappy")
    return sink.getvalue().to_pybytes()


WHOLE = whole_file()


@examples(40)
@given(length=st.integers(0, len(WHOLE) - 1))
def test_a_truncated_file_is_refused(length: int) -> None:
    with place() as folder:
        path = folder / "cut.parquet"
        path.write_bytes(WHOLE[:length])
        assert "cannot be read as parquet" in refused(path, folder / "catalog")


def _check_flips(flips: list[tuple[int, int]]) -> None:
    """Change bytes: refused as a whole, or every row that the file now holds accounted for."""
    content = bytearray(WHOLE)
    for place_, byte in flips:
        content[place_ % len(content)] = byte
    with place() as folder:
        path, catalog = folder / "flipped.parquet", folder / "catalog"
        path.write_bytes(content)
        try:
            manifest = convert(path, catalog, SPEC, DataType.TRADES)
        except OdumError as error:
            text = str(error)
            assert str(path) in text
            assert catalog_files(catalog) == []
            return
        rows = pq.read_metadata(manifest.data_path(catalog)).num_rows
        assert manifest.rows_in == rows + manifest.rows_rejected
        assert rows == manifest.rows_written


FLIPS = st.lists(
    st.tuples(
        # The footer, where the columns are described, is the part that can confuse most.
        st.one_of(st.integers(0, len(WHOLE) - 1), st.integers(-1800, -1)),
        st.integers(0, 255),
    ),
    min_size=1,
    max_size=6,
)


@examples(80)
@given(flips=FLIPS)
def test_changed_bytes_are_refused_or_accounted_for(flips: list[tuple[int, int]]) -> None:
    _check_flips(flips)


@pytest.mark.torture
@pytest.mark.timeout(3000)
@examples(5000)
@given(flips=FLIPS)
def test_many_changed_bytes(flips: list[tuple[int, int]]) -> None:
    _check_flips(flips)


def test_a_page_that_points_outside_its_dictionary_is_refused(tmp_path: Path) -> None:
    content = bytearray(WHOLE)
    content[82] = 2
    path = tmp_path / "raw.parquet"
    path.write_bytes(content)
    assert "outside the dictionary" in refused(path, tmp_path / "catalog")


def _csv(path: Path) -> None:
    pyarrow.csv.write_csv(trades(), path)


def _arrow(path: Path) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, trades().schema) as writer:
        writer.write_table(trades())


@pytest.mark.parametrize("data_type", list(DataType))
@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"PAR1"),
        lambda path: path.write_bytes(b"PAR1" + b"\xff" * 100 + b"PAR1"),
        lambda path: path.write_bytes(bytes(10_000)),
        lambda path: path.write_text(json.dumps({"price": 1})),
        _csv,
        _arrow,
    ],
)
def test_what_is_no_parquet_file_is_refused(
    tmp_path: Path, make: Callable[[Path], object], data_type: DataType
) -> None:
    path = tmp_path / "raw.parquet"
    make(path)
    assert "cannot be read as parquet" in refused(path, tmp_path / "catalog", data_type)


@pytest.mark.parametrize(
    "table",
    [
        pa.table({}),
        pa.table({"a": [1]}),
        pa.table({"timestamp": pa.array([], pa.int64())}),
        pa.table({f"c{number}": [1] for number in range(2000)}),
    ],
)
@pytest.mark.parametrize("data_type", list(DataType))
def test_other_columns_are_refused_and_named(
    tmp_path: Path, table: pa.Table, data_type: DataType
) -> None:
    path = tmp_path / "raw.parquet"
    pq.write_table(table, path)
    text = refused(path, tmp_path / "catalog", data_type)
    assert "missing" in text
    assert len(text) < 2000


def test_a_folder_or_a_pipe_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "raw.parquet"
    path.mkdir()
    assert "is a folder or device, not a file" in refused(path, tmp_path / "catalog")
    path.rmdir()
    os.mkfifo(path)
    assert "is a folder or device, not a file" in refused(path, tmp_path / "catalog")


def test_a_file_that_cannot_be_read_any_more_is_named_not_the_catalog(tmp_path: Path) -> None:
    path, catalog = tmp_path / "raw.parquet", tmp_path / "catalog"
    pq.write_table(trades(), path)
    convert(path, catalog, SPEC, DataType.TRADES)
    before = catalog_files(catalog)
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match="is a folder or device, not a file"):
        convert(path, catalog, SPEC, DataType.TRADES)
    assert catalog_files(catalog) == before


def test_text_that_is_not_utf8_rejects_its_rows(tmp_path: Path) -> None:
    broken = pa.array([b"1", b"\xff\xfe", b"3", b"4", b"5"]).view(pa.string())
    labels = pa.array([b"buy", b"buy", b"\xc3\x28", b"sell", b"sell"]).view(pa.string())
    symbols = pa.array([b"BTCUSDT"] * 4 + [b"\xc3\x28"]).view(pa.string())
    path, catalog = tmp_path / "raw.parquet", tmp_path / "catalog"
    pq.write_table(trades(5, id=broken, side=labels, symbol=symbols), path)
    manifest = convert(path, catalog, SPEC, DataType.TRADES)
    assert manifest.rejected == {"wrong_symbol": 1, "id_not_ascii": 1}
    assert manifest.unknown_sides == 1
    assert manifest.rows_written == 3


def test_a_level_number_beyond_reason_is_no_level(tmp_path: Path) -> None:
    times = pa.array([MIDNIGHT_NS // 1000], pa.int64())
    columns: dict[str, Any] = {"timestamp": times}
    for side, price in (("ask", 64000.2), ("bid", 64000.1)):
        columns |= {f"{side}s[0].price": [price], f"{side}s[0].amount": [1.0]}
        # None of these is read as a level, and none makes room for billions of them.
        for level in ("99999999999", "00", "-1", "\u0661", "1\n"):
            columns |= {f"{side}s[{level}].price": [1.0], f"{side}s[{level}].amount": [1.0]}
    path, catalog = tmp_path / "raw.parquet", tmp_path / "catalog"
    pq.write_table(pa.table(columns), path)
    manifest = convert(path, catalog, SPEC, DataType.BOOK)
    (row,) = pq.read_table(manifest.data_path(catalog)).to_pylist()
    assert (len(row["bids"]), len(row["asks"])) == (1, 1)


def test_a_gap_in_the_levels_is_refused(tmp_path: Path) -> None:
    columns: dict[str, Any] = {"timestamp": pa.array([MIDNIGHT_NS // 1000], pa.int64())}
    for side in ("ask", "bid"):
        for level in (0, 9999):
            columns |= {f"{side}s[{level}].price": [1.0], f"{side}s[{level}].amount": [1.0]}
    path = tmp_path / "raw.parquet"
    pq.write_table(pa.table(columns), path)
    assert "missing asks[1].price" in refused(path, tmp_path / "catalog", DataType.BOOK)


def test_one_row_group_of_a_million_unsorted_rows(tmp_path: Path) -> None:
    rows = 1_000_000
    seconds = [(row * 7919) % 86_400 for row in range(rows)]
    times = pa.array([MIDNIGHT_NS // 1000 + second * 10**6 for second in seconds], pa.int64())
    prices = [64000.0] * rows
    for row in range(0, rows, 1000):
        prices[row] = float("nan")
    table = trades(rows, timestamp=times, local_timestamp=times, price=prices)
    path, catalog = tmp_path / "raw.parquet", tmp_path / "catalog"
    pq.write_table(table, path, row_group_size=rows)
    assert pq.read_metadata(path).num_row_groups == 1

    manifest = convert(path, catalog, SPEC, DataType.TRADES)

    assert manifest.rejected == {"price_missing": 1000}
    assert manifest.rows_written == rows - 1000
    found = pq.read_table(manifest.data_path(catalog), columns=["trade_id", "ts_init"])
    kept = [row for row in range(rows) if row % 1000]
    kept.sort(key=lambda row: seconds[row])
    assert found["trade_id"].to_pylist() == [str(row) for row in kept]
    rejects = PartitionPaths(catalog, KEY, DataType.TRADES, DAY).rejects
    assert pq.read_table(rejects, columns=["row"])["row"].to_pylist() == list(range(0, rows, 1000))
