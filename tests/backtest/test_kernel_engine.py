"""The kernel beside NautilusTrader: equal events, equal results, and what it refuses."""

import itertools
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hostiledays import TICKER, verdicts, write_hostile_day, write_hostile_funding
from tinydays import (
    DAY,
    INVERSE,
    LINEAR,
    NOON,
    SPOT,
    BookRow,
    Market,
    TradeRow,
    own_strategy,
    variant,
    with_strategy,
)

from odum_assets.backtest import witness
from odum_assets.backtest.coverage import UNCOVERED, NotCoveredError, uncovered_request
from odum_assets.backtest.request import RunRequest
from odum_assets.config import LoadedConfig
from odum_assets.errors import BacktestError
from odum_assets.orchestration.checks import evaluate_witness
from odum_assets.results.run import run_backtest
from odum_assets.results.verify import verify_result

LISTED = [
    {"side": "buy", "price": 64000.0, "amount": 3.2},
    {"side": "sell", "price": None, "amount": 0.5},
    {"side": "sell", "price": 64000.3, "amount": 2.5},
]
MODES = ("trades", "book", "both")


def _every_kind(starting_balance: float = 1e12, name: str = LINEAR) -> list[LoadedConfig]:
    """Return a configuration for each order type, time in force, book and list of orders."""
    kinds = itertools.product(
        ("LIMIT", "MARKET"), ("IOC", "FOK", "GTC"), ("L1_MBP", "L2_MBP"), ([], LISTED)
    )
    return [
        variant(
            name,
            strategy={"order_type": order, "time_in_force": lifetime, "orders": orders},
            venue={
                "book_type": book,
                "starting_balance": starting_balance,
                "maker_fee": -0.0001,
            },
        )
        for order, lifetime, book, orders in kinds
    ]


def _verdicts_on(
    market: Market, work: Path, configs: list[LoadedConfig], seed: int
) -> Counter[str]:
    """Return how often which verdict was found on a day; none differs."""
    counts: Counter[str] = Counter()
    for mode in MODES:
        for closes in (True, False):
            options = {"snapshot_mode": mode, "close_positions": closes}
            for config, verdict in verdicts(market, work, configs, **options):
                counts[verdict.verdict] += 1
                kind = config.config, config.ticks.venue.book_type
                assert verdict.verdict != witness.DIFFERS, (seed, options, kind, verdict.detail)
    return counts


def _is_equal_on(market: Market, work: Path, seed: int) -> None:
    write_hostile_day(market, variant(), seed)
    counts = _verdicts_on(market, work, _every_kind(), seed)
    # Closing orders that NautilusTrader's venue rejects after resting orders are not covered.
    assert counts[witness.EQUAL] >= 138


def _pays_equally_on(market: Market, work: Path, seed: int) -> int:
    """Return how many runs with funding were equal; others NautilusTrader ended."""
    kinds = itertools.product(("LIMIT", "MARKET"), ("IOC", "GTC"), ("L1_MBP", "L2_MBP"))
    configs = [
        variant(
            strategy={"order_type": order, "time_in_force": lifetime},
            venue={"book_type": book, "starting_balance": 1e12, "maker_fee": -0.0001},
            data_catalog=TICKER,
        )
        for order, lifetime, book in kinds
    ]
    write_hostile_day(market, configs[0], seed)
    write_hostile_funding(market, configs[0], seed)
    return _verdicts_on(market, work, configs, seed)[witness.EQUAL]


def _arrives_equally_on(market: Market, work: Path, seed: int) -> int:
    """Return how many runs with latency were equal; others have orders underway at the end."""
    draw = np.random.default_rng(seed)
    kinds = itertools.product(("LIMIT", "MARKET"), ("IOC", "FOK", "GTC"), ("L1_MBP", "L2_MBP"))
    configs = [
        variant(
            strategy={"order_type": order, "time_in_force": lifetime, "orders": LISTED},
            venue={"book_type": book, "starting_balance": 1e12, "maker_fee": -0.0001},
            execution={
                "latency": {
                    "insert_ms": float(draw.choice([0, 0.001, 0.05, 1, 7.3, 40])),
                    "cancel_ms": float(draw.choice([0, 0.002, 1, 5])),
                }
            },
            data_catalog=TICKER,
        )
        for order, lifetime, book in kinds
    ]
    write_hostile_day(market, configs[0], seed)
    write_hostile_funding(market, configs[0], seed)
    return _verdicts_on(market, work, configs, seed)[witness.EQUAL]


