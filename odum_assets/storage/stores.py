"""Reaching the places that hold files, with errors that name the address and say what to do.

What belongs here: opening a file system, and what its driver's errors mean. What does not: what is
in it (``raw``, ``catalog``, ``results``), objects that are written on a condition (``buckets``).
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from odum_assets.errors import DataError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

GCS: Final = ("gs", "gcs")
"""Schemes of Google Cloud Storage."""

ANSWER_SECS: Final = 60.0
"""A server that says nothing for so long is asked again."""

_EXTRAS: Final = {"gs": "gcp", "gcs": "gcp"}
"""Optional dependencies of this package, by the scheme that needs them."""

_ADVICE: Final = {
    "Forbidden": "the account may not do this: check GOOGLE_APPLICATION_CREDENTIALS and its roles",
    "Invalid Credentials": "check GOOGLE_APPLICATION_CREDENTIALS",
    "Anonymous caller": "set GOOGLE_APPLICATION_CREDENTIALS",
}
"""What to do, by what the driver says."""


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
        fs, path = url_to_fs(address, **_options(address))
        fs.invalidate_cache()
    return fs, str(path)


def _options(address: str) -> dict[str, Any]:
    if address.partition("://")[0] not in GCS:
        return {}
    # Its probing for hierarchical buckets needs gRPC, and waits for minutes where that is blocked.
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    # Callers report what it raises; its own logger would print a traceback as well.
    logging.getLogger("gcsfs").addHandler(logging.NullHandler())
    import aiohttp

    return {
        "consistency": "md5",
        "use_listings_cache": False,
        "requests_timeout": aiohttp.ClientTimeout(
            total=None, sock_connect=ANSWER_SECS, sock_read=ANSWER_SECS
        ),
    }


@contextmanager
def store_errors(address: str, doing: str = "read") -> Iterator[None]:
    """Turn what a store's driver raises into a `DataError` that names the address.

    Parameters
    ----------
    address : str
        What is read or written.
    doing : str, default "read"
        What cannot be done.

    Raises
    ------
    FileNotFoundError, NotADirectoryError, FileExistsError
        As they are: whether something may be missing or there already, the caller knows.
    DataError
        For everything else. Drivers raise errors of the libraries that they are made with, so for a
        URL that is any error; for a local path those of the system.
    """
    try:
        yield
    except (DataError, FileNotFoundError, NotADirectoryError, FileExistsError):
        raise
    except ImportError as error:
        raise DataError(_driver_message(address, error)) from error
    except OSError as error:
        reason = error.strerror or _first_line(error)
        advice = _advice(address, error) or "Check path and permissions"
        raise DataError(f"{address}: cannot be {doing} ({reason}). {advice}.") from error
    except Exception as error:
        if "://" not in address:
            raise
        advice = _advice(address, error) or "Check the address and the access to it"
        raise DataError(
            f"{address}: cannot be {doing} ({type(error).__name__}: {_first_line(error)}). "
            f"{advice}."
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def _advice(address: str, error: Exception) -> str | None:
    if address.partition("://")[0] not in GCS:
        return None
    found = next((advice for text, advice in _ADVICE.items() if text in str(error)), None)
    return found and found[0].upper() + found[1:]


def _driver_message(address: str, error: ImportError) -> str:
    scheme = address.partition("://")[0]
    extra = _EXTRAS.get(scheme)
    remedy = f"pip install 'odum-assets[{extra}]'" if extra else "install it"
    return (
        f"{address}: the driver for {scheme}:// is not installed ({error}); {remedy}, or set "
        "UNIFIED_CLOUD_LOCAL_PATH to a folder that holds raw_tick_data"
    )
