"""A plan's orders, fills and ends by the kernel, as columns of whole numbers, chunk by chunk.

What belongs here: the plan in the kernel's words, and what only the data can refuse. What does not:
the journal that is made of the columns (``kernel_run``), comparing them (``witness``).
"""

import math
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from odum_assets.backtest.coverage import RESTING_CASH, NotCoveredError
from odum_assets.backtest.kernel_funding import payment, settlements
from odum_assets.backtest.kernel_latency import closing_steps, wake_ups
from odum_assets.backtest.order_file import LIFETIMES as _LIFETIMES
from odum_assets.backtest.outcome import Funding
from odum_assets.backtest.plan import RunPlan
from odum_assets.catalog.fixed_point import units_of
from odum_assets.catalog.paths import FOLDERS
from odum_assets.instruments.specs import currency_precision
from odum_assets.raw.layout import DataType
from odum_assets.utc import iso_ns

if TYPE_CHECKING:
    from odum_assets.vectorized.ticks.rows import Rows
    from odum_assets.vectorized.ticks.run import Events, Matching

type Ints = NDArray[np.int64]

# What floats may be off by in the bound of the margin.
_MARGIN_SLACK = 1.000001


class Orders(NamedTuple):
    """Orders in the order in which they were sent, the first one with a number.

    Parameters
    ----------
    first : int
        Number of the first one, from 0.
    ts : int64 array, shape (n,)
        Times (ns).
    side : int64 array, shape (n,)
        1 buys, -1 sells.
    price : int64 array, shape (n,)
        In ticks; not given for market orders.
    size : int64 array, shape (n,)
        In lots.
    is_market : bool array, shape (n,)
        Whether it is a market order.
    lifetime : int64 array, shape (n,)
        Place in ``IOC FOK GTC``.
    tag : pa.Array of string or None
        Tags of the orders of a file.
    """

    first: int
    ts: Ints
    side: Ints
    price: Ints
    size: Ints
    is_market: NDArray[np.bool_]
    lifetime: Ints
    tag: Any = None


class Worth(NamedTuple):
    """What fills of a chunk come to, whatever the fees are.

    Parameters
    ----------
    notional : array of int64, or of int as objects, shape (n,)
        Their values, in units of the account currency's last decimal.
    realized : int64 array, shape (n,)
        What each realizes in the engine's account, in the same units.
    needed : float
        An upper bound of the margin that an order needs.
    needed_ts : int
        Time of that order (ns).
    """

    notional: NDArray[Any]
    realized: Ints
    needed: float
    needed_ts: int


class Chunk(NamedTuple):
    """A part of a run: orders that were sent, fills and ends of these and earlier ones.

    Parameters
    ----------
    orders : Orders
        Orders.
    fills : int64 array, shape (5, n)
        Order, time, price, quantity, and 1 where the order was resting.
    signed : int64 array, shape (n,)
        Quantities, negative for sales.
    commission : int64 array, shape (n,)
        In units of the account currency's last decimal; zero where it is another for each run.
    ends : int64 array, shape (3, m)
        Order, time, and 1 where it was rejected, 0 where it was canceled.
    closing : bool
        Whether its orders close positions.
    funding : tuple[tuple[int, int], ...]
        Payments after it: time (ns), and amount in units of the currency's last decimal.
    worth : Worth, optional
        What its fills come to, where it is known.
    reduced : (int, int), optional
        Where the venue reduced its order: time (ns), and the size that was left of it, in lots.
    """

    orders: Orders
    fills: Ints
    signed: Ints
    commission: Ints
    ends: Ints
    closing: bool
    funding: tuple[tuple[int, int], ...] = ()
    worth: Worth | None = None
    reduced: tuple[int, int] | None = None

    @property
    def at_end(self) -> "Chunk":
        """Return it with the size that its order had at the end."""
        if self.reduced is None:
            return self
        return self._replace(orders=self.orders._replace(size=np.array([self.reduced[1]])))


