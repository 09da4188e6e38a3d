"""The matching kernel: market rows and orders in, fills and ends of orders out.

Prices are ticks and sizes are lots, both int64: units of their last decimals. A price that is not
there is `NONE`. Sides are 1 (buy) and -1 (sell). The rules are numbered as in ``docs/matching.md``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    type Ints = NDArray[np.int64]

NONE: Final = -(2**62)
"""No price."""

IOC, FOK, GTC = 0, 1, 2
"""Times in force."""

CANCELED, REJECTED = 0, 1
"""How an order ended other than by filling; rejected for want of a market."""

TAKER, MAKER = 0, 1

FILL: Final = ("order", "ts", "price", "quantity", "liquidity")
"""Rows of the fills; `order` counts orders from 0 in the order in which they were sent."""

END: Final = ("order", "ts", "status")
"""Rows of the ends."""

FILLS_AT_LEAST: Final = 1_024

STATE: Final = (
    *("trade", "book", "order", "sent", "fills", "ends", "bids", "asks", "open", "row"),
    *("bid", "ask", "last", "trade_size", "restored_last"),
    *("top_bid", "top_bid_size", "top_ask", "top_ask_size", "top_ts", "quote_bid", "quote_ask"),
    "position",
)
"""What the kernel carries from chunk to chunk.

