"""Every figure of a result follows from the tables beside it, computed here without our code."""

import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from library import assert_same, library_figures
from tinydays import DAY, LINEAR, SPOT, Market, Outcome, moment, variant

from odum_assets.raw.layout import DataType

D = Decimal


def _table(folder: Path, name: str) -> pd.DataFrame:
    frame: pd.DataFrame = pq.read_table(folder / f"{name}.parquet").to_pandas(ignore_metadata=True)
    return frame


def agrees_with_files(folder: Path) -> dict[str, Any]:
    """Compute all figures from the tables of a report folder, and compare them with its summary.

    Returns
    -------
    dict[str, Any]
        The summary.
    """
    summary: dict[str, Any] = json.loads((folder / "summary.json").read_text())["summary"]
    metrics = json.loads((folder / "metadata.json").read_text())["config"]["metrics"]
    equity, fills = _table(folder, "equity"), _table(folder, "fills")
    start, end = equity.iloc[0], equity.iloc[-1]
    realized = sum(fills["realized_pnl"], D(0))
    commissions = sum(fills["commission"], D(0))

    account, parts = summary["account"], summary["pnl_breakdown"]
    assert account["starting_balance"] == float(start["balance"])
    assert account["final_balance"] == float(end["balance"])
    assert account["balance_change"] == float(end["balance"] - start["balance"])
    assert account["final_equity"] == float(end["portfolio_value"])
    assert account["lowest_equity"] == float(min(equity["portfolio_value"]))
    assert parts["realized"] == float(realized) == float(end["realized_pnl"])
    assert parts["commissions"] == float(commissions)
    assert parts["unrealized"] == float(end["unrealized_pnl"])
    # No funding in these runs.
    assert summary["pnl"] == parts["net"] == float(realized - commissions)

    change = end["portfolio_value"] - start["portfolio_value"]
    total = float(100 * change / start["portfolio_value"])
    assert summary["returns"]["total_return_pct"] == total
    per_year = metrics["annualization_days"] * 86_400 / metrics["equity_interval_secs"]
    assert summary["ratios"]["returns"] == len(equity) - 1
    times = [each.value for each in equity["timestamp"]]
    expected = library_figures(times, list(equity["portfolio_value"]), per_year)
    assert_same(summary, expected)
    exact = [float(each) for each in equity["portfolio_value"]]
    falls = pd.Series(exact) - pd.Series(exact).cummax()
    assert summary["drawdown"]["max_drawdown_amount"] == pytest.approx(falls.min(), abs=1e-6)
    returns = pd.Series(list(equity["portfolio_value"])).astype(float).pct_change().dropna()
    assert summary["returns"]["avg_return"] == pytest.approx(100 * returns.mean(), abs=1e-10)

    positions = _table(folder, "positions")
    nets = [float(each) for each in positions[positions["status"] == "closed"]["net_pnl"]]
    trades = summary["trades"]
    assert trades["total_trades"] == len(nets)
    assert trades["winning_trades"] == sum(each > 0 for each in nets)
    assert trades["losing_trades"] == sum(each < 0 for each in nets)
    if nets:
        assert trades["expectancy"] == pytest.approx(sum(nets) / len(nets), abs=1e-6)
        assert trades["win_rate"] == 100 * sum(each > 0 for each in nets) / len(nets)
    losses = [each for each in nets if each < 0]
    for name in ("avg_loss", "avg_loss_pct"):
        assert summary[name] == trades[name]
    if losses:
        assert trades["avg_loss"] == pytest.approx(sum(losses) / len(losses), abs=1e-6)
        wins = sum(each for each in nets if each > 0)
        assert trades["profit_factor"] == pytest.approx(wins / -sum(losses), rel=1e-6)
    for name in ("max_drawdown", "max_drawdown_pct"):
        assert summary[name] == summary["drawdown"][name]
    return summary


def _folder(run: Outcome) -> Path:
    assert run.result.report_path is not None
    return run.result.report_path


def test_a_run_whose_only_loss_is_its_closing_has_a_return_for_it(market: Market) -> None:
    config = variant(venue={"taker_fee": 0.03}, strategy={"order_type": "MARKET"})
    market.trades([(30, "buy", "64000.0", "10"), (50, None, "64000.0", "1")], config, DAY)
    run = market.run(config)
    summary = agrees_with_files(_folder(run))
    # Bought and closed within the first minute: one interval, and all of the costs are in it.
    assert summary["ratios"]["returns"] == 1
    assert summary["returns"]["total_return_pct"] == pytest.approx(-3.84, rel=1e-3)
    assert summary["returns"]["avg_return"] == pytest.approx(
        summary["returns"]["total_return_pct"], rel=1e-12
    )


