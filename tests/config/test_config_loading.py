"""Files, rules between files, hashes, schema and the shipped configurations."""

import json
import random
import re
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from configfiles import BTC_KEY as BTC
from configfiles import CONFIGS, FOLDER, minimal, with_keys, write_config
from hypothesis import given
from hypothesis import strategies as st

from odum_assets.config import RunConfig, json_schema, load_config, load_configs
from odum_assets.config.hashing import canonical_json, content_hash
from odum_assets.errors import ConfigError

SHIPPED = {
    "binance_btcusdt_l2_trades_config": "BINANCE:SPOT_PAIR:BTC-USDT",
    "binance_ethusdt_l2_trades_config": "BINANCE:SPOT_PAIR:ETH-USDT",
    "binance_futures_btcusdt_5min_example": BTC,
    "binance_futures_btcusdt_l2_trades_config": BTC,
    "binance_futures_ethusdt_l2_trades_config": "BINANCE-FUTURES:PERPETUAL:ETH-USDT",
    "bybit_btcusdt_l2_trades_config": "BYBIT:PERPETUAL:BTC-USDT@LIN",
    "bybit_ethusdt_l2_trades_config": "BYBIT:PERPETUAL:ETH-USDT@LIN",
    "deribit_btcusd_l2_trades_config": "DERIBIT:PERPETUAL:BTC-USD@INV",
    "deribit_ethusd_l2_trades_config": "DERIBIT:PERPETUAL:ETH-USD@INV",
    "okx_btcusdt_l2_trades_config": "OKX:PERPETUAL:BTC-USDT@LIN",
    "okx_ethusdt_l2_trades_config": "OKX:PERPETUAL:ETH-USDT@LIN",
    "spy_1m_ma_cross_config": "ARCA:EQUITY:SPY",
    "spy_qqq_1m_orb_config": "ARCA:EQUITY:SPY",
}


def write(folder: Path, name: str, **sections: dict[str, Any]) -> Path:
    return write_config(folder, name, minimal(), **sections)


def hash_of(text: str) -> str:
    return content_hash(RunConfig.model_validate(json.loads(text, parse_float=Decimal)))


# --- shipped files ------------------------------------------------------------------------------


def test_every_shipped_configuration_loads() -> None:
    loaded = load_configs(CONFIGS)

    assert {config.name: str(config.key) for config in loaded} == SHIPPED
    assert len({config.content_hash for config in loaded}) == len(SHIPPED)
    for config in loaded:
        window = config.config.time_window
        is_example = config.name.endswith("example")
        assert (window.start_ns, window.end_ns) == (
            (1684869780 * 10**9, 1684870080 * 10**9) if is_example else (None, None)
        )


def test_the_shipped_schema_is_the_model_s() -> None:
    shipped = json.loads((CONFIGS / "run_config.schema.json").read_text())

    assert shipped == json_schema(), "run: odum config schema > configs/run_config.schema.json"


def test_every_key_of_the_schema_is_described() -> None:
    schema = json_schema()
    models = [model for model in schema["$defs"].values() if "properties" in model]
    assert len(models) > 25
    for model in models:
        assert model["additionalProperties"] is False
        for name, field in model["properties"].items():
            # A section's description stands once, with its definition.
            target = schema["$defs"].get(field.get("$ref", "").rpartition("/")[2], {})
            assert {**target, **field}.get("description"), f"{model['title']}.{name}"


def test_the_schema_writes_numbers_as_numbers() -> None:
    schema = json_schema()

    assert schema["$defs"]["VenueConfig"]["properties"]["maker_fee"] == {
        "description": "Fee of resting orders as a fraction of the notional value; negative: "
        "rebate.",
        "examples": [0.0002],
        "maximum": 1,
        "minimum": -1,
        "title": "Maker Fee",
        "type": "number",
    }
    ticks = schema["$defs"]["RunConfig"]["properties"]
    assert ticks["quality"]["default"]["max_reject_ratio"] == 0.01
    assert not re.search(r'"(ge|gt|le|lt|decimal_places)":', json.dumps(schema))


