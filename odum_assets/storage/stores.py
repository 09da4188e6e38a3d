"""Reaching the places that hold files, with errors that name the address and say what to do.

What belongs here: opening a file system, and what its driver's errors mean. What does not: what is
in it (``raw``, ``catalog``, ``results``), objects that are written on a condition (``buckets``).
"""

import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from odum_assets.errors import DataError
from odum_assets.storage import s3
from odum_assets.storage.addresses import SCHEMES
from odum_assets.storage.outages import give_up, is_unreachable, watched

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

CONNECT_SECS: Final = 10.0
"""How long a service may take to accept a connection."""

ANSWER_SECS: Final = 30.0
"""A server that says nothing for so long is asked again."""

_EXTRAS: Final = {"gs": "gcp", "gcs": "gcp", "s3": "s3"}
"""Optional dependencies of this package, by the scheme that needs them."""

_CLOCK: Final = "The clock of this machine is wrong: set it (timedatectl set-ntp true), try again"
_REGION: Final = "The bucket is in another region: set AWS_DEFAULT_REGION to it"
_GOOGLE: Final = "Set GOOGLE_APPLICATION_CREDENTIALS, or run gcloud auth application-default login"
_GOOGLE_ROLE: Final = (
    "The account may not do this: check GOOGLE_APPLICATION_CREDENTIALS and its roles"
)
_AMAZON: Final = "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
_AMAZON_FILE: Final = "Check AWS_SHARED_CREDENTIALS_FILE and AWS_CONFIG_FILE, or ~/.aws"
_AMAZON_POLICY: Final = (
    "The account may not do this: check its policies, and AWS_ACCESS_KEY_ID or AWS_PROFILE"
)

_ADVICE: Final = {
    "RequestTimeTooSkewed": _CLOCK,
    "RequestExpired": _CLOCK,
    "Invalid JWT": _CLOCK,
    "AuthorizationHeaderMalformed": _REGION,
    "PermanentRedirect": _REGION,
    "TemporaryRedirect": _REGION,
    "IllegalLocationConstraint": _REGION,
    "maximum recursion": _REGION,  # botocore follows a redirect that names no region
    "Forbidden: ": _GOOGLE_ROLE,
    "Invalid Credentials": _GOOGLE,
    "Anonymous caller": _GOOGLE,
    "locate credentials": _AMAZON,
    "The config profile": _AMAZON,
    "parse config file": _AMAZON_FILE,
    "Invalid endpoint": "Check AWS_ENDPOINT_URL",
    "Provided region_name": "Check AWS_DEFAULT_REGION",
    "InvalidAccessKeyId": _AMAZON,
    "SignatureDoesNotMatch": _AMAZON,
    "ExpiredToken": "The session has ended: log in again",
    "AccessDenied": _AMAZON_POLICY,
    "(403)": _AMAZON_POLICY,
}
"""What to do, by what the driver, or what made it fail, says; the first one counts."""

_GOOGLE_FILE: Final = "GOOGLE_APPLICATION_CREDENTIALS"
_USER: Final = re.compile(r"//[^/@\s]*@")
_LONGEST_REASON: Final = 200


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
        if _scheme(address) == "s3":
            s3.prepare(fs)
        elif _scheme(address) == "gs":
            # Requests would repeat a login that was refused for half a minute.
            fs.credentials.maybe_refresh()
    return fs, str(path)


def _options(address: str) -> dict[str, Any]:
    if _scheme(address) == "s3":
        return {"use_listings_cache": False, **s3.options(CONNECT_SECS, ANSWER_SECS)}
    if _scheme(address) != "gs":
        return {}
    # Its probing for hierarchical buckets needs gRPC, and waits for minutes where that is blocked.
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    # Callers report what it raises; its own logger would print a traceback as well.
    logging.getLogger("gcsfs").addHandler(logging.NullHandler())
    import aiohttp

    return {
        **_google_login(),
        "consistency": "md5",
        "use_listings_cache": False,
        "requests_timeout": aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_SECS, sock_read=ANSWER_SECS
        ),
    }


def _google_login() -> dict[str, str]:
    """Return how to log in, unless fsspec's configuration says so."""
    from fsspec.config import conf

    if "token" in {**conf.get("gcs", {}), **conf.get("gs", {})}:
        return {}
    return {"token": "anon" if os.environ.get("STORAGE_EMULATOR_HOST") else _login_type()}


@lru_cache
def _login_type() -> str:
    """Return gcsfs' name of the login that works; its own search asks a silent network for 15 s."""
    try:
        import google.auth
        from google.auth.exceptions import DefaultCredentialsError
    except ImportError:
        return "anon"  # the driver is missing, which its import says better
    # Who names a file does not want to be refused as somebody without a login.
    file = os.environ.get(_GOOGLE_FILE)
    try:
        google.auth.default()
    except DefaultCredentialsError as error:
        if not file:
            return "anon"
        # Its second part is what a parser raised, which may show the file.
        raise _unusable_key(file, str(error.args[0])) from error
    except (AttributeError, TypeError, ValueError) as error:
        if not file:
            raise
        raise _unusable_key(file, "not as such a file is") from error
    return "google_default"


def _unusable_key(file: str, reason: str) -> DataError:
    said = reason[:_LONGEST_REASON].rstrip(".")
    return DataError(
        f"{_GOOGLE_FILE}: {file} cannot be used ({said}). Set it to the JSON file of an "
        "account's key, or unset it and run gcloud auth application-default login."
    )


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
    started = time.monotonic()
    try:
        with watched(address):
            yield
    except (DataError, FileNotFoundError, NotADirectoryError, FileExistsError):
        raise
    except ImportError as error:
        raise DataError(_driver_message(address, error)) from error
    except Exception as error:
        is_remote = "://" in address
        if not (is_remote or isinstance(error, OSError)):
            raise
        if is_remote and is_unreachable(error):
            raise give_up(address, _reason(error), started) from error
        what = "the address and the access to it" if is_remote else "path and permissions"
        raise DataError(
            f"{address}: cannot be {doing} ({_reason(error)}). {_advice(error) or f'Check {what}'}."
        ) from error


def _scheme(address: str) -> str | None:
    return SCHEMES.get(address.partition("://")[0])


def _reason(error: Exception) -> str:
    """Return what a driver says, in a line, without what may be secret."""
    text = getattr(error, "strerror", None) or str(error).partition("\n")[0]
    if not isinstance(error, OSError):
        text = f"{type(error).__name__}: {text}"
    return _USER.sub("//", text or type(error).__name__)[:_LONGEST_REASON]


def _advice(error: BaseException | None) -> str | None:
    said = []
    while error is not None:
        said.append(str(error))
        error = error.__cause__
    text = "\n".join(said)
    return next((advice for part, advice in _ADVICE.items() if part in text), None)


def _driver_message(address: str, error: ImportError) -> str:
    scheme = address.partition("://")[0]
    extra = _EXTRAS.get(scheme)
    remedy = f"pip install 'odum-assets[{extra}]'" if extra else "install it"
    return (
        f"{address}: the driver for {scheme}:// is not installed ({error}); {remedy}, or set "
        "UNIFIED_CLOUD_LOCAL_PATH to a folder that holds raw_tick_data"
    )
