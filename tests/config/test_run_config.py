"""Rules of one configuration, and how what breaks them is reported."""

import copy
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from configfiles import BTC_KEY as BTC
from configfiles import FOLDER, minimal, with_keys
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from odum_assets.config import RunConfig, load_config
from odum_assets.config.sections.data import TimeWindow
from odum_assets.errors import ConfigError

Problems = Callable[[dict[str, Any]], list[str]]


def perpetual() -> dict[str, Any]:
    """Return a configuration that gives every section."""
    return with_keys(
        minimal(),
        venue={
            "book_type": "L2_MBP",
            "maker_fee": Decimal("0.0002"),
            "taker_fee": Decimal("0.0004"),
        },
        data_catalog={
            "book_snapshot_5_path": f"{FOLDER}/data_type-book_snapshot_5/{BTC}.parquet",
            "auto_discover": True,
        },
        time_window={"start": "2023-05-23T19:23:00Z", "end": "2023-05-23T19:28:00Z"},
        strategy={
            "submission_mode": "per_trade_tick",
            "orders": [{"side": "buy", "price": Decimal("27000.1"), "amount": Decimal("0.5")}],
            "exec_algorithm": {"type": "TWAP", "params": {"horizon_secs": 10, "interval_secs": 1}},
        },
        execution={"fill_model": {"random_seed": 7}, "latency": {"insert_ms": 5}},
        risk={"throttling_per_sec": 100},
        environment={"UNIFIED_CLOUD_SERVICES_USE_PARQUET": "true"},
        fx_stub={"USDT_USD": 1},
        data_source="local",
        quality={"max_gap_secs": 60},
        metrics={"equity_interval_secs": 10},
    )


MANDATORY = [
    "instrument",
    "instrument.id",
    "instrument.price_precision",
    "instrument.size_precision",
    "venue",
    "venue.name",
    "venue.oms_type",
    "venue.account_type",
    "venue.base_currency",
    "venue.starting_balance",
    "data_catalog",
    "data_catalog.trades_path",
    "time_window",
    "time_window.start",
    "time_window.end",
    "strategy.name",
    "strategy.orders[0].side",
    "strategy.orders[0].amount",
    "strategy.exec_algorithm.type",
]


def text_of(value: object) -> str:
    return json.dumps(value, default=float)


@pytest.fixture
def problems(tmp_path: Path) -> Problems:
    """Return the lines that loading a document ends with, without the file's name."""

    def find(document: dict[str, Any]) -> list[str]:
        file = tmp_path / "config.json"
        file.write_text(text_of(document))
        lines = []
        try:
            load_config(file)
        except ConfigError as error:
            lines = str(error).splitlines()
        for line in lines:
            assert line.startswith(f"{file}: ")
            assert "pydantic" not in line
            assert "Input should" not in line
        return [line.removeprefix(f"{file}: ") for line in lines]

    return find


def steps_of(path: str) -> list[str | int]:
    steps: list[str | int] = []
    for part in path.split("."):
        name, bracket, index = part.partition("[")
        steps.append(name)
        if bracket:
            steps.append(int(index.removesuffix("]")))
    return steps


def changed(path: str, value: object) -> dict[str, Any]:
    document = perpetual()
    *parents, last = steps_of(path)
    place: Any = document
    for step in parents:
        place = place.setdefault(step, {}) if isinstance(place, dict) else place[step]
    place[last] = value
    return document


def without(path: str) -> dict[str, Any]:
    document = perpetual()
    *parents, last = steps_of(path)
    place: Any = document
    for step in parents:
        place = place[step]
    del place[last]
    return document


def every_key(value: object, path: str = "") -> list[str]:
    if isinstance(value, dict):
        found = []
        for name, item in value.items():
            here = f"{path}.{name}" if path else name
            found += [here, *every_key(item, here)]
        return found
    if isinstance(value, list):
        return [key for i, item in enumerate(value) for key in every_key(item, f"{path}[{i}]")]
    return []


# --- keys ---------------------------------------------------------------------------------------


def test_the_full_example_holds(problems: Problems) -> None:
    assert problems(perpetual()) == []