def test_the_last_interval_holds_the_costs_of_closing(market: Market) -> None:
    config = variant(venue={"taker_fee": 0.001, "maker_fee": 0.001})
    rows = [(90, "buy", "64000.0", "1"), (300, None, "64000.0", "1"), (310, None, "64000.0", "1")]
    market.trades(rows, config)
    run = market.run(config)
    summary = agrees_with_files(_folder(run))
    values = [each["portfolio_value"] for each in run.equity]
    seconds = [each["timestamp"] / 1e9 % 86_400 for each in run.equity]
    assert seconds == pytest.approx([90, 120, 180, 240, 300, 310], abs=1e-6)
    # The price never moved: all that changed are the two commissions.
    assert values == [1_000_000, *[999_936] * 4, 999_872]
    assert summary["ratios"]["returns"] == 5
    assert summary["returns"]["avg_loss_return"] == pytest.approx(-0.0064002, rel=1e-5)
    assert summary["drawdown"]["max_drawdown_duration_secs"] == pytest.approx(220, abs=1e-6)


def test_closing_that_takes_time_is_in_the_last_sample(market: Market) -> None:
    config = variant(execution={"latency": {"insert_ms": 250}})
    rows = [(90, "buy", "64000.0", "1"), *((91 + at, None, "64000.0", "1") for at in range(30))]
    market.trades(rows, config)
    run = market.run(config)
    agrees_with_files(_folder(run))
    assert run.equity[-1]["timestamp"] == run.fills[-1]["timestamp"]
    assert run.equity[-1]["position"] == 0
    assert run.equity[-1]["portfolio_value"] == run.fills[-1]["balance"]


def test_a_window_that_ends_on_a_whole_interval_has_no_empty_one(market: Market) -> None:
    config = variant()
    rows = [(90, "buy", "64000.0", "1"), (250, None, "64100.0", "1"), (400, None, "64000.0", "1")]
    market.trades(rows, config)
    end = moment(300)
    run = market.run(config, end_ns=end)
    summary = agrees_with_files(_folder(run))
    assert run.equity[-1]["timestamp"] == end
    assert summary["ratios"]["returns"] == len({each["timestamp"] for each in run.equity}) - 1 == 4


def test_a_missing_day_is_one_return_and_no_zeros(market: Market) -> None:
    later = DAY + timedelta(days=2)
    config = variant(metrics={"equity_interval_secs": 3_600})
    market.trades([(10, "buy", "64000.0", "1"), (80_000, None, "64100.0", "1")], config)
    market.trades([(20, None, "65000.0", "1"), (7_300, None, "65100.0", "1")], config, later)
    run = market.run(config, (DAY, later))
    summary = agrees_with_files(_folder(run))
    values = [float(each["portfolio_value"]) for each in run.equity]
    # 24 on the first day; 01:00, 02:00 and the end on the third.
    assert summary["ratios"]["returns"] == len(values) - 1 == 27
    days = {pd.Timestamp(each["timestamp"]).date() for each in run.equity[1:-1]}
    assert days == {DAY, DAY + timedelta(days=1), later}
    midnight = pd.Timestamp(DAY + timedelta(days=1)).value
    assert [each["timestamp"] for each in run.equity].index(midnight) == 24
    # The gap's move is in the first interval after it.
    assert values[25] - values[24] == 900
    assert run.equity[25]["timestamp"] == pd.Timestamp(later).value + 3_600 * 10**9


def test_a_run_without_trades_of_its_own_has_returns_of_zero(market: Market) -> None:
    market.trades([(60 * at + 30, None, "64000.0", "1") for at in range(10)], variant())
    summary = agrees_with_files(_folder(market.run()))
    assert summary["ratios"]["returns"] == 10
    assert (summary["ratios"]["sharpe"], summary["ratios"]["sortino"]) == (None, None)
    assert summary["returns"]["volatility_pct"] == summary["returns"]["avg_return"] == 0
    assert summary["drawdown"] == {
        "max_drawdown": 0,
        "max_drawdown_pct": 0,
        "max_drawdown_amount": 0,
        "max_drawdown_duration_secs": 0,
    }


def test_a_cash_account_that_keeps_what_it_bought_lost_its_commission(market: Market) -> None:
    config = variant(SPOT, venue={"account_type": "CASH"}, fx_stub={"USDT_EUR": 0.5})
    market.trades([(30, "buy", "60000.00", "0.03"), (200, None, "60000.00", "1")], config)
    run = market.run(config, close_positions=False)
    summary = agrees_with_files(_folder(run))
    assert (summary["pnl"], summary["account"]["balance_change"]) == (-1.8, -1801.8)
    assert summary["valuation"]["pnl"] == -0.9
    assert summary["returns"]["total_return_pct"] == pytest.approx(-0.00018)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "venue", "data"),
    [(LINEAR, {}, "trades"), (SPOT, {"account_type": "CASH"}, "trades"), (LINEAR, {}, "both")],
    ids=["margin", "cash", "books"],
)
def test_a_real_day_agrees_with_its_files(
    market: Market, real_data: Path, name: str, venue: dict[str, Any], data: str
) -> None:
    day = pd.Timestamp("2026-02-16").date()
    market.settings = market.settings.model_copy(update={"raw_root": str(real_data)})
    config = variant(name, venue=venue, metrics={"equity_interval_secs": 5})
    for data_type in (DataType.TRADES, DataType.BOOK):
        market.convert(config, data_type, day)
    summary = agrees_with_files(_folder(market.run(config, (day,), snapshot_mode=data)))
    assert summary["fills"] > 1_000
    assert summary["ratios"]["returns"] > 50
