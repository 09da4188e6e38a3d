"""What identifies a raw file: size and time of change (cheap), or a hash of its bytes (sure).

The sensor and the fast path of a conversion compare stats; whatever is built from a file records
the hash of its content, so that a touched but unchanged file is recognized.
"""

from dataclasses import dataclass
from stat import S_ISREG
from typing import Any

from odum_assets.errors import DataError
from odum_assets.raw.layout import is_url, local_path, mtime_ns
from odum_assets.storage.stores import open_store, store_errors


class NoRawFileError(DataError):
    """Report a raw file that is not there."""

    def __init__(self, source: str) -> None:
        super().__init__(f"{source}: there is no such raw file. Check the day and the raw root.")


@dataclass(frozen=True, slots=True)
class FileStat:
    """Size in bytes and time of change (nanoseconds, None where the store tells none) of a file."""

    size: int
    mtime_ns: int | None

    def __str__(self) -> str:
        return f"{self.size}-{self.mtime_ns if self.mtime_ns is not None else 'unknown'}"


def stat_source(source: str) -> FileStat:
    """Return the present stat of a raw file.

    Raises
    ------
    NoRawFileError
        If there is no such file.
    DataError
        If it cannot be looked at.
    """
    try:
        if is_url(source):
            return _stat_url(source)
        status = local_path(source).stat()
    except FileNotFoundError as error:
        raise NoRawFileError(source) from error
    except OSError as error:
        reason = error.strerror or error
        raise DataError(
            f"{source}: the raw file cannot be read ({reason}). Check path and permissions."
        ) from error
    except ValueError as error:
        raise DataError(f"{source!r}: not a valid path of a raw file.") from error
    if not S_ISREG(status.st_mode):
        # Opening a pipe would wait for a writer for good.
        raise DataError(f"{source}: is a folder or device, not a file; remove it.")
    return FileStat(status.st_size, status.st_mtime_ns)


def _stat_url(source: str) -> FileStat:
    fs, path = open_store(source)
    with store_errors(source):
        info: dict[str, Any] = fs.info(path)
        return FileStat(int(info["size"] or 0), mtime_ns(info))