def _drawn_is_equal_on(market: Market, work: Path, seed: int) -> Counter[str]:
    """Try two kinds of runs that the seed draws, so that thousands of days can be tried."""
    draw = np.random.default_rng(seed)
    name = str(draw.choice([LINEAR, LINEAR, INVERSE, SPOT]))
    has_funding = name == LINEAR and draw.random() < 0.4
    # The days have sizes with three decimals, prices with one.
    precise = {"instrument": {"size_precision": 3, "price_precision": 1}} if name == INVERSE else {}

    def drawn() -> LoadedConfig:
        latency = {
            "insert_ms": float(draw.choice([0, 0.001, 0.05, 1, 7.3, 40])),
            "cancel_ms": float(draw.choice([0, 0.002, 1, 5])),
        }
        return variant(
            name,
            strategy={
                "order_type": str(draw.choice(["LIMIT", "MARKET"])),
                "time_in_force": str(draw.choice(["IOC", "FOK", "GTC"])),
                "orders": LISTED if draw.random() < 0.5 else [],
            },
            venue={
                "book_type": str(draw.choice(["L1_MBP", "L2_MBP"])),
                "starting_balance": 1e12,
                "maker_fee": float(draw.choice([-0.0001, 0, 0.0002])),
                "taker_fee": float(draw.choice([-0.0001, 0, 0.0007])),
            },
            **({"execution": {"latency": latency}} if draw.random() < 0.4 else {}),
            **({"data_catalog": TICKER} if has_funding else {}),
            **precise,
        )

    configs = [drawn(), drawn()]
    write_hostile_day(market, configs[0], seed)
    if has_funding:
        write_hostile_funding(market, configs[0], seed)
    options: dict[str, Any] = {
        "snapshot_mode": str(draw.choice(MODES)),
        "close_positions": bool(draw.random() < 0.5),
    }
    counts: Counter[str] = Counter()
    for config, verdict in verdicts(market, work, configs, **options):
        counts[verdict.verdict] += 1
        assert verdict.verdict != witness.DIFFERS, (seed, options, config.config, verdict.detail)
    return counts


def test_every_event_of_a_hostile_day_is_equal(market: Market, tmp_path: Path) -> None:
    _is_equal_on(market, tmp_path / "work", 20)


def test_every_payment_of_a_hostile_day_is_equal(market: Market, tmp_path: Path) -> None:
    assert _pays_equally_on(market, tmp_path / "work", 3) == 48


def test_every_order_of_a_hostile_day_arrives_equally(market: Market, tmp_path: Path) -> None:
    assert _arrives_equally_on(market, tmp_path / "work", 1) > 40


@pytest.mark.torture
@pytest.mark.timeout(36_000)
@pytest.mark.parametrize(
    "is_equal_on", [_is_equal_on, _pays_equally_on, _arrives_equally_on, _drawn_is_equal_on]
)
def test_every_event_of_hundreds_of_hostile_days_is_equal(tmp_path: Path, is_equal_on: Any) -> None:
    for seed in range(1_000, 1_000 + int(os.environ.get("HOSTILE_DAYS", "300"))):
        folder = tmp_path / str(seed)
        is_equal_on(Market(folder), folder / "work", seed)


TRADES: list[TradeRow] = [
    (NOON + 1, "buy", "64000.2", "2"),
    (NOON + 2, "sell", "63999.9", "1.5"),
    (NOON + 3, None, "64000.0", "1"),
    (NOON + 4, "buy", "64000.1", "0.7"),
]
BOOKS: list[BookRow] = [
    (NOON, [("64000.0", "1"), ("63999.9", "2")], [("64000.1", "1"), ("64000.2", "0.5")])
]


@pytest.mark.parametrize("name", [LINEAR, INVERSE, SPOT])
def test_a_result_differs_in_provenance_only(market: Market, name: str) -> None:
    config = variant(name, venue={"starting_balance": 1e6})
    size = 1_000 if name == INVERSE else 1
    market.trades([(*row[:3], str(float(row[3]) * size)) for row in TRADES], config)
    scaled = [
        (ts, *([(price, str(float(lots) * size)) for price, lots in side] for side in sides))
        for ts, *sides in BOOKS
    ]
    market.books(scaled, config)  # type: ignore[arg-type]
    theirs, ours = (
        market.run(config, snapshot_mode="both", engine=engine) for engine in ("nautilus", "kernel")
    )
    assert (theirs.metadata["engine"], ours.metadata["engine"]) == ("nautilus", "kernel")
    assert theirs.metadata["witness"] == {"verdict": "equal", "detail": None}
    assert ours.metadata["witness"] is None
    assert theirs.result.digest == ours.result.digest
    assert theirs.summary == ours.summary
    assert theirs.fills
    report, other = theirs.result.report_path, ours.result.report_path
    assert report is not None
    assert other is not None
    assert sorted(path.name for path in report.iterdir()) == sorted(
        path.name for path in other.iterdir()
    )
    for path in report.glob("*.parquet"):
        assert pq.read_table(path).equals(pq.read_table(other / path.name)), path.name
    for engine in ("nautilus", "kernel"):
        assert verify_result(theirs.result.run_id, market.settings, engine=engine).equal


