"""Documents of earlier versions, converted to the tables that they have today.

Those versions wrote timelines and ticks as JSON only. The files of a result are never changed, so
the tables lie in files of this process that nobody else sees; the last ones are kept.
"""

import io
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.json as pj
import pyarrow.parquet as pq

from odum_assets.results.documents import SMALL_PAGES
from odum_assets.results.stored_file import ResultError, StoredFile

_BLOCK: Final = 4 << 20
_OPENING: Final = b"[\n"
_ENDING: Final = b"]\n"
_MOST_KEPT: Final = 16
_CONVERTING: Final = threading.Lock()
"""One at a time: each takes a processor and some megabytes."""


@dataclass(frozen=True, slots=True)
class ConvertedFile:
    """The table of a document.

    Parameters
    ----------
    document : StoredFile
        The document.
    """

    document: StoredFile
    _table: IO[bytes] = field(repr=False)

    @property
    def path(self) -> Path:
        """Return the document."""
        return self.document.path

    @contextmanager
    def opened(self) -> Iterator[Path]:
        """Yield a path by which the table can be read."""
        yield Path(self._table.name)


def converted(document: StoredFile, schema: pa.Schema) -> ConvertedFile:
    """Return the table of a document, converted once until the document changes.

    Parameters
    ----------
    document : StoredFile
        A JSON array with one object a line, as `odum_assets.results.json_rows.write_array` does it.
    schema : pa.Schema
        Columns of the table.

    Raises
    ------
    FileNotFoundError
        If there is no document.
    ResultError
        If it may not be opened, or is no such array.
    """
    stat = document.stat()
    with _CONVERTING:
        return _converted(document, schema, (stat.st_mtime_ns, stat.st_size, stat.st_ino))


@lru_cache(maxsize=_MOST_KEPT)
def _converted(
    document: StoredFile, schema: pa.Schema, _validator: tuple[int, int, int]
) -> ConvertedFile:
    table = tempfile.NamedTemporaryFile(prefix="odum-table-", suffix=".parquet")  # noqa: SIM115
    try:
        with pq.ParquetWriter(table.name, schema, **SMALL_PAGES) as file:
            for batch in _batches(document, schema):
                file.write_batch(batch)
    except (pa.ArrowInvalid, ValueError) as error:
        raise ResultError(
            f"{document.path}: not a list with a row a line ({str(error).splitlines()[0][:200]}); "
            "run the backtest again"
        ) from error
    return ConvertedFile(document, table)


def _batches(document: StoredFile, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    # Times are texts in a document: ISO 8601, or ns since 1970.
    texts = pa.schema(
        [(column.name, pa.string() if _is_time(column) else column.type) for column in schema]
    )
    parsing = pj.ParseOptions(explicit_schema=texts, unexpected_field_behavior="error")
    for block in _blocks(document):
        reading = pj.ReadOptions(block_size=len(block))
        table = pj.read_json(io.BytesIO(block), reading, parsing).select(schema.names)
        for batch in table.combine_chunks().to_batches():
            columns = [
                _times(batch[column.name], column) if _is_time(column) else batch[column.name]
                for column in schema
            ]
            yield pa.record_batch(columns, schema=schema)


def _blocks(document: StoredFile) -> Iterator[bytes]:
    """Yield the rows of a document as JSON lines, many at a time."""
    with os.fdopen(document.open(), "rb") as file:
        if file.read(len(_OPENING)) != _OPENING:
            raise ValueError("it does not begin as one")
        rest = b""
        while block := file.read(_BLOCK):
            text = rest + block
            # Up to the last line, which may be the end of the document.
            end = text.rfind(b"\n", 0, len(text) - 1) + 1
            rows, rest = text[:end], text[end:]
            if rows:
                # A newline inside a text is escaped: a comma before one ends a row for sure.
                yield rows.replace(b",\n", b"\n")
        if rest != _ENDING:
            raise ValueError("it does not end as one")


def _is_time(column: "pa.Field[Any]") -> bool:
    return pa.types.is_timestamp(column.type)


def _times(texts: Any, column: "pa.Field[Any]") -> Any:  # noqa: ANN401 - a column
    if texts.null_count:
        raise ValueError("a row has no time")
    is_number = column.name.startswith("ts_")
    return (texts.cast(pa.int64()) if is_number else texts).cast(column.type)
