"""Parameters and the YAML of a study: defaults, rules, keys of other engines, the seed's file."""

from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from odum_assets.bars.orb.params import OrbParams, parse_params
from odum_assets.bars.orb.yaml_file import read_study, run_configuration
from odum_assets.config.bars_model import BarsConfig
from odum_assets.errors import ConfigError

OTHERS = [
    ("dual", {"enabled": True}),
    ("trade.trail", {"mode": "atr"}),
    ("trade.two_phase", {"enabled": True}),
    ("trade.salvage", {"enabled": False}),
    ("trade.time_stop", {"enabled": True}),
    ("filters.bias", "ema"),
    ("filters.avoid_first_minutes", 5),
    ("filters.avoid", []),
    ("filters.max_wick", 0.4),
    ("filters.min_velocity_atr", 0.3),
    ("governance.trailing_drawdown", 2000),
]

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"orb": {"base_minutes": 4}}, "orb.base_minutes"),
    ({"orb": {"base_minutes": "15"}}, "orb.base_minutes"),
    ({"orb": {"low_norm_vol": 0.9}}, "orb.low_norm_vol: found 0.9, should be below high_norm_vol"),
    ({"orb": {"short_or_minutes": 30}}, "orb.short_or_minutes"),
    ({"orb": {"min_atr_mult": 2}}, "orb.min_atr_mult"),
    ({"orb": {"validity_atr": "weekly"}}, "orb.validity_atr"),
    ({"orb": {"intraday_atr_timeframe": "5 hours"}}, "orb.intraday_atr_timeframe"),
    ({"buffers": {"fixed": 0}}, "buffers.fixed"),
    ({"buffers": {"adaptive": {"scalar": 1, "min": 2, "max": 1}}}, "buffers.adaptive.min"),
    ({"factors": {"rel_volume": {"lookback": 101}}}, "factors.rel_volume.lookback"),
    (
        {"factors": {"price_action": {"enable_engulfing": False, "enable_structure": False}}},
        "factors.price_action.enabled",
    ),
    ({"factors": {"profile_proxy": {"val_pct": 0.75}}}, "factors.profile_proxy.val_pct"),
    ({"factors": {"vwap": {"reset_mode": "day"}}}, "factors.vwap.reset_mode"),
    ({"scoring": {"base_required": 4}}, "scoring.base_required"),
    ({"scoring": {"weak_trend_required": 4}}, "scoring.weak_trend_required: found 4, but"),
    ({"scoring": {"weights": {"rel_vol": -1}}}, "scoring.weights.rel_vol"),
    ({"scoring": {"weights": {"volume": 1}}}, "scoring.weights.volume"),
    ({"factors": {"rel_volume": {"enabled": False}}}, "scoring.weak_trend_required"),
    ({"trade": {"t1_r": 1.5}}, "trade.t1_r"),
    ({"trade": {"t2_r": 2}}, "trade.t2_r"),
    ({"trade": {"t1_pct": 0.8}}, "trade.t2_pct"),
    ({"trade": {"t1_r": 0.5, "t2_r": 1, "runner_r": 1.5}}, "trade.runner_r"),
    ({"trade": {"stop_mode": "fixed"}}, "trade.stop_mode"),
    ({"governance": {"max_signals_per_day": 11}}, "governance.max_signals_per_day"),
    ({"governance": {"time_cutoff": 48_600}}, "governance.time_cutoff"),
    ({"governance": {"time_cutoff": "25:00"}}, "governance.time_cutoff"),
    ({"filters": {"weekdays": ["monday", "holiday"]}}, "filters.weekdays[1]"),
    ({"filters": {"no_trade_dates": ["2024-02-30"]}}, "filters.no_trade_dates[0]"),
    ({"backtest": {"initial_capital": 5}}, "backtest.initial_capital: unknown key"),
    ({"traade": {}}, 'traade: unknown key; did you mean "trade"?'),
]


def nested(path: str, value: Any) -> dict[str, Any]:
    for key in reversed(path.split(".")):
        value = {key: value}
    result: dict[str, Any] = value
    return result


@pytest.mark.parametrize(("path", "value"), OTHERS, ids=[path for path, _ in OTHERS])
def test_keys_of_other_engines_are_refused_by_name(path: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"{path}: is not part of this strategy"):
        parse_params(nested(path, value))


def test_keys_of_other_engines_are_named_with_whatever_else_is_wrong() -> None:
    values = {
        "dual": {"enabled": True},
        "trade": {"trail": {}, "primary_r": -1},
        "governance": {"cooldown_minutes": -1},
        "traade": {},
    }
    with pytest.raises(ConfigError) as caught:
        parse_params(values)
    first, *lines = str(caught.value).splitlines()
    assert first == "strategy.params: not valid"
    assert sorted(line.strip().partition(":")[0] for line in lines) == [
        "dual",
        "governance.cooldown_minutes",
        "traade",
        "trade.primary_r",
        "trade.trail",
    ]


