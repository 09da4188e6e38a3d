"""Days of a few rows whose orders, fills and balances were worked out by hand."""

from decimal import Decimal
from typing import Any

import pytest
from tinydays import (
    CONTRACTS,
    DAY,
    INVERSE,
    NOON,
    SPOT,
    BookRow,
    Market,
    TradeRow,
    moment,
    text,
    variant,
)

D = Decimal

# Five levels a side around 64000, 1 to 5 BTC, that never change.
BIDS = [("64000.0", "1"), ("63999.9", "2"), ("63999.8", "3"), ("63999.7", "4"), ("63999.6", "5")]
ASKS = [("64000.1", "1"), ("64000.2", "2"), ("64000.3", "3"), ("64000.4", "4"), ("64000.5", "5")]
BOOK: list[BookRow] = [(NOON, BIDS, ASKS)]
TRADES: list[TradeRow] = [
    (NOON + 1, "buy", "64000.3", "4"),
    (NOON + 2, "sell", "64000.0", "2"),
    (NOON + 3, "sell", "63999.9", "3.5"),
    (NOON + 4, None, "64000.0", "1"),
    (NOON + 5, "buy", "64000.1", "0.7"),
]
# The positions are closed one nanosecond after the last row: the same second as a float.
CLOSE = NOON + 5 + 1e-9


def _seed(side: str, amount: str, price: str | None = None, **more: Any) -> dict[str, Any]:
    orders = [{"side": side, "amount": amount, "price": price}]
    return {"submission_mode": "seed_orders", "orders": orders, **more}


def _balances(run: Any) -> list[str]:
    return [text(each["balance"]) for each in run.fills]


@pytest.mark.parametrize("mode", ["book", "both"])
def test_limit_ioc_takes_what_the_book_shows_up_to_its_price(market: Market, mode: str) -> None:
    market.trades(TRADES)
    market.books(BOOK)
    run = market.run(snapshot_mode=mode)
    # Taker fee 0.0005. The sell of 2 at 64000.0 finds 1 there, the rest is canceled.
    assert run.brief_fills() == [
        (NOON + 1, "buy", "64000.1", "1", "32.00005", "taker"),
        (NOON + 1, "buy", "64000.2", "2", "64.0002", "taker"),
        (NOON + 1, "buy", "64000.3", "1", "32.00015", "taker"),
        (NOON + 2, "sell", "64000", "1", "32", "taker"),
        (NOON + 3, "sell", "64000", "1", "32", "taker"),
        (NOON + 3, "sell", "63999.9", "2", "63.9999", "taker"),
        (NOON + 5, "buy", "64000.1", "0.7", "22.400035", "taker"),
        (CLOSE, "sell", "64000", "0.7", "22.4", "taker"),
    ]
    assert run.statuses() == ["filled", "canceled", "canceled", "filled", "filled"]
    assert [text(each["filled"]) for each in run.orders] == ["4", "1", "3", "0.7", "0.7"]
    # Entry (64000.1 + 2 * 64000.2 + 64000.3) / 4 = 64000.2
    assert [text(each["realized_pnl"]) for each in run.fills] == [
        *("0", "0", "0", "-0.2", "-0.2", "-0.6", "0", "-0.07"),
    ]
    commissions = D("300.800335")
    assert run.summary["pnl_breakdown"]["commissions"] == float(commissions)
    assert run.summary["pnl_breakdown"]["realized"] == -1.07
    assert _balances(run)[-1] == text(D(1_000_000) - D("1.07") - commissions)
    assert run.summary["account"]["final_balance"] == float(D("999698.129665"))
    assert run.summary["pnl"] == float(D("-301.870335"))
    assert run.summary["skipped_no_aggressor"] == 1
    assert "1 trade rows had no aggressor side and sent no order." in run.result.flags
    assert run.metadata["reconciliation"]["engine_difference"] == "0"
    assert [(each["side"], each["status"]) for each in run.positions] == [
        ("long", "closed"),
        ("long", "closed"),
    ]
    assert run.summary["trades"]["total_trades"] == 2
    assert run.summary["orders_by_status"] == {"filled": 3, "canceled": 2}
    assert run.summary["position"]["side"] == "FLAT"


