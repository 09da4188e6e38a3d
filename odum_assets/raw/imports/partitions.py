"""Imported bars by raw file: collected, merged with what is there, published whole.

A raw file holds the bars that open in one UTC day; of daily bars, the sessions of one year. Rows
are int64 matrices of six columns: the time, and the bits of five doubles, so that equal rows are
equal numbers.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.errors import DataError
from odum_assets.raw.imports.rows import read_numbers
from odum_assets.raw.imports.source import VALUES
from odum_assets.storage.files import sync
from odum_assets.utc import DAY_NS, day_of_ns, iso_ns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    type Rows = NDArray[np.int64]

DAILY: Final = "1d"
_HELD_ROWS: Final = 2_000_000
_LABEL, _STEP = b"odum.bars.label", b"odum.bars.step"


@dataclass(frozen=True, slots=True)
class Layout:
    """Say where bars of one instrument belong, and how they are written.

    Parameters
    ----------
    raw_root : Path
        The raw root.
    key : str
        The instrument key.
    step : str
        ``1m``, ``5m``, ``15m``, ``1h`` or ``1d``.
    label : str
        ``start`` or ``end``: what the times of the file are; daily bars have the session's date.
    """

    raw_root: Path
    key: str
    step: str
    label: str

    @property
    def is_daily(self) -> bool:
        """Return whether a bar is a session."""
        return self.step == DAILY

    def file(self, partition: int) -> Path:
        """Return the raw file of a year, or of a day in days since 1970."""
        if self.is_daily:
            folder = f"by_year/year-{partition:04d}"
        else:
            folder = f"by_date/day-{day_of_ns(partition * DAY_NS)}"
        base = self.raw_root / "raw_tick_data" / folder
        return base / f"data_type-bars_{self.step}" / f"{self.key}.parquet"

    def table(self, rows: Rows) -> pa.Table:
        """Return rows as the raw file has them."""
        time: Any
        if self.is_daily:
            time = pa.array((rows[:, 0] // DAY_NS).astype(np.int32), pa.int32()).cast(pa.date32())
        else:
            time = pa.array(rows[:, 0] // 1000).cast(pa.timestamp("us", "UTC"))
        numbers = np.ascontiguousarray(rows[:, 1:]).view(np.float64)
        names = ["Date" if self.is_daily else "timestamp", *VALUES]
        columns = [time, *(pa.array(numbers[:, index]) for index in range(len(VALUES)))]
        # Nothing in a raw file says what its times are; here it is known.
        metadata = {_LABEL: self.label.encode(), _STEP: self.step.encode()}
        return pa.table(columns, names=names).replace_schema_metadata(metadata)

    def moment(self, time: int) -> str:
        """Return a row's time for a message."""
        return str(day_of_ns(time)) if self.is_daily else iso_ns(time)


class Collected:
    """Collect rows by partition, on the disk when there are many.

    Parameters
    ----------
    scratch : Path
        A folder for what does not stay in memory.
    held_rows : int
        Rows that stay in memory.
    """

    def __init__(self, scratch: Path, held_rows: int = _HELD_ROWS) -> None:
        self._scratch = scratch
        self._held_rows = held_rows
        self._held: dict[int, list[Rows]] = {}
        self._spilled: dict[int, list[Path]] = {}
        self._count = 0

    def add(self, partitions: NDArray[np.int64], rows: Rows) -> None:
        """Take rows, each of a partition."""
        if not len(rows):
            return
        order = np.argsort(partitions, kind="stable")
        keys, starts = np.unique(partitions[order], return_index=True)
        for partition, block in zip(keys.tolist(), np.split(rows[order], starts[1:]), strict=True):
            self._held.setdefault(partition, []).append(block)
        self._count += len(rows)
        if self._count > self._held_rows:
            self._spill()

    def __iter__(self) -> Iterator[int]:
        """Iterate over the partitions, in order."""
        return iter(sorted({*self._held, *self._spilled}))

    def rows(self, partition: int) -> Rows:
        """Return the rows of a partition, as they came."""
        blocks = [np.load(path) for path in self._spilled.get(partition, [])]
        return np.concatenate([*blocks, *self._held.get(partition, [])])

    def _spill(self) -> None:
        for partition, blocks in self._held.items():
            paths = self._spilled.setdefault(partition, [])
            path = self._scratch / f"{partition}.{len(paths)}.npy"
            np.save(path, np.concatenate(blocks))
            paths.append(path)
        self._held, self._count = {}, 0


