"""Accounting once more, by other means: plain decimals of 60 digits, one short loop."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext

ZERO = Decimal(0)


@dataclass
class Reference:
    """What an account must say after its fills: (position, signed quantity, price, commission).

    The entry of inverse contracts is the harmonic average of prices, unless `arithmetic` is set.
    """

    start: Decimal
    unit: Decimal
    multiplier: Decimal = Decimal(1)
    inverse: bool = False
    cash_account: bool = False
    arithmetic: bool = False
    cash: Decimal = ZERO
    realized: Decimal = ZERO
    commissions: Decimal = ZERO
    held: dict[str, tuple[Decimal, Decimal]] = field(default_factory=dict)
    trips: list[tuple[str, Decimal, Decimal]] = field(default_factory=list)
    _open: dict[str, list[Decimal]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.cash = self.start

    @property
    def position(self) -> Decimal:
        return sum((quantity for quantity, _ in self.held.values()), ZERO)

    def count(self, fills: Iterable[tuple[str, Decimal, Decimal, Decimal]]) -> None:
        for fill in fills:
            self.add(*fill)

    def add(self, name: str, quantity: Decimal, price: Decimal, commission: Decimal) -> Decimal:
        with localcontext(Context(prec=60, rounding=ROUND_HALF_EVEN)):
            before, entry = self.held.get(name, (ZERO, ZERO))
            after = before + quantity
            gain = ZERO
            if before * quantity >= 0:  # opens or adds
                self.held[name] = (after, self._average(before, entry, quantity, price))
                self._trip(name, ZERO, commission)
            else:
                closed = min(abs(before), abs(quantity)) * (1 if before > 0 else -1)
                per_unit = 1 / entry - 1 / price if self.inverse else price - entry
                gain = self._money(closed * per_unit * self.multiplier)
                if before * after < 0:  # through zero
                    part = self._money(commission * abs(before) / abs(quantity))
                    self._trip(name, gain, part)
                    self._end(name)
                    self._trip(name, ZERO, commission - part)
                    self.held[name] = (after, price)
                else:
                    self._trip(name, gain, commission)
                    self.held[name] = (after, entry)
                    if not after:
                        self._end(name)
            self.realized += gain
            self.commissions += commission
            paid = self._money(quantity * price * self.multiplier)
            self.cash += (-paid if self.cash_account else gain) - commission
        return gain

    def unrealized(self, price: Decimal) -> Decimal:
        with localcontext(Context(prec=60, rounding=ROUND_HALF_EVEN)):
            total = ZERO
            for quantity, entry in self.held.values():
                per_unit = 1 / entry - 1 / price if self.inverse else price - entry
                total += quantity * per_unit * self.multiplier
            return self._money(total)

    def equity(self, price: Decimal) -> Decimal:
        if self.cash_account:
            return self.cash + self._money(self.position * price * self.multiplier)
        return self.cash + self.unrealized(price)

    def _average(
        self, before: Decimal, entry: Decimal, quantity: Decimal, price: Decimal
    ) -> Decimal:
        if not before:
            return price
        if self.inverse and not self.arithmetic:
            return (before + quantity) / (before / entry + quantity / price)
        return (before * entry + quantity * price) / (before + quantity)

    def _money(self, amount: Decimal) -> Decimal:
        # In two steps: a half that 60 digits miss is a half.
        return amount.quantize(self.unit * Decimal("1e-12")).quantize(self.unit)

    def _trip(self, name: str, gain: Decimal, commission: Decimal) -> None:
        totals = self._open.setdefault(name, [ZERO, ZERO])
        totals[0] += gain
        totals[1] += commission

    def _end(self, name: str) -> None:
        gain, commission = self._open.pop(name)
        self.trips.append((name, gain, commission))
        del self.held[name]
