"""JSON whose numbers keep every digit.

What belongs here: values to text and text to values. What does not: which document is written
(``model``, ``backtest.plan``, ``results.store``), and files that people write (``loading``).
"""

import json
import re
import uuid
from collections.abc import Callable, Mapping
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal, InvalidOperation
from typing import Any

_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)


def read_json(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value of a JSON text; numbers with a point or an exponent as `Decimal`.

    Raises
    ------
    ValueError
        If the text is not JSON (NaN and infinite numbers are not), or a number has an exponent that
        no Decimal holds.
    """
    return json.loads(text, parse_float=_decimal, parse_constant=_refuse_constant)


def write_json(value: object, indent: int | None = None) -> str:
    """Return a value as JSON text, spelled as `json.dumps` does it; Decimals as numbers.

    Parameters
    ----------
    value : object
        Mappings, lists, tuples, texts, numbers, Decimals, booleans and None.
    indent : int, optional
        Spaces per level; on one line by default.

    Raises
    ------
    ValueError
        If a number is not finite, or the value is nested too deeply.
    TypeError
        If JSON has no such value.
    """
    # json.dumps has no way to write a Decimal as a number: it writes a marked text, which loses
    # its quotes afterwards. No value can hold the mark, which is drawn again.
    mark = uuid.uuid4().hex

    def marked(item: object) -> object:
        if isinstance(item, Mapping):
            return dict(item)
        if not isinstance(item, Decimal):
            raise TypeError(f"JSON has no {type(item).__name__}")
        if not item.is_finite():
            raise ValueError(f"found {item}, which is not valid JSON")
        return f"{mark}{item}"

    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent, default=marked)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return re.sub(f'"{mark}([^"]*)"', r"\1", text)


def map_json(change: Callable[[Any], Any], value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a JSON value with a change applied to it, and then to what is in it."""
    value = change(value)
    if isinstance(value, Mapping):
        return {name: map_json(change, item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [map_json(change, item) for item in value]
    return value


def without_final_zeros(value: Decimal) -> Decimal:
    """Return a finite number without the zeros that end it, whatever its number of digits."""
    return value.normalize(_EXACT)


def count_decimals(value: Decimal) -> int:
    """Return the decimals of a number, final zeros left out."""
    return max(0, -int(without_final_zeros(value).as_tuple().exponent))


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError(f"found {text[:40]}, too large for a number") from None


def _refuse_constant(name: str) -> object:
    raise ValueError(f"found {name}, which is not valid JSON")
