"""Whole numbers as the bytes of stored decimals, compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    type Ints = NDArray[np.int64]

_STORED_SCALE = 16
_LOWER = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def stored_words(numbers: Ints, precision: int) -> NDArray[np.uint64]:
    """Return whole numbers of either sign as ``decimal128(38, 16)``: shape (n, 2), the low first.

    Parameters
    ----------
    numbers : int64 array, shape (n,)
        In units of the last decimal.
    precision : int
        Decimals of a unit, 0 to 16.
    """
    words = np.empty((len(numbers), 2), np.uint64)
    one_kind = np.require(numbers, np.int64, ["C", "W"])
    _store(one_kind, np.uint64(10 ** (_STORED_SCALE - precision)), words)
    return words


@njit(cache=True, nogil=True)
def _store(numbers: Ints, factor: np.uint64, words: NDArray[np.uint64]) -> None:
    """Multiply to 128 bits, by halves (Warren, Hacker's Delight, 2nd edition, 8-2)."""
    by_low, by_high = factor & _LOWER, factor >> _HALF
    for row in range(len(numbers)):
        number = np.uint64(numbers[row])
        low, high = number & _LOWER, number >> _HALF
        middle = high * by_low + ((low * by_low) >> _HALF)
        above = low * by_high + (middle & _LOWER)
        words[row, 0] = number * factor
        words[row, 1] = high * by_high + (middle >> _HALF) + (above >> _HALF)
        if numbers[row] < 0:
            # It was taken for one larger by 2**64.
            words[row, 1] -= factor
