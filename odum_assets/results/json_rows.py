"""Arrow rows as JSON or CSV text, without a Python loop over rows: large documents are streams."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from odum_assets.catalog.arrow import kernels as pc

_UNSAFE = r'["\\\x00-\x1f]'
_Column = Any  # pa.Array; pyarrow's stubs cannot say which compute functions accept which


def json_objects(fields: Sequence[tuple[str, _Column]]) -> "pa.Array[Any]":
    """Return one JSON object text per row.

    Parameters
    ----------
    fields : sequence of (str, pa.Array)
        Names and values. Texts become strings, decimals and integers numbers, timestamps ISO 8601
        texts with nanoseconds, nulls ``null``; values made by `nested` stand as they are.

    Returns
    -------
    pa.Array
        Strings of the same length.
    """
    parts: list[Any] = []
    opening = "{"
    for name, values in fields:
        parts += [f'{opening}"{name}":', _token(values)]
        opening = ","
    objects: pa.Array[Any] = pc.binary_join_element_wise(*parts, "}", "")
    return objects


class Nested:
    """Column whose texts are JSON already."""

    def __init__(self, objects: "pa.Array[Any]") -> None:
        self.objects = objects


def nested(fields: Sequence[tuple[str, _Column]]) -> Nested:
    """Return rows as objects to stand inside other objects."""
    return Nested(json_objects(fields))


def quoted_integers(values: _Column) -> _Column:
    """Return integers as texts, for numbers that JavaScript cannot hold."""
    return values.cast(pa.string())


def csv_lines(batch: pa.RecordBatch) -> memoryview:
    """Return rows as CSV (RFC 4180), values as in JSON; nulls are empty.

    Parameters
    ----------
    batch : pa.RecordBatch
        Texts, numbers and times.
    """
    cells = [pc.fill_null(_cell(column), "") for column in batch.columns]
    return lines_of(pc.binary_join_element_wise(*cells, ","), "\r\n")


def lines_of(objects: "pa.Array[Any]", ending: str) -> memoryview:
    """Return all texts, each with an ending, as one run of bytes."""
    joined = pc.binary_join_element_wise(objects, ending, "")
    if isinstance(joined, pa.ChunkedArray):
        joined = joined.combine_chunks()
    joined = joined.cast(pa.large_string())
    _, offsets, data = joined.buffers()
    if data is None:
        return memoryview(b"")
    bounds = memoryview(offsets).cast("q")
    first, last = bounds[joined.offset], bounds[joined.offset + len(joined)]
    return memoryview(data)[first:last]


def write_array(path: Path, batches: Iterable["pa.Array[Any]"]) -> int:
    """Write a JSON array of objects, one a line, batch by batch.

    Parameters
    ----------
    path : Path
        The file, written in place; put it where nobody reads yet.
    batches : iterable of pa.Array
        Texts of `json_objects`.

    Returns
    -------
    int
        Number of objects.
    """
    count = 0
    with path.open("wb") as file:
        file.write(b"[")
        for objects in batches:
            if not len(objects):
                continue
            file.write(b",\n" if count else b"\n")
            count += len(objects)
            file.write(lines_of(objects, ",\n")[:-2])
        file.write(b"\n]\n")
    return count


def _cell(values: _Column) -> _Column:
    kind = values.type
    if pa.types.is_dictionary(kind):
        return _cell(values.cast(kind.value_type))
    if pa.types.is_decimal(kind):
        return _decimal_text(values)
    if pa.types.is_timestamp(kind):
        return pc.replace_substring(values.cast(pa.string()), " ", "T")
    text = values.cast(pa.string())
    is_odd = pc.match_substring_regex(text, r'[",\r\n]')
    if not pc.any(is_odd).as_py():
        return text
    return pc.if_else(is_odd, _quote(pc.replace_substring(text, '"', '""')), text)


def _token(values: _Column) -> _Column:
    if isinstance(values, Nested):
        return values.objects
    kind = values.type
    if pa.types.is_dictionary(kind):
        values = values.cast(kind.value_type)
        kind = values.type
    if pa.types.is_decimal(kind):
        text = _decimal_text(values)
    elif pa.types.is_timestamp(kind):
        text = _quote(pc.replace_substring(values.cast(pa.string()), " ", "T"))
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        text = _quote(_escape(values))
    else:
        text = values.cast(pa.string())
    return pc.fill_null(text, "null")


def _decimal_text(values: _Column) -> _Column:
    text = values.cast(pa.string())
    if values.type.scale > 0 and not pc.any(pc.match_substring(text, "E")).as_py():
        # All have a point: several times as fast as the expressions.
        text = pc.ascii_rtrim(pc.ascii_rtrim(text, "0"), ".")
    else:
        text = pc.replace_substring_regex(text, r"(\.[0-9]*?)0+$", r"\1")
        text = pc.replace_substring_regex(text, r"\.$", "")
    zero = pa.scalar(0).cast(values.type)
    return pc.if_else(pc.equal(values, zero), "0", text)


def _quote(text: _Column) -> _Column:
    return pc.binary_join_element_wise('"', text, '"', "")


def _escape(text: _Column) -> _Column:
    if not pc.any(pc.match_substring_regex(text, _UNSAFE)).as_py():
        return text
    text = pc.replace_substring(text, "\\", "\\\\")
    text = pc.replace_substring(text, '"', '\\"')
    for code in range(0x20):
        text = pc.replace_substring(text, chr(code), f"\\u{code:04x}")
    return text