def test_market_orders_walk_through_levels_and_flip_through_zero(market: Market) -> None:
    market.trades(TRADES)
    market.books(BOOK)
    run = market.run(variant(strategy={"order_type": "MARKET"}), snapshot_mode="book")
    assert run.brief_fills()[3:] == [
        (NOON + 2, "sell", "64000", "1", "32", "taker"),
        (NOON + 2, "sell", "63999.9", "1", "31.99995", "taker"),
        (NOON + 3, "sell", "64000", "1", "32", "taker"),
        (NOON + 3, "sell", "63999.9", "2", "63.9999", "taker"),
        (NOON + 3, "sell", "63999.8", "0.5", "15.99995", "taker"),
        (NOON + 5, "buy", "64000.1", "0.7", "22.400035", "taker"),
        (CLOSE, "buy", "64000.1", "0.8", "25.60004", "taker"),
    ]
    assert [text(each["position_quantity"]) for each in run.fills] == [
        *("1", "3", "4", "3", "2", "1", "-1", "-1.5", "-0.8", "0"),
    ]
    # Short entry (1 * 63999.9 + 0.5 * 63999.8) / 1.5; losses to 64000.1 rounded to 8 decimals.
    assert [text(each["realized_pnl"]) for each in run.fills[6:]] == [
        *("-0.3", "0", "-0.16333333", "-0.18666667"),
    ]
    # The fill that flips: half of its 63.9999 belongs to the long, half to the short.
    long, short = run.positions
    assert long["commissions"] == D("128.0004") + D("63.99995") + D(32) + D("31.99995")
    assert short["commissions"] == D("31.99995") + D("15.99995") + D("22.400035") + D("25.60004")
    assert (long["side"], short["side"]) == ("long", "short")
    assert (long["realized_pnl"], short["realized_pnl"]) == (D(-1), D("-0.35"))
    assert short["peak_quantity"] == D("1.5")


def test_fok_fills_whole_or_is_canceled(market: Market) -> None:
    market.trades(TRADES)
    market.books(BOOK)
    run = market.run(variant(strategy={"time_in_force": "FOK"}), snapshot_mode="book")
    assert run.statuses() == ["filled", "canceled", "canceled", "filled", "filled"]
    assert [text(each["filled"]) for each in run.orders] == ["4", "0", "0", "0.7", "4.7"]
    assert text(run.fills[-1]["position_quantity"]) == "0"


def test_a_resting_order_fills_later_as_maker_at_its_price(market: Market) -> None:
    market.trades(
        [(NOON + 1, "sell", "64000.0", "1"), (NOON + 9, "sell", "63999.0", "1")], variant()
    )
    market.books(
        [
            (NOON, BIDS, ASKS),
            (NOON + 5, [("63998.0", "9")], [("63999.0", "1.5")]),
            (NOON + 7, [("63998.0", "9")], [("63998.5", "9")]),
        ]
    )
    run = market.run(
        variant(strategy=_seed("buy", "2", "63999.5", time_in_force="GTC")), snapshot_mode="book"
    )
    # Maker fee 0.0002; the market comes to the order, first with 1.5, then with plenty.
    assert run.brief_fills()[:2] == [
        (NOON + 5, "buy", "63999.5", "1.5", "19.19985", "maker"),
        (NOON + 7, "buy", "63999.5", "0.5", "6.39995", "maker"),
    ]
    assert run.brief_fills()[2][1:] == ("sell", "63998", "2", "63.998", "taker")
    assert run.summary["pnl_breakdown"]["realized"] == -3.0
    assert run.summary["account"]["final_balance"] == float(D(1_000_000) - 3 - D("89.5978"))


def test_in_trades_mode_the_last_trade_is_the_market(market: Market) -> None:
    market.trades(TRADES)
    run = market.run(variant())
    assert run.brief_fills()[:4] == [
        (NOON + 1, "buy", "64000.3", "4", "128.0006", "taker"),
        (NOON + 2, "sell", "64000", "2", "64", "taker"),
        (NOON + 3, "sell", "63999.9", "3.5", "111.999825", "taker"),
        (NOON + 5, "buy", "64000.1", "0.7", "22.400035", "taker"),
    ]
    assert "there is no depth" in run.summary["simulated"][0]["detail"]


def test_a_configured_throttle_denies_and_says_so(market: Market) -> None:
    rows: list[TradeRow] = [(NOON + 1 + at / 10, "buy", "64000.0", "1") for at in range(5)]
    # A second later the closing order is allowed again.
    market.trades([*rows, (NOON + 3, None, "64000.0", "9")])
    run = market.run(variant(risk={"throttling_per_sec": 3}))
    assert run.statuses() == ["filled"] * 3 + ["denied"] * 2 + ["filled"]
    assert run.summary["refusals"] == {"RATE_LIMIT_EXCEEDED": 2}
    assert run.summary["orders_by_status"] == {"denied": 2, "filled": 4}
    assert "2 orders were denied; see refusals for the reasons." in run.result.flags


