"""Removing what the results folder holds of a run.

The first step decides: one rename takes the summary, without which there is no result, to
``deleted/<run_id>.json``. Everything else is removed afterwards, and that file last, so whoever
finds it there goes on with the work of a process that died.

What belongs here: files. What does not: the registry's row, and the order of both
(``registry.deletion``).
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from odum_assets.results.run_id import is_run_id
from odum_assets.results.store import ResultStore
from odum_assets.results.stored_file import ResultError
from odum_assets.storage.addresses import location_of
from odum_assets.storage.copies import folders_in, named, pull, pull_folder, push, withdraw

_MARKED = "deleted"
_NOT_OF_RUNS = frozenset({_MARKED, "partitions"})


def paths_of(store: ResultStore, run_id: str) -> list[Path]:
    """Return the files and folders of a run, in all folders of the results.

    Raises
    ------
    ResultError
        If there is no such run.
    """
    if not store.is_known(run_id):
        raise ResultError(f"no run {run_id} in {location_of(store.root)}")
    paths = list(_parts(store, run_id))
    for path in paths:
        pull_folder(path) if path.parent.name == "report" else pull(path)
    return paths


def size_of(paths: list[Path]) -> int:
    """Return the bytes of files and folders; links are not followed."""
    files = (
        file
        for path in paths
        for file in (path.rglob("*") if path.is_dir() and not path.is_symlink() else (path,))
    )
    return sum(file.lstat().st_size for file in files if not file.is_dir())


def mark_deleted(store: ResultStore, run_id: str) -> Path:
    """Take the summary of a run, or the record of one without a result, out of the results.

    The caller holds `ResultStore.publish_lock`.

    Returns
    -------
    Path
        Where it was, for `unmark_deleted`.

    Raises
    ------
    ResultError
        If there is no such run.
    """
    for source in (store.fast_path(run_id), store.failed_path(run_id)):
        if source.is_file():
            with store.explained():
                target = _mark(store, run_id)
                target.parent.mkdir(exist_ok=True)
                push(source, target)
                withdraw(source)
                source.rename(target)
            return source
    raise ResultError(f"no run {run_id} in {location_of(store.root)}")


def unmark_deleted(store: ResultStore, run_id: str, source: Path) -> None:
    """Put the summary back, as long as nothing else was removed."""
    mark = _mark(store, run_id)
    push(mark, source)
    withdraw(mark)
    mark.rename(source)


def marked_deleted(store: ResultStore) -> list[str]:
    """Return the runs whose other files are still to be removed."""
    names = (path.stem for path in store.listed(_MARKED))
    return sorted(name for name in names if is_run_id(name))


def remove_marked(store: ResultStore, run_id: str) -> None:
    """Remove what is left of a run whose summary is out of the results.

    The caller holds `ResultStore.publish_lock`.

    Raises
    ------
    ResultError
        If something cannot be removed; the next deletion tries again.
    """
    mark = _mark(store, run_id)
    with store.explained():
        for path in _parts(store, run_id):
            store.discard(path)
        _forget_pointer(store, mark, run_id)
        store.discard(mark)
    with suppress(OSError):
        mark.parent.rmdir()


def _parts(store: ResultStore, run_id: str) -> Iterator[Path]:
    for folder in folders_in(store.root):
        path = store.root / folder
        if not folder.startswith(".") and folder not in _NOT_OF_RUNS and not path.is_symlink():
            yield from named(path, run_id)


def _forget_pointer(store: ResultStore, mark: Path, run_id: str) -> None:
    """Remove the file that names the run as its partition's latest one."""
    with suppress(OSError, ValueError, KeyError, TypeError, ResultError):
        metadata = json.loads(mark.read_text(encoding="utf-8"))["metadata"]
        pointer = store.pointer_path(metadata["config_name"], metadata["partition"])
        if json.loads(pointer.read_text(encoding="utf-8"))["run_id"] == run_id:
            store.discard(pointer)


def _mark(store: ResultStore, run_id: str) -> Path:
    return store.root / _MARKED / f"{run_id}.json"
