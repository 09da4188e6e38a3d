"""The state of raw files and catalog partitions, by configuration and day.

What belongs here: what there is and whether it is up to date, without asking Dagster. What does
not: converting it (``assets``, and whoever starts a run).
"""

from collections.abc import Container
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING

from odum_assets.config import LoadedConfig
from odum_assets.errors import DataError
from odum_assets.orchestration.names import CONVERTER_VERSION
from odum_assets.orchestration.project import (
    Project,
    RawInput,
    Source,
    list_folder_days,
    raw_folder_of,
    readable_raw,
)
from odum_assets.raw.layout import DataType

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
    if is_unreadable:
        state = State.UNREADABLE
    elif raw is None:
        state = State.MISSING if manifest is None else State.KEPT
    elif manifest is None:
        state = State.STALE if problems else State.NEW
    else:
        state = State.CURRENT if _is_current(source, raw, manifest) else State.STALE
    return Partition(source, day, state, raw, manifest, tuple(problems))


def _is_current(source: Source, raw: RawInput, manifest: "PartitionManifest") -> bool:
    spec = source.loaded.config.spec(source.key)
    stored = (manifest.source.size, manifest.source.mtime_ns)
    rules = conversion_rules(source)
    return (
        stored == (raw.stat.size, raw.stat.mtime_ns)
        and manifest.converter_version == CONVERTER_VERSION
        and manifest.price_precision == spec.price_precision
        and manifest.size_precision == spec.size_precision
        and manifest.rules == ({} if rules is None else rules.document(spec))
    )


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
