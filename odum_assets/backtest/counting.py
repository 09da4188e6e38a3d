"""Counting fills by columns: ledger rows, samples of the account and round trips come out.

What belongs here: choosing who counts, and what the compiled pass needs and gives. What does not:
the rules (``ledger``), the pass (``ledger_kernel``).

Give `FillCounter.count` any number of batches of `FillColumns` in order of time, with what is due
between them as `Dues`; a batch may be empty. The exact `Ledger` counts what is too large for whole
numbers of 64 bits, and everything where Numba is not installed; no figure depends on which did.
Compiled code is worth its loading for many fills only: `load_kernel_beside` loads it while
something else happens.
"""

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from odum_assets.backtest.columns import Dues, FillColumns
from odum_assets.backtest.engine_account import BinaryAverage
from odum_assets.backtest.ledger import AccountRules, Ledger, LedgerRows, Position, Snapshot
from odum_assets.backtest.positions import POSITIONS, positions_table
from odum_assets.catalog.fixed_point import (
    DECIMAL,
    STORED_SCALE,
    Int64s,
    Units,
    units_array,
    units_column,
    units_of,
)

WORTH_LOADING = 100_000
"""Fills from which on compiled code saves more time than loading it takes."""

_LARGEST = 2**53
_LARGEST_SUM = 2.0**61
# Of a recorded fill, and what the exact ledger takes for one.
_FILL_BYTES, _EXACT_SECS = 40, 4e-6


class Counted(NamedTuple):
    """What a batch gives: a row for each fill, and the account at each sample."""

    rows: LedgerRows
    samples: list[Snapshot]


@dataclass(slots=True)
class FillCounter:
    """Count fills and funding of one instrument in order of time.

    Parameters
    ----------
    rules : AccountRules
        How money is counted.
    starting_balance : Decimal
        Cash at the start.
    kernel : module, optional
        What `kernel_for` returned.
    shared : SharedCounts, optional
        Counts of the same fills and samples with other commissions.

    Raises
    ------
    ValueError
        If the balance has more decimals than the account currency.
    """

    rules: AccountRules
    starting_balance: Decimal
    kernel: ModuleType | None = None
    shared: "SharedCounts | None" = None
    _exact: Ledger = field(init=False)
    _compiled: "_Compiled | _Beside | None" = None
    _closed: list[pa.Table] = field(default_factory=list)
    _results: list[Units] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._exact = Ledger(self.rules, self.starting_balance)
        if self.kernel is not None and _Compiled.can_count(self.rules, self._exact):
            own = _Compiled(self.kernel, self._exact)
            self._compiled = own if self.shared is None else _Beside(self._exact, self.shared)

    @property
    def ledger(self) -> Ledger:
        """Return the account as it is; its round trips are in `closed`."""
        return self._exact if self._compiled is None else self._compiled.ledger()

    def count(self, fills: FillColumns, dues: Dues | None = None) -> Counted:
        """Count a batch and return what the ledger says after each fill, and the samples."""
        if dues is None:
            dues = Dues.samples(np.empty(0, np.int64))
        if self._compiled is not None:
            computed = self._compiled.count(fills, dues)
            if computed is not None:
                counted, closed, results = computed
                self._closed.append(closed)
                self._results.append(results)
                return counted
            # Too large for 64 bits: the exact ledger goes on from before this batch.
            self._exact, self._compiled = self._compiled.ledger(), None
        return _count_exactly(self._exact, fills, dues)

    def taken(self) -> tuple[pa.Table, Units] | None:
        """Return the round trips that ended since it was last asked, and their results.

        `closed` and `results` no longer have them; None if there are none.
        """
        if not self._exact.round_trips and not any(map(len, self._results)):
            return None
        results = self.closed(), self.results()
        self._closed, self._results, self._exact.round_trips = [], [], []
        return results

    def closed(self) -> pa.Table:
        """Return the round trips in order of their end, as the positions table has them."""
        return pa.concat_tables([*self._closed, positions_table(self._exact.round_trips)])

    def results(self) -> Units:
        """Return what each round trip gave after commissions, in units of the last decimal."""
        precision = self.rules.currency_precision
        last = [units_of(trip.net_pnl, precision) for trip in self._exact.round_trips]
        return np.concatenate([*self._results, units_array(last)])


