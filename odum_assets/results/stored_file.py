"""Files below the results path, opened only as what they are.

The one place that decides whether a file of a result may be opened. Whoever can write into the
results may put a link there; followed by a service, it would show files from anywhere. Worst is the
registry's own database: closing it, through whatever name, gives up all locks that this process
holds on it (as POSIX has it), and the next writer can damage it. So a file is looked at before it
is opened, and what was looked at is what is opened.
"""

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from odum_assets.errors import OdumError
from odum_assets.storage.copies import bucket_of, pull

_PATH_ONLY: Final = getattr(os, "O_PATH", 0)
"""Opens a name without opening its file: closing such a descriptor gives up no locks (Linux)."""

_DATABASE_SUFFIXES: Final = ("", "-wal", "-shm", "-journal")


class ResultError(OdumError):
    """Report a result that is not there or cannot be used."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file below the results path, whether it exists or not.

    Parameters
    ----------
    root : Path
        The results path; it may be a link.
    parts : tuple[str, ...]
        Names from there to the file.
    databases : tuple[Path, ...]
        Databases that are open in this process and lie elsewhere. Files that lie in the root itself
        are never opened: the registry is one of them.
    is_current : bool, default False
        Whether the copy of an object was just brought up to date, and is read as it is.
    """

    root: Path
    parts: tuple[str, ...]
    databases: tuple[Path, ...] = ()
    is_current: bool = False

    @property
    def path(self) -> Path:
        """Return where it lies."""
        return self.root.joinpath(*self.parts)

    def at(self, *parts: str) -> "StoredFile":
        """Return another file of the same results."""
        return replace(self, parts=parts, is_current=False)

    def is_there(self) -> bool:
        """Return whether there is a file that can be opened.

        Raises
        ------
        ResultError
            If something else lies there, or a link leads there.
        """
        try:
            self.stat()
        except FileNotFoundError:
            return False
        return True

    def stat(self) -> os.stat_result:
        """Return the stat of the file.

        Raises
        ------
        FileNotFoundError
            If there is none.
        ResultError
            If something else lies there, or a link leads there.
        """
        descriptor = self._open_checked()
        try:
            return os.fstat(descriptor)
        finally:
            os.close(descriptor)

    def size_and_time(self) -> tuple[int, int]:
        """Return bytes and time of change (ns since 1970); an object is not fetched for it.

        Raises
        ------
        FileNotFoundError
            If there is none.
        ResultError
            If something else lies there, or a link leads there.
        """
        location = bucket_of(self.path)
        if location is None:
            status = self.stat()
            return status.st_size, status.st_mtime_ns
        stat = location[0].stat(location[1])
        if stat is None:
            raise FileNotFoundError(self.path)
        return stat.size, stat.updated_ns or 0

    @contextmanager
    def opened(self) -> Iterator[Path]:
        """Open the file, and yield a path by which exactly it can be read as often as needed.

        Raises
        ------
        FileNotFoundError
            If there is none.
        ResultError
            If something else lies there, or a link leads there.
        """
        descriptor = self.open()
        try:
            yield path_of(descriptor, self.path)
        finally:
            os.close(descriptor)

    def open(self) -> int:
        """Return a descriptor for reading, which is the caller's to close; errors as `opened`."""
        descriptor = self._open_checked()
        try:
            return os.open(path_of(descriptor, self.path), os.O_RDONLY | os.O_CLOEXEC)
        finally:
            os.close(descriptor)

    def read_bytes(self) -> bytes:
        """Return the content; errors as `opened`."""
        with os.fdopen(self.open(), "rb") as file:
            return file.read()

    def read_json(self) -> Any:  # noqa: ANN401 - any JSON value
        """Return the value of a JSON document; errors as `opened`.

        Raises
        ------
        ValueError
            If it is none: NaN and infinite numbers are none either.
        RecursionError
            If it is nested too deeply.
        """
        return json.loads(self.read_bytes(), parse_constant=_refuse_constant)

    def _open_checked(self) -> int:
        """Return a descriptor of the name, after making sure what it is."""
        if not self.parts or any(part in ("", ".", "..") or "/" in part for part in self.parts):
            raise ResultError(f"{self.path}: not a file of a result")
        if not self.is_current:
            pull(self.path)
        flags = os.O_CLOEXEC | os.O_NOFOLLOW | _PATH_ONLY
        folder = os.open(self.root, os.O_CLOEXEC | os.O_DIRECTORY | _PATH_ONLY)
        try:
            for number, part in enumerate(self.parts[:-1], 1):
                self._refuse_link(folder, number)
                inner = os.open(part, flags | os.O_DIRECTORY, dir_fd=folder)
                os.close(folder)
                folder = inner
            status = self._refuse_link(folder, len(self.parts))
            self._check(status)
            descriptor = os.open(self.parts[-1], flags | os.O_NONBLOCK, dir_fd=folder)
        except NotADirectoryError:
            raise ResultError(f"{self.path}: a file lies where a folder belongs") from None
        finally:
            os.close(folder)
        now = os.fstat(descriptor)
        if (now.st_dev, now.st_ino) != (status.st_dev, status.st_ino):
            os.close(descriptor)
            raise ResultError(f"{self.path}: another file has just taken its place; try again")
        return descriptor

    def _refuse_link(self, folder: int, number: int) -> os.stat_result:
        """Return the stat of a part of the way, unless it is a link."""
        status = os.stat(self.parts[number - 1], dir_fd=folder, follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            place = self.root.joinpath(*self.parts[:number])
            raise ResultError(
                f"{place}: a link leads to {place.resolve()}, outside the results {self.root}"
                if not place.resolve().is_relative_to(self.root.resolve())
                else f"{place}: a link; the files of a result are files of their own. Remove it"
            )
        return status

    def _check(self, status: os.stat_result) -> None:
        """Refuse what is no regular file, and the files of a database."""
        if not stat.S_ISREG(status.st_mode):
            raise ResultError(f"{self.path}: a folder or a device lies where a file belongs")
        # A file with one name only has no name elsewhere.
        if status.st_nlink > 1 and (status.st_dev, status.st_ino) in self._never_opened():
            raise ResultError(
                f"{self.path}: the same file as the registry or another file beside it, not one of "
                "a result. Remove it"
            )

    def _never_opened(self) -> set[tuple[int, int]]:
        """Return what is never opened here: files in the root itself, and the databases."""
        with os.scandir(self.root) as entries:
            identities = [_identity(Path(entry.path)) for entry in entries if not entry.is_dir()]
        identities += [
            _identity(database.with_name(database.name + suffix))
            for database in self.databases
            for suffix in _DATABASE_SUFFIXES
        ]
        return {item for item in identities if item is not None}


def path_of(descriptor: int, path: Path) -> Path:
    """Return a path that leads to the file of an open descriptor, however its name changes.

    Parameters
    ----------
    descriptor : int
        The descriptor; open as long as the path is used.
    path : Path
        Its name, for systems that have no such paths.
    """
    by_number = Path(f"/dev/fd/{descriptor}")
    return by_number if _PATH_ONLY and by_number.exists() else path


def _refuse_constant(text: str) -> None:
    raise ValueError(f"found {text}, which JSON does not have")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
