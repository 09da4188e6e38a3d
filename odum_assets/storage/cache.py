"""Data files of buckets on this machine, by the hash of their content.

What belongs here: one file for each content, checked when it comes in, in a bounded folder; the
files that were not used for the longest time go first. Whoever uses one links it where he needs it:
a link stays whatever is removed here. What does not: where the files are from.
"""

import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Final

from odum_assets.errors import ConfigError
from odum_assets.storage.addresses import SIZE_VARIABLE, cache_root
from odum_assets.storage.files import hash_file, link_or_copy
from odum_assets.storage.locks import held_if_free, hold_lock

_DEFAULT_GB: Final = 20.0
_MOST_TRIES: Final = 2
_UNFINISHED_SECS: Final = 86_400


def link_cached(sha256: str, fetch: Callable[[Path], object], target: Path) -> bool:
    """Link the file of a content to where it is needed; fetch it first if it is not there yet.

    Parameters
    ----------
    sha256 : str
        The hash, hex.
    fetch : callable
        Writes the content to the path that it is given, nothing if it does not exist.
    target : Path
        Must not exist.

    Returns
    -------
    bool
        Whether it is there: not if it does not exist, or what was fetched has another hash, twice.
    """
    folder = cache_root() / "objects"
    path = folder / sha256[:2] / sha256
    # One process fetches, the others that need the same content wait for it.
    with hold_lock(folder / ".locks" / sha256[:2]):
        while not (_is_there(path) and link_or_copy(path, target)):
            if not _fetched(path, sha256, fetch):
                return False
    _evict(folder, path)
    return True


def keep(sha256: str, source: Path) -> None:
    """Keep a file whose content was just written, and is needed here before elsewhere."""
    folder = cache_root() / "objects"
    path = folder / sha256[:2] / sha256
    with hold_lock(folder / ".locks" / sha256[:2]):
        if not _is_there(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f".{uuid.uuid4().hex}.part")
            link_or_copy(source, part)
            part.replace(path)
    _evict(folder, path)


def drop(sha256: str) -> bool:
    """Remove a file that turned out damaged, and return whether there was one."""
    folder = cache_root() / "objects"
    with hold_lock(folder / ".locks" / sha256[:2]):
        try:
            (folder / sha256[:2] / sha256).unlink()
        except FileNotFoundError:
            return False
    return True


def _fetched(path: Path, sha256: str, fetch: Callable[[Path], object]) -> bool:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        for _ in range(_MOST_TRIES):
            fetch(part)
            if part.exists() and hash_file(part) == sha256:
                part.replace(path)
                return True
    finally:
        part.unlink(missing_ok=True)
    return False


def _is_there(path: Path) -> bool:
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


def _evict(folder: Path, newest: Path) -> None:
    """Remove the files that were not used for the longest time, down to the allowed size."""
    with held_if_free(folder / ".locks" / "eviction") as is_free:
        if not is_free:
            return
        files = []
        for path in folder.glob("[0-9a-f][0-9a-f]/*"):
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue
            if path.name.startswith(".") and time.time() - stat.st_mtime < _UNFINISHED_SECS:
                continue  # a process may be writing it
            files.append((stat.st_mtime_ns, stat.st_size, path))
        excess = sum(size for _, size, _ in files) - _most_bytes()
        for _, size, path in sorted(files):
            if excess <= 0:
                break
            if path != newest:
                path.unlink(missing_ok=True)
                excess -= size


def _most_bytes() -> int:
    text = os.environ.get(SIZE_VARIABLE) or str(_DEFAULT_GB)
    try:
        size = float(text)
    except ValueError:
        size = -1.0
    if not 0 <= size < 1e9:
        raise ConfigError(f"environment variable {SIZE_VARIABLE}: found {text!r}, allowed GB >= 0")
    return int(size * 1e9)
