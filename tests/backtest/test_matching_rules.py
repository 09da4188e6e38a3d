"""One case for each rule of ``docs/matching.md``, worked out by hand; both engines must agree."""

from typing import Any

import pytest
from hostiledays import TICKER
from tinydays import (
    DAY,
    INVERSE,
    NOON,
    BookRow,
    FundingRow,
    Level,
    Market,
    TradeRow,
    moment,
    variant,
)

from odum_assets.errors import BacktestError

BID = [("64000.0", "1"), ("63999.9", "2")]
ASK = [("64000.1", "1"), ("64000.2", "2")]
BOOK: list[BookRow] = [(NOON, BID, ASK)]


Fill = tuple[int, str, str, str, str]
"""Second after noon, side, price, quantity, liquidity."""


def _case(
    trades: list[TradeRow],
    fills: list[Fill],
    statuses: list[str],
    books: list[BookRow] = BOOK,
    mode: str = "book",
    closes: bool = False,
    **sections: Any,
) -> Any:
    return (
        trades,
        fills,
        statuses,
        books,
        {"snapshot_mode": mode, "close_positions": closes},
        sections,
    )


def _orders(lifetime: str, *orders: tuple[str, float | None, float]) -> dict[str, Any]:
    listed = [{"side": side, "price": price, "amount": size} for side, price, size in orders]
    return {"submission_mode": "seed_orders", "orders": listed, "time_in_force": lifetime}


