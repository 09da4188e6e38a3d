"""Checking an account three ways: positions, cash flows of the fills table, NautilusTrader.

What belongs here: what must agree, and how closely. What does not: counting (``ledger``), and the
error bound of NautilusTrader's arithmetic (``engine_account``).

1. Positions against the account: realized amounts and commissions of all round trips and of what is
   open sum to those of the ledger, and the recorded funding to its funding; all exactly.
2. Cash flows against positions: the fills table, as it was written, is summed up without regard to
   the order of its rows. Quantities by position, commissions and realized amounts agree exactly. By
   ``sum(-q * p * m)`` (signed quantity q, price p, multiplier m; ``sum(q * m / p)`` for inverse
   contracts) it says what the fills paid and received. With the cost of what is open at its entry
   price added, that is what was realized before rounding::

       realized + left out by rounding = flows + cost of what is open

   and the balance is ``start + realized - commissions + funding``, or for a cash account
   ``start + flows - commissions + funding``, with each value that was paid rounded.
   A position's entry price does not enter where nothing is open, nor the order of its fills.
   Rounding leaves out at most half a unit of the currency's last decimal for each amount; what it
   left out is known to a millionth, so the two sides must agree to the last decimal.
3. NautilusTrader: its open quantity agrees to the last decimal of sizes, its balance with what its
   rules give in exact arithmetic, up to the error bound of its binary arithmetic. Simulated fills
   at the end are not among its own: it is compared with the account as it was before them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.backtest.journal import signed_quantity
from odum_assets.backtest.ledger import ZERO, AccountRules, EngineAccount, Ledger
from odum_assets.backtest.outcome import ReplayOutcome
from odum_assets.backtest.positions import positions_table
from odum_assets.catalog.arrow import kernels as pc
from odum_assets.catalog.fixed_point import Int64s, column_units, units_of
from odum_assets.errors import BacktestError

_COLUMNS = ("position_id", "side", "price", "quantity", "commission", "realized_pnl")
_BATCH_ROWS = 250_000
# Digits of a quotient beyond the last decimal of quantity and price.
_GUARD = 10**48


@dataclass(slots=True)
class CashFlows:
    """Sums over a fills table, in whole numbers of the last decimal.

    Parameters
    ----------
    rules : AccountRules
        Decimals of the table's columns, multiplier, and kind of contract.

    Attributes
    ----------
    quantities : Counter[str]
        Signed quantity by position.
    commissions, realized : int
        Sums of their columns.
    """

    rules: AccountRules
    quantities: Counter[str] = field(default_factory=Counter)
    commissions: int = 0
    realized: int = 0
    _by_price: Counter[int] = field(default_factory=Counter)
    _value: Fraction | None = None

    @classmethod
    def read(cls, path: Path, rules: AccountRules, instrument: str | None = None) -> "CashFlows":
        """Sum up a fills table that was written, or the fills of one of its instruments."""
        flows = cls(rules)
        columns = [*_COLUMNS] if instrument is None else [*_COLUMNS, "instrument"]
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_BATCH_ROWS, columns=columns):
                if instrument is None:
                    flows.add(batch)
                else:
                    flows.add(batch.filter(pc.equal(batch["instrument"], instrument)))
        return flows

    def add(self, batch: pa.RecordBatch) -> None:
        """Add rows of a fills table."""
        rules, self._value = self.rules, None
        self.commissions += _total(batch["commission"], rules.currency_precision)
        self.realized += _total(batch["realized_pnl"], rules.currency_precision)
        quantities = signed_quantity(batch)
        for key, sums in (("position_id", self.quantities), ("price", self._by_price)):
            table = pa.table({"key": batch[key], "quantity": quantities})
            grouped = table.group_by("key", use_threads=False).aggregate([("quantity", "sum")])
            (part,) = grouped.combine_chunks().to_batches()
            amounts = column_units(part["quantity_sum"], rules.size_precision).tolist()
            keys: Any = part["key"]
            if key == "price":
                keys = column_units(keys, rules.price_precision)
            for index, amount in zip(keys.tolist(), amounts, strict=True):
                sums[index] += amount

    def copy(self) -> "CashFlows":
        """Return the same sums, to which others can be added."""
        sums = Counter(self.quantities), self.commissions, self.realized, Counter(self._by_price)
        # What all copies have in common is summed up once.
        return CashFlows(self.rules, *sums, self.value)

    def add_units(self, position: str, quantity: Int64s, price: Int64s) -> None:
        """Add signed quantities and prices of fills of a position, in units."""
        self._value = None
        self.quantities[position] += int(quantity.sum())
        lowest = int(price.min()) if len(price) else 0
        span = int(price.max()) - lowest + 1 if len(price) else 0
        if span <= 4 * len(price):
            prices, places = np.arange(lowest, lowest + span), price - lowest
        else:
            prices, places = np.unique(price, return_inverse=True)
        sums = np.zeros(len(prices), np.int64)
        np.add.at(sums, places, quantity)
        traded = np.flatnonzero(sums)
        for ticks, amount in zip(prices[traded].tolist(), sums[traded].tolist(), strict=True):
            self._by_price[ticks] += amount

    @property
    def value(self) -> Fraction:
        """Return what the fills received less what they paid, in the account currency."""
        if self._value is None:
            self._value = self._valued()
        return self._value

    def _valued(self) -> Fraction:
        rules = self.rules
        if rules.is_inverse:
            shares = sum(
                quantity * _GUARD // price for price, quantity in self._by_price.items() if quantity
            )
            total = Fraction(shares * 10**rules.price_precision, _GUARD)
        else:
            paid = sum(price * quantity for price, quantity in self._by_price.items())
            total = Fraction(-paid, 10**rules.price_precision)
        return total * Fraction(rules.multiplier) * Fraction(1, 10**rules.size_precision)


class TripSums(NamedTuple):
    """What round trips sum up to, in units of the account currency's last decimal."""

    realized: int
    commissions: int

    @classmethod
    def of(cls, trips: pa.Table, rules: AccountRules) -> "TripSums":
        """Sum up rows of a table of positions."""
        money = rules.currency_precision
        return cls(*(_total(trips[name], money) for name in ("realized_pnl", "commissions")))

    def plus(self, other: "TripSums") -> "TripSums":
        """Return both together."""
        return TripSums(self.realized + other.realized, self.commissions + other.commissions)


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What was compared, in the account currency; names are those in the provenance.

    Parameters
    ----------
    balance_change : Decimal
        Final less starting balance.
    cash_flow_balance : Decimal
        The final balance by cash flows.
    averaging, engine_averaging : {"arithmetic", "harmonic"}
        How the ledger and NautilusTrader average entry prices.
    engine_expected_balance : Decimal
        The final balance by NautilusTrader's averages, in exact arithmetic.
    engine_final_balance : Decimal
        What its account says.
    engine_difference, engine_tolerance : Decimal
        The latter less the former, and the most that it may be.
    """

    balance_change: Decimal
    cash_flow_balance: Decimal
    averaging: str
    engine_averaging: str
    engine_expected_balance: Decimal
    engine_final_balance: Decimal
    engine_difference: Decimal
    engine_tolerance: Decimal


def reconcile(
    ledger: Ledger,
    outcome: ReplayOutcome,
    fills: Path | CashFlows,
    engine: EngineAccount | None = None,
    closed: TripSums | None = None,
) -> Reconciliation:
    """Check an account against its positions, its fills table and NautilusTrader.

    Parameters
    ----------
    ledger : Ledger
        The account after the last fill.
    outcome : ReplayOutcome
        What NautilusTrader said at the end, and the funding that was recorded.
    fills : Path or CashFlows
        The fills table as it was written, or what was summed up of it.
    engine : EngineAccount, optional
        What NautilusTrader should have said, where that is not the account at its end.
    closed : TripSums, optional
        Sums of all round trips, where the ledger need not have them.

    Raises
    ------
    BacktestError
        If any two disagree; all differences are named.
    """
    engine = ledger.engine_account if engine is None else engine
    part = _Part(None, ledger, engine, outcome.engine_quantity, closed)
    return _reconcile([part], ledger.starting_balance, outcome, fills)


def reconcile_instruments(
    counted: Mapping[str, tuple[Ledger, pa.Table]],
    starting_balance: Decimal,
    outcome: ReplayOutcome,
    fills: Path,
) -> Reconciliation:
    """Check an account of several instruments, each counted from zero, as `reconcile`.

    Of each there are the ledger and a table of its round trips.
    """
    parts = [
        _Part(
            name,
            ledger,
            ledger.engine_account,
            outcome.engine_quantities[name],
            TripSums.of(closed, ledger.rules),
        )
        for name, (ledger, closed) in counted.items()
    ]
    return _reconcile(parts, starting_balance, outcome, fills)


class _Part(NamedTuple):
    """One instrument of an account: what was counted, and what NautilusTrader holds."""

    name: str | None
    ledger: Ledger
    engine: EngineAccount
    quantity: Decimal
    closed: TripSums | None


def _reconcile(
    parts: Sequence[_Part],
    starting_balance: Decimal,
    outcome: ReplayOutcome,
    fills: Path | CashFlows,
) -> Reconciliation:
    problems: list[str] = []
    balance = cash = engine_cash = starting_balance
    tolerance = ZERO
    for name, ledger, engine, quantity, closed in parts:
        flows = fills
        if isinstance(flows, Path):
            flows = CashFlows.read(flows, ledger.rules, name)
        flow_balance = _cash_flow_balance(ledger, flows, outcome)
        differences = [
            *_position_problems(ledger, closed, outcome),
            *_table_problems(ledger, flows),
            *_flow_problems(ledger, flows, flow_balance),
            *_quantity_problems(ledger.rules, engine, quantity),
        ]
        problems += [text if name is None else f"{name}: {text}" for text in differences]
        balance += flow_balance - ledger.starting_balance
        cash += ledger.cash - ledger.starting_balance
        engine_cash += engine.cash - ledger.starting_balance
        unit = Decimal(1).scaleb(-ledger.rules.currency_precision)
        tolerance += unit * engine.tolerance_units
    difference = outcome.engine_balance - engine_cash
    if abs(difference) > tolerance:
        problems.append(
            f"NautilusTrader's account ends at {outcome.engine_balance}, by its rules the fills "
            f"give {engine_cash} (difference {difference:f}, allowed {tolerance:f})"
        )
    if problems:
        raise BacktestError("the accounts do not reconcile: " + "; ".join(problems))
    return Reconciliation(
        balance_change=cash - starting_balance,
        cash_flow_balance=balance,
        averaging="harmonic" if parts[0].ledger.rules.is_inverse else "arithmetic",
        engine_averaging="arithmetic",
        engine_expected_balance=engine_cash,
        engine_final_balance=outcome.engine_balance,
        engine_difference=difference,
        engine_tolerance=tolerance,
    )


def _position_problems(
    ledger: Ledger, closed: TripSums | None, outcome: ReplayOutcome
) -> Iterable[str]:
    rules = ledger.rules
    sums = TripSums.of(positions_table([*ledger.open_positions()]), rules)
    sums = sums.plus(closed or TripSums.of(positions_table(ledger.round_trips), rules))
    funding = sum((payment.amount for payment in outcome.funding), ZERO)
    for what, units, expected in (
        ("realized", sums.realized, ledger.realized),
        ("commissions", sums.commissions, ledger.commissions),
    ):
        computed = Decimal(units).scaleb(-rules.currency_precision)
        if computed != expected:
            yield f"{what} of all positions sums to {computed}, the account says {expected}"
    if funding != ledger.funding:
        yield f"{len(outcome.funding)} funding payments sum to {funding}, not {ledger.funding}"


def _table_problems(ledger: Ledger, flows: CashFlows) -> Iterable[str]:
    rules = ledger.rules
    for what, computed, expected, precision in (
        ("realized", flows.realized, ledger.realized, rules.currency_precision),
        ("commissions", flows.commissions, ledger.commissions, rules.currency_precision),
        ("quantity", flows.quantities.total(), ledger.quantity, rules.size_precision),
    ):
        if Decimal(computed).scaleb(-precision) != expected:
            yield (
                f"{what} in the fills table sums to {Decimal(computed).scaleb(-precision)}, "
                f"the account says {expected}"
            )
    held = {name: quantity for name, quantity in flows.quantities.items() if quantity}
    if held != ledger.open_quantities():
        yield f"the fills table leaves {len(held)} positions open, or others than the account"


def _cash_flow_balance(ledger: Ledger, flows: CashFlows, outcome: ReplayOutcome) -> Decimal:
    """Return the final balance by the fills table, to the last decimal."""
    unit = Fraction(1, 10**ledger.rules.currency_precision)
    balance = Fraction(ledger.starting_balance) + flows.value - flows.commissions * unit
    balance += sum((Fraction(payment.amount) for payment in outcome.funding), Fraction(0))
    if ledger.rules.is_cash:
        balance += Fraction(ledger.value_left_out) * unit
    else:
        balance += ledger.open_cost - Fraction(ledger.left_out) * unit
    return Decimal(round(balance / unit)).scaleb(-ledger.rules.currency_precision)


def _flow_problems(ledger: Ledger, flows: CashFlows, balance: Decimal) -> Iterable[str]:
    unit = Fraction(1, 10**ledger.rules.currency_precision)
    realized = (flows.value + ledger.open_cost) / unit - Fraction(ledger.left_out)
    if round(realized) * unit != Fraction(ledger.realized):
        yield (
            f"the cash flows of the fills give {float(realized * unit)} as realized, "
            f"the account says {ledger.realized}"
        )
    if balance != ledger.cash:
        yield f"the cash flows of the fills give a balance of {balance}, not {ledger.cash}"


def _quantity_problems(rules: AccountRules, engine: EngineAccount, held: Decimal) -> Iterable[str]:
    quantity = round(held, rules.size_precision)
    if quantity != engine.quantity:
        yield f"NautilusTrader holds {quantity} at the end, the fills give {engine.quantity}"


def _total(column: "pa.Array[Any] | pa.ChunkedArray[Any]", precision: int) -> int:
    return units_of(pc.sum(column).as_py() or ZERO, precision)
