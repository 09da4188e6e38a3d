"""Objects of Google Cloud Storage: listed, read whole, and written on a condition.

A condition is the generation that an object must have (none, for one that must not exist). It is
what replaces locks between machines, and makes a repeated request harmless: gcsfs asks again after
a cut connection, a 408, 429 or 5xx, and whoever finds his own bytes there has written them.
"""

import base64
import hashlib
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from odum_assets.errors import DataError
from odum_assets.storage.stores import open_store, store_errors

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

ABSENT: Final = "0"
"""The generation of an object that does not exist."""

_TRIES: Final = 3
_CHUNK: Final = 32 << 20
"""Bytes of a request; larger files take several."""

_PAGE: Final = 1_000
_FEW: Final = 3

_BOUNDARY: Final = b"odum-part"


class ObjectChangedError(DataError):
    """Report an object that another process wrote or removed first."""


@dataclass(frozen=True, slots=True)
class ObjectStat:
    """What a bucket says of an object.

    Parameters
    ----------
    size : int
        Bytes.
    generation : str
        Changes with every write.
    md5 : str or None
        Of its bytes, hex; None where the store has none.
    updated_ns : int or None
        Time of its last write, ns since 1970.
    """

    size: int
    generation: str
    md5: str | None
    updated_ns: int | None


class Bucket:
    """A folder in a bucket.

    Parameters
    ----------
    address : str
        ``gs://bucket/prefix``.
    """

    def __init__(self, address: str) -> None:
        self.address = address

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
            f"{folder}/{item['name']}".lstrip("/"): _stat(item)
            for page in self._pages(folder, start)
            for item in page.get("items", ())
        }

    def first(self) -> dict[str, ObjectStat]:
        """Return a few of all objects, the first by name; errors as `listing`."""
        page = next(self._pages("", most=_FEW))
        return {item["name"]: _stat(item) for item in page.get("items", ())}

    def folders(self, folder: str = "") -> list[str]:
        """Return the names of the folders in a folder, in order; errors as `listing`."""
        pages = self._pages(folder, delimiter="/")
        return sorted(name.rstrip("/") for page in pages for name in page.get("prefixes", ()))

    def _pages(
        self, folder: str, begin: str = "", most: int = _PAGE, **options: str
    ) -> Iterator[dict[str, Any]]:
        """Yield the pages of a listing, names from the folder on."""
        fs, path = self._opened(folder)
        bucket, _, prefix = path.partition("/")
        start = f"{prefix}/" if prefix else ""
        options |= {"prefix": start + begin, "maxResults": str(most)}
        while True:
            with store_errors(self._address(folder)):
                try:
                    page = fs.call("GET", "b/{}/o", bucket, json_out=True, **options)
                except FileNotFoundError:
                    raise _no_bucket(self._address(folder)) from None
            page["prefixes"] = [name[len(start) :] for name in page.get("prefixes", ())]
            for item in page.get("items", ()):
                item["name"] = item["name"][len(start) :]
            yield page
            if not page.get("nextPageToken"):
                return
            options["pageToken"] = page["nextPageToken"]

    def has(self, folder: str) -> bool:
        """Return whether there are objects below a folder; errors as `listing`."""
        return bool(next(self._pages(folder, most=1)).get("items"))

    def require(self) -> None:
        """Refuse a bucket that does not exist or cannot be listed; errors as `listing`."""
        next(self._pages("", fields="kind"))

    def stat(self, name: str) -> ObjectStat | None:
        """Return what the bucket says of an object, None when it does not exist."""
        fs, path = self._opened(name)
        bucket, _, key = path.partition("/")
        with store_errors(self._address(name)):
            try:
                info: dict[str, Any] = fs.call("GET", "b/{}/o/{}", bucket, key, json_out=True)
            except FileNotFoundError:
                return None
        return _stat(info)

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
        fs, path = self._opened(name)
        now: ObjectStat | None = stat
        try:
            for _ in range(_TRIES):
                if now is None:
                    target.unlink(missing_ok=True)
                    return None
                if self._fetched(fs, path, name, part, now):
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
        return stat.md5 is None or md5_of(part) == stat.md5

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
        fs, path = self._opened(name)
        with store_errors(self._address(name), "written"):
            try:
                _upload(fs, path, source, {} if expected is None else _if(expected))
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
        fs, path = self._opened(name)
        bucket, _, key = path.partition("/")
        with store_errors(self._address(name), "removed"), _missing_is_fine():
            conditions = {} if expected is None else _if(expected)
            fs.call("DELETE", "b/{}/o/{}", bucket, key, **conditions)

    def _opened(self, name: str) -> "tuple[AbstractFileSystem, str]":
        return open_store(self._address(name))

    def _address(self, name: str) -> str:
        return f"{self.address}/{name}" if name else self.address


def md5_of(path: Path) -> str:
    """Return the md5 of a file's bytes as hex: what stores keep of theirs."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _if(generation: str) -> dict[str, str]:
    return {"ifGenerationMatch": generation}


def _stat(info: dict[str, Any]) -> ObjectStat:
    md5, updated = info.get("md5Hash"), info.get("updated")
    return ObjectStat(
        int(info["size"]),
        str(info["generation"]),
        None if md5 is None else base64.b64decode(md5).hex(),
        None if updated is None else int(datetime.fromisoformat(updated).timestamp() * 1e9),
    )


def _upload(fs: "AbstractFileSystem", path: str, source: Path, conditions: dict[str, str]) -> None:
    """Send a file: in one request, or in several that count together."""
    bucket, _, key = path.partition("/")
    url = f"{fs._location}/upload/storage/v1/b/{bucket}/o"
    size = source.stat().st_size
    about = {"name": key, "md5Hash": base64.b64encode(bytes.fromhex(md5_of(source))).decode()}
    if size <= _CHUNK:
        fs.call(
            "POST",
            url,
            uploadType="multipart",
            name=key,
            headers={"Content-Type": f'multipart/related; boundary="{_BOUNDARY.decode()}"'},
            data=_multipart(about, source.read_bytes()),
            **conditions,
        )
        return
    from fsspec.asyn import sync
    from gcsfs.core import upload_chunk

    headers, _ = fs.call("POST", url, uploadType="resumable", name=key, json=about, **conditions)
    with source.open("rb") as file:
        for offset in range(0, size, _CHUNK):
            sync(
                fs.loop,
                upload_chunk,
                fs,
                headers["Location"],
                file.read(_CHUNK),
                offset,
                size,
                "application/octet-stream",
            )


def _multipart(about: dict[str, str], content: bytes) -> bytes:
    return b"\r\n".join(
        [
            b"--" + _BOUNDARY,
            b"Content-Type: application/json; charset=UTF-8",
            b"",
            json.dumps(about).encode(),
            b"--" + _BOUNDARY,
            b"Content-Type: application/octet-stream",
            b"",
            content,
            b"--" + _BOUNDARY + b"--",
            b"",
        ]
    )


@contextmanager
def _missing_is_fine() -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, FileExistsError):
        return


def _no_bucket(address: str) -> DataError:
    bucket = "/".join(address.split("/")[:3])
    return DataError(
        f"{address}: there is no bucket {bucket}. Check its name, or create it: gcloud storage "
        f"buckets create {bucket}"
    )
