"""What a parquet file says of its groups of rows, so that only some of them need be read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pyarrow.parquet as pq

_ORDERED: Final = ("INT64", "INT32")


@dataclass(frozen=True, slots=True)
class GroupBounds[T: (int, bytes)]:
    """A column in one group of rows.

    Parameters
    ----------
    number : int
        Which group.
    first, rows : int
        Number of its first row in the file, and how many it has.
    nulls : int
        How many have no value.
    low, high : int or bytes or None
        No value is below or above; times as they are stored, decimals as whole numbers of their
        last digit, texts as bytes. None where no row has a value.
    """

    number: int
    first: int
    rows: int
    nulls: int
    low: T | None
    high: T | None

    def may_have(self, value: T) -> bool:
        """Return whether a row may have a value."""
        return self.low is not None and self.high is not None and self.low <= value <= self.high


def whole_number_bounds(metadata: pq.FileMetaData, column: str) -> list[GroupBounds[int]] | None:
    """Return the bounds of a column of decimals, whole numbers or times, None if unknown."""
    bounds = []
    for number, first, rows, chunk in _chunks(metadata, column):
        statistics = chunk.statistics
        if statistics is None or not statistics.has_null_count:
            return None
        nulls = rows - statistics.num_values
        if not statistics.has_min_max:
            if nulls < rows:
                return None
            bounds.append(GroupBounds[int](number, first, rows, nulls, None, None))
            continue
        ends = [
            _whole(chunk.physical_type, end) for end in (statistics.min_raw, statistics.max_raw)
        ]
        if None in ends:
            return None
        bounds.append(GroupBounds[int](number, first, rows, nulls, *ends))
    return bounds or None


def text_bounds(metadata: pq.FileMetaData, column: str) -> list[GroupBounds[bytes]] | None:
    """Return the bounds of a column of texts, None if unknown."""
    bounds = []
    for number, first, rows, chunk in _chunks(metadata, column):
        statistics = chunk.statistics
        if chunk.physical_type != "BYTE_ARRAY" or statistics is None or not statistics.has_min_max:
            return None
        low, high = statistics.min_raw, statistics.max_raw
        nulls = rows - statistics.num_values
        bounds.append(GroupBounds[bytes](number, first, rows, nulls, low, high))
    return bounds or None


def _chunks(metadata: pq.FileMetaData, column: str) -> Iterator[tuple[int, int, int, Any]]:
    names = [metadata.schema.column(at).path for at in range(metadata.num_columns)]
    first = 0
    for number in range(metadata.num_row_groups if column in names else 0):
        group = metadata.row_group(number)
        yield number, first, group.num_rows, group.column(names.index(column))
        first += group.num_rows


def _whole(kind: str, value: Any) -> int | None:  # noqa: ANN401 - as statistics have it
    if kind == "FIXED_LEN_BYTE_ARRAY":
        return int.from_bytes(value, "big", signed=True)
    return int(value) if kind in _ORDERED else None
