"""Windows of time of parquet tables: only the groups of rows that have a part of them are read.

Parquet's pages cannot be skipped: what is decoded on the way to a window that is small is kept for
a while, in blocks of some thousand rows, so that what lies beside it comes at once.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.catalog.fixed_point import Int64s
from odum_assets.results.tables import TableFile
from odum_assets.storage.memory import Cache

_BATCH_ROWS: Final = 32_768
"""Rows that are decoded at once: what is computed with a few columns of them stays in a cache."""

_BLOCK_ROWS: Final = 8_192
_MOST_BLOCKS: Final = 4
"""Blocks of a window that are kept: a larger one is read again."""

_FEW_BYTES: Final = 3
"""Bytes a row of a column whose texts are a few different ones: the numbers of its dictionary."""

_KEPT: Final = Cache(48 << 20)
"""Blocks of rows, and the times of groups of rows."""


def times_of(column: Any) -> Int64s:  # noqa: ANN401 - a timestamp column
    """Return times as ns since 1970; shape (n,)."""
    times: Int64s = column.cast(pa.timestamp("ns", "UTC")).cast(pa.int64()).to_numpy()
    return times


def opened_table(path: Any) -> pq.ParquetFile:  # noqa: ANN401 - what pyarrow opens
    """Open a parquet file; columns of a few different texts come as dictionaries of them.

    That is several times as fast: each text is looked at once, not once a row.
    """
    metadata = pq.read_metadata(path, memory_map=True)
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    names = []
    for number, name in enumerate(metadata.schema.names):
        column = metadata.schema.column(number)
        if column.physical_type == "BYTE_ARRAY" and column.path == name:
            size = sum(group.column(number).total_uncompressed_size for group in groups)
            names += [name] if size < _FEW_BYTES * metadata.num_rows else []
    return pq.ParquetFile(path, metadata=metadata, memory_map=True, read_dictionary=names)


def column_batches(
    parquet: pq.ParquetFile, column: str, groups: list[int] | None = None
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield a column, of all groups of rows or of some, and the number of each first row."""
    metadata = parquet.metadata
    start = 0
    for group in range(metadata.num_row_groups):
        at = start
        if groups is None or group in groups:
            for batch in parquet.iter_batches(
                _BATCH_ROWS, row_groups=[group], columns=[column], use_threads=False
            ):
                yield at, batch
                at += batch.num_rows
        start += metadata.row_group(group).num_rows


def of_texts(column: Any, holds: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - a column
    """Return what holds of each row of a column, asked once of each text that it has."""
    if isinstance(column, pa.ChunkedArray):
        return pa.chunked_array([of_texts(chunk, holds) for chunk in column.chunks], pa.bool_())
    if isinstance(column, pa.DictionaryArray):
        return holds(column.dictionary).take(column.indices)
    return holds(column)


def scan(
    file: TableFile,
    time: str,
    columns: Sequence[str],
    start_ns: int | None = None,
    end_ns: int | None = None,
) -> Iterator[tuple[Int64s, pa.RecordBatch]]:
    """Yield the rows of a window of a table in order of time: their times, and columns of them.

    Groups of rows outside the window are not read.

    Parameters
    ----------
    file : TableFile
        The table.
    time : str
        Column of the times.
    columns : sequence of str
        Others; those that the table lacks are left out.
    start_ns, end_ns : int, optional
        The window, its end excluded; None is no bound.
    """
    with file.opened() as path:
        yield from scan_path(path, time, columns, start_ns, end_ns)


def scan_path(
    path: Any,  # noqa: ANN401 - what pyarrow opens
    time: str,
    columns: Sequence[str],
    start_ns: int | None = None,
    end_ns: int | None = None,
) -> Iterator[tuple[Int64s, pa.RecordBatch]]:
    """Yield the rows of a window of a parquet file, as `scan`."""
    start = -(2**63) if start_ns is None else start_ns
    end = 2**63 - 1 if end_ns is None else end_ns
    with opened_table(path) as file:
        names = [time, *(name for name in columns if name in file.schema_arrow.names)]
        identity = identity_of(path)
        for group, is_inside in _groups_in(file.metadata, time, start, end):
            if is_inside:
                for batch in _batches(file, group, names):
                    yield times_of(batch[time]), batch
            else:
                yield from _Group(file, identity, group, names).between(start, end)


def _batches(file: pq.ParquetFile, group: int, names: list[str]) -> Iterator[pa.RecordBatch]:
    # A few columns take more processor time in threads, of which an aggregation may use one.
    yield from file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=names, use_threads=False)


