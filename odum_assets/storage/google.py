"""Objects of Google Cloud Storage, through gcsfs.

gcsfs asks again after a cut connection, a 408, 429 or 5xx, up to six times.
"""

import base64
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from odum_assets.storage.objects import ObjectStat, Page, md5_of

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

CHUNK: Final = 32 << 20
"""Bytes of a request; larger files take several."""

_BOUNDARY: Final = b"odum-part"


class GoogleObjects:
    """Calls of the JSON API; see `ObjectService`."""

    def pages(
        self, fs: "AbstractFileSystem", bucket: str, prefix: str, most: int, *, is_deep: bool
    ) -> Iterator[Page]:
        """Yield the pages of a listing."""
        options = {"prefix": prefix, "maxResults": str(most)} | (
            {} if is_deep else {"delimiter": "/"}
        )
        while True:
            page = fs.call("GET", "b/{}/o", bucket, json_out=True, **options)
            items = {item["name"]: _stat(item) for item in page.get("items", ())}
            yield Page(items, list(page.get("prefixes", ())))
            if not page.get("nextPageToken"):
                return
            options["pageToken"] = page["nextPageToken"]

    def stat(self, fs: "AbstractFileSystem", bucket: str, key: str) -> ObjectStat:
        """Return what the service says of an object."""
        return _stat(fs.call("GET", "b/{}/o/{}", bucket, key, json_out=True))

    def upload(
        self, fs: "AbstractFileSystem", bucket: str, key: str, source: Path, expected: str | None
    ) -> None:
        """Send a file: in one request, or in several that count together."""
        url = f"{fs._location}/upload/storage/v1/b/{bucket}/o"
        size = source.stat().st_size
        about = {"name": key, "md5Hash": base64.b64encode(bytes.fromhex(md5_of(source))).decode()}
        if size <= CHUNK:
            fs.call(
                "POST",
                url,
                uploadType="multipart",
                name=key,
                headers={"Content-Type": f'multipart/related; boundary="{_BOUNDARY.decode()}"'},
                data=_multipart(about, source.read_bytes()),
                **_if(expected),
            )
            return
        from fsspec.asyn import sync
        from gcsfs.core import upload_chunk

        headers, _ = fs.call(
            "POST", url, uploadType="resumable", name=key, json=about, **_if(expected)
        )
        with source.open("rb") as file:
            for offset in range(0, size, CHUNK):
                sync(
                    fs.loop,
                    upload_chunk,
                    fs,
                    headers["Location"],
                    file.read(CHUNK),
                    offset,
                    size,
                    "application/octet-stream",
                )

    def remove(self, fs: "AbstractFileSystem", bucket: str, key: str, expected: str | None) -> None:
        """Remove an object."""
        fs.call("DELETE", "b/{}/o/{}", bucket, key, **_if(expected))


def _if(generation: str | None) -> dict[str, str]:
    return {} if generation is None else {"ifGenerationMatch": generation}


def _stat(info: dict[str, Any]) -> ObjectStat:
    md5, updated = info.get("md5Hash"), info.get("updated")
    return ObjectStat(
        int(info["size"]),
        str(info["generation"]),
        None if md5 is None else base64.b64decode(md5).hex(),
        None if updated is None else int(datetime.fromisoformat(updated).timestamp() * 1e9),
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
