from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rawfiles import DAY, KEY, SPEC, books_table, catalog_rows, write_raw

from odum_assets.catalog import PartitionManifest, convert_partition
from odum_assets.catalog.paths import PartitionPaths
from odum_assets.errors import DataError
from odum_assets.raw.layout import DataType


def convert(table: pa.Table, tmp_path: Path, row_group: int | None = None) -> PartitionManifest:
    source = write_raw(table, tmp_path / "raw.parquet", row_group)
    return convert_partition(source, KEY, SPEC, DataType.BOOK, DAY, tmp_path / "catalog")


def sides(manifest: PartitionManifest, tmp_path: Path) -> list[tuple[list[Any], list[Any]]]:
    """Return (bids, asks) per row, each a list of (price, size)."""

    def pairs(levels: list[Any]) -> list[Any]:
        return [(level["price"], level["size"]) for level in levels]

    rows = catalog_rows(manifest.data_path(tmp_path / "catalog"))
    return [(pairs(row["bids"]), pairs(row["asks"])) for row in rows]


@pytest.mark.parametrize("layout", ["exchange", "converted"])
@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("levels", [1, 3, 5, 7])
def test_all_levels_arrive_in_order(tmp_path: Path, layout: str, unit: str, levels: int) -> None:
    table = books_table(list(range(10, 60)), layout=layout, unit=unit, levels=levels)

    manifest = convert(table, tmp_path, 9)

    expected = [
        (
            [
                (
                    Decimal(640_000 - level + row % 7).scaleb(-1),
                    Decimal(1 + level + row % 11) / 1000,
                )
                for level in range(levels)
            ],
            [
                (
                    Decimal(640_001 + level + row % 7).scaleb(-1),
                    Decimal(1 + level + row % 11) / 1000,
                )
                for level in range(levels)
            ],
        )
        for row in range(50)
    ]
    assert sides(manifest, tmp_path) == expected
    first = catalog_rows(manifest.data_path(tmp_path / "catalog"))[0]
    assert (first["flags"], first["sequence"]) == (160, 0)
    assert {(level["count"], level["order_id"]) for level in first["bids"]} == {(1, 0)}


def test_a_level_without_price_or_size_is_left_out(tmp_path: Path) -> None:
    nan = float("nan")
    table = books_table(
        [1, 2, 3, 4],
        ask_price_0=[64000.1, None, 64000.1, 64000.1],
        ask_size_1=[1.0, 1.0, nan, 0.0],
        bid_price_4=[1.0, 1.0, 1.0, 0.0],
    )
    found = sides(convert(table, tmp_path), tmp_path)
    assert [(len(bids), len(asks)) for bids, asks in found] == [(5, 5), (5, 4), (5, 4), (4, 4)]
    assert found[1][1][0][0] == Decimal("64000.3")


def test_a_book_without_any_level_is_rejected_and_one_sided_books_are_kept(tmp_path: Path) -> None:
    nothing: list[float | None] = [None, None, 1.0]
    changed: dict[str, Any] = {f"ask_size_{level}": nothing for level in range(5)}
    changed |= {f"bid_size_{level}": [None, 1.0, 1.0] for level in range(5)}
    manifest = convert(books_table([1, 2, 3], **changed), tmp_path)
    assert manifest.rejected == {"empty_book": 1}
    assert manifest.quality["one_sided_books"] == 1
    assert manifest.quality["short_books"] == 1


def test_a_level_that_cannot_be_held_rejects_the_row(tmp_path: Path) -> None:
    table = books_table(
        [1, 2, 3, 4],
        ask_price_3=[64000.4, -1.0, 64000.4, 64000.4],
        bid_size_2=[1.0, 1.0, float("inf"), 1.0],
        bid_price_1=[63999.9, 63999.9, 63999.9, 63999.95],
    )
    manifest = convert(table, tmp_path)
    assert manifest.rejected == {
        "price_not_positive": 1,
        "price_too_many_decimals": 1,
        "size_not_finite": 1,
    }
    paths = PartitionPaths(tmp_path / "catalog", KEY, DataType.BOOK, DAY)
    rows = pq.read_table(paths.rejects).to_pylist()
    assert [(row["row"], row["reason"]) for row in rows] == [
        (1, "price_not_positive"),
        (2, "size_not_finite"),
        (3, "price_too_many_decimals"),
    ]
    assert rows[0]["raw.asks[3].price"] == -1.0


