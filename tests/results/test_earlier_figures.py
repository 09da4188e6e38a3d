"""Results of earlier versions are read in today's form, and their reports computed again."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from earlier import CASH, LOSING, WINDOW, lay_out_version_1
from library import assert_same, library_figures
from tinydays import Outcome, moment, read_rows

from odum_assets.results.compare import compare_results
from odum_assets.results.earlier import in_current_form, version_of
from odum_assets.results.recomputed import equity_series, recomputed
from odum_assets.results.store import ResultStore

HOUR = 3_600 * 10**9


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    lay_out_version_1(tmp_path)
    return ResultStore(tmp_path)


def _file(store: ResultStore, run_id: str) -> Any:
    return json.loads(store.fast_path(run_id).read_text())["summary"]


def test_all_of_them_are_read_with_todays_names_signs_and_profit(store: ResultStore) -> None:
    assert {each.run_id for each in store.entries()} == {WINDOW, CASH, LOSING}
    for entry in store.entries():
        found, written = entry.summary(), _file(store, entry.run_id)
        assert version_of(found) == version_of(written) == 1
        assert found["pnl"] == written["pnl_breakdown"]["net"]
        assert found["account"] == written["account"]
        depth = written["drawdown"]["max_drawdown_pct"]
        assert found["drawdown"] == {
            "max_drawdown": -depth / 100,
            "max_drawdown_pct": -depth,
            "max_drawdown_amount": -written["drawdown"]["max_drawdown"],
            "max_drawdown_duration_secs": None,
        }
        assert found["max_drawdown"] == found["drawdown"]["max_drawdown"]
        assert found["avg_loss"] == written["trades"]["avg_loss"]
        assert found["avg_loss_pct"] == written["trades"]["avg_loss_pct"] == written["avg_loss"]
        assert found["ratios"] == {"calmar": None, **written["ratios"]}
        assert (found["returns"]["cagr_pct"], found["returns"]["volatility_pct"]) == (None, None)
    assert store.entry(CASH).summary()["pnl"] == pytest.approx(-39.2166667, abs=1e-7)
    assert _file(store, CASH)["pnl"] == -1332.55


def test_reading_changes_no_file_and_reading_twice_is_reading_once(store: ResultStore) -> None:
    written = _file(store, WINDOW)
    before = json.loads(json.dumps(written))
    once = in_current_form(written)
    assert written == before
    store.entry(WINDOW)
    assert _file(store, WINDOW) == before
    assert in_current_form({**once, "figures_version": 2}) == {**once, "figures_version": 2}


def test_a_valuation_follows_the_net_profit(store: ResultStore) -> None:
    written = _file(store, CASH)
    written["valuation"] = {"currency": "EUR", "rate": 0.5, "pnl": written["pnl"] / 2}
    found = in_current_form(written)
    assert found["valuation"]["pnl"] == found["pnl"] / 2 != written["valuation"]["pnl"]


def test_sections_that_are_missing_or_unknown_stay_so() -> None:
    assert in_current_form({"pnl": 1.5}) == {"pnl": 1.5}
    unknown = in_current_form({"drawdown": {"max_drawdown": 0.0, "max_drawdown_pct": None}})
    assert unknown["drawdown"]["max_drawdown_pct"] is None
    assert str(unknown["drawdown"]["max_drawdown_amount"]) == "0.0"


def test_a_report_is_computed_again_from_its_equity_table(store: ResultStore) -> None:
    entry = store.entry(WINDOW)
    assert entry.report_path is not None
    found = recomputed(
        entry.summary(), entry.metadata()["days"], entry.report_path / "equity.parquet"
    )
    rows = read_rows(entry.report_path / "equity.parquet")
    # By hand: the first row, the hours of the two days with data, and the last row.
    end_of_first = moment(24 * 3_600)
    kept = [
        row
        for row in rows[1:-1]
        if row["timestamp"] % HOUR == 0
        and not end_of_first < row["timestamp"] <= end_of_first + 86_400 * 10**9
    ]
    kept = [rows[0], *kept, rows[-1]]
    assert len(rows) - len(kept) == 24
    assert version_of(found) == 2
    assert found["ratios"]["returns"] == len(kept) - 1 == 24 + 19 + 1
    times = [row["timestamp"] for row in kept]
    equity = [row["portfolio_value"] for row in kept]
    assert_same(found, library_figures(times, equity, 365 * 24))
    assert found["pnl"] == entry.summary()["pnl"]
    assert found["trades"] == entry.summary()["trades"]
    assert found["returns"]["total_return_pct"] == entry.summary()["returns"]["total_return_pct"]


def test_an_account_that_ended_below_zero_has_a_drawdown_and_no_ratios(store: ResultStore) -> None:
    entry = store.entry(LOSING)
    assert entry.report_path is not None
    found = recomputed(
        entry.summary(), entry.metadata()["days"], entry.report_path / "equity.parquet"
    )
    assert found["ratios"]["sharpe"] is found["returns"]["volatility_pct"] is None
    # The peak of 1968 was there at 02:00, and equity never came back to it.
    assert found["drawdown"]["max_drawdown_amount"] == -5_000
    assert found["drawdown"]["max_drawdown"] == pytest.approx(-5_000 / 1_968, rel=1e-12)
    assert found["account"]["lowest_equity"] == entry.summary()["account"]["lowest_equity"] == -3032


def test_an_equity_table_of_today_has_no_other_rows(report: Outcome) -> None:
    assert report.result.report_path is not None
    table = report.result.report_path / "equity.parquet"
    series = equity_series(table, 10, 365, [report.day])
    assert series.times == [each["timestamp"] for each in report.equity]
    assert series.equity == [each["portfolio_value"] for each in report.equity]
    assert isinstance(series.equity[0], Decimal)


def test_old_and_new_results_stand_side_by_side(store: ResultStore) -> None:
    found = compare_results([store.entry(WINDOW), store.entry(CASH)])
    rows = {row.name: row.values for row in found.metrics}
    assert rows["figures_version"] == (1, 1)
    assert rows["pnl"] == tuple(store.entry(each).summary()["pnl"] for each in (WINDOW, CASH))
    assert max(rows["drawdown.max_drawdown_pct"]) < 0
    assert rows["drawdown.max_drawdown_duration_secs"] == (None, None)
