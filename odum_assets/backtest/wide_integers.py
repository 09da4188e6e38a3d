"""Whole numbers of many digits, for compiled code: what 64 bits do not hold.

A number is an array of uint64 with one digit of 32 bits each, the lowest first; none is negative.
Numba has no wide integers, and mixes signed and unsigned ones into floats: whatever takes part in
arithmetic here is a uint64.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    type Wide = NDArray[np.uint64]

DIGIT_BITS: Final = 32
_BITS = np.uint64(DIGIT_BITS)
_MASK = np.uint64(0xFFFFFFFF)
_BASE = np.uint64(1 << DIGIT_BITS)
_TOP = np.uint64(1 << (DIGIT_BITS - 1))
_ZERO, _ONE = np.uint64(0), np.uint64(1)


@njit
def length(number: Wide) -> int:
    """Return the number of digits without leading zeros."""
    count = len(number)
    while count > 0 and number[count - 1] == _ZERO:
        count -= 1
    return count


@njit
def assign(target: Wide, value: int) -> None:
    """Set a number to a value of 64 bits that is not negative."""
    target[:] = _ZERO
    target[0] = np.uint64(value) & _MASK
    target[1] = np.uint64(value) >> _BITS


@njit
def copy(target: Wide, source: Wide) -> None:
    """Set a number to another one, which it must hold."""
    shifted(target, source, 0)


@njit
def shifted(target: Wide, source: Wide, digits: int) -> None:
    """Set a number to another one with zeros after it; it must hold them."""
    # Not by slices: what they raise for unequal lengths takes longer to compile than all of this.
    count = length(source)
    for index in range(len(target)):
        own = digits <= index < digits + count
        target[index] = source[index - digits] if own else _ZERO


@njit
def narrow(number: Wide) -> int:
    """Return a number below 2**63 as a signed one of 64 bits."""
    return int(np.int64((number[1] << _BITS) | number[0]))


@njit
def is_less(first: Wide, second: Wide) -> bool:
    """Return whether a number is less than another one."""
    count = length(first)
    other = length(second)
    if count != other:
        return bool(count < other)
    for index in range(count - 1, -1, -1):
        if first[index] != second[index]:
            return bool(first[index] < second[index])
    return False


@njit
def add(target: Wide, number: Wide) -> None:
    """Add a number to another one, which must hold the sum."""
    count = length(number)
    carry = _ZERO
    for index in range(len(target)):
        if index >= count and carry == _ZERO:
            break
        total = target[index] + carry + (number[index] if index < count else _ZERO)
        target[index] = total & _MASK
        carry = total >> _BITS


@njit
def subtract(target: Wide, number: Wide) -> None:
    """Subtract a number from another one that is not less."""
    count = length(number)
    borrow = _ZERO
    for index in range(len(target)):
        if index >= count and borrow == _ZERO:
            break
        less = borrow + (number[index] if index < count else _ZERO)
        borrow = _ONE if target[index] < less else _ZERO
        target[index] = (target[index] - less) & _MASK


@njit
def multiply(target: Wide, factor: int) -> None:
    """Multiply a number, which must hold the product, by a value of 63 bits."""
    low, high = np.uint64(factor) & _MASK, np.uint64(factor) >> _BITS
    count = length(target)
    before = carry = _ZERO
    for index in range(len(target)):
        if index > count and carry == _ZERO:
            break
        digit = target[index]
        # Neither sum exceeds 2**64 - 1.
        first = digit * low + carry
        second = before * high + (first & _MASK)
        target[index] = second & _MASK
        carry = (first >> _BITS) + (second >> _BITS)
        before = digit


@njit
def divide(rest: Wide, by: Wide, quotient: Wide, spare: Wide) -> None:
    """Divide by a number that is not zero (Knuth, The Art of Computer Programming 2, algorithm D).

    Parameters
    ----------
    rest : Wide
        The dividend, with a leading zero; holds the remainder afterwards.
    by : Wide
        The divisor.
    quotient : Wide
        Takes the quotient.
    spare : Wide
        A number that may be overwritten.
    """
    quotient[:] = _ZERO
    digits, total = length(by), length(rest)
    if digits == 1:
        _divide_short(rest, by[0], quotient, total)
    elif total >= digits:
        shift = _leading_zeros(by[digits - 1])
        _shift_left(by, digits, spare, shift)
        _shift_left(rest, total + 1, rest, shift)
        for place in range(total - digits, -1, -1):
            quotient[place] = _quotient_digit(rest, spare, digits, place)
        for index in range(digits):
            upper = rest[index + 1] << (_BITS - shift)
            rest[index] = ((rest[index] >> shift) | upper) & _MASK


@njit
def _divide_short(rest: Wide, by: np.uint64, quotient: Wide, total: int) -> None:
    left = _ZERO
    for index in range(total - 1, -1, -1):
        whole = (left << _BITS) | rest[index]
        quotient[index] = whole // by
        left = whole - quotient[index] * by
        rest[index] = _ZERO
    rest[0] = left


@njit
def _leading_zeros(digit: np.uint64) -> np.uint64:
    count = _ZERO
    while digit < _TOP:
        digit = digit << _ONE
        count += _ONE
    return count


@njit
def _shift_left(source: Wide, count: int, target: Wide, shift: np.uint64) -> None:
    for index in range(count - 1, 0, -1):
        lower = source[index - 1] >> (_BITS - shift)
        target[index] = ((source[index] << shift) | lower) & _MASK
    target[0] = (source[0] << shift) & _MASK


@njit
def _quotient_digit(rest: Wide, by: Wide, digits: int, place: int) -> np.uint64:
    """Return one digit of a quotient and take it times the divisor from the rest."""
    first, second = by[digits - 1], by[digits - 2]
    top = (rest[place + digits] << _BITS) | rest[place + digits - 1]
    digit: np.uint64 = top // first
    left = top - digit * first
    below = rest[place + digits - 2]
    while digit >= _BASE or digit * second > ((left << _BITS) | below):
        digit -= _ONE
        left += first
        if left >= _BASE:
            break
    borrow = carry = _ZERO
    for index in range(digits + 1):
        product = (digit * by[index] if index < digits else _ZERO) + carry
        carry = product >> _BITS
        less = (product & _MASK) + borrow
        held = rest[place + index]
        borrow = _ONE if held < less else _ZERO
        rest[place + index] = (held - less) & _MASK
    if borrow != _ZERO:
        digit -= _ONE
        carry = _ZERO
        for index in range(digits + 1):
            total = rest[place + index] + (by[index] if index < digits else _ZERO) + carry
            rest[place + index] = total & _MASK
            carry = total >> _BITS
    return digit


@njit
def float_of(number: Wide) -> float:
    """Return the nearest float, ties to even."""
    count = length(number)
    if count < 3:
        return float((number[1] << _BITS) | number[0])
    shift = _leading_zeros(number[count - 1])
    top = (number[count - 1] << _BITS) | number[count - 2]
    top = (top << shift) | (number[count - 3] >> (_BITS - shift))
    # What lies below 64 bits only says on which side of a tie the number is.
    below = number[count - 3] << shift & _MASK
    for index in range(count - 3):
        below |= number[index]
    if below != _ZERO:
        top |= _ONE
    return math.ldexp(float(top), DIGIT_BITS * (count - 2) - int(shift))


@njit
def round_half_even(quotient: Wide, rest: Wide, by: Wide, spare: Wide) -> None:
    """Round a quotient by the remainder that `divide` left."""
    copy(spare, rest)
    add(spare, rest)
    is_tie = not is_less(spare, by) and not is_less(by, spare)
    if is_less(by, spare) or (is_tie and quotient[0] & _ONE):
        assign(spare, 1)
        add(quotient, spare)
