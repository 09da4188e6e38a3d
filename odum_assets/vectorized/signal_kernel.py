"""The compiled part of sweeps over bars: one pass over a signal per bar for each variant.

A signal is 1 (buy), -1 (sell) or 0 (nothing), decided at a close. Strategies differ in where it
comes from, a crossing of averages or the prediction of a model; orders, fills, money and figures
are the same. Whatever decides a fill is an integer: prices are ticks, sizes are units, money is in
the unit of `odum_assets.vectorized.terms`. Only returns and drawdowns are floats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numba import njit, prange

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from odum_assets.vectorized.terms import KernelTerms

    type Ints = NDArray[np.int64]
    type Signals = NDArray[np.int8]
    type Floats = NDArray[np.float64]

COUNTS: Final = (
    *("status", "fills", "trades", "wins", "fees", "gained", "lost", "equity"),
    *("cash", "position", "before", "order", "peak", "trough"),
    *("balance", "entry", "halves"),
)
"""Whole numbers of a variant: its state while it runs, its figures afterwards.

``status`` is `SOUND` or what else there is; ``gained`` and ``lost`` are the sums of winning and of
losing round trips; ``before`` is the cash before the open round trip, ``order`` the side that fills
at the next open. ``balance`` is that of NautilusTrader's account, which books whole cents when a
position closes; ``entry`` is the price of the open position, ``halves`` counts profits within a
millionth of half a cent, which NautilusTrader's floats may round either way. Money is in the
kernel's unit.
"""

RATES: Final = ("max_drawdown", "mean_return", "squared_return")
"""Floats of a variant: the largest fall as a fraction of its peak (zero or negative), the mean
of the returns of sessions, the sum of their squared deviations."""

FILL: Final = ("bar", "quantity", "price", "fee")
"""Columns of a recorded fill; a sale has a negative quantity."""

SOUND, NO_EQUITY, TOO_LARGE, UNCERTAIN = 0, 1, 2, 3
"""Whether equity was positive at the end of each session, whether 64 bits sufficed, and whether it
is certain what NautilusTrader does with each entry: not where the balance is within the rounding of
the margin, nor where a cash account is overdrawn."""

(_STATUS, _FILLS, _TRADES, _WINS, _FEES, _GAINED, _LOST, _EQUITY) = range(8)
(_CASH, _POSITION, _BEFORE, _ORDER, _PEAK, _TROUGH) = range(8, 14)
(_BALANCE, _ENTRY, _HALVES) = range(14, 17)
_DRAWDOWN, _MEAN, _SQUARED = range(3)
_LARGEST: Final = 4.0e18
"""Products stay below this; 2**63 is 9.2e18."""


@njit(cache=True)
def _half_even(number: int, divisor: int) -> int:
    """Return the quotient, rounded to a whole number, ties to even."""
    quotient = number // divisor
    twice = 2 * (number - quotient * divisor)
    if twice > divisor or (twice == divisor and quotient % 2 == 1):
        quotient += 1
    return int(quotient)


@njit(cache=True)
def _fee(quantity: int, price: int, terms: KernelTerms) -> int:
    """Return the fee of a fill: whole cents, ties to even."""
    product = quantity * (price if terms.fee_by_value else 1) * abs(terms.fee_numerator)
    cents = _half_even(product, terms.fee_denominator)
    return int((cents if terms.fee_numerator >= 0 else -cents) * terms.cent)


@njit(cache=True)
def _cost(lots: int, price: int, terms: KernelTerms) -> int:
    quantity = lots * terms.lot
    return int(quantity * price * terms.value + _fee(quantity, price, terms))


@njit(cache=True)
def _fits(quantity: float, terms: KernelTerms) -> bool:
    """Return whether products of a quantity and any price are whole numbers of 64 bits."""
    margin = float(terms.value) / terms.cent * terms.margin_numerator
    largest = max(float(terms.value), float(abs(terms.fee_numerator)), margin)
    return bool(float(quantity) * float(terms.highest) * largest < _LARGEST)


@njit(cache=True)
def _size(cash: int, price: int, terms: KernelTerms) -> int:
    """Return the units to trade, -1 when they are too many for 64 bits.

    The fixed size; or as many lots as the share of cash pays, the rounded fee included.
    """
    if terms.fixed_size > 0:
        return terms.fixed_size if _fits(terms.fixed_size, terms) else -1
    if cash <= 0:
        return 0
    whole, rest = divmod(cash, terms.percent_denominator)
    budget = whole * terms.percent_numerator
    budget += rest * terms.percent_numerator // terms.percent_denominator
    fee_base = price if terms.fee_by_value else 1
    unit_fee = terms.cent * fee_base * (terms.fee_numerator / terms.fee_denominator)
    estimate = budget / (terms.lot * (price * terms.value + unit_fee))
    if not _fits((estimate + 2) * terms.lot, terms):
        return -1
    lots = max(int(estimate), 0)
    # The estimate may be a lot off, as a quotient of floats and by the rounding of the fee.
    while _cost(lots + 1, price, terms) <= budget:
        lots += 1
    while lots > 0 and _cost(lots, price, terms) > budget:
        lots -= 1
    return lots * terms.lot


@njit(cache=True)
def _trade(
    state: Ints, terms: KernelTerms, record: Ints, bar: int, quantity: int, price: int
) -> None:
    """Book one fill; a sale has a negative quantity."""
    fee = _fee(abs(quantity), price, terms)
    state[_BALANCE] -= fee
    if state[_POSITION] != 0:
        profit = state[_POSITION] * (price - state[_ENTRY]) * terms.value
        cents, rest = divmod(abs(profit), terms.cent)
        cents += 2 * rest >= terms.cent
        state[_HALVES] += abs(2 * rest - terms.cent) <= terms.cent // 1_000_000
        state[_BALANCE] += (cents if profit > 0 else -cents) * terms.cent
    state[_ENTRY] = price
    state[_CASH] -= quantity * price * terms.value + fee
    state[_POSITION] += quantity
    state[_FEES] += fee
    fill = state[_FILLS]
    if fill < len(record):
        record[fill, 0], record[fill, 1], record[fill, 2], record[fill, 3] = (
            bar,
            quantity,
            price,
            fee,
        )
    state[_FILLS] = fill + 1


@njit(cache=True)
def _is_denied(state: Ints, terms: KernelTerms, quantity: int, quote: int) -> bool:
    """Return whether NautilusTrader denies an entry: its margin exceeds the free balance.

    It values the order at the quote. As nothing is open, the whole balance is free.
    """
    notional = _half_even(quantity * quote * terms.value, terms.cent)
    margin = _half_even(notional * terms.margin_numerator, terms.margin_denominator)
    free = state[_CASH] if terms.is_cash else state[_BALANCE]
    rounding = state[_FILLS] if terms.is_cash else state[_HALVES]
    lacking = margin * terms.cent - free
    if abs(lacking) <= rounding * terms.cent and rounding > 0:
        state[_STATUS] = UNCERTAIN
    return bool(lacking > 0)


@njit(cache=True)
def _fill_order(
    state: Ints, terms: KernelTerms, record: Ints, bar: int, prices: tuple[int, int]
) -> None:
    """Fill what was decided at the last close: leave the position, enter the other side.

    `prices` are the one of the fill and the quote.
    """
    price, quote = prices
    order = state[_ORDER]
    # Both orders of a reversal by a fixed size are sent at once: the second one, too, counts as
    # reducing the position then, and no margin is asked for it.
    is_checked = state[_POSITION] == 0 or terms.fixed_size == 0
    state[_ORDER] = 0
    if state[_POSITION] != 0:
        _trade(state, terms, record, bar, -state[_POSITION], price)
        result = state[_CASH] - state[_BEFORE]
        state[_TRADES] += 1
        state[_WINS] += result > 0
        state[_GAINED] += max(result, 0)
        state[_LOST] += max(-result, 0)
    if order < 0 and not terms.both_sides:
        return
    quantity = _size(state[_CASH], price, terms)
    if quantity < 0 or abs(state[_CASH]) > _LARGEST:
        state[_STATUS] = TOO_LARGE
    elif quantity > 0 and not (is_checked and _is_denied(state, terms, quantity, quote)):
        state[_BEFORE] = state[_CASH]
        _trade(state, terms, record, bar, order * quantity, price)
        if terms.is_cash and state[_CASH] < 0:
            state[_STATUS] = UNCERTAIN


@njit(cache=True)
def _order(signal: int, position: int, terms: KernelTerms) -> int:
    """Return the side to trade after a signal: 1, -1, or 0 when the position is as wanted."""
    if position * signal > 0 or (position == 0 and signal < 0 and not terms.both_sides):
        return 0
    return signal


@njit(cache=True)
def _run_session(
    bars: tuple[Ints, Ints, Ints, Ints, Ints],
    start: int,
    end: int,
    signals: Signals,
    terms: KernelTerms,
    variant: tuple[Ints, Floats, Ints],
) -> None:
    """Go over the bars of one session."""
    close, buy, sell, _, quotes = bars
    state, rates, record = variant
    cash, exposure = state[_CASH], state[_POSITION] * terms.value
    peak, trough = state[_PEAK], state[_TROUGH]
    equity = state[_EQUITY]
    for bar in range(start, end):
        if state[_ORDER] != 0:
            price = buy[bar] if state[_ORDER] > 0 else sell[bar]
            _fill_order(state, terms, record, bar, (price, quotes[bar]))
            cash, exposure = state[_CASH], state[_POSITION] * terms.value
        equity = cash + exposure * close[bar]
        if equity > peak:
            rates[_DRAWDOWN] = min(rates[_DRAWDOWN], (trough - peak) / peak)
            peak = trough = equity
        elif equity < trough:
            trough = equity
        if signals[bar] != 0:
            state[_ORDER] = _order(signals[bar], state[_POSITION], terms)
    state[_PEAK], state[_TROUGH], state[_EQUITY] = peak, trough, equity


@njit(cache=True)
def run_variant(
    bars: tuple[Ints, Ints, Ints, Ints, Ints],
    first: int,
    signals: Signals,
    terms: KernelTerms,
    variant: tuple[Ints, Floats, Ints],
) -> None:
    """Run one variant over all bars from the first one that is traded.

    Parameters
    ----------
    bars : tuple of int64 arrays
        Closes, prices of buying and of selling at each open, shape ``(n,)``; the end (exclusive)
        of each session that is traded; the opens, shape ``(n,)``.
    first : int
        The first bar that is traded; those before it belong to signals only.
    signals : int8 array of shape (n,)
        1, -1 or 0 of each bar, decided at its close.
    terms : KernelTerms
        Sizes, fees and money.
    variant : tuple of arrays
        Takes `COUNTS`, shape ``(17,)``; `RATES`, shape ``(3,)``; the first m fills as `FILL`, shape
        ``(m, 4)``.
    """
    ends = bars[3]
    state, rates, _ = variant
    state[:] = 0
    rates[:] = 0.0
    for column in (_CASH, _EQUITY, _PEAK, _TROUGH, _BALANCE):
        state[column] = terms.balance
    start = first
    for session in range(len(ends)):
        before = state[_EQUITY]
        _run_session(bars, start, ends[session], signals, terms, variant)
        start = ends[session]
        if state[_EQUITY] <= 0 and state[_STATUS] == SOUND:
            state[_STATUS] = NO_EQUITY
        if state[_STATUS] == SOUND:
            change = (state[_EQUITY] - before) / before
            step = change - rates[_MEAN]
            rates[_MEAN] += step / (session + 1)
            rates[_SQUARED] += step * (change - rates[_MEAN])
    fall = (state[_TROUGH] - state[_PEAK]) / state[_PEAK]
    rates[_DRAWDOWN] = min(rates[_DRAWDOWN], fall)


@njit(cache=True)
def cross(sums: Ints, fast: int, slow: int, signals: Signals) -> None:
    """Write where the fast average crosses the slow one: 1 above, -1 below, else 0.

    Parameters
    ----------
    sums : int64 array of shape (n + 1,)
        Sums of the closes before each bar.
    fast, slow : int
        Lengths of the averages.
    signals : int8 array of shape (n,)
        Takes the signals.
    """
    signals[:slow] = 0
    before = 0
    for bar in range(slow - 1, len(signals)):
        last = sums[bar + 1]
        ahead = (last - sums[bar + 1 - fast]) * slow
        behind = (last - sums[bar + 1 - slow]) * fast
        now = int(ahead > behind) - int(ahead < behind)
        # Both averages exist one bar before a crossing.
        signals[bar] = now if now != before and bar >= slow else 0
        before = now


@njit(cache=True, parallel=True)
def run_crossings(
    bars: tuple[Ints, Ints, Ints, Ints, Ints],
    first: int,
    sums: Ints,
    pairs: Ints,
    terms: KernelTerms,
    counts: Ints,
    rates: Floats,
) -> None:
    """Run crossings of averages, on all processors.

    Parameters
    ----------
    bars, first, terms
        As of `run_variant`.
    sums
        As of `cross`.
    pairs : int64 array of shape (v, 2)
        Lengths of the fast and of the slow average of each variant.
    counts, rates : arrays of shape (v, 17) and (v, 3)
        Take `COUNTS` and `RATES`.
    """
    no_fills = np.empty((0, 4), np.int64)
    for index in prange(len(pairs)):
        signals = np.empty(len(sums) - 1, np.int8)
        cross(sums, pairs[index, 0], pairs[index, 1], signals)
        run_variant(bars, first, signals, terms, (counts[index], rates[index], no_fills))


@njit(cache=True, parallel=True)
def run_signals(
    bars: tuple[Ints, Ints, Ints, Ints, Ints],
    first: int,
    signals: Signals,
    terms: KernelTerms,
    counts: Ints,
    rates: Floats,
) -> None:
    """Run signals that are known, shape ``(v, n)``, on all processors; else as `run_crossings`."""
    no_fills = np.empty((0, 4), np.int64)
    for index in prange(len(signals)):
        run_variant(bars, first, signals[index], terms, (counts[index], rates[index], no_fills))