def test_what_a_thin_book_does_not_take_stays_open_and_is_flagged(market: Market) -> None:
    market.trades([(NOON + 1, "buy", "64000.0", "5"), (NOON + 9, "buy", "63990.0", "1")])
    market.books([(NOON, [("63999.9", "1")], [("64000.0", "9")])])
    market.books([(NOON, [("63999.0", "2")], [("64000.0", "9")])])
    seed = _seed("buy", "5", order_type="MARKET")
    run = market.run(variant(strategy=seed), snapshot_mode="book", closing="book")
    assert run.summary["position"] == {
        "side": "LONG",
        "quantity": 3.0,
        "entry_price": 64000.0,
        "current_price": 63990.0,
        "open_positions": 1,
        "realized_pnl": -2.0,
        "unrealized_pnl": -30.0,
    }
    assert run.summary["pnl_breakdown"]["unrealized"] == -30.0
    assert run.summary["pnl_breakdown"]["unrealized_before_closing"] == -50.0
    flag = run.result.flags[0]
    assert flag.startswith("A position of 3 is still open")
    assert "-30 USDT unrealized" in flag
    open_row = run.positions[-1]
    assert (open_row["status"], open_row["quantity"], open_row["closed"]) == ("open", D(3), None)
    closing = run.orders[-1]
    assert (closing["purpose"], closing["status"]) == ("close_positions", "open")
    assert (closing["amount"], closing["filled"]) == (D(5), D(2))
    # Fees: 160 for the buy, 63.999 for the sell of 2.
    cash = D(1_000_000) - 160 - D("63.999") - 2
    assert run.summary["account"]["final_balance"] == float(cash)
    assert run.summary["account"]["final_equity"] == float(cash - 30)


def test_positions_stay_open_when_closing_is_switched_off(market: Market) -> None:
    market.trades([(NOON + 1, "buy", "64000.0", "2"), (NOON + 2, None, "64010.0", "1")])
    run = market.run(close_positions=False)
    assert len(run.orders) == 1
    assert run.summary["position"]["quantity"] == 2.0
    assert run.summary["position"]["unrealized_pnl"] == 20.0
    assert run.summary["pnl_breakdown"]["unrealized_before_closing"] is None
    assert "closing was switched off" in run.result.flags[0]


def test_a_cash_account_denies_a_sell_of_what_it_does_not_hold(market: Market) -> None:
    config = variant(SPOT, venue={"account_type": "CASH"})
    rows: list[TradeRow] = [
        (NOON + 1, "sell", "50000.00", "1"),
        (NOON + 2, "buy", "50000.00", "2"),
        (NOON + 3, "sell", "50100.00", "0.5"),
        (NOON + 4, "buy", "50000.00", "100"),
    ]
    market.trades(rows, config)
    run = market.run(config)
    assert run.statuses() == ["denied", "filled", "filled", "denied", "filled"]
    assert all("CUM_NOTIONAL" in each or "BALANCE" in each for each in run.summary["refusals"])
    # Fee 0.001: bought 2 for 100000 + 100, sold 0.5 for 25050 - 25.05, the rest at 50000.
    assert _balances(run)[:2] == ["899900", "924924.95"]
    assert run.brief_fills()[-1][1:] == ("sell", "50000", "1.5", "75", "taker")
    assert run.summary["account"]["final_balance"] == float(D("924924.95") + 75000 - 75)
    assert run.summary["pnl_breakdown"]["realized"] == 50.0


def test_a_cash_account_with_holdings_is_worth_their_full_value(market: Market) -> None:
    config = variant(SPOT, venue={"account_type": "CASH"})
    market.trades([(NOON + 1, "buy", "50000.00", "2"), (NOON + 2, None, "51000.00", "1")], config)
    run = market.run(config, close_positions=False)
    assert run.summary["account"]["final_balance"] == 899_900.0
    assert run.summary["account"]["final_equity"] == 899_900.0 + 102_000.0
    assert run.summary["position"]["unrealized_pnl"] == 2000.0


