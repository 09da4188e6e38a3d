"""The matching kernel: market rows and orders in, fills and ends of orders out.

Prices are ticks and sizes are lots, both int64: units of their last decimals. A price that is not
there is `NONE`. Sides are 1 (buy) and -1 (sell). The rules are numbered as in ``docs/matching.md``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from numba import njit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    type Ints = NDArray[np.int64]

NONE: Final = -(2**62)
"""No price."""

IOC, FOK, GTC = 0, 1, 2
"""Times in force."""

CANCELED, REJECTED = 0, 1
"""How an order ended other than by filling; rejected for want of a market."""

ARRIVES, CANCELS, CLOSES = 0, 1, 2
"""What happens as positions are closed."""

TAKER, MAKER = 0, 1

FILL: Final = ("order", "ts", "price", "quantity", "liquidity")
"""Rows of the fills; `order` counts orders from 0 in the order in which they were sent."""

END: Final = ("order", "ts", "status")
"""Rows of the ends."""

TRADE: Final = ("ts", "event_ts", "price", "size", "side")
"""Rows of trades; `side` is 0 where none is known."""

LISTED: Final = ("ts", "side", "price", "size", "lifetime")
"""Rows of orders that are listed; `price` is `NONE` for market orders."""

STATE: Final = (
    *("trade", "book", "order", "sent", "fills", "ends", "bids", "asks", "open", "row"),
    *("bid", "ask", "last", "trade_size", "restored_last"),
    *("top_ts", "quote_bid", "quote_ask"),
    "position",
    *("wakeup", "arrived", "underway"),
    *("beyond", "reduced"),
)
"""What the kernel carries from chunk to chunk.

``trade``, ``book`` and ``order`` are the rows of the chunk that come next; ``sent`` counts orders;
``fills`` and ``ends`` count what is written of them; ``bids``, ``asks`` and ``open`` are the sizes
of the heaps of resting orders and of the list of market orders that were not filled up; ``row`` is
the book of the chunk that stands (-1: none yet). ``bid``, ``ask`` and ``last`` are the prices that
orders are matched against; ``trade_size`` is that of the trade that is being matched;
``restored_last`` is what `last` returns to. ``top_ts`` is the exchange's time of an L1 book;
``quote_...`` are the prices of the last snapshot. ``position`` is the sum of the fills. ``wakeup``
is the row of the wake-ups that comes next; of ``underway`` orders that were sent, ``arrived`` ones
have arrived. ``beyond`` is the sum of what resting orders met after they were filled (rule 12);
``reduced`` is the position that the venue had counted when the closing order came.
"""

(_TRADE, _BOOK, _ORDER, _SENT, _FILLS, _ENDS, _BIDS, _ASKS, _OPEN, _ROW) = range(10)
(_BID, _ASK, _LAST, _TRADE_SIZE, _RESTORED_LAST) = range(10, 15)
(_TOP_TS, _QUOTE_BID, _QUOTE_ASK, _POSITION, _WAKEUP, _ARRIVED, _UNDERWAY) = range(15, 22)
_BEYOND, _REDUCED = 22, 23
(_IS_TOP, _TRADES_EXECUTE, _PER_TRADE, _IS_MARKET, _LIFETIME, _AT_FIRST_TRADE, _LATENCY) = range(7)
(_TS, _EVENT_TS, _PRICE, _SIZE, _SIDE) = range(5)


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
    latency_ns : int
        How long orders are on their way to the venue.
    """

    is_top: bool
    trades_execute: bool
    per_trade: bool
    is_market: bool
    lifetime: int
    at_first_trade: bool
    latency_ns: int


