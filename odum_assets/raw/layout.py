"""Where raw day files lie and how they are found.

The layout is ``{raw_root}/raw_tick_data/by_date/day-YYYY-MM-DD/data_type-<type>/<KEY>.parquet``
under a local path or any URL that fsspec opens; daily bars lie in
``raw_tick_data/by_year/year-YYYY/data_type-bars_1d/``, and a year is meant by its first day. Names
only: this module never opens a data file, and it imports nothing heavy because the command line and
the Dagster code location load it.
"""

import os
import re
from collections.abc import Container, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from odum_assets.errors import DataError
from odum_assets.settings import is_inside
from odum_assets.storage.addresses import SCHEMES
from odum_assets.storage.buckets import Bucket
from odum_assets.storage.stores import open_store, store_errors

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

BY_DATE = "raw_tick_data/by_date"
BY_YEAR = "raw_tick_data/by_year"
MARKER = "_SUCCESS"
_DAY_FOLDER = re.compile(r"day-(\d{4}-\d{2}-\d{2})$")
_YEAR_FOLDER = re.compile(r"year-(\d{4})$")
_TYPE_FOLDER = re.compile(r"data_type-([a-z0-9_]+)$")
_SUFFIX = ".parquet"


class DataType(StrEnum):
    """Name the kinds of raw data; the value is the folder's suffix."""

    TRADES = "trades"
    BOOK = "book_snapshot_5"
    FUNDING = "derivative_ticker"
    BARS_1M = "bars_1m"
    BARS_5M = "bars_5m"
    BARS_15M = "bars_15m"
    BARS_1H = "bars_1h"
    BARS_1D = "bars_1d"

    @property
    def is_bars(self) -> bool:
        """Return whether it is bars of some step."""
        return self.value.startswith("bars_")

    @property
    def step(self) -> str:
        """Return the step of bars, such as ``1m``."""
        return self.value.removeprefix("bars_")

    @property
    def is_yearly(self) -> bool:
        """Return whether a file holds a year instead of a day."""
        return self is DataType.BARS_1D


@dataclass(frozen=True, slots=True)
class RawFile:
    """One raw file as found.

    Parameters
    ----------
    path : str
        Local path or URL, as it is spelled on disk (the name may be percent-encoded).
    day : date
        The UTC day of the folder; of a year its first.
    data_type : DataType
        The kind of data, from the folder.
    key_text : str
        The instrument key, from the decoded file name. Not validated here.
    size : int
        Size in bytes.
    mtime_ns : int or None
        Time of last change in nanoseconds since the epoch; None where the store tells none.
    """

    path: str
    day: date
    data_type: DataType
    key_text: str
    size: int
    mtime_ns: int | None


def is_url(text: str) -> bool:
    """Return whether `text` names a store other than the local disk (``scheme://...``)."""
    return "://" in text and not text.startswith("file://")


def local_path(text: str) -> Path:
    """Return the local path behind a plain path or a ``file://`` URL."""
    return Path(text.removeprefix("file://"))


def require_inside(path: str, raw_root: str) -> None:
    """Refuse a raw file that a link leads out of the raw root; the root may be a link itself.

    Raises
    ------
    DataError
        If it is elsewhere; the message says where.
    """
    if is_url(path) or is_inside(local_path(path), local_path(raw_root)):
        return
    raise DataError(
        f"{path}: is a link to {local_path(path).resolve()}, outside the raw root {raw_root}. "
        "Put the file there, mount its disk there, or set UNIFIED_CLOUD_LOCAL_PATH to the folder "
        "that really holds raw_tick_data."
    )


def day_folder(raw_root: str, day: date) -> str:
    """Return the folder of one day under the raw root."""
    return f"{raw_root.rstrip('/')}/{BY_DATE}/day-{day.isoformat()}"


def raw_file_path(raw_root: str, day: date, data_type: DataType, key_text: str) -> str:
    """Return where the file of one day (or year), type and instrument belongs."""
    period = day_folder(raw_root, day)
    if data_type.is_yearly:
        period = f"{raw_root.rstrip('/')}/{BY_YEAR}/{period_name(data_type, day)}"
    return f"{period}/data_type-{data_type.value}/{key_text}{_SUFFIX}"


def period_name(data_type: DataType, day: date) -> str:
    """Return the name of the folder of a day, or of its year for daily bars."""
    return f"year-{day.year:04d}" if data_type.is_yearly else f"day-{day.isoformat()}"


