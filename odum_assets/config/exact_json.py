"""JSON whose numbers keep every digit.

What belongs here: values to text and text to values. What does not: which document is written
(``model``, ``backtest.plan``, ``results.store``), and files that people write (``loading``).
"""

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any


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
    try:
        return "".join(_parts(value, indent, 0))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _parts(value: object, indent: int | None, depth: int) -> Iterator[str]:
    if isinstance(value, Mapping):
        members = [(f"{_leaf(str(name))}: ", each) for name, each in value.items()]
        yield from _block("{}", members, indent, depth)
    elif isinstance(value, list | tuple):
        yield from _block("[]", [("", each) for each in value], indent, depth)
    else:
        yield _leaf(value)


def _block(
    brackets: str, members: list[tuple[str, object]], indent: int | None, depth: int
) -> Iterator[str]:
    if not members:
        yield brackets
        return
    inner, outer = "", ""
    if indent is not None:
        inner, outer = (f"\n{' ' * (indent * level)}" for level in (depth + 1, depth))
    comma = ", " if indent is None else ","
    yield brackets[0]
    for index, (name, each) in enumerate(members):
        yield f"{comma if index else ''}{inner}{name}"
        yield from _parts(each, indent, depth + 1)
    yield outer + brackets[1]


def _leaf(value: object) -> str:
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"found {value}, which JSON does not have")
        return str(value)
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError(f"found {text[:40]}, beyond what a number can be") from None


def _refuse_constant(name: str) -> object:
    raise ValueError(f"found {name}, which JSON does not have")
