"""How far NautilusTrader's account may be from exact arithmetic, by the arithmetic that it does.

What belongs here: the error bound of its binary (f64) average price and of the amounts that it
realizes. What does not: exact accounting (``ledger``), comparing the accounts (``reconciliation``).

What NautilusTrader 2.0.0rc7 does on a margin account (``position.rs``, ``accounts/margin.rs``,
``types/money.rs``), all of it in f64:

- A fill that increases a position of ``Q`` contracts at the average ``a`` by ``q`` at price ``p``
  gives ``a' = (a * Q + p * q) / (Q + q)``, for inverse contracts too.
- A fill that reduces it realizes ``q * m * (p - a)``, for inverse contracts
  ``q * m * (1/a - 1/p)``, with the opposite sign when short (``m`` is the multiplier), times
  ``10 ** P``, rounded to a whole number, ties away from zero (``P`` decimals of the currency).
- ``q`` is at most the sum ``S`` of the position's signed fills, which is added up in f64 as well.
- Commissions, funding and the balance are whole numbers of the last decimal: they add no error. A
  cash account counts values in decimals of 28 digits: no error either.

The bound
---------
``u = 2 ** -53`` is the relative error of one operation (ties to even); a price or size is a whole
number divided by ``10 ** 16``, which is two operations. Errors are to first order in ``u``, and
``U = 1.01 u`` takes in the higher orders of up to ``10 ** 13`` operations (Higham, Accuracy and
Stability of Numerical Algorithms, 2002, lemma 3.1, and section 3.3 on running error analysis).

- ``e`` bounds the error of ``a``, in price units times ``u``. The first fill gives ``e = 2 p``.
- Increasing: ``a * Q`` carries ``e`` and one operation, ``p * q`` two of the price and one; the
  sums above and below and the quotient are three on ``a'``. What is wrong in ``Q`` and ``q`` (two
  operations each) is wrong above and below alike: it moves only the weights ``w = Q / (Q + q)`` and
  ``1 - w``, which moves ``a'`` by at most ``4 w (1 - w) |p - a|``, and ``4 w (1 - w) <= 1``. So
  ``e' = ((e + a) * Q + 3 * p * q) / (Q + q) + 3 * a' + |p - a|``.
- Reducing leaves ``a``. Linear: ``p - a`` is off by ``2 p + e``; the operations on the product are
  one for the difference, two for ``q``, two for ``m``, two multiplications and the power of ten:
  eight on ``|p - a|``. In the account currency the amount is off by at most
  ``U * q * m * (2 * p + e + 8 * |p - a|)``.
- Inverse: ``1 / a`` is off by ``e / a**2`` and one operation, ``1 / p`` by three operations:
  ``U * q * m * (e / a**2 + 1 / a + 3 / p + 8 * |1 / a - 1 / p|)``.
- ``S`` is off by ``d = sum(2 * q + |S|)`` times ``u`` over the fills since the position was flat.
  It counts in place of ``q`` only when the whole position is closed: then ``U * d * m * |p - a|``
  (or ``|1/a - 1/p|``) is added.
- With ``x`` the exact amount in units of the last decimal, off by ``E``, and ``h`` its distance
  from the nearest half: when ``E < h``, NautilusTrader rounds to the same whole number and no error
  is left; else to one at most ``floor(E - h) + 1`` units away.

The tolerance is the sum of these units. It is zero for most runs, and grows with turnover and with
the number of fills that a position was made of, as the errors do.
"""

from dataclasses import dataclass

ROUNDOFF = 1.01 * 2.0**-53
"""Relative error of an operation, with room for the higher orders."""
# What a distance from a half may itself be wrong by: it is a f64, too.
DISTANCE_ERROR = 1e-12


@dataclass(slots=True)
class BinaryAverage:
    """The average price of an open position as NautilusTrader has it, with its error.

    Parameters
    ----------
    price, size : int
        The first fill: price and unsigned size, in units of their last decimals.

    Attributes
    ----------
    average : float
        Average price in units of its last decimal.
    error : float
        Its largest error, in the same units times `ROUNDOFF` (``e`` of the module's text).
    drift : float
        Largest error of the summed quantity, in size units times `ROUNDOFF` (``d``).
    """

    average: float
    error: float
    drift: float

    def __init__(self, price: int, size: int) -> None:
        self.average = float(price)
        self.error = 2.0 * price
        self.drift = 3.0 * size

    def increase(self, held: int, size: int, price: int) -> None:
        """Take in a fill that increases the position; `held` is the size before it."""
        total = held + size
        before = self.average
        after = (held * before + size * price) / total
        self.error = (
            (held * (self.error + before) + 3 * size * price) / total
            + 3.0 * after
            + abs(price - before)
        )
        self.average = after
        self.drift += 2 * size + total

    def reduce_linear(
        self, closing: int, held: int, price: int, unit_value: float, remainder: float
    ) -> int:
        """Take in a fill that closes a part of a linear position of `held`.

        Parameters
        ----------
        closing, held : int
            Size that it closes, and size before it.
        price : int
            Its price, in units of the last decimal.
        unit_value : float
            What a price unit times a size unit is worth, in the currency's last decimal.
        remainder : float
            The exact amount that it realizes less its rounding.

        Returns
        -------
        int
            As of `units_apart`.
        """
        spread = abs(price - self.average)
        off = closing * (2 * price + self.error + 8.0 * spread)
        return self._reduce(closing, held, off, spread, unit_value, remainder)

    def reduce_inverse(
        self, closing: int, held: int, price: int, unit_value: float, remainder: float
    ) -> int:
        """Take in a fill that closes a part of an inverse position; as `reduce_linear`.

        `unit_value` is that of a size unit over a price unit.
        """
        average = self.average
        spread = abs(1.0 / average - 1.0 / price)
        off = closing * ((self.error / average + 1.0) / average + 3.0 / price + 8.0 * spread)
        return self._reduce(closing, held, off, spread, unit_value, remainder)

    def _reduce(
        self,
        closing: int,
        held: int,
        off: float,
        spread: float,
        unit_value: float,
        remainder: float,
    ) -> int:
        # Less than the whole is closed: the sum is larger than the size, unless it is off by one.
        if closing == held or self.drift * ROUNDOFF > 0.5:
            off += self.drift * spread
        # Twice the fill, and what it leaves open.
        self.drift += closing + held
        return units_apart(ROUNDOFF * off * unit_value, remainder)


def units_apart(error: float, remainder: float) -> int:
    """Return by how many units of the last decimal two roundings of an amount may differ.

    Parameters
    ----------
    error : float
        How far one of the amounts may be off, in units of the last decimal (``E``).
    remainder : float
        The exact amount less its rounding, -0.5 to 0.5.

    Returns
    -------
    int
        Zero when no half lies within the error.
    """
    beyond = error + DISTANCE_ERROR - (0.5 - abs(remainder))
    return int(beyond) + 1 if beyond >= 0.0 else 0