@pytest.mark.parametrize("path", MANDATORY)
def test_a_missing_key_is_named(problems: Problems, path: str) -> None:
    found = problems(without(path))

    assert any(line.startswith(f"{path}: missing; give") for line in found), found


@pytest.mark.parametrize("path", [key for key in every_key(perpetual()) if key not in MANDATORY])
def test_a_missing_optional_key_is_filled_in(problems: Problems, path: str) -> None:
    assert problems(without(path)) == [] or path == "fx_stub.USDT_USD"


# A pair is a name of its own, and without its type nothing is known of an algorithm's keys.
FREE_KEYS = ("fx_stub.USDT_USD", "strategy.exec_algorithm.type")


@pytest.mark.parametrize("path", [key for key in every_key(perpetual()) if key not in FREE_KEYS])
def test_a_misspelled_key_is_named_with_the_right_one(problems: Problems, path: str) -> None:
    steps = steps_of(path)
    document = perpetual()
    place: Any = document
    for step in steps[:-1]:
        place = place[step]
    name = str(steps[-1])
    wrong = f"{name}s"
    place[wrong] = place.pop(name)
    found = problems(document)

    expected = f'{path.removesuffix(name)}{wrong}: unknown key; did you mean "{name}"?'
    assert expected in found, found


def test_a_key_that_is_near_to_none_lists_the_known_ones(problems: Problems) -> None:
    assert problems(changed("risk.zzz", 1)) == [
        "risk.zzz: unknown key; known keys: throttling_per_sec"
    ]


def test_all_problems_of_all_sections_come_at_once(problems: Problems) -> None:
    document = perpetual()
    document["venue"]["maker_fee"] = 2
    document["instrument"]["price_precision"] = "1"
    document["time_window"]["start"] = "2023-05-23T19:23:00"
    document["strategy"]["exec_algorithm"]["params"]["interval_secs"] = 11
    document["fx_stub"] = {"USDT": 1}
    document["risc"] = {}
    del document["data_catalog"]["trades_path"]

    assert problems(document) == [
        'instrument.price_precision: found "1", should be a valid integer',
        "venue.maker_fee: found 2, should be less than or equal to 1",
        "data_catalog.trades_path: missing; give: Path of the trades below the raw root, with one "
        "day-* folder for the day; a .parquet file named after the instrument key, or a folder "
        "when it ends in /.",
        "time_window.start: found 2023-05-23T19:23:00 without a time zone, add Z for UTC: "
        "2023-05-23T19:23:00Z",
        "strategy.exec_algorithm.params.interval_secs: found 11, allowed up to horizon_secs (10)",
        "fx_stub.USDT: found \"USDT\", should match pattern '^[A-Z0-9]{2,16}_[A-Z0-9]{2,16}$'",
        'risc: unknown key; did you mean "risk"?',
    ]


def test_rules_between_sections_are_tried_beside_broken_sections(problems: Problems) -> None:
    document = perpetual()
    document["venue"]["name"] = "BYBIT"
    document["metrics"] = 5

    assert problems(document) == [
        "metrics: found 5, should be an object",
        "venue.name: found BYBIT, allowed the venue of instrument.id (BINANCE-FUTURES)",
    ]


