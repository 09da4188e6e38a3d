"""Sweeps: every variant's result is that of a run by itself, and what breaks breaks alone."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from resultday import BOOKS
from tinydays import (
    CONTRACTS,
    DAY,
    INVERSE,
    NOON,
    SPOT,
    Market,
    own_strategy,
    text,
    variant,
    with_strategy,
)

from odum_assets.backtest.request import RunRequest
from odum_assets.catalog import view
from odum_assets.config import LoadedConfig
from odum_assets.config.variants import grid, make_variants
from odum_assets.errors import BacktestError, DataError, OdumError
from odum_assets.results.compare import compare_results
from odum_assets.results.run import run_backtest
from odum_assets.results.store import ResultError, ResultStore
from odum_assets.results.sweep import SweepResult, run_sweep
from odum_assets.results.verify import verify_result

MODULE = '''
import os
from decimal import Decimal

from nautilus_trader.model import BookType, OrderSide, Quantity
from pydantic import BaseModel, ConfigDict

from odum_assets.backtest.strategies.base import OdumStrategy

SEEN = []


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    every: int = 1
    amount: Decimal = Decimal("1.000")
    breaks: str = ""


class Every(OdumStrategy):
    """Buy at every n-th trade and book, in turns with selling; leave a mark in the module."""

    Params = Params

    def __init__(self, setup, params):
        super().__init__(setup, params)
        assert not SEEN, "another variant ran in this process"
        SEEN.append(params.every)
        self.count = 0

    def on_start(self):
        self.subscribe_trades(self.setup.instrument_id)
        self.subscribe_book_depth(self.setup.instrument_id, BookType.L2_MBP)

    def on_book_depth(self, depth):
        self.on_trade(depth)

    def on_trade(self, row):
        self.count += 1
        if self.count == 2:
            if self.params.breaks == "raise":
                raise RuntimeError("broken")
            if self.params.breaks == "abort":
                os.abort()
            if self.params.breaks == "exit":
                os._exit(0)
        if self.params.breaks == "sleep":
            import time
            time.sleep(600)
        if self.count % self.params.every == 0:
            side = OrderSide.BUY if self.count // self.params.every % 2 else OrderSide.SELL
            size = Quantity.from_decimal_dp(self.params.amount, self.setup.size_precision)
            self.submit_order(self.order_factory.market(self.setup.instrument_id, side, size))
'''
OWN = "my_every:Every"


def _request(config: LoadedConfig, **options: Any) -> RunRequest:
    options = {"mode": "fast", "snapshot_mode": "both", **options}
    return RunRequest(config, (DAY,), DAY.isoformat(), **options)


def _agrees(market: Market, request: RunRequest, chosen: list[dict[str, Any]]) -> SweepResult:
    """Run a sweep, and each variant by itself; return the sweep after comparing digests."""
    variants = make_variants(request.config, chosen)
    swept = run_sweep(request, variants, market.settings)
    assert [each.error for each in swept.variants] == [None] * len(variants)
    alone = [
        run_backtest(replace(request, config=each.config), market.settings) for each in variants
    ]
    assert [each.digest for each in swept.variants] == [each.digest for each in alone]
    return swept


@pytest.fixture
def busy(market: Market) -> Market:
    """Return a market in which trades and books often share their time, and several of a kind."""
    trades, books = [], []
    for index in range(400):
        second = NOON + index // 4
        price = f"{64000 + (index * 7) % 11 - 5}.{index % 10}"
        trades.append((second, ("buy", "sell")[index % 3 == 0], price, f"{1 + index % 5}"))
        if index % 2 == 0:
            base = 64000 + (index * 5) % 9
            bids = [(f"{base - level}.0", f"{1 + level}") for level in range(1, 6)]
            asks = [(f"{base + level}.0", f"{2 + level}") for level in range(1, 6)]
            books.append((second, bids, asks))
    market.trades(trades)
    market.books(books)
    return market


@pytest.fixture
def own(busy: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Market:
    (tmp_path / "my_every.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return busy


def test_shipped_strategies_agree_with_runs_by_themselves(busy: Market) -> None:
    axes = {
        "strategy.order_type": ["LIMIT", "MARKET"],
        # Another engine each: the rate is a setting of the engine, not of the venue.
        "risk.throttling_per_sec": [None, 2],
    }
    swept = _agrees(busy, _request(variant()), grid(axes))
    assert len({each.digest for each in swept.variants}) == 4


@pytest.mark.parametrize("snapshot_mode", ["trades", "book", "both"])
def test_venue_settings_reach_the_engine(busy: Market, snapshot_mode: str) -> None:
    config = variant(strategy={"time_in_force": "GTC"})
    chosen: list[dict[str, Any]] = [
        {"venue.taker_fee": 0.001},
        {"venue.starting_balance": 500},
        {"venue.starting_balance": 500, "venue.leverage": 20},
        {"venue.oms_type": "HEDGING"},
        {"execution.fill_model.prob_slippage": 0.5, "execution.fill_model.random_seed": 7},
        {"execution.latency.insert_ms": 600},
        {"execution.queue_position": True, "execution.liquidity_consumption": True},
    ]
    swept = _agrees(busy, _request(config, snapshot_mode=snapshot_mode), chosen)
    assert len({each.digest for each in swept.variants}) >= 5


def test_execution_algorithms_agree(busy: Market) -> None:
    axes = {
        "strategy.exec_algorithm": [
            {"type": "NORMAL"},
            {"type": "TWAP", "params": {"horizon_secs": 4, "interval_secs": 1}},
            {"type": "VWAP", "params": {"horizon_secs": 6, "intervals": 3}},
            {"type": "ICEBERG", "params": {"visible_pct": 0.5}},
        ],
    }
    swept = _agrees(busy, _request(variant()), grid(axes))
    assert len({each.digest for each in swept.variants}) == 4


def test_the_days_before_are_read_once_for_all_variants(
    busy: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    for back in (1, 2, 3):
        rows = [(NOON + 7 * index, "buy", "64000.0", f"{1 + index % back}") for index in range(60)]
        busy.trades(rows, day=DAY - timedelta(days=back))
    hashed: list[str] = []
    hash_file = view.hash_file

    def counted(path: Path) -> str:
        hashed.append(f"{path.parents[1].name}/{path.name}")
        return hash_file(path)

    vwap = {"type": "VWAP", "params": {"horizon_secs": 600, "intervals": 5}}
    config = variant(strategy={"exec_algorithm": vwap})
    axes = {
        "strategy.exec_algorithm.params.lookback_days": [1, 2, 3],
        "strategy.exec_algorithm.params.intervals": [5, 8],
    }
    variants = make_variants(config, grid(axes))
    monkeypatch.setattr(view, "hash_file", counted)
    swept = run_sweep(_request(config), variants, busy.settings)
    assert [each.error for each in swept.variants] == [None] * 6
    # Trades and books of the day, and three days before it.
    assert sorted(hashed) == sorted(set(hashed))
    assert len(hashed) == 5
    store = ResultStore(busy.settings.results_path)
    curves = [
        store.entry(str(each.run_id)).metadata()["volume_curve"]["days"] for each in swept.variants
    ]
    assert [len(days) for days in curves] == [1, 1, 2, 2, 3, 3]
    alone = [run_backtest(_request(each.config), busy.settings) for each in variants]
    assert [each.digest for each in swept.variants] == [each.digest for each in alone]


@pytest.mark.parametrize("name", [SPOT, INVERSE, CONTRACTS])
def test_other_instruments_agree(market: Market, name: str) -> None:
    config = variant(name)
    rows = [(NOON + second, "buy", "64000.0", "10") for second in range(1, 9)]
    market.trades(rows, config)
    market.books(BOOKS, config)
    _agrees(market, _request(config), grid({"strategy.order_type": ["LIMIT", "MARKET"]}))


@pytest.mark.parametrize(
    ("key", "currency"),
    [("BINANCE:SPOT_PAIR:BTC-QXZA", "QXZA"), ("DERIBIT:PERPETUAL:QXZB-USD@INV", "QXZB")],
)
def test_an_account_in_a_coin_that_nautilus_does_not_know_agrees(
    market: Market, key: str, currency: str
) -> None:
    name = SPOT if "SPOT" in key else INVERSE
    config = variant(
        name,
        instrument={"id": key},
        venue={"base_currency": currency},
        data_catalog={
            "trades_path": "raw_tick_data/by_date/day-*/data_type-trades/",
            "book_snapshot_5_path": None,
            "derivative_ticker_path": None,
        },
        fx_stub=None,
    )
    market.trades([(NOON + second, "buy", "64000.0", "10") for second in range(1, 9)], config)
    chosen = grid({"strategy.order_type": ["LIMIT", "MARKET"]})
    _agrees(market, _request(config, snapshot_mode="trades"), chosen)


def test_funding_agrees(market: Market) -> None:
    path = "raw_tick_data/by_date/day-*/data_type-derivative_ticker/"
    config = variant(data_catalog={"derivative_ticker_path": path})
    settled = 16 * 3600
    market.trades(
        [
            (settled - 90, "buy", "64000.0", "2"),
            (settled - 1, None, "64100.0", "1"),
            (settled + 60, "sell", "64000.0", "2"),
        ]
    )
    market.funding([(settled - 120, "0.0001", settled), (settled + 1, "0.0003", 24 * 3600)], config)
    chosen = grid({"strategy.order_type": ["LIMIT", "MARKET"]})
    swept = _agrees(market, _request(config, snapshot_mode="trades"), chosen)
    store = ResultStore(market.settings.results_path)
    paid = [
        store.entry(str(each.run_id)).summary()["pnl_breakdown"]["funding"]
        for each in swept.variants
    ]
    assert paid == [-12.82, -12.82]


def test_a_window_inside_the_day_agrees(busy: Market) -> None:
    start = (NOON + 20) * 10**9 + _midnight()
    request = _request(variant(), start_ns=start, end_ns=start + 30 * 10**9)
    swept = _agrees(busy, request, [{"execution.latency.insert_ms": 5}])
    assert 0 < swept.variants[0].figures["orders"] < 130


def _midnight() -> int:
    from odum_assets.utc import day_start_ns

    return day_start_ns(DAY)


def test_own_strategies_agree_and_share_nothing(own: Market) -> None:
    config = with_strategy(own_strategy(OWN))
    axes = {"strategy.params.every": [1, 7], "strategy.params.amount": ["1", "0.5"]}
    swept = _agrees(own, _request(config, mode="report"), grid(axes))
    assert len({each.digest for each in swept.variants}) == 4


@pytest.mark.real_data
def test_real_days_agree(real_data: Path, tmp_path: Path) -> None:
    from datetime import date

    from odum_assets.raw.layout import DataType

    market = Market(tmp_path)
    settings = market.settings.model_copy(update={"raw_root": str(real_data)})
    market.settings = settings
    day, config = date(2024, 7, 18), variant()
    for kind in (DataType.TRADES, DataType.BOOK):
        market.convert(config, kind, day)
    request = replace(_request(config), days=(day,), partition=day.isoformat())
    axes = {"strategy.order_type": ["LIMIT", "MARKET"], "execution.latency.insert_ms": [0, 20]}
    swept = _agrees(market, request, grid(axes))
    assert len({each.digest for each in swept.variants}) == 4


def test_results_say_which_variant_they_are(own: Market) -> None:
    config = with_strategy(own_strategy(OWN))
    alone = run_backtest(_request(config), own.settings)
    request = _request(config, mode="report")
    swept = run_sweep(
        request, make_variants(config, grid({"strategy.params.every": [3, 4]})), own.settings
    )
    store = ResultStore(own.settings.results_path)
    entries = [store.entry(str(each.run_id)) for each in swept.variants]
    assert [entry.sweep for entry in entries] == [
        {
            "id": swept.sweep_id,
            "variant": place,
            "of": 2,
            "varied": {"strategy.params.every": value},
        }
        for place, value in ((1, 3), (2, 4))
    ]
    for entry, each in zip(entries, swept.variants, strict=True):
        assert entry.config_name == config.name
        assert entry.report_path is not None
        assert (entry.report_path / "timeline.json").is_file()
        assert each.figures["orders"] == entry.summary()["orders"]
        assert each.figures["net_pnl"] == entry.summary()["pnl_breakdown"]["net"]
        found = verify_result(entry.run_id, own.settings)
        assert found.equal
        assert found.changed_inputs == ()
    rows = compare_results(entries).config
    assert [(row.name, row.values) for row in rows] == [("strategy.params.every", (3, 4))]
    # A variant is not what exports and later assets of the day are made of.
    current = store.current(config.name, DAY.isoformat())
    assert current is not None
    assert current.run_id == alone.run_id


@pytest.mark.parametrize(
    ("how", "cause"),
    [
        ("raise", "Every raised RuntimeError in on_trade: broken"),
        ("abort", "ended by signal SIGABRT"),
        ("exit", "ended with exit code 0"),
    ],
)
def test_a_variant_that_breaks_does_not_stop_the_others(own: Market, how: str, cause: str) -> None:
    config = with_strategy(own_strategy(OWN, every=5))
    variants = make_variants(config, grid({"strategy.params.breaks": ["", how, "no"]}))
    swept = run_sweep(_request(config), variants, own.settings, slots=1)
    first, second, third = swept.variants
    assert first.error is None
    assert second.error is not None
    assert cause in second.error
    assert second.run_id is None
    assert third.digest == first.digest
    assert len(list((own.settings.results_path / "fast").iterdir())) == 2
    _assert_clean(own)


def _assert_clean(market: Market) -> None:
    assert not list(market.settings.results_path.glob(".staging/work-*"))
    assert not list(market.settings.catalog_path.glob(".views/work-*"))


@pytest.mark.parametrize(
    ("params", "cause"),
    [
        ({"strategy.params.evry": [1, 2]}, "strategy.params.evry: Extra inputs are not permitted"),
        ({"strategy.params.every": [1, "x"]}, "strategy.params.every=x: parameters of my_every"),
        ({"strategy.path": ["my_every:Nobody"]}, "my_every has no class Nobody"),
    ],
)
def test_parameters_that_a_strategy_refuses_stop_the_sweep_before_it_runs(
    own: Market, params: dict[str, list[Any]], cause: str
) -> None:
    config = with_strategy(own_strategy(OWN))
    with pytest.raises(BacktestError) as caught:
        run_sweep(_request(config), make_variants(config, grid(params)), own.settings)
    assert cause in str(caught.value)
    assert own.stored() == []
    _assert_clean(own)


def test_missing_partitions_are_named(market: Market) -> None:
    config = variant("binance_futures_ethusdt_l2_trades_config")
    variants = make_variants(config, grid({"strategy.order_type": ["LIMIT", "MARKET"]}))
    with pytest.raises(DataError, match="catalog partitions are missing"):
        run_sweep(_request(config), variants, market.settings)


def test_an_algorithm_for_all_and_one_that_varies_exclude_each_other(market: Market) -> None:
    from odum_assets.config.sections.algorithms import TwapAlgorithm

    config = variant()
    request = replace(_request(config), exec_algorithm=TwapAlgorithm(type="TWAP"))
    variants = make_variants(config, grid({"strategy.exec_algorithm.type": ["VWAP"]}))
    with pytest.raises(OdumError, match=r"strategy\.exec_algorithm varies"):
        run_sweep(request, variants, market.settings)


def test_a_result_that_cannot_be_written_ends_the_sweep_with_what_to_do(busy: Market) -> None:
    config, staging = variant(), busy.settings.results_path / ".staging"

    def occupy(_: object) -> None:
        for folder in staging.glob("*/0001"):
            (folder / "report").touch()

    variants = make_variants(config, grid({"strategy.order_type": ["LIMIT", "MARKET"]}))
    request = _request(config, mode="report")
    with pytest.raises(ResultError, match=r"report: cannot be read or written \(.*free space"):
        run_sweep(request, variants, busy.settings, progress=occupy)
    assert not [*staging.glob("*/0*")]


def test_progress_grows_to_the_end(busy: Market) -> None:
    config = variant()
    told: list[tuple[str, float]] = []
    variants = make_variants(config, grid({"strategy.order_type": ["LIMIT", "MARKET"]}))
    run_sweep(
        _request(config),
        variants,
        busy.settings,
        progress=lambda each: told.append((each.phase, each.done)),
    )
    shares = [done for phase, done in told if "variants" in phase]
    assert shares == sorted(shares)
    assert told[-1] == ("2 of 2 variants", 1.0)
    assert ("load", 1.0) in told


SCRIPT = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from tinydays import DAY, Market, own_strategy, with_strategy
from odum_assets.backtest.request import RunRequest
from odum_assets.config.variants import grid, make_variants
from odum_assets.results.sweep import run_sweep
config = with_strategy(own_strategy("my_every:Every", breaks="sleep"))
request = RunRequest(config, (DAY,), DAY.isoformat(), mode="fast", snapshot_mode="both")
variants = make_variants(config, grid({"strategy.params.every": [1, 2, 3]}))
run_sweep(request, variants, Market(Path(sys.argv[1])).settings)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_sweep_that_is_killed_leaves_no_result_and_no_process(
    own: Market, tmp_path: Path, how: signal.Signals
) -> None:
    helpers = str(Path(__file__).parents[1] / "backtest")
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path), helpers],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
    )
    staging = own.settings.results_path / ".staging"
    _wait_until(lambda: len(list(staging.glob("*/*/order_events.arrow"))) == 2)
    time.sleep(0.5)
    process.send_signal(how)
    process.communicate(timeout=120)
    assert process.returncode != 0
    assert not (own.settings.results_path / "fast").exists()
    assert not (own.settings.results_path / "report").exists()
    _wait_until(lambda: not _sweep_processes(tmp_path))
    if how is signal.SIGINT:
        _assert_clean(own)
        return
    config = with_strategy(own_strategy(OWN))
    swept = run_sweep(
        _request(config), make_variants(config, grid({"strategy.params.every": [1]})), own.settings
    )
    assert swept.variants[0].error is None
    _assert_clean(own)


def _wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def _sweep_processes(folder: Path) -> list[int]:
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            command = (place / "cmdline").read_bytes()
        except OSError:
            continue
        if b"sweep_worker" in command and str(folder).encode() in command:
            found.append(int(place.name))
    return found


def test_amounts_are_what_was_asked_for(own: Market) -> None:
    config = with_strategy(own_strategy(OWN))
    variants = make_variants(config, [{"strategy.params.amount": "0.25"}])
    swept = run_sweep(_request(config, mode="report"), variants, own.settings)
    from tinydays import read_rows

    entry = ResultStore(own.settings.results_path).entry(str(swept.variants[0].run_id))
    assert entry.report_path is not None
    orders = read_rows(entry.report_path / "orders.parquet")
    assert {text(each["amount"]) for each in orders if each["purpose"] is None} == {"0.25"}
