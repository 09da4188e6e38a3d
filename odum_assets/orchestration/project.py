"""What the graph is made of: settings, configurations, and the instruments they share.

What belongs here: which raw data and catalog partitions follow from the configurations, and whether
a raw file is there. What does not: Dagster assets (``assets``), reading data.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import quote

import dagster as dg

from odum_assets.config import LoadedConfig, catalog_root, effective_settings, load_configs
from odum_assets.errors import DataError
from odum_assets.instruments import InstrumentKey
from odum_assets.orchestration.names import catalog_key, raw_key
from odum_assets.orchestration.partitions import daily_partitions
from odum_assets.raw.fingerprint import FileStat, stat_source
from odum_assets.raw.layout import MARKER, DataType, day_of_path
from odum_assets.settings import Settings


@dataclass(frozen=True, slots=True)
class Source:
    """Raw data of one type and instrument, shared by configurations.

    Parameters
    ----------
    data_type : DataType
        Kind of data.
    named_by : tuple[LoadedConfig, ...]
        The configurations that name a path for it; they agree about it (`load_configs` sees to
        that), so the first one speaks for all.
    """

    data_type: DataType
    named_by: tuple[LoadedConfig, ...]

    @property
    def loaded(self) -> LoadedConfig:
        """A configuration that says where the data lie."""
        return self.named_by[0]

    @property
    def key(self) -> InstrumentKey:
        """The instrument."""
        return self.loaded.key

    @property
    def raw_key(self) -> dg.AssetKey:
        """Key of the raw asset."""
        return raw_key(self.key, self.data_type)

    @property
    def catalog_key(self) -> dg.AssetKey:
        """Key of the catalog asset."""
        return catalog_key(self.key, self.data_type)

    @property
    def template(self) -> str:
        """Path below the raw root, with ``day-*`` for the day."""
        path = self.loaded.config.data_catalog.template(self.data_type, self.key)
        if path is None:
            raise AssertionError(f"{self.loaded.name} names no path for {self.data_type}")
        return path


@dataclass(frozen=True, slots=True)
class RawFound:
    """A raw file that exists: where, and its stat."""

    path: str
    stat: FileStat


@dataclass(frozen=True, slots=True)
class Project:
    """Everything that the graph is built from.

    Parameters
    ----------
    settings : Settings
        Where everything lies.
    configs : tuple[LoadedConfig, ...]
        The configurations, by name.
    sources : tuple[Source, ...]
        Raw data by instrument and type, each once.
    partitions : dg.DailyPartitionsDefinition
        The one daily partitioning that all assets share.
    is_local : bool
        Whether runs are asked for by who started this process, such as a command. In Dagster's
        code server and run workers they come over HTTP.
    """

    settings: Settings
    configs: tuple[LoadedConfig, ...]
    sources: tuple[Source, ...]
    partitions: dg.DailyPartitionsDefinition
    is_local: bool = False

    def sources_of(self, loaded: LoadedConfig) -> tuple[Source, ...]:
        """Return the raw data that a configuration names: what its day job needs."""
        return tuple(
            source
            for source in self.sources
            if any(each.name == loaded.name for each in source.named_by)
        )

    def catalog_root(self, loaded: LoadedConfig) -> Path:
        """Return the catalog of a configuration."""
        return catalog_root(loaded, self.settings)


def load_project(settings: Settings) -> Project:
    """Read the configurations of the settings' folder.

    Raises
    ------
    ConfigError
        If any of them cannot be used; all problems at once. A graph that silently lacks a branch
        would be worse than one that does not load.
    """
    configs = tuple(load_configs(settings.configs_path))
    sources = []
    for key in sorted({loaded.key for loaded in configs}, key=str):
        for data_type in DataType:
            named_by = tuple(
                loaded
                for loaded in configs
                if loaded.key == key and data_type.value in loaded.config.data_catalog.paths()
            )
            if named_by:
                sources.append(Source(data_type, named_by))
    partitions = daily_partitions(settings.partitions_start)
    return Project(settings, configs, tuple(sources), partitions)


def feed_of(source: Source, settings: Settings) -> str:
    """Return the folder (path or URL) whose ``day-YYYY-MM-DD`` folders hold a source's files."""
    before, _, _ = source.template.partition("day-*")
    root = effective_settings(source.loaded, settings).raw_root
    return f"{root}/{before}".rstrip("/")


def list_feed_days(feed: str) -> list[date]:
    """Return the days that have a folder in a feed, in order."""
    from fsspec.core import url_to_fs

    fs, root = url_to_fs(feed)
    fs.invalidate_cache()
    try:
        entries = fs.ls(root, detail=True)
    except (FileNotFoundError, NotADirectoryError):
        return []
    days = (day_of_path(str(entry["name"])) for entry in entries if entry["type"] == "directory")
    return sorted({day for day in days if day is not None})


def day_has_marker(feed: str, day: date) -> bool:
    """Return whether a day folder holds the marker of a finished delivery."""
    return _stat(f"{feed}/day-{day.isoformat()}/{MARKER}") is not None


def find_raw(source: Source, day: date, settings: Settings) -> RawFound | None:
    """Return the raw file of a source and day, or None when there is none.

    Names may be percent-encoded on disk (``%3A`` for a colon, ``%40`` for an at sign); the plain
    spelling wins.
    """
    feed = feed_of(source, settings)
    _, _, after = source.template.partition("day-*")
    for spelling in _spellings(after):
        path = f"{feed}/day-{day.isoformat()}{spelling}"
        stat = _stat(path)
        if stat is not None:
            return RawFound(path, stat)
    return None


def _spellings(path: str) -> Iterator[str]:
    folder, slash, name = path.rpartition("/")
    seen = set()
    for safe in (None, "@", ""):
        spelled = name if safe is None else quote(name, safe=safe)
        if spelled not in seen:
            seen.add(spelled)
            yield f"{folder}{slash}{spelled}"


def _stat(path: str) -> FileStat | None:
    try:
        return stat_source(path)
    except DataError:
        return None