# --- one file -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b'{\n  "a": 1,\n}', "not JSON at line 2, column 9: "),
        (b"", "not JSON at line 1, column 1: "),
        (b"[]", "line 1, column 1: allowed one JSON object {...}"),
        (b'"x"', "line 1, column 1: allowed one JSON object {...}"),
        (b'{"a": "\xff"}', "not UTF-8 text (byte 7); save it as UTF-8"),
        (b'{"a": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"a": ' + b"1" * 10_000 + b"}", "not valid: "),
    ],
)
def test_a_file_that_is_no_json_object(tmp_path: Path, content: bytes, text: str) -> None:
    file = tmp_path / "config.json"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config(file)

    assert str(caught.value).startswith(f"{file}: {text}")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_config(file)


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    file = write(tmp_path, "config")
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())

    assert load_config(str(file)).name == "config"


def test_a_key_given_twice(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    text = json.dumps(minimal())
    text = text.replace('"maker_fee": 0.0002', '"maker_fee": 0.0002, "maker_fee": 0.0003')
    file.write_text(text[:-1] + ', "risk": {}, "risk": {}, "risk": {}}')
    with pytest.raises(ConfigError) as caught:
        load_config(file)

    assert set(str(caught.value).splitlines()) == {
        f"{file}: risk: given 3 times, allowed once",
        f"{file}: venue.maker_fee: given 2 times, allowed once",
    }


def test_a_number_that_json_does_not_have(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(minimal()).replace("0.0002", "NaN").replace("0.0004", "-Infinity"))
    with pytest.raises(ConfigError) as caught:
        load_config(file)

    assert str(caught.value).splitlines() == [
        f"{file}: venue.maker_fee: found NaN, which is not valid JSON",
        f"{file}: venue.taker_fee: found -Infinity, which is not valid JSON",
    ]


@pytest.mark.parametrize("name", ["My-Config", "config.v2", "ünder"])
def test_a_name_that_is_no_slug(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, name))

    assert f'file name: found "{name}", allowed small letters, digits and _' in str(caught.value)


# --- a folder -----------------------------------------------------------------------------------


def test_problems_of_all_files_come_at_once(tmp_path: Path) -> None:
    write(tmp_path, "good")
    one = write(tmp_path, "one", venue={"maker_fee": 2})
    two = write(tmp_path, "two", instrument={"price_precision": 20})
    (tmp_path / "three.json").write_text("{")
    with pytest.raises(ConfigError) as caught:
        load_configs(tmp_path)
    lines = str(caught.value).splitlines()

    assert len(lines) == 3
    assert lines[0] == f"{one}: venue.maker_fee: found 2, should be less than or equal to 1"
    assert lines[1].startswith(f"{tmp_path / 'three.json'}: not JSON at line 1")
    assert lines[2].startswith(f"{two}: instrument.price_precision: found 20")


def test_only_configurations_are_read(tmp_path: Path) -> None:
    write(tmp_path, "b")
    write(tmp_path, "a")
    (tmp_path / "run_config.schema.json").write_text("{}")
    (tmp_path / ".hidden.json").write_text("{}")
    (tmp_path / "notes.txt").write_text("x")

    assert [config.name for config in load_configs(str(tmp_path))] == ["a", "b"]


def test_an_empty_folder_has_none(tmp_path: Path) -> None:
    assert load_configs(tmp_path) == []


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder of run configurations"):
        load_configs(tmp_path / "none")


