"""The breakout on NautilusTrader: equal to the plain simulator, several instruments, files."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from orb_replay import run
from orbdays import INSIDE, MONDAY, RANGE, draw, merged, plain, trade
from orbmarket import random_bars, weekdays

from odum_assets.bars.orb.params import parse_params

UP = (10_050, 10_120, 10_050, 10_115)
WAYS: dict[str, dict[str, Any]] = {
    "touch": {"scoring": {"enabled": False}},
    "scored": {},
    "close": {"scoring": {"enabled": False}, "entry": {"mode": "close"}},
    "swing": {"scoring": {"enabled": False}, "trade": {"stop_mode": "swing"}},
    "capped": {"scoring": {"enabled": False}, "trade": {"stop_mode": "atr_capped"}},
    "early": {"scoring": {"enabled": False}, "trade": {"move_be_at_r": 0.3, "partials": False}},
}


@pytest.mark.parametrize("path", ["conservative", "adaptive"])
@pytest.mark.parametrize("way", WAYS)
def test_equal_to_the_plain_simulator(way: str, path: str) -> None:
    params = parse_params(merged({"orb": {"atr_period": 5}}, WAYS[way]))
    for seed in range(2):
        generator = np.random.default_rng([seed, list(WAYS).index(way)])
        series = random_bars(weekdays(date(2024, 3, 1), 12), generator)
        expected = trade(series, params, path=path)
        strategy, _ = run([series], params, path)
        result = strategy.machines[0]
        assert len(expected.trades) > 3
        assert result.sessions == expected.sessions
        assert [_plain(item) for item in result.trades] == [
            _plain(item) for item in expected.trades
        ]


def _plain(item: Any) -> Any:
    # The adapter alone tells ambiguous bars.
    return replace(
        item,
        ambiguous=0,
        fills=[replace(fill, ambiguous=False) for fill in item.fills],
        legs={
            name: replace(leg, exit=leg.exit and replace(leg.exit, ambiguous=False))
            for name, leg in item.legs.items()
        },
    )


def test_sessions_before_the_first_bar_are_for_indicators_only(tmp_path: Path) -> None:
    series = random_bars(weekdays(date(2024, 3, 1), 12), np.random.default_rng(5))
    params = parse_params({"orb": {"atr_period": 5}, "scoring": {"enabled": False}})
    strategy, _ = run([series], params, firsts=[390 * 7])
    whole, _ = run([series], params)
    tail = [item for item in whole.machines[0].sessions if item.opening_range.session.number >= 7]
    result = strategy.machines[0].sessions
    assert [item.opening_range for item in result] == [item.opening_range for item in tail]
    strategy.finish(tmp_path)
    factors = pq.read_table(tmp_path / "factor_snapshots.parquet")
    assert factors.num_rows == 390 * 5


def test_positions_at_a_time_over_instruments() -> None:
    calm = (10_150, 10_160, 10_140, 10_150)
    first = draw({MONDAY: [*RANGE, UP, calm, INSIDE]})
    second = replace(draw({MONDAY: [*RANGE, INSIDE, UP, calm]}), instrument="ARCA:EQUITY:QQQ")
    for most, entries in ((1, [1, 0]), (2, [1, 1])):
        strategy, _ = run([first, second], plain(governance={"max_concurrent": most}))
        assert [len(item.trades) for item in strategy.machines] == entries
    # In the same bar: the first of the list has it.
    together = replace(first, instrument="ARCA:EQUITY:QQQ")
    strategy, _ = run([first, together], plain(governance={"max_concurrent": 1}))
    assert [len(item.trades) for item in strategy.machines] == [1, 0]


def test_loss_in_money_over_instruments() -> None:
    stopped = (10_050, 10_060, 9_990, 10_000)
    first = draw({MONDAY: [*RANGE, UP, stopped, INSIDE, INSIDE, INSIDE]})
    bars = [*RANGE, INSIDE, INSIDE, INSIDE, UP, INSIDE]
    second = replace(draw({MONDAY: bars}), instrument="ARCA:EQUITY:QQQ")
    for most, entries in ((4.60, [1, 0]), (4.61, [1, 1])):
        strategy, _ = run([first, second], plain(governance={"max_daily_loss": most}))
        assert [len(item.trades) for item in strategy.machines] == entries
    assert strategy.machines[1].sessions[0].lockout is None


def test_files_agree_with_the_account(tmp_path: Path) -> None:
    days = weekdays(date(2024, 3, 1), 15)
    every = [
        replace(random_bars(days, np.random.default_rng(seed)), instrument=f"ARCA:EQUITY:{name}")
        for seed, name in enumerate(("SPY", "QQQ"))
    ]
    params = parse_params({"orb": {"atr_period": 5}, "scoring": {"enabled": False}})
    strategy, host = run(every, params, balance=100_000)
    strategy.finish(tmp_path)
    together = pq.read_table(tmp_path / "all_trades.parquet")
    assert together.num_rows > 20
    assert sum(together["pnl"].to_pylist()) == pytest.approx(float(host.cash) - 100_000, abs=1e-6)
    assert sum(together["fees"].to_pylist()) == pytest.approx(0.08 * together.num_rows)
    curve = pq.read_table(tmp_path / "combined_equity.parquet")
    exits = curve["exit_timestamp"].to_pylist()
    assert exits == sorted(exits)
    assert curve["equity"][-1].as_py() == pytest.approx(float(host.cash))
    alone = [json.loads((tmp_path / f"{name}_metrics.json").read_text()) for name in ("SPY", "QQQ")]
    both = json.loads((tmp_path / "orb_metrics.json").read_text())
    assert both["total_trades"] == sum(item["total_trades"] for item in alone) == together.num_rows
    assert both["total_r"] == pytest.approx(sum(item["total_r"] for item in alone))
    assert {path.name for path in tmp_path.iterdir()} == {
        *(
            f"{name}_{kind}"
            for name in ("SPY", "QQQ")
            for kind in ("trades.parquet", "equity.parquet", "metrics.json")
        ),
        "all_trades.parquet", "all_trades.csv", "combined_equity.parquet", "sessions.parquet",
        "factor_snapshots.parquet", "orb_metrics.json",
    }  # fmt: skip
