"""The tables of a run hold every amount that NautilusTrader can, to its last decimal."""

from decimal import Decimal

import pytest

from odum_assets.backtest.positions import _fit


@pytest.mark.parametrize(
    ("value", "fitted"),
    [
        ("17014118346046", "17014118346046.0000000000000000"),
        ("17014118346045.99999999999999995", "17014118346046.0000000000000000"),
        ("1234567890123456789012.1234567890123456", "1234567890123456789012.1234567890123456"),
    ],
)
def test_an_average_of_any_size_is_rounded_to_sixteen_decimals(value: str, fitted: str) -> None:
    assert str(_fit(Decimal(value))) == fitted
