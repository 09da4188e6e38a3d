"""Where everything of a catalog is. Names only; nothing here touches the disk."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from odum_assets.instruments import InstrumentKey
from odum_assets.raw.layout import DataType
from odum_assets.utc import datetime_of_ns

FOLDERS = {
    DataType.TRADES: "trades",
    DataType.BOOK: "order_book_depths",
    DataType.FUNDING: "funding_rates",
    **dict.fromkeys((kind for kind in DataType if kind.is_bars), "bars"),
}
_BAR_STEPS = {
    "1m": "1-MINUTE",
    "5m": "5-MINUTE",
    "15m": "15-MINUTE",
    "1h": "1-HOUR",
    "1d": "1-DAY",
}


def series_name(key: InstrumentKey, data_type: DataType) -> str:
    """Return Nautilus' name of a series: the instrument id, of bars the bar type."""
    if not data_type.is_bars:
        return key.nautilus_id
    return f"{key.nautilus_id}-{_BAR_STEPS[data_type.step]}-LAST-EXTERNAL"


def series_folder(root: Path, key: InstrumentKey, data_type: DataType) -> Path:
    """Return the folder in Nautilus' layout that holds the data files of an instrument."""
    return root / "data" / FOLDERS[data_type] / series_name(key, data_type)


@dataclass(frozen=True, slots=True)
class PartitionPaths:
    """Paths of one partition: one instrument, data type and UTC day (or year) in one catalog."""

    catalog_root: Path
    key: InstrumentKey
    data_type: DataType
    day: date

    @property
    def data_folder(self) -> Path:
        """The folder in Nautilus' layout that holds the data files of all days."""
        return series_folder(self.catalog_root, self.key, self.data_type)

    @property
    def manifest_folder(self) -> Path:
        """The folder of the manifests of all days."""
        return manifest_folder(self.catalog_root, self.key, self.data_type)

    @property
    def manifest(self) -> Path:
        """The manifest of the day."""
        return self.manifest_folder / f"{self.day.isoformat()}.json"

    @property
    def rejects(self) -> Path:
        """The side file of rejected rows; it exists only when there are any."""
        return self.manifest_folder / f"{self.day.isoformat()}.rejects.parquet"

    @property
    def staging_folder(self) -> Path:
        """The folder of unfinished files, on the file system of the catalog."""
        return self.catalog_root / ".staging"

    @property
    def staging_prefix(self) -> str:
        """How the names of this partition's unfinished files begin."""
        return f"{self.key.slug}.{self.data_type.value}.{self.day.isoformat()}."

    def staged(self, kind: str) -> Path:
        """Return the unfinished file of a `kind` (``data``, ``rejects``, ``manifest``, ``raw``)."""
        return self.staging_folder / f"{self.staging_prefix}{kind}.part"

    @property
    def partition_lock(self) -> Path:
        """The lock that one conversion of this partition holds from start to end."""
        return self.catalog_root / ".locks" / f"{self.staging_prefix}lock"

    @property
    def publish_lock(self) -> Path:
        """The lock that is held while files of this instrument and type change places."""
        name = f"{series_name(self.key, self.data_type)}.{FOLDERS[self.data_type]}.lock"
        return self.catalog_root / ".locks" / name

    @property
    def manifest_lock(self) -> Path:
        """The lock that readers of manifests share, and that is held while one is replaced."""
        return manifest_lock(self.catalog_root, self.key.slug, self.data_type.value)


def manifest_folder(catalog_root: Path, key: InstrumentKey, data_type: DataType) -> Path:
    """Return the folder of the manifests of one instrument and data type."""
    return catalog_root / "manifests" / key.slug / data_type.value


def manifest_lock(catalog_root: Path, slug: str, data_type: str) -> Path:
    """Return the lock of the manifests of one instrument and data type."""
    return catalog_root / ".locks" / f"{slug}.{data_type}.lock"


def data_file_name(first_ns: int, last_ns: int) -> str:
    """Return Nautilus' name of a data file, from the first and last ``ts_init`` (ns)."""
    return f"{_file_time(first_ns)}_{_file_time(last_ns)}.parquet"


def _file_time(ns: int) -> str:
    second, rest = datetime_of_ns(ns)
    return f"{second:%Y-%m-%dT%H-%M-%S}-{rest:09d}Z"
