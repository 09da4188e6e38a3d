"""What results look like on screens: one sign for drawdowns, net profit, old results among new."""

from pathlib import Path

import pytest
from commands import Odum
from earlier import CASH, LOSING, WINDOW, lay_out_version_1


@pytest.fixture
def earlier(folder: Path) -> Path:
    lay_out_version_1(folder / "data" / "results")
    return folder


@pytest.mark.usefixtures("earlier")
def test_old_results_are_listed_with_todays_signs(
    odum: Odum, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = odum("results", "list", "--sort", "drawdown", "--json").json["results"]
    assert {each["run_id"]: round(each["pnl"], 2) for each in found} == {
        WINDOW: -41.53,
        CASH: -39.22,
        LOSING: -3062.5,
    }
    depths = [each["max_drawdown_pct"] for each in found]
    assert max(depths) < 0
    # Highest first: the mildest.
    assert depths == sorted(depths, reverse=True)
    assert found[-1]["run_id"] == LOSING
    assert {each["figures_version"] for each in found} == {1}
    monkeypatch.setenv("COLUMNS", "140")
    lines = odum("results", "list").out.splitlines()
    assert "-254.07%" in next(line for line in lines if LOSING in line)


@pytest.mark.usefixtures("earlier")
def test_an_old_result_says_which_rules_its_figures_follow(odum: Odum) -> None:
    shown = odum("results", "show", WINDOW).out
    assert "rules of version 1, now 2" in shown
    assert "-150.00 USDT" in shown
    compared = odum("results", "compare", WINDOW, CASH, "--json").json["metrics"]
    assert compared["figures_version"] == [1, 1]
    assert max(compared["drawdown.max_drawdown_amount"]) < 0
    document = odum("results", "show", WINDOW, "--json").json
    assert document["summary"]["drawdown"]["max_drawdown_amount"] == -150


@pytest.mark.usefixtures("project")
def test_a_new_result_shows_its_drawdowns_and_how_many_returns_count(odum: Odum) -> None:
    listed = odum("results", "list", "--json").json["results"]
    newest = next(each for each in listed if each["max_drawdown_pct"])
    assert (newest["figures_version"], newest["max_drawdown_pct"] < 0) == (2, True)
    shown = odum("results", "show", newest["run_id"]).out
    assert "rules of version" not in shown
    facts = {line[2:26].strip(): line[26:].strip() for line in shown.splitlines()}
    ratios = odum("results", "show", newest["run_id"], "--json").json["summary"]["ratios"]
    assert f"every 60 s, {ratios['returns']:,} returns" in shown
    for name in ("max drawdown", "longest drawdown", "volatility", "CAGR", "Calmar"):
        assert any(key.startswith(name) for key in facts), name
