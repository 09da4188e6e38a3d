"""Reaching the places that hold raw data, with errors that name the address and say what to do.

What belongs here: opening a file system, and what its driver's errors mean. What does not: names
and layout (``layout``), reading files (``reading``).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from odum_assets.errors import DataError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_EXTRAS: Final = {"gs": "gcp", "gcs": "gcp"}
"""Optional dependencies of this package, by the scheme that needs them."""


def open_store(address: str) -> "tuple[AbstractFileSystem, str]":
    """Return the file system of a local path or URL, and the path in it.

    Listings show what is there now, not what an earlier one of this process saw.

    Raises
    ------
    DataError
        If the address cannot be used: no driver for its scheme, or the driver refuses it.
    """
    from fsspec.core import url_to_fs

    with store_errors(address):
        fs, path = url_to_fs(address)
        fs.invalidate_cache()
    return fs, str(path)


@contextmanager
def store_errors(address: str) -> Iterator[None]:
    """Turn what a store's driver raises into a `DataError` that names the address.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        As they are: whether something may be missing, the caller knows.
    DataError
        For everything else. Drivers raise errors of the libraries that they are made with, so for a
        URL that is any error; for a local path those of the system.
    """
    try:
        yield
    except (DataError, FileNotFoundError, NotADirectoryError):
        raise
    except ImportError as error:
        raise DataError(_driver_message(address, error)) from error
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        raise DataError(
            f"{address}: cannot be read ({reason}). Check path and permissions."
        ) from error
    except Exception as error:
        if "://" not in address:
            raise
        reason = str(error).partition("\n")[0] or "no reason given"
        raise DataError(
            f"{address}: cannot be read ({type(error).__name__}: {reason}). Check the address and "
            "the access to it."
        ) from error


def _driver_message(address: str, error: ImportError) -> str:
    scheme = address.partition("://")[0]
    extra = _EXTRAS.get(scheme)
    remedy = f"pip install 'odum-assets[{extra}]'" if extra else "install it"
    return (
        f"{address}: the driver for {scheme}:// is not installed ({error}); {remedy}, or set "
        "UNIFIED_CLOUD_LOCAL_PATH to a folder that holds raw_tick_data"
    )
