"""Rows as JSON text, compiled: the bytes that ``json_rows`` makes with Arrow, in much less time.

What belongs here: writing tokens of columns into slots of equal width, one for each row, and moving
them together. What does not: which fields objects have, files (``json_rows``, ``documents``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numba import njit

from odum_assets.vectorized.ticks.order_ids import date_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    type Ints = NDArray[np.int64]
    type Bytes = NDArray[np.uint8]

SCALE: Final = 16
"""Decimals of the numbers that are written here."""

_BLOCK_ROWS: Final = 4_096
_BLOCK_BYTES: Final = 2 * 1024 * 1024
_DECIMAL_WIDTH: Final = 48
_TIME_WIDTH: Final = 32
_LONGEST_ESCAPE: Final = 6
_NULL: Final = 4
_NONE: Final = np.empty(0, np.bool_)
_NONE.flags.writeable = False


class Token(NamedTuple):
    """A column whose values are written after a text.

    Parameters
    ----------
    prefix : bytes
        What stands before each value.
    values : pa.Array
        Texts, ``decimal128(38, 16)`` or times in ns.
    is_quoted : bool
        Whether texts become strings; others stand as they are.
    """

    prefix: bytes
    values: Any
    is_quoted: bool


class Layout(NamedTuple):
    """Objects of one kind.

    Parameters
    ----------
    tokens : sequence of Token
        Their values in order.
    closing : bytes
        What stands after the last value.
    places : int64 array, shape (n,)
        Ascending; which row of all each object is.
    """

    tokens: Sequence[Token]
    closing: bytes
    places: Ints


def lines(layouts: Sequence[Layout], rows: int) -> Iterator[memoryview]:
    """Yield the objects of all layouts by their places, as runs of bytes.

    Parameters
    ----------
    layouts : sequence of Layout
        Together they have each place once.
    rows : int
        Number of objects.
    """
    columns = [[_column(token) for token in layout.tokens] for layout in layouts]
    width = max(
        sum(column.width for column in own) + len(layout.closing)
        for own, layout in zip(columns, layouts, strict=True)
    )
    block = max(1, min(_BLOCK_ROWS, _BLOCK_BYTES // width))
    slots = np.empty(min(block, rows) * width, np.uint8)
    joined = np.empty_like(slots)
    ends = np.empty(min(block, rows), np.int64)
    for first in range(0, rows, block):
        count = min(block, rows - first)
        _start(ends, width)
        for layout, own in zip(layouts, columns, strict=True):
            start, stop = np.searchsorted(layout.places, (first, first + count)).tolist()
            if start == stop:
                continue
            where = (layout.places, start, stop, first)
            for column in own:
                column.write(slots, ends, *where)
            _literal(slots, ends, np.frombuffer(layout.closing, np.uint8), *where)
        yield memoryview(joined)[: _join(slots, ends, width, count, joined)]


class _Column(NamedTuple):
    """A token's column as arrays, and how many bytes one value takes at most."""

    kind: Any
    width: int
    arguments: tuple[Any, ...]

    def write(self, slots: Bytes, ends: Ints, *where: Any) -> None:  # noqa: ANN401
        """Write the values of some rows into their slots."""
        self.kind(slots, ends, *where, *self.arguments)