# --- values -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value", "allowed"),
    [
        ("venue.oms_type", "MARGIN", "should be 'NETTING' or 'HEDGING'"),
        ("venue.account_type", "BETTING", "should be 'CASH' or 'MARGIN'"),
        ("venue.book_type", "L3_MBO", "should be 'L1_MBP' or 'L2_MBP'"),
        ("venue.taker_fee", -1.5, "should be greater than or equal to -1"),
        ("venue.taker_fee", True, "should be a number"),
        ("venue.taker_fee", "NaN", "should be a number"),
        ("venue.taker_fee", "1_0", "should be a number"),
        ("venue.taker_fee", None, "should be a number"),
        ("venue.starting_balance", 0, "should be greater than 0"),
        ("venue.starting_balance", 1.123456789, "should have no more than 8 decimal places"),
        ("venue.leverage", 0.5, "should be greater than or equal to 1"),
        ("venue.taker_fee", f"0.{'1' * 29}", "should have no more than 28 decimal places"),
        ("venue.maker_fee", "1e-29", "should have no more than 28 decimal places"),
        ("venue.leverage", f"2.{'1' * 25}", "should have no more than 24 decimal places"),
        ("instrument.margin_maint", "1e-29", "should have no more than 28 decimal places"),
        ("venue.base_currency", "usdt", "should match pattern '^[A-Z0-9]{2,16}$', such as USDT"),
        ("instrument.price_precision", 17, "should be less than or equal to 16"),
        ("instrument.price_precision", 1.5, "should be a valid integer"),
        ("instrument.price_precision", True, "should be a valid integer"),
        ("instrument.multiplier", 0, "should be greater than 0"),
        ("instrument.margin_init", 2, "should be less than or equal to 1"),
        ("instrument.margin_maint", 0.5, "allowed up to margin_init (0.01)"),
        ("instrument.id", 5, "should be a valid string"),
        ("data_catalog.auto_discover", "yes", "should be true or false"),
        ("data_catalog.parquet_root", "", "should have at least 1 character"),
        ("time_window.end", 1684870980, "should be a time such as 2023-05-23T19:23:00Z"),
        (
            "time_window.end",
            "2023-02-30T00:00:00Z",
            "should be a time such as 2023-05-23T19:23:00Z",
        ),
        ("strategy.submission_mode", "always", "should be 'per_trade_tick' or 'seed_orders'"),
        ("strategy.order_type", "STOP", "should be 'LIMIT' or 'MARKET'"),
        ("strategy.time_in_force", "DAY", "should be 'IOC', 'GTC' or 'FOK'"),
        ("strategy.orders", {}, "should be a list"),
        ("strategy.orders[0].side", "BUY", "should be 'buy' or 'sell'"),
        ("strategy.orders[0].price", 27000.12, "allowed up to 1 decimals (instrument precision)"),
        ("strategy.orders[0].amount", 0.0001, "allowed up to 3 decimals (instrument precision)"),
        (
            "strategy.exec_algorithm.type",
            "POV",
            "should be one of 'NORMAL', 'TWAP', 'VWAP', 'ICEBERG'",
        ),
        ("strategy.exec_algorithm", "TWAP", "should be an object"),
        ("strategy.exec_algorithm.params.horizon_secs", 0, "should be greater than 0"),
        ("execution.fill_model.prob_slippage", 1.1, "should be less than or equal to 1"),
        ("execution.latency.cancel_ms", -1, "should be greater than or equal to 0"),
        ("execution.queue_position", 1, "should be true or false"),
        ("risk.throttling_per_sec", 0, "should be greater than 0"),
        ("environment.UNIFIED_CLOUD_SERVICES_USE_PARQUET", 1, "should be a valid string"),
        ("fx_stub", {"USDT_USD": 1, "USDT_EUR": 1}, "should have at most 1 item, not more"),
        ("fx_stub", {}, "should have at least 1 item, not 0"),
        ("fx_stub.USDT_USD", 0, "should be greater than 0"),
        ("data_source", "s3", "should be 'local', 'gcs' or 'auto'"),
        ("quality.max_reject_ratio", 1.5, "should be less than or equal to 1"),
        ("metrics.equity_interval_secs", 0, "should be greater than or equal to 1"),
        ("metrics.annualization_days", 367, "should be less than or equal to 366"),
    ],
)
def test_a_value_that_is_not_allowed(
    problems: Problems, path: str, value: object, allowed: str
) -> None:
    assert problems(changed(path, value)) == [f"{path}: found {json.dumps(value)}, {allowed}"]


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        (
            "venue.name",
            "KRAKEN",
            "unknown venue 'KRAKEN'; known venues: BINANCE, BINANCE-FUTURES, BYBIT, DERIBIT, OKX",
        ),
        (
            "instrument.id",
            "DERIBIT:OPTION:BTC-USD-241227-50000-CALL",
            "options are not supported yet: DERIBIT:OPTION:BTC-USD-241227-50000-CALL",
        ),
        (
            "time_window.end",
            "2023-05-23T19:23:00Z",
            "found 2023-05-23T19:23:00Z, allowed a time after start (2023-05-23T19:23:00Z)",
        ),
        (
            "time_window.end",
            "9999-12-31T23:59:59-14:00",
            "found 9999-12-31T23:59:59-14:00, allowed the years 1971 to 2199",
        ),
        ("strategy.params", {"a": 1}, "only allowed with strategy.path; remove it"),
        (
            "environment.UNIFIED_CLOUD_SERVICES_USE_PARQUET",
            "false",
            "found 'false', allowed true: parquet is the only format there is",
        ),
        (
            "environment.UNIFIED_CLOUD_SERVICES_USE_DIRECT_GCS",
            "maybe",
            "found 'maybe', allowed true, 1, yes, on, false, 0, no, off",
        ),
        (
            "environment.DATA_CATALOG_PATH",
            "gs://bucket",
            "found 'gs://bucket', allowed a local folder",
        ),
        ("environment.HOME", "/", "unknown key; known keys: UNIFIED_CLOUD_LOCAL_PATH, "),
    ],
)
def test_a_value_that_breaks_a_rule(
    problems: Problems, path: str, value: object, line: str
) -> None:
    (found,) = problems(changed(path, value))

    assert found.startswith(f"{path}: {line}")


