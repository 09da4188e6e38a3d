"""How positions are closed at the end: in the last book, at the last price, through many books."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tinydays import (
    CONTRACTS,
    INVERSE,
    LINEAR,
    NOON,
    SPOT,
    BookRow,
    Market,
    Outcome,
    TradeRow,
    iso,
    moment,
    own_strategy,
    text,
    variant,
    with_strategy,
)

from odum_assets.config import LoadedConfig
from odum_assets.errors import BacktestError
from odum_assets.results.verify import verify_result

D = Decimal
MARKET_ORDERS = {"order_type": "MARKET", "time_in_force": "IOC"}

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "linear, netting": (LINEAR, {}),
    "linear, hedging": (LINEAR, {"venue": {"oms_type": "HEDGING"}}),
    "contracts, netting": (CONTRACTS, {}),
    "inverse, netting": (INVERSE, {}),
    "inverse, hedging": (INVERSE, {"venue": {"oms_type": "HEDGING"}}),
    "spot, netting": (SPOT, {}),
    "spot, hedging": (SPOT, {"venue": {"oms_type": "HEDGING"}}),
    "spot, cash": (SPOT, {"venue": {"account_type": "CASH"}}),
}


def _thin(market: Market, config: LoadedConfig) -> None:
    """Three buys of 40 into books that sell 50 and buy 10; the price moves after them."""
    rows: list[TradeRow] = [
        (NOON + second, "buy", f"{60000 + 10 * second}.0", "40") for second in (1, 2, 3)
    ]
    market.trades([*rows, (NOON + 70, None, "60500.0", "1")], config)
    market.books(
        [
            (NOON + second, [("59990.0", "10")], [(f"{60000 + 10 * second}.0", "50")])
            for second in (0, 1, 2, 3, 20, 30, 40, 50, 60, 65, 66, 67, 68, 69)
        ],
        config,
    )


def _config(kind: str, closing: dict[str, Any] | None = None) -> LoadedConfig:
    name, sections = KINDS[kind]
    balance = {"starting_balance": 100_000_000}
    given = {**sections, "venue": {**sections.get("venue", {}), **balance}}
    if closing is not None:
        given["execution"] = {"closing": closing}
    return variant(name, strategy=MARKET_ORDERS, **given)


def _run(market: Market, kind: str, **options: Any) -> Outcome:
    config = _config(kind, options.pop("closing", None))
    _thin(market, config)
    return market.run(config, snapshot_mode="book", **options)


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_book_does_not_take_is_closed_at_the_last_price(market: Market, kind: str) -> None:
    run = _run(market, kind)
    config = _config(kind).config
    simulated = [each for each in run.fills if each["liquidity"] == "simulated"]
    hedging = config.venue.oms_type == "HEDGING"
    assert len(simulated) == (3 if hedging else 1)
    left = sum(each["quantity"] for each in simulated)
    assert left == (D(90) if hedging else D(110))
    assert {text(each["price"]) for each in simulated} == {"60500"}
    for each in simulated:
        contracts = each["quantity"] * config.multiplier
        value = contracts / D(60500) if config.key.is_inverse else contracts * D(60500)
        assert each["commission"] == round(value * config.venue.taker_fee, 8)
    orders = [each for each in run.orders if each["purpose"] == "simulated_close"]
    assert [(each["type"], each["status"]) for each in orders] == [("MARKET", "filled")] * len(
        simulated
    )
    assert {each["status"] for each in run.positions} == {"closed"}
    assert run.summary["position"]["side"] == "FLAT"
    assert run.summary["pnl_breakdown"]["unrealized"] == 0
    # No market was asked, so the result says so first.
    assert run.result.flags[0].startswith(
        f"The closing orders did not fill {text(left)} of what was"
    )
    closing = run.summary["closing"]
    assert (closing["method"], closing["is_flat"]) == ("last_price", True)
    assert (closing["simulated_quantity"], closing["flat"]) == (float(left), None)
    # Equity moves by the fee alone: what was valued at the last price is closed at it.
    book = _run(market, kind, closing={"method": "book"})
    fees = sum(each["commission"] for each in simulated)
    before, after = (each.summary["account"]["final_equity"] for each in (book, run))
    assert D(str(before)) - D(str(after)) == pytest.approx(fees, abs=D("0.00000003"))
    # NautilusTrader's account is the one before the simulated fills, in both.
    names = ("engine_final_balance", "engine_expected_balance", "engine_tolerance")
    assert [run.metadata["reconciliation"][name] for name in names] == [
        book.metadata["reconciliation"][name] for name in names
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_position_is_worked_through_successive_books(market: Market, kind: str) -> None:
    run = _run(market, kind, closing={"method": "work", "work_secs": 40})
    closing = run.summary["closing"]
    orders = [each for each in run.orders if each["purpose"] == "close_positions"]
    # The end is a nanosecond after the last row, at 70; the book of 30 is the one then.
    first, hedging = orders[0]["timestamp"], "hedging" in kind
    assert first == moment(NOON + 30) + 1
    assert (closing["method"], closing["started"][:19]) == ("work", iso(NOON + 30)[:19])
    assert run.summary["account"]["lowest_equity"] is not None
    sold = {each["timestamp"] for each in run.fills if each["side"] == "sell"}
    later = [moment(NOON + second) for second in (40, 50, 60, 65, 66, 67, 68, 69)]
    if hedging:
        # Each position has the book for itself: 40 in four books.
        assert sorted(sold) == [first, *later[:3]]
        assert closing["is_flat"]
        assert closing["seconds"] == pytest.approx(30, abs=1e-6)
        assert not any("open" in flag for flag in run.result.flags)
    else:
        # 120 in books of 10: nine, and the last one once more at the end.
        assert sorted(sold)[:9] == [first, *later]
        assert run.summary["position"]["quantity"] == 20.0
        assert (closing["is_flat"], closing["flat"]) == (False, None)
        assert "working it through the books of 40 s did not close" in run.result.flags[0]
    assert verify_result(run.result.run_id, market.settings).equal


def test_a_hash_without_the_key_stays_and_another_method_has_its_own() -> None:
    kind = "linear, netting"
    plain, hashed = _config(kind), _config
    assert hashed(kind, {"method": "last_price"}).content_hash == plain.content_hash
    # Seconds count where positions are worked.
    assert hashed(kind, {"work_secs": 5}).content_hash == plain.content_hash
    others = [{"method": "book"}, {"method": "work"}, {"method": "work", "work_secs": 5}]
    assert len({plain.content_hash, *(hashed(kind, each).content_hash for each in others)}) == 4


def test_where_the_book_takes_all_the_digest_is_that_of_the_book(market: Market) -> None:
    market.trades([(NOON + 1, "buy", "64000.0", "5"), (NOON + 9, "buy", "63990.0", "1")])
    market.books([(NOON, [("63999.0", "50")], [("64000.0", "50")])])
    runs = [market.run(snapshot_mode="both", closing=each) for each in ("book", "last_price")]
    assert runs[0].result.digest == runs[1].result.digest
    assert runs[0].summary["closing"]["seconds"] == 0
    assert not any("simulated" in flag for flag in runs[1].result.flags)


STOPPED = """
from datetime import timedelta

