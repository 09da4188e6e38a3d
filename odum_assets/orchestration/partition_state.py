"""The state of raw files and catalog partitions, by configuration and day.

What belongs here: what there is and whether it is up to date, without asking Dagster. What does
not: converting it (``assets``, and whoever starts a run).
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING

from odum_assets.config import LoadedConfig
from odum_assets.errors import DataError
from odum_assets.orchestration.names import CONVERTER_VERSION
from odum_assets.orchestration.project import (
    Project,
    RawFound,
    Source,
    feed_of,
    find_raw,
    list_feed_days,
)
from odum_assets.raw.layout import DataType

if TYPE_CHECKING:
    from odum_assets.catalog import PartitionManifest


class State(StrEnum):
    """What a catalog partition is, compared with its raw file."""

    CURRENT = "up to date"
    STALE = "stale"
    NEW = "not converted"
    KEPT = "raw file gone"
    MISSING = "no raw file"


@dataclass(frozen=True, slots=True)
class Partition:
    """One day of one source.

    Parameters
    ----------
    source : Source
        Instrument and data type.
    day : date
        UTC day.
    state : State
        What there is.
    raw : RawFound or None
        The raw file.
    manifest : PartitionManifest or None
        The catalog partition.
    """

    source: Source
    day: date
    state: State
    raw: RawFound | None
    manifest: "PartitionManifest | None"


def look_at(project: Project, source: Source, day: date) -> Partition:
    """Return the state of one day of one source; one whose manifest cannot be read is stale."""
    from odum_assets.catalog import read_manifest

    raw = find_raw(source, day, project.settings)
    root = project.catalog_root(source.loaded)
    try:
        manifest = read_manifest(root, source.key, source.data_type, day)
    except DataError:
        return Partition(source, day, State.MISSING if raw is None else State.STALE, raw, None)
    if manifest is None:
        state = State.MISSING if raw is None else State.NEW
    elif raw is None:
        state = State.KEPT
    else:
        state = State.CURRENT if _is_current(source, raw, manifest) else State.STALE
    return Partition(source, day, state, raw, manifest)


def _is_current(source: Source, raw: RawFound, manifest: "PartitionManifest") -> bool:
    instrument = source.loaded.config.instrument
    made_of = (manifest.source.size, manifest.source.mtime_ns)
    return (
        made_of == (raw.stat.size, raw.stat.mtime_ns)
        and manifest.converter_version == CONVERTER_VERSION
        and manifest.price_precision == instrument.price_precision
        and manifest.size_precision == instrument.size_precision
    )


def sources_for(project: Project, loaded: LoadedConfig, snapshot_mode: str) -> tuple[Source, ...]:
    """Return the sources that a run of a configuration reads."""
    sources = project.sources_of(loaded)
    if snapshot_mode == "trades":
        return tuple(each for each in sources if each.data_type is not DataType.BOOK)
    return sources


def days_on_disk(project: Project, sources: tuple[Source, ...]) -> list[date]:
    """Return the days for which there is a raw file of any of the sources, in order."""
    settings = project.settings
    found = set()
    for source in sources:
        for day in list_feed_days(feed_of(source, settings)):
            if day not in found and find_raw(source, day, settings) is not None:
                found.add(day)
    return sorted(found)
