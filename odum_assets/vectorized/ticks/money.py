"""Commissions and the engine's account, from fills in ticks and lots."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    type Ints = NDArray[np.int64]
    type Floats = NDArray[np.float64]

_LARGEST = 2.0**62
_STORED_SCALE = 16
_STORED = 10.0**_STORED_SCALE


class AmountTooLargeError(ArithmeticError):
    """Report that an amount does not fit 64 bits."""


@dataclass(frozen=True, slots=True)
class MoneyTerms:
    """Say how fills become money.

    Parameters
    ----------
    price_precision, size_precision, currency_precision : int
        Decimals of prices, of sizes, and of the account currency.
    multiplier : Decimal
        Size of one contract.
    is_inverse : bool
        Whether a contract is worth a fixed amount of the quote currency.
    maker_fee, taker_fee : Decimal
        Fees as a fraction of the notional value.
    margin : Decimal
        The larger of initial and maintenance margin, as a fraction of the notional value.
    starting_balance : Decimal
        In the account currency.
    """

    price_precision: int
    size_precision: int
    currency_precision: int
    multiplier: Decimal
    is_inverse: bool
    maker_fee: Decimal
    taker_fee: Decimal
    margin: Decimal
    starting_balance: Decimal

    @property
    def unit_value(self) -> Fraction:
        """Return a lot times a tick (inverse: over a tick), in the currency's last decimal."""
        places = self.currency_precision - self.size_precision
        places += self.price_precision if self.is_inverse else -self.price_precision
        return Fraction(self.multiplier) * Fraction(10) ** places

    def notional(self, price: int, lots: int) -> Fraction:
        """Return the value of a signed position, in the currency's last decimal."""
        return self.unit_value * (Fraction(lots, price) if self.is_inverse else lots * price)

    def commissions(self, price: Ints, quantity: Ints, is_maker: NDArray[np.bool_]) -> Ints:
        """Return the commission of each fill, in units of the currency's last decimal.

        The notional value is rounded half-even to the last decimal, then its share.

        Raises
        ------
        AmountTooLargeError
            If one does not fit 64 bits.
        """
        value = self.unit_value
        if self.is_inverse:
            notional = _divide(quantity, value.numerator, price, value.denominator)
        else:
            notional = _divide(_times(quantity, price), value.numerator, None, value.denominator)
        found = np.zeros(len(price), np.int64)
        for is_side, fee in ((is_maker, self.maker_fee), (~is_maker, self.taker_fee)):
            rate = Fraction(fee)
            share = _divide(notional[is_side], rate.numerator, None, rate.denominator)
            found[is_side] = _as_int64(share)
        return found


def _times(left: Ints, right: Ints) -> NDArray[Any]:
    """Return products, of Python's integers where 64 bits might not hold them."""
    if _bound(left) * _bound(right) < _LARGEST:
        product: NDArray[Any] = left * right
    else:
        product = left.astype(object) * right.astype(object)
    return product


def _divide(
    numbers: NDArray[Any], numerator: int, divisors: Ints | None, denominator: int
) -> NDArray[Any]:
    """Return ``numbers * numerator / (divisors * denominator)``, rounded half-even."""
    largest = _bound(numbers) * abs(numerator)
    widest = denominator * (1.0 if divisors is None else _bound(divisors))
    if numbers.dtype == object or max(largest, widest) >= _LARGEST / 4:
        numbers = numbers.astype(object)
        divisors = None if divisors is None else divisors.astype(object)
    whole = numbers * numerator
    by = denominator if divisors is None else divisors * denominator
    quotient = whole // by
    twice = 2 * (whole - quotient * by)
    up = (twice > by) | ((twice == by) & (quotient % 2 == 1))
    rounded: NDArray[Any] = quotient + up
    return rounded


def _bound(numbers: NDArray[Any]) -> float:
    return float(np.max(np.abs(numbers))) if len(numbers) else 0.0


def _as_int64(numbers: NDArray[Any]) -> Ints:
    if _bound(numbers) >= _LARGEST:
        raise AmountTooLargeError
    return numbers.astype(np.int64)


class EngineBalance:
    """NautilusTrader's margin account of one netted position, in the binary numbers that it uses.

    The steps are those that ``backtest.engine_account`` writes down.

    Parameters
    ----------
    terms : MoneyTerms
        How fills become money.
    """

    def __init__(self, terms: MoneyTerms) -> None:
        self._terms = terms
        # What the account gained and the position; its average price and the sum of its fills.
        self._money = np.zeros(2, np.int64)
        self._position = np.zeros(2, np.float64)
        self._factors = np.array(
            [
                10.0 ** (_STORED_SCALE - terms.price_precision),
                10.0 ** (_STORED_SCALE - terms.size_precision),
                float(terms.multiplier),
                10.0**terms.currency_precision,
            ]
        )

    @property
    def balance(self) -> Decimal:
        """Return the balance in the account currency."""
        gained = Decimal(int(self._money[0])).scaleb(-self._terms.currency_precision)
        return self._terms.starting_balance + gained

    @property
    def lots(self) -> int:
        """Return the signed position."""
        return int(self._money[1])

    def pay(self, units: int) -> None:
        """Take in a payment that is no fill's."""
        self._money[0] += units

    def add(self, signed: Ints, price: Ints, commission: Ints) -> tuple[int, int]:
        """Take fills in; return the lowest gain (units) and the largest position since.

        Raises
        ------
        AmountTooLargeError
            If the gain does not fit 64 bits.
        """
        lowest, largest = _settle(
            self._money,
            self._position,
            self._factors,
            self._terms.is_inverse,
            signed,
            price,
            commission,
        )
        if lowest == np.iinfo(np.int64).min:
            raise AmountTooLargeError
        return int(lowest), int(largest)


@njit(cache=True, nogil=True)
def _settle(
    money: Ints,
    position: Floats,
    factors: Floats,
    is_inverse: bool,
    signed: Ints,
    price: Ints,
    commission: Ints,
) -> tuple[int, int]:
    lowest, largest = money[0], abs(money[1])
    held, average, summed = money[1], position[0], position[1]
    for row in range(len(signed)):
        paid = price[row] * factors[0] / _STORED
        change = signed[row]
        size = abs(change) * factors[1] / _STORED
        realized = 0.0
        if held != 0 and (held > 0) != (change > 0):
            # The sum of a position's fills is a f64, too.
            closing = min(abs(change), abs(held)) * factors[1] / _STORED
            closing = min(closing, abs(summed)) * factors[2]
            points = 1.0 / average - 1.0 / paid if is_inverse else paid - average
            realized = (points if held > 0 else -points) * closing * factors[3]
        after = held + change
        rest = abs(after) * factors[1] / _STORED
        if held == 0 or (held > 0) != (after > 0):
            average, summed = paid, rest if after > 0 else -rest
        else:
            if abs(after) > abs(held):
                before = abs(held) * factors[1] / _STORED
                average = (average * before + paid * size) / (before + size)
            summed += size if change > 0 else -size
        held = after
        if abs(realized) > 4.0e18 or abs(money[0]) > 2**61:
            return np.iinfo(np.int64).min, 0
        # Ties away from zero; adding a half would round once more.
        rounded = np.int64(abs(realized))
        rounded += np.int64(abs(realized) - rounded >= 0.5)
        money[0] += (rounded if realized >= 0.0 else -rounded) - commission[row]
        lowest, largest = min(lowest, money[0]), max(largest, abs(held))
    money[1], position[0], position[1] = held, average, summed
    return lowest, largest