def test_decimals_are_exact(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    text = text_of(perpetual()).replace('"maker_fee": 0.0002', '"maker_fee": 0.1000000000000000055')
    file.write_text(text)

    assert load_config(file).config.venue.maker_fee == Decimal("0.1000000000000000055")


def test_a_negative_fee_is_a_rebate(problems: Problems) -> None:
    assert problems(changed("venue.maker_fee", -0.0001)) == []


def test_defaults() -> None:
    document = perpetual()
    for name in ("execution", "risk", "environment", "fx_stub", "data_source", "quality"):
        del document[name]
    del document["metrics"]
    document["strategy"] = {"name": "TradeReplay"}
    document["data_catalog"] = {"trades_path": document["data_catalog"]["trades_path"]}
    del document["venue"]["book_type"]
    config = RunConfig.model_validate(document)

    assert config.strategy.submission_mode == "per_trade_tick"
    assert (config.strategy.order_type, config.strategy.time_in_force) == ("LIMIT", "IOC")
    assert config.strategy.exec_algorithm.type == "NORMAL"
    assert config.data_catalog.auto_discover is True
    assert config.data_catalog.book_snapshot_5_path is None
    assert config.venue.book_type == "L2_MBP"
    assert config.venue.leverage == 1
    assert (config.instrument.margin_init, config.instrument.margin_maint) == (
        Decimal("0.01"),
        Decimal("0.005"),
    )
    assert config.multiplier == 1
    assert config.execution.fill_model.random_seed == 42
    assert config.execution.latency.insert_ns == 0
    assert config.risk.throttling_per_sec is None
    assert config.data_source == "auto"


def test_latency_in_nanoseconds() -> None:
    config = RunConfig.model_validate(changed("execution.latency.insert_ms", Decimal("0.25")))

    assert config.execution.latency.insert_ns == 250_000


def test_a_configuration_is_frozen() -> None:
    config = RunConfig.model_validate(perpetual())
    with pytest.raises(ValidationError):
        config.venue.name = "BYBIT"  # type: ignore[misc]


# --- strategy -----------------------------------------------------------------------------------


def test_an_own_strategy_takes_params(problems: Problems) -> None:
    strategy = {"name": "Mine", "path": "mine.strategies:Best", "params": {"window": 20}}

    assert problems(changed("strategy", strategy)) == []


def test_an_own_strategy_decides_itself_what_to_send(problems: Problems) -> None:
    strategy = {
        "name": "Mine",
        "path": "mine:Best",
        "submission_mode": "per_trade_tick",
        "exec_algorithm": {"type": "NORMAL"},
    }
    refused = "not allowed with strategy.path: the strategy decides; remove it"

    assert problems(changed("strategy", strategy)) == [
        f"strategy.submission_mode: {refused}",
        f"strategy.exec_algorithm: {refused}",
    ]


@pytest.mark.parametrize("path", ["mine", "mine.Best", "mine:Best:x", "../mine:Best", "mine:"])
def test_an_import_path_has_a_module_and_a_class(problems: Problems, path: str) -> None:
    (line,) = problems(changed("strategy", {"name": "Mine", "path": path}))

    assert line.startswith(f'strategy.path: found "{path}", should match pattern ')
    assert line.endswith(", such as my_strategies.momentum:Momentum")


def test_seed_orders_need_orders(problems: Problems) -> None:
    strategy = {"name": "Mine", "submission_mode": "seed_orders"}

    assert problems(changed("strategy", strategy)) == [
        "strategy.orders: missing; submission_mode seed_orders sends these"
    ]


@pytest.mark.parametrize("algorithm", ["TWAP", "VWAP", "ICEBERG"])
@pytest.mark.parametrize("order_type", ["LIMIT", "MARKET"])
@pytest.mark.parametrize("time_in_force", ["IOC", "GTC", "FOK"])
def test_algorithms_work_any_order(
    problems: Problems, algorithm: str, order_type: str, time_in_force: str
) -> None:
    strategy = {
        "name": "Mine",
        "order_type": order_type,
        "time_in_force": time_in_force,
        "exec_algorithm": {"type": algorithm},
    }

    assert problems(changed("strategy", strategy)) == []


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("NORMAL", {}),
        ("TWAP", {"horizon_secs": 10, "interval_secs": 1, "child_order_type": "MARKET"}),
        (
            "VWAP",
            {
                "horizon_secs": 10,
                "intervals": 10,
                "lookback_days": 5,
                "child_order_type": "MARKET",
            },
        ),
    ],
)
def test_algorithms_have_defaults(kind: str, params: dict[str, Any]) -> None:
    config = RunConfig.model_validate(changed("strategy.exec_algorithm", {"type": kind}))

    assert config.strategy.exec_algorithm.params.model_dump() == params