def test_of_several_reasons_the_first_in_their_order_counts(tmp_path: Path) -> None:
    table = books_table(
        [1, 2], bid_price_0=[63999.95, 64000.0], bid_price_1=[float("inf"), 63999.9]
    )
    assert convert(table, tmp_path).rejected == {"price_not_finite": 1}


def test_crossed_locked_repeated_and_disordered_books_are_counted_and_kept(tmp_path: Path) -> None:
    table = books_table(
        [1, 2, 3, 11, 12],
        bid_price_0=[64000.0, 64000.2, 64000.3, 64000.0, 64000.0],
        ask_price_0=[64000.1, 64000.2, 64000.2, 64000.1, 64000.1],
        ask_price_1=[64000.4, 64000.4, 64000.4, 64000.0, 64000.0],
    )
    for name in table.column_names[2:]:
        place = table.schema.get_field_index(name)
        values = table[name].to_pylist()
        table = table.set_column(place, name, pa.array([*values[:4], values[3]]))
    manifest = convert(table, tmp_path)
    quality = manifest.quality
    assert manifest.rows_written == 5
    assert (quality["crossed_books"], quality["locked_books"]) == (1, 1)
    # Row 2 is the only one whose second ask stands between the first and the third.
    assert (quality["repeated_books"], quality["disordered_books"]) == (1, 4)
    spread = quality["spread"]
    assert (spread["books"], spread["median"], spread["mean"]) == (4, 0.1, pytest.approx(0.075))
    # By time: 1 tick and 0 ticks for a second each, eight seconds unknown, 1 tick for a second.
    assert spread["by_time"] == {
        "seconds": 3.0,
        "mean_ticks": 2 / 3,
        "median_ticks": 1,
        "p95_ticks": 1,
    }


def test_a_level_with_price_but_no_size_column_is_an_error(tmp_path: Path) -> None:
    table = books_table([1]).drop_columns(["asks[2].amount"])
    with pytest.raises(DataError, match=r"missing asks\[2\]\.price and \.amount"):
        convert(table, tmp_path)


LEVEL = st.tuples(
    st.one_of(st.none(), st.just(0.0), st.integers(1, 10**6).map(lambda ticks: ticks / 10)),
    st.one_of(st.none(), st.just(0.0), st.integers(1, 10**6).map(lambda ticks: ticks / 1000)),
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    books=st.lists(st.lists(LEVEL, min_size=4, max_size=4), min_size=1, max_size=12),
    row_group=st.integers(1, 5),
)
def test_any_pattern_of_missing_levels_is_kept_exactly(
    tmp_path_factory: pytest.TempPathFactory, books: list[list[Any]], row_group: int
) -> None:
    tmp_path = tmp_path_factory.mktemp("books")
    books = [*books, [(1.0, 0.001)] * 4]
    changed: dict[str, Any] = {}
    for place, (side, level) in enumerate((("ask", 0), ("ask", 1), ("bid", 0), ("bid", 1))):
        changed[f"{side}_price_{level}"] = [book[place][0] for book in books]
        changed[f"{side}_size_{level}"] = [book[place][1] for book in books]
    table = books_table(list(range(len(books))), levels=2, **changed)

    manifest = convert(table, tmp_path, row_group)

    def there(levels: list[Any]) -> list[Any]:
        return [tuple(Decimal(repr(part)) for part in level) for level in levels if all(level)]

    expected = [(there(book[2:]), there(book[:2])) for book in books]
    kept = [each for each in expected if each != ([], [])]
    assert sides(manifest, tmp_path) == kept
    assert manifest.rejected.get("empty_book", 0) == len(expected) - len(kept)
