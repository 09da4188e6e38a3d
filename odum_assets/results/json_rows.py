"""Arrow rows as JSON or CSV text, without a Python loop over rows: large documents are streams.

Large documents are written by compiled code (``json_kernel``) where Numba is installed, all others
by Arrow. The bytes are the same.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import chain
from os import SEEK_CUR
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
import pyarrow as pa

from odum_assets.catalog.arrow import kernels as pc
from odum_assets.catalog.fixed_point import DECIMAL, Int64s

WORTH_LOADING: Final = 100_000
"""Objects from which on compiled code saves more time than loading it takes."""

_UNSAFE = r'["\\\x00-\x1f]'
_Column = Any  # pa.Array; pyarrow's stubs cannot say which compute functions accept which


def json_objects(fields: Sequence[tuple[str, _Column]]) -> "pa.Array[Any]":
    """Return one JSON object text per row.

    Parameters
    ----------
    fields : sequence of (str, pa.Array)
        Names and values. Texts become strings, decimals and integers numbers, timestamps ISO 8601
        texts with nanoseconds, nulls ``null``; those made by `nested` become objects. A Python text
        is the same for all rows, and stands as it is in quotes.

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


@dataclass(frozen=True, slots=True)
class Nested:
    """Fields of objects inside other objects."""

    fields: Sequence[tuple[str, _Column]]


def nested(fields: Sequence[tuple[str, _Column]]) -> Nested:
    """Return rows as objects to stand inside other objects."""
    return Nested(fields)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one kind, of which each becomes an object.

    Parameters
    ----------
    fields : sequence of (str, pa.Array)
        As of `json_objects`.
    places : ndarray of shape (n,)
        Which of the objects each row is, ascending; rows of other kinds have the others.
    """

    fields: Sequence[tuple[str, _Column]]
    places: Int64s


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
    return _write(path, ((len(objects), [lines_of(objects, _END)]) for objects in batches))


def write_rows(path: Path, batches: Iterable[Sequence[Rows]], expected: int) -> int:
    """Write rows as a JSON array of objects, one a line, batch by batch.

    Parameters
    ----------
    path : Path
        As of `write_array`.
    batches : iterable of sequence of Rows
        Rows of any number of kinds; together they have each place of the batch once.
    expected : int
        About how many objects there are, which decides who writes them.

    Returns
    -------
    int
        Number of objects.
    """
    kernel = _kernel() if expected >= WORTH_LOADING else None
    return _write(path, (_lines(kernel, batch) for batch in batches))


_END: Final = ",\n"


def _write(path: Path, batches: Iterable[tuple[int, Iterable[memoryview]]]) -> int:
    """Write objects, each with an ending, as an array; return their number."""
    count = 0
    with path.open("wb") as file:
        file.write(b"[\n")
        for number, texts in batches:
            count += number
            for text in texts:
                file.write(text)
        if count:
            file.seek(-len(_END), SEEK_CUR)
            file.write(b"\n")
        file.write(b"]\n")
        file.truncate()
    return count


def _kernel() -> ModuleType | None:
    if find_spec("numba") is None:
        return None
    from odum_assets.results import json_kernel

    return json_kernel


def _lines(kernel: Any, batch: Sequence[Rows]) -> tuple[int, Iterable[memoryview]]:  # noqa: ANN401
    """Return the number of rows, and their objects by place, each with an ending."""
    batch = [rows for rows in batch if len(rows.places)]
    count = sum(len(rows.places) for rows in batch)
    if not count:
        return 0, ()
    if kernel is not None:
        return count, kernel.lines([_layout(kernel, rows) for rows in batch], count)
    objects = pa.concat_arrays([json_objects(rows.fields) for rows in batch])
    order = np.empty(count, np.int64)
    order[np.concatenate([rows.places for rows in batch])] = np.arange(count)
    return count, [lines_of(objects.take(order), _END)]


def _layout(kernel: Any, rows: Rows) -> Any:  # noqa: ANN401 - a module of Numba's
    """Return rows as the compiled code takes them."""
    tokens, text = [], "{"
    for name, values in _flat(rows.fields):
        text += name
        if isinstance(values, str):
            text += values
        elif values is not None and values.null_count == len(values):
            text += "null"
        elif values is not None:
            tokens.append(kernel.Token(text.encode(), *_plain(values)))
            text = ""
    return kernel.Layout(tokens, f"{text}}}{_END}".encode(), rows.places)


def _flat(fields: Sequence[tuple[str, _Column]]) -> Iterator[tuple[str, _Column]]:
    """Yield what stands before each value, and the values; None where there is none."""
    for number, (name, values) in enumerate(fields):
        opening = f'{"," if number else ""}"{name}":'
        if isinstance(values, Nested):
            inner = chain([(opening + "{", None)], _flat(values.fields), [("}", None)])
            yield from inner
        elif isinstance(values, str):
            yield opening, f'"{values}"'
        else:
            yield opening, values


def _plain(values: _Column) -> tuple[_Column, bool]:
    """Return values as the compiled code takes them, and whether they are strings."""
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    kind = values.type
    if kind == DECIMAL or kind == pa.timestamp("ns", "UTC"):
        return values, False
    if pa.types.is_string(kind):
        return values, True
    # Few are of other types.
    return _token(values).cast(pa.string()), False


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
        return json_objects(values.fields)
    if isinstance(values, str):
        return pa.scalar(f'"{values}"')
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