def _count_exactly(ledger: Ledger, fills: FillColumns, dues: Dues) -> Counted:
    rows, samples, start = fills.rows(), [], 0
    total = LedgerRows([], [], [])
    precision = ledger.rules.currency_precision
    stops = zip(*(column.tolist() for column in dues), strict=True)
    for after, amount, is_sample in [*stops, (len(rows.ts), 0, False)]:
        for whole, part in zip(total, ledger.apply_fills(rows.part(start, after)), strict=True):
            whole.extend(part)
        start = after
        if amount:
            ledger.apply_funding(Decimal(amount).scaleb(-precision))
        if is_sample:
            samples.append(ledger.snapshot())
    return Counted(total, samples)


class _Compiled:
    """An account whose state is arrays; see ``ledger_kernel``."""

    def __init__(self, kernel: Any, start: Ledger) -> None:  # noqa: ANN401 - a module
        rules = start.rules
        self.kernel = kernel
        self._start = start
        scale, per_amount = rules.amount_ratio()
        self._terms = kernel.Terms(
            rules.is_inverse,
            rules.is_cash,
            scale,
            per_amount,
            scale / per_amount,
            10 ** (STORED_SCALE - rules.price_precision),
            10**4 if rules.is_inverse else 10**14,
        )
        self._names: list[str] = []
        self._state = kernel.new_state()
        self._state.totals[kernel.CASH] = start.units()[0]

    @property
    def held(self) -> int:
        """Return the signed open quantity."""
        return int(self._state.totals[self.kernel.QUANTITY])

    @staticmethod
    def can_count(rules: AccountRules, start: Ledger) -> bool:
        """Return whether the terms of an account are small enough."""
        scale, per_amount = rules.amount_ratio()
        return scale < 2**62 and per_amount < _LARGEST and abs(start.units()[0]) < 2**61

    def count(self, fills: FillColumns, dues: Dues) -> tuple[Counted, pa.Table, Int64s] | None:
        """Count a batch; return it, its round trips and their results, None if it is too large."""
        small = all(_is_small(column) for column in (*fills[3:], dues.amount))
        if not small or not fills.quantity.all() or (fills.price <= 0).any():
            return None
        kernel, size = self.kernel, len(fills.ts)
        names, slots = self._slots(fills.names)
        state = kernel.extended(self._state, len(names))
        taken = kernel.new_counted(size, len(dues.after))
        # One kind of array: of another one, even read-only, the pass would be compiled again.
        columns = (fills.ts, slots[fills.position], *fills[3:], dues.after, dues.amount)
        *arrays, after, amount = (np.require(column, np.int64, ["C", "W"]) for column in columns)
        due = kernel.DueArrays(after, amount, np.require(dues.is_sample, np.bool_, ["C", "W"]))
        trips, fits = kernel.count(kernel.FillArrays(*arrays), due, self._terms, state, taken)
        if not fits:
            return None
        table, results = self._trips(names, taken, trips)
        is_open = np.flatnonzero(state.ints[:, kernel.HELD])
        is_open = is_open[np.argsort(state.ints[is_open, kernel.ORDER])]
        self._names = [names[index] for index in is_open.tolist()]
        self._state = kernel.selected(state, is_open)
        snapshots = self._snapshots(taken, dues.is_sample)
        return Counted(LedgerRows(*taken.rows), snapshots), table, results

    def ledger(self) -> Ledger:
        """Return the account as it is, without round trips."""
        return self.kept().ledger(self._start)

    def kept(self) -> "_Kept":
        """Return the account as it is, which no later batch changes."""
        return _Kept(self.kernel, self._names, self._state)

    def _slots(self, names: list[str]) -> tuple[list[str], Int64s]:
        """Return the positions that are open or named, and where each of the named ones is."""
        places = {name: index for index, name in enumerate(self._names)}
        slots = [places.setdefault(name, len(places)) for name in names]
        return [*places], np.array(slots, np.int64)

    def _snapshots(self, taken: Any, is_sample: npt.NDArray[np.bool_]) -> list[Snapshot]:  # noqa: ANN401
        rules = self._start.rules
        rows = zip(taken.samples.tolist(), taken.sample_cost, is_sample.tolist(), strict=True)
        return [
            Snapshot(rules, tuple(units), _whole(long) - _whole(short))
            for units, (short, long), is_wanted in rows
            if is_wanted
        ]

    def _trips(self, names: list[str], taken: Any, count: int) -> tuple[pa.Table, Int64s]:  # noqa: ANN401
        kernel, rules = self.kernel, self._start.rules
        money, size = rules.currency_precision, rules.size_precision
        # Copies: a view of few rows would hold the space of all.
        columns = taken.trips[:count].T.copy()
        slot, closed, net = columns[kernel.INTS :]

        def amounts(units: Int64s, precision: int) -> Any:  # noqa: ANN401
            return units_column(units, precision, DECIMAL)

        ids = pa.array(names, pa.string()).take(slot)
        sides = pa.array(["short", "long"]).take(columns[kernel.IS_LONG])
        opening, closing = (_decimals(taken.averages[:count, index].copy()) for index in (0, 1))
        time = POSITIONS.field("opened").type
        table = pa.table(
            [
                ids,
                sides,
                pa.array(["closed"]).take(np.zeros(count, np.int64)),
                pa.array(columns[kernel.OPENED_TS]).cast(time),
                pa.array(closed).cast(time),
                amounts(np.zeros(count, np.int64), size),
                amounts(columns[kernel.PEAK], size),
                opening,
                closing,
                amounts(columns[kernel.REALIZED], money),
                amounts(columns[kernel.COMMISSIONS], money),
                amounts(net, money),
                pa.array(columns[kernel.FILLS]),
            ],
            schema=POSITIONS,
        )
        return table, net