def list_days(raw_root: str) -> list[date]:
    """Return the days that have a folder under the raw root, in order."""
    return list_day_folders(f"{raw_root.rstrip('/')}/{BY_DATE}")


def list_day_folders(parent: str) -> list[date]:
    """Return the days of the ``day-YYYY-MM-DD`` folders in a folder, in order; none without it.

    A ``year-YYYY`` folder stands for the first day of its year.

    Raises
    ------
    DataError
        If the folder cannot be reached or read.
    """
    fs, folder = _filesystem(parent)
    days = [_day_named(_name(entry)) for entry in _entries(fs, folder, "directory")]
    if not days:
        _require_bucket(parent)
    return sorted({day for day in days if day is not None})


def _require_bucket(address: str) -> None:
    """Refuse an address in a bucket that does not exist: it is no folder without files."""
    if address.partition("://")[0] in SCHEMES:
        Bucket(address).require()


def list_raw_files(
    raw_root: str,
    *,
    day: date | None = None,
    problems: list[str] | None = None,
    known: Container[str] = (),
) -> list[RawFile]:
    """Return the raw data files under the root, ordered by day, type and key.

    Hidden, temporary and marker files are not data. Percent-encoded names (``%3A``, ``%40``) are
    decoded; where both spellings exist, the plain one wins.

    Parameters
    ----------
    raw_root : str
        Local path or URL.
    day : date, optional
        Keep only its files.
    problems : list of str, optional
        Takes what is wrong with days that cannot be read; without it the first one is raised.
    known : container of str, optional
        Paths that are not asked for; they are left out without a look at the files.

    Raises
    ------
    DataError
        If the root, or a day and there is no list for it, cannot be read.
    """
    if is_url(raw_root):
        return _plain_first(_remote_files(raw_root, day, problems, known))
    return _plain_first(_local_files(raw_root, day, problems, known))


def _is_known(path: str, known: Container[str]) -> bool:
    """Return whether a file is known, or one whose name is the plain spelling of its own."""
    folder, _, name = path.rpartition("/")
    return path in known or ("%" in name and f"{folder}/{unquote(name)}" in known)


def _plain_first(files: Iterable[RawFile]) -> list[RawFile]:
    """Return files in order, of two spellings of a key the plain one."""
    by_key: dict[tuple[date, str, str], RawFile] = {}
    for file in files:
        key = (file.day, file.data_type.value, file.key_text)
        if key not in by_key or "%" not in file.path.rsplit("/", 1)[-1]:
            by_key[key] = file
    return [by_key[key] for key in sorted(by_key)]


def _remote_files(
    raw_root: str, day: date | None, problems: list[str] | None, known: Container[str]
) -> Iterator[RawFile]:
    """Yield the files of a store, listed at once: a store lists 1,000 names in one call."""
    fs, root = _filesystem(raw_root)
    folders = [f"{root}/{BY_DATE}", f"{root}/{BY_YEAR}"]
    if day is not None:
        folders = [f"{root}/{BY_DATE}/day-{day.isoformat()}", f"{root}/{BY_YEAR}/year-{day.year}"]
    for folder in folders:
        try:
            with store_errors(_full_name(fs, folder)):
                entries: dict[str, dict[str, Any]] = fs.find(folder, detail=True)
        except (FileNotFoundError, NotADirectoryError):
            _require_bucket(raw_root)
            continue
        except DataError as error:
            if problems is None:
                raise
            problems.append(str(error))
            continue
        for entry in entries.values():
            *_, period, kind, name = ("", "", *str(entry["name"]).split("/"))
            of_period, data_type = _day_named(period), _data_type(kind, period)
            if of_period is None or data_type is None or day not in (None, of_period):
                continue
            if is_data_file(name) and not _is_known(_full_name(fs, entry["name"]), known):
                yield _raw_file(fs, entry, of_period, data_type)


def _local_files(
    raw_root: str, day: date | None, problems: list[str] | None, known: Container[str]
) -> Iterator[RawFile]:
    _, root = _filesystem(raw_root)
    folders = [
        (one_day, f"{root}/{BY_DATE}/day-{one_day.isoformat()}")
        for one_day in (list_days(raw_root) if day is None else [day])
    ]
    folders += [
        (first_day, f"{root}/{BY_YEAR}/year-{first_day.year:04d}")
        for first_day in list_day_folders(f"{raw_root.rstrip('/')}/{BY_YEAR}")
        if day in (None, first_day)
    ]
    for one_day, folder in folders:
        try:
            yield from list(_files_in(folder, one_day, known))
        except DataError as error:
            if problems is None:
                raise
            problems.append(str(error))


