"""The state of raw files and catalog partitions, by configuration and day.

What belongs here: what there is and whether it is up to date, without asking Dagster. What does
not: converting it (``assets``, and whoever starts a run).
"""

from collections.abc import Container
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odum_assets.config import LoadedConfig
from odum_assets.errors import DataError
from odum_assets.orchestration.names import CONVERTER_VERSION
from odum_assets.orchestration.project import (
    Project,
    RawInput,
    Source,
    list_folder_days,
    raw_folder_of,
    raw_names,
    readable_raw,
)
from odum_assets.orchestration.raw_folders import RawFolders
from odum_assets.raw.fingerprint import FileStat
from odum_assets.raw.layout import DataType, is_url

if TYPE_CHECKING:
    from odum_assets.catalog import PartitionManifest
    from odum_assets.catalog.bar_rules import BarRules


class State(StrEnum):
    """What a catalog partition is, compared with its raw file."""

    CURRENT = "up to date"
    STALE = "stale"
    NEW = "not converted"
    KEPT = "raw file gone"
    MISSING = "no raw file"
    UNREADABLE = "raw file unreadable"

    @property
    def symbol(self) -> str:
        """Return the character of a calendar."""
        return _SYMBOLS[self]


_SYMBOLS = {
    State.CURRENT: "■",
    State.STALE: "◪",
    State.NEW: "□",
    State.KEPT: "▨",
    State.MISSING: "·",
    State.UNREADABLE: "!",
}


@dataclass(frozen=True, slots=True)
class Partition:
    """One day of one source.

    Parameters
    ----------
    source : Source
        Instrument and data type.
    day : date
        UTC day; of a year its first.
    state : State
        What there is.
    raw : RawInput or None
        The raw file.
    manifest : PartitionManifest or None
        The catalog partition.
    problems : tuple[str, ...]
        What of it cannot be read, and why.
    """

    source: Source
    day: date
    state: State
    raw: RawInput | None
    manifest: "PartitionManifest | None"
    problems: tuple[str, ...] = ()

    def is_due(self, recorded: Container[str]) -> bool:
        """Return whether it must be converted before a run reads it, and has a raw file.

        One that Dagster has no record of is due, too: without it the run would have no lineage.

        Parameters
        ----------
        recorded : container of str
            Partitions of the catalog asset that Dagster knows as made.
        """
        if self.state is State.CURRENT:
            return self.day.isoformat() not in recorded
        if self.state is State.UNREADABLE:
            # The conversion says what is wrong; what was converted before can still be run.
            return self.manifest is None
        return self.state in (State.NEW, State.STALE)


def describe_partition(project: Project, source: Source, day: date) -> Partition:
    """Return the state of one day of one source; one whose manifest cannot be read is stale."""
    from odum_assets.catalog import read_manifest

    if source.upstream is not None:
        trades = describe_partition(project, source.upstream, day)
        if trades.state in (State.NEW, State.STALE, State.UNREADABLE):
            # Its trades are to be converted first.
            return replace(trades, source=source, manifest=None)
    problems: list[str] = []
    raw = readable_raw(source, day, project.settings, problems)
    manifest, is_unreadable = None, bool(problems)
    try:
        root = project.catalog_root(source.loaded)
        manifest = read_manifest(root, source.key, source.data_type, day)
    except DataError as error:
        problems.append(str(error))
    stat = None if raw is None else raw.stat
    recorded = None if manifest is None else recorded_conversion(manifest)
    state = State.UNREADABLE
    if not is_unreadable:
        state = state_of(stat, recorded, expected_conversion(source), is_damaged=bool(problems))
    return Partition(source, day, state, raw, manifest, tuple(problems))


def raw_damage(path: str, data_type: DataType) -> str | None:
    """Return why a raw file of this machine cannot be converted, by its head and its columns."""
    from odum_assets.raw.reading import RawReader

    try:
        RawReader(path, Path(path), data_type)
    except DataError as error:
        return str(error)
    return None


