"""Quantities as whole numbers of the size increment."""

from dataclasses import dataclass
from decimal import Decimal

from nautilus_trader.model import Quantity


@dataclass(frozen=True, slots=True)
class Lots:
    """Convert between quantities and whole lots of ``10 ** -precision``."""

    precision: int

    def of(self, quantity: Quantity) -> int:
        """Return the whole lots in a quantity."""
        return int(quantity.as_decimal().scaleb(self.precision))

    def quantity(self, lots: int) -> Quantity:
        """Return whole lots as a quantity."""
        return Quantity.from_decimal_dp(Decimal(lots).scaleb(-self.precision), self.precision)
