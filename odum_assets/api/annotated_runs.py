"""Tags, notes and stars of all runs, from their files, read again when one has changed."""

import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import PurePath
from typing import Final, NamedTuple

from odum_assets.results.annotations import Annotations, read_annotations
from odum_assets.results.run_id import is_run_id
from odum_assets.results.store import ResultStore
from odum_assets.results.stored_file import ResultError

_FOLDER: Final = "annotations"
_UNSETTLED_NS: Final = 100_000_000
"""Two changes within a tick of the clock leave the folder with one time."""


class AnnotatedRuns(NamedTuple):
    """What people say of runs; `version` is another one after each change."""

    by_run: Mapping[str, Annotations]
    version: int


class AnnotationIndex:
    """Know the annotations of all runs; few have any.

    Parameters
    ----------
    store : ResultStore
        The results.
    """

    def __init__(self, store: ResultStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._folder: tuple[int, int] | None = None
        self._files: dict[str, tuple[int, int, int]] = {}
        self._known = AnnotatedRuns({}, 0)

    def now(self) -> AnnotatedRuns:
        """Return the annotations of all runs; a file that cannot be read is left out."""
        with self._lock:
            folder = self._stat_of_folder()
            if folder is None or folder != self._folder:
                self._read()
                self._folder = folder
            return self._known

    def _stat_of_folder(self) -> tuple[int, int] | None:
        """Return what changes when a file of the folder is replaced, None while it may change."""
        try:
            stat = (self._store.root / _FOLDER).stat()
        except FileNotFoundError:
            return 0, 0
        except OSError:
            return None
        is_settled = time.time_ns() - stat.st_mtime_ns > _UNSETTLED_NS
        return (stat.st_mtime_ns, stat.st_ino) if is_settled else None

    def _read(self) -> None:
        files: dict[str, tuple[int, int, int]] = {}
        with suppress(OSError), os.scandir(self._store.root / _FOLDER) as entries:
            for entry in entries:
                name = PurePath(entry.name)
                if name.suffix == ".json" and is_run_id(name.stem):
                    with suppress(OSError):
                        stat = entry.stat()
                        files[name.stem] = stat.st_mtime_ns, stat.st_size, stat.st_ino
        if files == self._files:
            return
        annotations: dict[str, Annotations] = {}
        for run_id, identity in files.items():
            if self._files.get(run_id) == identity and run_id in self._known.by_run:
                annotations[run_id] = self._known.by_run[run_id]
                continue
            with suppress(ResultError):
                annotations[run_id] = read_annotations(self._store.file(_FOLDER, f"{run_id}.json"))
        self._files = files
        self._known = AnnotatedRuns(annotations, self._known.version + 1)
