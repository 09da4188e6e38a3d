"""Ids of orders as NautilusTrader makes them: ``O-20240305-120001-001-000-7``, compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    type Ints = NDArray[np.int64]
    type Bytes = NDArray[np.uint8]

_LONGEST = 2 + 15 + 9 + 19
_TAGS = np.frombuffer(b"-001-000-", np.uint8)


def order_ids(numbers: Ints, seconds: Ints) -> pa.Array[Any]:
    """Return the ids of orders.

    Parameters
    ----------
    numbers : int64 array, shape (n,)
        Which orders, from 0.
    seconds : int64 array, shape (n,)
        When they were made, seconds since 1970.
    """
    text = np.empty(len(numbers) * _LONGEST, np.uint8)
    ends = np.zeros(len(numbers) + 1, np.int32)
    size = _write(numbers, seconds, _TAGS, text, ends)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(text[:size])]
    column: pa.Array[Any] = pa.Array.from_buffers(pa.string(), len(numbers), buffers)
    return column


@njit(cache=True, nogil=True)
def _digits(text: Bytes, place: int, number: int, count: int) -> int:
    """Write the last digits of a number; return where they end."""
    for index in range(place + count - 1, place - 1, -1):
        text[index] = 48 + number % 10
        number //= 10
    return place + count


@njit(cache=True, nogil=True)
def date_number(days: int) -> int:
    """Return a day since 1970 as the number YYYYMMDD (Hinnant, Low-Level Date Algorithms)."""
    days += 719_468
    era = days // 146_097
    of_era = days - era * 146_097
    year = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    day = of_year - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    return (year + era * 400 + (1 if month <= 2 else 0)) * 10_000 + month * 100 + day


@njit(cache=True, nogil=True)
def _write(
    numbers: Ints,
    seconds: Ints,
    tags: Bytes,
    text: Bytes,
    ends: NDArray[np.int32],
) -> int:
    place = 0
    for row in range(len(numbers)):
        days, second = divmod(seconds[row], 86_400)
        text[place], text[place + 1] = 79, 45
        place = _digits(text, place + 2, date_number(days), 8)
        text[place] = 45
        clock = second // 3_600 * 10_000 + second // 60 % 60 * 100 + second % 60
        place = _digits(text, place + 1, clock, 6)
        for tag in tags:
            text[place] = tag
            place += 1
        number = numbers[row] + 1
        count = 1
        while number >= 10**count:
            count += 1
        place = _digits(text, place, number, count)
        ends[row + 1] = place
    return place