class Market(NamedTuple):
    """The arrays of a chunk.

    Parameters
    ----------
    rules : int64 array, shape (7,)
        `Rules`.
    trades : int64 array, shape (5, t)
        `TRADE`.
    times : int64 array, shape (2, b)
        Snapshots of the book: time, and time of the exchange.
    starts : int64 array, shape (2, b + 1)
        Where the bids and the asks of each snapshot begin.
    bids, asks : int64 arrays, shape (2, n)
        Price and size of all levels, best first; sizes are positive, and no row has a price twice.
        The first column holds the best price of an L1 book, whose size is 0 where there is none.
    listed : int64 array, shape (5, o)
        `LISTED`.
    heaps : int64 array, shape (2, r, 5)
        Heaps of resting bids and asks, the next to be matched first: key of the price (smaller is
        better), number of the order, what is left, its size, its time in force.
    open : int64 array, shape (r,)
        Market orders that were not filled up.
    wakeups : int64 array, shape (w,)
        Times at which orders arrive beside those of rows: after the rows of their time.
    sending : int64 array, shape (5, s)
        Orders on their way, rows of `LISTED` with the times of their arrival.
    fills : int64 array, shape (5, f)
        Takes `FILL`; when it is full, fills are counted only.
    ends : int64 array, shape (3, e)
        Takes `END`; it and the heaps have a place for each order of the chunk.
    """

    rules: Ints
    trades: Ints
    times: Ints
    starts: Ints
    bids: Ints
    asks: Ints
    listed: Ints
    heaps: Ints
    open: Ints
    wakeups: Ints
    sending: Ints
    fills: Ints
    ends: Ints


# Nothing is allocated here: without reference counts it is compiled in a fraction of the time.
# Called from Python, and kept on disk with all that they call.
_compiled = njit(cache=True, nogil=True, _nrt=False)
_called = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False)
# A call hands over every number of every array of a chunk: what each row needs is no call.
_inlined = njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False, forceinline=True)


@_inlined
def _is_before(heap: Ints, one: int, other: int) -> bool:
    """Return whether a resting order is matched before another: better price, then earlier."""
    if heap[one, 0] != heap[other, 0]:
        return bool(heap[one, 0] < heap[other, 0])
    return bool(heap[one, 1] < heap[other, 1])


@_inlined
def _swap(heap: Ints, one: int, other: int) -> None:
    for column in range(5):
        heap[one, column], heap[other, column] = heap[other, column], heap[one, column]


