"""The first row in which two results differ: a fill, else an order, else a round trip."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.catalog.arrow import kernels as pc
from odum_assets.results.json_figures import amount_text
from odum_assets.results.store import ResultEntry
from odum_assets.results.tables import TableFile
from odum_assets.utc import iso_ns

_BATCH_ROWS: Final = 65_536
_TABLES: Final = (
    ("fills", "fills.parquet", "timestamp"),
    ("orders", "orders.parquet", "timestamp"),
    ("trades", "positions.parquet", "opened"),
)
_IDS: Final = ("order_id", "position_id", "id", "parent_id")
"""Columns that do not count: ids begin with the strategy's name."""


def first_difference(base: ResultEntry, other: ResultEntry) -> dict[str, Any] | None:
    """Return the first row in which a result differs from another, None if there is none.

    Parameters
    ----------
    base, other : ResultEntry
        Results with reports.

    Returns
    -------
    dict or None
        ``run_id`` of the other one, ``table`` (fills, orders or trades), ``row``, ``ts_ns`` (the
        earlier time), the ``columns`` that differ, and the rows ``a`` and ``b``: amounts and times
        are texts, None stands for a row that there is not.
    """
    if base.digest == other.digest:
        return None
    for table, name, time in _TABLES:
        difference = _in_table(base.report_file(name), other.report_file(name), time)
        if difference is not None:
            return {"run_id": other.run_id, "table": table, **difference}
    return None


def _in_table(one: TableFile, other: TableFile, time: str) -> dict[str, Any] | None:
    start = 0
    for a, b in _pairs(one, other):
        rows = min(a.num_rows, b.num_rows)
        names = [name for name in a.schema.names if name in b.schema.names and name not in _IDS]
        differing = {name: _differing(a[name][:rows], b[name][:rows]) for name in names}
        firsts = [int(unequal.argmax()) for unequal in differing.values() if unequal.any()]
        if firsts or a.num_rows != b.num_rows:
            row = min(firsts, default=rows)
            columns = [name for name, unequal in differing.items() if row < rows and unequal[row]]
            return _described(a, b, row, time, start + row, columns)
        start += rows
    return None


def _described(
    a: pa.RecordBatch, b: pa.RecordBatch, row: int, time: str, number: int, columns: Sequence[str]
) -> dict[str, Any]:
    times = [
        int(batch[time].cast(pa.int64())[row].as_py())
        for batch in (a, b)
        if row < batch.num_rows and batch[time][row].is_valid
    ]
    sides = [_plain(batch, row) if row < batch.num_rows else None for batch in (a, b)]
    return {
        "row": number,
        "ts_ns": str(min(times)) if times else None,
        "columns": list(columns),
        "a": sides[0],
        "b": sides[1],
    }


def _pairs(one: TableFile, other: TableFile) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """Yield the same rows of two tables; the last pair may differ in length."""
    with (
        one.opened() as a,
        other.opened() as b,
        pq.ParquetFile(a) as first,
        pq.ParquetFile(b) as second,
    ):
        lefts, rights = (_blocks(file) for file in (first, second))
        while True:
            left, right = next(lefts, None), next(rights, None)
            if left is None and right is None:
                return
            yield (
                first.schema_arrow.empty_table().to_batches()[0] if left is None else left,
                second.schema_arrow.empty_table().to_batches()[0] if right is None else right,
            )


def _blocks(file: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    """Yield blocks of equal length, whatever the groups of rows: the last one may be shorter."""
    kept: list[pa.RecordBatch] = []
    rows = 0
    for batch in file.iter_batches(_BATCH_ROWS):
        kept.append(batch)
        rows += batch.num_rows
        if rows >= _BATCH_ROWS:
            table = pa.Table.from_batches(kept).combine_chunks()
            yield table.slice(0, _BATCH_ROWS).combine_chunks().to_batches()[0]
            kept = table.slice(_BATCH_ROWS).to_batches()
            rows -= _BATCH_ROWS
    if rows:
        yield pa.Table.from_batches(kept).combine_chunks().to_batches()[0]


def _differing(a: Any, b: Any) -> Any:  # noqa: ANN401 - columns; an array of booleans
    """Return which rows differ; null is equal to null."""
    same = pc.fill_null(pc.equal(a, b), False).to_numpy(zero_copy_only=False)
    both = a.is_null().to_numpy(zero_copy_only=False) & b.is_null().to_numpy(zero_copy_only=False)
    return np.logical_not(same | both)


def _plain(batch: pa.RecordBatch, row: int) -> dict[str, Any]:
    """Return a row as JSON has it."""
    values: dict[str, Any] = {}
    for name in batch.schema.names:
        value = batch[name][row]
        if value.is_valid and pa.types.is_timestamp(value.type):
            values[name] = iso_ns(int(value.cast(pa.int64()).as_py()))
        else:
            plain = value.as_py()
            values[name] = amount_text(plain) if isinstance(plain, Decimal) else plain
    return values
