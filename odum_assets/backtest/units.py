"""Amounts as whole numbers of their last decimal, and back to Arrow decimals.

Whole numbers are exact and much cheaper to count with than decimals.
"""

from decimal import Context, Decimal
from typing import Any

import numpy as np
import pyarrow as pa

# Words of a decimal128: the low one first.
_WORDS = 2
_SIGN_BITS = 63
# Longer than any amount, so that shifting its point never rounds it.
_WIDE = Context(prec=100)


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


def column_units(column: "pa.Array[Any]", precision: int) -> list[int]:
    """Return a decimal128 column without nulls as numbers of units.

    Raises
    ------
    pa.ArrowInvalid
        If a value has more decimals.
    """
    kind = pa.decimal128(38, precision)
    scaled: Any = column.cast(kind)
    words = np.frombuffer(scaled.buffers()[1], np.int64).reshape(-1, _WORDS)
    words = words[scaled.offset : scaled.offset + len(scaled)]
    low = words[:, 0]
    if np.array_equal(words[:, 1], low >> _SIGN_BITS):
        found: list[int] = low.tolist()
        return found
    return [units_of(each, precision) for each in scaled.to_pylist()]


def units_column(units: list[int], precision: int, kind: pa.Decimal128Type) -> "pa.Array[Any]":
    """Return numbers of units as a decimal128 column of another scale, which must be as fine."""
    scaled = pa.decimal128(38, precision)
    try:
        low = np.array(units, np.int64)
    except OverflowError:
        return pa.array([amount_of(each, precision) for each in units], scaled).cast(kind)
    words = np.column_stack([low, low >> _SIGN_BITS])
    whole: Any = pa.Array.from_buffers(scaled, len(units), [None, pa.py_buffer(words)])
    column: pa.Array[Any] = whole.cast(kind)
    return column
