"""Catalog files as streams of whole numbers, some ten thousand rows at a time."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.catalog.fixed_point import DECIMAL
from odum_assets.errors import DataError
from odum_assets.vectorized.ticks.decode import tidy, whole_numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    type Ints = NDArray[np.int64]

_SIDES = {"BUY": 1, "SELL": -1, "NO_AGGRESSOR": 0}
_TIMES = ["ts_event", "ts_init"]
# Fewer than a row group has: memory holds many arrays of as many rows.
_BATCH_ROWS = 65_536


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


class KeptRows(RowsAhead):
    """Rows that are decoded once, for runs one after the other over the same files and times.

    Memory holds a group of each kind: the first run writes them to files, which later runs read.

    Parameters
    ----------
    folder : Path
        Where the files lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # Where the whole of a file was written: the shapes of its arrays.
        self._shapes: dict[Path, list[list[tuple[int, ...]]]] = {}

    def trades(
        self, files: Sequence[Path], bounds: tuple[int | None, int | None], digits: tuple[int, int]
    ) -> Iterable[Ints]:
        """Return the groups of `trade_groups`."""
        path = self._folder / f"trades_{digits[0]}_{digits[1]}.bin"
        if path in self._shapes:
            return self._passed(trades for (trades,) in self._read(path))
        return self._passed(self._written(path, trade_groups(files, bounds, digits), _alone))

    def books(
        self,
        files: Sequence[Path],
        bounds: tuple[int | None, int | None],
        digits: tuple[int, int],
        *,
        is_top: bool,
    ) -> Iterable[Books]:
        """Return the groups of `book_groups`."""
        path = self._folder / f"books_{digits[0]}_{digits[1]}_{is_top}.bin"
        if path in self._shapes:
            return self._passed(Books(*arrays) for arrays in self._read(path))
        groups = book_groups(files, bounds, digits, is_top=is_top)
        return self._passed(self._written(path, groups, tuple))

    def _written[Group](
        self, path: Path, groups: Iterator[Group], parts: Callable[[Group], tuple[Ints, ...]]
    ) -> Iterator[Group]:
        shapes = []
        with path.open("wb") as file:
            for group in groups:
                arrays = parts(group)
                for array in arrays:
                    array.tofile(file)
                shapes.append([array.shape for array in arrays])
                yield group
        self._shapes[path] = shapes

    def _read(self, path: Path) -> Iterator[tuple[Ints, ...]]:
        with path.open("rb") as file:
            for shapes in self._shapes[path]:
                yield tuple(
                    np.fromfile(file, np.int64, math.prod(shape)).reshape(shape) for shape in shapes
                )


def _alone(group: Ints) -> tuple[Ints, ...]:
    return (group,)


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
    for path, batch in _groups(files, bounds, ["price", "size", "aggressor_side"]):
        sides: Any = batch["aggressor_side"]
        codes = np.array([_SIDES[name] for name in sides.dictionary.to_pylist()] or [0], np.int64)
        columns = (
            _times(batch, "ts_init"),
            _times(batch, "ts_event"),
            _numbers(batch["price"], digits[0], path),
            _numbers(batch["size"], digits[1], path),
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
    for path, batch in _groups(files, bounds, names):
        (bid_starts, bids), (ask_starts, asks) = (
            _ladders(batch[name], digits, sign, path, is_top=is_top)
            for name, sign in (("bids", 1), ("asks", -1))
        )
        times = np.stack([_times(batch, "ts_init"), _times(batch, "ts_event")])
        yield Books(times, np.stack([bid_starts, ask_starts]), bids, asks)


def _groups(
    files: Sequence[Path], bounds: tuple[int | None, int | None], columns: list[str]
) -> Iterator[tuple[Path, pa.RecordBatch]]:
    start, end = bounds
    for path in files:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                batches = file.iter_batches(
                    _BATCH_ROWS, [group], [*columns, *_TIMES], use_threads=False
                )
                for batch in batches:
                    times = _times(batch, "ts_init")
                    low = 0 if start is None else int(np.searchsorted(times, start))
                    high = len(times) if end is None else int(np.searchsorted(times, end))
                    if low < high:
                        yield path, batch.slice(low, high - low)


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


def _times(batch: pa.RecordBatch, name: str) -> Ints:
    times: Ints = batch[name].cast(pa.int64()).to_numpy()
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
