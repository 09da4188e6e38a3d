"""Splitting an order over time: nothing is lost, and the curve is that of the day before."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odum_assets.backtest.algorithms.schedule import (
    VolumeCurve,
    curve_from_volumes,
    schedule,
    split_lots,
)

_SHARES = st.lists(st.floats(0, 1e9), min_size=1, max_size=50).filter(lambda each: sum(each) > 1e-6)
_LOTS = st.integers(0, 10**15)


@given(_LOTS, _SHARES)
def test_a_split_loses_nothing(lots: int, shares: list[float]) -> None:
    parts = split_lots(lots, shares)
    assert sum(parts) == lots
    assert len(parts) == len(shares)
    assert min(parts) >= 0


@given(st.integers(0, 10**9), st.integers(1, 100))
def test_even_shares_differ_by_one_lot_at_most(lots: int, intervals: int) -> None:
    parts = split_lots(lots, [1.0] * intervals)
    assert max(parts) - min(parts) <= 1


@given(_LOTS, st.integers(1, 10**12), _SHARES)
def test_a_schedule_holds_the_whole_order_at_whole_intervals(
    lots: int, interval: int, shares: list[float]
) -> None:
    slices = schedule(lots, interval, shares)
    assert sum(each.lots for each in slices) == lots
    assert all(each.lots > 0 for each in slices)
    offsets = [each.offset_ns for each in slices]
    assert offsets == sorted(set(offsets))
    assert all(offset % interval == 0 for offset in offsets)
    assert all(offset < interval * len(shares) for offset in offsets)


def test_small_orders_leave_intervals_out() -> None:
    # Running totals of 2/4: 0.5, 1, 1.5, 2 lots, rounded down.
    assert [(each.offset_ns, each.lots) for each in schedule(2, 10, [1.0] * 4)] == [
        (10, 1),
        (30, 1),
    ]


def test_a_curve_says_what_share_has_traded_by_a_time() -> None:
    curve = curve_from_volumes([1.0, 3.0, 0.0, 4.0])  # six hours each
    assert curve is not None
    hours = [curve.traded_by(hour * 3600) for hour in (0, 3, 6, 12, 18, 21, 24, 30)]
    assert hours == [0.0, 0.0625, 0.125, 0.5, 0.5, 0.75, 1.0, 1.125]
    assert curve.shares(0, 6 * 3600, 4) == [0.125, 0.375, 0.0, 0.5]
    assert curve.shares(12 * 3600, 3600, 3) == [0.0, 0.0, 0.0]
    # Over midnight the day repeats.
    assert curve.shares(23 * 3600, 3600, 2) == pytest.approx([0.5 / 6, 0.125 / 6])


def test_no_volume_makes_no_curve() -> None:
    assert curve_from_volumes([0.0, 0.0]) is None
    assert curve_from_volumes([]) is None


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=48), st.floats(0, 86_399))
def test_shares_of_a_whole_day_are_the_whole_volume(volumes: list[float], start: float) -> None:
    curve = curve_from_volumes(volumes)
    if curve is None:
        assert sum(volumes) == 0
        return
    assert isinstance(curve, VolumeCurve)
    shares = curve.shares(start, 3600, 24)
    assert sum(shares) == pytest.approx(1.0)
    assert min(shares) >= 0