def test_a_parameter_of_another_algorithm_is_refused(problems: Problems) -> None:
    algorithm = {"type": "VWAP", "params": {"interval_secs": 1}}

    assert problems(changed("strategy.exec_algorithm", algorithm)) == [
        'strategy.exec_algorithm.params.interval_secs: unknown key; did you mean "intervals"?'
    ]


# --- instrument, venue, paths -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("instrument_id", "file", "key"),
    [
        (BTC, BTC, BTC),
        ("BTC-USDT.BINANCE-FUTURES", BTC, BTC),
        ("BTC-USDT-PERP.BINANCE_FUTURES", BTC, BTC),
        ("BTC-USDT.OKX", "OKX:PERPETUAL:BTC-USDT@LIN", "OKX:PERPETUAL:BTC-USDT@LIN"),
        ("BTC-USDT.OKX", "OKX:SPOT_PAIR:BTC-USDT", "OKX:SPOT_PAIR:BTC-USDT"),
        ("OKX:PERPETUAL:BTC-USDT", "OKX:PERPETUAL:BTC-USDT@LIN", "OKX:PERPETUAL:BTC-USDT@LIN"),
        ("BTC-USDT.OKX", None, "OKX:PERPETUAL:BTC-USDT"),
        ("BTC-USDT.BINANCE", None, "BINANCE:SPOT_PAIR:BTC-USDT"),
    ],
)
def test_the_key_follows_from_id_and_file(instrument_id: str, file: str | None, key: str) -> None:
    document = perpetual()
    document["instrument"]["id"] = instrument_id
    document["venue"]["name"] = key.split(":", maxsplit=1)[0]
    document["data_catalog"] = {
        "trades_path": f"{FOLDER}/t/" + ("" if file is None else f"{file}.parquet")
    }
    config = RunConfig.model_validate(document)

    assert str(config.key) == key
    template = config.data_catalog.template("trades", config.key)
    assert template == f"{FOLDER}/t/{key}.parquet"
    assert config.data_catalog.template("book_snapshot_5", config.key) is None


