"""Real days: order counts from pandas, money from an account kept in plain decimals."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from library import assert_same, library_figures, same
from replay import agrees_with_reference
from tinydays import SPOT, Market, Outcome, text, variant

from odum_assets.backtest.metrics import cagr, calmar_ratio, interval_returns
from odum_assets.config import LoadedConfig
from odum_assets.raw.layout import DataType

pytestmark = pytest.mark.real_data

D = Decimal
ETH = "binance_futures_ethusdt_l2_trades_config"
SUMMER = (date(2024, 7, 18), date(2024, 7, 19))
SPRING = (date(2023, 4, 4), date(2023, 4, 5))
WINTER = (date(2026, 2, 16),)


@dataclass(frozen=True)
class Case:
    """A configuration over real days."""

    config: LoadedConfig
    days: tuple[date, ...]
    mode: str = "both"


CASES = {
    "btc 18": Case(variant(), SUMMER[:1]),
    "btc 19": Case(variant(), SUMMER[1:]),
    "btc window": Case(variant(metrics={"equity_interval_secs": 7}), SUMMER),
    "eth 18": Case(variant(ETH), SUMMER[:1]),
    "eth window": Case(variant(ETH), SUMMER, "book"),
    "spring": Case(variant(strategy={"order_type": "MARKET"}), SPRING),
    "winter futures": Case(variant(), WINTER, "trades"),
    "winter spot": Case(variant(SPOT), WINTER),
    "winter spot cash": Case(variant(SPOT, venue={"account_type": "CASH"}), WINTER),
}


@pytest.fixture(scope="session")
def ran(
    real_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[Case, Outcome]]:
    market = Market(tmp_path_factory.mktemp("real"))
    market.settings = market.settings.model_copy(update={"raw_root": str(real_data)})
    done: dict[str, Outcome] = {}

    def run(name: str) -> tuple[Case, Outcome]:
        case = CASES[name]
        if name not in done:
            for day in case.days:
                for data_type in (DataType.TRADES, DataType.BOOK):
                    market.convert(case.config, data_type, day)
            done[name] = market.run(case.config, case.days, snapshot_mode=case.mode)
        return case, done[name]

    return run


def _raw(real_data: Path, case: Case) -> pd.DataFrame:
    days = [
        pd.read_parquet(
            real_data / "raw_tick_data/by_date" / f"day-{day}/data_type-trades"
            f"/{case.config.key}.parquet"
        )
        for day in case.days
    ]
    return pd.concat(days).sort_values("local_timestamp", kind="stable")


@pytest.mark.parametrize("name", CASES)
def test_every_row_with_a_side_sends_one_order(
    ran: Callable[[str], tuple[Case, Outcome]], real_data: Path, name: str
) -> None:
    case, run = ran(name)
    raw = _raw(real_data, case)
    with_side = raw[raw["side"].isin(["buy", "sell"])]
    own = [each for each in run.orders if each["purpose"] is None]
    closing = len(run.orders) - len(own)
    assert [each["side"] for each in own] == with_side["side"].tolist()
    assert [each["timestamp"] for each in own] == (with_side["local_timestamp"] * 1000).tolist()
    digits = case.config.config.instrument.size_precision
    sizes = [text(round(D(size), digits)) for size in with_side["amount"]]
    assert [text(each["amount"]) for each in own] == sizes
    # One to the book, and one that stands for what that did not take.
    purposes = [each["purpose"] for each in run.orders[len(own) :]]
    assert purposes in ([], ["close_positions"], ["close_positions", "simulated_close"])
    assert run.summary["position"]["side"] == "FLAT"
    assert run.summary["orders"] == len(with_side) + closing
    assert run.summary["position_stats"]["buy_orders"] + run.summary["position_stats"][
        "sell_orders"
    ] == len(run.orders)
    assert run.summary["skipped_no_aggressor"] == len(raw) - len(with_side)


@pytest.mark.parametrize("name", CASES)
def test_money_is_what_another_account_says(
    ran: Callable[[str], tuple[Case, Outcome]], real_data: Path, name: str
) -> None:
    case, run = ran(name)
    agrees_with_reference(run, case.config, _raw(real_data, case))


def test_a_window_is_one_account_and_days_are_their_own(
    ran: Callable[[str], tuple[Case, Outcome]],
) -> None:
    _, window = ran("btc window")
    _, first = ran("btc 18")
    _, second = ran("btc 19")
    own = [sum(each["purpose"] is None for each in run.orders) for run in (window, first, second)]
    assert own[0] == own[1] + own[2]
    assert {run.summary["account"]["starting_balance"] for run in (first, second)} == {1_000_000.0}
    # At midnight the window holds on to what the first day's run closed.
    midnight = int(datetime(2024, 7, 19, tzinfo=UTC).timestamp()) * 10**9
    held = [each for each in window.fills if each["timestamp"] < midnight]
    alone = [each for each in first.fills if each["timestamp"] < midnight]
    assert held[-1]["position_quantity"] != 0
    count = len([each for each in alone if each["order_id"] != first.orders[-1]["id"]])
    assert [each["price"] for each in held[:count]] == [each["price"] for each in alone[:count]]


def test_equity_is_sampled_at_the_stated_interval(
    ran: Callable[[str], tuple[Case, Outcome]],
) -> None:
    _, run = ran("btc window")
    times = [each["timestamp"] for each in run.equity]
    assert times == sorted(times)
    assert run.summary["ratios"]["equity_interval_secs"] == 7
    regular = times[1:-1]
    assert {time % (7 * 10**9) for time in regular} == {0}
    assert {late - early for early, late in pairwise(regular)} == {7 * 10**9}
    # The first and the last interval count, too.
    assert run.summary["ratios"]["returns"] == len(regular) + 1


@pytest.mark.parametrize("name", CASES)
def test_figures_are_those_of_another_library(
    ran: Callable[[str], tuple[Case, Outcome]], name: str
) -> None:
    _, run = ran(name)
    times = [each["timestamp"] for each in run.equity]
    equity = [each["portfolio_value"] for each in run.equity]
    per_year = run.summary["ratios"]["intervals_per_year"]
    assert run.summary["ratios"]["returns"] == len(equity) - 1
    expected = library_figures(times, equity, per_year)
    assert_same(run.summary, expected)
    # Minutes are too short to state growth; the formula is the library's nevertheless.
    assert (run.summary["returns"]["cagr_pct"], run.summary["ratios"]["calmar"]) == (None, None)
    growth = cagr(interval_returns(equity) or [], per_year)
    assert same(growth, expected["cagr"])
    if growth is not None:
        found = calmar_ratio(growth, run.summary["drawdown"]["max_drawdown"])
        assert found == pytest.approx(expected["calmar"], rel=1e-9)