def test_an_inverse_perpetual_counts_in_coins(market: Market) -> None:
    config = variant(INVERSE)
    market.trades(
        [
            (NOON + 1, "buy", "50000.0", "10000"),
            (NOON + 2, "sell", "40000.0", "4000"),
            (NOON + 3, None, "40000.0", "9000"),
        ],
        config,
    )
    run = market.run(config)
    # Notional 10000 / 50000 = 0.2 BTC, fee 0.0001; 4000 / 40000 = 0.1, fee 0.00005;
    # loss 4000 * (1/50000 - 1/40000) = -0.02, and 6000 * ... = -0.03 at the close.
    assert [text(each["commission"]) for each in run.fills] == ["0.0001", "0.00005", "0.000075"]
    assert [text(each["realized_pnl"]) for each in run.fills] == ["0", "-0.02", "-0.03"]
    assert _balances(run) == ["9.9999", "9.97985", "9.949775"]
    assert run.summary["account"]["currency"] == "BTC"
    assert run.summary["pnl"] == -0.050225


def test_an_inverse_entry_is_averaged_as_venues_do_with_the_engines_figure_beside(
    market: Market,
) -> None:
    config = variant(INVERSE, venue={"starting_balance": 10})
    market.trades(
        [
            (NOON + 1, "buy", "40000.0", "100"),
            (NOON + 2, "buy", "60000.0", "300"),
            (NOON + 3, "sell", "70000.0", "150"),
            (NOON + 4, "sell", "50000.0", "700"),
        ],
        config,
    )
    run = market.run(config)
    # 400 contracts cost 100 / 40000 + 300 / 60000 = 0.0075 BTC: entry 53333.33, as venues count it.
    first = 150 * D("0.0075") / 400 - 150 / D(70000)
    second = 250 * D("0.0075") / 400 - 250 / D(50000)
    expected = ["0", "0", *(text(round(each, 8)) for each in (first, second))]
    assert [text(each["realized_pnl"]) for each in run.fills[:4]] == expected
    # NautilusTrader's entry is (100 * 40000 + 300 * 60000) / 400 = 55000.
    by_engine = [150 * (1 / D(55000) - 1 / D(70000)), 250 * (1 / D(55000) - 1 / D(50000))]
    surplus = sum(round(each, 8) for each in by_engine) - sum(D(each) for each in expected)
    found = run.metadata["reconciliation"]
    assert (found["averaging"], found["engine_averaging"]) == ("harmonic", "arithmetic")
    final = D(found["cash_flow_balance"])
    assert run.summary["account"]["final_balance"] == float(final)
    assert D(found["engine_expected_balance"]) == final + surplus
    assert found["engine_final_balance"] == found["engine_expected_balance"]
    assert (found["engine_difference"], found["engine_tolerance"]) == ("0", "0")


def test_okx_counts_contracts_of_a_hundredth_of_a_coin(market: Market) -> None:
    config = variant(CONTRACTS)
    market.trades(
        [(NOON + 1, "buy", "50000.0", "200"), (NOON + 2, "sell", "50100.0", "150")], config
    )
    run = market.run(config)
    # 200 contracts are 2 BTC: fee 0.0005 * 100000 = 50; 1.5 * 50100 * 0.0005 = 37.575.
    assert [text(each["commission"]) for each in run.fills[:2]] == ["50", "37.575"]
    assert text(run.fills[1]["realized_pnl"]) == "150"
    assert run.summary["pnl_breakdown"]["realized"] == 150.0 + 50.0


def test_hedging_keeps_a_position_per_order_and_closes_each(market: Market) -> None:
    config = variant(venue={"oms_type": "HEDGING"})
    market.trades(
        [
            (NOON + 1, "buy", "64000.0", "2"),
            (NOON + 2, "sell", "64010.0", "0.5"),
            (NOON + 3, None, "64010.0", "9"),
        ]
    )
    run = market.run(config)
    assert len({each["position_id"] for each in run.fills}) == 2
    assert [text(each["realized_pnl"]) for each in run.fills[:2]] == ["0", "0"]
    closing = [each for each in run.orders if each["purpose"] == "close_positions"]
    assert [(each["side"], text(each["amount"])) for each in closing] == [
        ("sell", "2"),
        ("buy", "0.5"),
    ]
    assert [text(each["realized_pnl"]) for each in run.fills[2:]] == ["20", "0"]
    assert run.summary["trades"]["total_trades"] == 2
    assert run.summary["position"]["open_positions"] == 0


