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


def text_parts(texts: Column) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Return the n + 1 offsets and the bytes of a string column without nulls, uncopied."""
    _, ends, data = (buffer or b"" for buffer in texts.buffers())
    offsets = np.frombuffer(ends, np.int32) if ends else np.zeros(1, np.int32)
    return offsets[texts.offset : texts.offset + len(texts) + 1], np.frombuffer(data, np.uint8)