``trade``, ``book`` and ``order`` are the rows of the chunk that come next; ``sent`` counts orders;
``fills`` and ``ends`` count what is written of them; ``bids``, ``asks`` and ``open`` are the sizes
of the heaps of resting orders and of the list of market orders that were not filled up; ``row`` is
the book of the chunk that stands (-1: none yet). ``bid``, ``ask`` and ``last`` are the prices that
orders are matched against; ``trade_size`` is that of the trade that is being matched;
``restored_last`` is what `last` returns to. ``top_...`` is the book of best prices (L1), and the
``quote_...`` are the prices of the last snapshot. ``position`` is the sum of the fills.
"""

(_TRADE, _BOOK, _ORDER, _SENT, _FILLS, _ENDS, _BIDS, _ASKS, _OPEN, _ROW) = range(10)
(_BID, _ASK, _LAST, _TRADE_SIZE, _RESTORED_LAST) = range(10, 15)
(_TOP_BID, _TOP_BID_SIZE, _TOP_ASK, _TOP_ASK_SIZE, _TOP_TS, _QUOTE_BID, _QUOTE_ASK) = range(15, 22)
_POSITION = 22


class Rules(NamedTuple):
    """What decides the matching of a run.

    Parameters
    ----------
    is_top : bool
        Whether the venue's book has best prices only (L1).
    trades_execute : bool
        Whether trades match resting orders.
    per_trade : bool
        Whether each trade with a side sends an order.
    is_market : bool
        Whether these are market orders.
    lifetime : int
        Their time in force.
    at_first_trade : bool
        Whether the listed orders are sent at the first trade, else each at its own time.
    """

    is_top: bool
    trades_execute: bool
    per_trade: bool
    is_market: bool
    lifetime: int
    at_first_trade: bool


class Trades(NamedTuple):
    """Trades, columns of equal length; `side` is 0 where none is known."""

    ts: Ints
    event_ts: Ints
    price: Ints
    size: Ints
    side: Ints


class Ladders(NamedTuple):
    """The levels of one side of books, best first: row *i* has ``starts[i]`` to ``starts[i + 1]``.

    Sizes are positive, and no row has a price twice.
    """

    starts: Ints
    price: Ints
    size: Ints


class Books(NamedTuple):
    """Snapshots of the book."""

    ts: Ints
    event_ts: Ints
    bids: Ladders
    asks: Ladders


class Listed(NamedTuple):
    """Orders that are listed; `price` is `NONE` for market orders."""

    ts: Ints
    side: Ints
    price: Ints
    size: Ints
    lifetime: Ints


class Resting(NamedTuple):
    """Orders that are not filled up.

    Parameters
    ----------
    bids, asks : int64 arrays, shape (n, 5)
        Heaps of limit orders, the next to be matched first: key of the price (smaller is better),
        number of the order, what is left, its size, its time in force.
    open : int64 array, shape (n,)
        Market orders that wait for nothing.
    """

    bids: Ints
    asks: Ints
    open: Ints


class Market(NamedTuple):
    """Everything that does not change while a chunk is matched."""

    rules: Rules
    books: Books
    resting: Resting
    ends: Ints
    top: tuple[Ints, Ints]


@njit(cache=True)
def _is_before(heap: Ints, one: int, other: int) -> bool:
    """Return whether a resting order is matched before another: better price, then earlier."""
    if heap[one, 0] != heap[other, 0]:
        return bool(heap[one, 0] < heap[other, 0])
    return bool(heap[one, 1] < heap[other, 1])


@njit(cache=True)
def _swap(heap: Ints, one: int, other: int) -> None:
    for column in range(5):
        heap[one, column], heap[other, column] = heap[other, column], heap[one, column]


@njit(cache=True)
def _push(heap: Ints, count: int, entry: tuple[int, int, int, int, int]) -> None:
    """Add a resting order to a heap of `count`."""
    (heap[count, 0], heap[count, 1], heap[count, 2], heap[count, 3], heap[count, 4]) = entry
    child = count
    while child > 0 and _is_before(heap, child, (child - 1) // 2):
        _swap(heap, child, (child - 1) // 2)
        child = (child - 1) // 2


@njit(cache=True)
def _pop(heap: Ints, count: int) -> None:
    """Move the next resting order of a heap of `count` to its last row, which leaves the heap."""
    last = count - 1
    _swap(heap, 0, last)
    parent = 0
    while True:
        child = 2 * parent + 1
        if child >= last:
            return
        if child + 1 < last and _is_before(heap, child + 1, child):
            child += 1
        if not _is_before(heap, child, parent):
            return
        _swap(heap, child, parent)
        parent = child


@njit(cache=True)
def _add_fill(
    state: Ints, fills: Ints, order: int, ts: int, price: int, quantity: int, liquidity: int
) -> Ints:
    """Write a fill; return the array of fills, a larger one when it was full."""
    count = state[_FILLS]
    if count == fills.shape[1]:
        larger = np.empty((5, 2 * count), np.int64)
        larger[:, :count] = fills
        fills = larger
    fills[0, count] = order
    fills[1, count] = ts
    fills[2, count] = price
    fills[3, count] = quantity
    fills[4, count] = liquidity
    state[_FILLS] = count + 1
    return fills


@njit(cache=True)
def _add_end(state: Ints, ends: Ints, order: int, ts: int, status: int) -> None:
    count = state[_ENDS]
    ends[0, count] = order
    ends[1, count] = ts
    ends[2, count] = status
    state[_ENDS] = count + 1


@njit(cache=True)
def _best(market: Market, state: Ints, side: int) -> int:
    """Return the best price of a side of the venue's book."""
    if market.rules.is_top:
        place = _TOP_BID if side > 0 else _TOP_ASK
        return int(state[place]) if state[place + 1] > 0 else NONE
    row = state[_ROW]
    if row < 0:
        return NONE
    ladders = market.books.bids if side > 0 else market.books.asks
    start = ladders.starts[row]
    return int(ladders.price[start]) if start < ladders.starts[row + 1] else NONE


@njit(cache=True)
def _levels(market: Market, state: Ints, side: int) -> tuple[Ints, Ints, int, int]:
    """Return prices, sizes, start and stop of the levels that an order of a side meets."""
    if market.rules.is_top:
        prices, sizes = market.top
        place = _TOP_ASK if side > 0 else _TOP_BID
        prices[0], sizes[0] = state[place], state[place + 1]
        return prices, sizes, 0, int(state[place + 1] > 0)
    row = state[_ROW]
    ladders = market.books.asks if side > 0 else market.books.bids
    if row < 0:
        return ladders.price, ladders.size, 0, 0
    return ladders.price, ladders.size, ladders.starts[row], ladders.starts[row + 1]


