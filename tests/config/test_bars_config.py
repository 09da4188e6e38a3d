"""Configurations for bars: what they may say, what follows from it, what they agree about."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from configfiles import minimal, with_keys, write_config

from odum_assets.bars.sessions import SessionRules
from odum_assets.config import LoadedConfig, load_config, load_configs
from odum_assets.config.exact_json import write_json
from odum_assets.config.loading import parse_config
from odum_assets.config.reach import Reach, reach_problems
from odum_assets.config.variants import make_variants
from odum_assets.errors import ConfigError
from odum_assets.instruments import parse_instrument_key

FILE = Path("bars.json")


def document(**sections: Any) -> dict[str, Any]:
    """Return a configuration for bars with keys of its sections changed."""
    smallest = {
        "kind": "bars",
        "instruments": [{"id": "ARCA:EQUITY:SPY", "tick_size": "0.01"}],
        "bars": {"step": "1m", "label": "end"},
        "session": {"preset": "us_equity"},
        "venue": {"name": "ARCA", "base_currency": "USD", "starting_balance": 100000},
        "strategy": {"name": "MA_CROSS", "params": {"fast": 20, "slow": 50}},
    }
    return with_keys(smallest, **sections)


def loaded(**sections: Any) -> LoadedConfig:
    """Return a configuration for bars."""
    return parse_config(json.dumps(document(**sections)), FILE)


ES = {"id": "CME:FUTURE:ESZ5", "tick_size": 0.25, "multiplier": 50, "expiry": "2025-12-19"}
BTC = {"id": "COINBASE:SPOT_PAIR:BTC-USD", "tick_size": 0.01, "lot_size": "0.00000001"}


def test_the_instruments_of_an_account() -> None:
    config = loaded(
        instruments=[document()["instruments"][0], ES, BTC], venue={"name": "CME"}
    ).config
    spy, future, coin = (config.spec(key) for key in config.keys)
    assert (spy.price_precision, spy.size_precision, spy.tick_size) == (2, 0, None)
    assert (future.price_increment, future.multiplier) == (Decimal("0.25"), 50)
    assert str(future.expiry) == "2025-12-19"
    assert (coin.size_precision, coin.settlement_currency) == (8, "USD")
    assert str(config.key) == "ARCA:EQUITY:SPY"


@pytest.mark.parametrize(
    ("sections", "line"),
    [
        ({"kind": "ticks"}, "kind: found \"ticks\", should be 'bars'"),
        ({"bars": {"label": None}}, "bars.label: missing; start or end"),
        ({"bars": {"source": "trades"}}, "bars.label: not allowed with source trades"),
        (
            {"bars": {"source": "trades", "label": None, "step": "1d"}},
            "bars.source: not allowed for step 1d",
        ),
        ({"bars": {"step": "2m"}}, 'bars.step: found "2m", should be'),
        ({"session": {"start": "9:30"}}, 'session.start: found "9:30", should be a time of day'),
        ({"session": {"timezone": "Mars/X"}}, 'session.timezone: found "Mars/X", allowed an IANA'),
        ({"session": {"preset": "us"}}, 'session.preset: found "us", should be'),
        ({"session": {"holidays": ["x"]}}, 'session.holidays[0]: found "x", should be a date'),
        (
            {"session": {"early_closes": {"2011-11-25": "16:00"}}},
            "session.early_closes.2011-11-25: found 16:00, allowed a time before the usual end",
        ),
        ({"venue": {"name": "CME"}}, "venue.name: found CME, allowed a venue of the instruments"),
        ({"venue": {"base_currency": "EUR"}}, "instruments[0]: ARCA:EQUITY:SPY settles in USD"),
        ({"venue": {"fees": {"model": "flat"}}}, "venue.fees.model: found"),
        ({"instruments": []}, "instruments: found [], should have at least 1 item"),
        (
            {"strategy": {"per_instrument": {"ARCA:EQUITY:QQQ": {}}}},
            "strategy.per_instrument.ARCA:EQUITY:QQQ: allowed ids of instruments",
        ),
        ({"room": 1}, "room: unknown key; known keys"),
        ({"bars": {"source": "trades", "label": None}}, "ARCA:EQUITY:SPY has no trades here"),
    ],
)
def test_what_is_wrong_is_named_with_its_key(sections: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(**sections)
    assert f"bars.json: {line}" in str(caught.value) or line in str(caught.value)


@pytest.mark.parametrize(
    ("instrument", "line"),
    [
        ({"multiplier": 2}, "instruments[0].multiplier: found 2, allowed 1"),
        ({"lot_size": 0.5}, "instruments[0].lot_size: found 0.5, allowed whole shares"),
        ({"expiry": "2025-12-19"}, "instruments[0].expiry: not allowed for ARCA:EQUITY:SPY"),
        ({"id": "CME:FUTURE:ESZ5"}, "instruments[0].expiry: missing"),
        ({"id": "CME:FUTURE:ESZ5"}, "instruments[0].multiplier: missing: the contract size"),
        ({"id": "ARCA:EQUITY:spy"}, "instruments[0].id: symbol 'spy' in"),
        ({"id": "ARCA:SPOT_PAIR:BTC-USD"}, "instruments[0].id: ARCA has no SPOT_PAIR"),
        ({"margin_maint": 0.5}, "instruments[0].margin_maint: found 0.5, allowed up to"),
    ],
)
def test_what_is_wrong_with_an_instrument(instrument: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigError, match=r"instruments\[0\]") as caught:
        loaded(instruments=[{**document()["instruments"][0], **instrument}])
    assert line in str(caught.value)


def test_one_symbol_is_held_once_in_an_account() -> None:
    twice = [{"id": "ARCA:EQUITY:SPY", "tick_size": 1}, {"id": "BATS:EQUITY:SPY", "tick_size": 1}]
    with pytest.raises(ConfigError, match="its symbol is given more than once"):
        loaded(instruments=twice)


def test_a_hash_follows_the_meaning() -> None:
    config = loaded(session={"holidays": ["2011-01-17", "2011-02-21"]})
    hours = {"mode": "rth", "start": "09:30", "end": "16:00", "timezone": "America/New_York"}
    spelled = document()
    spelled["session"] = {**hours, "holidays": ["2011-02-21", "2011-01-17"]}
    spelled["quality"] = {"max_reject_ratio": 0.5}
    spelled["instruments"][0] |= {"tick_size": 0.010, "lot_size": 1, "currency": "USD"}
    assert parse_config(json.dumps(spelled), FILE).content_hash == config.content_hash
    different = [
        loaded(),
        loaded(bars={"label": "start"}),
        loaded(bars={"warmup_sessions": 1}),
        loaded(venue={"fees": {"model": "rate", "rate": 0.001}}),
        loaded(execution={"path": "adaptive"}),
        loaded(strategy={"params": {"fast": 21, "slow": 50}}),
        loaded(instruments=[{"id": "ARCA:EQUITY:SPY", "tick_size": 0.05}]),
        loaded(metrics={"annualization_days": 250}),
    ]
    assert len({item.content_hash for item in [config, *different]}) == 9


def test_a_document_reads_back_to_the_last_digit() -> None:
    config = loaded(
        strategy={
            "params": {"x": 0.1234567890123456789},
            "per_instrument": {"ARCA:EQUITY:SPY": {"y": 1}},
        },
        session={"early_closes": {"2011-11-25": "13:00"}},
    )
    again = parse_config(write_json(config.config.document()), FILE)
    assert again.config == config.config
    assert again.content_hash == config.content_hash


def test_sessions_of_a_configuration() -> None:
    config = loaded(session={"preset": "cme_eth", "end": "15:15"}).bars
    assert config is not None
    rules = SessionRules.of(config.session)
    assert (rules.mode, f"{rules.start:%H:%M}", f"{rules.end:%H:%M}") == ("eth", "17:00", "15:15")
    assert rules.crosses_midnight
    assert config.annualization_days == 252
    whole = loaded(session={"preset": None}).bars
    assert whole is not None
    assert whole.annualization_days == 365


def test_raw_files_of_bars() -> None:
    minute, day = loaded().config, loaded(bars={"step": "1d"}).config
    assert minute.template("bars_1m", minute.key) == (
        "raw_tick_data/by_date/day-*/data_type-bars_1m/ARCA:EQUITY:SPY.parquet"
    )
    assert day.template("bars_1d", day.key) == (
        "raw_tick_data/by_year/year-*/data_type-bars_1d/ARCA:EQUITY:SPY.parquet"
    )
    assert minute.template("trades", minute.key) is None
    key = parse_instrument_key("BINANCE-FUTURES:PERPETUAL:BTC-USDT")
    traded = loaded(
        instruments=[{"id": str(key), "tick_size": 0.1, "lot_size": 0.001}],
        bars={"source": "trades", "label": None},
        venue={"name": "BINANCE-FUTURES", "base_currency": "USDT"},
    ).config
    assert traded.raw_types == ("trades",)
    assert traded.template("trades", key) == (
        f"raw_tick_data/by_date/day-*/data_type-trades/{key}.parquet"
    )


def test_parameters_of_single_instruments_take_precedence() -> None:
    config = loaded(strategy={"per_instrument": {"ARCA:EQUITY:SPY": {"fast": 5}}}).bars
    assert config is not None
    assert config.strategy.params_of("ARCA:EQUITY:SPY") == {"fast": 5, "slow": 50}


# --- several files ------------------------------------------------------------------------------


def write(folder: Path, name: str, **sections: Any) -> None:
    """Write a configuration for bars."""
    write_config(folder, name, document(), **sections)


def test_sessions_may_differ_where_bars_close_by_themselves(tmp_path: Path) -> None:
    write(tmp_path, "day")
    write(tmp_path, "night", session={"preset": "cme_eth"}, bars={"warmup_sessions": 1})
    write(tmp_path, "five", bars={"step": "5m", "label": "start"})
    assert len(load_configs(tmp_path)) == 3


@pytest.mark.parametrize(
    ("one", "other", "line"),
    [
        ({}, {"bars": {"label": "start"}}, "bars.label of 1m: found start"),
        (
            {"bars": {"step": "1d"}},
            {"bars": {"step": "1d"}, "session": {"preset": None}},
            "session of 1d: found",
        ),
        (
            {},
            {"instruments": [{"id": "ARCA:EQUITY:SPY", "tick_size": 0.05}]},
            "tick_size: found 0.05",
        ),
    ],
)
def test_files_of_one_instrument_agree(
    tmp_path: Path, one: dict[str, Any], other: dict[str, Any], line: str
) -> None:
    write(tmp_path, "first", **one)
    write(tmp_path, "second", **other)
    with pytest.raises(ConfigError, match="they share its data, so make them agree") as caught:
        load_configs(tmp_path)
    assert line in str(caught.value)


def test_bars_and_ticks_of_one_instrument_agree(tmp_path: Path) -> None:
    write_config(tmp_path, "ticks", minimal())
    bars = {
        "instruments": [{"id": minimal()["instrument"]["id"], "tick_size": 0.1, "lot_size": 0.001}],
        "bars": {"source": "trades", "label": None},
        "session": {"preset": None},
        "venue": {"name": "BINANCE-FUTURES", "base_currency": "USDT"},
    }
    write(tmp_path, "bars", **bars)
    assert len(load_configs(tmp_path)) == 2
    bars["instruments"][0]["lot_size"] = 1  # type: ignore[index]
    write(tmp_path, "bars", **bars)
    with pytest.raises(ConfigError, match=r"instrument\.size_precision: found 3"):
        load_configs(tmp_path)


def test_variants_of_a_configuration_for_bars() -> None:
    config = loaded()
    variants = make_variants(config, [{"strategy.params.fast": 5}, {"execution.path": "adaptive"}])
    assert len({variant.config.content_hash for variant in variants}) == 2
    assert variants[0].config.bars is not None
    with pytest.raises(ConfigError, match=r"session\.start: may not vary: it decides"):
        make_variants(config, [{"session.start": "10:00"}])


def test_what_a_configuration_from_outside_may_reach(tmp_path: Path) -> None:
    reach = Reach((str(tmp_path / "raw"),), (tmp_path / "catalog",), ())
    inside = {"UNIFIED_CLOUD_LOCAL_PATH": str(tmp_path / "raw" / "x")}
    assert reach_problems(loaded(environment=inside).config, reach, []) == []
    outside = loaded(
        environment={"UNIFIED_CLOUD_LOCAL_PATH": "/etc"}, data_catalog={"parquet_root": "/srv"}
    )
    paths = {problem.path for problem in reach_problems(outside.config, reach, [])}
    assert paths == {"environment.UNIFIED_CLOUD_LOCAL_PATH", "data_catalog.parquet_root"}


def test_ticks_and_bars_are_told_apart(tmp_path: Path) -> None:
    ticks = load_config(write_config(tmp_path, "ticks", minimal()))
    assert ticks.bars is None
    assert ticks.ticks.strategy.name == "TradeReplay"
    with pytest.raises(ConfigError, match="kind is bars; allowed here: a configuration for ticks"):
        _ = loaded().ticks
