"""What was made of files, kept until they change."""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path

type Stamp = tuple[int, int, int] | None


def stamp_of(path: Path) -> Stamp:
    """Return what changes when a file does; a link's is its own, none for what is not there."""
    try:
        stat = os.lstat(path)
    except FileNotFoundError:
        return None
    # Not the time of its content: that permissions were mended is a change, too.
    return stat.st_ctime_ns, stat.st_size, stat.st_ino


class FileCache[T]:
    """Keep what was made of the files that were used last.

    Parameters
    ----------
    most : int
        How many.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[Path, ...], tuple[tuple[Stamp, ...], T]] = OrderedDict()

    def get(self, paths: Iterable[Path], make: Callable[[], T]) -> T:
        """Return what was made of files, anew if any has changed.

        Parameters
        ----------
        paths : iterable of Path
            The files; one that is not there may come.
        make : callable
            Makes it.
        """
        names = tuple(paths)
        stamps = tuple(map(stamp_of, names))
        with self._lock:
            kept = self._kept.get(names)
            if kept is not None and kept[0] == stamps:
                self._kept.move_to_end(names)
                return kept[1]
        made = make()
        with self._lock:
            self._kept[names] = stamps, made
            self._kept.move_to_end(names)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return made
