"""Catalog files as streams of whole numbers, a row group at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.catalog.fixed_point import DECIMAL
from odum_assets.errors import DataError
from odum_assets.vectorized.ticks.decode import tidy, whole_numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    type Ints = NDArray[np.int64]

_SIDES = {"BUY": 1, "SELL": -1, "NO_AGGRESSOR": 0}
_TIMES = ["ts_event", "ts_init"]


class Books(NamedTuple):
    """Snapshots of the book.

    Parameters
    ----------
    times : int64 array, shape (2, n)
        Time, and time of the exchange (ns).
    starts : int64 array, shape (2, n + 1)
        Where the bids and the asks of each begin.
    bids, asks : int64 arrays, shape (2, m)
        Price and size of all levels, tidied as the venue's book takes them.
    """

    times: Ints
    starts: Ints
    bids: Ints
    asks: Ints


class Rows:
    """Rows of catalog files, read as they are asked for."""

    def trades(
        self, files: Sequence[Path], bounds: tuple[int | None, int | None], digits: tuple[int, int]
    ) -> Iterable[Ints]:
        """Return the groups of `trade_groups`."""
        return self._passed(trade_groups(files, bounds, digits))

    def books(
        self,
        files: Sequence[Path],
        bounds: tuple[int | None, int | None],
        digits: tuple[int, int],
        *,
        is_top: bool,
    ) -> Iterable[Books]:
        """Return the groups of `book_groups`."""
        return self._passed(book_groups(files, bounds, digits, is_top=is_top))

    def _passed[Group](self, groups: Iterator[Group]) -> Iterator[Group]:
        return groups


class RowsAhead(Rows):
    """Rows of which each next group is read in a thread while the last one is used."""

    def _passed[Group](self, groups: Iterator[Group]) -> Iterator[Group]:
        with ThreadPoolExecutor(1, "reading") as pool:
            coming = pool.submit(next, groups, None)
            while (group := coming.result()) is not None:
                coming = pool.submit(next, groups, None)
                yield group


class HeldRows(Rows):
    """Rows that are read once and held, for runs over the same files and times."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._trades: list[Ints] | None = None
        self._books: dict[bool, list[Books]] = {}

    def trades(
        self, files: Sequence[Path], bounds: tuple[int | None, int | None], digits: tuple[int, int]
    ) -> Iterable[Ints]:
        """Return the groups of `trade_groups`."""
        with self._lock:
            if self._trades is None:
                self._trades = list(trade_groups(files, bounds, digits))
            return self._trades

    def books(
        self,
        files: Sequence[Path],
        bounds: tuple[int | None, int | None],
        digits: tuple[int, int],
        *,
        is_top: bool,
    ) -> Iterable[Books]:
        """Return the groups of `book_groups`."""
        with self._lock:
            if is_top not in self._books:
                groups = book_groups(files, bounds, digits, is_top=is_top)
                self._books[is_top] = list(groups)
            return self._books[is_top]


def trade_groups(
    files: Sequence[Path], bounds: tuple[int | None, int | None], digits: tuple[int, int]
) -> Iterator[Ints]:
    """Yield the trades of catalog files, shape (5, n): rows of `kernel.TRADE`.

    Parameters
    ----------
    files : sequence of Path
        In order of time.
    bounds : (int or None, int or None)
        First ``ts_init`` (ns), and first one excluded.
    digits : (int, int)
        Decimals of prices and of sizes.

    Raises
    ------
    DataError
        If a number has more decimals.
    """
    for path, table in _groups(files, bounds, ["price", "size", "aggressor_side"]):
        sides: Any = table["aggressor_side"].combine_chunks()
        codes = np.array([_SIDES[name] for name in sides.dictionary.to_pylist()] or [0], np.int64)
        columns = (
            _times(table, "ts_init"),
            _times(table, "ts_event"),
            _numbers(table["price"].combine_chunks(), digits[0], path),
            _numbers(table["size"].combine_chunks(), digits[1], path),
            codes[sides.indices.to_numpy()],
        )
        yield np.stack(columns)


def book_groups(
    files: Sequence[Path],
    bounds: tuple[int | None, int | None],
    digits: tuple[int, int],
    *,
    is_top: bool,
) -> Iterator[Books]:
    """Yield the snapshots of catalog files, as `trade_groups`."""
    names = [f"{side}.list.item.{part}" for side in ("bids", "asks") for part in ("price", "size")]
    for path, table in _groups(files, bounds, names):
        (bid_starts, bids), (ask_starts, asks) = (
            _ladders(table[name].combine_chunks(), digits, sign, path, is_top=is_top)
            for name, sign in (("bids", 1), ("asks", -1))
        )
        times = np.stack([_times(table, "ts_init"), _times(table, "ts_event")])
        yield Books(times, np.stack([bid_starts, ask_starts]), bids, asks)


def _groups(
    files: Sequence[Path], bounds: tuple[int | None, int | None], columns: list[str]
) -> Iterator[tuple[Path, pa.Table]]:
    start, end = bounds
    for path in files:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=[*columns, *_TIMES], use_threads=False)
                times = _times(table, "ts_init")
                low = 0 if start is None else int(np.searchsorted(times, start))
                high = len(times) if end is None else int(np.searchsorted(times, end))
                if low < high:
                    yield path, table.slice(low, high - low)


def _ladders(
    column: Any,  # noqa: ANN401 - a list column
    digits: tuple[int, int],
    sign: int,
    path: Path,
    *,
    is_top: bool,
) -> tuple[Ints, Ints]:
    starts = column.offsets.to_numpy().astype(np.int64)
    levels = column.values.slice(starts[0], starts[-1] - starts[0])
    price, size = (
        _numbers(levels.field(place), precision, path) for place, precision in enumerate(digits)
    )
    starts, price, size = tidy(starts - starts[0], price, size, sign, is_top=is_top)
    return starts, np.stack([price, size])


def _times(table: pa.Table, name: str) -> Ints:
    times: Ints = table[name].cast(pa.int64()).to_numpy()
    return times


def _numbers(column: Any, precision: int, path: Path) -> Ints:  # noqa: ANN401 - a decimal column
    if column.type != DECIMAL:
        raise DataError(f"{path}: found {column.type}, needs {DECIMAL}; convert the day again")
    words = np.frombuffer(column.buffers()[1], np.uint64).reshape(-1, 2)
    numbers = whole_numbers(words[column.offset : column.offset + len(column)], precision)
    if numbers is None:
        raise DataError(
            f"{path}: a number has more than {precision} decimals; convert the day again"
        )
    return numbers