def test_latency_lets_an_order_arrive_in_the_market_of_later(market: Market) -> None:
    market.trades([(NOON + 1 + second, "buy", "64000.0", "1") for second in range(5)])
    market.books(
        [
            (NOON, [("63999.0", "9")], [("64000.0", "9")]),
            (NOON + 2.2, [("64004.0", "9")], [("64005.0", "9")]),
        ]
    )
    seed = _seed("buy", "1", order_type="MARKET")
    run = market.run(
        variant(strategy=seed, execution={"latency": {"insert_ms": 1500}}), snapshot_mode="book"
    )
    bought, sold = run.fills
    assert text(bought["price"]) == "64005"
    assert moment(NOON + 2.5) <= bought["timestamp"] <= moment(NOON + 3)
    assert run.orders[0]["timestamp"] == moment(NOON + 1)
    # The closing order leaves after the last row and needs its time, too.
    assert text(sold["price"]) == "64004"
    assert sold["timestamp"] >= moment(NOON + 6.5)
    assert run.summary["position"]["side"] == "FLAT"


def test_an_order_that_rests_when_the_window_ends_is_canceled(market: Market) -> None:
    market.trades([(NOON + 1, "buy", "64000.0", "1"), (NOON + 2, "buy", "64000.0", "1")])
    seed = _seed("buy", "1", "60000.0", time_in_force="GTC")
    for latency in ({}, {"cancel_ms": 1500}):
        run = market.run(variant(strategy=seed, execution={"latency": latency}))
        assert run.statuses() == ["canceled"]
        assert "No order was filled." in run.result.flags


def test_listed_orders_are_sent_before_the_first_rows_own(market: Market) -> None:
    market.trades([(NOON + 1, "buy", "64000.0", "1")])
    orders = [{"side": "sell", "amount": "0.5"}, {"side": "buy", "price": "64000.0", "amount": 2}]
    run = market.run(variant(strategy={"orders": orders}))
    assert [(each["type"], each["side"], text(each["amount"])) for each in run.orders[:3]] == [
        ("MARKET", "sell", "0.5"),
        ("LIMIT", "buy", "2"),
        ("LIMIT", "buy", "1"),
    ]


def _with_funding(**sections: Any) -> Any:
    path = (
        "raw_tick_data/by_date/day-*/data_type-derivative_ticker/"
        "BINANCE-FUTURES:PERPETUAL:BTC-USDT.parquet"
    )
    return variant(data_catalog={"derivative_ticker_path": path}, **sections)


def test_funding_is_charged_at_its_time_on_what_is_held(market: Market) -> None:
    config = _with_funding()
    settled = 16 * 3600
    market.trades(
        [
            (settled - 90, "buy", "64000.0", "2"),
            (settled - 1, None, "64100.0", "1"),
            (settled + 60, "sell", "64000.0", "2"),
        ]
    )
    market.funding([(settled - 120, "0.0001", settled), (settled + 1, "0.0003", 24 * 3600)], config)
    run = market.run(config)
    payment = D(run.metadata["reconciliation"]["balance_change"]) + D("128")
    # -rate * quantity * price: the price is that of the last trade.
    assert payment == -D("0.0001") * 2 * D("64100")
    assert run.summary["pnl_breakdown"]["funding"] == float(payment)
    assert run.summary["pnl_breakdown"]["net"] == run.summary["pnl"]
    balances = {each["timestamp"]: each["balance"] for each in run.equity}
    assert balances[moment(settled - 60)] == D(1_000_000) - 64
    assert balances[moment(settled)] == D(1_000_000) - 64 + payment
    assert not any("Funding" in each for each in run.result.flags)
    aspect = {each["aspect"]: each for each in run.summary["simulated"]}["funding"]
    assert (aspect["simulated"], aspect["detail"]) == (True, "1 payments")


def test_a_short_receives_funding_and_a_flat_account_nothing(market: Market) -> None:
    config = _with_funding()
    settled = 16 * 3600
    market.trades(
        [
            (8 * 3600 - 60, None, "64000.0", "2"),
            (settled - 60, "sell", "64000.0", "2"),
            (settled + 60, "buy", "64000.0", "2"),
        ]
    )
    market.funding(
        [
            (8 * 3600 - 120, "0.01", 8 * 3600),
            (8 * 3600 + 1, "0.0001", settled),
            (settled + 1, "0.0003", 24 * 3600),
        ],
        config,
    )
    run = market.run(config)
    assert run.summary["pnl_breakdown"]["funding"] == 12.8
    assert run.metadata["reconciliation"]["engine_difference"] == "0"


def test_the_day_of_a_result_is_the_day_of_its_files(market: Market) -> None:
    market.trades([(NOON + 1, "buy", "64000.0", "1")])
    run = market.run()
    assert run.metadata["days"] == [DAY.isoformat()]
    assert run.summary["orders"] == 2
