"""The change from unfinished files to a partition that readers see.

Everything is finished and synced in ``.staging`` first. Then the old partition's manifest goes, its
data file, and the new files take their places, the manifest last; readers of manifests wait for
these few renames. A manifest that can be read thus always fits the file that it names. A process
that dies leaves the old partition, the new one, or none: never two days' worth of rows and never
half a file. One that meets an error puts the old partition back. What is left in staging is removed
by the next conversion or backtest.
"""

from contextlib import suppress
from pathlib import Path

from odum_assets.catalog.manifest import load_manifest
from odum_assets.catalog.paths import PartitionPaths
from odum_assets.errors import DataError
from odum_assets.storage.files import sync, write_synced
from odum_assets.storage.locks import held, held_if_free


def clear_staging(paths: PartitionPaths) -> None:
    """Make the staging folder and remove what a dead conversion of this partition left in it.

    Call it with the partition's lock held.
    """
    paths.staging_folder.mkdir(parents=True, exist_ok=True)
    for left in paths.staging_folder.glob(f"{paths.staging_prefix}*"):
        left.unlink(missing_ok=True)


def sweep_staging(catalog_root: Path) -> None:
    """Remove what dead conversions of any partition left; what is under way keeps its files.

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
    with held(paths.publish_lock):
        _refuse_shared_folder(paths)
        _refuse_foreign_files(paths)
        paths.data_folder.mkdir(parents=True, exist_ok=True)
        paths.manifest_folder.mkdir(parents=True, exist_ok=True)
        with held(paths.manifest_lock):
            old = [each for each in (manifest, paths.rejects) if each.is_file()]
            old += _unnamed(paths, data)
            _move_all(
                paths.staging_folder,
                [
                    *((each, paths.staged(f"old-{number}")) for number, each in enumerate(old)),
                    (paths.staged("data"), data),
                    *([(paths.staged("rejects"), paths.rejects)] if rejects else []),
                    (staged_manifest, manifest),
                ],
            )


def _move_all(staging: Path, moves: list[tuple[Path, Path]]) -> None:
    """Rename files into or out of staging, in order; on an error move back what has been moved.

    A folder is synced before the turn of the next, so that the order holds when the power fails.
    """
    done: list[tuple[Path, Path]] = []
    last: Path | None = None
    try:
        for source, target in moves:
            place = (target if source.parent == staging else source).parent
            if last is not None and last != place:
                sync(last)
            last = place
            source.rename(target)
            done.append((source, target))
        if last is not None:
            sync(last)
    except BaseException:
        for source, target in reversed(done):
            target.rename(source)
        raise


def _unnamed(paths: PartitionPaths, data: Path) -> list[Path]:
    """Return the data files that no manifest of another day names.

    That is the partition's old file, what a conversion killed between two renames has left, and in
    any case what lies where the new file goes.
    """
    named: set[str] = set()
    for path in paths.manifest_folder.glob("*.json"):
        if path == paths.manifest:
            continue
        try:
            named.add(load_manifest(path).file.name)
        except DataError:
            # Whose the other files are cannot be told: leave them.
            return [data] if data.is_file() else []
    files = paths.data_folder.glob("*.parquet")
    return [file for file in files if file.name not in named or file == data]


def _refuse_foreign_files(paths: PartitionPaths) -> None:
    """Raise if the instrument's folder holds data before its first partition: they are not ours."""
    if paths.manifest_folder.is_dir():
        return
    foreign = sorted(paths.data_folder.glob("*.parquet"))
    if foreign:
        raise DataError(
            f"{paths.data_folder}: {len(foreign)} data files lie here that no conversion wrote, "
            f"such as {foreign[0].name}. They stay as they are; set DATA_CATALOG_PATH to a folder "
            "of its own, or move them away."
        )


def _refuse_shared_folder(paths: PartitionPaths) -> None:
    """Raise if another key of the same Nautilus id has partitions: they would mix in one folder."""
    for folder in (paths.catalog_root / "manifests").glob("*"):
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
