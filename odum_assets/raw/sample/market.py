"""One instrument's day: a five-level book and trades that agree with it.

A day is simulated in whole ticks, whole lots and milliseconds, and needs nothing but the seed, the
instrument and the date. The price that drives both comes from `price`.

Each trade is made on the book snapshot before it, at a level that the snapshot shows, and between
two snapshots no level trades more than it shows. The last order before a move sometimes takes the
best level whole and goes on into the next ones. How rows become files is in `files`.
"""

import datetime as dt
from dataclasses import dataclass

import numpy as np

from odum_assets.instruments.keys import InstrumentKey
from odum_assets.raw.sample.draws import Bools, Draws, Floats, Ints, hold
from odum_assets.raw.sample.price import DAY_MS, MINUTE_MS, PriceProcess
from odum_assets.raw.sample.spec import IDS_PER_DAY, Market, SampleSpec

LEVELS = 5
# The last event leaves room for its latency, so that no arrival falls into the next day.
QUIET_MS = 1_500
BID, ASK = 0, 1


@dataclass(frozen=True)
class Clock:
    """Times of a day's events.

    Parameters
    ----------
    exchange_ms : Ints
        Milliseconds since midnight at the exchange.
    local_us : Ints
        Microseconds since midnight at arrival.
    """

    exchange_ms: Ints
    local_us: Ints


@dataclass(frozen=True)
class Book:
    """Snapshots; `ticks` and `lots` have the shape (2 sides, 5 levels, rows), bids first."""

    clock: Clock
    ticks: Ints
    lots: Ints


@dataclass(frozen=True)
class Trades:
    """Fills, one per row."""

    clock: Clock
    ids: Ints
    buy: Bools
    ticks: Ints
    lots: Ints


