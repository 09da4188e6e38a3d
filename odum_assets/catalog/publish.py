"""The change from unfinished files to a partition that readers see.

Everything is finished and synced in ``.staging`` first. Then the old partition's manifest goes, its
data file, and the new files take their places, the manifest last; readers of manifests wait for
these few renames. A manifest that can be read thus always fits the file that it names. A process
that dies leaves the old partition, the new one, or none: never two days' worth of rows and never
half a file. One that meets an error puts the old partition back. What is left in staging is removed
by the next conversion or backtest. In a bucket there are neither renames nor locks: there the
manifest decides, and every write has the condition that nobody else wrote meanwhile.
"""

from contextlib import suppress
from pathlib import Path

from odum_assets.catalog.links import require_inside
from odum_assets.catalog.manifest import PartitionManifest, load_manifest
from odum_assets.catalog.paths import PartitionPaths, manifest_lock
from odum_assets.errors import DataError
from odum_assets.storage.addresses import address_of
from odum_assets.storage.cache import keep
from odum_assets.storage.copies import (
    folders_in,
    generation,
    is_same,
    pull,
    pull_one,
    push,
    withdraw,
)
from odum_assets.storage.files import hash_file, sync, write_synced
from odum_assets.storage.locks import held_if_free, hold_lock, shared
from odum_assets.storage.objects import ABSENT


def clear_staging(paths: PartitionPaths) -> None:
    """Make the staging folder and remove what a dead conversion of this partition left in it.

    Call it with the partition's lock held.
    """
    paths.staging_folder.mkdir(parents=True, exist_ok=True)
    for left in paths.staging_folder.glob(f"{paths.staging_prefix}*"):
        left.unlink(missing_ok=True)


def sweep_staging(catalog_root: Path) -> None:
    """Remove what dead conversions of any partition left; active ones keep their files.

    A partition whose conversion died before it changed anything may never be converted again. A
    catalog that may not be written stays as it is.
    """
    for left in (catalog_root / ".staging").glob("*.part"):
        partition = left.name.removesuffix(".part").rpartition(".")[0]
        lock = catalog_root / ".locks" / f"{partition}.lock"
        with suppress(OSError), held_if_free(lock) as is_free:
            if is_free:
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
    data, manifest = paths.data_folder / data_name, paths.manifest
    with hold_lock(paths.publish_lock):
        is_alone = _require_own_folder(paths)
        if address_of(paths.catalog_root) is not None:
            _publish_in_bucket(paths, data, staged_manifest, rejects=rejects)
            return
        _refuse_foreign_files(paths)
        paths.data_folder.mkdir(parents=True, exist_ok=True)
        paths.manifest_folder.mkdir(parents=True, exist_ok=True)
        with hold_lock(paths.manifest_lock):
            old = [path for path in (manifest, paths.rejects) if path.is_file()]
            old += _unnamed(paths, data, is_alone=is_alone)
            _move_all(
                paths.staging_folder,
                [
                    *((path, paths.staged(f"old-{number}")) for number, path in enumerate(old)),
                    (paths.staged("data"), data),
                    *([(paths.staged("rejects"), paths.rejects)] if rejects else []),
                    (staged_manifest, manifest),
                ],
            )


def _publish_in_bucket(
    paths: PartitionPaths, data: Path, staged_manifest: Path, *, rejects: bool
) -> None:
    """Write data, then rejects, then the manifest, each on the condition that nobody else does.

    Whoever reads meanwhile finds the old partition or the new one. Where the new rows have the
    times of the old ones, and so the name of their file, he may find none: then the manifest is
    removed before the data are replaced.

    Raises
    ------
    ObjectChangedError
        If another machine publishes the same partition.
    """
    expected = generation(paths.manifest)
    pull(paths.manifest)
    old = _own_file(paths)
    present = generation(data)
    if not is_same(paths.staged("data"), data):
        if data in old and present != ABSENT:
            withdraw(paths.manifest)
            expected = ABSENT
        push(paths.staged("data"), data, present)
    if rejects:
        push(paths.staged("rejects"), paths.rejects)
    push(staged_manifest, paths.manifest, expected)
    withdraw(*(file for file in old if file != data), *([] if rejects else [paths.rejects]))
    keep(hash_file(paths.staged("data")), paths.staged("data"))
    paths.manifest_folder.mkdir(parents=True, exist_ok=True)
    staged_manifest.replace(paths.manifest)