@njit(cache=True)
def _match_prices_to_book(market: Market, state: Ints) -> None:
    state[_BID] = _best(market, state, 1)
    state[_ASK] = _best(market, state, -1)


@njit(cache=True)
def _is_matched(state: Ints, side: int, price: int) -> bool:
    """Return whether a limit order crosses the price of the other side (rule 1)."""
    if side > 0:
        return bool(state[_ASK] != NONE and state[_ASK] <= price)
    return bool(state[_BID] != NONE and state[_BID] >= price)


@njit(cache=True)
def _crossed(
    levels: tuple[Ints, Ints, int, int], side: int, price: int, size: int, trade: int
) -> tuple[int, int, bool]:
    """Return what a book has for an order: where its levels stop, how much, whether at a price."""
    prices, sizes, start, stop = levels
    total = 0
    has_price = False
    level = start
    while level < stop and total < size and (prices[level] - price) * side <= 0:
        has_price |= prices[level] == trade
        total = size if sizes[level] >= size - total else total + sizes[level]
        level += 1
    return level, total, has_price


@njit(cache=True)
def _give_way(
    state: Ints, levels: tuple[Ints, Ints, int, int], stop: int, side: int, price: int
) -> None:
    """Move the matched prices to a resting order where the book is better than it (rule 9)."""
    for level in range(levels[2], stop):
        if levels[0][level] != price:
            state[_RESTORED_LAST] = state[_LAST]
            state[_ASK if side > 0 else _BID] = price
            state[_LAST] = price


@njit(cache=True)
def _fill_by_book(
    market: Market,
    state: Ints,
    fills: Ints,
    ts: int,
    order: tuple[int, int, int, int, int, int],
    liquidity: int,
) -> tuple[Ints, int]:
    """Fill a limit order level by level; return the fills and what is left (rules 7 and 9)."""
    number, side, price, size, left, _ = order
    levels = _levels(market, state, side)
    level, met = levels[2], 0
    while level < levels[3] and met < size and (levels[0][level] - price) * side <= 0:
        # The levels are gone through for the whole size, filled is what is left.
        offered = min(levels[1][level], size - met)
        met += offered
        quantity = min(offered, left)
        if quantity > 0:
            paid = price if liquidity == MAKER else levels[0][level]
            fills = _add_fill(state, fills, number, ts, paid, quantity, liquidity)
            left -= quantity
        level += 1
    return fills, left


@njit(cache=True)
def _fill_limit(
    market: Market,
    state: Ints,
    fills: Ints,
    ts: int,
    order: tuple[int, int, int, int, int, int],
    liquidity: int,
) -> tuple[Ints, int]:
    """Fill a limit order as far as the market goes.

    Returns
    -------
    tuple of (int64 array, int)
        The fills, and what is left of the order: 0 when it is filled or was canceled.
    """
    number, side, price, size, before, lifetime = order
    levels = _levels(market, state, side)
    stop, total, has_trade_price = _crossed(levels, side, price, size, state[_LAST])
    by_trade = (
        state[_TRADE_SIZE] != NONE and not has_trade_price and _is_matched(state, side, price)
    )
    if by_trade:
        # The book does not show the trade: what it traded is filled at the limit (rule 8).
        total = min(before, state[_TRADE_SIZE])
    elif liquidity == MAKER and not market.rules.is_top:
        _give_way(state, levels, stop, side, price)
    left = before
    if lifetime == FOK and before > total:
        _add_end(state, market.ends, number, ts, CANCELED)
        left = 0
    elif by_trade:
        fills = _add_fill(state, fills, number, ts, price, total, liquidity)
        left -= total
        state[_POSITION] += side * total
    elif total > 0:
        fills, left = _fill_by_book(market, state, fills, ts, order, liquidity)
        state[_POSITION] += side * (before - left)
    if lifetime == IOC and 0 < left < before:
        _add_end(state, market.ends, number, ts, CANCELED)
        left = 0
    return fills, left


