"""A run of the kernel: rows of the catalog in, fills and ends of orders out, a chunk at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from odum_assets.vectorized.ticks import kernel
from odum_assets.vectorized.ticks.kernel import (
    FILLS_AT_LEAST,
    NONE,
    STATE,
    Books,
    Ladders,
    Listed,
    Market,
    Resting,
    Rules,
    Trades,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    type Ints = NDArray[np.int64]

_EMPTY = np.empty(0, np.int64)
_NO_LEVELS = Ladders(np.zeros(1, np.int64), _EMPTY, _EMPTY)
NO_TRADES = Trades(_EMPTY, _EMPTY, _EMPTY, _EMPTY, _EMPTY)
NO_BOOKS = Books(_EMPTY, _EMPTY, _NO_LEVELS, _NO_LEVELS)
NO_ORDERS = Listed(_EMPTY, _EMPTY, _EMPTY, _EMPTY, _EMPTY)

_NEVER = 2**62
_PLACE = {name: index for index, name in enumerate(STATE)}
_WITHOUT_VALUE = ("bid", "ask", "last", "trade_size", "restored_last", "quote_bid", "quote_ask")


class Events(NamedTuple):
    """What became of orders in a chunk.

    Parameters
    ----------
    trades : Trades
        The trades of the chunk.
    fills : int64 array, shape (5, n)
        Columns of `kernel.FILL`.
    ends : int64 array, shape (3, m)
        Columns of `kernel.END`.
    """

    trades: Trades
    fills: Ints
    ends: Ints


class Matching:
    """The matching of a run: what stands between chunks.

    Parameters
    ----------
    rules : Rules
        How it is matched.
    listed : Listed
        Orders beside those of the trades.
    """

    def __init__(self, rules: Rules, listed: Listed = NO_ORDERS) -> None:
        self._rules = rules
        self._listed = listed
        self._state = np.zeros(len(STATE), np.int64)
        self._state[[_PLACE[name] for name in _WITHOUT_VALUE]] = NONE
        self._state[_PLACE["row"]] = -1
        self._trades, self._books = NO_TRADES, NO_BOOKS
        self._resting = Resting(np.empty((0, 5), np.int64), np.empty((0, 5), np.int64), _EMPTY)

    @property
    def sent(self) -> int:
        """Return how many orders were sent."""
        return self._of("sent")

    @property
    def position(self) -> int:
        """Return the sum of the fills, in lots."""
        return self._of("position")

    def events(self, trades: Iterable[Trades], books: Iterable[Books]) -> Iterator[Events]:
        """Match all rows, and yield what became of orders, chunk by chunk."""
        coming_trades, coming_books = iter(trades), iter(books)
        last_trade = last_book = 0
        while True:
            known = min(last_trade, last_book)
            if known > 0:
                yield self._match(known)
            if known == _NEVER:
                return
            # Rows of the last time of a group may go on in the next one.
            if last_trade == known:
                group = next(coming_trades, None)
                last_trade = _NEVER if group is None else int(group.ts[-1])
                self._add_trades(group or NO_TRADES)
            if last_book == known:
                snapshots = next(coming_books, None)
                last_book = _NEVER if snapshots is None else int(snapshots.ts[-1])
                self._add_books(snapshots or NO_BOOKS)

    def close(self, ts: int, quantities: Ints) -> Events:
        """Cancel what is open and close positions; see `kernel.close_positions`."""
        market, fills = self._market(len(quantities))
        fills = kernel.close_positions(market, self._state, fills, ts, quantities)
        return self._taken(market, fills, NO_TRADES)

    def _of(self, name: str) -> int:
        return int(self._state[_PLACE[name]])

    def _match(self, known: int) -> Events:
        first = self._of("trade")
        orders = len(self._trades.ts) - first + len(self._listed.ts) - self._of("order")
        market, fills = self._market(orders)
        fills = kernel.match_rows(market, self._state, fills, self._trades, self._listed, known)
        done = Trades(*(column[first : self._of("trade")] for column in self._trades))
        return self._taken(market, fills, done)

    def _market(self, orders: int) -> tuple[Market, Ints]:
        """Return what a chunk is matched with, with space for that many orders."""
        bids, asks, waiting = (self._of(name) for name in ("bids", "asks", "open"))
        self._resting = Resting(
            _with_space(self._resting.bids, bids, orders),
            _with_space(self._resting.asks, asks, orders),
            _with_space(self._resting.open, waiting, orders),
        )
        ends = np.empty((3, orders + bids + asks + waiting), np.int64)
        top = (np.zeros(1, np.int64), np.zeros(1, np.int64))
        fills = np.empty((5, orders + FILLS_AT_LEAST), np.int64)
        return Market(self._rules, self._books, self._resting, ends, top), fills

    def _taken(self, market: Market, fills: Ints, trades: Trades) -> Events:
        found = Events(trades, fills[:, : self._of("fills")], market.ends[:, : self._of("ends")])
        self._state[_PLACE["fills"]] = self._state[_PLACE["ends"]] = 0
        return found

    def _add_trades(self, group: Trades) -> None:
        first = self._of("trade")
        self._trades = Trades(
            *(
                np.concatenate([old[first:], new])
                for old, new in zip(self._trades, group, strict=True)
            )
        )
        self._state[_PLACE["trade"]] = 0

    def _add_books(self, group: Books) -> None:
        """Put a group behind the book that stands and what is left of the last group."""
        row, first = self._of("row"), self._of("book")
        standing = slice(row, row + 1) if row >= 0 else slice(0, 0)
        parts = [
            *(_rows(self._books, rows) for rows in (standing, slice(first, None))),
            group,
        ]
        self._books = Books(
            np.concatenate([part.ts for part in parts]),
            np.concatenate([part.event_ts for part in parts]),
            _joined([part.bids for part in parts]),
            _joined([part.asks for part in parts]),
        )
        self._state[_PLACE["row"]] = min(row, 0)
        self._state[_PLACE["book"]] = len(parts[0].ts)


def _with_space(array: Ints, count: int, more: int) -> Ints:
    """Return an array with its first rows and space for more."""
    if len(array) >= count + more:
        return array
    larger = np.empty((2 * (count + more), *array.shape[1:]), np.int64)
    larger[:count] = array[:count]
    return larger


def _rows(books: Books, rows: slice) -> Books:
    first, stop, _ = rows.indices(len(books.ts))
    sides = [
        Ladders(
            side.starts[first : stop + 1] - side.starts[first],
            side.price[side.starts[first] : side.starts[stop]],
            side.size[side.starts[first] : side.starts[stop]],
        )
        for side in (books.bids, books.asks)
    ]
    return Books(books.ts[rows], books.event_ts[rows], *sides)


def _joined(parts: list[Ladders]) -> Ladders:
    counts = np.concatenate([np.diff(part.starts) for part in parts])
    return Ladders(
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        np.concatenate([part.price for part in parts]),
        np.concatenate([part.size for part in parts]),
    )