@pytest.mark.parametrize(
    ("instrument_id", "file"),
    [
        (BTC, "BINANCE-FUTURES:PERPETUAL:ETH-USDT"),
        (BTC, "BINANCE-FUTURES:FUTURE:BTC-USDT-241227"),
        ("ETH-USDT.BINANCE", BTC),
        ("BINANCE:SPOT_PAIR:BTC-USDT", BTC),
        ("BTC-USDT-PERP.OKX", "OKX:SPOT_PAIR:BTC-USDT"),
        ("OKX:PERPETUAL:BTC-USD", "OKX:PERPETUAL:BTC-USD@LIN"),
    ],
)
def test_a_file_of_another_instrument(problems: Problems, instrument_id: str, file: str) -> None:
    document = changed("instrument.id", instrument_id)
    document["data_catalog"] = {"trades_path": f"{FOLDER}/t/{file}.parquet"}

    assert (
        f"data_catalog.trades_path: names {file}, allowed the instrument of instrument.id "
        f"({instrument_id})" in problems(document)
    )


def test_trades_and_books_are_of_one_instrument(problems: Problems) -> None:
    document = changed("instrument.id", "BTC-USDT.OKX")
    document["venue"]["name"] = "OKX"
    document["data_catalog"] = {
        "trades_path": f"{FOLDER}/t/OKX:PERPETUAL:BTC-USDT.parquet",
        "book_snapshot_5_path": f"{FOLDER}/b/OKX:SPOT_PAIR:BTC-USDT.parquet",
    }

    assert problems(document) == [
        "data_catalog.book_snapshot_5_path: names OKX:SPOT_PAIR:BTC-USDT, allowed the file name "
        "of trades_path (OKX:PERPETUAL:BTC-USDT)"
    ]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (f"/data/day-*/{BTC}.parquet", "allowed a path below the raw root"),
        (f"gs://bucket/day-*/{BTC}.parquet", "allowed a path below the raw root"),
        (f"C:/data/day-*/{BTC}.parquet", "allowed a path below the raw root"),
        (f"~/data/day-*/{BTC}.parquet", "allowed a path below the raw root"),
        (f"data\\day-*/{BTC}.parquet", "write / instead of a backslash"),
        (f"../day-*/{BTC}.parquet", 'allowed a path below the raw root without ".."'),
        (f"a//day-*/{BTC}.parquet", 'allowed a path below the raw root without ".."'),
        (f"data/{BTC}.parquet", "allowed exactly one day-* folder (found 0)"),
        (f"day-2023-05-24/{BTC}.parquet", "allowed day-* for the day; a certain day only where"),
        (f"day-*/day-*/{BTC}.parquet", "allowed exactly one day-* folder (found 2)"),
        (f"day-*/x*/{BTC}.parquet", "allowed no wildcard but the one of the day-* folder"),
        ("day-*/trades", "allowed a .parquet file, or a folder that ends in /"),
        ("day-*/trades.parquet", "'trades' is not an instrument key"),
        ("", 'allowed a path below the raw root without ".."'),
    ],
)
def test_paths_that_are_refused(problems: Problems, path: str, text: str) -> None:
    (line,) = problems(changed("data_catalog.trades_path", path))

    assert line.startswith(f"data_catalog.trades_path: found {json.dumps(path)}, ")
    assert text in line


def test_a_day_may_be_spelled_as_a_placeholder() -> None:
    config = RunConfig.model_validate(
        changed("data_catalog.trades_path", f"raw/day-{{date}}/{BTC}.parquet")
    )

    assert config.data_catalog.template("trades", config.key) == f"raw/day-*/{BTC}.parquet"


def test_a_pattern_names_the_file_in_a_folder() -> None:
    document = perpetual()
    document["data_catalog"] = {
        "trades_path": f"{FOLDER}/t/",
        "book_snapshot_5_path": f"{FOLDER}/b/x_{BTC}.parquet",
        "instrument_file_pattern": "x_{key}.parquet",
    }
    config = RunConfig.model_validate(document)

    assert config.data_catalog.template("trades", config.key) == f"{FOLDER}/t/x_{BTC}.parquet"


