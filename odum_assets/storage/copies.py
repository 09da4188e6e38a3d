"""Local copies of objects, kept equal to what the bucket holds.

A copy is current when it has the size and the md5 that the bucket names: nothing else is kept of
it, so a damaged copy is fetched again. Every function does nothing for a path that is no copy:
local folders are used as they are.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final

from odum_assets.errors import OdumError
from odum_assets.storage.addresses import address_of
from odum_assets.storage.buckets import Bucket
from odum_assets.storage.objects import ABSENT, ObjectStat, md5_of

_THREADS: Final = 16
"""Objects that are brought at the same time: each costs little but its way."""


def bucket_of(path: Path) -> tuple[Bucket, str] | None:
    """Return the bucket folder around the object that a path is the copy of, and its name there."""
    address = address_of(path)
    if address is None:
        return None
    folder, _, name = address.rpartition("/")
    return Bucket(folder), name


def pull(*paths: Path) -> None:
    """Bring the copies of objects up to date; a call for each, another for one that changed.

    Raises
    ------
    DataError
        If the bucket cannot be read.
    """
    wanted = [(path, location) for path in paths if (location := bucket_of(path)) is not None]
    _in_parallel([(path, bucket, name, bucket.stat(name)) for path, (bucket, name) in wanted])


def pull_folder(folder: Path, suffix: str = "") -> None:
    """Bring the copies of all objects below a folder up to date; a call for each 1,000 of them.

    Parameters
    ----------
    folder : Path
        The folder.
    suffix : str, optional
        How the names of the objects end.

    Raises
    ------
    DataError
        If the bucket cannot be read.
    """
    address = address_of(folder)
    if address is None:
        return
    bucket = Bucket(address)
    stats = {name: stat for name, stat in bucket.listing().items() if name.endswith(suffix)}
    for path in folder.rglob(f"*{suffix}"):
        name = path.relative_to(folder).as_posix()
        if name not in stats and not name.startswith(".") and "/." not in name and path.is_file():
            path.unlink(missing_ok=True)
    _in_parallel([(folder / name, bucket, name, stat) for name, stat in stats.items()])


def folders_in(folder: Path) -> list[str]:
    """Return the names of the folders in a folder, in order; none without it."""
    address = address_of(folder)
    if address is not None:
        return Bucket(address).folders()
    return sorted(path.name for path in folder.glob("*") if path.is_dir())


def names_in(folder: Path) -> list[str]:
    """Return the names of what is in a folder, in order; none without it."""
    address = address_of(folder)
    if address is not None:
        return sorted(Bucket(address).listing())
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def pull_one(folder: Path, suffix: str) -> None:
    """Bring the copy of one of the objects below a folder, unless one is there."""
    address = address_of(folder)
    if address is not None and next(folder.rglob(f"*{suffix}"), None) is None:
        bucket = Bucket(address)
        for name, stat in bucket.first().items():
            if name.endswith(suffix):
                bucket.fetch(name, folder / name, stat)


def named(folder: Path, name: str) -> list[Path]:
    """Return the folder of a name, and the files of that name with any suffix, in a folder."""
    address = address_of(folder)
    if address is not None:
        parts = {entry.partition("/")[0] for entry in Bucket(address).listing("", name)}
        return [folder / part for part in sorted(parts) if part == name or part[len(name)] == "."]
    own = folder / name
    return [own] * (own.is_dir() or own.is_symlink()) + sorted(folder.glob(f"{name}.*"))


def exists(path: Path) -> bool:
    """Return whether there is a file or folder, or an object or objects that it stands for."""
    location = bucket_of(path)
    if location is None:
        return path.exists()
    bucket, name = location
    return bucket.stat(name) is not None or bucket.has(name)


def size_of_file(path: Path) -> int | None:
    """Return the bytes of a file, or of the object that a path stands for; None without it."""
    location = bucket_of(path)
    if location is None:
        return path.stat().st_size if path.is_file() else None
    stat = location[0].stat(location[1])
    return None if stat is None else stat.size


def generation(path: Path) -> str | None:
    """Return the present generation of an object, for `push`; None for a file of its own."""
    location = bucket_of(path)
    if location is None:
        return None
    stat = location[0].stat(location[1])
    return ABSENT if stat is None else stat.generation


def is_same(source: Path, target: Path) -> bool:
    """Return whether the object that a path stands for has the bytes of a file."""
    location = bucket_of(target)
    stat = None if location is None else location[0].stat(location[1])
    return stat is not None and stat.md5 == md5_of(source)


def push(source: Path, target: Path, expected: str | None = None) -> None:
    """Write a file, or all files of a folder, into the bucket that the target stands for.

    Parameters
    ----------
    source : Path
        Finished; it is left where it is.
    target : Path
        The copy that it becomes.
    expected : str, optional
        The generation that the object, or each of them, must have; any by default.

    Raises
    ------
    ObjectChangedError
        If it has another one.
    DataError
        If it cannot be written.
    """
    location = bucket_of(target)
    if location is None:
        return
    bucket, name = location
    if not source.is_dir():
        bucket.put(name, source, expected)
        return
    files = sorted(path for path in source.rglob("*") if path.is_file())
    with ThreadPoolExecutor(_THREADS) as pool:
        list(
            pool.map(
                lambda path: bucket.put(
                    f"{name}/{path.relative_to(source).as_posix()}", path, expected
                ),
                files,
            )
        )


def withdraw(*paths: Path) -> None:
    """Remove the objects that paths are copies of, those below folders too.

    Raises
    ------
    DataError
        If one cannot be removed.
    """
    for path in paths:
        location = bucket_of(path)
        if location is None:
            continue
        bucket, name = location
        bucket.remove(name)
        for inner in bucket.listing(name):
            bucket.remove(inner)


def withdraw_if_possible(paths: Iterable[Path]) -> None:
    """Remove objects as `withdraw`, in order, up to the first that cannot be removed."""
    with suppress(OdumError):
        withdraw(*paths)


def _in_parallel(wanted: list[tuple[Path, Bucket, str, ObjectStat | None]]) -> None:
    outdated = [entry for entry in wanted if not _is_current(entry[0], entry[3])]
    if len(outdated) < 2:
        for copy in outdated:
            _bring(*copy)
        return
    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(lambda pair: _bring(*pair), outdated))


def _bring(path: Path, bucket: Bucket, name: str, stat: ObjectStat | None) -> None:
    if stat is None:
        path.unlink(missing_ok=True)
    else:
        bucket.fetch(name, path, stat)


def _is_current(path: Path, stat: ObjectStat | None) -> bool:
    if stat is None:
        return not path.exists()
    try:
        return path.stat().st_size == stat.size and md5_of(path) == stat.md5
    except FileNotFoundError:
        return False