def _move_all(staging: Path, moves: list[tuple[Path, Path]]) -> None:
    """Rename files into or out of staging, in order; on an error move back what has been moved.

    A folder is synced before the turn of the next, so that the order holds when the power fails.
    """
    done: list[tuple[Path, Path]] = []
    last: Path | None = None
    try:
        for source, target in moves:
            folder = (target if source.parent == staging else source).parent
            if last is not None and last != folder:
                sync(last)
            last = folder
            source.rename(target)
            done.append((source, target))
        if last is not None:
            sync(last)
    except BaseException:
        for source, target in reversed(done):
            target.rename(source)
        raise


def _unnamed(paths: PartitionPaths, data: Path, *, is_alone: bool) -> list[Path]:
    """Return the data files that no manifest of another day names.

    That is the partition's old file, what a conversion killed between two renames has left, and in
    any case what lies where the new file goes. Where a manifest cannot be read, or other keys may
    use the folder (not `is_alone`), it is not known whose the other files are: they stay.
    """
    named: set[str] = set()
    own = {data, *_own_file(paths)}
    old = [file for file in own if file.is_file()]
    if not is_alone:
        return old
    for path in paths.manifest_folder.glob("*.json"):
        if path == paths.manifest:
            continue
        try:
            named.add(load_manifest(path).file.name)
        except (DataError, FileNotFoundError):
            return old
    files = paths.data_folder.glob("*.parquet")
    return [file for file in files if file.name not in named or file in own]


def _own_file(paths: PartitionPaths) -> list[Path]:
    """Return the data file that the partition's present manifest names, if that can be read."""
    try:
        return [paths.data_folder / load_manifest(paths.manifest).file.name]
    except (DataError, FileNotFoundError):
        return []


def _refuse_foreign_files(paths: PartitionPaths) -> None:
    """Raise if the instrument's folder holds data before its first partition: they are not ours."""
    if paths.manifest_folder.is_dir():
        return
    foreign = sorted(paths.data_folder.glob("*.parquet"))
    if foreign:
        raise DataError(
            f"{paths.data_folder}: {len(foreign)} data files were not written by a conversion, "
            f"such as {foreign[0].name}. They are not changed; set DATA_CATALOG_PATH to a folder "
            "of its own, or move them away."
        )


def _require_own_folder(paths: PartitionPaths) -> bool:
    """Raise if another key of the same Nautilus id has partitions: they would mix in one folder.

    Returns
    -------
    bool
        Whether that is known of every other key: one whose manifests are all damaged may be of the
        same id.
    """
    is_known = True
    for slug in folders_in(paths.catalog_root / "manifests"):
        pull_one(paths.catalog_root / "manifests" / slug, ".json")
    for folder in (paths.catalog_root / "manifests").glob("*/*"):
        if folder.parent.name == paths.key.slug or not folder.is_dir():
            continue
        other = _any_manifest(paths.catalog_root, folder)
        if other is None:
            is_known = is_known and not any(folder.glob("*.json"))
        elif other.nautilus_id == paths.key.nautilus_id:
            raise DataError(
                f"{paths.key} and {other.key} have the same NautilusTrader id {other.nautilus_id}, "
                f"and the catalog {paths.catalog_root} holds data of {other.key} already. "
                "Use one of the two spellings, or another catalog."
            )
    return is_known


def _any_manifest(catalog_root: Path, folder: Path) -> PartitionManifest | None:
    """Return the first manifest of a folder that can be used: all of them are of one key."""
    with shared(manifest_lock(catalog_root, folder.parent.name, folder.name)):
        for path in sorted(folder.glob("*.json")):
            try:
                require_inside(catalog_root, path)
                return load_manifest(path)
            except (DataError, FileNotFoundError):
                continue
    return None