def describe_partitions(
    project: Project,
    source: Source,
    folders: RawFolders,
    problems: list[str],
    only: date | None = None,
) -> list[Partition]:
    """Return the states of all days of a source that have a raw folder or a catalog partition.

    They are those of `describe_partition`; folders are listed once instead of asking for each file.

    Parameters
    ----------
    project, source
        As there.
    folders : RawFolders
        Shared by the sources of one calendar.
    problems : list of str
        Takes what cannot be read of folders.
    only : date, optional
        The only day that is asked for.
    """
    from odum_assets.catalog import scan_manifests

    folder, days = raw_folder_of(source, project.settings), list[date]()
    try:
        days = folders.days(folder)
    except DataError as error:
        problems.append(str(error))
    try:
        scan = scan_manifests(project.catalog_root(source.loaded), source.key, source.data_type)
    except DataError as error:
        problems.append(str(error))
        return []
    manifests = {manifest.day: manifest for manifest in scan.manifests}
    expected = expected_conversion(source)
    names = raw_names(source, project.settings)
    is_listed = source.upstream is None and not is_url(folder)
    parts = []
    for day in sorted({*days, *scan.days}):
        if only not in (None, day):
            continue
        manifest = manifests.get(day)
        raw, is_known = folders.find(names, source.data_type, day) if is_listed else (None, False)
        if not is_known or (manifest is None and day in scan.days):
            parts.append(describe_partition(project, source, day))
            continue
        recorded = None if manifest is None else recorded_conversion(manifest)
        stat = None if raw is None else raw.stat
        state = state_of(stat, recorded, expected, is_damaged=False)
        parts.append(Partition(source, day, state, raw, manifest))
    return parts


@dataclass(frozen=True, slots=True)
class Conversion:
    """What decides whether a partition is up to date, beside its raw file.

    Parameters
    ----------
    converter_version : int
        Version of the rules by which rows are made.
    price_precision, size_precision : int
        Decimals of prices and sizes.
    rules : dict[str, Any]
        What else decides rows: for bars step, label and sessions.
    """

    converter_version: int
    price_precision: int
    size_precision: int
    rules: dict[str, Any]


def expected_conversion(source: Source) -> Conversion:
    """Return how a partition of a source would be converted now."""
    spec, rules = source.loaded.config.spec(source.key), conversion_rules(source)
    document = {} if rules is None else rules.document(spec)
    return Conversion(CONVERTER_VERSION, spec.price_precision, spec.size_precision, document)


def recorded_conversion(manifest: "PartitionManifest") -> tuple[FileStat, Conversion]:
    """Return of which raw file, and how, a partition was converted."""
    conversion = Conversion(
        manifest.converter_version,
        manifest.price_precision,
        manifest.size_precision,
        manifest.rules,
    )
    return FileStat(manifest.source.size, manifest.source.mtime_ns), conversion


def state_of(
    raw: FileStat | None,
    recorded: tuple[FileStat, Conversion] | None,
    expected: Conversion,
    *,
    is_damaged: bool,
) -> State:
    """Return the state of a partition whose raw file could be looked at.

    Parameters
    ----------
    raw : FileStat or None
        The raw file that there is now.
    recorded : tuple of FileStat and Conversion, or None
        From `recorded_conversion`.
    expected : Conversion
        From `expected_conversion`.
    is_damaged : bool
        Whether there is a manifest that cannot be read.
    """
    if raw is None:
        return State.MISSING if recorded is None else State.KEPT
    if recorded is None:
        return State.STALE if is_damaged else State.NEW
    return State.CURRENT if recorded == (raw, expected) else State.STALE


def conversion_rules(source: Source) -> "BarRules | None":
    """Return how the times of a source's bars are read; None for other data."""
    bars = source.loaded.bars
    if bars is None or not source.data_type.is_bars:
        return None
    from odum_assets.bars.sessions import SessionRules
    from odum_assets.catalog.bar_rules import BarRules

    sessions = SessionRules.of(bars.session) if bars.bars.is_daily else None
    return BarRules(bars.bars.step_ns, bars.bars.label, sessions)


def sources_for(project: Project, loaded: LoadedConfig, snapshot_mode: str) -> tuple[Source, ...]:
    """Return the sources that a run of a configuration reads."""
    sources = project.sources_of(loaded)
    if snapshot_mode == "trades":
        return tuple(source for source in sources if source.data_type is not DataType.BOOK)
    return sources


def days_on_disk(project: Project, sources: tuple[Source, ...]) -> list[date]:
    """Return the days for which there is a raw file of any of the sources, in order.

    One that cannot be read is there, too.

    Raises
    ------
    DataError
        If a folder of days cannot be reached or read.
    """
    settings = project.settings
    days = set()
    for source in sources:
        for day in list_folder_days(raw_folder_of(source, settings)):
            problems: list[str] = []
            if day not in days and (readable_raw(source, day, settings, problems) or problems):
                days.add(day)
    return sorted(days)
