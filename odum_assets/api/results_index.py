"""Which results there are: the one place of the service that lists them.

It reads the summary files of the result store, each once; a registry can take its place for lists.
"""

import os
import threading
from dataclasses import dataclass
from typing import Any

from odum_assets.results.store import ResultEntry, ResultError, ResultStore

type _Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class ListedResult:
    """What a list shows of a result; `summary` holds the figures."""

    run_id: str
    mode: str
    config_name: str
    partition: str
    instrument: str
    dataset: str
    start: str | None
    end: str | None
    created_at: str
    digest: str
    snapshot_mode: str
    summary: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Listing:
    """All results, newest first, and what is wrong with files that are none."""

    results: tuple[ListedResult, ...]
    damaged: tuple[str, ...]


class ResultsIndex:
    """List the results of a store; a file is read again only when it has changed.

    Parameters
    ----------
    store : ResultStore
        The store.
    """

    def __init__(self, store: ResultStore) -> None:
        self.store = store
        self._lock = threading.Lock()
        self._known: dict[str, tuple[_Stamp, ListedResult | str]] = {}
        self._listing = Listing((), ())

    def listing(self) -> Listing:
        """Return what there is now."""
        with self._lock:
            found = self._stamps()
            changed = [
                name
                for name, stamp in found.items()
                if name not in self._known or self._known[name][0] != stamp
            ]
            gone = self._known.keys() - found.keys()
            for name in gone:
                del self._known[name]
            for name in changed:
                self._known[name] = (found[name], self._read(name))
            if changed or gone:
                self._listing = _sorted([each for _, each in self._known.values()])
            return self._listing

    def entry(self, run_id: str) -> ResultEntry:
        """Return one result in full.

        Raises
        ------
        ResultError
            If there is none of this id, or it cannot be read.
        """
        return self.store.entry(run_id)

    def _stamps(self) -> dict[str, _Stamp]:
        found = {}
        try:
            with os.scandir(self.store.root / "fast") as files:
                for file in files:
                    if file.name.endswith(".json") and not file.name.startswith("."):
                        stat = file.stat(follow_symlinks=False)
                        found[file.name] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        except FileNotFoundError:
            return {}
        return found

    def _read(self, name: str) -> ListedResult | str:
        try:
            entry = self.store.entry(name.removesuffix(".json"))
            document, metadata = entry.document, entry.metadata()
            return ListedResult(
                run_id=entry.run_id,
                mode=entry.mode,
                config_name=entry.config_name,
                partition=entry.partition,
                instrument=document["instrument"],
                dataset=document["dataset"],
                start=document["start"],
                end=document["end"],
                created_at=entry.created_at,
                digest=entry.digest,
                snapshot_mode=metadata["snapshot_mode"],
                summary=entry.summary(),
            )
        except ResultError as error:
            return str(error)
        except KeyError as error:
            return f"{name}: not a result that this version can read (no {error})"


def _sorted(found: list[ListedResult | str]) -> Listing:
    results = [each for each in found if isinstance(each, ListedResult)]
    results.sort(key=lambda each: (each.created_at, each.run_id), reverse=True)
    return Listing(tuple(results), tuple(sorted(each for each in found if isinstance(each, str))))
