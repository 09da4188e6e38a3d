"""Folders of raw files of this machine, each listed once: a calendar asks for very many files."""

from datetime import date
from pathlib import Path
from stat import S_ISREG

from odum_assets.orchestration.project import RawInput, RawNames
from odum_assets.raw.fingerprint import FileStat
from odum_assets.raw.layout import (
    DataType,
    list_day_folders,
    list_entries,
    local_path,
    period_name,
)


class RawFolders:
    """What is in folders of raw files, as it was when they were listed first."""

    def __init__(self) -> None:
        self._days: dict[str, list[date]] = {}
        self._files: dict[str, dict[str, FileStat | None] | None] = {}

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

    def find(self, names: RawNames, data_type: DataType, day: date) -> tuple[RawInput | None, bool]:
        """Return the raw file of a day, None without one, and whether that is known.

        Where it is not (a folder that cannot be listed, something that is no file),
        `describe_partition` says why.

        Parameters
        ----------
        names : RawNames
            From `raw_names` of a source of this machine.
        data_type, day
            What is looked for.
        """
        folder, spellings = names
        for spelling in spellings:
            path = f"{folder}/{period_name(data_type, day)}{spelling}"
            parent, _, name = path.rpartition("/")
            listed = self._list(parent)
            if listed is None:
                return None, False
            if name in listed:
                stat = listed[name]
                return (None, False) if stat is None else (RawInput(path, stat), True)
        return None, True

    def _list(self, folder: str) -> dict[str, FileStat | None] | None:
        """Return what is in a folder, None for what is no file; None if it cannot be listed."""
        if folder not in self._files:
            self._files[folder] = _stats(local_path(folder))
        return self._files[folder]


def _stats(folder: Path) -> dict[str, FileStat | None] | None:
    files: dict[str, FileStat | None] = {}
    try:
        for entry in list_entries(folder):
            stat = entry.stat()
            is_file = S_ISREG(stat.st_mode)
            files[entry.name] = FileStat(stat.st_size, stat.st_mtime_ns) if is_file else None
    except OSError:
        return None
    return files
