"""The compiled pass over fills: the rules of ``ledger``, with the same whole numbers and floats.

What belongs here: one pass over columns of fills, between which payments and samples are due. What
does not: names of positions, tables, what to do when 64 bits do not suffice (``counting``).

Every amount that the exact ledger rounds is rounded here from the same digits (`wide_integers`),
and every float is the result of the same operations in the same order, so no figure differs. Sizes
and prices stay below 2**53, so that each is a float without rounding, and amounts below 2**62, so
that no sum wraps; beyond, the pass ends with a status and the exact ledger counts instead.

Numba keeps compiled code as long as this file is unchanged: change it when `wide_integers` or the
constants of ``engine_account`` change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numba import njit

from odum_assets.backtest.engine_account import DISTANCE_ERROR, ROUNDOFF
from odum_assets.backtest.wide_integers import (
    add,
    assign,
    copy,
    divide,
    float_of,
    is_less,
    multiply,
    narrow,
    round_half_even,
    shifted,
    subtract,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    type Ints = NDArray[np.int64]
    type Floats = NDArray[np.float64]
    type Wides = NDArray[np.uint64]

LARGEST_EXACT: Final = 2**53
"""Sizes and prices must be less."""
_LARGEST: Final = 2**62
GUARD_DIGITS: Final = 5
"""Digits of 32 bits that guard what positions cost."""
STORED_DIGITS: Final = 10
"""Digits of a stored number: 53 bits each of a size and a price, the guard digits, many fills."""
_WORK_DIGITS: Final = 20

HELD, IS_LONG, OPENED_TS, PEAK, OPENED, CLOSED, REALIZED, COMMISSIONS, FILLS, ORDER = range(10)
"""Whole numbers of a position: those of the exact ledger's; `ORDER` is which one it was to open."""
INTS: Final = 10
AVERAGE, ERROR, DRIFT = range(3)
"""Floats of a position: its `BinaryAverage`."""
FLOATS: Final = 3
COST, OPENED_VALUE, CLOSED_VALUE, ARITHMETIC = range(4)
"""Wide numbers of a position."""
WIDES: Final = 4

CASH, TOTAL_REALIZED, QUANTITY, TOTAL_COMMISSIONS, FUNDING, SURPLUS, TOLERANCE, OPENINGS = range(8)
"""Whole numbers of an account."""
TOTALS: Final = 8
LEFT_OUT, VALUE_LEFT_OUT = range(2)
"""Floats of an account."""

SLOT, CLOSED_TS, NET = range(3)
"""Further whole numbers of a round trip, after those of its position."""

_A, _B, _C, _QUOTIENT, _SPARE, _D, _E, _F = range(8)
# Rows of scratch numbers; `_D`, `_E` and `_F` are those of long divisions.


class Terms(NamedTuple):
    """How one account counts money, as of `AccountRules`.

    ``scale`` over ``per_amount`` turns price units times size units into units of the currency.
    """

    is_inverse: bool
    is_cash: bool
    scale: int
    per_amount: int
    unit_value: float
    decimals: int
    finer: int


class State(NamedTuple):
    """Positions and account; changed by `count`.

    Parameters
    ----------
    ints : int64 array of shape (p, 10)
    floats : float64 array of shape (p, 3)
    wides : uint64 array of shape (p, 4, 10)
        A row for each position; one that is not open holds nothing.
    totals : int64 array of shape (8,)
    left : float64 array of shape (2,)
    cost : uint64 array of shape (2, 10)
        What short and what long positions cost.
    """

    ints: Ints
    floats: Floats
    wides: Wides
    totals: Ints
    left: Floats
    cost: Wides


class FillArrays(NamedTuple):
    """Fills in order of time, n of each: times, rows of positions, signed sizes, prices, fees."""

    ts: Ints
    slot: Ints
    quantity: Ints
    price: Ints
    commission: Ints


class DueArrays(NamedTuple):
    """What is due between fills, m of each: after how many, payments, and whether to sample."""

    after: Ints
    amount: Ints
    is_sample: NDArray[np.bool_]


