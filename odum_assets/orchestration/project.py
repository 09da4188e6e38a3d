"""What the graph is made of: settings, configurations, and the instruments they share.

What belongs here: which raw data and catalog partitions follow from the configurations, and whether
a raw file is there. What does not: Dagster assets (``assets``), reading data.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote

from odum_assets.bars.calendar import year_of
from odum_assets.config import (
    LoadedConfig,
    RefusedConfig,
    catalog_root,
    effective_settings,
    raw_path,
    read_folder,
)
from odum_assets.config.raw_paths import SPOT_NAMES
from odum_assets.errors import ConfigError, DataError
from odum_assets.instruments import InstrumentKey
from odum_assets.orchestration.names import catalog_key, raw_key
from odum_assets.raw.fingerprint import FileStat, NoRawFileError, stat_source
from odum_assets.raw.layout import (
    MARKER,
    DataType,
    is_url,
    list_day_folders,
    local_path,
    period_name,
)
from odum_assets.settings import Settings
from odum_assets.storage.addresses import location_of

if TYPE_CHECKING:
    import dagster as dg


@dataclass(frozen=True, slots=True)
class Source:
    """Raw data of one type and instrument, shared by configurations.

    Parameters
    ----------
    data_type : DataType
        Kind of data.
    key : InstrumentKey
        The instrument.
    named_by : tuple[LoadedConfig, ...]
        The configurations that name a path for it; they agree about it (`read_folder` sees to
        that), so the first one speaks for all.
    upstream : Source, optional
        The trades that bars are aggregated from, which then take the place of a raw file.
    """

    data_type: DataType
    key: InstrumentKey
    named_by: tuple[LoadedConfig, ...]
    upstream: "Source | None" = None

    @property
    def loaded(self) -> LoadedConfig:
        """A configuration that says where the data lie; for ticks where there is one.

        Trades of which bars are aggregated are converted as for the ticks themselves.
        """
        return min(self.named_by, key=lambda loaded: loaded.bars is not None)

    @property
    def raw_key(self) -> "dg.AssetKey":
        """Key of the asset that it is made of: raw files, or the catalog's trades."""
        if self.upstream is not None:
            return self.upstream.catalog_key
        return raw_key(self.key, self.data_type)

    @property
    def catalog_key(self) -> "dg.AssetKey":
        """Key of the catalog asset."""
        return catalog_key(self.key, self.data_type)

    @property
    def template(self) -> str:
        """Path below the raw root, with ``day-*`` for the day or ``year-*`` for the year."""
        if self.upstream is not None:
            return self.upstream.template
        path = self.loaded.config.template(self.data_type, self.key)
        if path is None:
            raise AssertionError(f"{self.loaded.name} names no path for {self.data_type}")
        return path

    @property
    def template_parts(self) -> tuple[str, str, str]:
        """What comes before the folder of the day or year, its pattern, and what follows."""
        return self.template.partition("year-*" if self.data_type.is_yearly else "day-*")

    def is_required(self, loaded: LoadedConfig) -> bool:
        """Return whether every day that a configuration runs must have such a file."""
        return self.data_type.value not in loaded.optional_types

    def partition_of(self, day: date) -> date:
        """Return the partition that holds a day: the day, or the first day of its year."""
        return year_of(day) if self.data_type.is_yearly else day


@dataclass(frozen=True, slots=True)
class RawInput:
    """A raw file that exists: where, and its stat."""

    path: str
    stat: FileStat