@pytest.mark.parametrize(
    ("section", "key", "value", "first"),
    [
        ("instrument", "price_precision", 2, "1"),
        ("instrument", "size_precision", 4, "3"),
        ("instrument", "multiplier", 10, "1"),
        ("instrument", "margin_init", 0.5, "0.01"),
        ("instrument", "margin_maint", 0.001, "0.005"),
        ("data_catalog", "parquet_root", "/catalog", "nothing"),
        ("environment", "DATA_CATALOG_PATH", "/catalog", "nothing"),
        ("environment", "UNIFIED_CLOUD_LOCAL_PATH", "/raw", "nothing"),
    ],
)
def test_configurations_of_one_instrument_agree(
    tmp_path: Path, section: str, key: str, value: object, first: str
) -> None:
    one = write(tmp_path, "one")
    two = write(tmp_path, "two", **{section: {key: value}})
    with pytest.raises(ConfigError) as caught:
        load_configs(tmp_path)

    assert str(caught.value) == (
        f"{two}: {section}.{key}: found {value}, but {one} has {first} for the same instrument "
        f"{BTC}; they share its data, so make them agree"
    )


def test_configurations_of_one_instrument_read_the_same_files(tmp_path: Path) -> None:
    write(tmp_path, "one")
    write(tmp_path, "two", data_catalog={"trades_path": f"elsewhere/day-*/{BTC}.parquet"})
    with pytest.raises(ConfigError, match=r"two\.json: data_catalog\.trades_path: found elsewhere"):
        load_configs(tmp_path)


def test_one_of_them_may_do_without_books(tmp_path: Path) -> None:
    write(tmp_path, "one")
    write(tmp_path, "two", data_catalog={"book_snapshot_5_path": f"{FOLDER}/b/"})

    assert len(load_configs(tmp_path)) == 2


def test_two_spellings_of_one_instrument_would_share_a_folder(tmp_path: Path) -> None:
    for name, file in (
        ("one", "OKX:PERPETUAL:BTC-USDT"),
        ("two", "OKX:PERPETUAL:BTC-USDT@LIN"),
    ):
        write(
            tmp_path,
            name,
            instrument={"id": "BTC-USDT.OKX"},
            venue={"name": "OKX"},
            data_catalog={"trades_path": f"{FOLDER}/t/{file}.parquet"},
        )
    with pytest.raises(ConfigError, match=r"would both be stored as BTC-USDT-PERP\.OKX"):
        load_configs(tmp_path)


# --- hash ---------------------------------------------------------------------------------------


def shuffled(value: object, dice: random.Random) -> object:
    if isinstance(value, dict):
        items = list(value.items())
        dice.shuffle(items)
        return {key: shuffled(item, dice) for key, item in items}
    return value


@given(st.randoms())
def test_the_order_of_keys_does_not_matter(dice: random.Random) -> None:
    assert hash_of(json.dumps(shuffled(minimal(), dice))) == hash_of(json.dumps(minimal()))


@given(st.decimals("0.00000001", 1, places=8), st.integers(0, 6))
def test_the_spelling_of_numbers_does_not_matter(fee: Decimal, zeros: int) -> None:
    text = json.dumps(minimal())
    plain = format(fee, "f")
    sign, digits, exponent = fee.as_tuple()
    assert sign == 0
    scientific = f"{int(''.join(map(str, digits)))}E{exponent}"
    hashes = {
        hash_of(text.replace("0.0002", spelling))
        for spelling in (plain, plain + "0" * zeros, scientific, f'"{plain}"')
    }

    assert len(hashes) == 1


