"""Exact accounting: fills in, cash, positions and round trips out. Decimal arithmetic, no engine.

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
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal, getcontext, localcontext
from typing import NamedTuple

ZERO = Decimal(0)
# Wide enough that the rounding of averages never reaches the last decimal of an amount.
_CONTEXT = Context(prec=38, rounding=ROUND_HALF_EVEN)


def exact_arithmetic() -> AbstractContextManager[Context]:
    """Return a context in which the ledger's arithmetic is exact to the last decimal of amounts."""
    return localcontext(_CONTEXT)


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
    currency_precision : int
        Decimals of the account currency.
    """

    multiplier: Decimal
    is_inverse: bool
    is_cash: bool
    currency_precision: int


class Fill(NamedTuple):
    """One execution: time (ns), position, signed quantity (buys positive), price, commission."""

    ts: int
    position_id: str
    quantity: Decimal
    price: Decimal
    commission: Decimal


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
    is_long: bool
    opened_ts: int
    entry: Decimal
    quantity: Decimal = ZERO
    peak: Decimal = ZERO
    opened: Decimal = ZERO
    opened_value: Decimal = ZERO
    closed: Decimal = ZERO
    closed_value: Decimal = ZERO
    realized: Decimal = ZERO
    commissions: Decimal = ZERO
    fills: int = 0


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
    cash, realized, commissions, funding : Decimal
        Running totals in the account currency.
    quantity : Decimal
        Signed open quantity over all positions.
    value_paid : Decimal
        Cash account only: value of what was bought less what was sold.
    rounded_amounts : int
        Amounts that were rounded to the account currency's last decimal.
    round_trips : list[RoundTrip]
        Closed ones, in order of their end.
    """

    rules: AccountRules
    starting_balance: Decimal
    cash: Decimal = field(init=False)
    realized: Decimal = ZERO
    commissions: Decimal = ZERO
    funding: Decimal = ZERO
    quantity: Decimal = ZERO
    rounded_amounts: int = 0
    value_paid: Decimal = ZERO
    round_trips: list[RoundTrip] = field(default_factory=list)
    _positions: dict[str, _Position] = field(default_factory=dict)
    _unit: Decimal = field(init=False)

    def __post_init__(self) -> None:
        self.cash = self.starting_balance
        self._unit = Decimal(1).scaleb(-self.rules.currency_precision)

    def apply(self, fill: Fill) -> Decimal:
        """Count a fill and return what it realized."""
        # Changing the context costs as much as counting; who counts many fills has changed it.
        if getcontext().prec >= _CONTEXT.prec:
            return self._apply(fill)
        with exact_arithmetic():
            return self._apply(fill)

    def apply_funding(self, amount: Decimal) -> None:
        """Count a funding payment: negative when paid, positive when received."""
        self.funding += amount
        self.cash += amount

    def unrealized(self, price: Decimal | None) -> Decimal:
        """Return the open positions' profit at a price, rounded to the account currency."""
        if price is None or not self._positions:
            return ZERO.quantize(self._unit)
        with exact_arithmetic():
            if self.rules.is_inverse:
                value = self._weighted() - self.quantity / price
            else:
                value = self.quantity * price - self._weighted()
            return (value * self.rules.multiplier).quantize(self._unit)

    def equity(self, price: Decimal | None) -> Decimal:
        """Return cash plus what is open at a price; a cash account holds the full value."""
        if not self.rules.is_cash:
            return self.cash + self.unrealized(price)
        with exact_arithmetic():
            value = ZERO if price is None else self.quantity * price * self.rules.multiplier
            return self.cash + value.quantize(self._unit)

    def entry(self) -> Decimal | None:
        """Return the average entry price of what is open, None when flat or when hedged to zero."""
        if not self.quantity:
            return None
        with exact_arithmetic():
            weighted = self._weighted()
            if self.rules.is_inverse:
                return self.quantity / weighted if weighted else None
            return weighted / self.quantity

    def open_positions(self) -> Iterator[RoundTrip]:
        """Yield what is open, in the order of opening."""
        with exact_arithmetic():
            for name, position in self._positions.items():
                yield _trip(name, position, None)

    def _apply(self, fill: Fill) -> Decimal:
        commission, quantity, price = fill.commission, fill.quantity, fill.price
        self.commissions += commission
        self.cash -= commission
        if self.rules.is_cash:
            value = (quantity * price * self.rules.multiplier).quantize(self._unit)
            self.value_paid += value
            self.cash -= value
            self.rounded_amounts += 1
        self.quantity += quantity
        held = self._positions.get(fill.position_id)
        realized = ZERO
        if held is None or (held.quantity > 0) == (quantity > 0):
            self._increase(fill, quantity, commission)
        else:
            realized = self._reduce(held, fill)
        return realized

    def _weighted(self) -> Decimal:
        """Return the sum of quantity * entry (linear) or quantity / entry (inverse)."""
        held = self._positions.values()
        if self.rules.is_inverse:
            return sum((each.quantity / each.entry for each in held), ZERO)
        return sum((each.quantity * each.entry for each in held), ZERO)

    def _increase(self, fill: Fill, quantity: Decimal, commission: Decimal) -> None:
        position = self._positions.get(fill.position_id)
        if position is None:
            position = _Position(is_long=quantity > 0, opened_ts=fill.ts, entry=fill.price)
            self._positions[fill.position_id] = position
        size, held = abs(quantity), abs(position.quantity)
        position.entry = (position.entry * held + fill.price * size) / (held + size)
        position.quantity += quantity
        position.opened += size
        position.opened_value += size * fill.price
        if held + size > position.peak:
            position.peak = held + size
        position.commissions += commission
        position.fills += 1

    def _reduce(self, position: _Position, fill: Fill) -> Decimal:
        held, size = abs(position.quantity), abs(fill.quantity)
        closing = min(held, size)
        rest = size - closing
        realized = self._gain(position, fill.price, closing)
        self.rounded_amounts += 1
        self.realized += realized
        if not self.rules.is_cash:
            self.cash += realized
        commission = fill.commission
        if rest:
            commission = (commission * closing / size).quantize(self._unit)
        position.realized += realized
        position.commissions += commission
        position.closed += closing
        position.closed_value += closing * fill.price
        position.fills += 1
        position.quantity += -closing if position.is_long else closing
        if not position.quantity:
            self.round_trips.append(_trip(fill.position_id, position, fill.ts))
            del self._positions[fill.position_id]
        if rest:
            self._increase(fill, rest.copy_sign(fill.quantity), fill.commission - commission)
        return realized

    def _gain(self, position: _Position, price: Decimal, quantity: Decimal) -> Decimal:
        if self.rules.is_inverse:
            per_unit = 1 / position.entry - 1 / price
        else:
            per_unit = price - position.entry
        gain = per_unit * quantity * self.rules.multiplier
        return (gain if position.is_long else -gain).quantize(self._unit)


def _trip(name: str, position: _Position, closed_ts: int | None) -> RoundTrip:
    return RoundTrip(
        position_id=name,
        side="long" if position.is_long else "short",
        opened_ts=position.opened_ts,
        closed_ts=closed_ts,
        quantity=position.quantity,
        peak_quantity=position.peak,
        average_open=position.opened_value / position.opened,
        average_close=position.closed_value / position.closed if position.closed else None,
        realized_pnl=position.realized,
        commissions=position.commissions,
        fills=position.fills,
    )
