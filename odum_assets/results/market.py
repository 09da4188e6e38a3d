"""The market that a run replayed, as the catalog has it now: the same, changed, or gone.

Data that are not those of the run are never read: what the run's own export holds takes their
place, or nothing does.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa

from odum_assets.catalog.fixed_point import Int64s
from odum_assets.catalog.manifest import PartitionManifest, read_manifest
from odum_assets.catalog.paths import PartitionPaths
from odum_assets.catalog.repeats import repeated_rows
from odum_assets.config import catalog_root
from odum_assets.errors import ConfigError, DataError
from odum_assets.instruments import parse_instrument_key
from odum_assets.raw.layout import DataType
from odum_assets.results.scanning import scan_path, times_of
from odum_assets.results.store import ResultEntry
from odum_assets.results.stored_file import path_of
from odum_assets.results.verify import request_of
from odum_assets.settings import Settings
from odum_assets.storage.files import hash_file
from odum_assets.utc import DAY_NS, day_start_ns

type Source = Literal["same", "changed", "gone"]

type _Identity = tuple[int, int, int, int]

_WORST: Final[tuple[Source, ...]] = ("gone", "changed", "same")
_MERGED_ROWS: Final = 131_072


@dataclass(frozen=True, slots=True)
class PartitionNow:
    """A partition that a run read, and what the catalog has in its place.

    Parameters
    ----------
    root : Path
        The catalog.
    record : dict[str, Any]
        What the result says of it: data_type, day, rows, rejected, digest.
    instrument : str
        Whose data.
    source : {"same", "changed", "gone"}
        What there is now.
    manifest : PartitionManifest or None
        The manifest now.
    identity : tuple of int or None
        Inode, size and times of change (ns) of the data file, if it is the same.
    """

    root: Path
    record: dict[str, Any]
    instrument: str
    source: Source
    manifest: PartitionManifest | None
    identity: _Identity | None

    @property
    def data_type(self) -> DataType:
        """Return the kind of data."""
        return DataType(self.record["data_type"])

    @property
    def day(self) -> str:
        """Return the UTC day."""
        return str(self.record["day"])

    @property
    def state(self) -> tuple[object, ...]:
        """Return what differs when another file is in its place."""
        return str(self), self.source, self.identity

    def __str__(self) -> str:
        return f"{self.instrument} {self.data_type.value} {self.day}"

    @contextmanager
    def opened(self) -> Iterator[Path]:
        """Open the data file, and yield a path by which exactly it can be read.

        Raises
        ------
        DataError
            If it is not that of the run any more.
        """
        assert self.manifest is not None  # noqa: S101 - the source is the same
        path = self.manifest.data_path(self.root)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise DataError(f"{path}: was removed just now; try again") from None
        try:
            if _identity_of(os.fstat(descriptor)) != self.identity:
                raise DataError(f"{path}: another file has just taken its place; try again")
            yield path_of(descriptor, path)
        finally:
            os.close(descriptor)


def replayed(entry: ResultEntry) -> tuple[int, int]:
    """Return the window that a run replayed, ns, its end excluded; else first and last trade."""
    metadata = entry.metadata()
    window = metadata["window"]
    start, end = window["start_ns"], window["end_ns"]
    # Of a bar its close is recorded, and its last nanosecond counts.
    first = int(window["first_trade_ns"]) - (metadata["config"].get("kind") == "bars")
    last = int(window["last_trade_ns"]) + 1
    return first if start is None else int(start), last if end is None else int(end)


class Market:
    """The market of a stored result.

    Parameters
    ----------
    entry : ResultEntry
        The result.
    settings : Settings
        Where the catalog is, unless the run's configuration says it.
    """

    def __init__(self, entry: ResultEntry, settings: Settings) -> None:
        self._entry = entry
        self.root = _catalog_of(entry, settings)
        metadata = entry.metadata()
        self.instruments: list[str] = metadata.get("instrument_keys") or [
            metadata["instrument_key"]
        ]

    def partitions(
        self, instrument: str | None = None, window: tuple[int, int] | None = None
    ) -> list[PartitionNow]:
        """Return what the run read, as it is now, by day.

        Parameters
        ----------
        instrument : str, optional
            Only that of one.
        window : tuple of int, optional
            Only that of days (years for daily bars) that have a part of a window, ns.
        """
        partitions = []
        for record in self._entry.metadata()["catalog"]:
            owner = record.get("instrument") or self.instruments[0]
            if instrument in (None, owner) and (window is None or _is_in(record, window)):
                partitions.append(_partition_now(self.root, record, owner))
        return sorted(partitions, key=lambda part: part.day)

    def detail(self, partitions: Sequence[PartitionNow]) -> tuple[Source, str | None]:
        """Return the worst state of partitions, and a message that names the first that has it."""
        states = {partition.source for partition in partitions}
        worst: Source = next((state for state in _WORST if state in states), "same")
        if worst == "same":
            return worst, None
        named = [str(partition) for partition in partitions if partition.source == worst]
        more = f" (and {len(named) - 1} other partitions)" if len(named) > 1 else ""
        what = "is gone from" if worst == "gone" else "has changed in"
        return worst, (
            f"{named[0]}{more} {what} the catalog since the run; convert the same raw file again, "
            f"or run {self._entry.config_name} {self._entry.partition} again"
        )


def rows_in_order(
    partitions: Sequence[PartitionNow],
    columns: Sequence[str],
    start_ns: int,
    end_ns: int,
) -> Iterator[tuple[Int64s, pa.RecordBatch]]:
    """Yield the rows of partitions of one instrument and data type by arrival, as the run had them.

    Days whose rows overlap around midnight are merged; a trade that two of them hold is one.

    Parameters
    ----------
    partitions : sequence of PartitionNow
        Ascending; all of them are the same as at the run.
    columns : sequence of str
        Columns of the catalog.
    start_ns, end_ns : int
        The window of arrivals, its end excluded.
    """
    before: PartitionNow | None = None
    for group in _overlapping(partitions):
        earlier = [before, *group]
        before = group[-1]
        if len(group) == 1:
            yield from _rows(group[0], columns, start_ns, end_ns, earlier[0])
            continue
        parts = [
            batch
            for part, other in zip(group, earlier, strict=False)
            for _, batch in _rows(part, columns, start_ns, end_ns, other)
        ]
        if parts:
            table = pa.Table.from_batches(parts).combine_chunks()
            order = np.argsort(times_of(table["ts_init"].combine_chunks()), kind="stable")
            for batch in table.take(order).combine_chunks().to_batches(max_chunksize=_MERGED_ROWS):
                yield times_of(batch["ts_init"]), batch


def _rows(
    part: PartitionNow,
    columns: Sequence[str],
    start_ns: int,
    end_ns: int,
    earlier: PartitionNow | None,
) -> Iterator[tuple[Int64s, pa.RecordBatch]]:
    """Yield the rows of one partition, without those that an earlier one holds."""
    assert part.manifest is not None  # noqa: S101 - the source is the same
    repeats = None
    # Bars of two partitions are different ones.
    if earlier is not None and not part.data_type.is_bars:
        assert earlier.manifest is not None  # noqa: S101
        repeats = repeated_rows(part.root, earlier.manifest, part.manifest)
    with part.opened() as path:
        if repeats is None:
            yield from scan_path(path, "ts_init", columns, start_ns, end_ns)
            return
        at = 0
        for times, batch in scan_path(path, "ts_init", columns):
            inside = (times >= start_ns) & (times < end_ns) & ~repeats[at : at + len(times)]
            at += len(times)
            yield times[inside], batch.filter(pa.array(inside))


def _overlapping(partitions: Sequence[PartitionNow]) -> list[list[PartitionNow]]:
    """Return partitions in groups whose rows must be merged: most are alone."""
    groups: list[list[PartitionNow]] = []
    last = -1
    for part in partitions:
        assert part.manifest is not None  # noqa: S101 - the source is the same
        if groups and part.manifest.first_ts_init <= last:
            groups[-1].append(part)
        else:
            groups.append([part])
        last = max(last, part.manifest.last_ts_init)
    return groups


def _is_in(record: dict[str, Any], window: tuple[int, int]) -> bool:
    """Return whether a partition may have rows of a window; arrivals may lie past midnight."""
    first = day_start_ns(date.fromisoformat(record["day"]))
    days = 367 if DataType(record["data_type"]).is_yearly else 2
    return first - DAY_NS < window[1] and first + days * DAY_NS > window[0]


def _catalog_of(entry: ResultEntry, settings: Settings) -> Path:
    """Return the catalog that a run read."""
    try:
        return catalog_root(request_of(entry).config, settings)
    except (ConfigError, KeyError):
        # A configuration that this version does not take says no folder of its own that counts.
        return settings.catalog_path


def _partition_now(root: Path, record: dict[str, Any], instrument: str) -> PartitionNow:
    paths = PartitionPaths(
        root,
        parse_instrument_key(instrument),
        DataType(record["data_type"]),
        date.fromisoformat(record["day"]),
    )
    try:
        manifest = _manifest_of(paths)
        identity = None if manifest is None else _sound_file(root, manifest)
    except (DataError, OSError):
        # There is something, which cannot be used.
        return PartitionNow(root, record, instrument, "changed", None, None)
    if manifest is None:
        return PartitionNow(root, record, instrument, "gone", None, None)
    is_same = manifest.digest == record["digest"] and identity is not None
    source: Source = "same" if is_same else "changed"
    return PartitionNow(root, record, instrument, source, manifest, identity if is_same else None)


def _manifest_of(paths: PartitionPaths) -> PartitionManifest | None:
    try:
        identity = _identity_of(paths.manifest.stat())
    except FileNotFoundError:
        return None
    return _read(paths, identity)


@lru_cache(maxsize=4_096)
def _read(paths: PartitionPaths, _identity: _Identity) -> PartitionManifest | None:
    """Return a manifest, read once until it changes."""
    return read_manifest(paths.catalog_root, paths.key, paths.data_type, paths.day)


def _sound_file(root: Path, manifest: PartitionManifest) -> _Identity | None:
    """Return which file holds the data of a manifest; None if it is not the one written for it."""
    path = manifest.data_path(root)
    identity = _identity_of(path.stat())
    return identity if _hash(path, identity) == manifest.file.sha256 else None


def _identity_of(stat: os.stat_result) -> _Identity:
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


@lru_cache(maxsize=4_096)
def _hash(path: Path, _identity: _Identity) -> str:
    """Return the sha256 of a file, read once until it changes."""
    return hash_file(path)
