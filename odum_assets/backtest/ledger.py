"""Exact accounting: fills in, cash, positions and round trips out. Whole numbers, no engine.

What belongs here: the rules by which money is counted. What does not: reading or writing tables,
statistics.

Rules
-----
- A position's entry price is the average price of the fills that opened or increased it:
  ``sum(q * p) / sum(q)`` for linear contracts and spot, ``sum(q) / sum(q / p)`` for inverse ones
  (q contracts at price p), as the venues count it: a position costs what its fills cost.
- A fill that reduces a position realizes ``(price - entry) * quantity * multiplier`` for linear
  contracts and spot, ``(1 / entry - 1 / price) * quantity * multiplier`` for inverse ones, with the
  opposite sign when short, rounded half-even to the account currency's last decimal.
- Margin account: cash changes by what is realized, by commissions and by funding. Cash account:
  cash changes by the value that is bought or sold, and by commissions.
- A round trip goes from flat to flat, or to a flip. A fill that flips a position ends one trip and
  opens the next; its commission is split in proportion to the quantities.

Inside, prices, quantities and amounts are whole numbers of their last decimal (`Fills`), and what a
position cost carries more digits, so that its rounding never reaches an amount. What rounding to
the last decimal leaves out is summed up, so that the sums can be checked (``reconciliation``).

NautilusTrader averages the entry of inverse contracts arithmetically: what its account says by that
rule is counted beside, exactly, with the error bound of its binary arithmetic (``engine_account``).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from typing import NamedTuple

from odum_assets.backtest.engine_account import BinaryAverage
from odum_assets.catalog.fixed_point import amount_of, units_of

ZERO = Decimal(0)
# Guard digits of what a position cost: some 48 decimals. Bits, since shifting them off is cheap.
_GUARD_BITS = 160
_GUARD = 1 << _GUARD_BITS
# Guard bits that a f64 keeps of what rounding leaves out.
_KEPT_BITS = 64
_KEPT = (1 << _KEPT_BITS) - 1
# Wide enough that the rounding of averages never reaches the last decimal of an amount.
_CONTEXT = Context(prec=80, rounding=ROUND_HALF_EVEN)
# Decimals of an average that the guard digits leave exact.
_EXACT, _EXACT_HARMONIC = Decimal("1e-30"), Decimal("1e-20")


@dataclass(frozen=True, slots=True)
class AccountRules:
    """How one account counts money.

    Parameters
    ----------
    multiplier : Decimal
        Size of one contract.
    is_inverse : bool
        Whether profits are in the base currency.
    is_cash : bool
        Whether positions are paid in full (cash account).
    price_precision, size_precision, currency_precision : int
        Decimals of prices, of quantities, and of the account currency.
    """

    multiplier: Decimal
    is_inverse: bool
    is_cash: bool
    price_precision: int
    size_precision: int
    currency_precision: int

    def amount_ratio(self) -> tuple[int, int]:
        """Return what turns a product of price and quantity units into units of the currency.

        It is a numerator and a denominator; for inverse contracts, of quantity over price units.
        """
        top, bottom = self.multiplier.as_integer_ratio()
        top *= 10**self.currency_precision
        bottom *= 10**self.size_precision
        if self.is_inverse:
            top *= 10**self.price_precision
        else:
            bottom *= 10**self.price_precision
        common = math.gcd(top, bottom)
        return top // common, bottom // common


class Fills(NamedTuple):
    """Executions in order of time, as columns of equal length.

    Parameters
    ----------
    ts : list[int]
        Times in ns.
    position_id : list[str]
        Positions that they change.
    quantity : list[int]
        Signed quantities (buys positive) in units of the last decimal.
    price : list[int]
        Prices in units of the last decimal.
    commission : list[int]
        Commissions in units of the account currency's last decimal.
    """

    ts: list[int]
    position_id: list[str]
    quantity: list[int]
    price: list[int]
    commission: list[int]

    def part(self, start: int, stop: int) -> "Fills":
        """Return the fills from `start` up to `stop`."""
        return Fills(
            self.ts[start:stop],
            self.position_id[start:stop],
            self.quantity[start:stop],
            self.price[start:stop],
            self.commission[start:stop],
        )


class LedgerRows(NamedTuple):
    """What the ledger says after each fill, in units of the last decimal.

    Parameters
    ----------
    realized, cash : list[int]
        What the fill realized, and cash after it.
    quantity : list[int]
        Signed open quantity after it.
    """

    realized: list[int]
    cash: list[int]
    quantity: list[int]


class EngineAccount(NamedTuple):
    """What NautilusTrader's account should say, by its rules in exact arithmetic.

    Parameters
    ----------
    cash, quantity : Decimal
        Balance and signed open quantity.
    tolerance_units : int
        By how much its balance may differ, in units of the account currency's last decimal.
    """

    cash: Decimal
    quantity: Decimal
    tolerance_units: int


class RoundTrip(NamedTuple):
    """A position from flat to flat (or to a flip), or what is open at the end.

    Amounts are in the account currency; `net_pnl` is `realized_pnl` less `commissions`. An open one
    has no `closed_ts` and no `average_close`; its `quantity` is what is open, signed.
    """

    position_id: str
    side: str
    opened_ts: int
    closed_ts: int | None
    quantity: Decimal
    peak_quantity: Decimal
    average_open: Decimal
    average_close: Decimal | None
    realized_pnl: Decimal
    commissions: Decimal
    fills: int

    @property
    def status(self) -> str:
        """Return whether it is ``open`` or ``closed``."""
        return "open" if self.closed_ts is None else "closed"

    @property
    def net_pnl(self) -> Decimal:
        """Return the result after commissions."""
        return self.realized_pnl - self.commissions


class Marking:
    """What an account is worth at a price; its whole numbers are given by subclasses."""

    __slots__ = ()

    rules: AccountRules
    # An amount is the product of price and quantity units times `_scale`, over `_per_amount`;
    # inverse: quantity units over price units.
    _scale: int
    _per_amount: int
    _cash: int
    _realized: int
    _quantity: int

    def _signed_cost(self) -> int:
        """Return what is open at its entry prices, with guard digits, negative when short."""
        raise NotImplementedError

    @property
    def cash(self) -> Decimal:
        """Return the cash balance."""
        return self._amount(self._cash)

    @property
    def realized(self) -> Decimal:
        """Return what was realized, before commissions."""
        return self._amount(self._realized)

    @property
    def quantity(self) -> Decimal:
        """Return the signed open quantity over all positions."""
        return amount_of(self._quantity, self.rules.size_precision)

    def units(self) -> tuple[int, int, int]:
        """Return cash, what was realized, and the signed quantity, in units of the last decimal."""
        return self._cash, self._realized, self._quantity

    def unrealized(self, price: Decimal | None) -> Decimal:
        """Return the open positions' profit at a price, rounded to the account currency."""
        if price is None:
            return self._amount(0)
        return self._amount(self.unrealized_units([units_of(price, self.rules.price_precision)])[0])

    def unrealized_units(self, ticks: Sequence[int]) -> list[int]:
        """Return `unrealized` at prices, all in units of the last decimal."""
        cost, quantity, scale = self._signed_cost(), self._quantity * _GUARD, self._scale
        if not cost and not quantity:
            return [0] * len(ticks)
        by = self._per_amount * _GUARD
        if self.rules.is_inverse:
            return [_rounded((cost * tick - quantity) * scale, by * tick)[0] for tick in ticks]
        return [_rounded((quantity * tick - cost) * scale, by)[0] for tick in ticks]

    def equity(self, price: Decimal | None) -> Decimal:
        """Return cash plus what is open at a price; a cash account holds the full value."""
        if not self.rules.is_cash:
            return self.cash + self.unrealized(price)
        ticks = 0 if price is None else units_of(price, self.rules.price_precision)
        value, _ = _rounded(self._quantity * ticks * self._scale, self._per_amount)
        return self._amount(self._cash + value)

    def entry(self) -> Decimal | None:
        """Return the average entry price of what is open, None when flat or when hedged to zero."""
        cost = self._signed_cost()
        if not self._quantity or (self.rules.is_inverse and not cost):
            return None
        return self._average(cost, self._quantity, _GUARD)

    def _average(self, value: int, quantity: int, guard: int = 1) -> Decimal:
        """Return the average price of a quantity that cost a value; linear ones with a guard."""
        if self.rules.is_inverse:
            ticks = _CONTEXT.divide(Decimal(quantity * _GUARD), Decimal(value))
        else:
            ticks = _CONTEXT.divide(Decimal(value), Decimal(quantity * guard))
        price = ticks.scaleb(-self.rules.price_precision, _CONTEXT)
        exact = _EXACT_HARMONIC if self.rules.is_inverse else _EXACT
        return price.quantize(exact, context=_CONTEXT)

    def _amount(self, units: int) -> Decimal:
        return amount_of(units, self.rules.currency_precision)


