"""The manifest of a partition: what it was made of, what became of every row, and what is in it.

It is written last; a data file that no manifest names is no data. It holds nothing about when or
how fast it was made, so that the same input gives the same bytes. Nanosecond times are strings in
JSON.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from datetime import date
from pathlib import Path
from typing import Any, get_origin

from odum_assets.catalog.links import require_inside
from odum_assets.catalog.paths import PartitionPaths, manifest_lock
from odum_assets.errors import ConfigError, DataError
from odum_assets.instruments import InstrumentKey, parse_instrument_key
from odum_assets.raw.layout import DataType
from odum_assets.storage.addresses import location_of
from odum_assets.storage.copies import pull, pull_folder
from odum_assets.storage.locks import shared

MANIFEST_VERSION = 3
_READABLE = (1, 2, MANIFEST_VERSION)
"""Earlier ones have fewer quality figures: the partition can be used, and is rebuilt when asked."""

_TOO_LARGE = 2**63
_UNUSABLE = (
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    RecursionError,
    OSError,
    ConfigError,
)
"""What a file of unexpected content can lead to."""

_TIMES = ("first_ts_init", "last_ts_init", "first_ts_event", "last_ts_event")


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """The raw file: path as given, size in bytes, time of change (ns) and sha256 of its bytes."""

    path: str
    size: int
    mtime_ns: int | None
    sha256: str


@dataclass(frozen=True, slots=True)
class FileRecord:
    """The data file: name in the instrument's folder, size in bytes, sha256 of its bytes."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class PartitionManifest:
    """Describe one catalog partition.

    Parameters
    ----------
    key : str
        Instrument key.
    nautilus_id : str
        Nautilus instrument id.
    data_type : DataType
        Kind of data.
    day : date
        UTC day.
    source : SourceRecord
        The raw file.
    rows_in, rows_written, unchanged : int
        ``rows_in = rows_written + sum(rejected) + unchanged``; only funding has unchanged rows.
    rejected : dict[str, int]
        Rows by reject reason, without zeros.
    unknown_sides : int or None
        Written trades without a known side; None for other data.
    first_ts_init, last_ts_init, first_ts_event, last_ts_event : int
        Bounds of the written rows, ns.
    sorted_source : bool
        Whether the raw file was in order of arrival.
    time_units : dict[str, str]
        Unit found per raw time column.
    price_precision, size_precision : int
        Decimals of prices and sizes.
    quality : dict[str, Any]
        Figures of :mod:`odum_assets.catalog.quality`; a figure that cannot be known is None.
    file : FileRecord
        The data file.
    digest : str
        sha256 over the content, equal for equal rows whatever the raw file's shape.
    converter_version : int
        Version of the rules by which the rows were made.
    versions : dict[str, str]
        odum_assets, pyarrow and Python that made the file.
    manifest_version : int
        Which figures the manifest holds; an earlier one lacks some.
    rules : dict[str, Any]
        What else decided the rows: for bars step, label and, for daily ones, sessions.
    """

    key: str
    nautilus_id: str
    data_type: DataType
    day: date
    source: SourceRecord
    rows_in: int
    rows_written: int
    rejected: dict[str, int]
    unchanged: int
    unknown_sides: int | None
    first_ts_init: int
    last_ts_init: int
    first_ts_event: int
    last_ts_event: int
    sorted_source: bool
    time_units: dict[str, str]
    price_precision: int
    size_precision: int
    quality: dict[str, Any]
    file: FileRecord
    digest: str
    converter_version: int
    versions: dict[str, str]
    manifest_version: int = MANIFEST_VERSION
    rules: dict[str, Any] = field(default_factory=dict)

    @property
    def rows_rejected(self) -> int:
        """All rejected rows."""
        return sum(self.rejected.values())

    @property
    def covered(self) -> tuple[int, int] | None:
        """First and last arrival of a usable row, ns; None where an earlier version kept neither.

        Written rows do not say it for funding, where only changes are written.
        """
        covered = self.quality.get("covered")
        if covered is not None:
            return int(covered["first"]), int(covered["last"])
        if self.data_type is DataType.FUNDING:
            return None
        return self.first_ts_init, self.last_ts_init

    def data_path(self, catalog_root: Path) -> Path:
        """Return where the data file is in a catalog.

        Raises
        ------
        DataError
            If a link leads out of the catalog.
        """
        paths = PartitionPaths(
            catalog_root, parse_instrument_key(self.key), self.data_type, self.day
        )
        path = paths.data_folder / self.file.name
        require_inside(catalog_root, path)
        return path

    def to_json(self) -> str:
        """Return the manifest as indented JSON text with a final newline."""
        # First, so that a reader of another version sees it before anything else.
        content = {"manifest_version": self.manifest_version, **asdict(self)}
        content["data_type"] = self.data_type.value
        content["day"] = self.day.isoformat()
        for name in _TIMES:
            content[name] = str(content[name])
        mtime = self.source.mtime_ns
        content["source"]["mtime_ns"] = None if mtime is None else str(mtime)
        if not self.rules:
            del content["rules"]
        return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


