"""Exact accounting: fills in, cash, positions and round trips out. Whole numbers, no engine.

What belongs here: the rules by which money is counted. What does not: reading or writing tables,
statistics.

Rules
-----
- A position's entry price is the average price of the fills that opened or increased it (quantity
  weighted, as NautilusTrader and most venues count it; for inverse contracts too).
- A fill that reduces a position realizes ``(price - entry) * quantity * multiplier`` for linear
  contracts and spot, ``(1 / entry - 1 / price) * quantity * multiplier`` for inverse ones, with the
  opposite sign when short, rounded half-even to the account currency's last decimal.
- Margin account: cash changes by what is realized, by commissions and by funding. Cash account:
  cash changes by the value that is bought or sold, and by commissions.
- A round trip goes from flat to flat, or to a flip. A fill that flips a position ends one trip and
  opens the next; its commission is split in proportion to the quantities.

Inside, prices, quantities and amounts are whole numbers of their last decimal (`Fills`), and what a
position cost carries thirty digits more, so that its rounding never reaches an amount.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from typing import NamedTuple

from odum_assets.backtest.units import amount_of, units_of

ZERO = Decimal(0)
_GUARD = 10**30
# Wide enough that the rounding of averages never reaches the last decimal of an amount.
_CONTEXT = Context(prec=60, rounding=ROUND_HALF_EVEN)


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


class Counted(NamedTuple):
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


@dataclass(frozen=True, slots=True)
class RoundTrip:
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
    def net_pnl(self) -> Decimal:
        """Return the result after commissions."""
        return self.realized_pnl - self.commissions


@dataclass(slots=True)
class _Position:
    """An open position; `held` has no sign, `cost` is ``entry * held`` with the guard digits."""

    is_long: bool
    opened_ts: int
    held: int = 0
    cost: int = 0
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
class Ledger:
    """Count fills and funding in order of time.

    Parameters
    ----------
    rules : AccountRules
        How money is counted.
    starting_balance : Decimal
        Cash at the start.

    Attributes
    ----------
    rounded_amounts : int
        Amounts that were rounded to the account currency's last decimal.
    round_trips : list[RoundTrip]
        Closed ones, in order of their end.

    Raises
    ------
    ValueError
        If the balance has more decimals than the account currency.
    """

    rules: AccountRules
    starting_balance: Decimal
    rounded_amounts: int = 0
    round_trips: list[RoundTrip] = field(default_factory=list)
    _cash: int = field(init=False)
    _realized: int = 0
    _commissions: int = 0
    _funding: int = 0
    _value_paid: int = 0
    _quantity: int = 0
    _positions: dict[str, _Position] = field(default_factory=dict)
    # An amount is the product of price and quantity units times `_scale`, over `_per_amount`;
    # inverse: quantity units over price units.
    _scale: int = field(init=False)
    _per_amount: int = field(init=False)

    def __post_init__(self) -> None:
        rules = self.rules
        self._cash = units_of(self.starting_balance, rules.currency_precision)
        top, bottom = rules.multiplier.as_integer_ratio()
        top *= 10**rules.currency_precision
        bottom *= 10**rules.size_precision
        if rules.is_inverse:
            top *= 10**rules.price_precision
        else:
            bottom *= 10**rules.price_precision
        common = math.gcd(top, bottom)
        self._scale, self._per_amount = top // common, bottom // common

    @property
    def cash(self) -> Decimal:
        """Return the cash balance."""
        return self._amount(self._cash)

    @property
    def realized(self) -> Decimal:
        """Return what was realized, before commissions."""
        return self._amount(self._realized)

    @property
    def commissions(self) -> Decimal:
        """Return what was paid in commissions, negative for rebates."""
        return self._amount(self._commissions)

    @property
    def funding(self) -> Decimal:
        """Return the sum of funding payments, negative when paid."""
        return self._amount(self._funding)

    @property
    def value_paid(self) -> Decimal:
        """Return a cash account's value bought less value sold."""
        return self._amount(self._value_paid)

    @property
    def quantity(self) -> Decimal:
        """Return the signed open quantity over all positions."""
        return amount_of(self._quantity, self.rules.size_precision)

    def count(self, fills: Fills) -> Counted:
        """Count fills in order and return what the ledger says after each."""
        realized: list[int] = []
        balances: list[int] = []
        quantities: list[int] = []
        is_cash = self.rules.is_cash
        positions = self._positions
        cash, total = self._cash, self._quantity
        for ts, name, quantity, price, commission in zip(*fills, strict=True):
            cash -= commission
            total += quantity
            if is_cash:
                value = _rounded(quantity * price * self._scale, self._per_amount)
                self._value_paid += value
                cash -= value
                self.rounded_amounts += 1
            position = positions.get(name)
            gain = 0
            if position is None or position.is_long == (quantity > 0):
                self._increase(position, name, ts, quantity, price, commission)
            else:
                gain = self._reduce(position, name, ts, quantity, price, commission)
                if not is_cash:
                    cash += gain
            realized.append(gain)
            balances.append(cash)
            quantities.append(total)
        self._cash, self._quantity = cash, total
        self._commissions += sum(fills.commission)
        self._realized += sum(realized)
        return Counted(realized, balances, quantities)

    def count_funding(self, amount: Decimal) -> None:
        """Count a funding payment: negative when paid, positive when received."""
        units = units_of(amount, self.rules.currency_precision)
        self._funding += units
        self._cash += units

    def unrealized(self, price: Decimal | None) -> Decimal:
        """Return the open positions' profit at a price, rounded to the account currency."""
        if price is None or not self._positions:
            return self._amount(0)
        ticks = units_of(price, self.rules.price_precision)
        if not self.rules.is_inverse:
            value = self._quantity * ticks * _GUARD - self._signed_cost()
            return self._amount(_rounded(value * self._scale, self._per_amount * _GUARD))
        with localcontext(_CONTEXT):
            units = (self._inverse_cost() - Decimal(self._quantity) / ticks) * self._scale
            return self._amount(int((units / self._per_amount).to_integral_value()))

    def equity(self, price: Decimal | None) -> Decimal:
        """Return cash plus what is open at a price; a cash account holds the full value."""
        if not self.rules.is_cash:
            return self.cash + self.unrealized(price)
        ticks = 0 if price is None else units_of(price, self.rules.price_precision)
        value = _rounded(self._quantity * ticks * self._scale, self._per_amount)
        return self._amount(self._cash + value)

    def entry(self) -> Decimal | None:
        """Return the average entry price of what is open, None when flat or when hedged to zero."""
        if not self._quantity:
            return None
        with localcontext(_CONTEXT):
            quantity = Decimal(self._quantity)
            if self.rules.is_inverse:
                cost = self._inverse_cost()
                return (quantity / cost).scaleb(-self.rules.price_precision) if cost else None
            return self._price(self._signed_cost(), self._quantity * _GUARD)

    def open_positions(self) -> Iterator[RoundTrip]:
        """Yield what is open, in the order of opening."""
        for name, position in self._positions.items():
            yield self._trip(name, position, None)

    def _signed_cost(self) -> int:
        return sum(each.cost if each.is_long else -each.cost for each in self._positions.values())

    def _inverse_cost(self) -> Decimal:
        """Return the sum of quantity over entry price, in units of each."""
        return sum(
            (
                Decimal(each.quantity * each.held * _GUARD) / each.cost
                for each in self._positions.values()
            ),
            ZERO,
        )

    def _increase(
        self,
        position: _Position | None,
        name: str,
        ts: int,
        quantity: int,
        price: int,
        commission: int,
    ) -> None:
        if position is None:
            position = self._positions[name] = _Position(quantity > 0, ts)
        size = abs(quantity)
        value = size * price
        position.held += size
        position.cost += value * _GUARD
        position.opened += size
        position.opened_value += value
        if position.held > position.peak:
            position.peak = position.held
        position.commissions += commission
        position.fills += 1

    def _reduce(
        self, position: _Position, name: str, ts: int, quantity: int, price: int, commission: int
    ) -> int:
        size, held, cost = abs(quantity), position.held, position.cost
        closing = min(held, size)
        rest = size - closing
        gain = self._gain(position, price, closing)
        self.rounded_amounts += 1
        own = _rounded(commission * closing, size) if rest else commission
        position.realized += gain
        position.commissions += own
        position.closed += closing
        position.closed_value += closing * price
        position.fills += 1
        position.held = held - closing
        position.cost = cost - cost * closing // held
        if not position.held:
            self.round_trips.append(self._trip(name, position, ts))
            del self._positions[name]
        if rest:
            opened = rest if quantity > 0 else -rest
            self._increase(None, name, ts, opened, price, commission - own)
        return gain

    def _gain(self, position: _Position, price: int, closing: int) -> int:
        held, cost = position.held, position.cost
        value = closing * (price * held * _GUARD - cost) * self._scale
        if self.rules.is_inverse:
            gain = _rounded(value, self._per_amount * cost * price)
        else:
            gain = _rounded(value, self._per_amount * held * _GUARD)
        return gain if position.is_long else -gain

    def _trip(self, name: str, position: _Position, closed_ts: int | None) -> RoundTrip:
        size_precision = self.rules.size_precision
        with localcontext(_CONTEXT):
            return RoundTrip(
                position_id=name,
                side="long" if position.is_long else "short",
                opened_ts=position.opened_ts,
                closed_ts=closed_ts,
                quantity=amount_of(position.quantity, size_precision),
                peak_quantity=amount_of(position.peak, size_precision),
                average_open=self._price(position.opened_value, position.opened),
                average_close=self._price(position.closed_value, position.closed)
                if position.closed
                else None,
                realized_pnl=self._amount(position.realized),
                commissions=self._amount(position.commissions),
                fills=position.fills,
            )

    def _price(self, value: int, quantity: int) -> Decimal:
        return (Decimal(value) / quantity).scaleb(-self.rules.price_precision)

    def _amount(self, units: int) -> Decimal:
        return amount_of(units, self.rules.currency_precision)


def _rounded(value: int, by: int) -> int:
    """Return a quotient rounded half-even; `by` is positive."""
    whole, rest = divmod(value, by)
    twice = rest * 2
    return whole + 1 if twice > by or (twice == by and whole & 1) else whole
