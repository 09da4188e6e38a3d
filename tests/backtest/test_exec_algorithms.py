"""Orders worked in parts: when each part is sent, how large it is, and that nothing is lost."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from tinydays import DAY, NOON, BookRow, Market, Outcome, TradeRow, moment, text, variant

from odum_assets.config.sections.algorithms import TwapAlgorithm

D = Decimal
MINUTE = 60
DEEP = [("63999.9", "50")], [("64000.0", "50")]


def _algorithm(kind: str, amount: str, price: str | None = None, **more: Any) -> dict[str, Any]:
    params = more.pop("params")
    return {
        "submission_mode": "seed_orders",
        "orders": [{"side": "buy", "amount": amount, "price": price}],
        "exec_algorithm": {"type": kind, "params": params},
        **more,
    }


def _parts(run: Outcome) -> list[tuple[float, str]]:
    """Return when each order of the algorithm was filled, and by how much."""
    return [
        (round((each["timestamp"] - moment(NOON)) / 1e9, 6), text(each["quantity"]))
        for each in run.fills
        if each["side"] == "buy"
    ]


def _rows(count: int = 12, step: float = 1.0) -> list[TradeRow]:
    return [(NOON + index * step, None, "64000.0", "50") for index in range(count)]


@pytest.fixture
def deep(market: Market) -> Market:
    market.trades(_rows())
    market.books([(NOON - 1, *DEEP)])
    return market


def test_twap_sends_equal_parts_at_equal_times(deep: Market) -> None:
    section = _algorithm(
        "TWAP", "1.003", order_type="MARKET", params={"horizon_secs": 4, "interval_secs": 1}
    )
    run = deep.run(variant(strategy=section), snapshot_mode="book")
    # 1003 lots in four: running totals 250.75, 501.5, 752.25, 1003, rounded down.
    assert _parts(run) == [(0, "0.25"), (1, "0.251"), (2, "0.251"), (3, "0.251")]
    parent, *children = run.orders[:-1]
    assert {each["parent_id"] for each in children} == {parent["id"]}
    # The order keeps its amount, and has what its parts filled; that is counted once.
    assert (text(parent["amount"]), text(parent["filled"])) == ("1.003", "1.003")
    assert parent["avg_fill_price"] == pytest.approx(64000)
    assert sum(each["amount"] for each in children) == D("1.003")
    stats = run.summary["position_stats"]
    assert (stats["buy_quantity"], stats["sell_quantity"]) == (1.003, 1.003)
    assert run.statuses() == ["filled"] * 6
    assert run.summary["position"]["side"] == "FLAT"


def test_parts_that_did_not_fill_are_made_up_for_by_the_last(market: Market) -> None:
    market.trades(_rows())
    market.books(
        [
            (NOON - 1, [("63999.9", "50")], [("64000.0", "0.1")]),
            (NOON + 2.5, *DEEP),
        ]
    )
    section = _algorithm("TWAP", "1", "64000.0", params={"horizon_secs": 4, "interval_secs": 1})
    run = market.run(variant(strategy=section), snapshot_mode="book")
    # Three parts of 0.25 find 0.1 each; the last one is what remains of the order.
    assert _parts(run) == [(0, "0.1"), (1, "0.1"), (2, "0.1"), (3, "0.7")]
    assert run.statuses() == ["filled", "canceled", "canceled", "canceled", "filled", "filled"]
    assert run.summary["position_stats"]["buy_quantity"] == 1.0


RISING: list[BookRow] = [
    (NOON + second - 0.5, [(f"{63999 + 2 * second}.9", "50")], [(f"{64000 + 2 * second}.0", "50")])
    for second in range(-1, 6)
]


def test_parts_of_a_limit_order_are_market_orders_unless_limits_are_asked_for(
    market: Market,
) -> None:
    market.trades(_rows())
    market.books(RISING)
    params = {"horizon_secs": 4, "interval_secs": 1}
    runs = {}
    for kind in ("MARKET", "LIMIT"):
        section = _algorithm("TWAP", "1", "64000.0", params={**params, "child_order_type": kind})
        runs[kind] = market.run(variant(strategy=section), snapshot_mode="book")
    # The market leaves the price behind: market parts go along, limits stay without a fill.
    market_parts, limit_parts = (
        [each for each in run.orders if each["parent_id"]] for run in runs.values()
    )
    assert {each["type"] for each in market_parts} == {"MARKET"}
    bought = [text(each["price"]) for each in runs["MARKET"].fills if each["side"] == "buy"]
    assert bought == ["64000", "64002", "64004", "64006"]
    assert runs["MARKET"].orders[0]["avg_fill_price"] == 64003.0
    assert {(each["type"], text(each["price"])) for each in limit_parts} == {("LIMIT", "64000")}
    assert [text(each["quantity"]) for each in runs["LIMIT"].fills if each["side"] == "buy"] == [
        "0.25"
    ]
    parent = runs["LIMIT"].orders[0]
    assert (text(parent["amount"]), text(parent["filled"])) == ("1", "0.25")
    assert parent["status"] == "canceled"
    default = variant(strategy=_algorithm("TWAP", "1", "64000.0", params=params))
    assert default.content_hash == runs["MARKET"].metadata["config_hash"]
    assert default.content_hash != runs["LIMIT"].metadata["config_hash"]


def test_parts_still_to_come_when_the_window_ends_are_not_sent(deep: Market) -> None:
    section = _algorithm(
        "TWAP", "2", order_type="MARKET", params={"horizon_secs": 40, "interval_secs": 2}
    )
    config = variant(strategy=section, execution={"latency": {"insert_ms": 3000}})
    run = deep.run(config, snapshot_mode="book")
    # 0.1 every two seconds until the close eleven seconds in; later ones never leave.
    sent = [each for each in run.orders if each["parent_id"]]
    assert [round((each["timestamp"] - moment(NOON)) / 1e9) for each in sent] == [0, 2, 4, 6, 8, 10]
    assert {text(each["amount"]) for each in sent} == {"0.1"}
    parent = run.orders[0]
    assert (parent["status"], text(parent["amount"])) == ("canceled", "2")


def test_a_run_option_goes_before_the_configured_algorithm(deep: Market) -> None:
    section = {
        "submission_mode": "seed_orders",
        "orders": [{"side": "buy", "amount": "1"}],
        "order_type": "MARKET",
    }
    algorithm = TwapAlgorithm.model_validate(
        {"type": "TWAP", "params": {"horizon_secs": 2, "interval_secs": 1}}
    )
    run = deep.run(variant(strategy=section), snapshot_mode="book", exec_algorithm=algorithm)
    assert _parts(run) == [(0, "0.5"), (1, "0.5")]
    assert run.metadata["exec_algorithm"]["type"] == "TWAP"


def _vwap(market: Market) -> Outcome:
    # One part a minute, for four minutes.
    section = _algorithm(
        "VWAP",
        "1",
        order_type="MARKET",
        params={"horizon_secs": 240, "intervals": 4, "lookback_days": 1},
    )
    return market.run(variant(strategy=section), snapshot_mode="book")


def test_vwap_follows_the_volume_of_the_day_before_and_nothing_later(market: Market) -> None:
    market.trades(_rows(8, MINUTE))
    market.books([(NOON - 1, *DEEP)])
    flat = _vwap(market)
    # Without a day before: evenly, and said so.
    even = [(0, "0.25"), (60, "0.25"), (120, "0.25"), (180, "0.25")]
    assert _parts(flat) == even
    assert any("no day before" in each for each in flat.result.flags)
    assert flat.metadata["volume_curve"] == {"days": [], "uniform": True}

    before = DAY - timedelta(days=1)
    # Volume of the four minutes from noon: 1, 2, 0 and 7 of 10.
    volumes = [(0, "0.4"), (30, "0.6"), (60, "2.0"), (200, "7.0"), (3600, "90.0")]
    market.trades([(NOON + second, "buy", "64000.0", size) for second, size in volumes], day=before)
    # Three days back is beyond the lookback of one day; the day after lies ahead.
    ahead = [(NOON + 130.0, "buy", "64000.0", "999.0")]
    market.trades(ahead, day=DAY - timedelta(days=3))
    run = _vwap(market)
    assert _parts(run) == [(0, "0.1"), (60, "0.2"), (180, "0.7")]
    assert [each["day"] for each in run.metadata["volume_curve"]["days"]] == [before.isoformat()]

    market.trades(ahead, day=DAY + timedelta(days=1))
    again = _vwap(market)
    assert again.result.digest == run.result.digest


def test_vwap_says_where_the_days_before_had_no_volume(market: Market) -> None:
    market.trades(_rows(8, MINUTE))
    market.books([(NOON - 1, *DEEP)])
    market.trades([(3600, "buy", "64000.0", "1")], day=DAY - timedelta(days=1))
    run = _vwap(market)
    assert [size for _, size in _parts(run)] == ["0.25"] * 4
    assert any(each.startswith("VWAP split 1 orders evenly") for each in run.result.flags)


def test_iceberg_shows_a_part_and_replenishes_it_when_it_has_filled(market: Market) -> None:
    market.trades([(NOON + 1, "sell", "64010.0", "1"), (NOON + 9, "sell", "64010.0", "1")])
    far = [("63000.0", "9")]
    market.books(
        [
            (NOON, far, [("64010.0", "9")]),
            (NOON + 2, far, [("64000.0", "0.4")]),  # of the first 0.6
            (NOON + 3, far, [("64010.0", "9")]),
            (NOON + 4, far, [("64000.0", "0.2")]),  # the first part is done, the second shows
        ]
    )
    section = _algorithm(
        "ICEBERG", "2", "64000.0", time_in_force="GTC", params={"visible_pct": 0.3}
    )
    run = market.run(variant(strategy=section), snapshot_mode="book")
    shown = [each for each in run.orders if each["parent_id"]]
    assert [text(each["amount"]) for each in shown[:2]] == ["0.6", "0.6"]
    assert shown[0]["timestamp"] == moment(NOON + 1)
    assert shown[1]["timestamp"] == moment(NOON + 4)
    assert _parts(run)[:2] == [(2, "0.4"), (4, "0.2")]
    bought = sum(each["quantity"] for each in run.fills if each["side"] == "buy")
    assert bought <= 2
    # What was never shown ends with the order.
    assert run.orders[0]["status"] == "canceled"


def test_iceberg_fills_the_whole_order_and_no_more(market: Market) -> None:
    market.trades([(NOON + 1, "sell", "64010.0", "1"), (NOON + 9, "sell", "64010.0", "1")])
    far = [("63000.0", "9")]
    market.books([(NOON, far, [("64010.0", "9")]), (NOON + 2, far, [("63999.0", "50")])])
    section = _algorithm(
        "ICEBERG", "2", "64000.0", time_in_force="GTC", params={"visible_pct": 0.3}
    )
    run = market.run(variant(strategy=section), snapshot_mode="book")
    bought = [text(each["quantity"]) for each in run.fills if each["side"] == "buy"]
    assert bought == ["0.6", "0.6", "0.6", "0.2"]
    assert run.statuses() == ["filled"] * 5
