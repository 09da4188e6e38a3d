"""The media types of rows: JSON, JSON lines, Arrow, CSV; and which one a request prefers."""

import io
import json
import zlib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

import pyarrow as pa

from odum_assets.api.problems import ProblemError
from odum_assets.results.json_rows import csv_lines


class MediaType(StrEnum):
    """What a table can be sent as."""

    JSON = "application/json"
    LINES = "application/x-ndjson"
    ARROW = "application/vnd.apache.arrow.stream"
    CSV = "text/csv"


_ALIASES = {MediaType.LINES: ("application/jsonl", "application/jsonlines", "application/ndjson")}


def preferred_media_type(accept: str | None, offered: tuple[MediaType, ...]) -> MediaType:
    """Return the media type that an Accept header prefers; the first one where it does not mind.

    Raises
    ------
    ProblemError
        If it takes none of them.
    """
    preferences = _weighted(accept or "*/*")
    # The first of equals in the header's order, then in that of the offer.
    ranked = sorted(
        (
            (-weight, position, rank, media_type)
            for rank, media_type in enumerate(offered)
            for weight, position in [_quality(media_type, preferences)]
            if weight > 0
        ),
        key=lambda candidate: candidate[:3],
    )
    if not ranked:
        raise ProblemError(
            406, "not-acceptable", f"available as {', '.join(offered)}; choose with Accept"
        )
    return ranked[0][3]


def takes_gzip(accept_encoding: str | None) -> bool:
    """Return whether an Accept-Encoding header allows gzip."""
    preferences = _weighted(accept_encoding or "identity")
    return preferences.get("gzip", preferences.get("*", (0.0, 0)))[0] > 0


def _quality(media_type: MediaType, preferences: dict[str, tuple[float, int]]) -> tuple[float, int]:
    """Return weight and place of the most specific range that a media type is in."""
    family = media_type.value.partition("/")[0]
    for name in (media_type.value, *_ALIASES.get(media_type, ()), f"{family}/*", "*/*"):
        if name in preferences:
            return preferences[name]
    return 0.0, 0


def _weighted(header: str) -> dict[str, tuple[float, int]]:
    """Return each part of a header of preferences with its q-value and place."""
    weights: dict[str, tuple[float, int]] = {}
    for position, part in enumerate(header.split(",")):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = next(
            (parameter[2:] for parameter in parameters if parameter.startswith("q=")), "1"
        )
        try:
            weights.setdefault(name, (float(weight), position))
        except ValueError:
            weights.setdefault(name, (0.0, position))
    return weights


def json_page(
    head: dict[str, Any], arrays: Mapping[str, Iterator[bytes]], tail: dict[str, Any]
) -> Iterator[bytes]:
    """Yield one JSON object: its first members, arrays of JSON lines, its last members."""
    comma = b"{"
    for name, value in head.items():
        yield comma + _member(name, value)
        comma = b","
    for name, lines in arrays.items():
        yield comma + json.dumps(name).encode() + b":["
        first = True
        for block in lines:
            yield (b"" if first else b",\n") + block[:-1].replace(b"\n", b",\n")
            first = False
        yield b"]"
        comma = b","
    for name, value in tail.items():
        yield comma + _member(name, value)
        comma = b","
    yield b"}\n"


def _member(name: str, value: object) -> bytes:
    return f"{json.dumps(name)}:{json.dumps(value, allow_nan=False)}".encode()


def arrow_stream(batches: Iterator[pa.RecordBatch]) -> Iterator[bytes]:
    """Yield record batches as an Arrow IPC stream."""
    sink = io.BytesIO()
    writer = None
    for batch in batches:
        if writer is None:
            writer = pa.ipc.new_stream(sink, batch.schema)
        writer.write_batch(batch)
        # It may be a part of a larger one, which should not wait with its reader.
        del batch
        yield _drained(sink)
    if writer is not None:
        writer.close()
        yield _drained(sink)


def csv_stream(batches: Iterator[pa.RecordBatch]) -> Iterator[bytes]:
    """Yield record batches as CSV with a line of names, each with all of its digits."""
    is_first = True
    for batch in batches:
        head = ",".join(batch.schema.names) + "\r\n" if is_first else ""
        is_first = False
        content = bytes(csv_lines(batch))
        # See `arrow_stream`.
        del batch
        yield head.encode() + content


def _drained(sink: io.BytesIO) -> bytes:
    written = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return written


def packed(body: bytes) -> bytes:
    """Return a body packed, quickly rather than well."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer.compress(body) + packer.flush()


def gzipped(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield chunks packed, as little at once as they are."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    for chunk in chunks:
        if packed := packer.compress(chunk):
            yield packed
    yield packer.flush()