@njit(cache=True)
def _fill_market(
    market: Market, state: Ints, fills: Ints, ts: int, order: tuple[int, int, int, int]
) -> Ints:
    """Fill a market order through the book (rules 2 to 5)."""
    number, side, size, lifetime = order
    limit = 2**62 * side
    levels = _levels(market, state, side)
    stop, total, _ = _crossed(levels, side, limit, size, NONE)
    if state[_ASK if side > 0 else _BID] == NONE:
        _add_end(state, market.ends, number, ts, REJECTED)
        return fills
    if lifetime == FOK and size > total:
        _add_end(state, market.ends, number, ts, CANCELED)
        return fills
    if total == 0:
        _add_end(state, market.ends, number, ts, REJECTED)
        return fills
    left = size
    for level in range(levels[2], stop):
        quantity = min(levels[1][level], left)
        fills = _add_fill(state, fills, number, ts, levels[0][level], quantity, TAKER)
        left -= quantity
    state[_POSITION] += side * (size - left)
    if left == 0:
        return fills
    if lifetime == IOC:
        _add_end(state, market.ends, number, ts, CANCELED)
    elif market.rules.is_top:
        # What the best price does not take is filled one tick worse (rule 4).
        fills = _add_fill(state, fills, number, ts, levels[0][stop - 1] + side, left, TAKER)
        state[_POSITION] += side * left
    else:
        market.resting.open[state[_OPEN]] = number
        state[_OPEN] += 1
    return fills


@njit(cache=True)
def _send(
    market: Market,
    state: Ints,
    fills: Ints,
    ts: int,
    order: tuple[int, int, int, int],
) -> Ints:
    """Take an order in: side, price (`NONE`: a market order), size, time in force."""
    side, price, size, lifetime = order
    number = state[_SENT]
    state[_SENT] += 1
    if price == NONE:
        done: Ints = _fill_market(market, state, fills, ts, (number, side, size, lifetime))
        return done
    left = size
    if _is_matched(state, side, price):
        fills, left = _fill_limit(
            market, state, fills, ts, (number, side, price, size, size, lifetime), TAKER
        )
    elif lifetime != GTC:
        _add_end(state, market.ends, number, ts, CANCELED)
        return fills
    if left > 0:
        heap, place = (market.resting.bids, _BIDS) if side > 0 else (market.resting.asks, _ASKS)
        _push(heap, state[place], (-side * price, number, left, size, lifetime))
        state[place] += 1
    return fills


@njit(cache=True)
def _match_side(market: Market, state: Ints, fills: Ints, ts: int, side: int) -> Ints:
    """Fill the resting orders of a side that are matched now, best price first, then earliest."""
    heap, place = (market.resting.bids, _BIDS) if side > 0 else (market.resting.asks, _ASKS)
    count = before = state[place]
    while count > 0 and _is_matched(state, side, -side * heap[0, 0]):
        _pop(heap, count)
        count -= 1
    for index in range(before - 1, count - 1, -1):
        price = -side * heap[index, 0]
        order = (heap[index, 1], side, price, heap[index, 3], heap[index, 2], heap[index, 4])
        fills, heap[index, 2] = _fill_limit(market, state, fills, ts, order, MAKER)
    for index in range(count, before):
        if heap[index, 2] > 0:
            entry = (heap[index, 0], heap[index, 1], heap[index, 2], heap[index, 3], heap[index, 4])
            _push(heap, count, entry)
            count += 1
    state[place] = count
    return fills


@njit(cache=True)
def _match_resting(market: Market, state: Ints, fills: Ints, ts: int, by_trade: bool) -> Ints:
    """Match all resting orders; afterwards the matched prices are those of the book."""
    if not by_trade:
        bid, ask = _best(market, state, 1), _best(market, state, -1)
        if bid != NONE:
            state[_BID] = bid
        if ask != NONE:
            state[_ASK] = ask
    if state[_BIDS] > 0 or state[_ASKS] > 0:
        fills = _match_side(market, state, fills, ts, 1)
        fills = _match_side(market, state, fills, ts, -1)
        if state[_RESTORED_LAST] != NONE:
            state[_LAST] = state[_RESTORED_LAST]
            state[_RESTORED_LAST] = NONE
    _match_prices_to_book(market, state)
    return fills