def _column(token: Token) -> _Column:
    prefix, values = np.frombuffer(token.prefix, np.uint8), token.values
    known = _NONE
    if values.null_count:
        known = np.asarray(values.is_valid())
        known.flags.writeable = False
    scratch = np.empty(_DECIMAL_WIDTH, np.uint8)
    if pa.types.is_decimal(values.type):
        words = _numbers(values, np.uint64, 2)
        return _Column(_decimals, len(prefix) + _DECIMAL_WIDTH, (prefix, known, words, scratch))
    if pa.types.is_timestamp(values.type):
        times = _numbers(values, np.int64, 1)
        return _Column(_times, len(prefix) + _TIME_WIDTH, (prefix, known, times, scratch))
    _, offsets, data = values.buffers()
    ends = np.frombuffer(offsets or bytes(4), np.int32)
    ends = ends[values.offset : values.offset + len(values) + 1]
    text = np.frombuffer(data or b"", np.uint8)
    ends.flags.writeable = text.flags.writeable = False
    longest = int(np.diff(ends).max(initial=0))
    if token.is_quoted and not _is_safe(text, int(ends[0]), int(ends[-1])):
        width = len(prefix) + max(_LONGEST_ESCAPE * longest, _NULL) + 2
        return _Column(_escaped, width, (prefix, known, ends, text))
    width = len(prefix) + max(longest, _NULL) + 2
    return _Column(_texts, width, (prefix, known, ends, text, token.is_quoted))


def _numbers(values: Any, kind: Any, words: int) -> NDArray[Any]:  # noqa: ANN401 - a column
    """Return the numbers of a column, read-only: of other arrays code would be compiled again."""
    numbers = np.frombuffer(values.buffers()[1] or b"", kind)
    numbers = numbers[values.offset * words : (values.offset + len(values)) * words]
    numbers.flags.writeable = False
    return numbers


@njit(cache=True, nogil=True)
def _copy(target: Bytes, place: int, source: Bytes, start: int, count: int) -> int:
    """Copy bytes; return where they end."""
    # Of indices without a sign the compiler makes one move of many bytes.
    to, of = np.uintp(place), np.uintp(start)
    for index in range(np.uintp(count)):
        target[to + np.uintp(index)] = source[of + np.uintp(index)]
    return place + count


@njit(cache=True, nogil=True)
def _start(ends: Ints, width: int) -> None:
    for slot in range(len(ends)):
        ends[slot] = slot * width


@njit(cache=True, nogil=True)
def _join(slots: Bytes, ends: Ints, width: int, count: int, joined: Bytes) -> int:
    """Move what is in the slots together; return how long it is."""
    place = 0
    for slot in range(count):
        start = slot * width
        place = _copy(joined, place, slots, start, ends[slot] - start)
    return place


@njit(cache=True, nogil=True)
def _put(slots: Bytes, place: int, text: Bytes) -> int:
    end: int = _copy(slots, place, text, 0, len(text))
    return end


@njit(cache=True, nogil=True)
def _null(slots: Bytes, place: int) -> int:
    slots[place] = 110
    slots[place + 1] = 117
    slots[place + 2] = slots[place + 3] = 108
    return place + 4


@njit(cache=True, nogil=True)
def _digits(slots: Bytes, place: int, number: int, count: int) -> int:
    """Write the last digits of a number; return where they end."""
    at, left = np.uintp(place + count), np.uint64(number)
    for _ in range(count):
        at -= np.uintp(1)
        slots[at] = np.uint64(48) + left % np.uint64(10)
        left //= np.uint64(10)
    return place + count


@njit(cache=True, nogil=True)
def _is_safe(text: Bytes, start: int, stop: int) -> bool:
    """Return whether no byte needs an escape."""
    odd = 0
    first = np.uintp(start)
    for index in range(np.uintp(stop - start)):
        byte = text[first + np.uintp(index)]
        odd += (byte < 32) | (byte == 34) | (byte == 92)
    return odd == 0


@njit(cache=True, nogil=True)
def _literal(
    slots: Bytes, ends: Ints, text: Bytes, places: Ints, start: int, stop: int, first: int
) -> None:
    for row in range(start, stop):
        slot = places[row] - first
        ends[slot] = _put(slots, ends[slot], text)


