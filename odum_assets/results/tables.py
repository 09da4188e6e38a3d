"""The tables of results: any part of them, by number or by time, batch by batch.

What belongs here: reading tables as they are stored, and how their rows are spelled as JSON and as
Arrow. What does not: writing them (``backtest.tables``, ``documents``, ``ticks``). Nothing here
holds more than one batch. Results of earlier versions have the timeline and ticks as JSON only:
these are converted first (``converted``).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.catalog.arrow import kernels as pc
from odum_assets.results.json_rows import json_objects, lines_of
from odum_assets.results.ticks import TICKS, tick_objects
from odum_assets.results.timeline import TIMELINE, timeline_objects

_BATCH_ROWS: Final = 4_096
_TEXT_ROWS: Final = 2_048
"""Rows that become JSON at once: what is in vain when their file has to be closed."""

_READ_AHEAD: Final = 64 * 1024
"""Bytes of a column that are read at once, in place of all of a group of rows."""


class TableFile(Protocol):
    """A parquet file: a stored one, or one that was converted."""

    @property
    def path(self) -> Path:
        """Return the stored file that says what is in it."""

    def opened(self) -> Any:  # noqa: ANN401 - a context of a Path
        """Open it, and yield a path by which it can be read."""


@dataclass(frozen=True, slots=True)
class TableKind:
    """How rows are ordered and spelled.

    Parameters
    ----------
    time : str
        Column that the rows are in order of.
    objects : callable
        Returns the rows of a batch as JSON objects.
    batch : callable
        Returns a batch as it is sent.
    """

    time: str
    objects: Callable[[pa.RecordBatch], "pa.Array[Any]"]
    batch: Callable[[pa.RecordBatch], pa.RecordBatch]


def _plain_objects(batch: pa.RecordBatch) -> "pa.Array[Any]":
    return json_objects([(name, batch[name]) for name in batch.schema.names])


def _with_floats(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch with floats in place of decimals, as the JSON documents are read."""
    columns = [floats(column) for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def floats(values: Any) -> Any:  # noqa: ANN401 - any column
    """Return a column with the nearest float64 in place of each decimal, other columns as is."""
    if pa.types.is_decimal(values.type):
        # The float nearest to the decimal's text; Arrow's own cast may be one off.
        return values.cast(pa.string()).cast(pa.float64())
    if pa.types.is_struct(values.type):
        names = [field.name for field in values.type]
        return pa.StructArray.from_arrays([floats(column) for column in values.flatten()], names)
    return values


_PLAIN: Final = TableKind("timestamp", _plain_objects, lambda batch: batch)
TIMELINE_KIND: Final = TableKind("ts", timeline_objects, _with_floats)
TICKS_KIND: Final = TableKind("ts_init", tick_objects, _with_floats)
SCHEMAS: Final = {"ts": TIMELINE, "ts_init": TICKS}
"""Columns of the tables that have a document, by the column of their time."""


@dataclass(frozen=True, slots=True)
class StoredTable:
    """A table in order of time, or a range of its rows.

    Parameters
    ----------
    file : TableFile
        The file.
    statuses : tuple[str, ...]
        States of the rows that are kept; all by default.
    kind : TableKind
        How its rows are ordered and spelled.
    first, last : int or None
        The range, `last` excluded; None for all. The states are looked at inside it.
    """

    file: TableFile
    statuses: tuple[str, ...] = ()
    kind: TableKind = _PLAIN
    first: int = 0
    last: int | None = None

    @property
    def path(self) -> Path:
        """Return the file that says what is in the table."""
        return self.file.path

    def between(self, start_ns: int | None, end_ns: int | None) -> "StoredTable":
        """Return the rows of a range of time; its end is excluded, None is no bound."""
        first = 0 if start_ns is None else self._row_at(start_ns)
        last = None if end_ns is None else max(first, self._row_at(end_ns))
        return replace(self, first=first, last=last)

    def count(self) -> int:
        """Return the number of rows."""
        if self.statuses:
            return sum(batch.num_rows for batch in self.batches(columns=["status"]))
        if self.last is not None:
            return self.last - self.first
        with self.file.opened() as path:
            return int(pq.read_metadata(path).num_rows) - self.first

    def lines(self, offset: int, limit: int) -> Iterator[bytes]:
        """Yield rows as JSON objects, each with a newline, many at a time."""
        for batch in self._rows(offset, limit):
            for first in range(0, batch.num_rows, _TEXT_ROWS):
                objects = self.kind.objects(batch.slice(first, _TEXT_ROWS))
                yield bytes(lines_of(objects, "\n"))

    def arrow(self, offset: int, limit: int) -> Iterator[pa.RecordBatch]:
        """Yield rows as record batches, at least one (perhaps empty)."""
        empty = True
        for batch in self._rows(offset, limit):
            empty = False
            yield self.kind.batch(batch)
        if empty:
            with self.file.opened() as path:
                schema = pq.read_schema(path)
            yield self.kind.batch(pa.RecordBatch.from_pylist([], schema=schema))

    def batches(
        self, offset: int = 0, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows, or some columns of them; an offset counts before states are looked at."""
        start = self.first + offset
        with (
            self.file.opened() as path,
            pq.ParquetFile(path, buffer_size=_READ_AHEAD) as file,
        ):
            groups, before = _groups_from(file.metadata, start)
            last = file.metadata.num_rows if self.last is None else self.last
            batches = file.iter_batches(
                _BATCH_ROWS, row_groups=groups, columns=None if columns is None else [*columns]
            )
            for batch in _cut(batches if groups else iter(()), start - before, last - start):
                yield self._with_status(batch)

    def _rows(self, offset: int, limit: int) -> Iterator[pa.RecordBatch]:
        if self.statuses:
            return _cut(self.batches(), offset, limit)
        return _cut(self.batches(offset), 0, limit)

    def _with_status(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if not self.statuses:
            return batch
        return batch.filter(pc.is_in(batch["status"], pa.array(self.statuses)))

    def _row_at(self, bound_ns: int) -> int:
        """Return the first row whose time is not before a bound."""
        before = 0
        with self.file.opened() as path, pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=[self.kind.time]):
                times = batch[self.kind.time].cast(pa.int64()).to_numpy()
                here = int(times.searchsorted(bound_ns))
                before += here
                if here < len(times):
                    break
        return before


def _cut(batches: Iterator[pa.RecordBatch], offset: int, limit: int) -> Iterator[pa.RecordBatch]:
    """Yield a range of rows."""
    for batch in batches if limit > 0 else ():
        passed = min(offset, batch.num_rows)
        offset -= passed
        part = batch.slice(passed, limit)
        if part.num_rows:
            limit -= part.num_rows
            yield part
        if limit <= 0:
            break


def _groups_from(metadata: pq.FileMetaData, row: int) -> tuple[list[int], int]:
    """Return the groups of rows from the one with a row on, and how many rows stand before it."""
    before = 0
    for group in range(metadata.num_row_groups):
        rows = metadata.row_group(group).num_rows
        if before + rows > row:
            return [*range(group, metadata.num_row_groups)], before
        before += rows
    return [], before