@pytest.mark.parametrize(("values", "text"), WRONG, ids=[text[:40] for _, text in WRONG])
def test_what_is_wrong_is_named_with_its_key(values: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_params(values)
    assert f"  {text}" in str(caught.value)


def test_defaults() -> None:
    result = parse_params({})
    assert result == OrbParams()
    assert (result.buffers.fixed, result.governance.time_cutoff) == (Decimal("0.10"), time(13, 30))
    assert result.factors.enabled() == ("price_action", "rel_vol", "profile")
    assert [name for name, _, _ in result.trade.targets()] == [
        "target_t1",
        "target_t2",
        "target_runner",
    ]
    assert sum(share for _, _, share in result.trade.targets()) == 1


def test_rules_for_what_is_switched_off_do_not_count() -> None:
    parse_params({"trade": {"partials": False, "t1_r": 5}})
    parse_params({"orb": {"adaptive": False, "low_norm_vol": 1}})
    parse_params({"scoring": {"enabled": False, "base_required": 9, "weak_trend_required": 9}})
    parse_params({"buffers": {"fixed": 0, "use_atr": True}})


SEED = """
name: ORB_Confluence_Free
version: "1.0"
instruments:
  SPY:
    symbol: ES
    proxy_symbol: spy
    data_source: yahoo
    session_mode: rth
    session_start: "08:30:00"
    session_end: "15:00:00"
    timezone: America/Chicago
    tick_size: 0.01
    point_value: 1.0
    enabled: true
orb: {base_minutes: 15, adaptive: true, low_norm_vol: 0.35, high_norm_vol: 0.85, atr_period: 14}
buffers: {fixed: 2.0, atr_mult: 0.05, use_atr: false}
factors:
  profile_proxy: {enabled: true}
  adx: {enabled: false, period: 14, threshold: 18.0}
scoring:
  weights: {price_action: 1.0, rel_vol: 1.0, profile: 1.0, vwap: 1.0, adx: 1.0}
governance: {time_cutoff: "13:30:00", flatten_at_session_end: true}
backtest: {start_date: "2024-01-01", end_date: "2024-03-31", initial_capital: 100000.0,
           random_seed: 42, conservative_fills: false, contracts_per_trade: 8}
optimization: {enabled: false, method: optuna}
log_level: INFO
"""


def test_the_seeds_file_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "defaults.yaml"
    path.write_text(SEED)
    file = read_study(path)
    assert file.study.backtest.start_date == date(2024, 1, 1)
    for name in ("SPY", "spy", "ES"):
        assert file.instrument(name).proxy_symbol == "SPY"
    document = run_configuration(
        file,
        {"ARCA:EQUITY:SPY": file.instrument("SPY")},
        {"step": "1m", "label": "end"},
        needs_all_bars=True,
    )
    config = BarsConfig.model_validate(document)
    assert config.execution.path == "adaptive"
    assert config.session.timezone == "America/Chicago"
    params = parse_params(config.strategy.params)
    assert params.buffers.fixed == 2
    assert params.orb.min_coverage == 1
    assert params.backtest.contracts_per_trade == 8
    assert "log_level" not in config.strategy.params


def test_a_file_is_merged_over_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text("trade: {stop_mode: atr_capped, runner_r: 3.0}\n")
    params = parse_params(read_study(path).params())
    assert params.trade.stop_mode == "atr_capped"
    assert params.trade.model_dump(
        exclude={"stop_mode", "runner_r"}
    ) == OrbParams().trade.model_dump(exclude={"stop_mode", "runner_r"})
    assert read_study(None).params() == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("orb: [1", "not valid YAML"),
        ("- 1", "should be keys with values"),
        ("optimization: {enabled: true}", "odum sweep"),
        ("backtest: {start_date: 2024-02-01, end_date: 2024-01-01}", "backtest.start_date"),
        ("governance: {time_cutoff: 13:30}", "in quotes"),
        ("instruments: {SPY: {symbol: SPY, proxy_symbol: SPY, enabled: false}}", "none is enabled"),
        ("instruments: {SPY: {symbol: '', proxy_symbol: SPY}}", "instruments.SPY.symbol"),
        ("trade: {salvage: {enabled: true}}", "trade.salvage"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_study(path)
    assert message in str(caught.value)
    assert "bad.yaml" in str(caught.value)


def test_different_sessions_need_different_runs(tmp_path: Path) -> None:
    path = tmp_path / "two.yaml"
    path.write_text(
        "instruments:\n"
        "  SPY: {symbol: SPY, proxy_symbol: SPY}\n"
        "  GC: {symbol: GC, proxy_symbol: GLD, session_start: '07:20', session_end: '12:30'}\n"
    )
    file = read_study(path)
    both: Mapping[str, Any] = {
        "ARCA:EQUITY:SPY": file.instrument("SPY"),
        "ARCA:EQUITY:GLD": file.instrument("GC"),
    }
    with pytest.raises(ConfigError, match="different sessions"):
        run_configuration(file, both, {})
