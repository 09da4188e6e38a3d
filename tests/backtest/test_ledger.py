"""The ledger against figures worked out by hand and against another way of counting."""

from decimal import Decimal
from functools import partial

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import Reference

from odum_assets.backtest.ledger import AccountRules, Fills, Ledger, RoundTrip
from odum_assets.catalog.fixed_point import amount_of, column_units, units_column, units_of

D = Decimal
_rules = partial(AccountRules, is_inverse=False, is_cash=False, price_precision=2, size_precision=3)
LINEAR = _rules(D(1), currency_precision=8)
CONTRACTS = _rules(D("0.01"), currency_precision=8)
INVERSE = _rules(D(1), is_inverse=True, currency_precision=8)
CASH = _rules(D(1), is_cash=True, currency_precision=8)
CENTS = _rules(D(1), currency_precision=2)


def _fills(rules: AccountRules, *rows: tuple[str, D, D, D]) -> Fills:
    """Return fills of position, signed quantity, price, commission; times count from zero."""
    return Fills(
        list(range(len(rows))),
        [name for name, _, _, _ in rows],
        [units_of(quantity, rules.size_precision) for _, quantity, _, _ in rows],
        [units_of(price, rules.price_precision) for _, _, price, _ in rows],
        [units_of(commission, rules.currency_precision) for _, _, _, commission in rows],
    )


def _count(rules: AccountRules, *fills: tuple[str, str, str], start: str = "1000") -> Ledger:
    """Count fills of one position: signed quantity, price, commission."""
    ledger = Ledger(rules, D(start))
    ledger.apply_fills(_fills(rules, *(("P", D(q), D(price), D(paid)) for q, price, paid in fills)))
    return ledger


def test_nothing_happened() -> None:
    ledger = Ledger(LINEAR, D(1000))
    assert (ledger.cash, ledger.quantity, ledger.entry()) == (D(1000), D(0), None)
    assert ledger.unrealized(D(5)) == 0
    assert ledger.equity(None) == 1000


def test_an_increase_averages_the_entry() -> None:
    ledger = _count(LINEAR, ("1", "100", "0.1"), ("3", "104", "0.2"))
    # (100 + 3 * 104) / 4 = 103
    assert ledger.entry() == D(103)
    assert ledger.cash == D("999.7")
    assert ledger.unrealized(D(110)) == D(28)
    assert ledger.equity(D(110)) == D("1027.7")
    assert ledger.unrealized(None) == 0


def test_a_partial_reduce_realizes_and_keeps_the_entry() -> None:
    ledger = _count(LINEAR, ("4", "103", "0"), ("-1", "110", "0.5"))
    assert ledger.realized == D(7)
    assert ledger.cash == D("1006.5")
    assert (ledger.quantity, ledger.entry()) == (D(3), D(103))
    assert ledger.round_trips == []


def test_a_short_gains_when_the_price_falls() -> None:
    ledger = _count(LINEAR, ("-2", "100", "0"), ("2", "90", "0"))
    assert ledger.realized == D(20)
    assert [trip.side for trip in ledger.round_trips] == ["short"]


def test_flat_ends_a_round_trip_with_its_figures() -> None:
    ledger = _count(LINEAR, ("1", "100", "0.1"), ("1", "102", "0.1"), ("-2", "104", "0.3"))
    assert ledger.round_trips == [
        RoundTrip("P", "long", 0, 2, D(0), D(2), D(101), D(104), D(6), D("0.5"), 3)
    ]
    assert ledger.round_trips[0].net_pnl == D("5.5")
    assert list(ledger.open_positions()) == []


def test_a_flip_ends_one_trip_and_splits_the_commission() -> None:
    ledger = _count(LINEAR, ("1", "100", "0.1"), ("-4", "105", "0.8"))
    # 1 of 4 closes: 0.2 of the commission; 3 open a short with 0.6.
    closed, opened = ledger.round_trips[0], next(ledger.open_positions())
    assert (closed.realized_pnl, closed.commissions, closed.closed_ts) == (D(5), D("0.3"), 1)
    assert (opened.side, opened.quantity, opened.commissions) == ("short", D(-3), D("0.6"))
    assert (opened.average_open, opened.opened_ts, opened.closed_ts) == (D(105), 1, None)
    assert ledger.cash == D(1000) + 5 - D("0.9")


def test_the_split_of_a_commission_is_rounded_and_loses_nothing() -> None:
    ledger = _count(CENTS, ("1", "100", "0"), ("-3", "100", "0.10"))
    # A third of 0.10 is 0.03; the other trip has the rest.
    assert ledger.round_trips[0].commissions == D("0.03")
    assert next(ledger.open_positions()).commissions == D("0.07")


def test_a_gain_is_rounded_half_even_to_the_currency() -> None:
    up = _count(CENTS, ("1", "100", "0"), ("-0.5", "100.03", "0"))  # 0.015 -> 0.02
    down = _count(CENTS, ("1", "100", "0"), ("-0.5", "100.05", "0"))  # 0.025 -> 0.02
    assert (up.realized, down.realized) == (D("0.02"), D("0.02"))


