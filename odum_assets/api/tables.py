"""Stored tables, from any row or time on, batch by batch.

What belongs here: tables as parquet files and as JSON documents. What does not: which tables there
are (the routes), what they are sent as (`forms`). Nothing here holds more than one batch.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Protocol, Self

import pyarrow as pa
import pyarrow.json as pj
import pyarrow.parquet as pq

from odum_assets.api.json_rows import JsonRows, json_rows
from odum_assets.api.sending import PIECE, ReadOn
from odum_assets.catalog.arrow import Column
from odum_assets.catalog.arrow import kernels as pc
from odum_assets.results.json_rows import json_objects, lines_of
from odum_assets.results.stored_file import StoredFile

_BATCH_ROWS: Final = 4_096
_TEXT_ROWS: Final = 2_048
"""Rows that become JSON at once: what is in vain when their file has to be closed."""

_PIECE_ROWS: Final = 512
_READ_AHEAD: Final = 64 * 1024
"""Bytes of a column that are read at once, in place of all of a group of rows."""

_TIME: Final = pa.timestamp("ns", tz="UTC")


class Table(Protocol):
    """Rows in a fixed order."""

    @property
    def path(self) -> Path:
        """Return the file."""

    def between(self, start_ns: int | None, end_ns: int | None) -> Self:
        """Return the rows of a range of time; its end is excluded, None is no bound."""

    def count(self) -> int:
        """Return the number of rows."""

    def lines(self, offset: int, limit: int) -> Iterator[bytes]:
        """Yield rows as JSON objects, each with a newline, many at a time."""

    def arrow(self, offset: int, limit: int) -> Iterator[pa.RecordBatch]:
        """Yield rows as record batches, at least one (perhaps empty)."""


def line_pieces(table: Table, offset: int, limit: int) -> ReadOn[bytes]:
    """Return rows as JSON lines, in pieces that can be read on from any of them."""
    return ReadOn(table.lines, _cut_lines, offset, limit)


def batch_pieces(table: Table, offset: int, limit: int) -> ReadOn[pa.RecordBatch]:
    """Return rows as record batches, in pieces that can be read on from any of them."""
    return ReadOn(table.arrow, _cut_batch, offset, limit)


def _cut_lines(block: bytes) -> Iterator[tuple[bytes, int]]:
    first = 0
    while first < len(block):
        # A row that is longer than a piece is one.
        end = block.rfind(b"\n", first, first + PIECE) + 1 or block.find(b"\n", first) + 1
        piece = block[first : end or len(block)]
        first += len(piece)
        yield piece, piece.count(b"\n")


def _cut_batch(batch: pa.RecordBatch) -> Iterator[tuple[pa.RecordBatch, int]]:
    for first in range(0, max(batch.num_rows, 1), _PIECE_ROWS):
        piece = batch.slice(first, _PIECE_ROWS)
        yield piece, piece.num_rows


@dataclass(frozen=True, slots=True)
class ParquetTable:
    """A parquet file with a ``timestamp``, in order of it, or a range of its rows.

    Parameters
    ----------
    file : StoredFile
        The file.
    statuses : tuple[str, ...]
        States of the rows that are kept; all by default.
    first, last : int or None
        The range, `last` excluded; None for all. The states are looked at inside it.
    """

    file: StoredFile
    statuses: tuple[str, ...] = ()
    first: int = 0
    last: int | None = None

    @property
    def path(self) -> Path:
        """Return the file."""
        return self.file.path

    def between(self, start_ns: int | None, end_ns: int | None) -> "ParquetTable":
        """Return the rows of a range of time."""
        stat = self.file.stat()
        first, last = (
            None if bound is None else _row_at(self.file, bound, stat.st_mtime_ns, stat.st_size)
            for bound in (start_ns, end_ns)
        )
        first = first or 0
        return replace(self, first=first, last=None if last is None else max(first, last))

    def count(self) -> int:
        """Return the number of rows."""
        if self.statuses:
            stat = self.file.stat()
            return _count(self, stat.st_mtime_ns, stat.st_size)
        if self.last is not None:
            return self.last - self.first
        with self.file.opened() as path:
            return int(pq.read_metadata(path).num_rows) - self.first

    def lines(self, offset: int, limit: int) -> Iterator[bytes]:
        """Yield rows as JSON lines."""
        for batch in self.arrow(offset, limit):
            for first in range(0, batch.num_rows, _TEXT_ROWS):
                part = batch.slice(first, _TEXT_ROWS)
                objects = json_objects([(name, part[name]) for name in part.schema.names])
                yield bytes(lines_of(objects, "\n"))

    def arrow(self, offset: int, limit: int) -> Iterator[pa.RecordBatch]:
        """Yield rows as record batches."""
        empty = True
        batches = self.batches() if self.statuses else self.batches(offset)
        for batch in _cut(batches, offset if self.statuses else 0, limit):
            empty = False
            yield batch
        if empty:
            with self.file.opened() as path:
                schema = pq.read_schema(path)
            yield pa.RecordBatch.from_pylist([], schema=schema)

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
            found = file.iter_batches(
                _BATCH_ROWS, row_groups=groups, columns=None if columns is None else [*columns]
            )
            for batch in _cut(found if groups else iter(()), start - before, last - start):
                yield self._kept(batch)

    def _kept(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if not self.statuses:
            return batch
        return batch.filter(pc.is_in(batch["status"], pa.array(self.statuses)))


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


@lru_cache(maxsize=1_024)
def _row_at(stored: StoredFile, bound_ns: int, _mtime_ns: int, _size: int) -> int:
    """Return the first row whose time is not before a bound."""
    before = 0
    with stored.opened() as path, pq.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=["timestamp"]):
            times = batch["timestamp"].cast(pa.int64()).to_numpy()
            here = int(times.searchsorted(bound_ns))
            before += here
            if here < len(times):
                break
    return before


@lru_cache(maxsize=512)
def _count(table: ParquetTable, _mtime_ns: int, _size: int) -> int:
    return sum(batch.num_rows for batch in table.batches(columns=["status"]))


@dataclass(frozen=True, slots=True)
class Document:
    """What the rows of a kind of JSON document are.

    Parameters
    ----------
    schema : pa.Schema
        Columns; times stand as texts in the document.
    moment : callable
        Returns the time of a row (its line) in ns since 1970. Rows are in its order.
    time_of : callable
        Returns the times that a column of texts means.
    """

    schema: pa.Schema
    moment: Callable[[bytes], int]
    time_of: Callable[[Column], Column]


@dataclass(frozen=True, slots=True)
class DocumentTable:
    """A JSON array with one object a line, or a range of its rows.

    Parameters
    ----------
    file : StoredFile
        The file.
    document : Document
        What its rows are.
    first, last : int or None
        The range, `last` excluded; None for all.
    """

    file: StoredFile
    document: Document
    first: int = 0
    last: int | None = None

    @property
    def path(self) -> Path:
        """Return the file."""
        return self.file.path

    def between(self, start_ns: int | None, end_ns: int | None) -> "DocumentTable":
        """Return the rows of a range of time."""
        rows, moment = self._rows, self.document.moment
        first = 0 if start_ns is None else rows.first_at(moment, start_ns)
        last = rows.count if end_ns is None else rows.first_at(moment, end_ns)
        return replace(self, first=first, last=max(first, last))

    def count(self) -> int:
        """Return the number of objects."""
        last = self._rows.count if self.last is None else self.last
        return last - self.first

    def lines(self, offset: int, limit: int) -> Iterator[bytes]:
        """Yield objects as JSON lines."""
        count = self.count()
        first, last = min(offset, count), min(offset + limit, count)
        return self._rows.lines(self.first + first, self.first + last)

    def arrow(self, offset: int, limit: int) -> Iterator[pa.RecordBatch]:
        """Yield objects as record batches."""
        wanted = self.document.schema
        texts = pa.schema(
            [field.with_type(pa.string()) if _is_time(field) else field for field in wanted]
        )
        options = pj.ParseOptions(explicit_schema=texts, unexpected_field_behavior="error")
        empty = True
        for lines in self.lines(offset, limit):
            table = pj.read_json(io.BytesIO(lines), parse_options=options).select(wanted.names)
            for batch in table.combine_chunks().to_batches():
                empty = False
                columns = [
                    self.document.time_of(batch[field.name])
                    if _is_time(field)
                    else batch[field.name]
                    for field in wanted
                ]
                yield pa.record_batch(columns, schema=wanted)
        if empty:
            yield pa.RecordBatch.from_pylist([], schema=wanted)

    @property
    def _rows(self) -> JsonRows:
        return json_rows(self.file)


def _is_time(field: "pa.Field[Any]") -> bool:
    return bool(field.type == _TIME)