CASES = {
    "1 trades come before books of their time": _case(
        [(NOON, "buy", "64000.2", "1"), (NOON + 1, "buy", "64000.2", "1")],
        [(1, "buy", "64000.1", "1", "taker")],
        ["canceled", "filled"],
    ),
    "2 level by level": _case(
        [(NOON + 1, "buy", "64000.2", "2")],
        [(1, "buy", "64000.1", "1", "taker"), (1, "buy", "64000.2", "1", "taker")],
        ["filled"],
    ),
    "2 no market": _case(
        [(NOON + 1, "buy", "64000.2", "2")],
        [],
        ["rejected"],
        [(NOON, BID, [])],
        strategy={"order_type": "MARKET"},
    ),
    "3 the rest of an IOC order is canceled": _case(
        [(NOON + 1, "buy", "64000.1", "2")], [(1, "buy", "64000.1", "1", "taker")], ["canceled"]
    ),
    "3 all or nothing": _case(
        [(NOON + 1, "buy", "64000.1", "2"), (NOON + 2, "buy", "64000.2", "3")],
        [(2, "buy", "64000.1", "1", "taker"), (2, "buy", "64000.2", "2", "taker")],
        ["canceled", "filled"],
        strategy={"time_in_force": "FOK"},
    ),
    "4 one tick worse": _case(
        [(NOON + 1, None, "64000.0", "1")],
        [(1, "buy", "64000", "1", "taker"), (1, "buy", "64000.1", "8", "taker")],
        ["filled"],
        mode="trades",
        strategy=_orders("GTC", ("buy", None, 9)),
    ),
    "4 the rest stays open": _case(
        [(NOON + 1, None, "64000.0", "1")],
        [(1, "buy", "64000.1", "1", "taker"), (1, "buy", "64000.2", "2", "taker")],
        ["open"],
        strategy=_orders("GTC", ("buy", None, 9)),
    ),
    "5 nothing is used up": _case(
        [(NOON + 1, "buy", "64000.1", "1"), (NOON + 2, "buy", "64000.1", "1")],
        [(1, "buy", "64000.1", "1", "taker"), (2, "buy", "64000.1", "1", "taker")],
        ["filled", "filled"],
    ),
    "7 a rest fills again from the same level": _case(
        [(NOON + 1, "buy", "64000.1", "3")],
        [
            (1, "buy", "64000.1", "1", "taker"),
            (1, "buy", "64000.1", "1", "maker"),
            (2, "buy", "64000.1", "1", "maker"),
        ],
        ["filled"],
        [*BOOK, (NOON + 2, BID, ASK)],
        strategy={"time_in_force": "GTC"},
    ),
    "8 a trade beside the book": _case(
        [(NOON + 1, None, "64000.0", "1"), (NOON + 2, "sell", "63998.0", "0.4")],
        [(2, "buy", "63999", "0.4", "maker")],
        ["open"],
        mode="both",
        strategy=_orders("GTC", ("buy", 63999.0, 1)),
    ),
    "9 at its own price": _case(
        [(NOON + 1, None, "64000.0", "1")],
        [(2, "buy", "63999", "1", "maker")],
        ["filled"],
        [*BOOK, (NOON + 2, [("63900.0", "1")], [("63901.0", "5")])],
        strategy=_orders("GTC", ("buy", 63999.0, 1)),
    ),
    "9 the next one of its price is filled by the trade": _case(
        [(NOON + 1, None, "64005.0", "1"), (NOON + 3, "buy", "63999.0", "0.4")],
        [
            (2, "buy", "64000", "1", "maker"),
            (2, "buy", "64000", "1", "maker"),
            (3, "buy", "64000", "1", "maker"),
            (3, "buy", "64000", "0.4", "maker"),
        ],
        ["open", "open"],
        [
            (NOON, [("63990.0", "1")], [("64010.0", "1")]),
            (NOON + 2, [("63990.0", "1")], [("63999.0", "1")]),
        ],
        mode="both",
        strategy=_orders("GTC", ("buy", 64000.0, 5), ("buy", 64000.0, 5)),
    ),
    "10 a crossed book": _case(
        [(NOON + 1, "sell", "64000.0", "2")],
        [(1, "sell", "64000.5", "2", "taker")],
        ["filled"],
        [(NOON, [("64000.5", "3")], [("64000.1", "1")])],
    ),
    "11 out of order and twice": _case(
        [(NOON + 1, "buy", "64000.3", "3")],
        [(1, "buy", "64000.1", "0.5", "taker"), (1, "buy", "64000.2", "2.5", "taker")],
        ["filled"],
        [(NOON, BID, [("64000.2", "1"), ("64000.1", "0.5"), ("64000.2", "4")])],
    ),
    "12 canceled, then closed": _case(
        [(NOON + 1, None, "64000.0", "1")],
        [
            (1, "buy", "64000.1", "1", "taker"),
            (1, "buy", "64000.2", "2", "taker"),
            (1, "sell", "64000", "1", "taker"),
            (1, "sell", "63999.9", "2", "taker"),
        ],
        ["canceled", "filled"],
        closes=True,
        strategy={**_orders("GTC", ("buy", None, 9)), "order_type": "MARKET"},
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_rule(market: Market, case: Any) -> None:
    trades, fills, statuses, books, options, sections = case
    config = variant(**sections)
    market.trades(trades, config)
    market.books(books, config)
    run = market.run(config, **options)
    found = [(int(ts - NOON), *rest[:3], rest[4]) for ts, *rest in run.brief_fills()]
    assert found == fills
    assert run.statuses() == statuses
    assert run.metadata["witness"] == {"verdict": "equal", "detail": None}


RESTS: dict[str, tuple[list[tuple[str, float | None, float]], list[Fill], str]] = {
    # The second book fills what is left of the sale; half a lot of its next level counts, too.
    "less": (
        [("buy", None, 5), ("sell", 64000.2, 2)],
        [
            (1, "buy", "64000.1", "5", "taker"),
            (2, "sell", "64000.2", "1", "maker"),
            (3, "sell", "64000.2", "1", "maker"),
            (4, "sell", "64000", "2.5", "taker"),
            (4, "sell", "64000", "0.5", "simulated"),
        ],
        "filled",
    ),
    # Beyond a purchase it could only close more than there is.
    "more": (
        [("sell", 64000.2, 2)],
        [
            (2, "sell", "64000.2", "1", "maker"),
            (3, "sell", "64000.2", "1", "maker"),
            (4, "buy", "64000.6", "2", "taker"),
        ],
        "filled",
    ),
}


@pytest.mark.parametrize("case", RESTS.values(), ids=RESTS)
@pytest.mark.parametrize("mode", ["report", "fast"])
def test_rule_12_reduces_what_the_venue_has_counted(market: Market, case: Any, mode: str) -> None:
    orders, fills, status = case
    config = variant(strategy=_orders("GTC", *orders))
    ask = [("64000.6", "9")]
    market.books(
        [
            (NOON, [("63999.0", "9")], [("64000.1", "9")]),
            (NOON + 2, [("64000.2", "1")], ask),
            (NOON + 3, [("64000.4", "1.5"), ("64000.3", "9")], ask),
            (NOON + 4, [("64000.0", "9")], ask),
        ],
        config,
    )
    market.trades([(NOON + 1, None, "64000.0", "1")], config)
    theirs, ours = (
        market.run(config, snapshot_mode="book", mode=mode, engine=engine)
        for engine in ("nautilus", "kernel")
    )
    assert theirs.metadata["witness"] == {"verdict": "equal", "detail": None}
    assert theirs.result.digest == ours.result.digest
    assert theirs.summary == ours.summary
    if mode == "fast":
        return
    found = [(int(ts - NOON), *rest[:3], rest[4]) for ts, *rest in theirs.brief_fills()]
    assert found == fills
    assert theirs.statuses()[len(orders)] == status


def test_rule_12_a_closing_order_that_is_rejected_is_refused(market: Market) -> None:
    config = variant(strategy=_orders("GTC", ("buy", None, 2.2), ("sell", 64000.2, 2)))
    ask = [("64000.6", "9")]
    market.books(
        [
            (NOON, [("63999.0", "9")], [("64000.1", "9")]),
            (NOON + 2, [("64000.2", "1")], ask),
            (NOON + 3, [("64000.4", "1.5"), ("64000.3", "9")], ask),
        ],
        config,
    )
    market.trades([(NOON + 1, None, "64000.0", "1")], config)
    run = market.run(config, snapshot_mode="book")
    assert run.statuses()[2] == "rejected"
    assert "rejected by NautilusTrader" in run.metadata["witness"]["detail"]


@pytest.mark.parametrize("is_late", [False, True])
def test_rule_6_by_the_time_of_the_exchange(market: Market, is_late: bool) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from odum_assets.raw.layout import DataType

    config = variant(venue={"book_type": "L1_MBP"}, strategy={"order_type": "MARKET"})
    market.books(BOOK, config)
    market.trades([(NOON + 1, "buy", "64005.0", "1")], config)
    path = market.raw_file(DataType.TRADES, config)
    table = pq.read_table(path)
    shift = 5_000_000 if is_late else 0
    times = pa.array([value - shift for value in table["timestamp"].to_pylist()], pa.int64())
    pq.write_table(
        table.set_column(table.schema.get_field_index("timestamp"), "timestamp", times), path
    )
    market.convert(config, DataType.TRADES, DAY)
    run = market.run(config, snapshot_mode="both", close_positions=False)
    # A trade that is older than the book leaves it as it is.
    assert run.brief_fills()[0][2] == ("64000.1" if is_late else "64005")
    assert run.metadata["witness"]["verdict"] == "equal"


def test_rule_13_rounds_twice(market: Market) -> None:

    config = variant(INVERSE, strategy={"order_type": "MARKET"})
    market.trades([(NOON + 1, "buy", "33333.5", "10"), (NOON + 2, "sell", "77777.5", "70")], config)
    run = market.run(config)
    # 10 / 33333.5 = 0.0003 rounded from 0.00029999...; 70 / 77777.5 = 0.00090000 from 0.00089999.
    assert run.metadata["witness"] == {"verdict": "equal", "detail": None}
    assert len(run.fills) >= 2


FUNDED: dict[str, tuple[list[FundingRow], list[BookRow], str]] = {
    # 2 at the middle of 64000.0 and 64000.3, which is rounded to the even tick.
    "the middle of the book": ([(NOON + 2, "0.001", NOON + 5)], [], "-128.0004"),
    "the last rate that arrives for a time": (
        [(NOON + 2, "0.001", NOON + 5), (NOON + 5, "0.002", NOON + 5)],
        [],
        "-256.0008",
    ),
    "one that arrives later is passed over": (
        [(NOON + 2, "0.001", NOON + 5), (NOON + 6, "0.002", NOON + 5)],
        [],
        "-128.0004",
    ),
    "several times, in any order": (
        [(NOON + 2, "0.001", NOON + 7), (NOON + 3, "0.002", NOON + 5)],
        [],
        "-384.0012",
    ),
    "after all rows of its time": (
        [(NOON + 2, "0.001", NOON + 5)],
        [(NOON + 5, [("65000.0", "5")], [("65000.2", "5")])],
        "-130.0002",
    ),
    "the closing of its time comes before": ([(NOON + 2, "0.001", NOON + 7)], [], "0"),
}


@pytest.mark.parametrize("case", FUNDED.values(), ids=FUNDED)
def test_rule_14_funding(market: Market, case: Any) -> None:
    rates, books, paid = case
    config = variant(data_catalog=TICKER, strategy={"order_type": "MARKET"})
    spread = [("64000.0", "5")], [("64000.3", "5")]
    market.trades([(NOON + 1, "buy", "64000.3", "2"), (NOON + 8, None, "64000.0", "1")], config)
    market.books([(NOON, *spread), *books], config)
    market.funding(rates, config)
    end_ns = moment(NOON + 7) if paid == "0" else None
    run = market.run(config, snapshot_mode="book", end_ns=end_ns)
    assert run.metadata["witness"] == {"verdict": "equal", "detail": None}
    assert run.summary["pnl_breakdown"]["funding"] == float(paid)


@pytest.mark.parametrize(
    ("rates", "asks", "why"),
    [
        ([(NOON + 6, "0.001", NOON + 5)], [("64000.3", "5")], "arrives later"),
        ([(NOON + 2, "0.001", NOON + 5)], [], "has no price"),
    ],
)
def test_rule_14_a_run_that_funding_ends(
    market: Market, rates: list[FundingRow], asks: list[Level], why: str
) -> None:
    config = variant(data_catalog=TICKER, strategy={"order_type": "MARKET"})
    market.trades([(NOON + 1, "sell", "64000.0", "2"), (NOON + 8, None, "64000.0", "1")], config)
    market.books([(NOON, [("64000.0", "5")], asks)], config)
    market.funding(rates, config)
    for engine, text in (("nautilus", "unding"), ("kernel", why)):
        with pytest.raises(BacktestError, match=text):
            market.run(config, snapshot_mode="book", engine=engine)


LATE: dict[str, tuple[list[TradeRow], list[BookRow], dict[str, float], list[Fill]]] = {
    # It meets the book that it finds.
    "with a row": (
        [],
        [(NOON + 2, BID, [("64000.2", "5")])],
        {"insert_ms": 1000},
        [(2, "buy", "64000.2", "1", "taker")],
    ),
    # A tenth of a hundredth of the 1000 s between first trade and end is 1 s.
    "with a timer": (
        [(NOON + 1001, None, "64000.0", "1")],
        [(NOON + 5, BID, ASK)],
        {"insert_ms": 2500},
        [(4, "buy", "64000.1", "1", "taker")],
    ),
    "with a purge, a minute after the first row": (
        [(NOON + 40_001, None, "64000.0", "1")],
        [(NOON + 90, BID, ASK)],
        {"insert_ms": 45_000},
        [(60, "buy", "64000.1", "1", "taker")],
    ),
}


@pytest.mark.parametrize("case", LATE.values(), ids=LATE)
def test_rule_15_latency(market: Market, case: Any) -> None:
    trades, books, latency, fills = case
    config = variant(execution={"latency": latency}, strategy={"order_type": "MARKET"})
    market.trades([(NOON + 1, "buy", "64000.0", "1"), *trades], config)
    market.books([*BOOK, *books], config)
    run = market.run(config, snapshot_mode="book", close_positions=False)
    found = [(int(ts - NOON), *rest[:3], rest[4]) for ts, *rest in run.brief_fills()]
    assert found == fills
    assert run.metadata["witness"] == {"verdict": "equal", "detail": None}


def test_rule_15_closing_orders_arrive_late_as_well(market: Market) -> None:
    config = variant(
        execution={"latency": {"insert_ms": 5, "cancel_ms": 2}}, venue={"book_type": "L1_MBP"}
    )
    market.trades([(NOON + 1, "buy", "64000.1", "1"), (NOON + 2, None, "64000.1", "1")], config)
    market.books([(NOON, *BOOK[0][1:]), (NOON + 3, BID, ASK)], config)
    run = market.run(config, snapshot_mode="both")
    assert run.metadata["witness"] == {"verdict": "equal", "detail": None}
    # Half a millisecond after the latency, less a nanosecond: a timer of the end of the run.
    assert run.fills[-1]["timestamp"] == moment(NOON + 3) + 1 + 5_000_000 + 499_999


ON_THEIR_WAY = {
    # The cancel comes first: it stays open.
    "it rests": ("64000.0", {"insert_ms": 5}, [], ["open"]),
    "it is canceled": ("64000.0", {"insert_ms": 5, "cancel_ms": 9}, [], ["canceled"]),
    "it fills, and stays open": (
        "64000.1",
        {"insert_ms": 5},
        [("buy", "64000.1", "1", "taker")],
        ["filled"],
    ),
}


@pytest.mark.parametrize("case", ON_THEIR_WAY.values(), ids=ON_THEIR_WAY)
def test_rule_15_orders_on_their_way_at_the_closing(market: Market, case: Any) -> None:
    price, latency, fills, statuses = case
    config = variant(
        execution={"latency": latency, "closing": {"method": "book"}},
        strategy={"time_in_force": "GTC"},
    )
    market.trades([(NOON + 1, "buy", price, "1")], config)
    market.books(BOOK, config)
    run = market.run(config, snapshot_mode="book")
    assert run.metadata["witness"] == {"verdict": "equal", "detail": None}
    assert [(*each[1:4], each[5]) for each in run.brief_fills()] == fills
    assert run.statuses() == statuses


def test_rule_15_funding_between_the_closing_order_and_a_late_cancel(market: Market) -> None:
    """The position is closed when the funding is due, though the cancel is still on its way."""
    config = variant(
        execution={"latency": {"cancel_ms": 5}},
        strategy={"time_in_force": "GTC"},
        data_catalog=TICKER,
    )
    market.trades([(NOON + 1, "buy", "64000.1", "1")], config)
    market.books([(NOON, BID, ASK), (NOON + 2, BID, ASK)], config)
    market.funding([(NOON + 1, "0.01", NOON + 2.002)], config)
    run = market.run(config, snapshot_mode="book")
    assert run.metadata["witness"] == {"verdict": "equal", "detail": None}


def test_rule_15_what_arrives_before_the_closing_order_is_no_more_reduced(market: Market) -> None:
    """A purchase arrives while the sale of the position is on its way; a sale makes it less."""
    config = variant(
        execution={"latency": {"insert_ms": 5}, "closing": {"method": "book"}},
        strategy=_orders("IOC", ("buy", None, 5)) | {"submission_mode": "per_trade_tick"},
    )
    market.books([(NOON, [("64000.0", "9")], [("64000.1", "9")])], config)
    market.trades([(NOON + 1, None, "64000.0", "1"), (NOON + 2, "sell", "64000.0", "2")], config)
    run = market.run(config, snapshot_mode="book")
    assert run.metadata["witness"] == {"verdict": "equal", "detail": None}
    assert [each[1:4] for each in run.brief_fills()] == [
        ("buy", "64000.1", "5"),
        ("sell", "64000", "2"),
        ("sell", "64000", "3"),
    ]
    assert int(run.orders[-1]["amount"]) == 3
