import math
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odum_assets.catalog.fixed_point import (
    DECIMAL,
    MAX_PRICE,
    Problem,
    to_decimals,
    to_rounded_ticks,
    to_ticks,
    units_column,
)


@settings(deadline=None)
@given(
    ticks=st.lists(st.integers(0, 2**63 - 1), max_size=30),
    precision=st.integers(0, 16),
)
def test_ticks_become_exactly_their_decimals(ticks: list[int], precision: int) -> None:
    decimals = to_decimals(np.array(ticks, np.int64), precision).to_pylist()
    assert decimals == [Decimal(tick).scaleb(-precision) for tick in ticks]


@pytest.mark.parametrize("precision", range(17))
def test_whole_numbers_of_either_sign_are_stored_as_arrow_casts_them(precision: int) -> None:
    edges = [0, 1, -1, 2**32 - 1, 2**32, -(2**32), 1 - 2**32, 2**53, 2**63 - 1, -(2**63)]
    # More than one block, the last one shorter.
    drawn = np.random.default_rng(precision).integers(-(2**63), 2**63, (6, 2_000))
    units = np.concatenate([edges, *(row >> 10 * shift for shift, row in enumerate(drawn))])
    words = np.column_stack([units, units >> 63])
    buffers = [None, pa.py_buffer(words)]
    cast = pa.Array.from_buffers(pa.decimal128(38, precision), len(units), buffers).cast(DECIMAL)
    assert units_column(units, precision, DECIMAL).equals(cast)


@settings(deadline=None, max_examples=300)
@given(digits=st.integers(1, 10**15 - 1), places=st.integers(0, 9), spare=st.integers(0, 4))
def test_a_double_becomes_the_decimal_that_it_is_written_as(
    digits: int, places: int, spare: int
) -> None:
    meant = Decimal(digits).scaleb(-places)
    precision = places + spare
    found = to_ticks(pa.array([float(meant)]), precision, MAX_PRICE)
    if meant > MAX_PRICE or meant.scaleb(precision) >= 2**63 - 1024:
        assert found.problems is not None
        assert found.problems[0] == Problem.TOO_LARGE
    else:
        assert found.problems is None
        assert Decimal(int(found.values[0])).scaleb(-precision) == meant


def test_the_noise_of_float_arithmetic_is_not_taken_for_decimals() -> None:
    found = to_ticks(pa.array([0.1 + 0.2, 3 * 1.1, 64000.1 + 0.1]), 1, MAX_PRICE)
    assert found.problems is None
    assert list(found.values) == [3, 33, 640_002]


@pytest.mark.parametrize(
    ("column", "problem"),
    [
        (pa.array([None], pa.float64()), Problem.MISSING),
        (pa.array([math.nan]), Problem.MISSING),
        (pa.array([math.inf]), Problem.NOT_FINITE),
        (pa.array([-math.inf]), Problem.NOT_FINITE),
        (pa.array([-0.1]), Problem.NEGATIVE),
        (pa.array([-0.0]), Problem.ZERO),
        (pa.array([1e300]), Problem.TOO_LARGE),
        (pa.array([float(MAX_PRICE) + 1]), Problem.TOO_LARGE),
        (pa.array([0.01]), Problem.TOO_MANY_DECIMALS),
        (pa.array([1e-300]), Problem.TOO_MANY_DECIMALS),
        (pa.array([2**62]), Problem.TOO_LARGE),
        (pa.array([-3]), Problem.NEGATIVE),
        (pa.array([Decimal("0.05")]), Problem.TOO_MANY_DECIMALS),
        (pa.array([Decimal("0.00")]), Problem.ZERO),
        (pa.array([Decimal(10) ** 30], pa.decimal128(38, 2)), Problem.TOO_LARGE),
        (pa.array([None], pa.decimal128(9, 2)), Problem.MISSING),
        (pa.array([Decimal(10) ** 75], pa.decimal256(76, 0)), Problem.TOO_LARGE),
        (pa.array([-(Decimal(10) ** 75)], pa.decimal256(76, 0)), Problem.NEGATIVE),
    ],
)
def test_every_problem_is_named(column: "pa.Array[Any]", problem: Problem) -> None:
    found = to_ticks(column, 1, MAX_PRICE)
    assert found.problems is not None
    assert Problem(found.problems[0]) is problem
    assert found.values[0] == 0


@pytest.mark.parametrize(
    ("column", "ticks"),
    [
        (pa.array([float(MAX_PRICE)]), MAX_PRICE * 10),
        (pa.array([64000.1], pa.float32()), 640_001),
        (pa.array([1.5], pa.float16()), 15),
        (pa.array([7], pa.uint8()), 70),
        (pa.array([Decimal("64000.10")]), 640_001),
        (pa.array([Decimal("64000.1")], pa.decimal256(60, 9)), 640_001),
        (pa.array([Decimal(64000)], pa.decimal256(76, 0)), 640_000),
        (pa.array([Decimal("64000.1")], pa.decimal32(9, 1)), 640_001),
    ],
)
def test_every_numeric_type_is_taken(column: "pa.Array[Any]", ticks: int) -> None:
    found = to_ticks(column, 1, MAX_PRICE)
    assert found.problems is None
    assert list(found.values) == [ticks]


def test_decimals_reach_as_far_as_ticks_do() -> None:
    column = pa.array([Decimal("922.3372036854775807"), Decimal("922.3372036854775808")])
    found = to_ticks(column, 16, MAX_PRICE)
    assert found.problems is not None
    assert [Problem(each) for each in found.problems] == [Problem.NONE, Problem.TOO_LARGE]
    assert found.values[0] == 2**63 - 1


@pytest.mark.parametrize(
    ("column", "ticks"),
    [
        # A double of 0.51 times 1e16 is not 51 * 10**14, and a float of 1e-5 no double of 1e-5.
        (pa.array([0.51, -0.7, 57.3, -0.0]), [51 * 10**14, -7 * 10**15, 573 * 10**15, 0]),
        (pa.array([0.00001, -0.51], pa.float32()), [10**11, -51 * 10**14]),
        (pa.array([1.5e-16, 1e-20, -2.5e-16]), [2, 0, -2]),
        (pa.array([2, -3]), [2 * 10**16, -3 * 10**16]),
        (
            pa.array([Decimal("0.51"), Decimal("-1.5e-16")], pa.decimal128(38, 18)),
            [51 * 10**14, -2],
        ),
        (pa.array([Decimal("-0.51")], pa.decimal64(18, 4)), [-51 * 10**14]),
    ],
)
def test_numbers_of_any_sign_are_rounded_to_ticks(
    column: "pa.Array[Any]", ticks: list[int]
) -> None:
    found = to_rounded_ticks(column, 16, 100)
    assert list(found.values) == ticks
    assert found.problems is None or not found.problems.any()


@pytest.mark.parametrize("number", [-(2**63), 2**63 - 1, 101, -101])
def test_a_whole_number_of_any_sign_can_be_too_large(number: int) -> None:
    found = to_rounded_ticks(pa.array([number]), 16, 100)
    assert found.problems is not None
    assert found.problems[0] == Problem.TOO_LARGE