class Counted(NamedTuple):
    """What a pass takes down.

    Parameters
    ----------
    rows : int64 array of shape (3, n)
        What each fill realized, cash and open quantity after it.
    samples : int64 array of shape (m, 3)
        Cash, what was realized, open quantity.
    sample_cost : uint64 array of shape (m, 2, 10)
        As of `State`.
    trips : int64 array of shape (n, 13)
        Positions that were closed, as of `State`, and `SLOT`, `CLOSED_TS`, `NET`.
    averages : uint64 array of shape (n, 2, 4)
        Average prices of opening and of closing, in units of 1e-16; digits of 32 bits.
    """

    rows: Ints
    samples: Ints
    sample_cost: Wides
    trips: Ints
    averages: Wides


# Only `count` and `pay` are called from Python, and kept on disk with all that they call.
_inner = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True)


@_inner
def _product_float(work: Wides, first: int, second: int, factor: int) -> float:
    """Return a product of whole numbers as the nearest float."""
    if float(first) * float(second) * float(factor) < 4.0e18:
        return float(first * second * factor)
    number = work[_QUOTIENT]
    assign(number, first)
    multiply(number, second)
    multiply(number, factor)
    return float(float_of(number))


@_inner
def _add_to_average(floats: Floats, work: Wides, held: int, size: int, price: int) -> None:
    """Take in a fill that increases a position, as of `BinaryAverage.increase`."""
    total = held + size
    before, error = floats[AVERAGE], floats[ERROR]
    after = (float(held) * before + _product_float(work, size, price, 1)) / float(total)
    value = _product_float(work, size, price, 3)
    floats[ERROR] = (
        (float(held) * (error + before) + value) / float(total)
        + 3.0 * after
        + abs(float(price) - before)
    )
    floats[AVERAGE] = after
    floats[DRIFT] += float(2 * size + total)


@_inner
def _increase(
    state: State, work: Wides, terms: Terms, fill: tuple[int, int, int, int, int]
) -> None:
    slot, ts, quantity, price, commission = fill
    ints, floats, wides = state.ints[slot], state.floats[slot], state.wides[slot]
    size = abs(quantity)
    if ints[HELD] == 0:
        for index in range(INTS):
            ints[index] = 0
        for index in range(WIDES):
            assign(wides[index], 0)
        ints[IS_LONG], ints[OPENED_TS] = int(quantity > 0), ts
        ints[ORDER] = state.totals[OPENINGS]
        state.totals[OPENINGS] += 1
        floats[AVERAGE], floats[ERROR], floats[DRIFT] = (
            float(price),
            2.0 * float(price),
            3.0 * float(size),
        )
    else:
        _add_to_average(floats, work, ints[HELD], size, price)
    value = work[_A]
    _value_of(work, terms, size, price)
    side = ints[IS_LONG]
    if terms.is_inverse:
        add(wides[COST], value)
        add(state.cost[side], value)
        assign(work[_B], size)
        multiply(work[_B], price)
        add(wides[ARITHMETIC][GUARD_DIGITS:], work[_B])
    else:
        add(wides[COST][GUARD_DIGITS:], value)
        add(state.cost[side][GUARD_DIGITS:], value)
    add(wides[OPENED_VALUE], value)
    ints[HELD] += size
    ints[OPENED] += size
    ints[PEAK] = max(ints[PEAK], ints[HELD])
    ints[COMMISSIONS] += commission
    ints[FILLS] += 1


@_inner
def _value_of(work: Wides, terms: Terms, size: int, price: int) -> None:
    """Set `_A` to price times size, of inverse contracts to size over price with guard digits."""
    value = work[_A]
    if terms.is_inverse:
        rest, by = work[_B], work[_C]
        assign(by, size)
        shifted(rest, by, GUARD_DIGITS)
        assign(by, price)
        divide(rest, by, value, work[_SPARE])
    else:
        assign(value, size)
        multiply(value, price)


@_inner
def _share(work: Wides, number: Wides, closing: int, held: int) -> None:
    """Set `_B` to a part of a number, rounded down."""
    if closing == held:
        copy(work[_B], number)
        return
    copy(work[_QUOTIENT], number)
    multiply(work[_QUOTIENT], closing)
    assign(work[_C], held)
    divide(work[_QUOTIENT], work[_C], work[_B], work[_SPARE])


