"""Duplicate trade ids and, where ids are a sequence, the missing ones."""

from typing import Any

import numpy as np
import pyarrow as pa

from odum_assets.catalog.arrow import kernels
from odum_assets.catalog.times import Int64s

_SKIPS_OF_A_SEQUENCE = 10
"""Ids are taken for a sequence when at most one in this many is missing."""


def id_figures(ids: "pa.ChunkedArray[Any]") -> dict[str, Any]:
    """Return duplicates, and skips and missing ids of a sequence (None if it is none).

    Parameters
    ----------
    ids : pa.ChunkedArray
        n strings, none null or empty, n at least one.
    """
    numbers = _as_numbers(ids)
    skips = missing = None
    if numbers is None:
        duplicates = len(ids) - kernels.count_distinct(ids).as_py()
    else:
        steps = np.diff(numbers)
        if (steps <= 0).any():
            numbers = np.sort(numbers)
            steps = np.diff(numbers)
        duplicates = int(np.count_nonzero(steps == 0))
        gaps = int(numbers[-1]) - int(numbers[0]) + 1 - (len(numbers) - duplicates)
        if gaps * _SKIPS_OF_A_SEQUENCE <= len(numbers):
            skips, missing = int(np.count_nonzero(steps > 1)), gaps
    return {"duplicate_ids": duplicates, "id_skips": skips, "ids_missing": missing}


def _as_numbers(ids: "pa.ChunkedArray[Any]") -> Int64s | None:
    try:
        column = kernels.cast(ids, pa.int64())
    except pa.ArrowInvalid:
        return None
    odd = kernels.or_(kernels.starts_with(ids, "0"), kernels.starts_with(ids, "-"))
    if kernels.any(odd).as_py() and kernels.cast(column, pa.string()) != ids:
        return None  # "007" and "7" are different ids
    numbers: Int64s = column.to_numpy()
    return numbers