def test_a_file_that_does_not_fit_the_pattern(problems: Problems) -> None:
    document = changed("data_catalog.instrument_file_pattern", "x_{key}.parquet")
    del document["data_catalog"]["book_snapshot_5_path"]
    (line,) = problems(document)

    assert line.startswith("data_catalog.trades_path: found ")
    assert line.endswith('the file name does not fit instrument_file_pattern "x_{key}.parquet"')


@pytest.mark.parametrize("pattern", ["a.parquet", "{key}", "{key}{key}.parquet", "x/{key}.parquet"])
def test_a_pattern_that_is_refused(problems: Problems, pattern: str) -> None:
    (line,) = problems(changed("data_catalog.instrument_file_pattern", pattern))

    assert line.startswith(f'data_catalog.instrument_file_pattern: found "{pattern}", allowed a')


def test_the_account_is_in_the_settlement_currency(problems: Problems) -> None:
    inverse = "DERIBIT:PERPETUAL:BTC-USD@INV"
    document = changed("instrument.id", inverse)
    document["venue"]["name"] = "DERIBIT"
    document["data_catalog"] = {"trades_path": f"{FOLDER}/t/{inverse}.parquet"}

    assert problems(document) == [
        "venue.base_currency: found USDT, allowed BTC: inverse BTC-USD settles in it"
    ]


@pytest.mark.parametrize(
    ("currency", "balance", "decimals"),
    [
        ("USD", "100000.123", 2),
        ("JPY", "100000.5", 0),
        ("XRP", "100000.1234567", 6),
        # One that NautilusTrader does not know is a coin.
        ("FOOX", "100000.12345678", None),
        ("USD", "100000.120", None),
        ("USDT", "100000.12345678", None),
    ],
)
def test_a_balance_has_the_decimals_of_its_currency(
    problems: Problems, currency: str, balance: str, decimals: int | None
) -> None:
    document = changed("venue.account_type", "CASH")
    document["instrument"]["id"] = f"BINANCE:SPOT_PAIR:BTC-{currency}"
    document["data_catalog"] = {"trades_path": f"{FOLDER}/t/"}
    document["fx_stub"] = None
    document["venue"] |= {
        "name": "BINANCE",
        "base_currency": currency,
        "starting_balance": balance,
    }
    assert problems(document) == (
        []
        if decimals is None
        else [
            f"venue.starting_balance: found {balance}, allowed up to {decimals} decimals: accounts "
            f"in {currency} have no more"
        ]
    )


def test_a_cash_account_is_for_spot(problems: Problems) -> None:
    assert problems(changed("venue.account_type", "CASH")) == [
        "venue.account_type: found CASH, allowed MARGIN: a PERPETUAL is traded on margin"
    ]
    spot = changed("venue.account_type", "CASH")
    spot["instrument"]["id"] = "BTC-USDT.BINANCE"
    spot["venue"]["name"] = "BINANCE"
    spot["data_catalog"] = {"trades_path": f"{FOLDER}/t/"}
    assert problems(spot) == []


def test_funding_is_for_perpetuals(problems: Problems) -> None:
    document = changed("instrument.id", "BTC-USDT.BINANCE")
    document["venue"]["name"] = "BINANCE"
    document["data_catalog"] = {
        "trades_path": f"{FOLDER}/t/",
        "derivative_ticker_path": f"{FOLDER}/f/",
    }

    assert problems(document) == [
        "data_catalog.derivative_ticker_path: not allowed: BINANCE:SPOT_PAIR:BTC-USDT pays no "
        "funding, only a perpetual does; remove it"
    ]


def test_a_contract_of_unknown_size_needs_a_multiplier(problems: Problems) -> None:
    document = changed("instrument.id", "XRP-USDT.OKX")
    document["venue"]["name"] = "OKX"
    document["data_catalog"] = {"trades_path": f"{FOLDER}/t/"}
    (line,) = problems(document)
    assert line.startswith("instrument.multiplier: missing: OKX reports OKX:PERPETUAL:XRP-USDT in")

    document["instrument"]["multiplier"] = 100
    assert problems(document) == []