def test_a_contract_counts_by_its_multiplier() -> None:
    ledger = _count(CONTRACTS, ("200", "50000", "0"), ("-150", "50100", "0"))
    # 150 contracts of 0.01: 1.5 * 100
    assert ledger.realized == D(150)
    assert ledger.unrealized(D(50200)) == D(100)


def test_an_inverse_contract_counts_in_the_base_currency() -> None:
    ledger = _count(INVERSE, ("10000", "50000", "0.0001"), ("-4000", "40000", "0"), start="1")
    # 4000 * (1/50000 - 1/40000) = 0.08 - 0.1
    assert ledger.realized == D("-0.02")
    assert ledger.cash == D("0.9799")
    # 6000 * (1/50000 - 1/60000) = 0.12 - 0.1
    assert ledger.unrealized(D(60000)) == D("0.02")
    assert ledger.entry() == D(50000)


def test_an_inverse_entry_is_the_harmonic_average() -> None:
    ledger = _count(INVERSE, ("120", "40000", "0"), ("300", "60000", "0"), start="1")
    # 420 / (120 / 40000 + 300 / 60000) = 420 / 0.008
    assert ledger.entry() == D(52500)
    assert next(ledger.open_positions()).average_open == D(52500)
    # 420 / 50000 - 0.008: what it is worth less what it cost, in the base currency, when short.
    assert ledger.unrealized(D(50000)) == D("-0.0004")


def test_closing_an_inverse_position_realizes_what_its_fills_cost() -> None:
    ledger = _count(
        INVERSE, ("120", "40000", "0"), ("300", "60000", "0"), ("-420", "50000", "0"), start="1"
    )
    # 120 / 40000 + 300 / 60000 - 420 / 50000
    assert ledger.realized == D("-0.0004")
    assert ledger.round_trips[0].average_open == D(52500)
    assert ledger.round_trips[0].average_close == D(50000)


def test_an_inverse_exit_is_the_harmonic_average_too() -> None:
    ledger = _count(
        INVERSE, ("-420", "50000", "0"), ("120", "40000", "0"), ("300", "60000", "0"), start="1"
    )
    trip = ledger.round_trips[0]
    assert (trip.side, trip.average_close) == ("short", D(52500))
    assert trip.realized_pnl == D("-0.0004")


def test_the_engine_averages_inverse_entries_arithmetically() -> None:
    ledger = _count(
        INVERSE, ("100", "40000", "0"), ("300", "60000", "0"), ("-400", "50000", "0"), start="1"
    )
    # Entry 55000: 400 * (1 / 55000 - 1 / 50000)
    assert ledger.engine_cash == 1 + round(400 * (1 / D(55000) - 1 / D(50000)), 8)
    assert ledger.cash == 1 + D("0.0075") - D("0.008")


def test_a_cash_account_pays_in_full() -> None:
    ledger = _count(CASH, ("2", "100", "0.2"), ("-1", "120", "0.1"))
    assert ledger.cash == D(1000) - 200 - D("0.2") + 120 - D("0.1")
    assert ledger.realized == D(20)
    # 200 was paid, 120 received: 100 is still in what is held.
    assert ledger.open_cost == D(100)
    # What is held counts with its full value, and 20 of it is profit.
    assert ledger.equity(D(120)) == ledger.cash + 120
    assert ledger.unrealized(D(120)) == D(20)


def test_funding_changes_cash_and_nothing_else() -> None:
    ledger = _count(LINEAR, ("1", "100", "0"))
    ledger.apply_funding(D("-0.25"))
    ledger.apply_funding(D("0.05"))
    assert (ledger.cash, ledger.funding) == (D("999.8"), D("-0.2"))
    assert (ledger.realized, ledger.commissions, ledger.entry()) == (D(0), D(0), D(100))


def test_hedged_positions_are_counted_apart() -> None:
    ledger = Ledger(LINEAR, D(1000))
    rows = (("A", 2, 100), ("B", -1, 110), ("A", -1, 105))
    ledger.apply_fills(_fills(LINEAR, *((name, D(q), D(price), D(0)) for name, q, price in rows)))
    # The sell of B closes nothing of A.
    assert ledger.realized == D(5)
    assert ledger.quantity == 0
    assert ledger.entry() is None
    assert ledger.unrealized(D(107)) == D(7) + D(3)
    assert [(trip.position_id, trip.quantity) for trip in ledger.open_positions()] == [
        ("A", D(1)),
        ("B", D(-1)),
    ]


_PRICES = st.integers(1, 2_000_000).map(lambda ticks: D(ticks).scaleb(-1))
_SIZES = st.integers(1, 50_000).map(lambda lots: D(lots).scaleb(-3))
_COMMISSIONS = st.integers(-(10**9), 10**10).map(lambda units: D(units).scaleb(-8))
_SIGNS = st.sampled_from([1, -1])
_ONE_FILL = st.tuples(
    st.sampled_from(["P"]),
    st.tuples(_SIZES, _SIGNS).map(lambda both: both[0] * both[1]),
    _PRICES,
    _COMMISSIONS,
)
_FILLS = st.lists(_ONE_FILL, max_size=60)
_HEDGED = st.lists(
    st.tuples(
        st.sampled_from(["A", "B", "C"]),
        st.tuples(_SIZES, _SIGNS).map(lambda both: both[0] * both[1]),
        _PRICES,
        _COMMISSIONS,
    ),
    max_size=60,
)


