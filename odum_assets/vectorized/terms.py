"""Sizes, fees and money for a kernel, as whole numbers.

A session's account counts in a currency; a kernel counts in the largest amount that divides
the value of one tick of one unit, a cent of the currency and the starting balance. So every
balance, profit and fee is a whole number, exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import gcd, lcm
from typing import Literal, NamedTuple

from odum_assets.bars.fees import FeeRule
from odum_assets.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Terms:
    """Say how a crossover trades one instrument.

    Parameters
    ----------
    tick_size : Decimal
        The price of one tick in the quote currency.
    size_precision : int
        Decimals of a size; a unit is ``10 ** -size_precision``.
    lot : int
        Units of one lot; sizes are whole lots.
    multiplier : Decimal
        Base units of a size of one.
    starting_balance : Decimal
        In the account currency.
    fees : FeeRule
        Fees of fills, in the account currency.
    side : {"long", "long_short"}
        Whether a crossing down sells short.
    fixed_size : Decimal or None
        The size of an entry.
    percent_size : Decimal or None
        The fraction of equity that an entry may cost, its fee included.
    slippage : Decimal
        The fraction by which fills are worse than the open, rounded against the order to a tick.
    margin : Fraction
        The initial margin over the leverage, as a fraction of an entry's notional value.
    is_cash : bool
        Whether it is a cash account: an entry must be paid whole.
    """

    tick_size: Decimal
    size_precision: int
    lot: int
    multiplier: Decimal
    starting_balance: Decimal
    fees: FeeRule
    side: Literal["long", "long_short"]
    fixed_size: Decimal | None
    percent_size: Decimal | None
    slippage: Decimal = Decimal(0)
    margin: Fraction = Fraction(0)
    is_cash: bool = False

    @property
    def unit_value(self) -> Fraction:
        """Return what one tick of one unit is worth."""
        return (
            Fraction(self.tick_size) * Fraction(self.multiplier) / Fraction(10**self.size_precision)
        )

    @property
    def money_unit(self) -> Fraction:
        """Return what one unit of the kernel's money is worth."""
        return _common_divisor(
            self.unit_value,
            Fraction(1, 10**self.fees.currency_precision),
            Fraction(self.starting_balance),
        )


class KernelTerms(NamedTuple):
    """Hold `Terms` as the kernel reads them; money in `Terms.money_unit`.

    Parameters
    ----------
    balance : int
        The starting balance.
    value : int
        What one tick of one unit is worth.
    cent : int
        The smallest fee.
    lot : int
        Units of one lot.
    fixed_size : int
        Units of an entry; 0: by the share of cash.
    percent_numerator, percent_denominator : int
        The share of cash that an entry may cost.
    fee_numerator, fee_denominator : int
        Cents of fee for one unit, by value for one unit at a price of one tick.
    fee_by_value : bool
        Whether the fee is proportional to the price.
    both_sides : bool
        Whether a crossing down sells short.
    highest : int
        The highest price, in ticks.
    margin_numerator, margin_denominator : int
        The share of an entry's notional value that must be free.
    is_cash : bool
        Whether it is a cash account.
    """

    balance: int
    value: int
    cent: int
    lot: int
    fixed_size: int
    percent_numerator: int
    percent_denominator: int
    fee_numerator: int
    fee_denominator: int
    fee_by_value: bool
    both_sides: bool
    highest: int
    margin_numerator: int
    margin_denominator: int
    is_cash: bool


def kernel_terms(terms: Terms, highest: int) -> KernelTerms:
    """Return terms as whole numbers, for prices up to the highest, in ticks.

    Raises
    ------
    ConfigError
        If a number is too large for 64 bits, or the fixed size is no whole number of lots.
    """
    unit, cent = terms.money_unit, Fraction(1, 10**terms.fees.currency_precision)
    scale = Fraction(10**terms.size_precision)
    by_value = terms.fees.model == "rate"
    fee = Fraction(terms.fees.amount) * (terms.unit_value if by_value else 1 / scale) / cent
    percent = Fraction(terms.percent_size or 0)
    margin = Fraction(1) if terms.is_cash else terms.margin
    size = Fraction(terms.fixed_size or 0) * scale
    if size % terms.lot:
        raise ConfigError(
            f"strategy.params.fixed_size: {terms.fixed_size} is no whole number of lots of "
            f"{Fraction(terms.lot) / scale}"
        )
    values = KernelTerms(
        balance=int(Fraction(terms.starting_balance) / unit),
        value=int(terms.unit_value / unit),
        cent=int(cent / unit),
        lot=terms.lot,
        fixed_size=int(size),
        percent_numerator=percent.numerator,
        percent_denominator=percent.denominator,
        fee_numerator=fee.numerator,
        fee_denominator=fee.denominator,
        fee_by_value=by_value,
        both_sides=terms.side == "long_short",
        highest=highest,
        margin_numerator=margin.numerator,
        margin_denominator=margin.denominator,
        is_cash=terms.is_cash,
    )
    largest = max(abs(int(value)) for value in values)
    if largest >= 2**61 or percent.denominator * max(percent.numerator, 1) >= 2**61:
        raise ConfigError(
            "balance, fee and tick have more digits than a sweep can count with; give the fee "
            "or percent_size with fewer decimals, or a smaller starting balance"
        )
    return values


def _common_divisor(*values: Fraction) -> Fraction:
    """Return the largest fraction that divides every value."""
    positive = [value for value in values if value]
    denominator = lcm(*(value.denominator for value in positive))
    return Fraction(gcd(*(int(value * denominator) for value in positive)), denominator)
