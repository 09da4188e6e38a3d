"""Where imported bars come from: a CSV or parquet file, read batch by batch.

A batch has the columns ``time open high low close volume``, as the file states them; what their
values mean is for `times` and `rows`.
"""

from __future__ import annotations

import csv
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from odum_assets.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PRICES: Final = ("open", "high", "low", "close")
VALUES: Final = (*PRICES, "volume")
_TIMES: Final = ("timestamp", "datetime", "date", "time")
"""Names of the column of times, the first one that a file has."""

_ROWS = 65_536
_BLOCK = 4 << 20
_DELIMITERS = ",;\t|"


class BarSource(Protocol):
    """Give bars batch by batch."""

    name: str
    """What it is, for messages."""
    ignored: list[str]
    """Columns that are not used."""
    damaged: int
    """Rows that had too few or too many fields, as far as read."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the columns ``time open high low close volume``."""
        ...


@dataclass(frozen=True, slots=True)
class Roles:
    """Say which column of a table plays which role; two columns are a date and a time of day."""

    time: tuple[str, ...]
    values: tuple[str, ...]

    def batch(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return a batch by roles."""
        times: list[Any] = [batch.column(name) for name in self.time]
        if len(times) == 2:
            texts = [pc.cast(column, pa.string()) for column in times]
            times = [pc.binary_join_element_wise(*texts, " ")]
        columns = [batch.column(name) for name in self.values]
        return pa.RecordBatch.from_arrays([*times, *columns], names=["time", *VALUES])


def roles_of(names: Sequence[str], source: str) -> Roles:
    """Return the roles of columns, whose names may be in any case.

    Raises
    ------
    DataError
        If a column is missing or occurs more than once.
    """
    by_name: dict[str, list[str]] = {}
    for name in names:
        by_name.setdefault(name.strip().lower(), []).append(name)
    times = [name for name in _TIMES if name in by_name]
    missing = [name for name in VALUES if name not in by_name]
    if not times:
        missing.insert(0, "timestamp (or datetime, date, date and time)")
    if missing:
        raise DataError(
            f"{source}: missing columns: {', '.join(missing)}. Columns: "
            f"{', '.join(names) or 'none'}. Name them in the first line."
        )
    time = ("date", "time") if times == ["date", "time"] else (times[0],)
    twice = [name for name in (*time, *VALUES) if len(by_name[name]) > 1]
    if twice:
        raise DataError(f"{source}: columns occur more than once: {', '.join(twice)}.")
    return Roles(
        tuple(by_name[name][0] for name in time), tuple(by_name[name][0] for name in VALUES)
    )


def open_source(path: Path) -> BarSource:
    """Return the bars of a file; whether it is parquet, its first bytes say.

    Raises
    ------
    DataError
        If it cannot be read, or its columns are not those of bars.
    """
    try:
        with path.open("rb") as stream:
            is_parquet = stream.read(4) == b"PAR1"
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Check the path.") from None
    return ParquetBars(path) if is_parquet else CsvBars(path)


class ParquetBars:
    """Read the bars of a parquet file."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.damaged = 0
        self._path = path
        with _readable(path), pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
        self._roles = roles_of(names, self.name)
        used = (*self._roles.time, *self._roles.values)
        self.ignored = [name for name in names if name not in used]

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the columns ``time open high low close volume``."""
        used = [*self._roles.time, *self._roles.values]
        with _readable(self._path), pq.ParquetFile(self._path) as file:
            for batch in file.iter_batches(_ROWS, columns=used):
                yield self._roles.batch(batch)


class CsvBars:
    """Read the bars of a CSV file, every field as text."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.damaged = 0
        self._path = path
        names, self._delimiter = _header(path)
        self._roles = roles_of(names, self.name)
        used = (*self._roles.time, *self._roles.values)
        self.ignored = [name for name in names if name not in used]

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the columns ``time open high low close volume``."""
        used = [*self._roles.time, *self._roles.values]
        self.damaged = 0
        with (
            _readable(self._path),
            pa_csv.open_csv(
                self._path,
                read_options=pa_csv.ReadOptions(block_size=_BLOCK),
                parse_options=pa_csv.ParseOptions(
                    delimiter=self._delimiter, invalid_row_handler=self._skip
                ),
                convert_options=pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(used, pa.string()),
                    include_columns=used,
                    strings_can_be_null=True,
                    null_values=[""],
                ),
            ) as reader,
        ):
            for batch in reader:
                yield self._roles.batch(batch)

    def _skip(self, _row: pa_csv.InvalidRow) -> Literal["skip"]:
        self.damaged += 1
        return "skip"


@dataclass
class TableBars:
    """Give the bars of tables in memory.

    Parameters
    ----------
    name
        What it is, for messages.
    tables
        Their columns as those of a file.
    """

    name: str
    tables: Sequence[pa.Table]
    ignored: list[str] = field(default_factory=list)
    damaged: int = 0

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the columns ``time open high low close volume``."""
        for table in self.tables:
            roles = roles_of(table.column_names, self.name)
            for batch in table.to_batches(_ROWS):
                yield roles.batch(batch)


def _header(path: Path) -> tuple[list[str], str]:
    """Return the names of a CSV file's columns, and what separates them."""
    with _readable(path), pa.input_stream(str(path)) as stream:
        head = stream.read(65_536)
    try:
        line = head.decode("utf-8-sig", errors="strict" if len(head) < 65_536 else "ignore")
    except UnicodeDecodeError:
        raise DataError(
            f"{path}: neither parquet nor UTF-8 text. Save it as one of them."
        ) from None
    line = line.partition("\n")[0].strip("\r")
    if not line.strip():
        raise DataError(f"{path}: empty; the first line must name the columns.")
    counts = Counter(char for char in line if char in _DELIMITERS)
    delimiter = counts.most_common(1)[0][0] if counts else ","
    return next(csv.reader([line], delimiter=delimiter)), delimiter


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path}: cannot be read ({reason}). Check the file.") from error
