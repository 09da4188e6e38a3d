"""Prices, sizes and amounts as whole numbers of their last decimal, and as stored decimals.

A tick is one unit of the last decimal (``10 ** -precision``). Everything between the raw file, the
written decimal and an account is integer arithmetic: exact, and much cheaper than decimals. No row
is dropped here: what cannot be held is marked with a `Problem`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from odum_assets.catalog.arrow import Column, flags_of, kernels

Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]
Codes = npt.NDArray[np.uint8]
Units = npt.NDArray[Any]
"""Whole numbers of the last decimal: int64, or Python's as objects where 64 bits do not suffice."""

STORED_SCALE = 16
"""Decimals of stored prices and amounts."""

DECIMAL = pa.decimal128(38, STORED_SCALE)
"""How prices and amounts are stored."""

MAX_PRICE = 17_014_118_346_046
"""Largest price that Nautilus holds."""

MAX_SIZE = 34_028_236_692_093
"""Largest quantity that Nautilus holds."""

_EXACT = float(2**51)  # below it the rounded product of a double and 10**p is the right integer
_NOISE = 8 * np.finfo(np.float64).eps  # what a few float operations upstream may have added
_WIDEST = 76  # digits of a decimal256
_S32 = np.uint64(32)
_SIGN_BITS = 63
_HALF = 0xFFFFFFFF
_BLOCK = 4_096
# Longer than any amount, so that shifting its point never rounds it.
_WIDE = Context(prec=100)


class Problem(IntEnum):
    """Why a number cannot be held; 0 means that it can."""

    NONE = 0
    MISSING = 1
    NOT_FINITE = 2
    NEGATIVE = 3
    ZERO = 4
    TOO_LARGE = 5
    TOO_MANY_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class Ticks:
    """Numbers as ticks, with a problem per row (0 is none); a row with a problem has 0 ticks."""

    values: Int64s
    problems: Codes | None


def to_ticks(column: Column, precision: int, limit: int) -> Ticks:
    """Turn a numeric column into ticks.

    Parameters
    ----------
    column : pa.Array
        float16/32/64, any integer or any decimal type; n rows.
    precision : int
        Decimals of a tick.
    limit : int
        Largest number allowed (`MAX_PRICE` or `MAX_SIZE`); int64 sets a second bound.

    Returns
    -------
    Ticks
        n values, and n problems if there is any.
    """
    kind = column.type
    if pa.types.is_decimal(kind) or pa.types.is_integer(kind):
        return _from_exact(column, precision, limit)
    if kind != pa.float64():
        # The shortest text of a float32 is the number that was meant; its double is not.
        text = kernels.cast(kernels.cast(column, pa.float32()), pa.string())
        column = kernels.cast(text, pa.float64())
    return _from_doubles(column.to_numpy(zero_copy_only=False), precision, limit)


def to_rounded_ticks(column: Column, precision: int, limit: int) -> Ticks:
    """Turn a numeric column of any sign into ticks, rounding what is finer than a tick half-even.

    Parameters
    ----------
    column : pa.Array
        Any floating, integer or decimal type; n rows.
    precision : int
        Decimals of a tick.
    limit : int
        Largest absolute number allowed.

    Returns
    -------
    Ticks
        n values, and n problems if there is any: missing, not finite, too large.
    """
    kind = column.type
    if pa.types.is_decimal(kind):
        wide = pa.decimal256(_WIDEST, kind.scale) if kind.bit_width == 256 else None
        column = kernels.cast(column, wide or pa.decimal128(38, kind.scale))
        if kind.scale > precision:
            column = kernels.round(column, precision, "half_to_even")
    negative = flags_of(kernels.less(column, pa.scalar(0).cast(column.type)))
    # The lowest integer has no positive counterpart: it stays negative and is too large.
    sizes = kernels.abs(column)
    ticks = to_ticks(sizes, precision, limit)
    values, problems = ticks.values, ticks.problems
    if problems is not None:
        finer = problems == Problem.TOO_MANY_DECIMALS
        if finer.any():
            numbers = kernels.cast(sizes, pa.float64()).to_numpy(zero_copy_only=False)
            values[finer] = np.rint(numbers[finer] * 10.0**precision).astype(np.int64)
        problems[problems == Problem.NEGATIVE] = Problem.TOO_LARGE
        problems[finer | (problems == Problem.ZERO)] = Problem.NONE
    return Ticks(np.where(negative, -values, values), problems)


