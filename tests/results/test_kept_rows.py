"""Rows that are kept for later runs are those of the catalog, also after one that stopped early."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostiledays import write_hostile_day
from tinydays import Market, variant

from odum_assets.vectorized.ticks import rows as ticks_rows
from odum_assets.vectorized.ticks.rows import KeptRows, Rows

DIGITS = (1, 3)


@pytest.fixture
def files(market: Market) -> dict[str, list[Path]]:
    """Return the files of a hostile day."""
    write_hostile_day(market, variant(), 35)
    data = market.settings.catalog_path / "data"
    return {
        name: sorted((data / folder).rglob("*.parquet"))
        for name, folder in (("trades", "trades"), ("books", "order_book_depths"))
    }


def _read(rows: Rows, files: dict[str, list[Path]], *, is_top: bool) -> list[list[Any]]:
    trades = rows.trades(files["trades"], (None, None), DIGITS)
    books = rows.books(files["books"], (None, None), DIGITS, is_top=is_top)
    return [[(group,) for group in trades], [tuple(group) for group in books]]


def _is_same(one: list[list[Any]], other: list[list[Any]]) -> bool:
    return all(
        len(left) == len(right)
        and all(
            np.array_equal(mine, theirs)
            for pair in zip(left, right, strict=True)
            for mine, theirs in zip(*pair, strict=True)
        )
        for left, right in zip(one, other, strict=True)
    )


def test_kept_rows_are_those_of_the_catalog(files: dict[str, list[Path]], tmp_path: Path) -> None:
    kept = KeptRows(tmp_path)
    seen = [_read(Rows(), files, is_top=is_top) for is_top in (False, True)]
    assert sum(len(group) for group, *_ in seen[0][0]) > 0
    assert not _is_same(*seen)
    for _ in range(3):
        for is_top, expected in zip((False, True), seen, strict=True):
            assert _is_same(_read(kept, files, is_top=is_top), expected)


def test_later_runs_do_not_decode(
    files: dict[str, list[Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = KeptRows(tmp_path)
    first = _read(kept, files, is_top=False)

    def refused(*_: Any, **__: Any) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(ticks_rows, "trade_groups", refused)
    monkeypatch.setattr(ticks_rows, "book_groups", refused)
    assert _is_same(_read(kept, files, is_top=False), first)


def test_what_was_read_in_part_is_read_again(files: dict[str, list[Path]], tmp_path: Path) -> None:
    kept = KeptRows(tmp_path)
    twice = {name: paths * 2 for name, paths in files.items()}
    for groups in (
        kept.trades(twice["trades"], (None, None), DIGITS),
        kept.books(twice["books"], (None, None), DIGITS, is_top=False),
    ):
        coming = iter(groups)
        next(coming)
        coming.close()  # type: ignore[attr-defined]
    assert _is_same(_read(kept, twice, is_top=False), _read(Rows(), twice, is_top=False))
