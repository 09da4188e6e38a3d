"""Catalog columns as whole numbers of their last decimals, and books as tidy ladders, compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    type Ints = NDArray[np.int64]

_STORED_SCALE = 16
_WORD_BITS = 64


def whole_numbers(words: NDArray[np.uint64], precision: int) -> Ints | None:
    """Return stored decimals as whole numbers of 64 bits.

    Parameters
    ----------
    words : uint64 array, shape (n, 2)
        Of ``decimal128(38, 16)``, the low one first; not negative.
    precision : int
        Decimals of a whole number.

    Returns
    -------
    int64 array of shape (n,), or None
        None if a value has more decimals, or is too large.
    """
    zeros = _STORED_SCALE - precision
    numbers = np.empty(len(words), np.int64)
    five = pow(5, -1, 1 << _WORD_BITS)
    inverse = np.uint64(pow(five, zeros, 1 << _WORD_BITS))
    # One kind of array, whoever holds it: of another one the loop would be compiled again.
    words = words.view()
    words.flags.writeable = False
    is_exact = _divide(words, zeros, inverse, 10.0**zeros, numbers)
    return numbers if is_exact else None


@njit(cache=True, nogil=True)
def _divide(
    words: NDArray[np.uint64], zeros: int, inverse: np.uint64, factor: float, numbers: Ints
) -> bool:
    """Divide numbers of 128 bits by ten to a power, if all are divisible; return whether they are.

    An exact quotient modulo ``2 ** 64`` is the number without its factors of two, times the inverse
    of the power of five (Warren, Hacker's Delight, 2nd edition, 10-16).
    """
    down, up = np.uint64(zeros), np.uint64(64 - zeros)
    for row in range(len(words)):
        low, high = words[row, 0], words[row, 1]
        shifted = low if zeros == 0 else (low >> down) | (high << up)
        number = shifted * inverse
        numbers[row] = np.int64(number)
        value = float(high) * 18446744073709551616.0 + float(low)
        if numbers[row] < 0 or abs(float(numbers[row]) * factor - value) > value * 1e-9:
            return False
    return True


@njit(cache=True, nogil=True)
def _is_tidy(starts: Ints, price: Ints, size: Ints, sign: int) -> bool:
    for row in range(len(starts) - 1):
        for level in range(starts[row], starts[row + 1]):
            if size[level] <= 0:
                return False
            if level > starts[row] and (price[level - 1] - price[level]) * sign <= 0:
                return False
    return True


@njit(cache=True, nogil=True)
def _tidied(starts: Ints, price: Ints, size: Ints, sign: int) -> tuple[Ints, Ints, Ints]:
    """Sort each row's levels, drop empty ones, let the last of equal prices count."""
    new_starts = np.empty_like(starts)
    new_price, new_size = np.empty_like(price), np.empty_like(size)
    end = 0
    for row in range(len(starts) - 1):
        begin = new_starts[row] = end
        for level in range(starts[row], starts[row + 1]):
            if size[level] <= 0:
                continue
            place = begin
            while place < end and (new_price[place] - price[level]) * sign > 0:
                place += 1
            if place == end or new_price[place] != price[level]:
                for moved in range(end, place, -1):
                    new_price[moved], new_size[moved] = new_price[moved - 1], new_size[moved - 1]
                new_price[place] = price[level]
                end += 1
            new_size[place] = size[level]
    new_starts[len(starts) - 1] = end
    return new_starts, new_price[:end].copy(), new_size[:end].copy()


@njit(cache=True, nogil=True)
def _tops(starts: Ints, price: Ints, size: Ints) -> tuple[Ints, Ints, Ints]:
    """Keep of each row's levels the first that has a size."""
    new_starts = np.empty_like(starts)
    new_price, new_size = np.empty_like(price), np.empty_like(size)
    end = 0
    for row in range(len(starts) - 1):
        new_starts[row] = end
        for level in range(starts[row], starts[row + 1]):
            if size[level] > 0:
                new_price[end], new_size[end] = price[level], size[level]
                end += 1
                break
    new_starts[len(starts) - 1] = end
    return new_starts, new_price[:end].copy(), new_size[:end].copy()


def tidy(
    starts: Ints, price: Ints, size: Ints, sign: int, *, is_top: bool
) -> tuple[Ints, Ints, Ints]:
    """Return levels as the venue's book takes them.

    Parameters
    ----------
    starts : int64 array, shape (n + 1,)
        Where the levels of each of n rows begin.
    price, size : int64 arrays, shape (m,)
        All levels, in the order in which they are stored.
    sign : int
        1 for bids, -1 for asks.
    is_top : bool
        Whether the book has best prices only: the first level that is stored, not the best.
    """
    if is_top:
        levels: tuple[Ints, Ints, Ints] = _tops(starts, price, size)
    elif _is_tidy(starts, price, size, sign):
        levels = starts, price, size
    else:
        levels = _tidied(starts, price, size, sign)
    return levels
