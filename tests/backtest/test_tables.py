"""The tables of a run hold every amount that NautilusTrader can, to its last decimal."""

from decimal import Decimal

import pyarrow as pa
import pytest

from odum_assets.backtest import tables
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


@pytest.mark.parametrize(
    "orders",
    [
        ["O-20240101-000000-001-000-9", "O-20240101-000000-001-000-10", "SIMULATED-1"],
        ["O-1", "O-2", "O-3", "", "-", "X-2", "P-1", "O-04", "4"],
        ["A-7", "B-8", "", "A-9"],
        ["7", "O-1", "8"],
        ["own", "ids", "of a strategy"],
        [],
    ],
)
def test_an_order_is_found_by_its_whole_id(orders: list[str]) -> None:
    wanted = [*orders, *orders[::-1], "O-20240201-000000-001-000-9", "O-2", "B-2", "02", "9", "é-1"]
    index = tables._OrderIndex(pa.chunked_array([orders[:1], orders[1:]], pa.string()))
    places = index.places(pa.chunked_array([wanted, [None]], pa.string()))
    rows = {order: row for row, order in enumerate(orders)}
    assert places.tolist() == [*(rows.get(each, -1) for each in wanted), -1]