class _Kept(NamedTuple):
    """An account between two batches: its open positions, and arrays."""

    kernel: Any
    names: list[str]
    state: Any

    def ledger(self, start: Ledger, cash: int = 0, paid: int = 0, own: int = 0) -> Ledger:
        """Return it without round trips.

        Parameters
        ----------
        start : Ledger
            The account at the start.
        cash, paid, own : int
            What else there is of cash, of commissions, and of those of each open position.
        """
        kernel, state = self.kernel, self.state
        totals, left = state.totals.tolist(), state.left.tolist()
        totals[kernel.CASH] += cash
        totals[kernel.TOTAL_COMMISSIONS] += paid
        positions = {}
        for name, ints, floats, wides in zip(
            self.names, state.ints.tolist(), state.floats.tolist(), state.wides, strict=True
        ):
            binary = BinaryAverage(0, 0)
            binary.average, binary.error, binary.drift = floats
            cost, opened_value, closed_value, arithmetic = (_whole(number) for number in wides)
            positions[name] = Position(
                is_long=bool(ints[kernel.IS_LONG]),
                opened_ts=ints[kernel.OPENED_TS],
                binary=binary,
                held=ints[kernel.HELD],
                cost=cost,
                arithmetic=arithmetic,
                peak=ints[kernel.PEAK],
                opened=ints[kernel.OPENED],
                opened_value=opened_value,
                closed=ints[kernel.CLOSED],
                closed_value=closed_value,
                realized=ints[kernel.REALIZED],
                commissions=ints[kernel.COMMISSIONS] + own,
                fills=ints[kernel.FILLS],
            )
        balance = start.starting_balance
        return Ledger.restored(start.rules, balance, left, totals[: kernel.OPENINGS], positions)


