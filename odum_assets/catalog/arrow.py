"""Arrow for the type checker and for numpy: what pyarrow's stubs and arrays do not give."""

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


def flags_of(mask: Column) -> npt.NDArray[np.bool_]:
    """Return a boolean column as numpy, null as False; shape (n,)."""
    flags: npt.NDArray[np.bool_] = kernels.fill_null(mask, False).to_numpy(zero_copy_only=False)
    return flags


def text_parts(texts: Column) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Return the n + 1 offsets and the bytes of a string column without nulls, uncopied."""
    _, ends, data = (buffer or b"" for buffer in texts.buffers())
    offsets = np.frombuffer(ends, np.int32) if ends else np.zeros(1, np.int32)
    return offsets[texts.offset : texts.offset + len(texts) + 1], np.frombuffer(data, np.uint8)
