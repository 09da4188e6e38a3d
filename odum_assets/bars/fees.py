"""Fees of fills, rounded half-even to the account currency's last decimal."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Literal

__all__ = ["FeeRule"]

_WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class FeeRule:
    """Say what a fill costs.

    Parameters
    ----------
    model
        ``rate``: a fraction of the value; ``per_contract``: an amount for a size of one.
    amount
        The fraction or the amount; negative for a rebate.
    currency_precision
        Decimals of the account currency.
    """

    model: Literal["rate", "per_contract"]
    amount: Decimal
    currency_precision: int

    def exact(self, size: Decimal, value: Decimal) -> Decimal:
        """Return the fee before it is rounded."""
        return _WIDE.multiply(self.amount, value if self.model == "rate" else size)

    def fee(self, size: Decimal, value: Decimal) -> Decimal:
        """Return the fee of a fill of a size that is worth a value, both without sign."""
        last = Decimal(1).scaleb(-self.currency_precision)
        return self.exact(size, value).quantize(last, context=_WIDE)