@_inner
def _whole_units(work: Wides, terms: Terms, negative: bool) -> tuple[int, float]:
    """Round `_QUOTIENT`, a guarded amount, as of the exact ledger's; -2**62 if it is too large."""
    amount = work[_QUOTIENT]
    multiply(amount, terms.scale)
    if terms.per_amount > 1:
        rest = work[_C]
        copy(rest, amount)
        assign(work[_F], terms.per_amount)
        divide(rest, work[_F], amount, work[_SPARE])
        if negative and rest[0] | rest[1]:
            assign(rest, 1)
            add(amount, rest)
    if not _is_narrow(amount[GUARD_DIGITS:]):
        return -_LARGEST, 0.0
    whole = narrow(amount[GUARD_DIGITS:])
    kept = (amount[4] << np.uint64(32)) | amount[3]
    below = amount[0] | amount[1] | amount[2]
    if negative:
        # Round down: the fraction is what is missing to the next whole number.
        whole = -whole - int((kept | below) != np.uint64(0))
        kept = ~kept
        if below == np.uint64(0):
            kept += np.uint64(1)
    fraction = float(kept) * 2.0**-64
    rounded: tuple[int, float] = _half_even(whole, fraction)
    return rounded


@_inner
def _half_even(whole: int, fraction: float) -> tuple[int, float]:
    if fraction > 0.5 or (fraction == 0.5 and whole & 1):
        return whole + 1, fraction - 1.0
    return whole, fraction


@_inner
def _is_narrow(number: Wides) -> bool:
    """Return whether a number is less than 2**61."""
    for index in range(2, len(number)):
        if number[index] != np.uint64(0):
            return False
    return bool(number[1] < np.uint64(1 << 29))


@_inner
def _rounded(work: Wides, negative: bool, by: int) -> tuple[int, float]:
    """Divide `_QUOTIENT` by a value, as the exact ledger's `_rounded`; -2**62 if too large."""
    rest, divisor, quotient = work[_QUOTIENT], work[_C], work[_B]
    assign(divisor, by)
    divide(rest, divisor, quotient, work[_SPARE])
    if not _is_narrow(quotient):
        return -_LARGEST, 0.0
    whole = narrow(quotient)
    left = narrow(rest)
    if negative:
        whole = -whole
        if left:
            whole -= 1
            left = by - left
    rounded: tuple[int, float] = _half_even(whole, float(left) / float(by))
    return rounded


@_inner
def _arithmetic_gain(
    work: Wides, terms: Terms, cost: Wides, held: int, closing: int, price: int
) -> tuple[int, float]:
    """Return what closing a part of a long inverse position realizes by NautilusTrader."""
    worth, by, rest, quotient = work[_C], work[_D], work[_E], work[_F]
    assign(by, price)
    multiply(by, held)
    shifted(worth, by, GUARD_DIGITS)
    copy(by, cost)
    negative = is_less(worth, by)
    if negative:
        copy(rest, by)
        subtract(rest, worth)
    else:
        copy(rest, worth)
        subtract(rest, by)
    multiply(rest, closing)
    multiply(rest, terms.scale)
    multiply(by, terms.per_amount)
    multiply(by, price)
    divide(rest, by, quotient, work[_SPARE])
    if not _is_narrow(quotient):
        return -_LARGEST, 0.0
    whole = narrow(quotient)
    if negative:
        whole = -whole
        assign(worth, 0)
        if is_less(worth, rest):
            whole -= 1
            copy(worth, by)
            subtract(worth, rest)
            copy(rest, worth)
    rounded: tuple[int, float] = _half_even(whole, _ratio(work))
    return rounded


@_inner
def _ratio(work: Wides) -> float:
    """Return `_E` over `_D`, which is larger, as the nearest float unless it is below 2**-70."""
    by, rest, quotient = work[_D], work[_E], work[_F]
    shifted(quotient, rest, 4)
    copy(rest, quotient)
    divide(rest, by, quotient, work[_SPARE])
    assign(work[_C], 0)
    if is_less(work[_C], rest):
        quotient[0] |= np.uint64(1)
    return float(float_of(quotient)) * 2.0**-128