def _from_doubles(numbers: Float64s, precision: int, limit: int) -> Ticks:
    scale = float(10**precision)
    bound = min(limit * scale, float(2**63 - 1024))
    with np.errstate(invalid="ignore", over="ignore"):
        rounded = np.rint(numbers * scale)
        good = (rounded > 0) & (rounded <= bound) & (rounded < _EXACT)
        bad = (rounded / scale != numbers) | ~good
    if not bad.any():
        return Ticks(rounded.astype(np.int64), None)
    ticks = np.where(bad, 0.0, rounded).astype(np.int64)
    problems = np.zeros(len(numbers), np.uint8)
    rows = np.flatnonzero(bad)
    ticks[rows], problems[rows] = _classify(numbers[rows], precision, bound)
    return Ticks(ticks, problems if problems.any() else None)


def _classify(numbers: Float64s, precision: int, bound: float) -> tuple[Int64s, Codes]:
    """Return ticks and problems of doubles that the fast path did not accept."""
    scale = float(10**precision)
    ticks = np.zeros(len(numbers), np.int64)
    problems = np.full(len(numbers), Problem.TOO_MANY_DECIMALS, np.uint8)
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = numbers * scale
        rounded = np.rint(scaled)
        noise = (np.abs(rounded / scale - numbers) <= _NOISE * np.abs(numbers)) & (rounded > 0)
        noise &= (scaled < _EXACT) & (scaled <= bound)
        ticks[noise] = rounded[noise].astype(np.int64)
        problems[noise] = Problem.NONE
        # A double this large carries fewer decimals than asked for: take the fewest that give it.
        for fewer in range(precision, -1, -1):
            part = np.rint(numbers * 10.0**fewer)
            match = (scaled >= _EXACT) & (scaled <= bound) & (part / 10.0**fewer == numbers)
            match &= part < float(2**53)
            ticks[match] = part[match].astype(np.int64) * 10 ** (precision - fewer)
            problems[match] = Problem.NONE
        problems[scaled > bound] = Problem.TOO_LARGE
        problems[numbers == 0] = Problem.ZERO
        problems[numbers < 0] = Problem.NEGATIVE
    problems[np.isinf(numbers)] = Problem.NOT_FINITE
    problems[np.isnan(numbers)] = Problem.MISSING
    ticks[problems != Problem.NONE] = 0
    return ticks, problems


def _from_exact(column: Column, precision: int, limit: int) -> Ticks:
    """Turn integers or decimals into ticks without passing through a double."""
    values = kernels.cast(
        _within_reach(column, limit), pa.decimal256(76, max(_scale(column.type), precision))
    )
    scale = values.type.scale
    zero = pa.scalar(Decimal(0), values.type)
    largest = min(Decimal(limit), Decimal(2**63 - 1).scaleb(-precision))
    top = pa.scalar(largest, pa.decimal256(_WIDEST, precision)).cast(values.type)
    problems = np.zeros(len(values), np.uint8)
    in_range = kernels.if_else(
        kernels.fill_null(
            kernels.and_(kernels.greater(values, zero), kernels.less_equal(values, top)), False
        ),
        values,
        zero,
    )
    held = kernels.cast(in_range, pa.decimal256(76, precision), safe=False)
    finer = kernels.not_equal(kernels.cast(held, pa.decimal256(76, scale)), in_range)
    problems[flags_of(finer)] = Problem.TOO_MANY_DECIMALS
    problems[flags_of(kernels.greater(values, top))] = Problem.TOO_LARGE
    problems[flags_of(kernels.equal(values, zero))] = Problem.ZERO
    problems[flags_of(kernels.less(values, zero))] = Problem.NEGATIVE
    problems[flags_of(kernels.is_null(values))] = Problem.MISSING
    # The lowest 64 of the 256 bits; the bound above keeps every number within them.
    words = np.frombuffer(held.buffers()[1], np.int64).reshape(-1, 4)
    ticks = words[held.offset : held.offset + len(held), 0].copy()
    ticks[problems != Problem.NONE] = 0
    return Ticks(ticks, problems if problems.any() else None)


def _within_reach(column: Column, limit: int) -> Column:
    """Return decimals of which none is too wide for 76 digits with more decimals than it has.

    Numbers far beyond `limit` come back as twice the limit, with their sign.
    """
    kind = column.type
    if not pa.types.is_decimal(kind) or kind.precision - kind.scale + STORED_SCALE <= _WIDEST:
        return column
    far = pa.scalar(Decimal(2 * limit), kind)
    near = pa.scalar(Decimal(-2 * limit), kind)
    column = kernels.if_else(kernels.greater(column, far), far, column)
    within: Column = kernels.if_else(kernels.less(column, near), near, column)
    return within


def _scale(kind: pa.DataType) -> int:
    return int(kind.scale) if pa.types.is_decimal(kind) else 0


