"""Figures as text for a page: units, separators, a real minus, and no zero for what is not zero."""

import math
from decimal import Decimal
from html import escape

import numpy as np

UNKNOWN = "unknown"
MINUS = "\N{MINUS SIGN}"
_CENTS = frozenset({"USDT", "USDC", "USD", "EUR", "BUSD"})
_LARGE = 1e15
"""From here on floats have no cents, and digits say nothing to a reader."""


def decimals(value: float, digits: int, *, sign: bool = False) -> str:
    """Return a number with separators and a number of decimals.

    What these decimals would show as zero has two significant digits instead, and numbers of more
    than 15 digits are powers of ten.
    """
    if abs(value) >= _LARGE:
        text = f"{value:.6g}"
    elif value and abs(value) < 0.5 * 10.0**-digits:
        text = f"{value:.2g}"
    else:
        text = f"{value + 0.0:,.{digits}f}"
    return ("+" if sign and value > 0 else "") + text.replace("-", MINUS)


def money(value: float, currency: str, *, sign: bool = False) -> str:
    """Return an amount with its currency: cents for dollars, eight decimals for coins."""
    return f"{decimals(value, 2 if currency in _CENTS else 8, sign=sign)} {currency}".rstrip()


def digits_of(value: float, significant: int = 15) -> str:
    """Return a size or a price with the digits that it has, up to a number of significant ones."""
    if abs(value) >= _LARGE:
        return decimals(value, 0)
    text = f"{Decimal(f'{value + 0.0:.{significant}g}'):,f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.replace("-", MINUS)


def duration(seconds: float) -> str:
    """Return a length of time in its two largest units."""
    if seconds < 1:
        return f"{1000 * seconds:.3g} ms" if seconds else "0 s"
    if seconds < 60:
        return f"{seconds:.3g} s"
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    rest, parts = round(seconds), list[str]()
    for name, length in units:
        count, rest = divmod(rest, length)
        if count or parts:
            parts.append(f"{count:,} {name}")
    return " ".join(part for part in parts[:2] if not part.startswith("0 "))


def plural(count: int, noun: str) -> str:
    """Return a count with its noun."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def utc(ns: int) -> str:
    """Return nanoseconds since 1970 as a UTC time, to the second."""
    return str(np.datetime64(ns // 1_000_000_000, "s")).replace("T", " ")


def figure(value: object, text: str, *, is_colored: bool = True) -> str:
    """Return a text that carries its figure with all digits, for programs and for checking.

    A text with a sign has the color of a gain or a loss if `is_colored`.
    """
    kind = ""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        if is_colored and text[:1] in ("+", MINUS):
            kind = f' class="{"down" if value < 0 else "up"}"'
        return f'<data value="{value!r}"{kind}>{escape(text)}</data>'
    return escape(text)
