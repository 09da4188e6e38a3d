"""Days of a few rows for the rules of execution and settlement, worked out by hand."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tinydays import (
    INVERSE,
    LINEAR,
    NOON,
    BookRow,
    Market,
    Outcome,
    TradeRow,
    own_strategy,
    text,
    variant,
    with_strategy,
)

from odum_assets.config import LoadedConfig

D = Decimal
SETTLED = 16 * 3600
TICKER = (
    "raw_tick_data/by_date/day-*/data_type-derivative_ticker/"
    "BINANCE-FUTURES:PERPETUAL:BTC-USDT.parquet"
)


def _seed(side: str, amount: str, price: str, **more: Any) -> dict[str, Any]:
    orders = [{"side": side, "amount": amount, "price": price}]
    return {"submission_mode": "seed_orders", "orders": orders, "time_in_force": "GTC", **more}


def _funded(market: Market, rows: list[TradeRow], **options: Any) -> Outcome:
    config = variant(data_catalog={"derivative_ticker_path": TICKER})
    market.trades(rows, config)
    market.funding([(SETTLED - 300, "0.0001", SETTLED), (SETTLED + 1, "0.0003", 24 * 3600)], config)
    return market.run(config, **options)


@pytest.mark.parametrize(
    ("at_once", "held"),
    [
        ([("sell", "64100.0", "0.5")], "1.5"),
        ([("buy", "64100.0", "1")], "3"),
        ([("sell", "64100.0", "2")], "0"),
        ([("sell", "64100.0", "3")], "-1"),
        ([("sell", "64100.0", "2"), ("buy", "64100.0", "1")], "1"),
        ([("sell", "64100.0", "3"), ("buy", "64100.0", "5")], "4"),
    ],
    ids=["reduced", "increased", "closed", "flipped", "reopened", "flipped twice"],
)
def test_funding_with_fills_in_the_same_nanosecond(
    market: Market, at_once: list[tuple[str, str, str]], held: str
) -> None:
    rows: list[TradeRow] = [
        (SETTLED - 60, "buy", "64000.0", "2"),
        *[(float(SETTLED), side, price, size) for side, price, size in at_once],
        (SETTLED + 60, None, "64100.0", "1"),
    ]
    run = _funded(market, rows, close_positions=False)
    # The rows of the moment come first: what is held after them pays, at their price.
    payment = -D("0.0001") * D(held) * D("64100")
    assert run.summary["pnl_breakdown"]["funding"] == float(payment)
    assert run.metadata["reconciliation"]["engine_difference"] == "0"
    fees = sum((D("0.0005") * D(price) * D(size) for _, price, size in at_once), D(64))
    sold = D(2) if at_once[0][0] == "sell" else D(0)
    realized = 100 * min(sold, D(at_once[0][2]))
    assert run.summary["pnl_breakdown"]["realized"] == float(realized)
    assert run.summary["account"]["final_balance"] == float(
        D(1_000_000) + realized - fees + payment
    )
    assert text(run.fills[-1]["position_quantity"]) == held


QUEUE_BOOK: list[BookRow] = [(NOON, [("64000.0", "3")], [("64000.1", "5")])]


@pytest.mark.parametrize("waits", [False, True])
def test_an_order_waits_behind_what_the_book_showed_when_it_came(
    market: Market, waits: bool
) -> None:
    market.trades(
        [
            (NOON + 1, "buy", "64000.1", "0.1"),
            (NOON + 2, "sell", "64000.0", "2"),
            (NOON + 3, "sell", "64000.0", "1.4"),
            (NOON + 4, "sell", "64000.0", "5"),
        ]
    )
    market.books(QUEUE_BOOK)
    config = variant(
        strategy=_seed("buy", "1", "64000.0"),
        execution={"queue_position": waits},
        venue={"maker_fee": 0.0002},
    )
    run = market.run(config, snapshot_mode="both", close_positions=False)
    found = [fill[:4] for fill in run.brief_fills()]
    if waits:
        # 3 are ahead: sells of 2 and 1 pass to them, 0.4 and then the rest are ours.
        assert found == [(NOON + 3, "buy", "64000", "0.4"), (NOON + 4, "buy", "64000", "0.6")]
    else:
        assert found == [(NOON + 2, "buy", "64000", "1")]
    assert {fill[5] for fill in run.brief_fills()} == {"maker"}
    assert run.summary["pnl_breakdown"]["commissions"] == 12.8


@pytest.mark.parametrize("used_up", [False, True])
def test_two_orders_meet_the_same_size_once_or_twice(market: Market, used_up: bool) -> None:
    market.trades(
        [
            (NOON + 1, "buy", "64000.2", "2"),
            (NOON + 2, "buy", "64000.2", "2"),
            (NOON + 4, "buy", "64000.2", "2"),
        ]
    )
    ladder = [("64000.1", "1"), ("64000.2", "2")]
    again = [("64000.1", "1.5"), ("64000.2", "2")]
    market.books(
        [(NOON, [("64000.0", "9")], ladder), (NOON + 3, [("64000.0", "9")], again)],
    )
    config = variant(execution={"liquidity_consumption": used_up})
    run = market.run(config, snapshot_mode="book", close_positions=False)
    found = [fill[:4] for fill in run.brief_fills()]
    first = [(NOON + 1, "buy", "64000.1", "1"), (NOON + 1, "buy", "64000.2", "1")]
    assert found[:2] == first
    if used_up:
        # One of the 2 at 64000.2 is left for the second order, whose other half is canceled.
        assert found[2] == (NOON + 2, "buy", "64000.2", "1")
        assert run.statuses()[1] == "canceled"
    else:
        assert found[2:4] == [(NOON + 2, side, price, size) for _, side, price, size in first]
        assert run.statuses()[:2] == ["filled", "filled"]
    # The next snapshot shows another size at the best price, which is all there again.
    assert (NOON + 4, "buy", "64000.1", "1.5") in found


def test_a_maker_rebate_is_earned_and_a_taker_fee_is_paid(market: Market) -> None:
    market.trades(
        [
            (NOON + 1, None, "64000.0", "1"),
            (NOON + 2, "sell", "63000.0", "2"),
            (NOON + 9, None, "63000.0", "2"),
        ]
    )
    config = variant(
        strategy=_seed("buy", "2", "63500.0"), venue={"maker_fee": -0.0001, "taker_fee": 0.0004}
    )
    run = market.run(config)
    # Bought 2 at 63500: rebate 12.7. Sold 2 at 63000 as taker: 50.4, and a loss of 1000.
    assert [fill[1:] for fill in run.brief_fills()] == [
        ("buy", "63500", "2", "-12.7", "maker"),
        ("sell", "63000", "2", "50.4", "taker"),
    ]
    assert run.summary["pnl_breakdown"]["commissions"] == 37.7
    assert run.summary["account"]["final_balance"] == float(D(1_000_000) - 1000 - D("37.7"))
    assert run.metadata["reconciliation"]["engine_difference"] == "0"


POST_ONLY = """
from nautilus_trader.model import OrderSide, Price, Quantity, TimeInForce
from odum_assets.backtest.strategies.base import OdumStrategy