class Snapshot(Marking):
    """An account at one moment.

    Parameters
    ----------
    rules : AccountRules
        How money is counted.
    units : tuple of int
        Cash, what was realized, and the signed open quantity, in units of the last decimal.
    cost : int
        What is open at its entry prices, as of `Ledger`.
    like : Snapshot, optional
        One that differs in cash alone.
    """

    __slots__ = (
        "_amounts",
        "_cash",
        "_cash_amount",
        "_cost",
        "_entries",
        "_per_amount",
        "_profits",
        "_quantity",
        "_realized",
        "_scale",
        "rules",
    )

    def __init__(
        self,
        rules: AccountRules,
        units: tuple[int, int, int],
        cost: int,
        like: "Snapshot | None" = None,
    ) -> None:
        self.rules = rules
        self._cash, self._realized, self._quantity = units
        self._cost = cost
        # Answers that were given, which do not depend on cash.
        self._profits: dict[Decimal | None, Decimal] = {} if like is None else like._profits
        self._entries: list[Decimal | None] = [] if like is None else like._entries
        self._amounts: list[Decimal] = [] if like is None else like._amounts
        self._cash_amount: Decimal | None = None
        if like is None:
            self._scale, self._per_amount = rules.amount_ratio()
        else:
            self._scale, self._per_amount = like._scale, like._per_amount

    def with_cash(self, more: int) -> "Snapshot":
        """Return it with more cash, in units of the last decimal."""
        units = (self._cash + more, self._realized, self._quantity)
        return Snapshot(self.rules, units, self._cost, self)

    @property
    def cash(self) -> Decimal:
        """Return the cash balance."""
        if self._cash_amount is None:
            self._cash_amount = super().cash
        return self._cash_amount

    @property
    def realized(self) -> Decimal:
        """Return what was realized, before commissions."""
        return self._shared()[0]

    @property
    def quantity(self) -> Decimal:
        """Return the signed open quantity over all positions."""
        return self._shared()[1]

    def _shared(self) -> list[Decimal]:
        if not self._amounts:
            # Both at once: threads ask.
            self._amounts[:] = [super().realized, super().quantity]
        return self._amounts

    def unrealized(self, price: Decimal | None) -> Decimal:
        """Return the open positions' profit at a price, rounded to the account currency."""
        if price not in self._profits:
            self._profits[price] = super().unrealized(price)
        return self._profits[price]

    def entry(self) -> Decimal | None:
        """Return the average entry price of what is open, None when flat or when hedged to zero."""
        if not self._entries:
            self._entries.append(super().entry())
        return self._entries[0]

    def _signed_cost(self) -> int:
        return self._cost