class DaySimulation:
    """Simulate one day of one instrument.

    Parameters
    ----------
    spec : SampleSpec
        The request.
    key : InstrumentKey
        The instrument.
    day : datetime.date
        The day (UTC).

    Attributes
    ----------
    book : Book
    trades : Trades
        In the order of arrival.
    prices : PriceProcess
    session_ms : tuple[int, int]
        Milliseconds of the day between which events happen.
    """

    def __init__(self, spec: SampleSpec, key: InstrumentKey, day: dt.date) -> None:
        self._spec = spec
        self.key = key
        self.day = day
        self.market: Market = spec.market(key)
        self._start = spec.hours[0] * 3_600_000
        self._end = spec.hours[1] * 3_600_000 - QUIET_MS
        self.session_ms = (self._start, self._end)
        self.prices = PriceProcess(spec, key, day)
        self._activity = self.prices.activity
        delay = self.draws("delay").smooth(DAY_MS // MINUTE_MS + 1, 45)
        self._delay_ms: Floats = 18.0 * np.exp(0.25 * delay)
        book, direction = self._make_book()
        self.trades, lots = self._make_trades(book, direction)
        self.book = Book(book.clock, book.ticks, lots)

    def draws(self, what: str) -> Draws:
        """Return the random numbers of one quantity of this day."""
        return self.draws_at(what, self.day.toordinal())

    def draws_at(self, what: str, number: int) -> Draws:
        """Return the random numbers of one quantity at a place that days have in common."""
        return Draws(self._spec.seed, str(self.key), number, what)

    def _rows(self, per_day: int, what: str) -> int:
        if self._spec.irregularities:
            return per_day
        return round(per_day * (0.9 + 0.2 * float(self.draws(what).uniform(1)[0])))

    def _spread(self, gaps: Floats, weights: Floats, reserve_ms: int) -> Ints:
        """Lay events over the session, denser where the weights are high.

        `gaps` (one more than events) gives the distances in business time; `reserve_ms` of the
        session are left free at its end.
        """
        first = self._spec.hours[0] * 60
        session = weights[first : self._spec.hours[1] * 60]
        share = np.concatenate(([0.0], np.cumsum(session) / session.sum()))
        edges = np.linspace(0, self._end - self._start - reserve_ms, share.size)
        position = np.cumsum(gaps)
        position = position[:-1] / position[-1]
        offset: Ints = np.interp(position, share, edges).astype(np.int64)
        return self._start + offset

    def _make_book(self) -> tuple[Book, Floats]:
        """Return the book before trades, and the direction of the move after each snapshot."""
        n = self._rows(self._spec.books_per_day, "book-rows")
        draws = self.draws("book-times")
        spacing = int(min(100, max(2, (self._end - self._start) // (2 * n))))
        gaps = draws.lognormal(1.0, 0.8, n + 1)
        gaps[0] = 0  # the session opens with a snapshot
        ms = self._spread(gaps, np.sqrt(self._activity.weights), spacing * n)
        ms += spacing * np.arange(n)
        mid, stress = self.prices.path(ms)

        draws = self.draws("book-spread")
        bid = np.maximum(np.floor(mid), 50 * LEVELS).astype(np.int64)
        moved = np.ones(n, dtype=np.bool_)
        moved[1:] = bid[1:] != bid[:-1]
        chance = draws.uniform(n)
        wide = np.clip(0.06 * stress, 0.02, 0.35)
        spread = 1 + (chance < wide).astype(np.int64) + (chance < wide / 4)
        spread = hold(spread, moved | (draws.uniform(n) < 0.1))
        ticks = np.empty((2, LEVELS, n), dtype=np.int64)
        ticks[BID, 0], ticks[ASK, 0] = bid, bid + spread
        lots = np.empty_like(ticks)
        lot = float(self.market.lot)
        depth = self.market.depth / lot
        direction = np.zeros(n)
        direction[:-1] = np.sign(bid[1:] - bid[:-1])
        for side in (BID, ASK):
            outward = -1 if side == BID else 1
            for level in range(LEVELS):
                draws = self.draws(f"book-{side}-{level}")
                renew = moved | (draws.uniform(n) < 0.2)
                if level == 0:
                    size = draws.lognormal(depth, 0.9, n)
                    # The side about to give way is thinner.
                    size *= np.exp(-0.35 * outward * direction)
                else:
                    size = draws.lognormal(max(depth * 0.005, 2.0), 2.0, n)
                    chance = draws.uniform(n)
                    far = np.floor(draws.lognormal(2.0, 0.7, n)).astype(np.int64)
                    gap = hold(np.where(chance < 0.6, 1, np.clip(far, 1, 40)), renew)
                    ticks[side, level] = ticks[side, level - 1] + outward * gap
                whole = np.clip(np.round(size), 1, max(1.0, 12 * depth)).astype(np.int64)
                lots[side, level] = hold(whole, renew)
        clock = Clock(ms, self.arrivals(ms, "book", 2.0, np.zeros_like(ms)))
        return Book(clock, ticks, lots), direction

    def _make_trades(self, book: Book, direction: Floats) -> tuple[Trades, Ints]:
        """Return the trades, and the sizes of the book adjusted so that it carries them all."""
        n = self._rows(self._spec.trades_per_day, "trade-rows")
        draws = self.draws("orders")
        # An order takes one or more resting orders, each of them a row with the same time.
        fills = np.clip(np.ceil(draws.lognormal(1.0, 1.35, n)), 1, 80).astype(np.int64)
        total = np.cumsum(fills)
        orders = int(np.searchsorted(total, n)) + 1
        fills = fills[:orders]
        fills[-1] -= total[orders - 1] - n
        gaps = np.minimum(draws.lognormal(1.0, 1.5, orders + 1), 25.0)
        ms = self._spread(gaps, self._activity.weights, 0)
        row = np.searchsorted(book.clock.exchange_ms, ms, side="right") - 1
        ms += ms == book.clock.exchange_ms[row]  # strictly after its snapshot: no doubt which one
        push = 0.5 + 0.22 * direction[row]
        buy = hold(draws.uniform(orders) < push, draws.uniform(orders) < 0.55)
        depth = self._walks(book, direction, row, buy, fills)

        order = np.repeat(np.arange(orders), fills)
        nth = np.arange(n) - np.repeat(np.cumsum(fills) - fills, fills)
        level = np.maximum(0, nth - (fills - depth)[order] + 1)
        side, row = buy[order].astype(np.int64), row[order]
        market = self.market
        draws = self.draws("fills")
        median = market.fill / float(market.lot)
        drawn = np.clip(np.round(draws.lognormal(median, 1.95, n)), 1, max(1.0, 1500 * median))
        size: Ints = drawn.astype(np.int64)

        # The best level shows at least what is taken from it, and exactly that if an order goes
        # through it; deeper levels are taken whole but for the last one.
        lots, rows = book.lots.copy(), book.clock.exchange_ms.size
        cell = side * rows + row
        best = level == 0
        taken = np.bincount(cell[best], size[best], minlength=2 * rows).astype(np.int64)
        through = np.bincount(cell[~best], minlength=2 * rows) > 0
        top = lots[:, 0].ravel()
        lots[:, 0] = np.where(through, taken, np.maximum(top, taken + (taken > 0))).reshape(2, rows)
        available = lots[side[~best], level[~best], row[~best]]
        ends = (level == depth[order])[~best]
        part = 1 + np.floor(draws.uniform(ends.size) * (available - 1)).astype(np.int64)
        size[~best] = np.where(ends, part, available)

        # A trade does not arrive before the book it was made on.
        earliest = book.clock.local_us[row] + 50
        clock = Clock(ms[order], self.arrivals(ms[order], "trades", 3.0, earliest))
        ids = np.arange(n, dtype=np.int64)
        if self._spec.irregularities:
            ids += np.cumsum(draws.uniform(n) < 1e-3)
        ids += (self.day.toordinal() - dt.date(2010, 1, 1).toordinal() + 1) * IDS_PER_DAY
        trades = Trades(clock, ids, side == ASK, book.ticks[side, level, row], size)
        return self._as_arrived(trades), lots

    def _walks(self, book: Book, direction: Floats, row: Ints, buy: Bools, fills: Ints) -> Ints:
        """Return how many levels beyond the best each order goes (zero for most).

        Only the last order before a move in its own direction does, and only through levels that
        the move leaves behind: that order is what moved the price.
        """
        reach = np.zeros(row.size, dtype=np.int64)
        after = np.minimum(row + 1, book.clock.exchange_ms.size - 1)
        for level in range(1, LEVELS):
            reach += np.where(
                buy,
                book.ticks[ASK, level, row] <= book.ticks[ASK, 0, after],
                book.ticks[BID, level, row] >= book.ticks[BID, 0, after],
            )
        draws = self.draws("walks")
        last = np.ones(row.size, dtype=np.bool_)
        last[:-1] = row[1:] != row[:-1]
        eager = last & (direction[row] == np.where(buy, 1, -1))
        eager &= draws.uniform(row.size) < 0.3
        reach = np.minimum(reach, 1 + np.floor(4 * draws.uniform(row.size)).astype(np.int64))
        return np.where(eager, np.minimum(reach, fills - 1), 0)

    def arrivals(self, ms: Ints, channel: str, jitter_ms: float, earliest: Ints) -> Ints:
        """Return arrival times in microseconds since midnight.

        They never decrease without irregularities; with them, some rows are late and some come in
        batches, and the caller puts the rows into the order of arrival.
        """
        draws = self.draws(f"latency-{channel}")
        minutes = np.arange(self._delay_ms.size) * MINUTE_MS
        delay = np.interp(ms, minutes, self._delay_ms) + draws.lognormal(jitter_ms, 0.7, ms.size)
        stall = draws.uniform(ms.size) < min(2e-4, 10 / ms.size)
        delay += np.where(stall, 40 + 160 * draws.uniform(ms.size), 0.0)
        local = np.maximum(ms * 1000 + (np.minimum(delay, 500) * 1000).astype(np.int64), earliest)
        # A receiver takes messages one after another: 20 us each.
        queue = 20 * np.arange(ms.size)
        local = np.maximum.accumulate(local - queue) + queue
        if self._spec.irregularities and channel != "ticker":
            rough = (draws.uniform(DAY_MS // MINUTE_MS) < 0.08)[ms // MINUTE_MS]
            late = rough & (draws.uniform(ms.size) < 0.2)
            local += np.where(late, 2_000 + (250_000 * draws.uniform(ms.size)).astype(np.int64), 0)
            batch = np.maximum(local // 5_000 * 5_000, ms * 1000 + 1)
            local = np.where(rough & ~late, batch, local)
        return local

    def _as_arrived(self, trades: Trades) -> Trades:
        order = np.argsort(trades.clock.local_us, kind="stable")
        return Trades(
            Clock(trades.clock.exchange_ms[order], trades.clock.local_us[order]),
            trades.ids[order],
            trades.buy[order],
            trades.ticks[order],
            trades.lots[order],
        )
