"""Objects of S3, and of services that speak as S3 does, through s3fs.

The generation of an object is its entity tag. S3 writes and removes on the condition of one
(``If-None-Match``, ``If-Match``); services exist that ignore the condition, so the first write to a
bucket of another service asks whether it holds, and is refused if not.
"""

import os
import re
import uuid
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from odum_assets.errors import DataError
from odum_assets.storage.objects import ABSENT, ObjectStat, Page, md5_of

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

TRIES: Final = 8
"""Requests of one call: after a cut connection, silence, a 408, 429 or 5xx."""

_TEMPORARY: Final = frozenset({408, 429, 500, 502, 503, 504})
_CHANGED: Final = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"})
_MD5: Final = re.compile(r"[0-9a-f]{32}")
_NOBODY: Final = "0" * 32
"""An entity tag that no object has."""


class S3Objects:
    """Calls of the S3 API; see `ObjectService`."""

    def pages(
        self, fs: "AbstractFileSystem", bucket: str, prefix: str, most: int, *, is_deep: bool
    ) -> Iterator[Page]:
        """Yield the pages of a listing."""
        options: dict[str, Any] = {} if is_deep else {"Delimiter": "/"}
        while True:
            page = fs.call_s3(
                "list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=most, **options
            )
            items = {item["Key"]: _stat(item, item["Size"]) for item in page.get("Contents", ())}
            yield Page(items, [item["Prefix"] for item in page.get("CommonPrefixes", ())])
            if not page.get("NextContinuationToken"):
                return
            options["ContinuationToken"] = page["NextContinuationToken"]

    def stat(self, fs: "AbstractFileSystem", bucket: str, key: str) -> ObjectStat:
        """Return what the service says of an object."""
        try:
            info = fs.call_s3("head_object", Bucket=bucket, Key=key)
        except FileNotFoundError:
            raise
        except OSError:
            # An answer to HEAD has no text; this one says why.
            fs.call_s3("list_objects_v2", Bucket=bucket, Prefix=key, MaxKeys=1)
            raise
        return _stat(info, info["ContentLength"])

    def upload(
        self, fs: "AbstractFileSystem", bucket: str, key: str, source: Path, expected: str | None
    ) -> None:
        """Send a file in one request: not every service has conditions for several."""
        if expected is not None:
            _require_conditions(fs, bucket)
        _call(
            fs,
            "put_object",
            Bucket=bucket,
            Key=key,
            Metadata={"md5": md5_of(source)},
            Body=source.read_bytes(),
            **_if(expected),
        )

    def remove(self, fs: "AbstractFileSystem", bucket: str, key: str, expected: str | None) -> None:
        """Remove an object."""
        if expected is not None:
            _require_conditions(fs, bucket)
        _call(fs, "delete_object", Bucket=bucket, Key=key, **_if(expected))


def options(connect_secs: float, answer_secs: float) -> dict[str, Any]:
    """Return how s3fs is opened: each request is tried `TRIES` times, by one of its two layers.

    Parameters
    ----------
    connect_secs, answer_secs : float
        How long the service may take to accept a connection, and to say something.
    """
    # Named here, because s3fs keeps what it opened by what it was given.
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return {
        **({"endpoint_url": endpoint} if endpoint else {}),
        "config_kwargs": {
            "connect_timeout": connect_secs,
            "read_timeout": answer_secs,
            "retries": {"total_max_attempts": 1},
        },
    }


def prepare(fs: "AbstractFileSystem") -> None:
    """Let s3fs repeat requests as often as it should, and after which errors."""
    from s3fs.core import set_custom_error_handler

    fs.retries = TRIES
    set_custom_error_handler(_is_temporary)


def _is_temporary(error: Exception) -> bool:
    from botocore.exceptions import ConnectionError as BotoConnectionError

    response = getattr(error, "response", None) or {}
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status in _TEMPORARY or isinstance(error, BotoConnectionError)


def _call(fs: "AbstractFileSystem", method: str, **named: Any) -> None:  # noqa: ANN401 - S3's own
    """Write or remove, and raise FileExistsError when the condition does not hold."""
    try:
        fs.call_s3(method, **named)
    except OSError as error:
        response = getattr(error.__cause__, "response", None) or {}
        if response.get("Error", {}).get("Code") in _CHANGED:
            raise FileExistsError(named["Key"]) from error
        raise


def _if(expected: str | None) -> dict[str, str]:
    if expected is None:
        return {}
    return {"IfNoneMatch": "*"} if expected == ABSENT else {"IfMatch": expected}


def _stat(info: dict[str, Any], size: int) -> ObjectStat:
    tag = str(info["ETag"]).strip('"')
    # The tag of an object that was sent in parts, or encrypted with a key of KMS, is no md5.
    md5 = info.get("Metadata", {}).get("md5")
    if md5 is None and _MD5.fullmatch(tag) and "kms" not in info.get("ServerSideEncryption", ""):
        md5 = tag
    updated = info.get("LastModified")
    return ObjectStat(
        int(size), tag, md5, None if updated is None else int(updated.timestamp() * 1e9)
    )


def _require_conditions(fs: "AbstractFileSystem", bucket: str) -> None:
    endpoint = str(fs.connect().meta.endpoint_url)
    if not re.search(r"\.amazonaws\.com(\.cn)?(:\d+)?$", endpoint) and not _holds(fs, bucket):
        raise DataError(
            f"s3://{bucket}: this service ignores the conditions of writes (If-None-Match, "
            "If-Match), so that two machines could destroy each other's files. Raw files may be "
            "read from it; keep catalog and results in a folder or another bucket."
        )


@lru_cache
def _holds(fs: "AbstractFileSystem", bucket: str) -> bool:
    """Return whether a service refuses to replace and to remove an object on a false condition."""
    probe = {"Bucket": bucket, "Key": f".odum-condition-{uuid.uuid4().hex}"}
    fs.call_s3("put_object", **probe, Body=b"")
    try:
        return all(
            _is_refused(fs, method, **probe, **named)
            for method, named in (
                ("put_object", {"Body": b"1", **_if(ABSENT)}),
                ("put_object", {"Body": b"2", **_if(_NOBODY)}),
                ("delete_object", _if(_NOBODY)),
            )
        )
    finally:
        fs.call_s3("delete_object", **probe)


def _is_refused(fs: "AbstractFileSystem", method: str, **named: Any) -> bool:  # noqa: ANN401
    try:
        _call(fs, method, **named)
    except FileExistsError:
        return True
    return False