class KernelMatch:
    """The matching of a plan; `chunks` goes over it once.

    Parameters
    ----------
    plan : RunPlan
        A covered run.
    rows : Rows, optional
        What reads its rows.
    is_shared : bool, default False
        Whether chunks come without commissions, for runs whose fees differ: each of these has a
        `KernelMatch` of its own, which is given them as they come (`counted`).

    Attributes
    ----------
    skipped : int or None
        Trades without a side that sent no order; None for a file of orders.
    funding : list[Funding]
        Payments so far.
    """

    def __init__(
        self, plan: RunPlan, rows: "Rows | None" = None, *, is_shared: bool = False
    ) -> None:
        from odum_assets.vectorized.ticks.money import CashBalance, EngineBalance, MoneyTerms
        from odum_assets.vectorized.ticks.rows import Rows

        self._rows, self._is_shared = rows or Rows(), is_shared
        config, venue = plan.config, plan.config.venue
        instrument = config.instrument
        self._plan = plan
        self._strategy = config.strategy
        self.digits = (instrument.price_precision, instrument.size_precision)
        self.terms = MoneyTerms(
            *self.digits,
            currency_precision(venue.base_currency),
            config.multiplier,
            config.key.is_inverse,
            venue.maker_fee,
            venue.taker_fee,
            max(instrument.margin_init, instrument.margin_maint),
            venue.starting_balance,
        )
        self._is_cash = venue.account_type == "CASH"
        self.account = (CashBalance if self._is_cash else EngineBalance)(self.terms)
        self.skipped = None if plan.orders is not None else 0
        self.funding: list[Funding] = []
        self._due = settlements(plan)
        self._sent = 0
        self._sides: list[Ints] = []
        self._tags: Any = pa.chunked_array([], pa.string())
        self._open = _OpenOrders()
        # Of the trades so far: a cash account values market orders by the last one.
        self._highest = 0

    def chunks(self) -> Generator[Chunk]:
        """Match the rows of the plan, then close its positions.

        Raises
        ------
        NotCoveredError
            If an order might be denied for want of margin, or an amount exceeds 64 bits.
        DataError
            If a catalog file cannot be used.
        """
        from odum_assets.vectorized.ticks.run import Matching

        plan, listed = self._plan, self._listed()
        rules = self._rules()
        wakeups = wake_ups(plan)
        is_closed = plan.closing is not None
        before = wakeups[wakeups < plan.close_at_ns] if is_closed else wakeups
        matching = Matching(rules, listed, before)
        trades = self._rows.trades(self._files(DataType.TRADES), plan.bounds, self.digits)
        books: Any = ()
        if DataType.BOOK in plan.data_types:
            books = self._rows.books(
                self._files(DataType.BOOK), plan.bounds, self.digits, is_top=rules.is_top
            )
        # Without a closing, orders arrive after the last row.
        until = plan.close_at_ns - 1 if is_closed else plan.ends_at_ns
        stops = [due.ts for due in self._due if due.ts <= until]
        for events in matching.events(trades, books, self._timed(), stops):
            is_file = plan.orders is not None
            orders = self._tagged(events.timed) if is_file else self._orders(events.trades, listed)
            paid = () if events.stop is None else self._paid(events.stop, matching)
            self._highest = max(self._highest, int(events.trades[2].max(initial=0)))
            yield self._chunk(orders, events, paid, closing=False)
        if is_closed:
            last = self._closed(matching, wakeups)
            # Part of it, since a payment may be of the time of its fills.
            paid = self._paid(plan.ends_at_ns, matching)
            self._pay(paid)
            yield last._replace(funding=last.funding + paid)

    def _files(self, kind: DataType) -> list[Path]:
        folder = self._plan.catalog / "data" / FOLDERS[kind] / self._plan.config.key.nautilus_id
        return sorted(folder.glob("*.parquet"))

    def _rules(self) -> Any:  # noqa: ANN401 - of the kernel, which is loaded when it is used
        from odum_assets.vectorized.ticks.kernel import Rules

        plan, strategy = self._plan, self._strategy
        return Rules(
            is_top=plan.snapshot_mode == "trades" or plan.config.venue.book_type == "L1_MBP",
            trades_execute=plan.snapshot_mode != "book",
            per_trade=self._is_per_trade,
            is_market=strategy.order_type == "MARKET",
            lifetime=_LIFETIMES.index(strategy.time_in_force),
            at_first_trade=plan.orders is None,
            latency_ns=plan.config.execution.latency.insert_ns,
        )

    @property
    def _is_per_trade(self) -> bool:
        return self._plan.orders is None and self._strategy.submission_mode == "per_trade_tick"

    def _timed(self) -> Iterator[Ints]:
        """Yield the orders of a file, and keep their tags until they are sent."""
        held = self._plan.orders
        gtc = _LIFETIMES.index("GTC")
        for rows in () if held is None else held.rows(self.digits):
            if self._is_cash and np.any(rows.lifetime == gtc):
                raise NotCoveredError(RESTING_CASH)
            self._tags = pa.chunked_array([*self._tags.chunks, rows.tag])
            yield np.stack(rows[:-1])

    def _tagged(self, timed: Ints) -> Orders:
        """Return orders of a file that were sent."""
        count = timed.shape[1]
        tags, self._tags = self._tags[:count], self._tags[count:]
        return self._numbered(timed)._replace(tag=tags.combine_chunks())

    def _listed(self) -> Ints:
        """Return the configuration's orders as rows of the kernel's `LISTED`."""
        from odum_assets.vectorized.ticks.kernel import NONE

        lifetime = _LIFETIMES.index(self._strategy.time_in_force)
        rows = [
            (
                0,
                1 if order.side == "buy" else -1,
                NONE if order.price is None else self._ticks(order.price, 0),
                self._ticks(order.amount, 1),
                lifetime,
            )
            for order in self._strategy.orders
        ]
        return np.array(rows, np.int64).reshape(-1, 5).T.copy()

    def _ticks(self, amount: Decimal, place: int) -> int:
        try:
            return units_of(amount, self.digits[place])
        except ValueError:
            raise NotCoveredError(
                f"a listed order of {amount}: more than {self.digits[place]} decimals"
            ) from None

    def _orders(self, trades: Ints, listed: Ints) -> Orders:
        """Return the orders that trades of a chunk send; the listed ones with the first trade."""
        from odum_assets.vectorized.ticks.kernel import NONE

        per_trade = self._is_per_trade
        sided = trades[:, trades[4] != 0] if per_trade else trades[:, :0]
        if per_trade and self.skipped is not None:
            self.skipped += trades.shape[1] - sided.shape[1]
        ts, _, price, size, side = sided
        if self._strategy.order_type == "MARKET":
            price = np.full(len(ts), NONE)
        lifetime = np.full(len(ts), _LIFETIMES.index(self._strategy.time_in_force))
        orders = np.stack([ts, side, price, size, lifetime])
        if self._sent == 0 and trades.shape[1]:
            first = listed.copy()
            first[0] = trades[0, 0]
            orders = np.concatenate([first, orders], axis=1)
        return self._numbered(orders)

    def _closed(self, matching: "Matching", wakeups: Ints) -> Chunk:
        """Close what is open: orders on their way, cancels and closing orders arrive in turn."""
        from odum_assets.vectorized.ticks import kernel

        closing = self._closing(matching.position)
        steps = closing_steps(self._plan, wakeups, matching.underway)
        # A cancel may arrive after the order that closes.
        closes_at = int(steps[0, steps[1] == kernel.CLOSES][0])
        if matching.underway.size and any(due.ts < steps[0, -1] for due in self._due):
            raise NotCoveredError(
                "funding is due while orders are on their way as positions are closed"
            )
        paid = self._paid(closes_at - 1, matching)
        number = self._sent
        events = matching.close(steps, closing)
        chunk = self._chunk(self._numbered(closing), events, paid, closing=True)
        size = int(closing[3].sum())
        if size and matching.reduced <= 0:
            raise NotCoveredError(
                "the order that closes positions is rejected by NautilusTrader, whose venue counts "
                "nothing that it could reduce"
            )
        own = chunk.fills[:, chunk.fills[0] >= number]
        if matching.reduced < size and int(own[3].sum()) == matching.reduced:
            chunk = chunk._replace(reduced=(int(own[1, -1]), matching.reduced))
        return chunk

    def _paid(self, until_ns: int, matching: "Matching") -> tuple[tuple[int, int], ...]:
        """Settle what is due until a time."""
        payments = []
        while self._due and self._due[0].ts <= until_ns:
            due = self._due.pop(0)
            held = [matching.position] if matching.position else []
            units = payment(due, matching.tops, held, self.terms)
            if units:
                payments.append((due.ts, units))
        return tuple(payments)

    def _closing(self, lots: int) -> Ints:
        """Return the order that closes a position, none for none."""
        from odum_assets.vectorized.ticks.kernel import NONE

        side, lifetime = (-1 if lots > 0 else 1), _LIFETIMES.index("GTC")
        order = [self._plan.close_at_ns, side, NONE, abs(lots), lifetime]
        return np.array([order] if lots else [], np.int64).reshape(-1, 5).T.copy()

    def _numbered(self, orders: Ints) -> Orders:
        from odum_assets.vectorized.ticks.kernel import NONE

        ts, side, price, size, lifetime = orders
        first, self._sent = self._sent, self._sent + len(ts)
        self._sides.append(side.astype(np.int8))
        return Orders(first, ts, side, price, size, price == NONE, lifetime)

    def _chunk(
        self,
        orders: Orders,
        events: "Events",
        funding: tuple[tuple[int, int], ...],
        *,
        closing: bool,
    ) -> Chunk:
        fills = events.fills
        if len(self._sides) > 1 and len(fills[0]):
            self._sides = [np.concatenate(self._sides)]
        signed = fills[3] * self._sides[0][fills[0]] if len(fills[0]) else fills[3]
        nothing = np.zeros(len(signed), np.int64)
        chunk = Chunk(orders, fills, signed, nothing, events.ends, closing, funding)
        with _within_64_bits():
            worth = self._worth(chunk)
        chunk = chunk._replace(worth=worth)
        return chunk if self._is_shared else chunk._replace(commission=self._settled(chunk))

    def counted(self, chunk: Chunk) -> Ints:
        """Count a chunk of a run that is matched alike, whose fees are others.

        Returns
        -------
        int64 array, shape (n,)
            The commissions of its fills.

        Raises
        ------
        NotCoveredError
            If an order might be denied for want of margin.
        """
        self.account.hold(chunk.signed)
        return self._settled(chunk)

    def _settled(self, chunk: Chunk) -> Ints:
        """Take fills and payments into the account; return the commissions."""
        worth = chunk.worth
        assert worth is not None  # noqa: S101 - its own
        with _within_64_bits():
            commission = self.terms.commissions(worth.notional, chunk.fills[4] == 1)
            lowest = self.account.settle(worth.realized, commission)
        start = float(self.terms.starting_balance) * 10.0**self.terms.currency_precision
        if worth.needed + 1 >= (start + lowest) / _MARGIN_SLACK:
            raise NotCoveredError(
                f"the order of {iso_ns(worth.needed_ts)} might exceed the free balance, "
                "by which NautilusTrader denies orders; a larger venue.starting_balance helps"
            )
        self._pay(chunk.funding)
        return commission

    def _pay(self, funding: tuple[tuple[int, int], ...]) -> None:
        for ts, units in funding:
            self.account.pay(units)
            amount = Decimal(units).scaleb(-self.terms.currency_precision)
            self.funding.append(Funding(ts, amount))

    def _worth(self, chunk: Chunk) -> Worth:
        fills = chunk.fills
        notional, held = self.terms.notionals(fills[2], fills[3]), self.account.lots
        realized, largest = self.account.realized(chunk.signed, fills[2])
        needed = -math.inf, 0
        if not chunk.closing and len(chunk.orders.ts):
            if self._is_cash:
                needed = self._cash_needed(chunk, held)
            else:
                needed = self._needed(chunk.orders, fills, largest)
        return Worth(notional, realized, *needed)

    def _needed(self, orders: Orders, fills: Ints, largest: int) -> tuple[float, int]:
        """Return an upper bound of the margin that an order needs, and the time of that order.

        NautilusTrader denies orders by what is free at that moment: the bound must not reach a
        lower bound of the balance.
        """
        waiting = self._open.before(orders, fills)
        value = float(self.terms.unit_value) * float(self.terms.margin) * _MARGIN_SLACK
        seen = np.concatenate([orders.price[~orders.is_market], fills[2]])
        self._open.see(seen)
        lots = orders.size.astype(np.float64) + waiting + largest
        if self.terms.is_inverse:
            needed = value * lots / max(self._open.lowest_price, 1)
        else:
            needed = value * lots * self._open.highest_price
        place = int(np.argmax(needed))
        return float(needed[place]), int(orders.ts[place])

    def _cash_needed(self, chunk: Chunk, held: int) -> tuple[float, int]:
        """Return an upper bound of what a purchase is worth, and the time of that order.

        It is infinite where more is sold than is held before that order, what NautilusTrader
        denies. No order rests or is on its way: fills come in the order of the orders.
        """
        orders = chunk.orders
        places = np.arange(len(orders.ts))
        sums = np.concatenate([[0], np.cumsum(chunk.signed)])
        # Orders of one time may all be judged before the first of them fills.
        before = held + np.minimum(
            *(
                sums[np.searchsorted(chunk.fills[0], orders.first + indices)]
                for indices in (places, np.searchsorted(orders.ts, orders.ts))
            )
        )
        price = np.where(orders.is_market, self._highest, orders.price).astype(np.float64)
        needed = float(self.terms.unit_value) * _MARGIN_SLACK * orders.size * price
        needed = np.where(orders.side > 0, needed, np.where(orders.size > before, np.inf, 0.0))
        place = int(np.argmax(needed))
        return float(needed[place]), int(orders.ts[place])