@_called
def _push(heap: Ints, count: int, entry: tuple[int, int, int, int, int]) -> None:
    """Add a resting order to a heap of `count`."""
    (heap[count, 0], heap[count, 1], heap[count, 2], heap[count, 3], heap[count, 4]) = entry
    child = count
    while child > 0 and _is_before(heap, child, (child - 1) // 2):
        _swap(heap, child, (child - 1) // 2)
        child = (child - 1) // 2


@_called
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


@_inlined
def _add_fill(
    market: Market, state: Ints, order: int, ts: int, price: int, quantity: int, liquidity: int
) -> None:
    fills, count = market.fills, state[_FILLS]
    state[_FILLS] = count + 1
    if count < fills.shape[1]:
        fills[0, count] = order
        fills[1, count] = ts
        fills[2, count] = price
        fills[3, count] = quantity
        fills[4, count] = liquidity


@_inlined
def _add_end(market: Market, state: Ints, order: int, ts: int, status: int) -> None:
    ends, count = market.ends, state[_ENDS]
    ends[0, count] = order
    ends[1, count] = ts
    ends[2, count] = status
    state[_ENDS] = count + 1


@_inlined
def _levels(market: Market, state: Ints, side: int) -> tuple[int, int]:
    """Return where the levels of a side (1: bids) of the venue's book begin and end."""
    if market.rules[_IS_TOP]:
        return 0, int((market.bids if side > 0 else market.asks)[1, 0] > 0)
    row = state[_ROW]
    if row < 0:
        return 0, 0
    place = 0 if side > 0 else 1
    return market.starts[place, row], market.starts[place, row + 1]


@_inlined
def _best(market: Market, state: Ints, side: int) -> int:
    """Return the best price of a side of the venue's book."""
    start, stop = _levels(market, state, side)
    if start == stop:
        return NONE
    return int((market.bids if side > 0 else market.asks)[0, start])


@_inlined
def _match_prices_to_book(market: Market, state: Ints) -> None:
    state[_BID] = _best(market, state, 1)
    state[_ASK] = _best(market, state, -1)


@_inlined
def _is_matched(state: Ints, side: int, price: int) -> bool:
    """Return whether a limit order crosses the price of the other side (rule 1)."""
    if side > 0:
        return bool(state[_ASK] != NONE and state[_ASK] <= price)
    return bool(state[_BID] != NONE and state[_BID] >= price)


@_inlined
def _crossed(
    market: Market, state: Ints, side: int, price: int, size: int
) -> tuple[int, int, bool]:
    """Return what a book has for an order: where its levels stop, how much, whether at `last`."""
    ladder = market.asks if side > 0 else market.bids
    level, end = _levels(market, state, -side)
    total = 0
    has_price = False
    while level < end and total < size and (ladder[0, level] - price) * side <= 0:
        has_price |= ladder[0, level] == state[_LAST]
        total = size if ladder[1, level] >= size - total else total + ladder[1, level]
        level += 1
    return level, total, has_price


@_called
def _give_way(market: Market, state: Ints, stop: int, side: int, price: int) -> None:
    """Move the matched prices to a resting order where the book is better than it (rule 9)."""
    ladder = market.asks if side > 0 else market.bids
    start, _ = _levels(market, state, -side)
    for level in range(start, stop):
        if ladder[0, level] != price:
            state[_RESTORED_LAST] = state[_LAST]
            state[_ASK if side > 0 else _BID] = price
            state[_LAST] = price


@_inlined
def _fill_by_book(
    market: Market,
    state: Ints,
    ts: int,
    order: tuple[int, int, int, int, int, int],
    stop: int,
    liquidity: int,
) -> int:
    """Fill an order level by level; return what is left of it (rules 3, 7 and 9)."""
    number, side, price, size, left, _ = order
    ladder = market.asks if side > 0 else market.bids
    start, _ = _levels(market, state, -side)
    met = 0
    for level in range(start, stop):
        # The levels are gone through for the whole size, filled is what is left.
        offered = min(ladder[1, level], size - met)
        met += offered
        quantity = min(offered, left)
        if quantity > 0:
            paid = price if liquidity == MAKER else ladder[0, level]
            _add_fill(market, state, number, ts, paid, quantity, liquidity)
            left -= quantity
        elif left == 0:
            state[_BEYOND] += side * offered
    return left


@_called
def _fill_limit(
    market: Market,
    state: Ints,
    ts: int,
    order: tuple[int, int, int, int, int, int],
    liquidity: int,
) -> int:
    """Fill a limit order as far as the market goes.

    Returns
    -------
    int
        What is left of the order: 0 when it is filled or was canceled.
    """
    number, side, price, size, before, lifetime = order
    stop, total, has_trade_price = _crossed(market, state, side, price, size)
    by_trade = (
        state[_TRADE_SIZE] != NONE and not has_trade_price and _is_matched(state, side, price)
    )
    if by_trade:
        # The book does not show the trade: what it traded is filled at the limit (rule 8).
        total = min(before, state[_TRADE_SIZE])
    elif liquidity == MAKER and not market.rules[_IS_TOP]:
        _give_way(market, state, stop, side, price)
    left = before
    if lifetime == FOK and before > total:
        _add_end(market, state, number, ts, CANCELED)
        left = 0
    elif by_trade:
        _add_fill(market, state, number, ts, price, total, liquidity)
        left -= total
        state[_POSITION] += side * total
    elif total > 0:
        left = _fill_by_book(market, state, ts, order, stop, liquidity)
        state[_POSITION] += side * (before - left)
    if lifetime == IOC and left > 0:
        _add_end(market, state, number, ts, CANCELED)
        left = 0
    return left


@_called
def _fill_market(market: Market, state: Ints, ts: int, order: tuple[int, int, int, int]) -> None:
    """Fill a market order through the book (rules 2 to 5)."""
    number, side, size, lifetime = order
    limit = 2**62 * side
    stop, total, _ = _crossed(market, state, side, limit, size)
    if state[_ASK if side > 0 else _BID] == NONE:
        _add_end(market, state, number, ts, REJECTED)
        return
    if lifetime == FOK and size > total:
        _add_end(market, state, number, ts, CANCELED)
        return
    if total == 0:
        _add_end(market, state, number, ts, REJECTED)
        return
    left = _fill_by_book(
        market, state, ts, (number, side, limit, size, size, lifetime), stop, TAKER
    )
    state[_POSITION] += side * (size - left)
    if left == 0:
        return
    if lifetime == IOC:
        _add_end(market, state, number, ts, CANCELED)
    elif market.rules[_IS_TOP]:
        # What the best price does not take is filled one tick worse (rule 4).
        ladder = market.asks if side > 0 else market.bids
        _add_fill(market, state, number, ts, ladder[0, stop - 1] + side, left, TAKER)
        state[_POSITION] += side * left
    else:
        market.open[state[_OPEN]] = number
        state[_OPEN] += 1


@_called
def _send(market: Market, state: Ints, ts: int, order: tuple[int, int, int, int]) -> None:
    """Take an order in: side, price (`NONE`: a market order), size, time in force."""
    side, price, size, lifetime = order
    number = state[_SENT]
    state[_SENT] += 1
    if price == NONE:
        _fill_market(market, state, ts, (number, side, size, lifetime))
        return
    left = size
    if _is_matched(state, side, price):
        whole = (number, side, price, size, size, lifetime)
        left = _fill_limit(market, state, ts, whole, TAKER)
    elif lifetime != GTC:
        _add_end(market, state, number, ts, CANCELED)
        return
    if left > 0:
        place = _BIDS if side > 0 else _ASKS
        heap = market.heaps[place - _BIDS]
        _push(heap, state[place], (-side * price, number, left, size, lifetime))
        state[place] += 1


@_inlined
def _submit(market: Market, state: Ints, ts: int, order: tuple[int, int, int, int]) -> None:
    """Let an order arrive at once, or put it on its way."""
    if market.rules[_LATENCY] == 0:
        _send(market, state, ts, order)
        return
    sending, place = market.sending, state[_UNDERWAY]
    sending[0, place] = ts + market.rules[_LATENCY]
    sending[1, place], sending[2, place], sending[3, place], sending[4, place] = order
    state[_UNDERWAY] = place + 1


@_called
def _match_side(market: Market, state: Ints, ts: int, side: int) -> None:
    """Fill the resting orders of a side that are matched now, best price first, then earliest."""
    place = _BIDS if side > 0 else _ASKS
    heap = market.heaps[place - _BIDS]
    count = before = state[place]
    while count > 0 and _is_matched(state, side, -side * heap[0, 0]):
        _pop(heap, count)
        count -= 1
    for index in range(before - 1, count - 1, -1):
        price = -side * heap[index, 0]
        order = (heap[index, 1], side, price, heap[index, 3], heap[index, 2], heap[index, 4])
        heap[index, 2] = _fill_limit(market, state, ts, order, MAKER)
    for index in range(count, before):
        if heap[index, 2] > 0:
            entry = (heap[index, 0], heap[index, 1], heap[index, 2], heap[index, 3], heap[index, 4])
            _push(heap, count, entry)
            count += 1
    state[place] = count


@_inlined
def _match_resting(market: Market, state: Ints, ts: int, by_trade: bool) -> None:
    """Match all resting orders; afterwards the matched prices are those of the book."""
    if not by_trade:
        bid, ask = _best(market, state, 1), _best(market, state, -1)
        if bid != NONE:
            state[_BID] = bid
        if ask != NONE:
            state[_ASK] = ask
    if state[_BIDS] > 0 or state[_ASKS] > 0:
        _match_side(market, state, ts, 1)
        _match_side(market, state, ts, -1)
        if state[_RESTORED_LAST] != NONE:
            state[_LAST] = state[_RESTORED_LAST]
            state[_RESTORED_LAST] = NONE
    _match_prices_to_book(market, state)


@_called
def _arrive(market: Market, state: Ints, ts: int) -> None:
    """Take in the orders that have arrived by a time, then match what rests (rule 15)."""
    sending, first = market.sending, state[_ARRIVED]
    while state[_ARRIVED] < state[_UNDERWAY] and sending[0, state[_ARRIVED]] <= ts:
        place = state[_ARRIVED]
        order = (sending[1, place], sending[2, place], sending[3, place], sending[4, place])
        _send(market, state, ts, order)
        state[_ARRIVED] += 1
    if state[_ARRIVED] > first:
        _match_resting(market, state, ts, False)


@_inlined
def _take_book(market: Market, state: Ints, row: int) -> None:
    """Let a snapshot replace the book."""
    state[_ROW] = row
    if market.rules[_IS_TOP]:
        bid, ask = market.starts[0, row], market.starts[1, row]
        has_bid, has_ask = bid < market.starts[0, row + 1], ask < market.starts[1, row + 1]
        state[_QUOTE_BID] = market.bids[0, bid] if has_bid else NONE
        state[_QUOTE_ASK] = market.asks[0, ask] if has_ask else NONE
        # By the exchange's time: one that is older than what stands is passed over (rule 6).
        if market.times[1, row] >= state[_TOP_TS]:
            state[_TOP_TS] = market.times[1, row]
            market.bids[0, 0], market.asks[0, 0] = state[_QUOTE_BID], state[_QUOTE_ASK]
            market.bids[1, 0] = market.bids[1, bid] if has_bid else 0
            market.asks[1, 0] = market.asks[1, ask] if has_ask else 0
    _match_resting(market, state, market.times[0, row], False)


@_inlined
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


@_inlined
def _take_trade(market: Market, state: Ints, row: int) -> None:
    """Let a trade move the market."""
    rules, trades = market.rules, market.trades
    ts, price, size, side = (
        trades[_TS, row],
        trades[_PRICE, row],
        trades[_SIZE, row],
        trades[_SIDE, row],
    )
    if rules[_IS_TOP]:
        if trades[_EVENT_TS, row] < state[_TOP_TS]:
            _match_resting(market, state, ts, False)
            return
        state[_TOP_TS] = trades[_EVENT_TS, row]
        market.bids[0, 0] = market.asks[0, 0] = price
        market.bids[1, 0] = market.asks[1, 0] = size
    state[_LAST] = price
    if not rules[_TRADES_EXECUTE]:
        if rules[_IS_TOP]:
            _match_prices_to_book(market, state)
        return
    bid, ask = _set_by_trade(state, price, side)
    state[_TRADE_SIZE] = size
    _match_resting(market, state, ts, True)
    state[_TRADE_SIZE] = NONE
    _restore(market, state, price, side, (bid, ask))


@_inlined
def _restore(market: Market, state: Ints, price: int, side: int, before: tuple[int, int]) -> None:
    """Give the price of the side that a trade did not come from its value of before the trade."""
    bid, ask = before
    is_top = market.rules[_IS_TOP] != 0
    if is_top:
        bid, ask = state[_QUOTE_BID], state[_QUOTE_ASK]
    if side < 0 and ask != NONE and (is_top or price < ask):
        state[_ASK] = ask
    if side > 0 and bid != NONE and (is_top or price > bid):
        state[_BID] = bid


@_called
def _send_listed(market: Market, state: Ints, ts: int, stop: int) -> None:
    listed = market.listed
    for index in range(state[_ORDER], stop):
        order = (listed[1, index], listed[2, index], listed[3, index], listed[4, index])
        _submit(market, state, ts, order)
    state[_ORDER] = stop


@_inlined
def _on_trade(market: Market, state: Ints, row: int) -> None:
    """Let a trade move the market, then send the orders that it calls for."""
    rules, trades = market.rules, market.trades
    ts, side, orders = trades[_TS, row], trades[_SIDE, row], market.listed.shape[1]
    _take_trade(market, state, row)
    sent = state[_SENT]
    if rules[_AT_FIRST_TRADE] and state[_ORDER] < orders:
        _send_listed(market, state, ts, orders)
    if rules[_PER_TRADE] and side != 0:
        price = NONE if rules[_IS_MARKET] else trades[_PRICE, row]
        _submit(market, state, ts, (side, price, trades[_SIZE, row], rules[_LIFETIME]))
    if state[_SENT] > sent:
        _match_resting(market, state, ts, False)


@_inlined
def _next_event(market: Market, state: Ints, known_ns: int) -> tuple[int, int]:
    """Return when something happens next, and what: trade, book, listed orders, wake-up; or 0."""
    trades, books, orders = market.trades, market.times, market.listed
    ts, kind = known_ns, 0
    if state[_TRADE] < trades.shape[1] and trades[0, state[_TRADE]] < ts:
        ts, kind = trades[0, state[_TRADE]], 1
    if state[_BOOK] < books.shape[1] and books[0, state[_BOOK]] < ts:
        ts, kind = books[0, state[_BOOK]], 2
    is_timed = not market.rules[_AT_FIRST_TRADE] and state[_ORDER] < orders.shape[1]
    if is_timed and orders[0, state[_ORDER]] < ts:
        ts, kind = orders[0, state[_ORDER]], 3
    wakeups = market.wakeups
    if state[_WAKEUP] < len(wakeups) and wakeups[state[_WAKEUP]] < ts:
        ts, kind = wakeups[state[_WAKEUP]], 4
    return ts, kind


@_called
def _on_time(market: Market, state: Ints, ts: int) -> None:
    """Send the listed orders of a time."""
    orders, sent = market.listed, state[_SENT]
    stop = state[_ORDER] + 1
    while stop < orders.shape[1] and orders[0, stop] == ts:
        stop += 1
    _send_listed(market, state, ts, stop)
    if state[_SENT] > sent:
        _match_resting(market, state, ts, False)


@_compiled
def match_rows(market: Market, state: Ints, known_ns: int) -> None:
    """Match the rows of a chunk that are before a time.

    Rows of one time go trades first, then books, then listed orders, then wake-ups.

    Parameters
    ----------
    market : Market
        The chunk.
    state : int64 array, shape (24,)
        `STATE`; written to.
    known_ns : int
        Rows and orders from this time on are left for the next chunk.
    """
    while True:
        ts, kind = _next_event(market, state, known_ns)
        if kind == 0:
            return
        if kind == 1:
            _on_trade(market, state, state[_TRADE])
            state[_TRADE] += 1
        elif kind == 2:
            _take_book(market, state, state[_BOOK])
            state[_BOOK] += 1
        elif kind == 3:
            _on_time(market, state, ts)
        else:
            state[_WAKEUP] += 1
        if state[_ARRIVED] < state[_UNDERWAY]:
            _arrive(market, state, ts)


@_called
def _cancel_all(market: Market, state: Ints, ts: int) -> None:
    for place in (_BIDS, _ASKS):
        heap = market.heaps[place - _BIDS]
        for index in range(state[place]):
            _add_end(market, state, heap[index, 1], ts, CANCELED)
        state[place] = 0
    for index in range(state[_OPEN]):
        _add_end(market, state, market.open[index], ts, CANCELED)
    state[_OPEN] = 0


@_called
def _reduce(market: Market, state: Ints, ts: int, row: int) -> None:
    """Send an order that closes a position: for no more than the venue has counted (rule 12)."""
    listed = market.listed
    side = listed[1, row]
    state[_REDUCED] = -side * (state[_POSITION] + state[_BEYOND])
    if state[_REDUCED] <= 0:
        return
    size, waiting = min(listed[3, row], state[_REDUCED]), state[_OPEN]
    _send(market, state, ts, (side, listed[2, row], size, listed[4, row]))
    # Cancels that arrive later are not for this order.
    state[_OPEN] = waiting


@_compiled
def close_positions(market: Market, state: Ints, steps: Ints) -> None:
    """Let orders on their way arrive, cancel what is open, and send the listed orders.

    Parameters
    ----------
    market : Market
        The last chunk; its listed orders close positions.
    state : int64 array, shape (24,)
        `STATE`; written to.
    steps : int64 array, shape (2, k)
        Times, and what happens: `ARRIVES` (the next order on its way), `CANCELS` or `CLOSES`.
    """
    for step in range(steps.shape[1]):
        ts = steps[0, step]
        if steps[1, step] == ARRIVES:
            sending, place = market.sending, state[_ARRIVED]
            order = (sending[1, place], sending[2, place], sending[3, place], sending[4, place])
            _send(market, state, ts, order)
            state[_ARRIVED] += 1
        elif steps[1, step] == CANCELS:
            _cancel_all(market, state, ts)
        else:
            for row in range(market.listed.shape[1]):
                _reduce(market, state, ts, row)
        if step + 1 == steps.shape[1] or steps[0, step + 1] != ts:
            _match_resting(market, state, ts, False)
    state[_ORDER] = market.listed.shape[1]
