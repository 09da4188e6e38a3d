"""Arrow for the type checker and for numpy: what pyarrow's stubs and arrays do not give."""

import sys
from importlib.abc import MetaPathFinder
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

type Column = pa.Array[Any]
"""A column of one batch."""

kernels: Any = pyarrow.compute
"""pyarrow's compute functions; the stubs know few of their arguments."""

arrow: Any = pa
"""pyarrow itself, for the few constructors that the stubs describe too narrowly."""


class _NoPandas(MetaPathFinder):
    """Say that pandas cannot be imported."""

    def find_spec(self, fullname: str, _path: object, _target: object = None) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError(fullname)


def leave_pandas_out() -> None:
    """Let Arrow make its first array without pandas, whose import takes a fifth of a second.

    Arrow imports it to know its types. Whoever imports pandas later has it all the same, but times
    in nanoseconds do not become Python values: for processes that need none.
    """
    refusal = _NoPandas()
    sys.meta_path.insert(0, refusal)
    pa.array([0])
    sys.meta_path.remove(refusal)


def flags_of(mask: Column) -> npt.NDArray[np.bool_]:
    """Return a boolean column as numpy, null as False; shape (n,)."""
    flags: npt.NDArray[np.bool_] = kernels.fill_null(mask, False).to_numpy(zero_copy_only=False)
    return flags


def times_of(column: "pa.ChunkedArray[Any]") -> npt.NDArray[np.int64]:
    """Return a column of int64 or times without nulls as numpy, uncopied where it is one chunk.

    Unlike pyarrow's conversions it does not import pandas, for which a run's start need not wait.
    """
    chunks = [chunk for chunk in column.chunks if len(chunk)]
    parts: list[npt.NDArray[np.int64]] = [
        np.frombuffer(chunk.buffers()[1] or b"", np.int64, len(chunk), chunk.offset * 8)
        for chunk in chunks
    ]
    return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, np.int64), *parts])


def rows_at(column: "pa.ChunkedArray[Any]", places: npt.NDArray[np.int64]) -> list[Any]:
    """Return the values of some rows as Python's; pandas is not imported for places as numpy."""
    data = pa.py_buffer(np.ascontiguousarray(places, np.int64))
    indices: Any = pa.Array.from_buffers(pa.int64(), len(places), [None, data])
    values: list[Any] = column.take(indices).to_pylist()
    return values


def text_parts(texts: Column) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Return the n + 1 offsets and the bytes of a string column without nulls, uncopied."""
    _, ends, data = (buffer or b"" for buffer in texts.buffers())
    offsets = np.frombuffer(ends, np.int32) if ends else np.zeros(1, np.int32)
    return offsets[texts.offset : texts.offset + len(texts) + 1], np.frombuffer(data, np.uint8)
