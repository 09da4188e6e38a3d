"""Variants of a configuration: what may vary, and how it is spelled."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from odum_assets.config import LoadedConfig, load_config
from odum_assets.config.variants import (
    grid,
    label_of,
    make_variants,
    override,
    parse_vary,
    read_variants,
    short_names,
)
from odum_assets.errors import ConfigError

CONFIGS = Path(__file__).parents[2] / "configs"
NAME = "binance_futures_btcusdt_l2_trades_config"


@pytest.fixture(scope="module")
def loaded() -> LoadedConfig:
    return load_config(CONFIGS / f"{NAME}.json")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a.b=1,2.50,-3", [1, Decimal("2.50"), -3]),
        ("a=LIMIT,MARKET", ["LIMIT", "MARKET"]),
        ("a=null,5", [None, 5]),
        ("a=true,no", [True, "no"]),
        ('a="x,y",z', ['"x', 'y"', "z"]),
        ('a="x,y","z"', ["x,y", "z"]),
        ('a={"type": "TWAP"},{"type": "VWAP"}', [{"type": "TWAP"}, {"type": "VWAP"}]),
        ("a=NaN", ["NaN"]),
        ('a=""', [""]),
    ],
)
def test_values_are_json_or_text(text: str, values: list[Any]) -> None:
    found = parse_vary(text)[1]
    assert found == values
    assert list(map(type, found)) == list(map(type, values))


@pytest.mark.parametrize("text", ["", "a", "a=", "=1", "a=1,,b", "a=x,"])
def test_what_is_no_path_with_values_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="found"):
        parse_vary(text)


def test_a_grid_has_every_combination() -> None:
    assert grid({"a": [1, 2], "b": ["x", "y"]}) == [
        {"a": 1, "b": "x"},
        {"a": 1, "b": "y"},
        {"a": 2, "b": "x"},
        {"a": 2, "b": "y"},
    ]


def test_a_variant_is_the_configuration_that_a_file_would_be(
    loaded: LoadedConfig, tmp_path: Path
) -> None:
    document = json.loads(loaded.path.read_text(encoding="utf-8"))
    document.pop("$schema")
    document["venue"]["taker_fee"] = 0.00033
    document["execution"] = {"latency": {"insert_ms": 12}}
    file = tmp_path / f"{NAME}.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    # As a command gives them and as a launchpad does.
    for fee in (Decimal("0.00033"), 0.00033):
        varied = {"venue.taker_fee": fee, "execution.latency.insert_ms": 12}
        (found,) = make_variants(loaded, [varied])
        assert found.config.config == load_config(file).config
        assert found.config.content_hash == load_config(file).content_hash
        assert (found.config.name, found.config.path) == (loaded.name, loaded.path)
        assert found.varied == varied


def test_entries_of_a_list_vary(loaded: LoadedConfig) -> None:
    orders = [{"side": "buy", "amount": 1}, {"side": "sell", "amount": 2}]
    (first,) = make_variants(loaded, [{"strategy.orders": orders}])
    (second,) = make_variants(first.config, [{"strategy.orders[1].amount": 5}])
    assert [order.amount for order in second.config.config.strategy.orders] == [1, 5]
    with pytest.raises(ConfigError, match=r"orders\[2\].*no such entry: the list has 2"):
        make_variants(first.config, [{"strategy.orders[2].amount": 5}])


def test_a_strategy_of_ones_own_may_vary(loaded: LoadedConfig) -> None:
    document = loaded.config.model_dump(by_alias=True, exclude_unset=True)
    kept = set(document["strategy"]) & {"submission_mode", "order_type", "time_in_force", "orders"}
    with pytest.raises(ConfigError) as caught:
        make_variants(loaded, [{"strategy.path": "mine:Mine"}])
    # What the file says and a strategy of one's own refuses is named, and nothing else.
    assert str(caught.value).count("not allowed with strategy.path") == len(kept)
    own = {"name": "Mine", "path": "mine:Mine", "params": {"a": {"b": 1}}}
    (first,) = make_variants(loaded, [{"strategy": own}])
    found = make_variants(first.config, grid({"strategy.params.a.b": [Decimal("0.1"), 2]}))
    assert [each.config.config.strategy.params for each in found] == [
        {"a": {"b": Decimal("0.1")}},
        {"a": {"b": 2}},
    ]


@pytest.mark.parametrize(
    ("varied", "parts"),
    [
        ({"execution.latency.insert_ns": 5}, ["insert_ns=5", "unknown key", '"insert_ms"']),
        ({"strat.x": 5}, ["strat.x=5", 'strat: unknown key; did you mean "strategy"?']),
        ({"venue.maker_fee.x": 5}, ["venue.maker_fee.x=5", "no such path"]),
        ({"venue.": 5}, ["no such path"]),
        ({"venue.maker_fee": "abc"}, ['venue.maker_fee: found "abc", should be a number']),
        ({"venue.maker_fee": float("nan")}, ["venue.maker_fee: found NaN"]),
        ({"venue.base_currency": "EUR"}, ["found EUR, allowed USDT"]),
        ({"strategy.params.x": 1}, ["only allowed with strategy.path"]),
        ({"instrument.price_precision": 2}, ["may not vary", "which data are replayed"]),
        ({"data_catalog.auto_discover": False}, ["may not vary"]),
        ({"time_window": {"start": None, "end": None}}, ["may not vary"]),
        ({"environment.DATA_CATALOG_PATH": "x"}, ["may not vary", "where data are"]),
        ({"data_source": "local"}, ["may not vary"]),
        ({"quality.max_gap_secs": 1}, ["may not vary", "changes no result"]),
        ({"$schema": "x"}, ["may not vary"]),
    ],
)
def test_what_cannot_vary_is_named_with_its_value(
    loaded: LoadedConfig, varied: dict[str, Any], parts: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        make_variants(loaded, [{"execution.queue_position": True}, varied])
    for part in [NAME, *parts]:
        assert part in str(caught.value)


def test_every_problem_is_named_once(loaded: LoadedConfig) -> None:
    axes = {"execution.latency.insert_ns": [0, 5], "strategy.order_type": ["LIMIT", "STOP"]}
    with pytest.raises(ConfigError) as caught:
        make_variants(loaded, grid(axes))
    assert str(caught.value).count("unknown key") == 1
    assert str(caught.value).count("should be 'LIMIT' or 'MARKET'") == 1


def test_nothing_and_the_same_twice_are_refused(loaded: LoadedConfig) -> None:
    with pytest.raises(ConfigError, match="nothing varies"):
        make_variants(loaded, [])
    twice = [{"venue.taker_fee": Decimal("0.10")}, {"venue.taker_fee": Decimal("0.1")}]
    with pytest.raises(ConfigError, match=r"taker_fee=0\.1: given twice"):
        make_variants(loaded, twice)


def test_a_file_of_variants(tmp_path: Path) -> None:
    file = tmp_path / "variants.json"
    file.write_text('[{"venue.taker_fee": 0.10}, {"risk.throttling_per_sec": null}]')
    assert read_variants(file) == [
        {"venue.taker_fee": Decimal("0.10")},
        {"risk.throttling_per_sec": None},
    ]
    for text, cause in (("{}", "a list of objects"), ("[1]", "a list"), ("[", "not JSON")):
        file.write_text(text)
        with pytest.raises(ConfigError, match=cause):
            read_variants(file)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_variants(tmp_path / "nothing.json")


def test_labels_are_one_line() -> None:
    assert label_of({"a.b": Decimal("0.1"), "c": "text", "d": None}) == "a.b=0.1, c=text, d=null"
    assert short_names(["a.b", "a.c"]) == ["b", "c"]
    assert short_names(["a.b", "c.b"]) == ["a.b", "c.b"]


def test_overrides_of_one_run(loaded: LoadedConfig) -> None:
    exact = {"$number": "0.12345678901234567890123"}
    other = override(loaded, {"venue.starting_balance": 5_000, "venue.taker_fee": exact})
    assert (other.name, other.path) == (loaded.name, loaded.path)
    assert other.content_hash != loaded.content_hash
    assert other.ticks.venue.starting_balance == 5_000
    assert other.ticks.venue.taker_fee == Decimal("0.12345678901234567890123")
    assert override(loaded, {}).content_hash == loaded.content_hash
    for values, text in (
        ({"data_catalog.trades_path": "x"}, "data_catalog.trades_path: may not vary"),
        ({"venue.nothing": 1}, "venue.nothing"),
        ({"venue.starting_balance": -1}, "venue.starting_balance: found -1"),
    ):
        with pytest.raises(ConfigError, match=f"{NAME} overrides: ") as refused:
            override(loaded, values)
        assert text in str(refused.value)