_NAMES = tuple(item.name for item in fields(PartitionManifest))


def load_manifest(path: Path) -> PartitionManifest:
    """Read one manifest file.

    Raises
    ------
    DataError
        If the file is no manifest that this version can read.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
        if content["manifest_version"] not in _READABLE:
            raise ValueError("it was written by another version of odum")
        return _from_json(content, path)
    except FileNotFoundError:
        raise
    except _UNUSABLE as error:
        raise DataError(
            f"{location_of(path)}: not a manifest that this version can use ({error}). "
            "Convert the day again with `odum convert --force`."
        ) from error


def read_manifest(
    catalog_root: Path, key: InstrumentKey, data_type: DataType, day: date
) -> PartitionManifest | None:
    """Return the manifest of a partition, or None when the partition does not exist.

    Raises
    ------
    DataError
        If there is a manifest that cannot be used, or a link leads out of the catalog.
    """
    paths = PartitionPaths(catalog_root, key, data_type, day)
    require_inside(catalog_root, paths.manifest)
    pull(paths.manifest)
    try:
        with shared(paths.manifest_lock):
            return load_manifest(paths.manifest)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(
            f"{catalog_root}: cannot hold a catalog ({error.strerror}); set DATA_CATALOG_PATH or "
            "data_catalog.parquet_root to a folder"
        ) from None


@dataclass(frozen=True, slots=True)
class ManifestScan:
    """The manifests of a catalog, and the files that are none.

    Parameters
    ----------
    manifests : tuple[PartitionManifest, ...]
        By key, data type and day.
    damaged : tuple[DamagedManifest, ...]
        Files that cannot be used, by path.
    """

    manifests: tuple[PartitionManifest, ...]
    damaged: tuple["DamagedManifest", ...]

    @property
    def days(self) -> list[date]:
        """Return the days for which there is a manifest, damaged ones too, in order."""
        intact = {manifest.day for manifest in self.manifests}
        return sorted(intact | {damaged.day for damaged in self.damaged if damaged.day is not None})

    def require(self, days: Iterable[date]) -> None:
        """Refuse days whose manifest cannot be used.

        Raises
        ------
        DataError
            If there is one; it is named.
        """
        wanted = set(days)
        for damaged in self.damaged:
            if damaged.day in wanted:
                raise DataError(damaged.problem)


@dataclass(frozen=True, slots=True)
class DamagedManifest:
    """A manifest that cannot be used: its file, its day by the file's name, and what is wrong."""

    path: Path
    day: date | None
    problem: str


def list_manifests(
    catalog_root: Path, key: InstrumentKey | None = None, data_type: DataType | None = None
) -> list[PartitionManifest]:
    """Return the manifests of a catalog, ordered by key, data type and day.

    Parameters
    ----------
    catalog_root : Path
        The catalog.
    key, data_type : optional
        Keep only these.

    Raises
    ------
    DataError
        If one cannot be used; `scan_manifests` goes on with the others.
    """
    scan = scan_manifests(catalog_root, key, data_type)
    if scan.damaged:
        raise DataError(scan.damaged[0].problem)
    return list(scan.manifests)


