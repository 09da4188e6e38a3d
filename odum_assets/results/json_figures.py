"""Figures as JSON: the one place where amounts become numbers or texts."""

from decimal import Decimal
from typing import Any

# Averages have no last decimal: they have those of the tables.
_FINEST = -16
_LAST = Decimal("1e-16")


def numbers(value: Any) -> Any:  # noqa: ANN401 - any JSON-like value
    """Return a value with its amounts (Decimals) as numbers of at most 16 decimals."""
    if isinstance(value, dict):
        return {name: numbers(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [numbers(item) for item in value]
    return float(_rounded(value)) if isinstance(value, Decimal) else value


def amount_text(amount: Decimal) -> str:
    """Return an amount of at most 16 decimals as text, without exponent and trailing zeros."""
    text = f"{_rounded(amount):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def texts(figures: dict[str, Any]) -> dict[str, Any]:
    """Return figures with their amounts as texts, which keep every digit."""
    return {
        name: amount_text(value) if isinstance(value, Decimal) else value
        for name, value in figures.items()
    }


def _rounded(amount: Decimal) -> Decimal:
    exponent = amount.as_tuple().exponent
    return amount.quantize(_LAST) if isinstance(exponent, int) and exponent < _FINEST else amount


def aspect_entry(aspect: str, is_simulated: bool, detail: str) -> dict[str, Any]:
    """Return what a summary says of one aspect of a real market."""
    return {"aspect": aspect, "simulated": is_simulated, "detail": detail}