@_inner
def _units_apart(
    floats: Floats, terms: Terms, closing: int, held: int, price: int, left: float
) -> float:
    """Take in a fill that closes a part, as of `BinaryAverage.reduce_linear` and its twin."""
    average, error = floats[AVERAGE], floats[ERROR]
    value = float(price)
    if terms.is_inverse:
        spread = abs(1.0 / average - 1.0 / value)
        off = float(closing) * ((error / average + 1.0) / average + 3.0 / value + 8.0 * spread)
    else:
        spread = abs(value - average)
        off = float(closing) * (2.0 * value + error + 8.0 * spread)
    if closing == held or floats[DRIFT] * ROUNDOFF > 0.5:
        off += floats[DRIFT] * spread
    floats[DRIFT] += float(closing + held)
    beyond = ROUNDOFF * off * terms.unit_value + DISTANCE_ERROR - (0.5 - abs(left))
    return np.floor(beyond) + 1.0 if beyond >= 0.0 else 0.0


@_inner
def _gain(
    state: State, work: Wides, terms: Terms, slot: int, closing: int, price: int
) -> tuple[int, bool]:
    """Return what closing a part of a position realizes, and whether all amounts are small enough.

    What the part is worth is in `_A`, what it cost in `_B`.
    """
    ints, wides = state.ints[slot], state.wides[slot]
    held, is_long = ints[HELD], ints[IS_LONG]
    worth, amount = work[_A], work[_QUOTIENT]
    if terms.is_inverse:
        negative = _difference(amount, work[_B], worth)
        gain, left = _whole_units(work, terms, negative)
        engine_gain, engine_left = _arithmetic_gain(
            work, terms, wides[ARITHMETIC], held, closing, price
        )
        copy(work[_E], work[_B])
        _share(work, wides[ARITHMETIC], closing, held)
        subtract(wides[ARITHMETIC], work[_B])
        copy(work[_B], work[_E])
    else:
        guarded = work[_C]
        shifted(guarded, worth, GUARD_DIGITS)
        negative = _difference(amount, guarded, work[_B])
        gain, left = _whole_units(work, terms, negative)
        engine_gain, engine_left = gain, left
    apart = _units_apart(state.floats[slot], terms, closing, held, price, engine_left)
    fits = gain > -_LARGEST and engine_gain > -_LARGEST and apart < 2.0**53
    if fits and not terms.is_cash:
        state.totals[TOLERANCE] += int(apart)
    sign = 1 if is_long else -1
    state.left[LEFT_OUT] += sign * left
    state.totals[SURPLUS] += sign * (engine_gain - gain)
    return sign * gain, fits


@_inner
def _difference(target: Wides, first: Wides, second: Wides) -> bool:
    """Set a number to the distance of two others; return whether the second one is larger."""
    if is_less(first, second):
        copy(target, second)
        subtract(target, first)
        return True
    copy(target, first)
    subtract(target, second)
    return False


@_inner
def _reduce(
    state: State,
    work: Wides,
    terms: Terms,
    fill: tuple[int, int, int, int, int],
) -> tuple[int, int, bool]:
    """Return what a fill realizes, what is left of its commission, and whether amounts fit."""
    slot, _, quantity, price, commission = fill
    ints, wides = state.ints[slot], state.wides[slot]
    size, held = abs(quantity), ints[HELD]
    closing, own = size, commission
    if size > held:
        closing = held
        assign(work[_QUOTIENT], abs(commission))
        multiply(work[_QUOTIENT], held)
        own, _ = _rounded(work, commission < 0, size)
    _value_of(work, terms, closing, price)
    _share(work, wides[COST], closing, held)
    gain, fits = _gain(state, work, terms, slot, closing, price)
    ints[HELD] = held - closing
    subtract(wides[COST], work[_B])
    subtract(state.cost[ints[IS_LONG]], work[_B])
    ints[CLOSED] += closing
    add(wides[CLOSED_VALUE], work[_A])
    ints[REALIZED] += gain
    ints[COMMISSIONS] += own
    ints[FILLS] += 1
    return gain, commission - own, fits


