"""Work folders, which belong to one process and are removed when it is done or dead.

Unfinished files are in one; finished files leave it by a rename. What belongs here: creating a work
folder and removing those of dead processes. What does not: what is in them, and the staging files
of partitions, which their partition's lock guards (``publish``).
"""

import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from odum_assets.storage.locks import hold_lock, is_locked

_PREFIX = "work-"
_OWNER = ".owner"
_LOCK = ".lock"


@contextmanager
def scratch_folder(parent: Path, on_dead: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """Create a folder that is removed at the end; remove those of dead processes first.

    A folder is in use as long as its owner's lock is held. Process ids would not do: they are
    reused, and two containers that share a disk have the same ones.

    Parameters
    ----------
    parent : Path
        Where work folders are; created if it does not exist.
    on_dead : callable, optional
        Called with a dead process' folder before it is removed.

    Yields
    ------
    Path
        The folder, new and empty but for the owner's lock file.

    Raises
    ------
    OSError
        If it cannot be created.
    """
    folder = parent / f"{_PREFIX}{uuid.uuid4().hex}"
    parent.mkdir(parents=True, exist_ok=True)
    # No process sweeps between the creation of a folder and its owner's lock.
    with hold_lock(parent / _LOCK):
        _sweep(parent, on_dead)
        folder.mkdir()
        owner = hold_lock(folder / _OWNER)
        owner.__enter__()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        owner.__exit__(None, None, None)


def _sweep(parent: Path, on_dead: Callable[[Path], None] | None) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        if is_locked(folder / _OWNER):
            continue
        if on_dead is not None:
            on_dead(folder)
        shutil.rmtree(folder, ignore_errors=True)