class _Group:
    """A group of rows, of which a window is read; the first column is the time."""

    def __init__(
        self, file: pq.ParquetFile, identity: tuple[int, ...], number: int, names: list[str]
    ) -> None:
        self._file, self._number, self._names = file, number, names
        self._key = identity, number

    def between(self, start: int, end: int) -> Iterator[tuple[Int64s, pa.RecordBatch]]:
        """Yield the rows of a window; the other columns are decoded no further than it goes."""
        times = _KEPT.get((*self._key, self._names[0]), None, self._times)
        first, until = times.searchsorted([start, end]).tolist()
        if first == until:
            return
        blocks = range(first // _BLOCK_ROWS, (until - 1) // _BLOCK_ROWS + 1)
        size = min(max(until - first, _BLOCK_ROWS), _BATCH_ROWS)
        batches = self._kept(blocks) if len(blocks) <= _MOST_BLOCKS else self._decoded(size, until)
        for at, batch in batches:
            low, high = max(first, at), min(until, at + batch.num_rows)
            if low < high:
                yield times[low:high], batch.slice(low - at, high - low)

    def _times(self) -> Int64s:
        names = self._names[:1]
        return times_of(
            self._file.read_row_group(self._number, columns=names, use_threads=False)[0]
        )

    def _kept(self, blocks: range) -> list[tuple[int, pa.RecordBatch]]:
        """Return blocks, and the number of the first row of each."""

        def key(block: int) -> tuple[object, ...]:
            return *self._key, *self._names, block

        batches = [_KEPT.find(key(block), None) for block in blocks]
        if any(batch is None for batch in batches):
            decoded = self._decoded(_BLOCK_ROWS, blocks.stop * _BLOCK_ROWS)
            batches = [batch for at, batch in decoded if at // _BLOCK_ROWS in blocks]
            for block, batch in zip(blocks, batches, strict=True):
                _KEPT.put(key(block), None, batch)
        starts = (block * _BLOCK_ROWS for block in blocks)
        return list(zip(starts, batches, strict=True))

    def _decoded(self, size: int, until: int) -> Iterator[tuple[int, pa.RecordBatch]]:
        at, groups = 0, [self._number]
        for batch in self._file.iter_batches(size, row_groups=groups, columns=self._names):
            yield at, batch
            at += batch.num_rows
            if at >= until:
                return


def identity_of(path: Any) -> tuple[int, ...]:  # noqa: ANN401 - what pyarrow opens
    """Return what another file, or another content of a file, does not have."""
    stat = Path(path).stat()
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _groups_in(
    metadata: pq.FileMetaData, time: str, start: int, end: int
) -> list[tuple[int, bool]]:
    """Return the groups of rows that may have times in a window, and whether they surely all do."""
    at = metadata.schema.names.index(time) if time in metadata.schema.names else -1
    is_all = start == -(2**63) and end == 2**63 - 1
    groups = []
    for group in range(metadata.num_row_groups):
        statistics: Any = metadata.row_group(group).column(at).statistics if at >= 0 else None
        if statistics is None or not statistics.has_min_max:
            groups.append((group, is_all))
        elif statistics.min_raw < end and statistics.max_raw >= start:
            groups.append((group, statistics.min_raw >= start and statistics.max_raw < end))
    return groups