@njit(cache=True, nogil=True)
def _texts(
    slots: Bytes,
    ends: Ints,
    places: Ints,
    start: int,
    stop: int,
    first: int,
    prefix: Bytes,
    known: NDArray[np.bool_],
    bounds: NDArray[np.int32],
    data: Bytes,
    is_quoted: bool,
) -> None:
    for row in range(start, stop):
        slot = places[row] - first
        place = _put(slots, ends[slot], prefix)
        if len(known) and not known[row]:
            ends[slot] = _null(slots, place)
            continue
        if is_quoted:
            slots[place] = 34
            place += 1
        place = _copy(slots, place, data, bounds[row], bounds[row + 1] - bounds[row])
        if is_quoted:
            slots[place] = 34
            place += 1
        ends[slot] = place


@njit(cache=True, nogil=True)
def _escaped(
    slots: Bytes,
    ends: Ints,
    places: Ints,
    start: int,
    stop: int,
    first: int,
    prefix: Bytes,
    known: NDArray[np.bool_],
    bounds: NDArray[np.int32],
    data: Bytes,
) -> None:
    for row in range(start, stop):
        slot = places[row] - first
        place = _put(slots, ends[slot], prefix)
        if len(known) and not known[row]:
            ends[slot] = _null(slots, place)
            continue
        slots[place] = 34
        place += 1
        for index in range(bounds[row], bounds[row + 1]):
            byte = data[index]
            if byte < 32:
                # \u00XX
                slots[place] = 92
                slots[place + 1] = 117
                slots[place + 2] = slots[place + 3] = 48
                slots[place + 4] = 48 + (byte >> 4)
                low = byte & 15
                slots[place + 5] = 48 + low if low < 10 else 87 + low
                place += 6
                continue
            if byte in (34, 92):
                slots[place] = 92
                place += 1
            slots[place] = byte
            place += 1
        slots[place] = 34
        ends[slot] = place + 1