REFUSED: dict[str, dict[str, Any]] = {
    "strategy.exec_algorithm": {"strategy": {"exec_algorithm": {"type": "TWAP", "params": {}}}},
    "execution.liquidity_consumption": {"execution": {"liquidity_consumption": True}},
    "execution.queue_position": {"execution": {"queue_position": True}},
    "execution.fill_model": {"execution": {"fill_model": {"prob_slippage": 0.5}}},
    "execution.closing.method work": {"execution": {"closing": {"method": "work"}}},
    "risk.throttling_per_sec": {"risk": {"throttling_per_sec": 5}},
    "venue.oms_type HEDGING": {"venue": {"oms_type": "HEDGING"}},
}


def test_what_is_not_covered_is_refused_by_name(market: Market) -> None:
    future = "BINANCE-FUTURES:FUTURE:BTC-USDT-240628"
    paths = {
        f"{kind}_path": f"raw_tick_data/by_date/day-*/data_type-{kind}/{future}.parquet"
        for kind in ("trades", "book_snapshot_5")
    }
    configs = {name: variant(**sections) for name, sections in REFUSED.items()}
    configs["strategy.path"] = with_strategy(own_strategy("mine:Mine"))
    configs["venue.account_type CASH with time_in_force GTC or latency"] = variant(
        SPOT, venue={"account_type": "CASH"}, strategy={"time_in_force": "GTC"}
    )
    configs["instrument.id of a dated future"] = variant(
        instrument={"id": future}, data_catalog=paths
    )
    assert configs.keys() == {each.name for each in UNCOVERED}
    for name, config in configs.items():
        request = RunRequest(config, (DAY,), DAY.isoformat(), engine="kernel")
        found = uncovered_request(request)
        assert found is not None, name
        assert found.startswith(f"{name}: ")
        with pytest.raises(BacktestError, match="engine kernel does not cover"):
            run_backtest(request, market.settings)


def test_an_order_that_might_be_denied_is_refused(market: Market) -> None:
    market.trades([(NOON + 1, "buy", "64000.2", "1000"), (NOON + 2, "buy", "64000.2", "2000")])
    config = variant(venue={"starting_balance": 1_000_000})
    with pytest.raises(NotCoveredError, match="might exceed the free balance"):
        market.run(config, engine="kernel")
    # NautilusTrader denies it, and its result says why nobody was asked.
    run = market.run(config)
    assert run.summary["orders_by_status"]["denied"] == 1
    assert "free balance" in run.metadata["witness"]["detail"]


def test_a_difference_cannot_be_missed(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    market.trades(TRADES)
    market.books(BOOKS)
    from odum_assets.vectorized.ticks import kernel

    real = kernel.match_rows

    def wrong(chunk: Any, state: Any, known: int) -> None:
        real(chunk, state, known)
        chunk.fills[2, 0] += 1

    monkeypatch.setattr(kernel, "match_rows", wrong)
    run = market.run(snapshot_mode="both")
    found = run.metadata["witness"]
    assert found["verdict"] == "differs"
    assert found["detail"].startswith("fill 1: NautilusTrader {")
    assert "NautilusTrader and the kernel disagree" in run.result.flags[0]
    verdict = evaluate_witness(run.summary, run.metadata)
    assert not verdict.passed
    assert "fill 1" in verdict.text


def test_events_do_not_depend_on_how_rows_are_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from odum_assets.catalog import partition_writer

    found = []
    for rows in (partition_writer.ROW_GROUP_ROWS, 3):
        monkeypatch.setattr(partition_writer, "ROW_GROUP_ROWS", rows)
        own = Market(tmp_path / str(rows))
        write_hostile_day(own, variant(), 21)
        run = own.run(_every_kind()[8], snapshot_mode="both", engine="kernel")
        found.append(run.result.digest)
    assert found[0] == found[1]