@dataclass(slots=True)
class Position:
    """An open position; `held` has no sign.

    `cost` is ``entry * held``, for inverse contracts ``held / entry``, with the guard digits;
    `arithmetic` is ``entry * held`` of an inverse one by NautilusTrader's average. `opened_value`
    and `closed_value` are what its fills cost, counted like `cost`, without guard digits if linear.
    """

    is_long: bool
    opened_ts: int
    binary: BinaryAverage
    held: int = 0
    cost: int = 0
    arithmetic: int = 0
    peak: int = 0
    opened: int = 0
    opened_value: int = 0
    closed: int = 0
    closed_value: int = 0
    realized: int = 0
    commissions: int = 0
    fills: int = 0

    @property
    def quantity(self) -> int:
        """Return the signed quantity."""
        return self.held if self.is_long else -self.held


@dataclass(slots=True)
class Ledger(Marking):
    """Count fills and funding in order of time.

    Parameters
    ----------
    rules : AccountRules
        How money is counted.
    starting_balance : Decimal
        Cash at the start.

    Attributes
    ----------
    left_out : float
        What the rounding of realized amounts left out: exact less rounded, in units of the account
        currency's last decimal. At most half of one for each amount.
    value_left_out : float
        The same of the values that a cash account paid.
    engine_tolerance_units : int
        By how much NautilusTrader's balance may differ from `engine_cash`, in the same units.
    round_trips : list[RoundTrip]
        Closed ones, in order of their end.

    Raises
    ------
    ValueError
        If the balance has more decimals than the account currency.
    """

    rules: AccountRules
    starting_balance: Decimal
    left_out: float = 0.0
    value_left_out: float = 0.0
    engine_tolerance_units: int = 0
    round_trips: list[RoundTrip] = field(default_factory=list)
    _cash: int = field(init=False)
    _realized: int = 0
    _commissions: int = 0
    _funding: int = 0
    _engine_surplus: int = 0
    _quantity: int = 0
    _positions: dict[str, Position] = field(default_factory=dict)
    _scale: int = field(init=False)
    _per_amount: int = field(init=False)
    _unit_value: float = field(init=False)

    def __post_init__(self) -> None:
        self._cash = units_of(self.starting_balance, self.rules.currency_precision)
        self._scale, self._per_amount = self.rules.amount_ratio()
        self._unit_value = self._scale / self._per_amount

    @property
    def commissions(self) -> Decimal:
        """Return what was paid in commissions, negative for rebates."""
        return self._amount(self._commissions)

    @property
    def funding(self) -> Decimal:
        """Return the sum of funding payments, negative when paid."""
        return self._amount(self._funding)

    @property
    def open_cost(self) -> Fraction:
        """Return what is open at its entry prices, exactly: positive for long linear positions.

        An inverse position costs quote currency in base currency: long ones are negative.
        """
        units = self._signed_cost() * (-self._scale if self.rules.is_inverse else self._scale)
        per_amount = self._per_amount * _GUARD * 10**self.rules.currency_precision
        return Fraction(units, per_amount)

    @property
    def engine_cash(self) -> Decimal:
        """Return the cash balance by NautilusTrader's rules: arithmetic averages throughout."""
        return self._amount(self._cash + self._engine_surplus)

    @property
    def engine_account(self) -> EngineAccount:
        """Return what NautilusTrader should say now."""
        return EngineAccount(self.engine_cash, self.quantity, self.engine_tolerance_units)

    @classmethod
    def restored(
        cls,
        rules: AccountRules,
        starting_balance: Decimal,
        left_out: Sequence[float],
        totals: Sequence[int],
        positions: dict[str, Position],
    ) -> "Ledger":
        """Return an account as another way of counting left it, without round trips.

        Parameters
        ----------
        rules, starting_balance
            As of the class.
        left_out : sequence of float
            `left_out` and `value_left_out`.
        totals : sequence of int
            Cash, realized, quantity, commissions, funding, NautilusTrader's surplus and tolerance.
        positions : dict of str to Position
            Open ones in order of opening.
        """
        ledger = cls(rules, starting_balance)
        ledger.left_out, ledger.value_left_out = left_out
        ledger._cash, ledger._realized, ledger._quantity, ledger._commissions = totals[:4]
        ledger._funding, ledger._engine_surplus, ledger.engine_tolerance_units = totals[4:]
        ledger._positions = positions
        return ledger

    def snapshot(self) -> Snapshot:
        """Return the account as it is now."""
        return Snapshot(self.rules, self.units(), self._signed_cost())

    def apply_fills(self, fills: Fills) -> LedgerRows:
        """Count fills in order and return what the ledger says after each."""
        realized: list[int] = []
        balances: list[int] = []
        quantities: list[int] = []
        is_cash = self.rules.is_cash
        positions = self._positions
        cash, total = self._cash, self._quantity
        # Called for millions of fills: as few calls and look-ups as can be.
        for ts, name, quantity, price, commission in zip(*fills, strict=True):
            position = positions.get(name)
            if position is None or position.is_long == (quantity > 0):
                gain = 0
                self._increase(position, name, ts, quantity, price, commission)
            else:
                gain = self._reduce(position, name, ts, quantity, price, commission)
            cash += (-self._value(quantity, price) if is_cash else gain) - commission
            total += quantity
            realized.append(gain)
            balances.append(cash)
            quantities.append(total)
        self._cash, self._quantity = cash, total
        self._commissions += sum(fills.commission)
        self._realized += sum(realized)
        return LedgerRows(realized, balances, quantities)

    def apply_funding(self, amount: Decimal) -> None:
        """Count a funding payment: negative when paid, positive when received."""
        units = units_of(amount, self.rules.currency_precision)
        self._funding += units
        self._cash += units

    def open_positions(self) -> Iterator[RoundTrip]:
        """Yield what is open, in the order of opening."""
        for name, position in self._positions.items():
            yield self._trip(name, position, None)

    def open_quantities(self) -> dict[str, int]:
        """Return the signed quantity of every open position, in units of the last decimal."""
        return {name: position.quantity for name, position in self._positions.items()}

    def _value(self, quantity: int, price: int) -> int:
        """Return the value of what a cash account bought, negative for what it sold."""
        value, left = _rounded(quantity * price * self._scale, self._per_amount)
        self.value_left_out += left
        return value

    def _signed_cost(self) -> int:
        return sum(
            value.cost if value.is_long else -value.cost for value in self._positions.values()
        )

    def _increase(
        self,
        position: Position | None,
        name: str,
        ts: int,
        quantity: int,
        price: int,
        commission: int,
    ) -> None:
        size = abs(quantity)
        if position is None:
            binary = BinaryAverage(price, size)
            position = self._positions[name] = Position(quantity > 0, ts, binary)
        else:
            position.binary.increase(position.held, size, price)
        if self.rules.is_inverse:
            value = (size << _GUARD_BITS) // price
            position.cost += value
            position.arithmetic += size * price << _GUARD_BITS
        else:
            value = size * price
            position.cost += value << _GUARD_BITS
        position.held += size
        position.opened += size
        position.opened_value += value
        if position.held > position.peak:
            position.peak = position.held
        position.commissions += commission
        position.fills += 1

    def _reduce(
        self, position: Position, name: str, ts: int, quantity: int, price: int, commission: int
    ) -> int:
        size, held = abs(quantity), position.held
        closing, own = size, commission
        if size > held:
            closing, own = held, _rounded(commission * held, size)[0]
        value = (closing << _GUARD_BITS) // price if self.rules.is_inverse else closing * price
        cost = position.cost * closing // held
        gain = self._gain(position, closing, price, value, cost)
        position.held = rest = held - closing
        position.cost -= cost
        position.closed += closing
        position.closed_value += value
        position.realized += gain
        position.commissions += own
        position.fills += 1
        if not rest:
            self.round_trips.append(self._trip(name, position, ts))
            del self._positions[name]
            if size > held:
                opened = size - held if quantity > 0 else held - size
                self._increase(None, name, ts, opened, price, commission - own)
        return gain

    def _gain(self, position: Position, closing: int, price: int, value: int, cost: int) -> int:
        """Return what closing a part of a position realizes.

        What NautilusTrader realizes is counted beside.

        Parameters
        ----------
        position : Position
            As it was before.
        closing, price : int
            Size and price of the part, in units of their last decimals.
        value, cost : int
            What the part is worth and what it cost, as of `Position`.
        """
        held, binary, unit_value = position.held, position.binary, self._unit_value
        if self.rules.is_inverse:
            gain, left = self._whole_units(cost - value)
            engine_gain, engine_left = self._arithmetic_gain(position, price, closing)
            apart = binary.reduce_inverse(closing, held, price, unit_value, engine_left)
            position.arithmetic -= position.arithmetic * closing // held
        else:
            engine_gain, left = gain, engine_left = self._whole_units((value << _GUARD_BITS) - cost)
            apart = binary.reduce_linear(closing, held, price, unit_value, engine_left)
        if not self.rules.is_cash:
            self.engine_tolerance_units += apart
        if position.is_long:
            self.left_out += left
            self._engine_surplus += engine_gain - gain
            return gain
        self.left_out -= left
        self._engine_surplus -= engine_gain - gain
        return -gain

    def _whole_units(self, guarded: int) -> tuple[int, float]:
        """Return an amount rounded half-even, and the exact one less it; see `_rounded`."""
        exact = guarded * self._scale // self._per_amount
        whole = exact >> _GUARD_BITS
        fraction = (exact >> _GUARD_BITS - _KEPT_BITS & _KEPT) * 2.0**-_KEPT_BITS
        if fraction > 0.5 or (fraction == 0.5 and whole & 1):
            return whole + 1, fraction - 1.0
        return whole, fraction

    def _arithmetic_gain(self, position: Position, price: int, closing: int) -> tuple[int, float]:
        """Return what closing a part of a long inverse position realizes by NautilusTrader."""
        cost = position.arithmetic
        value = closing * (price * position.held * _GUARD - cost) * self._scale
        return _rounded(value, self._per_amount * cost * price)

    def _trip(self, name: str, position: Position, closed_ts: int | None) -> RoundTrip:
        size_precision = self.rules.size_precision
        return RoundTrip(
            position_id=name,
            side="long" if position.is_long else "short",
            opened_ts=position.opened_ts,
            closed_ts=closed_ts,
            quantity=amount_of(position.quantity, size_precision),
            peak_quantity=amount_of(position.peak, size_precision),
            average_open=self._average(position.opened_value, position.opened),
            average_close=self._average(position.closed_value, position.closed)
            if position.closed
            else None,
            realized_pnl=self._amount(position.realized),
            commissions=self._amount(position.commissions),
            fills=position.fills,
        )


def _rounded(value: int, by: int) -> tuple[int, float]:
    """Return a quotient rounded half-even, and the exact one less it; `by` is positive.

    The remainder is a f64: what differs from a half by less than 1e-16 is a half, so that guard
    digits that were cut off make no difference.
    """
    whole, rest = divmod(value, by)
    fraction = rest / by
    if fraction > 0.5 or (fraction == 0.5 and whole & 1):
        return whole + 1, fraction - 1.0
    return whole, fraction