def to_decimals(ticks: Int64s, precision: int) -> Column:
    """Turn ticks into ``decimal128(38, 16)``.

    Parameters
    ----------
    ticks : ndarray of int64, shape (n,)
        Zero or positive.
    precision : int
        Decimals of a tick, 0 to 16.

    Returns
    -------
    pa.Array
        n decimals, none null.
    """
    return _stored(ticks, 10 ** (STORED_SCALE - precision), DECIMAL)


def units_of(amount: Decimal, precision: int) -> int:
    """Return an amount as a number of units of ``10 ** -precision``.

    Raises
    ------
    ValueError
        If the amount has more decimals.
    """
    scaled = amount.scaleb(precision, _WIDE)
    units = int(scaled)
    if units != scaled:
        raise ValueError(f"{amount} has more than {precision} decimals")
    return units


def amount_of(units: int, precision: int) -> Decimal:
    """Return a number of units of ``10 ** -precision`` as an amount, exactly."""
    return Decimal(units).scaleb(-precision, _WIDE)


def column_ticks(column: Column, precision: int) -> Int64s:
    """Return a decimal128 column without nulls as ticks, which must fit 64 bits; shape (n,).

    Raises
    ------
    pa.ArrowInvalid
        If a value has more decimals.
    """
    scaled: Any = column.cast(pa.decimal128(38, precision))
    words = np.frombuffer(scaled.buffers()[1], np.int64).reshape(-1, 2)
    ticks: Int64s = words[scaled.offset : scaled.offset + len(scaled), 0].copy()
    return ticks


def column_units(column: Column, precision: int) -> Units:
    """Return a decimal128 column without nulls as numbers of units; shape (n,).

    Raises
    ------
    pa.ArrowInvalid
        If a value has more decimals.
    """
    kind = pa.decimal128(38, precision)
    scaled: Any = column.cast(kind)
    words = np.frombuffer(scaled.buffers()[1], np.int64).reshape(-1, 2)
    words = words[scaled.offset : scaled.offset + len(scaled)]
    low = words[:, 0]
    if np.array_equal(words[:, 1], low >> _SIGN_BITS):
        return low.copy()
    return units_array([units_of(amount, precision) for amount in scaled.to_pylist()])


def units_array(units: Sequence[int]) -> Units:
    """Return whole numbers as an array of int64, or of objects where one does not fit."""
    try:
        return np.array(units, np.int64)
    except OverflowError:
        return np.array(units, object)


def units_column(units: Units | list[int], precision: int, kind: pa.Decimal128Type) -> Column:
    """Return numbers of units as a decimal128 column of another scale, which must be as fine."""
    try:
        numbers = np.asarray(units, np.int64)
    except OverflowError:
        scaled = pa.decimal128(38, precision)
        return pa.array([amount_of(unit, precision) for unit in list(units)], scaled).cast(kind)
    return _stored(numbers, 10 ** (kind.scale - precision), kind)


def _stored(numbers: Int64s, factor: int, kind: pa.Decimal128Type) -> Column:
    """Return whole numbers times a factor, up to 10**16, as decimals of 38 digits; shape (n,).

    The upper 64 bits of a product of 128 are made of halves (Warren, Hacker's Delight, 2nd edition,
    8-2), in blocks that stay in the processor's cache: four times as fast as Arrow's cast.
    """
    unsigned = np.ascontiguousarray(numbers, np.int64).view(np.uint64)
    words = np.empty((len(numbers), 2), np.uint64)  # of a decimal128: the low one first
    by, by_low, by_high = (np.uint64(part) for part in (factor, factor & _HALF, factor >> 32))
    scratch = np.empty((4, _BLOCK), np.uint64)
    for start in range(0, len(numbers), _BLOCK):
        block, out = unsigned[start : start + _BLOCK], words[start : start + _BLOCK]
        low, high, middle, spare = scratch[:, : len(block)]
        np.multiply(block, by, out=out[:, 0])  # the lower 64 bits wrap by design
        np.bitwise_and(block, np.uint64(_HALF), out=low)
        np.right_shift(block, _S32, out=high)
        # What the lower half carries into the middle, then into the upper one.
        np.right_shift(np.multiply(low, by_low, out=middle), _S32, out=middle)
        np.add(middle, np.multiply(high, by_low, out=spare), out=middle)
        np.add(
            np.multiply(high, by_high, out=high),
            np.right_shift(middle, _S32, out=spare),
            out=high,
        )
        np.bitwise_and(middle, np.uint64(_HALF), out=middle)
        np.add(np.multiply(low, by_high, out=low), middle, out=low)
        np.add(high, np.right_shift(low, _S32, out=low), out=high)
        # A negative number was taken for one larger by 2**64.
        np.multiply(np.right_shift(block, np.uint64(_SIGN_BITS), out=low), by, out=low)
        np.subtract(high, low, out=out[:, 1])
    return pa.Array.from_buffers(kind, len(numbers), [None, pa.py_buffer(words)])
