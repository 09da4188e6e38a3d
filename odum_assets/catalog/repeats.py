"""Rows that two partitions of one instrument both hold, and a view without the second copy.

Partitions hold the arrivals of their own day, so that a row is in one of them. Two cases remain: an
exchange sends the last trades of a day once more after a reconnection past midnight, and a
partition of an earlier version holds rows of its neighbors.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.catalog.manifest import PartitionManifest
from odum_assets.raw.layout import DataType

_SAME: Final = {
    DataType.TRADES: ("ts_event", "trade_id", "price", "size", "aggressor_side"),
    DataType.BOOK: ("ts_init", "ts_event", "bids", "asks"),
    DataType.FUNDING: ("ts_init", "ts_event", "rate", "next_funding_ns"),
}
"""Columns by which a row is another one's copy. A trade is one whenever it arrives; a book or a
rate that arrives again is a new one."""


def drop_repeats(view: Path, manifests: Sequence[PartitionManifest]) -> list[int]:
    """Leave out of a view the rows that an earlier partition of it holds, too.

    Parameters
    ----------
    view : Path
        The view of `odum_assets.catalog.catalog_view`; its files are replaced, not changed.
    manifests : sequence of PartitionManifest
        What it holds, in order of days for each data type.

    Returns
    -------
    list of int
        Rows left out of each partition.
    """
    dropped = []
    last: dict[DataType, PartitionManifest] = {}
    for manifest in manifests:
        earlier = last.get(manifest.data_type)
        last[manifest.data_type] = manifest
        repeats = repeated_rows(view, earlier, manifest) if earlier is not None else None
        dropped.append(0 if repeats is None else _leave_out(manifest.data_path(view), repeats))
    return dropped


def repeated_rows(
    view: Path, earlier: PartitionManifest, later: PartitionManifest
) -> "np.ndarray[Any, np.dtype[np.bool_]] | None":
    """Return which rows of the later partition are in the earlier one; None if there are none."""
    names = _SAME[later.data_type]
    by_event = names[0] == "ts_event"
    first, last = (
        (later.first_ts_event, earlier.last_ts_event)
        if by_event
        else (later.first_ts_init, earlier.last_ts_init)
    )
    if first > last:
        return None
    earlier_rows = {row for _, row in _rows(earlier.data_path(view), names, first, last)}
    repeated = [
        at for at, row in _rows(later.data_path(view), names, first, last) if row in earlier_rows
    ]
    if not repeated:
        return None
    flags = np.zeros(later.rows_written, np.bool_)
    flags[repeated] = True
    return flags


def _rows(path: Path, names: Sequence[str], first: int, last: int) -> list[tuple[int, str]]:
    """Return place and content of the rows whose first named time is in a span (ns, inclusive)."""
    matches: list[tuple[int, str]] = []
    with pq.ParquetFile(path) as file:
        start = 0
        for group in range(file.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            times = file.read_row_group(group, columns=[names[0]])[names[0]]
            ns = times.cast(pa.int64()).to_numpy()
            places = np.flatnonzero((ns >= first) & (ns <= last))
            if len(places):
                rows = file.read_row_group(group, columns=list(names)).take(places)
                chosen = rows.set_column(0, names[0], pa.array(ns[places]))
                texts = map(repr, zip(*(_values(chosen[name]) for name in names), strict=True))
                matches += zip((places + start).tolist(), texts, strict=True)
            start += count
    return matches


def _values(column: Any) -> list[Any]:  # noqa: ANN401 - a chunked array
    """Return a column as Python values, times as ns."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    values: list[Any] = column.to_pylist()
    return values


def _leave_out(path: Path, flags: "np.ndarray[Any, np.dtype[np.bool_]]") -> int:
    """Replace a linked file by one without the flagged rows; return their number."""
    from odum_assets.catalog.partition_writer import ROW_GROUP_ROWS, open_writer

    partial = path.with_suffix(".part")
    with pq.ParquetFile(path) as file, open_writer(partial, file.schema_arrow) as writer:
        start = 0
        for batch in file.iter_batches(batch_size=ROW_GROUP_ROWS):
            kept = ~flags[start : start + batch.num_rows]
            start += batch.num_rows
            rest = batch.filter(pa.array(kept))
            if rest.num_rows:
                writer.write_batch(rest, row_group_size=ROW_GROUP_ROWS)
    # A new file under the old name: the catalog's own, of which this was a link, stays.
    partial.replace(path)
    return int(flags.sum())