def _files_in(period: str, day: date, known: Container[str]) -> Iterator[RawFile]:
    """Yield the files of a day on this machine; a link counts as what it points to."""
    for folder in _scan(period):
        data_type = _data_type(folder.name, period.rsplit("/", 1)[-1])
        if data_type is None or not folder.is_dir():
            continue
        for entry in _scan(folder.path):
            if not is_data_file(entry.name) or _is_known(entry.path, known):
                continue
            with store_errors(entry.path):
                if not entry.is_file():
                    continue
                status = entry.stat()
            yield RawFile(
                path=entry.path,
                day=day,
                data_type=data_type,
                key_text=unquote(entry.name.removesuffix(_SUFFIX)),
                size=status.st_size,
                mtime_ns=status.st_mtime_ns,
            )


def list_entries(folder: str | Path) -> list["os.DirEntry[str]"]:
    """Return what is in a folder of this machine; nothing without it."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _scan(folder: str) -> list["os.DirEntry[str]"]:
    with store_errors(folder):
        return list_entries(folder)


def _data_type(folder: str, period: str) -> DataType | None:
    """Return the kind of data that a folder of a day or a year holds, None if it is none."""
    match = _TYPE_FOLDER.match(folder)
    if match is None or match.group(1) not in set(DataType):
        return None
    data_type = DataType(match.group(1))
    return data_type if data_type.is_yearly is bool(_YEAR_FOLDER.match(period)) else None


def _raw_file(
    fs: "AbstractFileSystem", entry: dict[str, Any], day: date, data_type: DataType
) -> RawFile:
    return RawFile(
        path=_full_name(fs, entry["name"]),
        day=day,
        data_type=data_type,
        key_text=unquote(_name(entry).removesuffix(_SUFFIX)),
        size=int(entry["size"] or 0),
        mtime_ns=mtime_ns(entry),
    )


def is_data_file(name: str) -> bool:
    """Return whether a file name is that of a data file, not a hidden, temporary or marker one."""
    return name.endswith(_SUFFIX) and not name.startswith((".", "_", "~"))


def _filesystem(raw_root: str) -> "tuple[AbstractFileSystem, str]":
    fs, root = open_store(raw_root)
    return fs, root.rstrip("/")


def _entries(fs: "AbstractFileSystem", folder: str, kind: str) -> list[dict[str, Any]]:
    try:
        with store_errors(_full_name(fs, folder)):
            listing = fs.ls(folder, detail=True)
    except (FileNotFoundError, NotADirectoryError):
        return []
    # A link to a file or folder counts as what it points to.
    return [entry for entry in listing if entry["type"] == kind]


def _name(entry: dict[str, Any]) -> str:
    return str(entry["name"]).rstrip("/").rsplit("/", 1)[-1]


def _full_name(fs: "AbstractFileSystem", name: str) -> str:
    protocols = (fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol
    return name if "file" in protocols else str(fs.unstrip_protocol(name))


def mtime_ns(entry: dict[str, Any]) -> int | None:
    """Return when a file was last changed, by what a file system says of it; None if it does not.

    Parameters
    ----------
    entry : dict
        From ``ls``, ``find`` or ``info`` of fsspec.
    """
    value = entry.get("mtime", entry.get("updated", entry.get("LastModified")))
    if isinstance(value, int | float):
        # fsspec hands out seconds as a float, which loses the nanoseconds.
        with suppress(FileNotFoundError, NotADirectoryError):
            status = os.stat(entry["name"])  # noqa: PTH116 - a Path takes as long as the call
            if S_ISREG(status.st_mode):
                return status.st_mtime_ns
        return int(value * 1_000_000_000)
    timestamp = getattr(value, "timestamp", None)
    return None if timestamp is None else int(timestamp() * 1_000_000_000)


def _day_named(folder: str) -> date | None:
    """Return the day that ``day-YYYY-MM-DD`` or ``year-YYYY`` says, None for another name."""
    match, year = _DAY_FOLDER.match(folder), _YEAR_FOLDER.match(folder)
    text = match.group(1) if match else f"{year.group(1)}-01-01" if year else ""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