def test_spot_has_no_multiplier(problems: Problems) -> None:
    document = changed("instrument.id", "BTC-USDT.BINANCE")
    document["instrument"]["multiplier"] = 2
    document["venue"]["name"] = "BINANCE"
    document["data_catalog"] = {"trades_path": f"{FOLDER}/t/"}

    assert problems(document) == [
        "instrument.multiplier: found 2, allowed 1: spot sizes are in BTC"
    ]


def test_an_fx_rate_starts_at_the_account_currency(problems: Problems) -> None:
    assert problems(changed("fx_stub", {"EUR_USD": 1})) == [
        "fx_stub.EUR_USD: allowed a rate from venue.base_currency: USDT_..."
    ]


# --- time window --------------------------------------------------------------------------------


def window(start: str | None, end: str | None) -> TimeWindow:
    return TimeWindow.model_validate({"start": start, "end": end})


def test_nanoseconds_are_exact() -> None:
    found = window("2023-05-23T21:23:00.123457+02:00", None)

    assert found.start_ns == 1684869780123457000
    assert found.end_ns is None


@given(st.datetimes(datetime(1971, 1, 1), datetime(2199, 1, 1)))  # noqa: DTZ001
def test_nanoseconds_of_any_time(moment: datetime) -> None:
    aware = moment.replace(tzinfo=UTC)
    since = aware - datetime(1970, 1, 1, tzinfo=UTC)
    expected = ((since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds) * 1000

    assert window(aware.isoformat(), None).start_ns == expected


def test_days_of_a_window_inside_one_day() -> None:
    found = window("2023-05-23T19:23:00Z", "2023-05-23T19:28:00Z")

    assert found.overlaps_day(date(2023, 5, 23))
    assert not found.overlaps_day(date(2023, 5, 22))
    assert not found.overlaps_day(date(2023, 5, 24))


def test_the_end_is_exclusive() -> None:
    found = window("2023-05-23T00:00:00Z", "2023-05-24T00:00:00Z")

    assert found.overlaps_day(date(2023, 5, 23))
    assert not found.overlaps_day(date(2023, 5, 24))


def test_an_open_window_has_every_day() -> None:
    assert window(None, None).overlaps_day(date(2017, 1, 1))
    assert window(None, "2023-05-24T00:00:01Z").overlaps_day(date(2023, 5, 24))
    assert window("2023-05-23T23:59:59Z", None).overlaps_day(date(2023, 5, 23))
    assert not window("2023-05-24T00:00:00Z", None).overlaps_day(date(2023, 5, 23))


@given(st.datetimes(datetime(2020, 1, 1), datetime(2021, 1, 1)), st.integers(1, 10**6))  # noqa: DTZ001
def test_a_window_overlaps_the_days_of_its_moments(moment: datetime, seconds: int) -> None:
    start = moment.replace(tzinfo=UTC)
    end = start + timedelta(seconds=seconds)
    found = window(start.isoformat(), end.isoformat())

    assert found.overlaps_day(start.date())
    assert found.overlaps_day((end - timedelta(microseconds=1)).date())
    assert not found.overlaps_day(start.date() - timedelta(days=1))


# --- robustness ---------------------------------------------------------------------------------

SCALARS = st.none() | st.booleans() | st.integers(-5, 20) | st.text(max_size=5) | st.floats(-2, 2)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
)


@settings(
    deadline=None,  # how fast a busy machine is, is not the question
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    max_examples=200,
)
@given(st.sampled_from(every_key(perpetual())), VALUES)
def test_any_value_anywhere_is_accepted_or_explained(
    problems: Problems, path: str, value: object
) -> None:
    for line in problems(changed(path, value)):
        assert ": " in line


def test_a_dump_loads_again() -> None:
    own = perpetual()
    own["strategy"] = {"name": "Mine", "path": "mine:Best", "params": {"window": 20}}
    for document in (perpetual(), own):
        config = RunConfig.model_validate(copy.deepcopy(document))
        dumped = json.loads(json.dumps(config.model_dump(mode="json")))

        assert RunConfig.model_validate(dumped).model_dump() == config.model_dump()