class _Batch(NamedTuple):
    """A batch that was counted without commissions, and the account after it."""

    fills: int
    after: Int64s
    counted: Counted
    closed: pa.Table
    results: Int64s
    ends: Int64s
    largest_cash: float
    kept: _Kept


class SharedCounts:
    """Counts, without commissions, of runs whose fills differ in nothing else; threads share it.

    The fills change one position. A run gives its batches in order, and all cut them alike.

    Parameters
    ----------
    kernel : module
        What `load_kernel` returned.
    rules : AccountRules
        How money is counted.
    """

    def __init__(self, kernel: ModuleType, rules: AccountRules) -> None:
        self._compiled = _Compiled(kernel, Ledger(rules, Decimal(0)))
        self._batches: dict[int, _Batch | None] = {}
        self._given_up = 0
        self._counting = Lock()

    def start(self) -> _Kept:
        """Return the account before the first batch."""
        return self._compiled.kept()._replace(names=[], state=self._compiled.kernel.new_state())

    def batch(self, number: int, fills: FillColumns, dues: Dues) -> _Batch | None:
        """Return what a batch gives, None if it is too large."""
        with self._counting:
            if number == self._given_up + len(self._batches):
                self._batches[number] = self._counted(fills, dues)
            batch = self._batches[number]
        is_same = batch is None or (
            batch.fills == len(fills.ts) and np.array_equal(batch.after, dues.after)
        )
        assert is_same  # noqa: S101 - its own
        return batch

    def give_up(self) -> None:
        """Give up the batches so far, which all runs have taken."""
        self._given_up += len(self._batches)
        self._batches = {}

    def _counted(self, fills: FillColumns, dues: Dues) -> _Batch | None:
        before = self._compiled.held
        computed = self._compiled.count(
            fills._replace(commission=np.zeros(len(fills.ts), int)), dues
        )
        if computed is None:
            return None
        counted, closed, results = computed
        held = np.concatenate([[before], counted.rows.quantity])
        ends = np.flatnonzero((held[:-1] != 0) & (np.sign(held[1:]) != np.sign(held[:-1])))
        cash = np.asarray(counted.rows.cash)
        return _Batch(
            len(fills.ts),
            dues.after,
            counted,
            closed,
            results,
            ends,
            float(np.abs(cash).max(initial=0)),
            self._compiled.kept(),
        )


class _Beside:
    """An account that adds its commissions to what is shared."""

    def __init__(self, start: Ledger, shared: SharedCounts) -> None:
        self._start, self._shared = start, shared
        self._cash = start.units()[0]
        self._kept = shared.start()
        self._number = 0
        # Commissions so far, and up to the end of the last round trip.
        self._paid = self._ended = 0

    def count(self, fills: FillColumns, dues: Dues) -> tuple[Counted, pa.Table, Int64s] | None:
        """Count a batch; return it, its round trips and their results, None if it is too large."""
        counted = self._shared.batch(self._number, fills, dues)
        fees = fills.commission
        if counted is None or fees.dtype == object:
            return None
        cash, quantity = (np.asarray(column) for column in counted.counted.rows[1:])
        paid, after = np.empty(len(fees) + 1, np.int64), np.empty(len(fees), np.int64)
        paid[0] = self._paid
        columns = (np.require(column, np.int64, ["C", "W"]) for column in (fees, cash))
        most, largest = self._kept.kernel.pay(*columns, self._cash, paid, after)
        most += abs(self._paid) + abs(self._cash) + counted.largest_cash
        if not 0 <= largest < _LARGEST or most >= _LARGEST_SUM:
            return None
        ended = paid[counted.ends + 1] - self._later(fills, counted.ends, quantity)
        own = np.diff(ended, prepend=self._ended)
        precision = self._start.rules.currency_precision
        closed, results = counted.closed, counted.results - own
        for name, column in (("commissions", own), ("net_pnl", results)) if len(own) else ():
            place = closed.schema.get_field_index(name)
            closed = closed.set_column(
                place, closed.schema.field(name), units_column(column, precision, DECIMAL)
            )
        balance: Any = after
        rows = counted.counted.rows._replace(cash=balance)
        before = paid[dues.after[dues.is_sample]].tolist()
        samples = [
            sample.with_cash(self._cash - fee)
            for sample, fee in zip(counted.counted.samples, before, strict=True)
        ]
        self._paid = int(paid[-1])
        self._ended = int(ended[-1]) if len(ended) else self._ended
        self._kept, self._number = counted.kept, self._number + 1
        return Counted(rows, samples), closed, results

    @staticmethod
    def _later(fills: FillColumns, ends: Int64s, quantity: Int64s) -> Units:
        """Return what fills that end a round trip leave of their commissions to the next one."""
        size, left = np.abs(fills.quantity[ends]), np.abs(quantity[ends])
        fees = fills.commission[ends]
        held = size - left
        if float(np.abs(fees).max(initial=0)) * float(held.max(initial=0)) >= _LARGEST_SUM:
            fees, held = fees.astype(object), held.astype(object)
        own = fees * held // size
        fraction = ((fees * held - own * size) / size).astype(np.float64)
        is_up = (fraction > 0.5) | ((fraction == 0.5) & (own % 2 == 1))
        later: Units = fees - own - is_up
        return later.astype(np.int64)

    def ledger(self) -> Ledger:
        """Return the account as it is, without round trips."""
        paid = self._paid
        return self._kept.ledger(self._start, self._cash - paid, paid, paid - self._ended)


