"""Nothing that happens after a bar changes what was computed or done before it."""

from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import pytest
from bar_simulator import BarSimulator
from orbdays import EQUITY, PLAIN, merged, pruned
from orbmarket import corrupted, random_bars, weekdays

from odum_assets.bars.broker import Bracket, Fill
from odum_assets.bars.orb.factors import compute_factors
from odum_assets.bars.orb.governance import AccountGovernance
from odum_assets.bars.orb.machine import OrbMachine
from odum_assets.bars.orb.params import FACTORS, OrbParams, parse_params
from odum_assets.bars.orb.study import prepare_study
from odum_assets.bars.series import BarSeries

EVERYTHING: dict[str, Any] = {
    "orb": {"atr_period": 5},
    "buffers": {"use_atr": True, "adaptive": {"scalar": 0.5, "min": 0.05, "max": 0.5}},
    "factors": {"vwap": {"enabled": True}, "adx": {"enabled": True, "period": 5}},
    "governance": {"lockout_after_losses": 3, "max_daily_loss_r": 3, "cooldown_minutes": 5},
}
SETTINGS: dict[str, dict[str, Any]] = {
    "everything": EVERYTHING,
    "swing": merged(EVERYTHING, {"trade": {"stop_mode": "swing"}, "scoring": {"base_required": 1}}),
    "atr_capped": merged(EVERYTHING, {"trade": {"stop_mode": "atr_capped"}}),
    "close": merged(EVERYTHING, {"entry": {"mode": "close"}, "scoring": {"enabled": False}}),
    "loose": merged(PLAIN, {"orb": {"adaptive": True, "atr_period": 5}}),
    **{
        name: merged(
            PLAIN,
            {
                "factors": {
                    "rel_volume": {"enabled": name == "rel_vol"},
                    "price_action": {"enabled": name == "price_action"},
                    "profile_proxy": {"enabled": name == "profile"},
                    "vwap": {"enabled": name == "vwap", "reset_mode": "or_end"},
                    "adx": {"enabled": name == "adx", "period": 5},
                },
                "scoring": {"enabled": True, "base_required": 1, "weak_trend_required": 1},
            },
        )
        for name in FACTORS
    },
}


@dataclass
class Recorder:
    """A broker that notes what it was asked for, by the bar at whose close it was."""

    inner: BarSimulator
    bar: float = -1
    calls: list[tuple[float, Any]] = field(default_factory=list)

    def bracket(self, bracket: Bracket) -> None:
        self.calls.append((self.bar, bracket))
        self.inner.bracket(bracket)

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> None:
            self.calls.append((self.bar, (name, *arguments)))
            getattr(self.inner, name)(*arguments)

        return call


class Watched:
    """A machine whose fills are noted, too."""

    def __init__(self, machine: OrbMachine, recorder: Recorder) -> None:
        self.machine, self.recorder = machine, recorder

    def on_bar(self, index: int) -> None:
        self.recorder.bar = index
        self.machine.on_bar(index)

    def on_fill(self, fill: Fill) -> None:
        # It happens between two closes, and so does what the machine answers.
        self.recorder.bar = int(self.recorder.bar) + 0.5
        self.recorder.calls.append((self.recorder.bar, fill))
        self.machine.on_fill(fill)


def acts(series: BarSeries, params: OrbParams) -> list[tuple[float, Any]]:
    study = prepare_study(series, EQUITY, params)
    simulator = BarSimulator(series)
    recorder = Recorder(simulator)
    machine = OrbMachine(study, params, recorder, AccountGovernance(params.governance))  # type: ignore[arg-type]
    simulator.run(lambda _: pruned(simulator, Watched(machine, recorder)))
    return recorder.calls


@pytest.mark.parametrize("setting", SETTINGS)
def test_orders_and_fills_before_a_bar_do_not_know_what_comes_after(setting: str) -> None:
    generator = np.random.default_rng([7, list(SETTINGS).index(setting)])
    params = parse_params(SETTINGS[setting])
    series = random_bars(weekdays(date(2024, 3, 4), 9), generator)
    whole = acts(series, params)
    assert any(isinstance(call, Fill) for _, call in whole)
    for bar in generator.integers(390 * 5, len(series) - 1, 5):
        other = acts(corrupted(series, int(bar), generator), params)
        assert [item for item in whole if item[0] <= bar] == [
            item for item in other if item[0] <= bar
        ]


@pytest.mark.parametrize("factor", FACTORS)
def test_each_factor_looks_back_only(factor: str) -> None:
    generator = np.random.default_rng([8, FACTORS.index(factor)])
    params = parse_params(SETTINGS[factor])
    series = random_bars(weekdays(date(2024, 3, 4), 6), generator)
    study = prepare_study(series, EQUITY, params)
    for bar in [*generator.integers(0, len(series) - 1, 40), 0, 389, 390, 404, 405]:
        other = prepare_study(corrupted(series, int(bar), generator), EQUITY, params)
        shorter = prepare_study(
            series.between(int(series.close_time[0]) - 1, int(series.close_time[bar])),
            EQUITY,
            params,
        )
        for result in (other, shorter):
            for side in ("long", "short"):
                expected = getattr(study.factors, side)[factor][: bar + 1]
                assert np.array_equal(getattr(result.factors, side)[factor][: bar + 1], expected)
    # It is no constant, else this says nothing.
    assert 0 < study.factors.long[factor].sum() < len(series)


def test_values_and_ranges_look_back_only() -> None:
    generator = np.random.default_rng(9)
    params = parse_params(EVERYTHING)
    series = random_bars(weekdays(date(2024, 3, 4), 8), generator)
    study = prepare_study(series, EQUITY, params)
    for bar in generator.integers(390, len(series) - 1, 40):
        other = prepare_study(corrupted(series, int(bar), generator), EQUITY, params)
        upto = slice(0, int(bar) + 1)
        for name in ("rel_vol", "vwap", "adx"):
            pair = (getattr(item.factors, name)[upto] for item in (study, other))
            assert np.array_equal(*pair, equal_nan=True)
        for name in ("swing_low", "swing_high"):
            assert np.array_equal(
                getattr(study, name)[upto], getattr(other, name)[upto], equal_nan=True
            )
        known = [item for item in study.ranges if item.ready <= bar]
        assert known == [item for item in other.ranges if item.ready <= bar]
    assert compute_factors(study.bars, study.ranges, params).long.keys() == set(FACTORS)
