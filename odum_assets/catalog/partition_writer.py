"""Writing the data file of a partition: fixed row groups, a digest of the content, one thread.

The file's bytes and the digest depend on the rows alone, not on how they arrived in batches.
"""

import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.catalog.arrow import Column, text_parts
from odum_assets.catalog.transform import Transform
from odum_assets.storage.files import sync

ROW_GROUP_ROWS = 131_072
"""Rows of a row group: about 10 MB of trades or 30 MB of five-level books in memory."""

_PENDING_BYTES = 64 << 20
"""Row groups of this size may wait for the writing thread: two of books, six of trades. What is
computed once the last row is read then runs beside the writing."""


def open_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Open a parquet writer with the settings of catalog files.

    Measured: without dictionaries trades are a fifth smaller and written a quarter faster, while
    books are a quarter larger; a higher compression level costs more than it saves in reading.
    """
    dictionaries: Any = ["aggressor_side"] if "aggressor_side" in schema.names else True
    return pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=dictionaries,
        write_page_checksum=True,
        use_compliant_nested_type=False,  # Nautilus names the items of a list "item"
    )


class PartitionWriter:
    """Write normalized batches, in the order given, as one catalog data file.

    Encoding and writing run on a thread of their own while the caller prepares the next batch.

    Parameters
    ----------
    path : Path
        The unfinished file.
    transform : Transform
        Encodes normalized batches.
    """

    def __init__(self, path: Path, transform: Transform) -> None:
        self._path = path
        self._transform = transform
        self._writer = open_writer(path, transform.schema)
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = 0
        self._pool = ThreadPoolExecutor(1, "catalog-writer")
        self._pending: deque[tuple[Future[None], int]] = deque()
        self._digest = hashlib.sha256(repr(transform.schema.metadata).encode())
        self.rows = 0
        self.first_ts_init: int | None = None
        self.last_ts_init: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._writer.is_open:
            self._writer.close()

    def write(self, normalized: pa.RecordBatch) -> None:
        """Take the next rows."""
        if normalized.num_rows == 0:
            return
        times = normalized["ts_init"]
        if self.first_ts_init is None:
            self.first_ts_init = times[0].as_py()
        self.last_ts_init = times[-1].as_py()
        self.rows += normalized.num_rows
        self._waiting.append(normalized)
        self._waiting_rows += normalized.num_rows
        while self._waiting_rows >= ROW_GROUP_ROWS:
            self._submit(ROW_GROUP_ROWS)

    def finish(self) -> str:
        """Write what is waiting, close and sync the file; return the digest of the content (hex).

        The digest covers the schema's metadata and, per row group, every normalized column.
        """
        if self._waiting_rows:
            self._submit(self._waiting_rows)
        self._await_pending(0)
        self._writer.close()
        sync(self._path)
        return self._digest.hexdigest()

    def _submit(self, rows: int) -> None:
        merged = self._waiting[0]
        if len(self._waiting) > 1:
            merged = pa.Table.from_batches(self._waiting).combine_chunks().to_batches()[0]
        group, rest = merged.slice(0, rows), merged.slice(rows)
        self._waiting = [rest] if rest.num_rows else []
        self._waiting_rows = rest.num_rows
        self._await_pending(_PENDING_BYTES - group.nbytes)
        self._pending.append((self._pool.submit(self._write_group, group), group.nbytes))
        # Here and not on the thread, which is the busier of the two.
        self._digest.update(group.num_rows.to_bytes(8, "little"))
        for column in group.columns:
            _update(self._digest, column)

    def _await_pending(self, limit: int) -> None:
        """Wait until the groups that are not written hold at most `limit` bytes, or none waits."""
        while self._pending and sum(size for _, size in self._pending) > limit:
            self._pending.popleft()[0].result()

    def _write_group(self, group: pa.RecordBatch) -> None:
        self._writer.write_batch(self._transform.encode(group), row_group_size=ROW_GROUP_ROWS)


def _update(digest: "hashlib._Hash", column: Column) -> None:
    if pa.types.is_string(column.type):
        ends, data = text_parts(column)
        digest.update(np.diff(ends))
        digest.update(data[ends[0] : ends[-1]])
    else:
        digest.update(np.ascontiguousarray(column.to_numpy(zero_copy_only=False)))
