"""Duplicate trade ids and, where ids are a sequence, the missing ones."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from odum_assets.catalog.arrow import Column, kernels, text_parts
from odum_assets.catalog.times import Int64s

_SKIPS_OF_A_SEQUENCE = 10
"""Ids are taken for a sequence when at most one in this many is missing."""


def id_figures(ids: "pa.ChunkedArray[Any]") -> dict[str, Any]:
    """Return duplicates, and skips and missing ids of a sequence (None if it is none).

    Ids that are no numbers are compared by a 64-bit hash: two of ten million different ones share
    one with a chance of three in a million.

    Parameters
    ----------
    ids : pa.ChunkedArray
        n strings, none null or empty, n at least one.
    """
    numbers = _as_numbers(ids)
    values = np.concatenate(list(map(hash_texts, ids.chunks))) if numbers is None else numbers
    if not (values[1:] > values[:-1]).all():
        values = np.sort(values)
    steps = np.diff(values)
    duplicates = int(np.count_nonzero(steps == 0))
    skips = missing = None
    if numbers is not None:
        gaps = int(values[-1]) - int(values[0]) + 1 - (len(values) - duplicates)
        if gaps * _SKIPS_OF_A_SEQUENCE <= len(values):
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


def hash_texts(texts: Column) -> Int64s:
    """Return a 64-bit hash per text (ASCII, none null); shape (n,)."""
    ends, data = text_parts(texts)
    lengths = np.diff(ends)
    hashes = np.zeros(len(texts), np.uint64)
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        letters = np.zeros((len(rows), -(-int(length) // 8) * 8), np.uint8)
        letters[:, :length] = data[ends[rows][:, None] + np.arange(length)]
        hashes[rows] = _mix(letters.view(np.uint64), int(length))
    return hashes.view(np.int64)


def _mix(words: npt.NDArray[np.uint64], seed: int) -> npt.NDArray[np.uint64]:
    mixed = np.full(len(words), seed + 1, np.uint64)
    for index in range(words.shape[1]):
        mixed = (mixed ^ words[:, index]) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(32)
    return mixed