@dataclass(frozen=True, slots=True)
class Project:
    """Everything that the graph is built from.

    Parameters
    ----------
    settings : Settings
        All paths.
    configs : tuple[LoadedConfig, ...]
        The configurations, by name.
    sources : tuple[Source, ...]
        Raw data by instrument and type, each once.
    refused : tuple[RefusedConfig, ...]
        Files of the configurations' folder that cannot be used: they have no part in the graph.
    is_local : bool
        Whether runs are asked for by who started this process, such as a command. In Dagster's
        code server and run workers they come over HTTP.
    """

    settings: Settings
    configs: tuple[LoadedConfig, ...]
    sources: tuple[Source, ...]
    refused: tuple[RefusedConfig, ...] = ()
    is_local: bool = False

    @property
    def partitions(self) -> "dg.DailyPartitionsDefinition":
        """Return the one daily partitioning that all assets share but those of daily bars."""
        from odum_assets.orchestration.partitions import daily_partitions

        return daily_partitions(self.settings.partitions_start)

    @property
    def years(self) -> "dg.TimeWindowPartitionsDefinition":
        """Return the partitioning of daily bars, and of what is made of them."""
        from odum_assets.orchestration.partitions import yearly_partitions

        return yearly_partitions()

    def config(self, name: str) -> LoadedConfig:
        """Return a configuration by name.

        Raises
        ------
        ConfigError
            If there is none, or its file cannot be used; the message says why.
        """
        for loaded in self.configs:
            if loaded.name == name:
                return loaded
        for refused in self.refused:
            if refused.name == name:
                raise ConfigError(str(refused))
        raise ConfigError(f"{self.settings.configs_path}: there is no configuration {name!r}")

    def sources_of(self, loaded: LoadedConfig) -> tuple[Source, ...]:
        """Return the data that a configuration reads; what others are made of comes first."""
        return tuple(
            source
            for source in self.sources
            if any(config.name == loaded.name for config in source.named_by)
        )

    def partitions_of(self, data_type: DataType) -> "dg.TimeWindowPartitionsDefinition":
        """Return the partitioning of a raw data type and of its catalog partitions."""
        return self.years if data_type.is_yearly else self.partitions

    def result_partitions(self, loaded: LoadedConfig) -> "dg.TimeWindowPartitionsDefinition":
        """Return the partitioning of a configuration's results."""
        is_daily = loaded.bars is not None and loaded.bars.bars.is_daily
        return self.years if is_daily else self.partitions

    def catalog_root(self, loaded: LoadedConfig) -> Path:
        """Return the catalog of a configuration."""
        return catalog_root(loaded, self.settings)


def load_project(settings: Settings) -> Project:
    """Read the configurations of the settings' folder.

    One that cannot be used is in `Project.refused`: whoever shows the graph names it, and the
    others work as without it.

    Raises
    ------
    ConfigError
        If the folder does not exist or cannot be read.
    """
    folder = read_folder(settings)
    configs = folder.configs
    sources = []
    of_key: dict[InstrumentKey, list[LoadedConfig]] = {}
    for loaded in configs:
        for key in loaded.keys:
            of_key.setdefault(key, []).append(loaded)
    for key in sorted(of_key, key=str):
        trades: Source | None = None
        for data_type in DataType:
            named_by = tuple(
                loaded for loaded in of_key[key] if data_type.value in _types_of(loaded)
            )
            if named_by:
                is_raw = data_type.value in named_by[0].config.raw_types
                sources.append(Source(data_type, key, named_by, None if is_raw else trades))
                trades = sources[-1] if data_type is DataType.TRADES else trades
    return Project(settings, configs, tuple(sources), folder.refused)


def _types_of(loaded: LoadedConfig) -> set[str]:
    """Return the data types that a configuration reads, and those that are aggregated for it."""
    aggregated = () if loaded.bars is None else (loaded.bars.bars.data_type,)
    return {*loaded.config.raw_types, *aggregated}


def raw_folder_of(source: Source, settings: Settings) -> str:
    """Return the folder (path or URL) whose ``day-YYYY-MM-DD`` folders hold a source's files."""
    before, _, _ = source.template_parts
    root = effective_settings(source.loaded, settings).raw_root
    return f"{root}/{before}".rstrip("/")


def raw_folder_problem(source: Source, settings: Settings) -> str | None:
    """Return what is wrong with where a source's files should be, None when the folder is there.

    A store behind a URL may have no folders: of such a one nothing is said.
    """
    folder = raw_folder_of(source, settings)
    root = effective_settings(source.loaded, settings).raw_root
    if is_url(folder) or local_path(folder).is_dir():
        return None
    advice = "set UNIFIED_CLOUD_LOCAL_PATH to the folder that holds raw_tick_data"
    root_folder = local_path(root)
    if not root_folder.is_dir():
        return f"{root}: no such folder; {advice}"
    below = PurePosixPath(source.template).parts[0]
    near = f", perhaps {root_folder.parent}" if root_folder.name == below else ""
    return f"{folder}: no such folder; {advice}{near}"