@njit(cache=True)
def _take_book(market: Market, state: Ints, fills: Ints, row: int) -> Ints:
    """Let a snapshot replace the book."""
    books = market.books
    state[_ROW] = row
    if market.rules.is_top:
        bids, asks = books.bids, books.asks
        bid, ask = bids.starts[row], asks.starts[row]
        has_bid, has_ask = bid < bids.starts[row + 1], ask < asks.starts[row + 1]
        state[_QUOTE_BID] = bids.price[bid] if has_bid else NONE
        state[_QUOTE_ASK] = asks.price[ask] if has_ask else NONE
        # By the exchange's time: one that is older than what stands is passed over (rule 6).
        if books.event_ts[row] >= state[_TOP_TS]:
            state[_TOP_TS] = books.event_ts[row]
            state[_TOP_BID], state[_TOP_ASK] = state[_QUOTE_BID], state[_QUOTE_ASK]
            state[_TOP_BID_SIZE] = bids.size[bid] if has_bid else 0
            state[_TOP_ASK_SIZE] = asks.size[ask] if has_ask else 0
    matched: Ints = _match_resting(market, state, fills, books.ts[row], False)
    return matched


@njit(cache=True)
def _set_by_trade(state: Ints, price: int, side: int) -> tuple[int, int]:
    """Move the matched prices to a trade; return both prices before its own side gave way."""
    if side >= 0 and (state[_ASK] == NONE or price > state[_ASK]):
        state[_ASK] = price
    if side <= 0 and (state[_BID] == NONE or price < state[_BID]):
        state[_BID] = price
    if side > 0 and state[_BID] == NONE:
        state[_BID] = price
    if side < 0 and state[_ASK] == NONE:
        state[_ASK] = price
    bid, ask = state[_BID], state[_ASK]
    if side == 0 or (side < 0 and price < ask):
        state[_ASK] = price
    if side == 0 or (side > 0 and price > bid):
        state[_BID] = price
    return bid, ask


@njit(cache=True)
def _take_trade(market: Market, state: Ints, fills: Ints, trades: Trades, row: int) -> Ints:
    """Let a trade move the market."""
    rules = market.rules
    price, size, side = trades.price[row], trades.size[row], trades.side[row]
    if rules.is_top:
        if trades.event_ts[row] < state[_TOP_TS]:
            passed: Ints = _match_resting(market, state, fills, trades.ts[row], False)
            return passed
        state[_TOP_TS] = trades.event_ts[row]
        state[_TOP_BID] = state[_TOP_ASK] = price
        state[_TOP_BID_SIZE] = state[_TOP_ASK_SIZE] = size
    state[_LAST] = price
    if not rules.trades_execute:
        if rules.is_top:
            _match_prices_to_book(market, state)
        return fills
    if not rules.is_top and state[_BIDS] == 0 and state[_ASKS] == 0:
        # Nothing rests, and the book is what it was.
        _match_prices_to_book(market, state)
        return fills
    bid, ask = _set_by_trade(state, price, side)
    state[_TRADE_SIZE] = size
    fills = _match_resting(market, state, fills, trades.ts[row], True)
    state[_TRADE_SIZE] = NONE
    _restore(state, rules, price, side, (bid, ask))
    return fills


@njit(cache=True)
def _restore(state: Ints, rules: Rules, price: int, side: int, before: tuple[int, int]) -> None:
    """Give the price of the side that a trade did not come from its value of before the trade."""
    bid, ask = before
    if rules.is_top:
        bid, ask = state[_QUOTE_BID], state[_QUOTE_ASK]
    if side < 0 and ask != NONE and (rules.is_top or price < ask):
        state[_ASK] = ask
    if side > 0 and bid != NONE and (rules.is_top or price > bid):
        state[_BID] = bid