@_inner
def _paid(work: Wides, terms: Terms, state: State, quantity: int, price: int) -> tuple[int, bool]:
    """Return what a cash account pays for a fill, and whether it is small enough."""
    assign(work[_QUOTIENT], abs(quantity))
    multiply(work[_QUOTIENT], price)
    multiply(work[_QUOTIENT], terms.scale)
    value, left = _rounded(work, quantity < 0, terms.per_amount)
    state.left[VALUE_LEFT_OUT] += left
    return value, value > -_LARGEST


@_inner
def set_average(target: Wides, work: Wides, terms: Terms, value: Wides, quantity: int) -> None:
    """Set an average price in units of 1e-16, rounded as the exact ledger and its table round it.

    They round to 30 decimals first, to 20 of inverse contracts; ties to even each time.
    """
    rest, by, quotient = work[_A], work[_B], work[_QUOTIENT]
    if terms.is_inverse:
        assign(by, quantity)
        shifted(rest, by, GUARD_DIGITS)
        copy(by, value)
    else:
        copy(rest, value)
        assign(by, quantity)
    multiply(rest, terms.decimals)
    multiply(rest, terms.finer)
    divide(rest, by, quotient, work[_SPARE])
    round_half_even(quotient, rest, by, work[_SPARE])
    copy(rest, quotient)
    assign(by, terms.finer)
    divide(rest, by, quotient, work[_SPARE])
    round_half_even(quotient, rest, by, work[_SPARE])
    for index in range(len(target)):
        target[index] = quotient[index]


@_inner
def _end_trip(
    state: State, work: Wides, terms: Terms, counted: Counted, trip: int, slot: int, ts: int
) -> None:
    ints, wides = state.ints[slot], state.wides[slot]
    row = counted.trips[trip]
    for index in range(INTS):
        row[index] = ints[index]
    row[INTS + SLOT], row[INTS + CLOSED_TS] = slot, ts
    row[INTS + NET] = ints[REALIZED] - ints[COMMISSIONS]
    set_average(counted.averages[trip, 0], work, terms, wides[OPENED_VALUE], ints[OPENED])
    set_average(counted.averages[trip, 1], work, terms, wides[CLOSED_VALUE], ints[CLOSED])


@_inner
def _fits(state: State, slot: int) -> bool:
    """Return whether no whole number has left its range."""
    ints, totals = state.ints[slot], state.totals
    for index in (CASH, TOTAL_REALIZED, QUANTITY, TOTAL_COMMISSIONS, SURPLUS, TOLERANCE):
        if abs(totals[index]) >= _LARGEST:
            return False
    for index in (OPENED, REALIZED, COMMISSIONS):
        if abs(ints[index]) >= _LARGEST:
            return False
    return bool(ints[HELD] < LARGEST_EXACT)


@_inner
def _count_fill(
    state: State,
    work: Wides,
    terms: Terms,
    fill: tuple[int, int, int, int, int],
    counted: Counted,
    trips: int,
) -> tuple[int, int, bool]:
    """Return what a fill realized, the number of round trips, and whether all amounts fit."""
    slot, ts, quantity, price, commission = fill
    ints, totals = state.ints[slot], state.totals
    gain, fits = 0, True
    held = ints[HELD]
    if held == 0 or (ints[IS_LONG] == 1) == (quantity > 0):
        _increase(state, work, terms, fill)
    else:
        gain, rest, fits = _reduce(state, work, terms, fill)
        if ints[HELD] == 0:
            _end_trip(state, work, terms, counted, trips, slot, ts)
            trips += 1
            opened = abs(quantity) - held
            if opened > 0:
                signed = opened if quantity > 0 else -opened
                _increase(state, work, terms, (slot, ts, signed, price, rest))
    change = gain
    if terms.is_cash:
        value, is_small = _paid(work, terms, state, quantity, price)
        change, fits = -value, fits and is_small
    totals[CASH] += change - commission
    totals[QUANTITY] += quantity
    totals[TOTAL_COMMISSIONS] += commission
    totals[TOTAL_REALIZED] += gain
    return gain, trips, fits and _fits(state, slot)