@njit(cache=True, nogil=True)
def _times(
    slots: Bytes,
    ends: Ints,
    places: Ints,
    start: int,
    stop: int,
    first: int,
    prefix: Bytes,
    known: NDArray[np.bool_],
    times: Ints,
    scratch: Bytes,
) -> None:
    """Write times as ISO 8601 with nanoseconds, in quotes."""
    last = -(2**62)
    for row in range(start, stop):
        slot = places[row] - first
        place = _put(slots, ends[slot], prefix)
        if len(known) and not known[row]:
            ends[slot] = _null(slots, place)
            continue
        seconds = times[row] // 1_000_000_000
        fraction = times[row] - seconds * 1_000_000_000
        days = seconds // 86_400
        second = seconds - days * 86_400
        if days != last:
            _write_date(scratch, days)
            last = days
        place = _copy(slots, place, scratch, 0, 12)
        place = _digits(slots, place, second // 3_600, 2)
        slots[place] = 58
        place = _digits(slots, place + 1, second // 60 % 60, 2)
        slots[place] = 58
        place = _digits(slots, place + 1, second % 60, 2)
        slots[place] = 46
        place = _digits(slots, place + 1, fraction, 9)
        slots[place] = 90
        slots[place + 1] = 34
        ends[slot] = place + 2


@njit(cache=True, nogil=True)
def _write_date(text: Bytes, days: int) -> None:
    """Write a day since 1970 with a quote before and a T after it."""
    number = date_number(days)
    text[0] = 34
    _digits(text, 1, number // 10_000, 4)
    text[5] = 45
    _digits(text, 6, number // 100 % 100, 2)
    text[8] = 45
    _digits(text, 9, number % 100, 2)
    text[11] = 84


@njit(cache=True, nogil=True)
def _decimals(
    slots: Bytes,
    ends: Ints,
    places: Ints,
    start: int,
    stop: int,
    first: int,
    prefix: Bytes,
    known: NDArray[np.bool_],
    words: NDArray[np.uint64],
    scratch: Bytes,
) -> None:
    """Write numbers of 128 bits and 16 decimals with the digits that they need."""
    one = np.uint64(100_000_000)
    for row in range(start, stop):
        slot = places[row] - first
        place = _put(slots, ends[slot], prefix)
        if len(known) and not known[row]:
            ends[slot] = _null(slots, place)
            continue
        low, high = words[2 * row], words[2 * row + 1]
        if low == 0 and high == 0:
            slots[place] = 48
            ends[slot] = place + 1
            continue
        if high >> np.uint64(63):
            slots[place] = 45
            place += 1
            low = ~low + np.uint64(1)
            high = ~high + np.uint64(1 if low == 0 else 0)
        # Most have eight decimals: the quotient of floats is near, and its product says for sure
        # whether it is it. Equal in the lower 64 bits; that far off no such quotient is.
        near = np.rint((float(high) * 18446744073709551616.0 + float(low)) / 1e8)
        if near < 9007199254740992.0 and near >= 100.0:
            units = np.uint64(near)
            if units * one == low:
                whole = units // one
                ends[slot] = _fixed(slots, place, np.int64(whole), np.int64(units - whole * one))
                continue
        ends[slot] = _any_decimal(slots, place, low, high, scratch)


@njit(cache=True, nogil=True)
def _fixed(slots: Bytes, place: int, whole: int, fraction: int) -> int:
    """Write a number of eight decimals without zeros at its end."""
    count = 1
    bound = 10
    while whole >= bound:
        count += 1
        bound *= 10
    place = _digits(slots, place, whole, count)
    if fraction:
        slots[place] = 46
        place = _digits(slots, place + 1, fraction, 8)
        while slots[place - 1] == 48:
            place -= 1
    return place


@njit(cache=True, nogil=True)
def _any_decimal(slots: Bytes, place: int, low: np.uint64, high: np.uint64, scratch: Bytes) -> int:
    """Write any positive number; one below a millionth as Arrow does, with an exponent."""
    count = _all_digits(low, high, scratch)
    last = _DECIMAL_WIDTH
    exponent = count - 1 - SCALE
    if exponent < -6:
        slots[place] = scratch[last - count]
        place += 1
        if count > 1:
            slots[place] = 46
            place += 1
            for index in range(last - count + 1, last):
                slots[place] = scratch[index]
                place += 1
        slots[place] = 69
        slots[place + 1] = 45
        digits = 1 if exponent > -10 else 2
        return _digits(slots, place + 2, -exponent, digits)  # type: ignore[no-any-return]
    if count <= SCALE:
        slots[place] = 48
        place += 1
    else:
        for index in range(last - count, last - SCALE):
            slots[place] = scratch[index]
            place += 1
    while last > _DECIMAL_WIDTH - SCALE and scratch[last - 1] == 48:
        last -= 1
    if last > _DECIMAL_WIDTH - SCALE:
        slots[place] = 46
        place += 1
        for index in range(_DECIMAL_WIDTH - SCALE, last):
            # Zeros right of the point that are no digits of the number are there, too.
            slots[place] = scratch[index]
            place += 1
    return place


@njit(cache=True, nogil=True)
def _all_digits(low: np.uint64, high: np.uint64, scratch: Bytes) -> int:
    """Write the digits of a number to the end of a text, zeros before them; return how many."""
    billion, half, mask = np.uint64(1_000_000_000), np.uint64(32), np.uint64(0xFFFFFFFF)
    first, second = high >> half, high & mask
    third, fourth = low >> half, low & mask
    end = _DECIMAL_WIDTH
    for _ in range(5):
        rest = first % billion
        first //= billion
        second |= rest << half
        rest = second % billion
        second //= billion
        third |= rest << half
        rest = third % billion
        third //= billion
        fourth |= rest << half
        rest = fourth % billion
        fourth //= billion
        _digits(scratch, end - 9, np.int64(rest), 9)
        end -= 9
    count = _DECIMAL_WIDTH - end
    while scratch[_DECIMAL_WIDTH - count] == 48:
        count -= 1
    return count
