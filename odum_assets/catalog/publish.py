"""Locks, and the change from unfinished files to a partition that readers see.

Everything is finished and synced in ``.staging`` first; then the old data file goes, the new one
takes its place, and the manifest is replaced last. A process that dies at any moment leaves the old
partition, the new one, or a manifest that names a file which is not there: never two days' worth of
rows and never half a file. What it leaves in staging is removed by the next conversion.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from odum_assets.catalog.manifest import load_manifest
from odum_assets.catalog.partition_writer import sync
from odum_assets.catalog.paths import PartitionPaths
from odum_assets.errors import DataError


@contextmanager
def held(lock: Path) -> Iterator[None]:
    """Hold an exclusive lock on a lock file; wait while another process has it.

    The system gives the lock up when the process ends, however it ends. Lock files stay: removing
    one would let two processes lock two files of the same name.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def clear_staging(paths: PartitionPaths) -> None:
    """Make the staging folder and remove what a dead conversion of this partition left in it.

    Call it with the partition's lock held.
    """
    paths.staging_folder.mkdir(parents=True, exist_ok=True)
    for left in paths.staging_folder.glob(f"{paths.staging_prefix}*"):
        left.unlink(missing_ok=True)


def publish(paths: PartitionPaths, data_name: str, manifest_text: str, *, rejects: bool) -> None:
    """Put the staged data file, rejects and manifest in their places.

    Call it with the partition's lock held, and the staged files closed and verified.

    Parameters
    ----------
    paths : PartitionPaths
        The partition.
    data_name : str
        Name of the data file.
    manifest_text : str
        The manifest.
    rejects : bool
        Whether there is a staged side file of rejects.
    """
    staged_manifest = write_synced(paths.staged("manifest"), manifest_text)
    if rejects:
        sync(paths.staged("rejects"))
    paths.data_folder.mkdir(parents=True, exist_ok=True)
    paths.manifest_folder.mkdir(parents=True, exist_ok=True)
    with held(paths.publish_lock):
        _refuse_shared_folder(paths)
        _remove_unnamed(paths, keep=data_name)
        paths.staged("data").replace(paths.data_folder / data_name)
        _sync_folder(paths.data_folder)
        if rejects:
            paths.staged("rejects").replace(paths.rejects)
        else:
            paths.rejects.unlink(missing_ok=True)
        staged_manifest.replace(paths.manifest)
        _sync_folder(paths.manifest_folder)


def write_synced(path: Path, text: str) -> Path:
    """Write a text file and wait until it is on the disk; return its path."""
    path.write_text(text, encoding="utf-8")
    sync(path)
    return path


def _remove_unnamed(paths: PartitionPaths, keep: str) -> None:
    """Remove data files that no manifest of another day names, except the one about to be replaced.

    That is the partition's old file, and what a conversion killed between two renames has left.
    """
    named = {keep}
    for path in paths.manifest_folder.glob("*.json"):
        if path == paths.manifest:
            continue
        try:
            named.add(load_manifest(path).file.name)
        except DataError:
            return  # it cannot be told whose the files are: leave them all
    for file in paths.data_folder.glob("*.parquet"):
        if file.name not in named:
            file.unlink(missing_ok=True)


def _refuse_shared_folder(paths: PartitionPaths) -> None:
    """Raise if another key of the same Nautilus id has partitions: they would mix in one folder."""
    for folder in (paths.catalog_root / "manifests").iterdir():
        if folder.name == paths.key.slug:
            continue
        for path in folder.glob("*/*.json"):
            other = load_manifest(path)
            if other.nautilus_id == paths.key.nautilus_id:
                raise DataError(
                    f"{paths.key} and {other.key} are both {other.nautilus_id} to Nautilus, and "
                    f"the catalog {paths.catalog_root} holds data of {other.key} already. "
                    "Use one of the two spellings, or another catalog."
                )
            break  # all manifests of a folder are of one key


def _sync_folder(folder: Path) -> None:
    sync(folder)