class PostOnly(OdumStrategy):
    def on_start(self):
        self.sent = False
        self.subscribe_trades(self.setup.instrument_id)

    def on_trade(self, trade):
        if self.sent:
            return
        self.sent = True
        for price in ("64000.2", "63999.0"):
            order = self.order_factory.limit(
                self.setup.instrument_id,
                OrderSide.BUY,
                Quantity.from_str("1.000"),
                Price.from_str(price),
                time_in_force=TimeInForce.GTC,
                post_only=True,
            )
            self.submit_order(order)
"""
"""Sends two orders that must not take: the first one would, the second rests."""


def test_a_rejected_order_costs_nothing_and_is_counted_with_its_reason(
    market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "post_only.py").write_text(POST_ONLY, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    market.trades([(NOON + 1, "buy", "64000.1", "1"), (NOON + 3, "sell", "63999.0", "1")])
    market.books(
        [
            (NOON, [("64000.0", "9")], [("64000.1", "9")]),
            (NOON + 2, [("63998.0", "9")], [("63998.5", "9")]),
        ]
    )
    run = market.run(with_strategy(own_strategy("post_only:PostOnly")), snapshot_mode="book")
    assert run.statuses() == ["rejected", "filled", "filled"]
    assert run.summary["orders_by_status"] == {"filled": 2, "rejected": 1}
    (reason,) = run.summary["refusals"]
    assert "POST_ONLY" in reason
    assert run.summary["refusals"][reason] == 1
    # The other one: bought as maker at 63999 (12.7998), closed at 63998 (31.999).
    assert [fill[1:] for fill in run.brief_fills()] == [
        ("buy", "63999", "1", "12.7998", "maker"),
        ("sell", "63998", "1", "31.999", "taker"),
    ]
    assert run.summary["account"]["final_balance"] == float(D(1_000_000) - 1 - D("44.7988"))


def _future(name: str, key: str, **sections: Any) -> LoadedConfig:
    paths = {
        f"{kind}_path": f"raw_tick_data/by_date/day-*/data_type-{folder}/{key}.parquet"
        for kind, folder in (("trades", "trades"), ("book_snapshot_5", "book_snapshot_5"))
    }
    return variant(name, instrument={"id": key}, data_catalog=paths, **sections)


def test_a_dated_linear_future_counts_like_a_perpetual_without_funding(market: Market) -> None:
    config = _future(LINEAR, "BINANCE-FUTURES:FUTURE:BTC-USDT-240628")
    market.trades([(NOON + 1, "buy", "64000.0", "2"), (NOON + 2, "sell", "64500.0", "3")], config)
    run = market.run(config)
    # Fees 64, 96.75 and 32.25 for closing the short of 1 at 64500; gain 2 * 500.
    assert [text(each["commission"]) for each in run.fills] == ["64", "96.75", "32.25"]
    assert [text(each["realized_pnl"]) for each in run.fills] == ["0", "1000", "0"]
    assert run.summary["account"]["final_balance"] == float(D(1_000_000) + 1000 - 193)
    assert run.metadata["reconciliation"]["engine_difference"] == "0"


def test_a_dated_inverse_future_counts_in_coins(market: Market) -> None:
    config = _future(INVERSE, "DERIBIT:FUTURE:BTC-USD-240628@INV")
    market.trades(
        [
            (NOON + 1, "sell", "50000.0", "10000"),
            (NOON + 2, "buy", "40000.0", "10000"),
            (NOON + 3, None, "40000.0", "1"),
        ],
        config,
    )
    run = market.run(config)
    # -10000 * (1/50000 - 1/40000) = 0.05; fees 0.2 * 0.0005 and 0.25 * 0.0005.
    assert [text(each["commission"]) for each in run.fills] == ["0.0001", "0.000125"]
    assert run.summary["pnl_breakdown"]["realized"] == 0.05
    assert run.summary["account"]["final_balance"] == float(D(10) + D("0.05") - D("0.000225"))
    assert run.summary["account"]["currency"] == "BTC"
