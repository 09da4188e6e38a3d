"""A moving-average crossover bar by bar, in exact fractions and without Numba.

It is an independent answer to the kernel's: averages are recomputed from their closes, fees are
rounded by `decimal`, money is a fraction.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from math import ceil, floor

from odum_assets.bars.series import BarSeries
from odum_assets.vectorized.terms import Terms


@dataclass(frozen=True)
class PlainFill:
    bar: int
    quantity: int
    price: int
    fee: Fraction


class PlainCrossover:
    """Run one variant; `fills`, `equity` at each close and `results` of round trips are left."""

    def __init__(
        self, series: BarSeries, terms: Terms, fast: int, slow: int, first: int = 0
    ) -> None:
        self.series, self.terms = series, terms
        self.cash = self.balance = Fraction(terms.starting_balance)
        self.entry = 0
        self.position = 0
        self.fills: list[PlainFill] = []
        self.equity: list[Fraction] = []
        self.results: list[Fraction] = []
        self._before = self.cash
        closes = series.close.tolist()
        wanted = 0
        for bar, close in list(enumerate(closes))[first:]:
            if wanted:
                self._open(bar, wanted)
                wanted = 0
            self.equity.append(self.cash + self.position * close * self._value)
            if bar >= slow:
                now, earlier = (
                    Fraction(sum(closes[end - fast : end]), fast)
                    - Fraction(sum(closes[end - slow : end]), slow)
                    for end in (bar + 1, bar)
                )
                if earlier <= 0 < now and self.position <= 0:
                    wanted = 1
                if earlier >= 0 > now and (
                    self.position > 0 or (terms.side == "long_short" and self.position == 0)
                ):
                    wanted = -1

    @property
    def _value(self) -> Fraction:
        terms = self.terms
        units = Fraction(1, 10**terms.size_precision)
        return Fraction(terms.tick_size) * Fraction(terms.multiplier) * units

    def _open(self, bar: int, side: int) -> None:
        price = Fraction(int(self.series.open[bar])) * (1 + side * Fraction(self.terms.slippage))
        ticks = ceil(price) if side > 0 else floor(price)
        is_checked = not self.position or self.terms.percent_size is not None
        if self.position:
            self._fill(bar, -self.position, ticks)
            self.results.append(self.cash - self._before)
        if side > 0 or self.terms.side == "long_short":
            units = self._size(ticks)
            if units and not (is_checked and self._is_denied(units, bar)):
                self._before = self.cash
                self._fill(bar, side * units, ticks)

    def _size(self, price: int) -> int:
        terms = self.terms
        if terms.percent_size is None:
            assert terms.fixed_size is not None
            return int(terms.fixed_size * 10**terms.size_precision)
        budget = self.cash * Fraction(terms.percent_size)
        low, high = 0, 1
        while self._cost(high * terms.lot, price) <= budget:
            high *= 2
        while high - low > 1:
            middle = (low + high) // 2
            if self._cost(middle * terms.lot, price) <= budget:
                low = middle
            else:
                high = middle
        return low * terms.lot

    def _is_denied(self, units: int, bar: int) -> bool:
        notional = self._rounded(units * int(self.series.open[bar]) * self._value)
        return self._rounded(notional * self.terms.margin) > self.balance

    def _rounded(self, amount: Fraction, mode: str = ROUND_HALF_EVEN) -> Fraction:
        with localcontext(prec=80):
            exact = Decimal(amount.numerator) / amount.denominator
            cent = Decimal(1).scaleb(-self.terms.fees.currency_precision)
            return Fraction(exact.quantize(cent, mode))

    def _cost(self, units: int, price: int) -> Fraction:
        return units * price * self._value + self._fee(units, price)

    def _fee(self, units: int, price: int) -> Fraction:
        terms = self.terms
        with localcontext(prec=80):
            size = Decimal(units).scaleb(-terms.size_precision)
            base = size * price * terms.tick_size * terms.multiplier
            exact = terms.fees.amount * (base if terms.fees.model == "rate" else size)
            cent = Decimal(1).scaleb(-terms.fees.currency_precision)
            return Fraction(exact.quantize(cent, ROUND_HALF_EVEN))

    def _fill(self, bar: int, quantity: int, price: int) -> None:
        fee = self._fee(abs(quantity), price)
        if self.position:
            profit = self.position * (price - self.entry) * self._value
            self.balance += self._rounded(profit, ROUND_HALF_UP)
        self.balance -= fee
        self.entry = price
        self.cash -= quantity * price * self._value + fee
        self.position += quantity
        self.fills.append(PlainFill(bar, quantity, price, fee))