@given(st.decimals(allow_nan=False, allow_infinity=False), st.integers(0, 40))
def test_canonical_numbers_keep_their_value(number: Decimal, zeros: int) -> None:
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    longer = Decimal((sign, digits + (0,) * zeros, exponent - zeros))

    assert canonical_json(number) == canonical_json(longer)
    if number:
        assert Decimal(canonical_json(number)) == number


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("instrument", {"id": "BTC-USDT.BINANCE-FUTURES"}),
        ("instrument", {"id": "BTC-USDT-PERP.BINANCE_FUTURES"}),
        ("instrument", {"id": "BINANCE_FUTURES:PERPETUAL:BTC-USDT"}),
        ("instrument", {"multiplier": 1, "margin_init": 0.01}),
        ("venue", {"name": "BINANCE_FUTURES"}),
        ("venue", {"book_type": "L2_MBP", "leverage": 1}),
        ("data_catalog", {"trades_path": f"{FOLDER}/data_type-trades/"}),
        (
            "data_catalog",
            {"trades_path": f"raw_tick_data/by_date/day-{{date}}/data_type-trades/{BTC}.parquet"},
        ),
        ("data_catalog", {"instrument_file_pattern": "{key}.parquet"}),
        ("data_catalog", {"auto_discover": False, "parquet_root": "/elsewhere"}),
        ("strategy", {"exec_algorithm": {"type": "NORMAL"}, "order_type": "LIMIT"}),
        ("execution", {"latency": {"insert_ms": 0}}),
        ("environment", {"DATA_CATALOG_PATH": "/elsewhere"}),
        ("quality", {"max_gap_secs": 1}),
    ],
)
def test_what_cannot_change_a_result_does_not_change_the_hash(
    section: str, values: dict[str, Any]
) -> None:
    named = {"$schema": "./run_config.schema.json", "data_source": "local", section: values}

    assert hash_of(json.dumps(with_keys(minimal(), **named))) == hash_of(json.dumps(minimal()))


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("instrument", {"price_precision": 2}),
        ("instrument", {"multiplier": 2}),
        ("venue", {"maker_fee": 0.00020001}),
        ("venue", {"starting_balance": 1000001}),
        ("data_catalog", {"trades_path": f"elsewhere/day-*/{BTC}.parquet"}),
        ("data_catalog", {"book_snapshot_5_path": f"{FOLDER}/b/"}),
        ("time_window", {"start": "2023-05-23T19:23:00Z"}),
        ("time_window", {"end": "2023-05-23T19:23:00Z"}),
        ("strategy", {"time_in_force": "GTC"}),
        ("strategy", {"orders": [{"side": "buy", "amount": 1}]}),
        ("strategy", {"exec_algorithm": {"type": "TWAP"}}),
        ("strategy", {"path": "mine:Best"}),
        ("strategy", {"path": "mine:Best", "params": {"a": 1}}),
        ("strategy", {"path": "mine:Best", "params": {"a": "1"}}),
        ("strategy", {"path": "mine:Best", "params": {"a": True}}),
        ("execution", {"queue_position": True}),
        ("execution", {"fill_model": {"random_seed": None}}),
        ("risk", {"throttling_per_sec": 5}),
        ("metrics", {"equity_interval_secs": 1}),
        ("fx_stub", {"USDT_USD": 1}),
    ],
)
def test_what_can_change_a_result_changes_the_hash(section: str, values: dict[str, Any]) -> None:
    document = with_keys(minimal(), **{section: values})

    assert hash_of(json.dumps(document)) != hash_of(json.dumps(minimal()))


def test_params_of_other_types_are_other_configurations() -> None:
    hashes = set()
    for params in ({"a": 1}, {"a": "1"}, {"a": True}, {"a": None}, {"a": [1]}, {"a": {"b": 1}}):
        document = minimal()
        document["strategy"] = {"name": "Mine", "path": "mine:Best", "params": params}
        hashes.add(hash_of(json.dumps(document)))

    assert len(hashes) == 6


def test_a_time_is_the_same_in_any_zone() -> None:
    texts = ("2023-05-23T19:23:00Z", "2023-05-23T21:23:00.000+02:00", "2023-05-23 19:23+00:00")
    hashes = set()
    for text in texts:
        document = minimal()
        document["time_window"]["start"] = text
        hashes.add(hash_of(json.dumps(document)))

    assert len(hashes) == 1


def test_the_hash_does_not_follow_the_path(tmp_path: Path) -> None:
    one = write(tmp_path, "one")
    two = tmp_path / "two.json"
    shutil.copy(one, two)

    assert load_config(one).content_hash == load_config(two).content_hash


# --- imports ------------------------------------------------------------------------------------


def test_reading_configurations_loads_nothing_heavy() -> None:
    code = (
        "import sys, odum_assets.config, odum_assets.settings, odum_assets.instruments.definitions;"
        "heavy = {'nautilus_trader', 'pyarrow', 'pandas', 'numpy', 'dagster'} & set(sys.modules);"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
