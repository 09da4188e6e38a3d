"""What a bucket says of an object, in the terms that all services have.

A condition is the generation that an object must have, `ABSENT` for one that must not exist: a
generation of Google Cloud Storage, an entity tag (ETag) of S3. It is what replaces locks between
machines.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

ABSENT: Final = "0"
"""The generation of an object that does not exist."""

PAGE: Final = 1_000
"""Names of one call of a listing."""


@dataclass(frozen=True, slots=True)
class ObjectStat:
    """What a bucket says of an object.

    Parameters
    ----------
    size : int
        Bytes.
    generation : str
        Changes with every write of other bytes.
    md5 : str or None
        Of its bytes, hex; None where the store has none.
    updated_ns : int or None
        Time of its last write, ns since 1970.
    """

    size: int
    generation: str
    md5: str | None
    updated_ns: int | None


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a listing: objects and folders by their full names in the bucket."""

    objects: dict[str, ObjectStat]
    folders: list[str]


class ObjectService(Protocol):
    """The calls of a service, made through its fsspec driver, whose errors they raise."""

    def pages(
        self, fs: "AbstractFileSystem", bucket: str, prefix: str, most: int, *, is_deep: bool
    ) -> Iterator[Page]:
        """Yield the names that begin with a prefix, up to the next ``/`` unless `is_deep`.

        Raises
        ------
        FileNotFoundError
            If there is no such bucket.
        """

    def stat(self, fs: "AbstractFileSystem", bucket: str, key: str) -> ObjectStat:
        """Return what the service says of an object, or raise FileNotFoundError."""

    def upload(
        self, fs: "AbstractFileSystem", bucket: str, key: str, source: Path, expected: str | None
    ) -> None:
        """Write a file as an object.

        Raises
        ------
        FileExistsError
            If the object has another generation than the expected one.
        FileNotFoundError
            If there is no such bucket.
        """

    def remove(self, fs: "AbstractFileSystem", bucket: str, key: str, expected: str | None) -> None:
        """Remove an object; errors as `upload`, or FileNotFoundError if there is none."""


def md5_of(path: Path) -> str:
    """Return the md5 of a file's bytes as hex: what stores keep of theirs."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
