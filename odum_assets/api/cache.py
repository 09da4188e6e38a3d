"""What was worked out before, kept while it is valid."""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, Final, cast

_MOST_BYTES: Final = 64 << 20
_USUAL_BYTES: Final = 16 << 10
"""Size of what is not bytes, about: a result, a run."""


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


class Cache:
    """Keep the values that were used last; of a key, the one of its last validator."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most = most_bytes
        self._size = 0
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, tuple[Hashable, int, Any]] = OrderedDict()

    def get[T](self, key: Hashable, validator: Hashable, make: Callable[[], T]) -> T:
        """Return a value, worked out again if its validator is another one now.

        Parameters
        ----------
        key : hashable
            Names the value.
        validator : hashable
            Equal as long as the value is valid; taken before the value is worked out.
        make : callable
            Works it out.
        """
        with self._lock:
            kept = self._values.get(key)
            if kept is not None and kept[0] == validator:
                self._values.move_to_end(key)
                return cast("T", kept[2])
        value = make()
        size = _size(value)
        with self._lock:
            self._size += size - self._values.pop(key, (None, 0, None))[1]
            self._values[key] = validator, size, value
            while self._size > self._most:
                self._size -= self._values.popitem(last=False)[1][1]
        return value


def _size(value: object) -> int:
    if isinstance(value, tuple):
        return sum(map(_size, value))
    return len(value) if isinstance(value, bytes) else _USUAL_BYTES
