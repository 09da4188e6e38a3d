"""Fills and what is due between them, as columns: what counting reads.

What belongs here: the columns. What does not: where they come from (``tables``), counting
(``counting``).
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from odum_assets.backtest.ledger import Fills
from odum_assets.catalog.fixed_point import Int64s, Units


class FillColumns(NamedTuple):
    """Fills of one instrument in order of time, as arrays of length n.

    Parameters
    ----------
    ts : int64 array
        Times in ns.
    names : list[str]
        Ids of positions.
    position : int64 array
        Which of `names` each fill changes.
    quantity : array of int64, or of int as objects where 64 bits do not suffice
        Signed quantities (buys positive) in units of the last decimal; none is zero.
    price : like `quantity`
        Prices in units of the last decimal, positive.
    commission : like `quantity`
        Commissions in units of the account currency's last decimal.
    """

    ts: Int64s
    names: list[str]
    position: Int64s
    quantity: Units
    price: Units
    commission: Units

    @classmethod
    def none(cls) -> "FillColumns":
        """Return no fills."""
        nothing = np.empty(0, np.int64)
        return cls(nothing, [], nothing, nothing, nothing, nothing)

    def rows(self) -> Fills:
        """Return them as the exact ledger reads them."""
        ids = np.array(self.names, object)[self.position]
        columns: list[Any] = [self.ts, ids, self.quantity, self.price, self.commission]
        return Fills(*(column.tolist() for column in columns))


class Dues(NamedTuple):
    """Payments and samples between fills, in order, as arrays of length m.

    Parameters
    ----------
    after : int64 array
        After how many fills of the batch each is due, ascending.
    amount : array of int64, or of int as objects
        Funding in units of the account currency's last decimal, zero for samples.
    is_sample : bool array
        Whether the account is sampled.
    """

    after: Int64s
    amount: Units
    is_sample: npt.NDArray[np.bool_]

    @classmethod
    def samples(cls, after: Int64s) -> "Dues":
        """Return samples only."""
        count = len(after)
        return cls(after.astype(np.int64), np.zeros(count, np.int64), np.ones(count, np.bool_))
