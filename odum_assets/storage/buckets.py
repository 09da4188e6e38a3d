"""Folders in buckets: listed, objects read whole, and written on a condition.

What belongs here: what holds for every service. What does not: the calls of one (``google``,
``s3``). A repeated request is harmless: whoever finds his own bytes there has written them.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from odum_assets.errors import DataError
from odum_assets.storage.addresses import SCHEMES
from odum_assets.storage.google import GoogleObjects
from odum_assets.storage.objects import PAGE, ObjectService, ObjectStat, Page, md5_of
from odum_assets.storage.s3 import S3Objects
from odum_assets.storage.stores import open_store, store_errors

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_TRIES: Final = 3
_FEW: Final = 3

_SERVICES: Final[dict[str, ObjectService]] = {"gs": GoogleObjects(), "s3": S3Objects()}
_CREATE: Final = {
    "gs": "gcloud storage buckets create {bucket}",
    "s3": "aws s3 mb {bucket}",
}


class ObjectChangedError(DataError):
    """Report an object that another process wrote or removed first."""


class Bucket:
    """A folder in a bucket.

    Parameters
    ----------
    address : str
        ``gs://bucket/prefix`` or ``s3://bucket/prefix``.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._service = _SERVICES[SCHEMES[address.partition("://")[0]]]

    def listing(self, folder: str = "", start: str = "") -> dict[str, ObjectStat]:
        """Return all objects below a folder, by their name from here; a call for each 1,000.

        Parameters
        ----------
        folder : str, optional
            All of the bucket folder by default.
        start : str, optional
            How their names go on.

        Raises
        ------
        DataError
            If the bucket does not exist or cannot be read.
        """
        return {
            f"{folder}/{name}".lstrip("/"): stat
            for page in self._pages(folder, start)
            for name, stat in page.objects.items()
        }

    def first(self) -> dict[str, ObjectStat]:
        """Return a few of all objects, the first by name; errors as `listing`."""
        return next(self._pages("", most=_FEW)).objects

    def folders(self, folder: str = "") -> list[str]:
        """Return the names of the folders in a folder, in order; errors as `listing`."""
        pages = self._pages(folder, is_deep=False)
        return sorted(name.rstrip("/") for page in pages for name in page.folders)

    def _pages(
        self, folder: str, begin: str = "", most: int = PAGE, *, is_deep: bool = True
    ) -> Iterator[Page]:
        """Yield the pages of a listing, names from the folder on."""
        fs, bucket, prefix = self._opened(folder)
        start = f"{prefix}/" if prefix else ""
        pages = self._service.pages(fs, bucket, start + begin, most, is_deep=is_deep)
        while True:
            with store_errors(self._address(folder)):
                try:
                    page = next(pages, None)
                except FileNotFoundError:
                    raise _no_bucket(self._address(folder)) from None
            if page is None:
                return
            yield Page(
                {name[len(start) :]: stat for name, stat in page.objects.items()},
                [name[len(start) :] for name in page.folders],
            )

    def has(self, folder: str) -> bool:
        """Return whether there are objects below a folder; errors as `listing`."""
        return bool(next(self._pages(folder, most=1)).objects)

    def require(self) -> None:
        """Refuse a bucket that does not exist or cannot be listed; errors as `listing`."""
        next(self._pages("", most=1))

    def stat(self, name: str) -> ObjectStat | None:
        """Return what the bucket says of an object, None when it does not exist."""
        fs, bucket, key = self._opened(name)
        with store_errors(self._address(name)):
            try:
                return self._service.stat(fs, bucket, key)
            except FileNotFoundError:
                return None

    def fetch(self, name: str, target: Path, stat: ObjectStat) -> ObjectStat | None:
        """Bring an object to a file, whole or not at all.

        Parameters
        ----------
        name : str
            The object.
        target : Path
            The file; replaced, its folder made.
        stat : ObjectStat
            What the bucket said of it.

        Returns
        -------
        ObjectStat or None
            Of what was fetched; None, and no file, when it is gone meanwhile.

        Raises
        ------
        DataError
            If it cannot be read, or changes again and again while it is read.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name[:100]}.{uuid.uuid4().hex}.part")
        fs, bucket, key = self._opened(name)
        now: ObjectStat | None = stat
        try:
            for _ in range(_TRIES):
                if now is None:
                    target.unlink(missing_ok=True)
                    return None
                if self._fetched(fs, f"{bucket}/{key}", name, part, now):
                    part.replace(target)
                    return now
                now = self.stat(name)
        finally:
            part.unlink(missing_ok=True)
        raise ObjectChangedError(
            f"{self._address(name)}: changed {_TRIES} times while it was read, or arrives damaged. "
            "Try again when nothing writes it."
        )

    def _fetched(
        self, fs: "AbstractFileSystem", path: str, name: str, part: Path, stat: ObjectStat
    ) -> bool:
        """Read an object once, and return whether it is the one that `stat` is of."""
        with store_errors(self._address(name)):
            try:
                fs.get_file(path, str(part))
            except FileNotFoundError:
                return False
        if part.stat().st_size != stat.size:
            return False
        if stat.md5 is None:
            now = self.stat(name)
            return now is not None and now.generation == stat.generation
        return md5_of(part) == stat.md5

    def put(self, name: str, source: Path, expected: str | None = None) -> None:
        """Write a file as an object, whole or not at all.

        Parameters
        ----------
        name : str
            The object.
        source : Path
            The file.
        expected : str, optional
            The generation that the object must have, `ABSENT` for none; any by default.

        Raises
        ------
        ObjectChangedError
            If it has another one, and not the bytes of the file.
        DataError
            If it cannot be written.
        """
        fs, bucket, key = self._opened(name)
        with store_errors(self._address(name), "written"):
            try:
                self._service.upload(fs, bucket, key, source, expected)
            except FileExistsError:
                now = self.stat(name)
                if now is not None and now.md5 == md5_of(source):
                    return
                raise ObjectChangedError(
                    f"{self._address(name)}: another process wrote it at the same time; nothing "
                    "was written. Try again."
                ) from None
            except FileNotFoundError:
                raise _no_bucket(self._address(name)) from None

    def remove(self, name: str, expected: str | None = None) -> None:
        """Remove an object; one that is not there, or has not the `expected` generation, stays."""
        fs, bucket, key = self._opened(name)
        with store_errors(self._address(name), "removed"), _missing_is_fine():
            self._service.remove(fs, bucket, key, expected)

    def _opened(self, name: str) -> "tuple[AbstractFileSystem, str, str]":
        fs, path = open_store(self._address(name))
        bucket, _, key = path.partition("/")
        return fs, bucket, key

    def _address(self, name: str) -> str:
        return f"{self.address}/{name}" if name else self.address


@contextmanager
def _missing_is_fine() -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, FileExistsError):
        return


def _no_bucket(address: str) -> DataError:
    bucket = "/".join(address.split("/")[:3])
    create = _CREATE[SCHEMES[bucket.partition("://")[0]]].format(bucket=bucket)
    return DataError(
        f"{address}: there is no bucket {bucket}. Check its name, or create it: {create}"
    )
