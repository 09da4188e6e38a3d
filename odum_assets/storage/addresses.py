"""Folders in buckets, and their local copies.

A folder in a bucket is used through a local copy, ``<cache>/<scheme>/<bucket>/<prefix>``:
NautilusTrader, parquet readers and SQLite read local files only. So catalog and results are local
paths everywhere, and the path itself tells whether it stands for an object (`address_of`). What
belongs here: names only. What does not: bringing files from a bucket and into it (``copies``).
"""

import os
from functools import lru_cache
from pathlib import Path
from typing import Final

CACHE_VARIABLE: Final = "ODUM_CACHE_PATH"
DEFAULT_CACHE: Final = "~/.cache/odum"
SIZE_VARIABLE: Final = "ODUM_CACHE_GB"
SCHEMES: Final = {"gs": "gs", "gcs": "gs", "s3": "s3"}
"""Stores that write on a condition, by every spelling of their scheme."""


def cache_root() -> Path:
    """Return the folder of local copies: ODUM_CACHE_PATH, or `DEFAULT_CACHE`."""
    return _cache_root(os.environ.get(CACHE_VARIABLE) or DEFAULT_CACHE)


@lru_cache(maxsize=8)
def _cache_root(text: str) -> Path:
    return Path(os.path.normpath(Path(text).expanduser().absolute()))


def local_copy(address: str) -> Path:
    """Return the local copy of a folder in a bucket.

    Parameters
    ----------
    address : str
        ``gs://bucket/prefix`` or ``s3://bucket/prefix``.

    Raises
    ------
    ValueError
        If it is no address of a folder that can be written on a condition.
    """
    scheme, _, rest = address.partition("://")
    parts = rest.rstrip("/").split("/")
    is_plain = all(part not in ("", ".", "..") and part.isprintable() for part in parts)
    if scheme not in SCHEMES or not is_plain or any(odd in rest for odd in "@?#*[]\\"):
        raise ValueError(
            f"found {_without_user(address)!r}, allowed a folder or gs://bucket/prefix, "
            "s3://bucket/prefix"
        )
    return cache_root().joinpath(SCHEMES[scheme], *parts)


def address_of(path: Path) -> str | None:
    """Return the address that a path is the local copy of, None where it is a file of its own."""
    root = str(cache_root())
    text = str(path)
    if not text.startswith(root):
        return None
    scheme, _, rest = text[len(root) :].removeprefix("/").partition("/")
    return f"{scheme}://{rest}" if scheme in SCHEMES and rest else None


def location_of(path: Path) -> str:
    """Return where a file really is: its address in a bucket, or its path."""
    return address_of(path) or str(path)


def _without_user(address: str) -> str:
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