def scan_manifests(
    catalog_root: Path, key: InstrumentKey | None = None, data_type: DataType | None = None
) -> ManifestScan:
    """Return the manifests of a catalog, and which files cannot be used.

    Parameters
    ----------
    catalog_root : Path
        The catalog.
    key, data_type : optional
        Keep only these.
    """
    slug = "*" if key is None else key.slug
    kind = "*" if data_type is None else data_type.value
    parts = [] if key is None else [slug] if data_type is None else [slug, kind]
    pull_folder(catalog_root.joinpath("manifests", *parts), ".json")
    manifests: list[PartitionManifest] = []
    damaged: list[DamagedManifest] = []
    for folder in sorted((catalog_root / "manifests").glob(f"{slug}/{kind}")):
        with shared(manifest_lock(catalog_root, folder.parent.name, folder.name)):
            for path in sorted(folder.glob("*.json")):
                try:
                    require_inside(catalog_root, path)
                    manifests.append(load_manifest(path))
                except FileNotFoundError:
                    problem = f"{path}: a link to a file that does not exist"
                    damaged.append(DamagedManifest(path, _day_of(path), problem))
                except DataError as error:
                    damaged.append(DamagedManifest(path, _day_of(path), str(error)))
    manifests.sort(key=lambda manifest: (manifest.key, manifest.data_type.value, manifest.day))
    return ManifestScan(tuple(manifests), tuple(damaged))


def _day_of(path: Path) -> date | None:
    try:
        return date.fromisoformat(path.stem)
    except ValueError:
        return None


def _refuse_constant(text: str) -> None:
    raise ValueError(f"found {text}, which is not valid JSON")


def _from_json(content: dict[str, Any], path: Path) -> PartitionManifest:
    """Return a manifest; its place says which partition it must be of."""
    manifest = assembled(content)
    name = manifest.file.name
    if name != Path(name).name:
        raise ValueError(f"its data file {name!r} is in another folder")
    _check_types(manifest)
    location = (
        parse_instrument_key(manifest.key).slug,
        manifest.data_type,
        manifest.day.isoformat(),
    )
    if location != (path.parents[1].name, path.parent.name, path.stem):
        raise ValueError(f"it belongs to {manifest.key} {manifest.data_type} {manifest.day}")
    return manifest


def assembled(content: dict[str, Any]) -> PartitionManifest:
    """Return a manifest without checking its values: for calendars of very many.

    Raises
    ------
    LookupError, TypeError, ValueError, AttributeError
        If the content is none of a manifest.
    """
    content.setdefault("rules", {})
    values = {name: content[name] for name in _NAMES}
    source = dict(values["source"])
    source["mtime_ns"] = None if source["mtime_ns"] is None else int(source["mtime_ns"])
    values |= {name: int(values[name]) for name in _TIMES}
    values["data_type"] = DataType(values["data_type"])
    values["day"] = date.fromisoformat(values["day"])
    values["source"] = SourceRecord(**source)
    values["file"] = FileRecord(**values["file"])
    return PartitionManifest(**values)


def _check_types(manifest: PartitionManifest) -> None:
    """Refuse values of a type that no reader of a manifest could use.

    Raises
    ------
    ValueError
        If there is one; it is named.
    """
    records = (manifest, manifest.source, manifest.file)
    values = [
        (item.type, getattr(record, item.name)) for record in records for item in fields(record)
    ]
    values += [(int, count) for count in manifest.rejected.values()]
    values += [(int, count) for count in (manifest.unknown_sides,) if count is not None]
    for kind, value in values:
        if kind is int and (type(value) is not int or not 0 <= value < _TOO_LARGE):
            raise ValueError(f"found {value!r}, allowed a count")
        if kind is str and not isinstance(value, str):
            raise ValueError(f"found {value!r}, allowed a text")
        if get_origin(kind) is dict and not isinstance(value, dict):
            raise ValueError(f"found {value!r}, allowed an object")