@contextmanager
def _within_64_bits() -> Iterator[None]:
    """Refuse a run whose amounts do not fit."""
    from odum_assets.vectorized.ticks.money import AmountTooLargeError

    try:
        yield
    except AmountTooLargeError:
        raise NotCoveredError("amounts of more than 64 bits") from None


class _OpenOrders:
    """An upper bound of what rests as each order comes, and the prices that were seen."""

    def __init__(self) -> None:
        self.lowest_price = 2**62
        self.highest_price = 0
        self._left = 0.0

    def see(self, prices: Ints) -> None:
        """Take prices in."""
        if len(prices):
            self.lowest_price = min(self.lowest_price, int(prices.min()))
            self.highest_price = max(self.highest_price, int(prices.max()))

    def before(self, orders: Orders, fills: Ints) -> NDArray[np.float64]:
        """Return the lots that wait as each order is sent: all sent, less what was filled before.

        Orders that never wait count only at their own time.
        """
        sent = np.concatenate([[0.0], np.cumsum(orders.size, dtype=np.float64)])
        filled = np.concatenate([[0.0], np.cumsum(fills[3], dtype=np.float64)])
        # Where the orders of one time end, and how many they are.
        ends = np.flatnonzero(np.append(orders.ts[1:] != orders.ts[:-1], True)) + 1
        counts = np.diff(ends, prepend=0)
        through = np.repeat(ends, counts)
        if not np.any(orders.lifetime == _LIFETIMES.index("GTC")):
            first = np.repeat(ends - counts, counts)
            size: NDArray[np.float64] = sent[through] - sent[first] + self._left
            return size
        waiting: NDArray[np.float64] = (
            self._left + sent[through] - filled[np.searchsorted(fills[1], orders.ts)]
        )
        self._left += float(sent[-1] - filled[-1])
        return waiting