@njit(cache=True, nogil=True)
def count(
    fills: FillArrays, dues: DueArrays, terms: Terms, state: State, counted: Counted
) -> tuple[int, bool]:
    """Count fills and what is due between them.

    Parameters
    ----------
    fills : FillArrays
        n fills; their rows of `State` exist, their numbers are less than `LARGEST_EXACT`.
    dues : DueArrays
        m payments and samples.
    terms : Terms
        How money is counted.
    state : State
        Changed.
    counted : Counted
        Takes the figures.

    Returns
    -------
    tuple[int, bool]
        The number of round trips that ended, and whether all amounts fit; if not, `state` and
        `counted` are of no use.
    """
    work = np.zeros((8, _WORK_DIGITS), np.uint64)
    due = trips = 0
    totals = state.totals
    for index in range(len(fills.ts) + 1):
        while due < len(dues.after) and dues.after[due] == index:
            if abs(totals[CASH]) >= _LARGEST or abs(totals[FUNDING]) >= _LARGEST:
                return trips, False
            totals[CASH] += dues.amount[due]
            totals[FUNDING] += dues.amount[due]
            if dues.is_sample[due]:
                row = counted.samples[due]
                row[0], row[1], row[2] = totals[CASH], totals[TOTAL_REALIZED], totals[QUANTITY]
                copy(counted.sample_cost[due, 0], state.cost[0])
                copy(counted.sample_cost[due, 1], state.cost[1])
            due += 1
        if index == len(fills.ts):
            break
        slot = fills.slot[index]
        fill = (
            slot,
            fills.ts[index],
            fills.quantity[index],
            fills.price[index],
            fills.commission[index],
        )
        gain, trips, fits = _count_fill(state, work, terms, fill, counted, trips)
        if not fits:
            return trips, False
        rows = counted.rows
        rows[0, index], rows[1, index], rows[2, index] = gain, totals[CASH], totals[QUANTITY]
    return trips, True


@njit(cache=True, nogil=True)
def pay(fees: Ints, cash: Ints, start: int, paid: Ints, after: Ints) -> tuple[float, int]:
    """Take commissions off what accounts of the same fills without them have in cash.

    Parameters
    ----------
    fees, cash : int64 arrays, shape (n,)
        Of each fill: its commission, and cash after it.
    start : int
        What else there is of cash, before any commission.
    paid : int64 array, shape (n + 1,)
        The first is what was paid before; set to what is paid after each fill.
    after : int64 array, shape (n,)
        Set to cash after each fill.

    Returns
    -------
    tuple[float, int]
        The sum of the sizes of the commissions, and the largest: where they are too large, the
        whole numbers have wrapped.
    """
    total, largest = 0.0, 0
    for row in range(len(fees)):
        fee = fees[row]
        size = abs(fee)
        total += float(size)
        largest = max(largest, size)
        paid[row + 1] = paid[row] + fee
        after[row] = cash[row] + start - paid[row + 1]
    return total, largest


def new_state() -> State:
    """Return an account without positions."""
    return State(
        np.zeros((0, INTS), np.int64),
        np.zeros((0, FLOATS)),
        np.zeros((0, WIDES, STORED_DIGITS), np.uint64),
        np.zeros(TOTALS, np.int64),
        np.zeros(2),
        np.zeros((2, STORED_DIGITS), np.uint64),
    )


def extended(state: State, positions: int) -> State:
    """Return a copy of a state with rows for more positions."""
    parts = []
    for rows in state[:3]:
        part = np.zeros((positions, *rows.shape[1:]), rows.dtype)
        part[: len(rows)] = rows
        parts.append(part)
    return State(*parts, *(array.copy() for array in state[3:]))


def selected(state: State, positions: Ints) -> State:
    """Return a state with some of its positions, in the order given."""
    return state._replace(
        ints=state.ints[positions], floats=state.floats[positions], wides=state.wides[positions]
    )


def new_counted(fills: int, dues: int) -> Counted:
    """Return arrays for the figures of a batch."""
    return Counted(
        np.empty((3, fills), np.int64),
        np.empty((dues, 3), np.int64),
        np.empty((dues, 2, STORED_DIGITS), np.uint64),
        np.empty((fills, INTS + 3), np.int64),
        np.empty((fills, 2, 4), np.uint64),
    )
