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
_TOO_LARGE = -(2**63)
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

    def notionals(self, price: Ints, quantity: Ints) -> NDArray[Any]:
        """Return the value of each fill, in units of the currency's last decimal, half-even."""
        value = self.unit_value
        if self.is_inverse:
            return _divide(quantity, value.numerator, price, value.denominator)
        return _divide(_times(quantity, price), value.numerator, None, value.denominator)

    def commissions(self, notional: NDArray[Any], is_maker: NDArray[np.bool_]) -> Ints:
        """Return the commission of each fill, in units of the currency's last decimal, half-even.

        Parameters
        ----------
        notional : array of int64, or of int as objects, shape (n,)
            What `notionals` returned.
        is_maker : bool array, shape (n,)
            Whether the order was resting.

        Raises
        ------
        AmountTooLargeError
            If one does not fit 64 bits.
        """
        if not is_maker.any():
            return _shares(notional, self.taker_fee)
        commissions = np.empty(len(notional), np.int64)
        for is_side, fee in ((is_maker, self.maker_fee), (~is_maker, self.taker_fee)):
            commissions[is_side] = _shares(notional[is_side], fee)
        return commissions


def _shares(notional: NDArray[Any], fee: Decimal) -> Ints:
    rate = Fraction(fee)
    return _as_int64(_divide(notional, rate.numerator, None, rate.denominator))


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
    if divisors is None and numbers.dtype != object:
        quotients: NDArray[Any] = _scaled(np.ascontiguousarray(numbers), numerator, denominator)
        return quotients
    whole = numbers * numerator
    by = denominator if divisors is None else divisors * denominator
    quotient = whole // by
    twice = 2 * (whole - quotient * by)
    up = (twice > by) | ((twice == by) & (quotient % 2 == 1))
    rounded: NDArray[Any] = quotient + up
    return rounded


@njit(cache=True, nogil=True, error_model="numpy")
def _scaled(numbers: Ints, numerator: int, denominator: int) -> Ints:
    """Return ``numbers * numerator / denominator``, rounded half-even."""
    scaled = np.empty(len(numbers), np.int64)
    for row in range(len(numbers)):
        whole = numbers[row] * numerator
        quotient = whole // denominator
        twice = 2 * (whole - quotient * denominator)
        is_up = twice > denominator or (twice == denominator and quotient & 1 == 1)
        scaled[row] = quotient + np.int64(is_up)
    return scaled


def _bound(numbers: NDArray[Any]) -> float:
    return max(float(numbers.max()), -float(numbers.min())) if len(numbers) else 0.0


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

    def hold(self, signed: Ints) -> None:
        """Take in fills of which it is known what they realized."""
        self._money[1] += signed.sum()

    def realized(self, signed: Ints, price: Ints) -> tuple[Ints, int]:
        """Take fills in; return what each realizes (units), and the largest position since."""
        realized = np.empty(len(signed), np.int64)
        terms = self._terms
        largest = _realize(
            self._money, self._position, self._factors, terms.is_inverse, signed, price, realized
        )
        return realized, int(largest)

    def settle(self, realized: Ints, commission: Ints) -> int:
        """Take in what fills realized and cost; return the lowest gain (units) since.

        Raises
        ------
        AmountTooLargeError
            If the gain does not fit 64 bits.
        """
        lowest = _settle(self._money, realized, commission)
        if lowest == _TOO_LARGE:
            raise AmountTooLargeError
        return int(lowest)


class CashBalance(EngineBalance):
    """NautilusTrader's cash account: each fill is paid in full, in whole units."""

    def realized(self, signed: Ints, price: Ints) -> tuple[Ints, int]:
        """Take fills in; return what each brings (units), and the largest position since.

        Raises
        ------
        AmountTooLargeError
            If a value does not fit 64 bits.
        """
        value = _as_int64(self._terms.notionals(price, np.abs(signed)))
        held = self._money[1] + np.cumsum(signed)
        largest = max(abs(self.lots), int(np.abs(held).max(initial=0)))
        self.hold(signed)
        return np.where(signed > 0, -value, value), largest


@njit(cache=True, nogil=True)
def _realize(
    money: Ints,
    position: Floats,
    factors: Floats,
    is_inverse: bool,
    signed: Ints,
    price: Ints,
    amounts: Ints,
) -> int:
    largest: int = abs(money[1])
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
        largest = max(largest, abs(held))
        if abs(realized) > 4.0e18:
            amounts[row] = _TOO_LARGE
            continue
        # Ties away from zero; adding a half would round once more.
        rounded = np.int64(abs(realized))
        rounded += np.int64(abs(realized) - rounded >= 0.5)
        amounts[row] = rounded if realized >= 0.0 else -rounded
    money[1], position[0], position[1] = held, average, summed
    return largest


@njit(cache=True, nogil=True)
def _settle(money: Ints, realized: Ints, commission: Ints) -> int:
    gained: int = money[0]
    lowest: int = gained
    for row in range(len(realized)):
        if realized[row] == _TOO_LARGE or abs(gained) > 2**61:
            return _TOO_LARGE
        gained += realized[row] - commission[row]
        lowest = min(lowest, gained)
    money[0] = gained
    return lowest