@njit(cache=True)
def _send_listed(
    market: Market, state: Ints, fills: Ints, listed: Listed, ts: int, stop: int
) -> Ints:
    for index in range(state[_ORDER], stop):
        order = (
            listed.side[index],
            listed.price[index],
            listed.size[index],
            listed.lifetime[index],
        )
        fills = _send(market, state, fills, ts, order)
    state[_ORDER] = stop
    return fills


@njit(cache=True)
def _on_trade(
    market: Market, state: Ints, fills: Ints, trades: Trades, row: int, listed: Listed
) -> Ints:
    """Let a trade move the market, then send the orders that it calls for."""
    rules = market.rules
    ts = trades.ts[row]
    fills = _take_trade(market, state, fills, trades, row)
    sent = state[_SENT]
    if rules.at_first_trade and state[_ORDER] < len(listed.ts):
        fills = _send_listed(market, state, fills, listed, ts, len(listed.ts))
    if rules.per_trade and trades.side[row] != 0:
        price = NONE if rules.is_market else trades.price[row]
        order = (trades.side[row], price, trades.size[row], rules.lifetime)
        fills = _send(market, state, fills, ts, order)
    if state[_SENT] > sent:
        fills = _match_resting(market, state, fills, ts, False)
    return fills


@njit(cache=True, nogil=True)
def match_rows(
    market: Market,
    state: Ints,
    fills: Ints,
    trades: Trades,
    listed: Listed,
    known_ns: int,
) -> Ints:
    """Match the rows of a chunk that are before a time.

    Rows of one time go trades first, then books, then listed orders.

    Parameters
    ----------
    market : Market
        Rules, books of the chunk, resting orders, and the array that takes `END` (it and the
        heaps have a row for each order of the chunk).
    state : int64 array, shape (23,)
        `STATE`; written to.
    fills : int64 array, shape (5, n)
        Takes `FILL`.
    trades, listed
        Those of the chunk.
    known_ns : int
        Rows and orders from this time on are left for the next chunk.

    Returns
    -------
    int64 array, shape (5, m)
        The fills: `fills`, or a larger copy.
    """
    books = market.books
    while True:
        ts = known_ns
        kind = 0
        if state[_TRADE] < len(trades.ts) and trades.ts[state[_TRADE]] < ts:
            ts, kind = trades.ts[state[_TRADE]], 1
        if state[_BOOK] < len(books.ts) and books.ts[state[_BOOK]] < ts:
            ts, kind = books.ts[state[_BOOK]], 2
        is_timed = not market.rules.at_first_trade and state[_ORDER] < len(listed.ts)
        if is_timed and listed.ts[state[_ORDER]] < ts:
            ts, kind = listed.ts[state[_ORDER]], 3
        if kind == 1:
            fills = _on_trade(market, state, fills, trades, state[_TRADE], listed)
            state[_TRADE] += 1
        elif kind == 2:
            fills = _take_book(market, state, fills, state[_BOOK])
            state[_BOOK] += 1
        elif kind == 3:
            stop = state[_ORDER] + 1
            while stop < len(listed.ts) and listed.ts[stop] == ts:
                stop += 1
            fills = _send_listed(market, state, fills, listed, ts, stop)
            fills = _match_resting(market, state, fills, ts, False)
        else:
            return fills


@njit(cache=True, nogil=True)
def close_positions(market: Market, state: Ints, fills: Ints, ts: int, quantities: Ints) -> Ints:
    """Cancel what rests, and send a market order for each position (signed quantities)."""
    for heap, place in ((market.resting.bids, _BIDS), (market.resting.asks, _ASKS)):
        for index in range(state[place]):
            _add_end(state, market.ends, heap[index, 1], ts, CANCELED)
        state[place] = 0
    for index in range(state[_OPEN]):
        _add_end(state, market.ends, market.resting.open[index], ts, CANCELED)
    state[_OPEN] = 0
    for quantity in quantities:
        side = -1 if quantity > 0 else 1
        fills = _send(market, state, fills, ts, (side, NONE, abs(quantity), GTC))
    return fills
