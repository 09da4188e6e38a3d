"""Folders of raw files of this machine, each listed once: a calendar asks for very many files."""

import os
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from stat import S_ISREG

from odum_assets.raw.fingerprint import FileStat
from odum_assets.raw.layout import list_day_folders, local_path


class RawFolders:
    """What is in folders of raw files, as it was when they were listed first."""

    def __init__(self) -> None:
        self._days: dict[str, list[date]] = {}
        self._files: dict[str, dict[str, FileStat | str] | None] = {}

    def days(self, folder: str) -> list[date]:
        """Return the days that have a folder in a folder, in order; none without it.

        Raises
        ------
        DataError
            If the folder cannot be reached or read.
        """
        if folder not in self._days:
            self._days[folder] = list_day_folders(folder)
        return self._days[folder]

    def files(self, folder: str) -> dict[str, FileStat | str] | None:
        """Return the files of a folder, or why one is none; None where it cannot be listed."""
        if folder not in self._files:
            self._files[folder] = _list(Path(local_path(folder)))
        return self._files[folder]


def _list(folder: Path) -> dict[str, FileStat | str] | None:
    files: dict[str, FileStat | str] = {}
    try:
        for entry in list_entries(folder):
            stat = entry.stat()
            files[entry.name] = (
                FileStat(stat.st_size, stat.st_mtime_ns)
                if S_ISREG(stat.st_mode)
                else f"{entry.path}: is a folder or device, not a file; remove it."
            )
    except OSError:
        return None
    return files


def list_entries(folder: Path) -> Sequence[os.DirEntry[str]]:
    """Return what is in a folder; nothing without it."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return ()