def _is_small(column: Units) -> bool:
    """Return whether whole numbers are floats without rounding."""
    if column.dtype == object:
        return False
    return not len(column) or (int(column.max()) < _LARGEST and int(column.min()) > -_LARGEST)


def _whole(digits: npt.NDArray[np.uint64]) -> int:
    """Return a number of ``wide_integers``."""
    return int.from_bytes(digits.astype("<u4").tobytes(), "little")


def _decimals(digits: npt.NDArray[np.uint64]) -> Any:  # noqa: ANN401 - the stubs know no buffers
    """Return numbers of four digits, shape (n, 4), as stored decimals."""
    words = digits[:, ::2] | digits[:, 1::2] << np.uint64(32)
    return pa.Array.from_buffers(DECIMAL, len(words), [None, pa.py_buffer(words.copy())])


@cache
def load_kernel_here() -> ModuleType | None:
    """Import the compiled pass, None without Numba, and let it count, so that its code is there."""
    if find_spec("numba") is None:
        return None
    from odum_assets.backtest import ledger_kernel

    one = np.ones(1, np.int64)
    rules = AccountRules(Decimal(1), False, False, 0, 0, 0)
    FillCounter(rules, Decimal(0), ledger_kernel).count(
        FillColumns(one, ["P"], 0 * one, one, one, one)
    )
    return ledger_kernel


@cache
def _loading() -> "Future[ModuleType | None]":
    """Load the compiled pass in a thread; the first time after an installation compiles it."""
    return ThreadPoolExecutor(1, "load-kernel").submit(load_kernel_here)


def load_kernel(timeout: float | None = None) -> ModuleType | None:
    """Return the compiled pass, None without Numba, or if it is not there in time (s)."""
    with suppress(TimeoutError):
        return _loading().result(timeout)
    return None


def load_kernel_beside(orders: int) -> None:
    """Begin to load the compiled pass while a run is replayed that has so many orders so far."""
    if orders >= WORTH_LOADING // 2:
        _loading()


def kernel_for(recorded: Path) -> ModuleType | None:
    """Return the compiled pass where it is loaded, or worth it for the fills of an event file.

    It is waited for no longer than the exact ledger would take to count.
    """
    if load_kernel_here.cache_info().currsize:
        return load_kernel_here()
    fills = recorded.stat().st_size // _FILL_BYTES
    return load_kernel(fills * _EXACT_SECS) if fills >= WORTH_LOADING else None