from nautilus_trader.model import BookType, OrderSide, Quantity

from odum_assets.backtest.strategies.base import OdumStrategy


class Busy(OdumStrategy):
    def on_start(self):
        self.subscribe_trades(self.setup.instrument_id)
        self.subscribe_book_depth(self.setup.instrument_id, BookType.L2_MBP)
        self.clock.set_timer("busy", timedelta(seconds=1), callback=self.say)

    def say(self, event):
        self.log.info(f"timer {event.ts_event}")

    def on_trade(self, trade):
        self.log.info("trade")
        side, size = OrderSide.BUY, Quantity.from_str("4.000")
        self.submit_order(self.order_factory.market(self.setup.instrument_id, side, size))

    def on_book_depth(self, depth):
        self.log.info("book")

    def on_order_filled(self, event):
        self.log.info("fill")

    def on_stop(self):
        self.log.info("stop")
"""


def test_a_strategy_that_was_stopped_is_asked_no_more(
    market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "busy_strategy.py").write_text(STOPPED)
    monkeypatch.chdir(tmp_path)
    closing = {"closing": {"method": "work", "work_secs": 10}}
    config = with_strategy(own_strategy("busy_strategy:Busy"), execution=closing)
    market.trades([(NOON + second, "buy", "64000.0", "5") for second in (1, 2, 15, 20)], config)
    books: list[BookRow] = [
        (NOON + second, [("63999.0", "3")], [("64000.0", "50")]) for second in (0, 9, 11, 12, 13)
    ]
    market.books(books, config)
    run = market.run(config, snapshot_mode="both")
    assert run.summary["closing"]["is_flat"]
    # 8 are worked off in books of 3; the trades of 15 and 20 seconds send nothing.
    sold = [text(each["quantity"]) for each in run.fills if each["side"] == "sell"]
    assert sold == ["3", "3", "2"]
    log = (market.settings.results_path / "logs" / f"{run.result.run_id}.log").read_text()
    lines = log.splitlines()
    assert lines[-1].endswith("[INFO] Busy: stop")
    assert lines[-1].startswith(iso(NOON + 10)[:19])
    assert sum(line.endswith("Busy: trade") for line in lines) == 2
    assert sum(line.endswith("Busy: fill") for line in lines) == 2
    assert sum(line.endswith("Busy: book") for line in lines) == 2


def test_working_for_longer_than_the_window_is_refused(market: Market) -> None:
    config = _config("linear, netting", {"method": "work", "work_secs": 600})
    _thin(market, config)
    with pytest.raises(BacktestError, match="work_secs 600 leaves the strategy no time"):
        market.run(config, snapshot_mode="book")


def test_latency_does_not_sell_twice(market: Market) -> None:
    closing = {"closing": {"method": "work", "work_secs": 40}, "latency": {"insert_ms": 12_000}}
    config = variant(strategy=MARKET_ORDERS, execution=closing)
    _thin(market, config)
    run = market.run(config, snapshot_mode="book")
    sold = sum(each["quantity"] for each in run.fills if each["side"] == "sell")
    bought = sum(each["quantity"] for each in run.fills if each["side"] == "buy")
    assert sold <= bought
    assert run.summary["position"]["quantity"] == float(bought - sold)


def test_without_books_the_trades_are_followed(market: Market) -> None:
    config = _config("linear, netting", {"method": "work", "work_secs": 30})
    _thin(market, config)
    run = market.run(config, snapshot_mode="trades")
    assert run.summary["closing"]["is_flat"]
    sold = {(each["timestamp"] - moment(NOON)) // 10**9 for each in run.fills[3:]}
    assert sold == {40, 70}


def test_an_earlier_result_is_verified_as_it_was_closed(market: Market) -> None:
    run = _run(market, "linear, netting", closing={"method": "book"})
    path = run.result.fast_path
    # As an earlier version wrote it.
    found = json.loads(path.read_text())
    del found["metadata"]["closing"]
    del found["metadata"]["config"]["execution"]["closing"]
    path.write_text(json.dumps(found))
    assert verify_result(run.result.run_id, market.settings).equal
