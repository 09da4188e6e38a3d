"""What the service worked out before, kept while the files that it is made of are the same."""

import os
from collections.abc import Hashable
from pathlib import Path

from odum_assets.storage.memory import Cache

__all__ = ["Cache", "file_validator"]


def file_validator(*paths: Path) -> Hashable:
    """Return what changes when files do; a link's is its own, None stands for a missing file."""
    return tuple(map(_stat, paths))


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = os.lstat(path)
    except FileNotFoundError:
        return None
    # Not the time of its content: that permissions were mended is a change, too.
    return stat.st_ctime_ns, stat.st_size, stat.st_ino
