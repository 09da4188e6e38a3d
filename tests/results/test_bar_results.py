"""Runs on bars from raw files to the stored result, in the real processes."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from barmarket import BarMarket, bars_config, table_of
from random_bars import random_series
from real_bars import US_EQUITY, in_sessions, ns, orcl_2001, spy_2011

from odum_assets.bars.series import BarSeries
from odum_assets.errors import BacktestError, DataError
from odum_assets.registry.records import record_of
from odum_assets.results.buckets import grid_over
from odum_assets.results.candles import Fills, market_candles, market_partitions
from odum_assets.results.curve import CurveBuckets, CurveFile
from odum_assets.results.market import Market, replayed
from odum_assets.results.store import ResultStore
from odum_assets.results.tearsheet import write_tearsheet
from odum_assets.results.verify import verify_result

SPY, QQQ = "ARCA:EQUITY:SPY", "NASDAQ:EQUITY:QQQ"
DAY = "2024-03-05"
OPEN = ns(f"{DAY} 14:30")


@pytest.fixture
def market(tmp_path: Path) -> BarMarket:
    return BarMarket(tmp_path)


def session_bars(seed: int, bars: int = 390, name: str = SPY) -> BarSeries:
    """Return bars of a session of 5 March 2024, around 100 dollars."""
    series = random_series(random.Random(seed), bars, instrument=name)  # noqa: S311
    prices = (series.open, series.high, series.low, series.close)
    times = OPEN + 60_000_000_000 * np.arange(1, bars + 1)
    return BarSeries(
        name, series.step, series.tick_size, 0, times, *(each + 9_000 for each in prices),
        series.volume,
    )  # fmt: skip


def test_orcl_2001_ends_at_977_30(market: BarMarket, real_data: Path) -> None:
    config = bars_config(
        "NASDAQ:EQUITY:ORCL",
        step="1d",
        params={"fast": 10, "slow": 25, "side": "long_short", "fixed_size": 10},
        venue={"starting_balance": 1000},
    )
    market.add(config, [orcl_2001(real_data)])
    result = market.run(config, "2001-01-01", "2001-12-31", close_positions=False)
    assert result.summary["account"]["final_equity"] == 977.30
    first = table_of(result, "fills")[0]
    # A daily bar opens with its session.
    assert (first["timestamp"] - 1) % 86_400_000_000_000 in {
        ns("2001-07-02 13:30") % 86_400_000_000_000,
        ns("2001-01-02 14:30") % 86_400_000_000_000,
    }


def test_spy_2011_loses_seven_dollars_in_175_fills(market: BarMarket, real_data: Path) -> None:
    config = bars_config(
        SPY,
        params={"fast": 20, "slow": 50, "fixed_size": 100},
        session={"holidays": ["2011-01-17"]},
    )
    market.add(config, [spy_2011(real_data)])
    result = market.run(config, "2011-01-01", "2011-01-31", close_positions=False)
    summary = result.summary
    assert summary["fills"] == 175
    assert summary["account"]["final_equity"] - 1_000_000 == -7.00
    assert summary["ratios"]["returns"] == 20
    equity = table_of(result, "equity")
    assert len(equity) == 1 + 20 * 390
    closed = market.run(config, "2011-01-01", "2011-01-31")
    assert closed.summary["fills"] == 176
    assert closed.summary["pnl"] == -7.00
    assert table_of(closed, "orders")[-1]["purpose"] == "close_positions"


def test_the_digest_does_not_depend_on_chunks_or_processes(market: BarMarket) -> None:
    config = bars_config(SPY, venue={"fees": {"model": "rate", "rate": 0.0007}})
    market.add(config, [session_bars(1)])
    result = market.run(config, DAY, DAY)
    assert result.summary["fills"] > 20
    for chunk_rows in (None, 7, 389):
        check = verify_result(result.run_id, market.settings, chunk_rows=chunk_rows)
        assert check.equal
        assert check.changed_inputs == ()


@pytest.mark.parametrize("account_type", ["MARGIN", "CASH"])
def test_several_instruments_share_one_account(market: BarMarket, account_type: str) -> None:
    config = bars_config(
        SPY,
        QQQ,
        params={"fast": 3, "slow": 8, "percent_size": 0.45},
        venue={
            "starting_balance": 20_000,
            "account_type": account_type,
            "fees": {"model": "per_contract", "amount": 0.015},
        },
        execution={"slippage": 0.0001},
    )
    market.add(config, [session_bars(2), session_bars(3, 300, QQQ)])
    result = market.run(config, DAY, DAY)
    summary, symbols = result.summary, result.summary["symbols"]
    assert set(symbols) == {SPY, QQQ}
    fills = table_of(result, "fills")
    assert {row["instrument"] for row in fills} == {SPY, QQQ}
    assert summary["fills"] == len(fills) == sum(item["fills"] for item in symbols.values())
    assert sum(Decimal(str(item["pnl"])) for item in symbols.values()) == Decimal(
        str(summary["pnl"])
    )
    _balances_add_up(fills, Decimal(20_000), account_type)
    equity, parts = table_of(result, "equity"), table_of(result, "symbols")
    profits: dict[int, Decimal] = {}
    for row in parts:
        profits[row["timestamp"]] = profits.get(row["timestamp"], Decimal(0)) + row["profit"]
    assert {row["timestamp"]: row["portfolio_value"] - 20_000 for row in equity} == profits
    assert equity[-1]["portfolio_value"] == fills[-1]["balance"]
    assert float(result.metadata["reconciliation"]["engine_difference"]) == 0
    assert verify_result(result.run_id, market.settings).equal
    page = write_tearsheet(result.run_id, market.settings).read_text()
    assert QQQ in page


def _balances_add_up(fills: list[dict[str, Any]], start: Decimal, account_type: str) -> None:
    """Follow cash from fill to fill: what a margin account realizes, what a cash account pays."""
    balance = start
    for row in fills:
        sign = 1 if row["side"] == "buy" else -1
        paid = sign * row["price"] * row["quantity"]
        balance += (-paid if account_type == "CASH" else row["realized_pnl"]) - row["commission"]
        assert row["balance"] == balance
        assert row["commission"] == round(row["quantity"] * Decimal("0.015"), 2)


def test_a_missing_warm_up_is_flagged_and_one_that_is_there_is_used(market: BarMarket) -> None:
    config = bars_config(SPY, bars={"warmup_sessions": 1}, params={"fast": 3, "slow": 30})
    market.add(config, [session_bars(4)])
    lacking = market.run(config, DAY, DAY)
    assert "Of the 1 sessions that warm indicators up are missing" in lacking.flags[0]
    day_before = session_bars(5)
    market.add(
        config,
        [
            BarSeries(
                SPY, day_before.step, day_before.tick_size, 0,
                day_before.close_time - 86_400_000_000_000,
                day_before.open, day_before.high, day_before.low, day_before.close,
                day_before.volume,
            )
        ],
    )  # fmt: skip
    warm = market.run(config, DAY, DAY)
    assert not warm.flags
    first = {name: table_of(run, "fills")[0]["timestamp"] for name, run in
             (("lacking", lacking), ("warm", warm))}  # fmt: skip
    assert first["warm"] < OPEN + 31 * 60_000_000_000 <= first["lacking"]
    # Nothing is traded in the warm-up.
    assert first["warm"] > OPEN
    assert len(table_of(warm, "equity")) == 391


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"fast": 8, "slow": 3}, "fast 8 is not below slow 3"),
        ({"fast": 3}, "strategy.params.slow: Field required"),
        ({"fast": 3, "slow": 8, "useFallback": True}, "strategy.params.useFallback"),
        ({"fast": 3, "slow": 8, "fixed_size": 1, "percent_size": 0.5}, "both given"),
        ({"fast": 3, "slow": 8, "fixed_size": 1.5}, "no whole number of lots of 1"),
        ({"fast": 3, "slow": 8, "percent_size": 1.5}, "strategy.params.percent_size"),
    ],
)
def test_parameters_that_cannot_be_used_are_named(
    market: BarMarket, params: dict[str, Any], words: str
) -> None:
    config = bars_config(SPY, params=params)
    market.add(config, [session_bars(6)])
    with pytest.raises(BacktestError, match=words):
        market.run(config, DAY, DAY)
    assert not list((market.settings.results_path / "fast").glob("*"))


def test_a_strategy_that_is_not_known_is_refused_by_name(market: BarMarket) -> None:
    config = bars_config(SPY, name="Guess")
    market.add(config, [session_bars(6)])
    with pytest.raises(BacktestError, match=r"strategy\.name: found Guess, allowed .*MA_CROSS"):
        market.run(config, DAY, DAY)


def test_a_window_without_bars_is_refused(market: BarMarket) -> None:
    config = bars_config(SPY)
    market.add(config, [session_bars(6, 30)])
    request = market.request(config, DAY, DAY, start_ns=ns(f"{DAY} 20:00"))
    from odum_assets.results.run import run_backtest

    with pytest.raises((BacktestError, DataError), match="no bars of ARCA:EQUITY:SPY"):
        run_backtest(request, market.settings)


def test_a_fast_run_has_the_same_digest_and_no_report(market: BarMarket) -> None:
    config = bars_config(SPY)
    market.add(config, [session_bars(7)])
    report = market.run(config, DAY, DAY)
    fast = market.run(config, DAY, DAY, mode="fast")
    assert fast.digest == report.digest
    assert fast.report_path is None
    assert report.report_path is not None
    orders = json.loads((report.report_path / "orders.json").read_text())
    assert {order["leg"] for order in orders} <= {"entry", "exit", "close_positions"}
    assert ResultStore(market.settings.results_path).entry(fast.run_id).digest == fast.digest


def test_bars_outside_of_sessions_are_not_traded(market: BarMarket, real_data: Path) -> None:
    config = bars_config(SPY, params={"fast": 20, "slow": 50})
    whole = spy_2011(real_data)
    market.add(config, [whole.between(ns("2011-01-03 00:00"), ns("2011-01-05 00:00"))])
    result = market.run(config, "2011-01-03", "2011-01-04")
    inside = in_sessions(whole, US_EQUITY).close_time
    for row in table_of(result, "fills"):
        assert (
            inside == row["timestamp"] // 60_000_000_000 * 60_000_000_000 + 60_000_000_000
        ).any() or row["timestamp"] == result_end(result)


def result_end(result: Any) -> int:
    return int(result.metadata["window"]["last_trade_ns"])


_RUN = """
import sys
from pathlib import Path
from barmarket import BarMarket, bars_config
market = BarMarket(Path(sys.argv[1]))
print(market.run(bars_config("ARCA:EQUITY:SPY", session={"preset": None, "mode": "full"}),
                 "2024-03-05", "2024-03-14", mode="report").digest)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_killed_run_leaves_nothing_and_runs_again(market: BarMarket, tmp_path: Path) -> None:
    config = bars_config(SPY, session={"preset": None, "mode": "full"})
    market.add(config, [session_bars(8, 9 * 1440)])
    paths = [str(Path(__file__).parents[1] / name) for name in ("shared", "results")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-c", _RUN, str(tmp_path)]
    process = subprocess.Popen(command, env=environment)
    staging = market.settings.results_path / ".staging"
    _wait_for(lambda: any(staging.rglob("fill_events.arrow")))
    (worker,) = _children(process.pid)
    process.kill()
    process.wait()
    _wait_for(lambda: not Path(f"/proc/{worker}").exists())
    assert not list((market.settings.results_path / "fast").glob("*"))
    rerun = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    entry = ResultStore(market.settings.results_path).current("study", "window")
    assert entry is not None
    assert entry.digest == rerun.stdout.strip()
    assert verify_result(entry.run_id, market.settings, chunk_rows=999).equal
    # What the killed one had begun is gone.
    assert not any(staging.rglob("*.arrow"))


def _wait_for(happened: Callable[[], bool]) -> None:
    for _ in range(1_200):
        if happened():
            return
        time.sleep(0.05)
    raise AssertionError("nothing happened within a minute")


def _children(parent: int) -> list[int]:
    return [
        int(each) for each in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    ]


def test_stop_orders_have_their_last_trigger_price(market: BarMarket, real_data: Path) -> None:
    params = {"orb": {"adaptive": False}, "scoring": {"enabled": False}}
    config = bars_config(SPY, name="ORB", params=params)
    market.add(config, [spy_2011(real_data)])
    result = market.run(config, "2011-01-03", "2011-01-14")
    orders = table_of(result, "orders")
    stops = [order for order in orders if order["type"] == "STOP_MARKET"]
    assert stops
    for order in orders:
        assert (order["trigger_price"] is None) == (order["type"] != "STOP_MARKET")
    # Without slippage a stop that price reaches within a bar fills at its trigger, else at an open
    # beyond it. A stop that was moved has the trigger that it was moved to.
    for order in (order for order in stops if order["status"] == "filled"):
        behind = order["avg_fill_price"] - float(order["trigger_price"])
        assert behind >= 0 if order["side"] == "buy" else behind <= 0
    final = {order["trigger_price"] for order in stops if order["role"] == "stop"}
    trades = table_of(result, "SPY_trades")
    moved = [trade for trade in trades if trade["stop_final"] != trade["stop_initial"]]
    assert moved
    assert {Decimal(f"{trade['stop_final']:.2f}") for trade in moved} <= final
    assert verify_result(result.run_id, market.settings).equal


def test_a_completed_run_has_its_row_in_the_registry(market: BarMarket) -> None:
    config = bars_config(SPY)
    market.add(config, [session_bars(4)])
    result = market.run(config, DAY, DAY)
    record = record_of(ResultStore(market.settings.results_path), result.run_id)
    assert record.run["status"] == "succeeded"
    assert record.dataset is not None
    assert record.strategy is not None
    assert record.run["fills"] == result.summary["fills"]
    assert record.dataset["timeframe"] == "1m"
    assert record.strategy["name"] == "MA_CROSS"


def test_charts_of_two_instruments_have_each_its_own_bars_and_fills(market: BarMarket) -> None:
    config = bars_config(SPY, QQQ)
    series = {SPY: session_bars(2), QQQ: session_bars(3, 300, QQQ)}
    market.add(config, series.values())
    result = market.run(config, DAY, DAY)
    entry = ResultStore(market.settings.results_path).entry(result.run_id)
    stock = Market(entry, market.settings)
    assert stock.instruments == [SPY, QQQ]
    fills = table_of(result, "fills")
    start, end = OPEN, OPEN + 390 * 60_000_000_000
    for name, bars in series.items():
        parts = market_partitions(stock.partitions(name))
        assert [part.source for part in parts] == ["same"]
        grid = grid_over(start, end, 26)
        assert grid.step == 15 * 60_000_000_000
        shown = market_candles(parts, grid, *replayed(entry)).columns()
        groups = np.split(np.arange(len(bars.open)), [*range(15, len(bars.open), 15)])
        assert shown["i"] == [*range(len(groups))]
        assert shown["o"] == [float(int(bars.open[rows[0]]) * bars.tick_size) for rows in groups]
        assert shown["h"] == [float(int(bars.high[rows].max()) * bars.tick_size) for rows in groups]
        assert shown["l"] == [float(int(bars.low[rows].min()) * bars.tick_size) for rows in groups]
        assert shown["c"] == [float(int(bars.close[rows[-1]]) * bars.tick_size) for rows in groups]
        assert shown["v"] == [float(bars.volume[rows].sum()) for rows in groups]
        whole = grid_over(start, end + 1, 30)
        found = Fills(whole).read(entry.report_file("fills.parquet"), name).columns()
        of_name = [row for row in fills if row["instrument"] == name]
        assert sum(found["buys"]["n"]) + sum(found["sells"]["n"]) == len(of_name) > 0
        curve = CurveBuckets(whole).read(CurveFile.of(entry, name)).columns()
        worst = result.summary["symbols"][name]["drawdown"]["max_drawdown"]
        assert min(curve["drawdown"]["min"]) == pytest.approx(worst, rel=1e-12)
