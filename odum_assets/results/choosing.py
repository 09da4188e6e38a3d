"""Rows of a result's table, chosen by conditions and put in an order, of which a page is read.

Only the columns that conditions and order name are read as a whole; the rows of a page are taken
batch by batch.
"""

import re
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.catalog.arrow import arrow, text_parts
from odum_assets.catalog.arrow import kernels as pc
from odum_assets.catalog.fixed_point import Int64s
from odum_assets.errors import InvalidRequestError
from odum_assets.results.group_bounds import GroupBounds, text_bounds, whole_number_bounds
from odum_assets.results.json_rows import lines_of
from odum_assets.results.ordering import SortKey, begin_of_file, order_of
from odum_assets.results.scanning import column_batches, identity_of, of_texts, opened_table
from odum_assets.results.stored_file import ResultError
from odum_assets.results.tables import StoredTable, TableFile
from odum_assets.storage.memory import Cache

_CONDITION: Final = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_.\[\]]*)\s*(<=|>=|!=|[:=<>~])\s*(.*?)\s*")
_COMPARE: Final = {
    ":": pc.equal,
    "=": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
_ORDERED: Final = ("<", "<=", ">", ">=")
_MOST_CONDITIONS: Final = 16
_BLOCK_ROWS: Final = 100_000
"""Rows of an order that are held at once."""

_PAGE_ROWS: Final = 2_000
"""Rows of a large page, and how many are read ahead."""

_BATCH_ROWS: Final = 32_768
_LATEST: Final = 2**63 - 1

_PAGES: Final = Cache(16 << 20)
"""The page of each choice that was read last."""

type Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Condition:
    """A column, how it is compared, and with what; None is null."""

    column: str
    operator: str
    value: str | None


def parse_conditions(text: str) -> tuple[Condition, ...]:
    """Return conditions such as ``side:buy,net_pnl<0``.

    Raises
    ------
    InvalidRequestError
        If one cannot be read.
    """
    conditions = []
    for part in text.split(","):
        match = _CONDITION.fullmatch(part)
        if match is None:
            raise _invalid(f"where: found {part[:80]!r}, allowed such as side:buy or net_pnl<0")
        column, operator, value = match.groups()
        conditions.append(Condition(column, operator, None if value.lower() == "null" else value))
    if len(conditions) > _MOST_CONDITIONS:
        raise _invalid(f"where: allowed {_MOST_CONDITIONS} conditions")
    return tuple(conditions)


def parse_sort(text: str) -> tuple[SortKey, ...]:
    """Return the columns of an order such as ``-net_pnl,timestamp``."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    return tuple(SortKey(name.lstrip("-+"), name.startswith("-")) for name in names)


def time_ns(text: str) -> int:
    """Return a time as ns since 1970: digits are that already, other texts ISO 8601 with a zone.

    Raises
    ------
    ValueError
        If the text is neither.
    """
    if text.isdecimal() and text.isascii():
        if len(text) > len(str(_LATEST)) or int(text) > _LATEST:
            raise ValueError(f"found {text[:40]!r}, allowed up to {_LATEST} ns")
        return int(text)
    try:
        # To the nanosecond, which Python's own datetime does not have.
        scalar: Any = pa.scalar(text).cast(pa.timestamp("ns", "UTC"))
    except pa.ArrowInvalid:
        allowed = "ns since 1970 or a time such as 2024-07-18T00:00:00Z"
        raise ValueError(f"found {text[:40]!r}, allowed {allowed}") from None
    return int(scalar.value)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Rows of a file in a new order.

    Parameters
    ----------
    rows : ndarray
        Their numbers in the file, perhaps only the first ones; shape (n,).
    total : int
        How many there are.
    file_rows : int
        Rows of the file.
    identity : tuple of int
        Which file it was.
    """

    rows: Int64s
    total: int
    file_rows: int
    identity: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Return their size."""
        return self.rows.nbytes


@dataclass(frozen=True, slots=True)
class ChosenTable(StoredTable):
    """A table's rows by number, in an order of its own.

    Parameters
    ----------
    chosen : Chosen
        The rows.
    name : hashable
        Names the choice among those of its file.
    """

    chosen: Chosen = None  # type: ignore[assignment]
    name: Hashable = None

    def count(self) -> int:
        """Return the number of rows."""
        return self.chosen.total

    def lines(self, offset: int, limit: int) -> Iterator[bytes]:
        """Yield rows as JSON objects, each with a newline, many at a time."""
        for table in self._blocks(offset, limit):
            for batch in table.to_batches(max_chunksize=2_048):
                yield bytes(lines_of(self.kind.objects(batch), "\n"))

    def arrow(self, offset: int, limit: int) -> Iterator[pa.RecordBatch]:
        """Yield rows as record batches, at least one (perhaps empty)."""
        for table in self._blocks(offset, limit):
            for batch in table.to_batches(max_chunksize=4_096):
                yield self.kind.batch(batch)
        if not len(self.chosen.rows[offset : offset + limit]):
            yield from StoredTable(self.file, kind=self.kind).arrow(0, 0)

    def _blocks(self, offset: int, limit: int) -> Iterator[pa.Table]:
        wanted = self.chosen.rows[offset : offset + limit]
        if 0 < len(wanted) <= _PAGE_ROWS:
            yield self._page(offset, wanted)
            return
        for first in range(0, len(wanted), _BLOCK_ROWS):
            yield self._taken(wanted[first : first + _BLOCK_ROWS])

    def _page(self, offset: int, wanted: Int64s) -> pa.Table:
        """Return a page; those that follow it come along where most of the file is read for it."""
        key = self.chosen.identity, self.name
        kept: tuple[int, pa.Table] | None = _PAGES.find(key, None)
        if kept is not None and 0 <= offset - kept[0] <= kept[1].num_rows - len(wanted):
            with self.file.opened() as path:
                _require(self.file, path, self.chosen.identity)
            return kept[1].slice(offset - kept[0], len(wanted))
        read = np.count_nonzero(np.bincount(wanted // _BATCH_ROWS)) * _BATCH_ROWS
        is_scattered = 4 * read > self.chosen.file_rows
        rows = self.chosen.rows[offset : offset + _PAGE_ROWS] if is_scattered else wanted
        table = self._taken(rows)
        _PAGES.put(key, None, (offset, table))
        return table.slice(0, len(wanted))

    def _taken(self, numbers: Int64s) -> pa.Table:
        return taken(self.file, numbers, identity=self.chosen.identity)


def choose(
    table: StoredTable,
    where: Sequence[Condition],
    sort: Sequence[SortKey],
    first: int | None = None,
) -> Chosen:
    """Return the numbers of the rows that meet all conditions, in an order.

    Rows that are equal in the order stay in that of the table; nulls are last.

    Parameters
    ----------
    table : StoredTable
        The table, or a range of it.
    where : sequence of Condition
        All must hold.
    sort : sequence of SortKey
        The first one counts most.
    first : int, optional
        How many rows are wanted, at least: to put these in order takes a fraction of the time.

    Raises
    ------
    InvalidRequestError
        If a column does not exist, or cannot be compared with a value.
    """
    with table.file.opened() as path, opened_table(path) as file:
        schema, total = file.metadata.schema.to_arrow_schema(), file.metadata.num_rows
        names = _columns(
            schema, [*(condition.column for condition in where), *(order.column for order in sort)]
        )
        last = total if table.last is None else table.last
        which = total, identity_of(path)
        if not names:
            return Chosen(np.arange(table.first, last), last - table.first, *which)
        values = [(condition, _value(condition, schema)) for condition in where]
        is_whole = not where and (table.first, last) == (0, total)
        if is_whole and first is not None and len(sort) == 1:
            begin = begin_of_file(file, sort[0], first)
            if begin is not None:
                return Chosen(begin, total, *which)
        kept: list[Int64s] = [np.arange(total)] if is_whole else []
        keys: list[pa.RecordBatch] = []
        start = 0
        for batch in file.iter_batches(_BATCH_ROWS, columns=names, use_threads=False):
            if is_whole:
                keys.append(batch)
                continue
            numbers = np.arange(start, start + batch.num_rows)
            start += batch.num_rows
            mask: Mask = (numbers >= table.first) & (numbers < last)
            for condition, value in values:
                mask &= _holds(batch[condition.column], condition, value)
            rows = np.flatnonzero(mask)
            kept.append(numbers[rows])
            if sort and len(rows):
                keys.append(batch if len(rows) == len(mask) else batch.take(rows))
    indices: Int64s = np.concatenate(kept) if kept else np.zeros(0, np.int64)
    if not sort or not len(indices):
        return Chosen(indices, len(indices), *which)
    together = pa.Table.from_batches(keys).unify_dictionaries()
    return Chosen(indices[order_of(together, sort, first)], len(indices), *which)


def index_of_id(table: StoredTable, column: str, text: str, rows: Int64s) -> int | None:
    """Return the place of the first row with an id among chosen rows; None if there is none."""
    with table.file.opened() as path, opened_table(path) as parquet:
        bounds = text_bounds(parquet.metadata, column)
        wanted = text.encode("utf-8", "surrogatepass")
        groups = None
        if bounds is not None:
            groups = [group.number for group in bounds if group.may_have(wanted)]
        indices = [
            at
            + pc.indices_nonzero(of_texts(batch[column], lambda texts: pc.equal(texts, text)))
            .to_numpy()
            .astype(np.int64)
            for at, batch in column_batches(parquet, column, groups)
        ]
    numbers = np.concatenate(indices) if indices else np.zeros(0, np.int64)
    if not len(numbers):
        return None
    places = np.flatnonzero(np.isin(rows, numbers))
    return int(places[0]) if len(places) else None


def index_of_time(table: StoredTable, column: str, ns: int, rows: Int64s) -> int | None:
    """Return the place of the next row from a time on among chosen rows, of the last one after it.

    None if there are no rows.
    """
    if not len(rows):
        return None
    with table.file.opened() as path, opened_table(path) as parquet:
        bounds = whole_number_bounds(parquet.metadata, column)
        total = parquet.metadata.num_rows
        is_all = len(rows) == total and np.array_equal(rows, np.arange(total))
        if bounds is not None and is_all and not any(group.nulls for group in bounds):
            return _row_at_time(parquet, column, ns, bounds)
        times = _times_of(parquet, column)[rows]
    later = np.flatnonzero(times >= ns)
    return int(later[times[later].argmin()] if len(later) else times.argmax())


def _row_at_time(
    parquet: pq.ParquetFile, column: str, ns: int, bounds: Sequence[GroupBounds[int]]
) -> int:
    """Return what `index_of_time` does for all rows: few groups of rows are read."""
    times = {
        group.number: _times_of(parquet, column, [group.number])
        for group in bounds
        if group.low is not None and group.high is not None and group.low < ns <= group.high
    }
    later = [int(read[read >= ns].min()) for read in times.values()]
    later += [group.low for group in bounds if group.low is not None and group.low >= ns]
    wanted = min(later, default=max(group.high or 0 for group in bounds))
    for group in bounds:
        if group.may_have(wanted):
            read = times.get(group.number)
            read = _times_of(parquet, column, [group.number]) if read is None else read
            places = np.flatnonzero(read == wanted)
            if len(places):
                return group.first + int(places[0])
    raise AssertionError("bounds of a group that are not those of its rows")


def _times_of(parquet: pq.ParquetFile, column: str, groups: list[int] | None = None) -> Int64s:
    parts = [
        batch[column].cast(pa.int64()).fill_null(_LATEST).to_numpy()
        for _, batch in column_batches(parquet, column, groups)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def taken(
    file: TableFile,
    numbers: Int64s,
    columns: Sequence[str] | None = None,
    *,
    identity: tuple[int, ...] | None = None,
) -> pa.Table:
    """Return rows by their numbers, in the order of the numbers: all columns, or some.

    Raises
    ------
    ResultError
        If it is not the file of an identity.
    """
    ascending = np.sort(numbers)
    parts = []
    with file.opened() as path, opened_table(path) as parquet:
        if identity is not None:
            _require(file, path, identity)
        groups = []
        firsts = [0]
        for group in range(parquet.num_row_groups):
            firsts.append(firsts[-1] + parquet.metadata.row_group(group).num_rows)
        for group, (start, end) in enumerate(pairwise(firsts)):
            inside = ascending[ascending.searchsorted(start) : ascending.searchsorted(end)]
            groups += [(group, inside - start)] if len(inside) else []
        schema = parquet.metadata.schema.to_arrow_schema()
        names = schema.names if columns is None else [*columns]
        if not groups:
            return schema.empty_table().select(names)
        empty = _empty_columns(parquet.metadata, [group for group, _ in groups])
        read = [name for name in names if name not in empty] or names
        for group, rows in groups:
            parts += _rows_of_group(parquet, group, rows, read)
    # Texts come as they are stored: a dictionary of them is for reading alone.
    plain = arrow.schema([schema.field(name) for name in read])
    table = pa.Table.from_batches([part.cast(plain) for part in parts]).combine_chunks()
    fields = [schema.field(name) for name in names]
    filled = [
        table[field.name] if field.name in read else pa.nulls(table.num_rows, field.type)
        for field in fields
    ]
    table = pa.table(filled, schema=arrow.schema(fields, schema.metadata))
    return table.take(ascending.searchsorted(numbers))


def _require(file: TableFile, path: Path, identity: tuple[int, ...]) -> None:
    if identity_of(path) != identity:
        raise ResultError(f"{file.path}: another file has just taken its place; try again")


def _empty_columns(metadata: pq.FileMetaData, groups: Sequence[int]) -> set[str]:
    """Return the columns that have no values in any of some groups of rows."""
    empty = set()
    for number, name in enumerate(metadata.schema.names):
        if metadata.schema.column(number).path != name:
            continue
        columns: list[Any] = [metadata.row_group(group).column(number) for group in groups]
        if all(
            column.statistics is not None
            and column.statistics.has_null_count
            and column.statistics.null_count == column.num_values
            for column in columns
        ):
            empty.add(name)
    return empty


def _rows_of_group(
    parquet: pq.ParquetFile, group: int, rows: Int64s, columns: list[str]
) -> list[pa.RecordBatch]:
    groups, start = [], 0
    for batch in parquet.iter_batches(
        _BATCH_ROWS, row_groups=[group], columns=columns, use_threads=False
    ):
        end = start + batch.num_rows
        inside = rows[rows.searchsorted(start) : rows.searchsorted(end)]
        if len(inside):
            groups.append(batch.take(inside - start))
        start = end
        if start > rows[-1]:
            break
    return groups


def rows_of(table: pa.Table, where: Sequence[Condition], sort: Sequence[SortKey]) -> Int64s:
    """Return the numbers of the rows of a table in memory that meet all conditions, in order.

    Raises
    ------
    InvalidRequestError
        If there is no such column, or it cannot be compared like this.
    """
    _columns(table.schema, [*(one.column for one in where), *(one.column for one in sort)])
    mask = np.ones(table.num_rows, dtype=bool)
    for condition in where:
        mask &= _holds(table[condition.column], condition, _value(condition, table.schema))
    rows = np.flatnonzero(mask)
    return rows[order_of(table.take(rows), sort)] if sort else rows


def _columns(schema: pa.Schema, names: Sequence[str]) -> list[str]:
    for name in names:
        if name not in schema.names:
            known = ", ".join(schema.names)
            raise _invalid(f"there is no column {name[:80]!r}; there are {known}")
    return sorted(set(names))


def _value(condition: Condition, schema: pa.Schema) -> Any:  # noqa: ANN401 - a scalar of any type
    """Return what a column is compared with, in the column's type."""
    kind = schema.field(condition.column).type
    text = condition.value
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if condition.operator in _ORDERED and (is_text or text is None):
        raise _invalid(f"where: {condition.column} has no order by {condition.operator}")
    if condition.operator == "~" and not is_text:
        raise _invalid(f"where: {condition.column} is no text; ~ looks into texts")
    if text is None or is_text:
        return text
    try:
        if pa.types.is_timestamp(kind):
            return pa.scalar(time_ns(text), pa.int64()).cast(kind)
        return pa.scalar(Decimal(text)).cast(kind)
    except (ValueError, InvalidOperation, pa.ArrowException):
        raise _invalid(f"where: {condition.column} cannot be compared with {text[:80]!r}") from None


def _holds(column: Any, condition: Condition, value: Any) -> Mask:  # noqa: ANN401 - see `_value`
    """Return which rows meet a condition."""
    if value is None:
        matches = column.is_valid() if condition.operator == "!=" else column.is_null()
    elif condition.operator == "~":
        matches = of_texts(column, lambda texts: _contains(texts, value))
    elif isinstance(value, str):
        compare, text = _COMPARE[condition.operator], value.lower()
        matches = of_texts(column, lambda texts: compare(_lower(texts), text))
    else:
        matches = _COMPARE[condition.operator](column, value)
    # What is not known differs from every value.
    known: Mask = pc.fill_null(matches, condition.operator == "!=").to_numpy(zero_copy_only=False)
    return known


def _contains(texts: Any, part: str) -> Any:  # noqa: ANN401 - columns
    """Return which texts contain a part, without regard to case."""
    if not part or not part.isascii() or not _is_ascii(texts):
        return pc.match_substring(texts, part, ignore_case=True)
    # All bytes at once, from the last one of the part: a fraction of the time of text after text.
    ends, data = text_parts(pc.ascii_lower(texts))
    wanted = part.lower().encode()
    places = np.flatnonzero(data[len(wanted) - 1 : int(ends[-1])] == wanted[-1])
    for number in range(len(wanted) - 2, -1, -1):
        places = places[data[places + number] == wanted[number]]
    rows = ends.searchsorted(places, side="right") - 1
    is_within = (rows >= 0) & (places + len(wanted) <= ends[1:][rows])
    matches = np.zeros(len(texts), np.bool_)
    matches[rows[is_within]] = True
    return pa.array(matches)


def _lower(texts: Any) -> Any:  # noqa: ANN401 - columns
    return pc.ascii_lower(texts) if _is_ascii(texts) else pc.utf8_lower(texts)


def _is_ascii(texts: Any) -> bool:  # noqa: ANN401 - a column
    """Return whether texts have no other characters: one look at their bytes tells."""
    if not pa.types.is_string(texts.type) or not len(texts):
        return False
    ends, data = text_parts(texts)
    return not (data[int(ends[0]) : int(ends[-1])] & 0x80).any()


def _invalid(detail: str) -> InvalidRequestError:
    return InvalidRequestError("invalid-request", detail)