def list_folder_days(folder: str) -> list[date]:
    """Return the days that have a folder in a folder, in order; none if there is no such folder.

    Raises
    ------
    DataError
        If the folder cannot be reached or read.
    """
    return list_day_folders(folder)


def has_marker(folder: str) -> bool:
    """Return whether a folder holds the marker of a finished delivery, and it can be read."""
    try:
        return _stat(f"{folder}/{MARKER}") is not None
    except DataError:
        return False


type RawNames = tuple[str, tuple[str, ...]]
"""The folder of a source's day folders, and how its files in them may be spelled."""


def raw_names(source: Source, settings: Settings) -> RawNames:
    """Return what of a source's paths is the same on all days."""
    return raw_folder_of(source, settings), tuple(raw_spellings(source.template_parts[2]))


def find_raw(
    source: Source, day: date, settings: Settings, names: RawNames | None = None
) -> RawInput | None:
    """Return the raw file of a source and day, or None when there is none.

    Names may be percent-encoded on disk (``%3A`` for a colon, ``%40`` for an at sign), and say SPOT
    for SPOT_PAIR; the plain spelling wins. Whoever asks for many days gives `raw_names`.

    Raises
    ------
    DataError
        If it cannot be known whether there is one: the folder or the store cannot be read.
    """
    if source.upstream is not None:
        return _find_trades(source.upstream, day, settings)
    folder, spellings = names or raw_names(source, settings)
    for spelling in spellings:
        path = f"{folder}/{period_name(source.data_type, day)}{spelling}"
        stat = _stat(path)
        if stat is not None:
            return RawInput(path, stat)
    return None


def _find_trades(trades: Source, day: date, settings: Settings) -> RawInput | None:
    """Return the data file of trades in the catalog, which aggregated bars are made of."""
    from odum_assets.catalog import read_manifest

    root = catalog_root(trades.loaded, settings)
    manifest = read_manifest(root, trades.key, trades.data_type, day)
    if manifest is None:
        return None
    path = location_of(manifest.data_path(root))
    stat = _stat(path)
    return None if stat is None else RawInput(path, stat)


def readable_raw(
    source: Source,
    day: date,
    settings: Settings,
    problems: list[str] | None = None,
    names: RawNames | None = None,
) -> RawInput | None:
    """Return the raw file of a source and day, None when there is none that can be read.

    Parameters
    ----------
    source, day, settings, names
        As for `find_raw`.
    problems : list of str, optional
        Takes why it cannot be read.
    """
    try:
        return find_raw(source, day, settings, names)
    except DataError as error:
        if problems is not None:
            problems.append(str(error))
        return None


def missing_raw(source: Source, day: date, settings: Settings) -> str:
    """Return what to say of a raw file that is not there: where it should be, and what to do.

    Raises
    ------
    ConfigError
        If the configuration reads from a source that is not supported.
    """
    expected = raw_path(source.loaded, source.data_type.value, day, settings, source.key)
    period = day.year if source.data_type.is_yearly else day
    missing = f"{expected}: there is no raw {source.data_type} file of {source.key} for {period}"
    if (problem := raw_folder_problem(source, settings)) is not None:
        return f"{missing}: {problem}"
    return (
        f"{missing}. Put it there, or set UNIFIED_CLOUD_LOCAL_PATH to the folder that holds "
        f"raw_tick_data, then run it again. An empty file {MARKER} in the day folder may mark a "
        "complete delivery."
    )


def raw_spellings(path: str) -> Iterator[str]:
    """Yield how a path may be spelled on disk, the plain spelling first."""
    folder, slash, name = path.rpartition("/")
    names = dict.fromkeys((name, name.replace(*SPOT_NAMES)))
    spelled = [quote(name, safe=safe) for safe in ("@", "") for name in names]
    yield from (f"{folder}{slash}{name}" for name in dict.fromkeys([*names, *spelled]))


def _stat(path: str) -> FileStat | None:
    try:
        return stat_source(path)
    except NoRawFileError:
        return None