def _payable(rules: AccountRules, fills: list[tuple[str, D, D, D]]) -> list[tuple[str, D, D, D]]:
    """Return fills with commissions rounded to the account's currency, as a venue rounds them."""
    unit = D(1).scaleb(-rules.currency_precision)
    return [(name, quantity, price, paid.quantize(unit)) for name, quantity, price, paid in fills]


def _apply(rules: AccountRules, fills: list[tuple[str, D, D, D]]) -> tuple[Ledger, list[D]]:
    ledger = Ledger(rules, D(1_000_000))
    counted = ledger.apply_fills(_fills(rules, *fills))
    return ledger, [amount_of(each, rules.currency_precision) for each in counted.realized]


@settings(max_examples=150, deadline=None)
@given(_FILLS, _PRICES, st.sampled_from([LINEAR, CONTRACTS]))
def test_money_is_what_was_paid_and_what_is_held(
    fills: list[tuple[str, D, D, D]], mark: D, rules: AccountRules
) -> None:
    ledger, _ = _apply(rules, fills)
    paid = sum((-quantity * price for _, quantity, price, _ in fills), D(0)) * rules.multiplier
    held = sum((quantity for _, quantity, _, _ in fills), D(0))
    commissions = sum((fill[3] for fill in fills), D(0))
    expected = D(1_000_000) - commissions + paid + held * mark * rules.multiplier
    left_out = D(ledger.left_out) * D("1e-8")
    assert abs(ledger.cash + left_out + ledger.unrealized(mark) - expected) <= D("0.51e-8")
    assert ledger.quantity == held


@settings(max_examples=150, deadline=None)
@given(_HEDGED, st.sampled_from([LINEAR, CONTRACTS, INVERSE, CASH, CENTS]))
def test_round_trips_sum_to_the_account(
    fills: list[tuple[str, D, D, D]], rules: AccountRules
) -> None:
    ledger, gains = _apply(rules, _payable(rules, fills))
    trips = [*ledger.round_trips, *ledger.open_positions()]
    assert sum(trip.realized_pnl for trip in trips) == ledger.realized == sum(gains)
    assert sum(trip.commissions for trip in trips) == ledger.commissions
    assert sum(trip.quantity for trip in trips) == ledger.quantity
    assert all(trip.quantity == 0 for trip in ledger.round_trips)


@pytest.mark.parametrize(
    "rules", [LINEAR, CONTRACTS, INVERSE, CASH, CENTS], ids=["linear", "x0.01", "inv", "cash", "¢"]
)
@settings(max_examples=100, deadline=None)
@given(fills=_HEDGED, mark=_PRICES)
def test_another_way_of_counting_agrees_to_the_last_decimal(
    rules: AccountRules, fills: list[tuple[str, D, D, D]], mark: D
) -> None:
    fills = _payable(rules, fills)
    ledger, gains = _apply(rules, fills)
    other = Reference(
        D(1_000_000),
        D(1).scaleb(-rules.currency_precision),
        rules.multiplier,
        inverse=rules.is_inverse,
        cash_account=rules.is_cash,
    )
    assert gains == [other.add(*fill) for fill in fills]
    assert ledger.cash == other.cash
    assert ledger.realized == other.realized
    assert ledger.commissions == other.commissions
    assert ledger.quantity == other.position
    assert ledger.unrealized(mark) == other.unrealized(mark)
    assert ledger.equity(mark) == other.equity(mark)
    assert [
        (trip.position_id, trip.realized_pnl, trip.commissions) for trip in ledger.round_trips
    ] == other.trips


def test_amounts_beyond_64_bits_are_exact() -> None:
    ledger = _count(LINEAR, ("9000000000", "9000000000", "0"), ("-9000000000", "9000000001", "0"))
    assert ledger.cash == D(1000) + D(9_000_000_000)
    assert ledger.round_trips[0].average_close == D(9_000_000_001)


@given(st.lists(st.integers(-(10**24), 10**24), max_size=20), st.integers(0, 12))
def test_units_pass_through_arrow_unchanged(units: list[int], precision: int) -> None:
    column = units_column(units, precision, pa.decimal128(38, 12))
    assert column.to_pylist() == [D(each).scaleb(-precision) for each in units]
    assert column_units(column, precision).tolist() == units
    assert column_units(column.slice(3, 5), precision).tolist() == units[3:8]


def test_units_refuse_what_they_cannot_hold() -> None:
    with pytest.raises(ValueError, match="more than 2 decimals"):
        units_of(D("0.001"), 2)
    with pytest.raises(pa.ArrowInvalid, match="data loss"):
        column_units(pa.array([D("0.001")], pa.decimal128(38, 16)), 2)
