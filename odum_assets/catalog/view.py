"""A catalog of exactly the partitions that one run asks for, checked against their manifests.

Readers trust manifests, not listings: the view holds hard links (copies across file systems) to the
data files that manifests name, and stays as it is when the catalog changes underneath.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from odum_assets.catalog.links import require_inside
from odum_assets.catalog.manifest import PartitionManifest, load_manifest, read_manifest
from odum_assets.catalog.paths import PartitionPaths, series_folder
from odum_assets.errors import DataError
from odum_assets.instruments import InstrumentKey
from odum_assets.raw.layout import DataType, raw_file_path
from odum_assets.storage.addresses import address_of, location_of
from odum_assets.storage.cache import drop, link_cached
from odum_assets.storage.copies import bucket_of, pull
from odum_assets.storage.files import hash_file, link_or_copy
from odum_assets.storage.locks import shared


@dataclass(frozen=True, slots=True)
class PartitionRequest:
    """Days of one instrument and data type that a run needs."""

    key: InstrumentKey
    data_type: DataType
    days: tuple[date, ...]


def catalog_view(
    catalog_root: Path, requests: Sequence[PartitionRequest], destination: Path
) -> list[PartitionManifest]:
    """Make a folder that is a Nautilus catalog of exactly the partitions asked for.

    Parameters
    ----------
    catalog_root : Path
        The catalog.
    requests : sequence of PartitionRequest
        What is needed; every day of every request.
    destination : Path
        The view; made, must not hold data yet. Instrument definitions are the caller's to add.

    Returns
    -------
    list of PartitionManifest
        The manifests, in the order of requests and days.

    Raises
    ------
    DataError
        If partitions are missing (all of them are named, with what to run) or damaged, or a link
        leads out of the catalog.
    """
    wanted = [
        PartitionPaths(catalog_root, request.key, request.data_type, day)
        for request in requests
        for day in request.days
    ]
    missing = [
        paths
        for paths in wanted
        if read_manifest(catalog_root, paths.key, paths.data_type, paths.day) is None
    ]
    if missing:
        raise DataError(_missing_message(catalog_root, missing))
    return [_link_partition(paths, destination) for paths in wanted]


def _link_partition(paths: PartitionPaths, destination: Path) -> PartitionManifest:
    """Bring one partition into the view."""
    folder = series_folder(destination, paths.key, paths.data_type)
    folder.mkdir(parents=True, exist_ok=True)
    require_inside(paths.catalog_root, paths.manifest)
    manifest, is_intact = _linked(paths, folder)
    if not is_intact and address_of(paths.manifest) is not None:
        # A cached file is damaged, or another machine has just replaced the partition.
        drop(manifest.file.sha256)
        pull(paths.manifest)
        manifest, is_intact = _linked(paths, folder)
    if is_intact:
        return manifest
    raise DataError(
        f"{location_of(paths.data_folder)}: the data file of {paths.day.isoformat()} is missing or "
        f"differs from its manifest {location_of(paths.manifest)}. Run: {_command(paths)} --force"
    )


def _linked(paths: PartitionPaths, folder: Path) -> tuple[PartitionManifest, bool]:
    """Link the data file of a partition; return its manifest, and whether the two fit."""
    # No conversion replaces the one without the other between the two.
    with shared(paths.manifest_lock):
        try:
            manifest = load_manifest(paths.manifest)
        except FileNotFoundError:
            raise DataError(_missing_message(paths.catalog_root, [paths])) from None
        linked = folder / manifest.file.name
        linked.unlink(missing_ok=True)  # the same day may be asked for twice
        is_there = _link(manifest, paths.catalog_root, linked)
    return manifest, is_there and hash_file(linked) == manifest.file.sha256


def _link(manifest: PartitionManifest, catalog_root: Path, linked: Path) -> bool:
    """Link a data file, one in a bucket by way of the cache; return False if it is not there."""
    data = manifest.data_path(catalog_root)
    location = bucket_of(data)
    if location is None:
        return link_or_copy(data, linked)
    bucket, name = location

    def fetch(target: Path) -> None:
        stat = bucket.stat(name)
        if stat is not None:
            bucket.fetch(name, target, stat)

    return link_cached(manifest.file.sha256, fetch, linked)


def _missing_message(catalog_root: Path, missing: list[PartitionPaths]) -> str:
    lines = [
        f"  {paths.key} {paths.data_type.value} {paths.day.isoformat()}: expects "
        f"{raw_file_path('', paths.day, paths.data_type, str(paths.key))[1:]} under the raw root; "
        f"run: {_command(paths)}"
        for paths in missing
    ]
    return "\n".join([f"The catalog {location_of(catalog_root)} lacks partitions:", *lines])


def _command(paths: PartitionPaths) -> str:
    return (
        f"odum convert --instrument '{paths.key}' --data-type {paths.data_type.value} "
        f"--day {paths.day.isoformat()}"
    )
