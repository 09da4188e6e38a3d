"""A run of the kernel: rows of the catalog in, fills and ends of orders out, a chunk at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from odum_assets.vectorized.ticks import kernel
from odum_assets.vectorized.ticks.kernel import NONE, STATE, Market, Rules
from odum_assets.vectorized.ticks.rows import Books

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    type Ints = NDArray[np.int64]

_NO_BOOKS = Books(
    np.zeros((2, 0), np.int64),
    np.zeros((2, 1), np.int64),
    np.zeros((2, 0), np.int64),
    np.zeros((2, 0), np.int64),
)
_NEVER = 2**62
_SPARE_FILLS = 1_024
_PLACE = {name: index for index, name in enumerate(STATE)}
_LATENCY = Rules._fields.index("latency_ns")
_WITHOUT_VALUE = ("bid", "ask", "last", "trade_size", "restored_last", "quote_bid", "quote_ask")


class Events(NamedTuple):
    """What became of orders in a chunk.

    Parameters
    ----------
    trades : int64 array, shape (5, t)
        The trades of the chunk, rows of `kernel.TRADE`.
    fills : int64 array, shape (5, n)
        Rows of `kernel.FILL`.
    ends : int64 array, shape (3, m)
        Rows of `kernel.END`.
    timed : int64 array, shape (5, k)
        Orders that were sent at their own times, rows of `kernel.LISTED`.
    stop : int or None
        The time (ns) up to which all rows and orders were matched, where it was asked for.
    """

    trades: Ints
    fills: Ints
    ends: Ints
    timed: Ints
    stop: int | None = None


class Matching:
    """The matching of a run: what stands between chunks.

    Parameters
    ----------
    rules : Rules
        How it is matched.
    listed : int64 array, shape (5, o)
        Orders of the first trade, rows of `kernel.LISTED`.
    wakeups : int64 array, shape (w,), optional
        Times (ns), ascending, at which orders on their way arrive beside those of rows.
    """

    def __init__(self, rules: Rules, listed: Ints, wakeups: Ints | None = None) -> None:
        self._rules = np.array(rules, np.int64)
        self._listed = listed
        self._state = np.zeros(len(STATE), np.int64)
        self._state[[_PLACE[name] for name in _WITHOUT_VALUE]] = NONE
        self._state[_PLACE["row"]] = -1
        self._trades = np.zeros((5, 0), np.int64)
        # The first levels are those of an L1 book.
        self._books = Books(
            _NO_BOOKS.times,
            _NO_BOOKS.starts + 1,
            np.zeros((2, 1), np.int64),
            np.zeros((2, 1), np.int64),
        )
        self._heaps = np.empty((2, 0, 5), np.int64)
        self._open = np.empty(0, np.int64)
        self._wakeups = np.empty(0, np.int64) if wakeups is None else wakeups
        self._sending = np.empty((5, 0), np.int64)

    @property
    def position(self) -> int:
        """Return the sum of the fills, in lots."""
        return self._of("position")

    @property
    def reduced(self) -> int:
        """Return what the venue had counted of the position that the closing order reduced."""
        return self._of("reduced")

    @property
    def underway(self) -> Ints:
        """Return when each order that has not arrived will."""
        return self._sending[0, self._of("arrived") : self._of("underway")]

    @property
    def tops(self) -> tuple[int, int] | None:
        """Return the venue's best bid and ask, in ticks; None where a side is empty."""
        books, row = self._books, self._of("row")
        if self._rules[0]:
            has_both, places = bool(books.bids[1, 0] > 0 and books.asks[1, 0] > 0), (0, 0)
        else:
            has_both = row >= 0 and bool(np.all(books.starts[:, row] < books.starts[:, row + 1]))
            places = (books.starts[0, row], books.starts[1, row]) if has_both else (0, 0)
        if not has_both:
            return None
        return int(books.bids[0, places[0]]), int(books.asks[0, places[1]])

    def events(
        self,
        trades: Iterable[Ints],
        books: Iterable[Books],
        orders: Iterable[Ints] = (),
        stops: Iterable[int] = (),
    ) -> Iterator[Events]:
        """Match all rows, and yield what became of orders, chunk by chunk.

        Parameters
        ----------
        trades : iterable of int64 arrays, shape (5, t)
            Rows of `kernel.TRADE`, in order of time.
        books : iterable of Books
            In order of time.
        orders : iterable of int64 arrays, shape (5, o)
            Orders that are sent at their own times, rows of `kernel.LISTED`, in order of time; only
            where `Rules.at_first_trade` is not set.
        stops : iterable of int
            Times (ns), ascending, at which to stop.
        """
        coming_trades, coming_books, coming_orders = iter(trades), iter(books), iter(orders)
        coming_stops = iter(stops)
        stop = next(coming_stops, _NEVER)
        last_trade = last_book = last_order = 0
        while True:
            known = min(last_trade, last_book, last_order)
            while stop < known:
                yield self._match(stop + 1)._replace(stop=stop)
                stop = next(coming_stops, _NEVER)
            if known > 0:
                yield self._match(known)
            if known == _NEVER:
                return
            # Rows of the last time of a group may go on in the next one.
            if last_trade == known:
                group = next(coming_trades, None)
                last_trade = _NEVER if group is None else int(group[0, -1])
                self._add_trades(self._trades[:, :0] if group is None else group)
            if last_book == known:
                snapshots = next(coming_books, None)
                last_book = _NEVER if snapshots is None else int(snapshots.times[0, -1])
                self._add_books(snapshots or _NO_BOOKS)
            if last_order == known:
                timed = next(coming_orders, None)
                last_order = _NEVER if timed is None else int(timed[0, -1])
                if timed is not None:
                    self._add_orders(timed)

    def close(self, steps: Ints, orders: Ints) -> Events:
        """Take the steps of `kernel.close_positions` with orders that close; the run is over.

        Parameters
        ----------
        steps : int64 array, shape (2, k)
            Times, and what happens.
        orders : int64 array, shape (5, o)
            Rows of `kernel.LISTED`.
        """
        self._listed = orders
        market, state = self._run(
            orders.shape[1],
            lambda market, state: kernel.close_positions(market, state, steps),
        )
        return self._events(market, state, self._trades[:, :0], orders[:, :0])

    def _of(self, name: str) -> int:
        return int(self._state[_PLACE[name]])

    def _match(self, known: int) -> Events:
        first, timed = self._of("trade"), self._of("order")
        orders = self._trades.shape[1] - first + self._listed.shape[1] - timed
        market, state = self._run(
            orders, lambda market, state: kernel.match_rows(market, state, known)
        )
        at_first_trade = Rules(*market.rules).at_first_trade
        sent = slice(0, 0) if at_first_trade else slice(timed, int(state[_PLACE["order"]]))
        return self._events(
            market,
            state,
            self._trades[:, first : state[_PLACE["trade"]]],
            self._listed[:, sent],
        )

    def _run(
        self, orders: int, run: Callable[[Market, Ints], None], space: int = 0
    ) -> tuple[Market, Ints]:
        """Run the kernel with space for that many orders; again where fills need more."""
        bids, asks, waiting = (self._of(name) for name in ("bids", "asks", "open"))
        underway = self._sending[:, self._of("arrived") : self._of("underway")]
        new, orders = orders, orders + underway.shape[1]
        sending = np.empty((5, orders if self._rules[_LATENCY] else 0), np.int64)
        sending[:, : underway.shape[1]] = underway
        rests = np.empty(waiting + orders, np.int64)
        rests[:waiting] = self._open[:waiting]
        heaps = np.empty((2, max(bids, asks) + orders, 5), np.int64)
        for heap, old, count in zip(heaps, self._heaps, (bids, asks), strict=True):
            heap[:count] = old[:count]
        market = Market(
            self._rules,
            self._trades,
            self._books.times,
            self._books.starts,
            self._books.bids,
            self._books.asks,
            self._listed,
            heaps,
            rests,
            self._wakeups,
            sending,
            np.empty((5, max(space, orders + _SPARE_FILLS)), np.int64),
            np.empty((3, bids + asks + waiting + orders), np.int64),
        )
        state = self._state.copy()
        state[_PLACE["arrived"]], state[_PLACE["underway"]] = 0, underway.shape[1]
        tops = market.bids[:, 0].copy(), market.asks[:, 0].copy()
        run(market, state)
        fills = int(state[_PLACE["fills"]])
        if fills <= market.fills.shape[1]:
            return market, state
        # The kernel writes to no other row.
        market.bids[:, 0], market.asks[:, 0] = tops
        return self._run(new, run, fills)

    def _events(self, market: Market, state: Ints, trades: Ints, timed: Ints) -> Events:
        fills, ends = (int(state[_PLACE[name]]) for name in ("fills", "ends"))
        state[_PLACE["fills"]] = state[_PLACE["ends"]] = 0
        self._state, self._heaps, self._open = state, market.heaps, market.open
        self._sending = market.sending
        return Events(trades, market.fills[:, :fills], market.ends[:, :ends], timed)

    def _add_trades(self, group: Ints) -> None:
        self._trades = np.concatenate([self._trades[:, self._of("trade") :], group], axis=1)
        self._state[_PLACE["trade"]] = 0

    def _add_orders(self, group: Ints) -> None:
        self._listed = np.concatenate([self._listed[:, self._of("order") :], group], axis=1)
        self._state[_PLACE["order"]] = 0

    def _add_books(self, group: Books) -> None:
        """Put a group behind the book that stands and what is left of the last group."""
        old, row, first = self._books, self._of("row"), self._of("book")
        standing = slice(row, row + 1) if row >= 0 else slice(0, 0)
        rest = slice(first, old.times.shape[1])
        parts = [_rows(old, standing), _rows(old, rest), group]
        counts = np.concatenate([np.diff(part.starts, axis=1) for part in parts], axis=1)
        top = np.ones((2, 1), np.int64)
        self._books = Books(
            np.concatenate([part.times for part in parts], axis=1),
            np.cumsum(np.concatenate([top, counts], axis=1), axis=1),
            np.concatenate([old.bids[:, :1], *(part.bids for part in parts)], axis=1),
            np.concatenate([old.asks[:, :1], *(part.asks for part in parts)], axis=1),
        )
        self._state[_PLACE["row"]] = min(row, 0)
        self._state[_PLACE["book"]] = parts[0].times.shape[1]


def _rows(books: Books, rows: slice) -> Books:
    starts = books.starts[:, rows.start : rows.stop + 1]
    (bid, ask), (bid_end, ask_end) = starts[:, 0], starts[:, -1]
    return Books(
        books.times[:, rows], starts, books.bids[:, bid:bid_end], books.asks[:, ask:ask_end]
    )