def collapse(rows: Rows) -> tuple[Rows, int, Rows]:
    """Sort rows by time and leave each time once.

    Returns
    -------
    tuple
        The rows; how many were exact repetitions; all rows of times with different values.
    """
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    times, starts, counts = np.unique(rows[:, 0], return_index=True, return_counts=True)
    first = np.repeat(starts, counts)
    differs = (rows != rows[first]).any(axis=1)
    contradicted = np.logical_or.reduceat(differs, starts) if len(times) else np.zeros(0, bool)
    kept = rows[starts[~contradicted]]
    repeated = int((counts[~contradicted] - 1).sum())
    return kept, repeated, rows[np.repeat(contradicted, counts)]


@dataclass(frozen=True, slots=True)
class ImportedFile:
    """One raw file of an import.

    Parameters
    ----------
    path : Path
        Where it is.
    rows : int
        Rows that it has now.
    state : str
        ``new``, ``extended``, ``replaced`` or ``unchanged``.
    """

    path: Path
    rows: int
    state: str


@dataclass
class Staged:
    """Hold finished files beside where they belong, until all of them are finished."""

    layout: Layout
    scratch: Path
    overwrite: bool
    files: list[tuple[ImportedFile, Path | None]] = field(default_factory=list)

    def add(self, partition: int, rows: Rows) -> None:
        """Finish the file of a partition, with what is there already.

        Raises
        ------
        DataError
            If a time is there with other values, or the file has another label, and it is not to
            be overwritten.
        """
        path = self.layout.file(partition)
        state = "new"
        if path.is_file():
            earlier = _read(path, self.layout)
            rows = self._merged(path, earlier, rows)
            if np.array_equal(rows, earlier):
                self.files.append((ImportedFile(path, len(rows), "unchanged"), None))
                return
            kept = np.isin(earlier[:, 0], rows[:, 0]).all() and _are_inside(earlier, rows)
            state = "extended" if kept else "replaced"
        finished = self.scratch / f"{partition}.parquet"
        pq.write_table(self.layout.table(rows), finished, compression="zstd")
        sync(finished)
        self.files.append((ImportedFile(path, len(rows), state), finished))

    def publish(self) -> list[ImportedFile]:
        """Rename the finished files to where they belong."""
        for file, finished in self.files:
            if finished is not None:
                file.path.parent.mkdir(parents=True, exist_ok=True)
                os.replace(finished, file.path)  # noqa: PTH105 - over what is there
                sync(file.path.parent)
        return [file for file, _ in self.files]

    def _merged(self, path: Path, earlier: Rows, rows: Rows) -> Rows:
        if self.overwrite:
            earlier = earlier[~np.isin(earlier[:, 0], rows[:, 0])]
        merged, _, contradictions = collapse(np.concatenate((earlier, rows)))
        if len(contradictions):
            moment = self.layout.moment(int(contradictions[0, 0]))
            count = len(np.unique(contradictions[:, 0]))
            raise DataError(
                f"{path}: has other values at {moment}"
                + (f" and {count - 1} more times" * (count > 1))
                + "; nothing was written. Replace them with --overwrite."
            )
        return merged


def _are_inside(earlier: Rows, rows: Rows) -> bool:
    same = rows[np.searchsorted(rows[:, 0], earlier[:, 0])]
    return bool(np.array_equal(same, earlier))


def _read(path: Path, layout: Layout) -> Rows:
    """Return the rows of a raw file that an import wrote, or one like it."""
    try:
        table = pq.read_table(path)
        by_name = {name.lower(): table[name] for name in table.column_names}
        metadata = table.schema.metadata or {}
        time = by_name["date" if layout.is_daily else "timestamp"]
        kind = pa.timestamp("ns", None if layout.is_daily else "UTC")
        times = time.cast(kind).cast(pa.int64()).to_numpy()
        numbers = [read_numbers(by_name[name].combine_chunks()) for name in VALUES]
    except (pa.ArrowException, KeyError, OSError) as error:
        raise DataError(
            f"{path}: is there already and cannot be read as bars ({error}). Move it away."
        ) from error
    label = metadata.get(_LABEL, layout.label.encode()).decode()
    if label != layout.label and not layout.is_daily:
        raise DataError(
            f"{path}: its times are the {label}s of bars; import with --label {label}, or move the "
            "file away"
        )
    values = np.ascontiguousarray(np.column_stack(numbers)).view(np.int64)
    rows: Rows = np.column_stack((times, values))
    return rows
