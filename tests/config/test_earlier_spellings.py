"""Configuration files of the earlier system: what they mean, and what is not guessed."""

import json
from pathlib import Path
from typing import Any

import pytest
from configfiles import CONFIGS, minimal, with_keys

from odum_assets.config import LoadedConfig, load_config
from odum_assets.config.loading import migrated
from odum_assets.errors import ConfigError

DAY = "raw_tick_data/by_date/day-2023-05-23"
ANY_DAY = "raw_tick_data/by_date/day-*"


def paths(folder: str, key: str) -> dict[str, str]:
    return {
        f"{data_type}_path": f"{folder}/data_type-{data_type}/{key}.parquet"
        for data_type in ("trades", "book_snapshot_5")
    }


def readme_example() -> dict[str, Any]:
    """Return the example of the earlier system's README, as it is printed."""
    return {
        "instrument": {
            "id": "BTC-USDT.BINANCE-FUTURES",
            "price_precision": 2,
            "size_precision": 3,
        },
        "venue": {
            "name": "BINANCE-FUTURES",
            "oms_type": "NETTING",
            "account_type": "MARGIN",
            "base_currency": "USDT",
            "starting_balance": 1000000,
            "maker_fee": 0.0002,
            "taker_fee": 0.0004,
        },
        "data_catalog": {
            **paths(ANY_DAY, "BINANCE-FUTURES:PERPETUAL:BTC-USDT"),
            "auto_discover": True,
        },
        "time_window": {"start": "2023-05-23T19:23:00Z", "end": "2023-05-23T19:28:00Z"},
    }


def of_venue(venue: str, key: str, oms_type: str = "FUTURES") -> dict[str, Any]:
    """Return a file as the earlier system shipped one for each venue: a day, no fees, booleans."""
    return {
        "instrument": {"id": key, "price_precision": 2, "size_precision": 3},
        "venue": {
            "name": venue,
            "oms_type": oms_type,
            "account_type": "MARGIN",
            "base_currency": "USDT",
            "starting_balance": 1000000,
            "book_type": "L2_MBP",
        },
        "data_catalog": {
            "parquet_root": "backend/data/parquet/",
            **paths(f"data_downloads/{DAY}", key),
        },
        "time_window": {"start": "2023-05-23T02:00:00Z", "end": "2023-05-23T02:30:00Z"},
        "strategy": {
            "name": "TempBacktestStrategy",
            "submission_mode": "per_trade_tick",
            "orders": [{"side": "buy", "price": 50000.0, "amount": 0.1}],
        },
        "risk": {"throttling_per_sec": 1000000},
        "environment": {
            "UNIFIED_CLOUD_LOCAL_PATH": "/app/data_downloads",
            "UNIFIED_CLOUD_SERVICES_USE_PARQUET": True,
            "DATA_CATALOG_PATH": "backend/data/parquet/",
        },
        "fx_stub": {"USDT_USD": 1.0},
    }


def binance_futures() -> dict[str, Any]:
    """Return the file of the futures, whose id and venue say BINANCE."""
    document = of_venue("BINANCE", "BTC-USDT.BINANCE", "NETTING")
    document["data_catalog"] |= paths(ANY_DAY, "BINANCE-FUTURES:PERPETUAL:BTC-USDT")
    document["environment"]["UNIFIED_CLOUD_LOCAL_PATH"] = "."
    return with_keys(document, venue={"maker_fee": 0.0002, "taker_fee": 0.0004})


def specification() -> dict[str, Any]:
    """Return the example of the specification: a pattern that names one file."""
    document = of_venue("BINANCE-FUTURES", "BINANCE-FUTURES:PERPETUAL:BTC-USDT@LIN", "NETTING")
    del document["data_catalog"]["parquet_root"]
    document["data_catalog"] |= paths(ANY_DAY, "BINANCE-FUTURES:PERPETUAL:BTC-USDT")
    document["data_catalog"]["instrument_file_pattern"] = "BINANCE-FUTURES:PERPETUAL:BTC-USDT"
    document["environment"]["UNIFIED_CLOUD_SERVICES_USE_DIRECT_GCS"] = False
    return with_keys(document, venue={"maker_fee": 0.0002, "taker_fee": 0.0004})


FEES = [
    "venue.maker_fee: not in the file: 0.0002 of the value, as in earlier versions",
    "venue.taker_fee: not in the file: 0.0004 of the value, as in earlier versions",
]
NETTING = "venue.oms_type: FUTURES is NETTING: one position per instrument"
ONE_DAY = (
    "data_catalog: day-2023-05-23 in the paths is day-*: a run reads the files of its own days"
)
FILES: dict[str, tuple[dict[str, Any], str, list[str]]] = {
    "readme": (
        readme_example(),
        "BINANCE-FUTURES:PERPETUAL:BTC-USDT",
        [
            "strategy: not in the file: one order for each trade row, a limit order at the row's "
            "side, price and size"
        ],
    ),
    "binance_spot": (
        of_venue("BINANCE", "BINANCE:SPOT:BTC-USDT", "NETTING"),
        "BINANCE:SPOT_PAIR:BTC-USDT",
        [*FEES, ONE_DAY],
    ),
    "binance_futures": (
        binance_futures(),
        "BINANCE-FUTURES:PERPETUAL:BTC-USDT",
        [
            "instrument.id: BTC-USDT.BINANCE is BTC-USDT.BINANCE-FUTURES, as the raw file says",
            "venue.name: BINANCE is BINANCE-FUTURES, as the raw file says",
        ],
    ),
    **{
        venue.lower(): (
            of_venue(venue, f"{venue}:PERPETUAL:BTC-USDT"),
            f"{venue}:PERPETUAL:BTC-USDT",
            [*FEES, NETTING, ONE_DAY],
        )
        for venue in ("BYBIT", "OKX", "DERIBIT")
    },
    "specification": (specification(), "BINANCE-FUTURES:PERPETUAL:BTC-USDT", []),
}


def load(folder: Path, document: dict[str, Any]) -> LoadedConfig:
    path = folder / "earlier.json"
    path.write_text(json.dumps(document))
    return load_config(path)


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_the_earlier_system_loads_with_its_meaning(tmp_path: Path, name: str) -> None:
    document, key, notes = FILES[name]
    loaded = load(tmp_path, document)

    assert str(loaded.key) == key
    assert list(loaded.notes) == notes
    config = loaded.config
    assert config.venue.name == key.partition(":")[0]
    assert config.venue.oms_type == "NETTING"
    assert (float(config.venue.maker_fee), float(config.venue.taker_fee)) == (0.0002, 0.0004)
    assert config.strategy.submission_mode == "per_trade_tick"
    assert config.strategy.path is None
    assert [
        config.data_catalog.template(data_type, loaded.key)
        for data_type in ("trades", "book_snapshot_5")
    ] == list(paths(ANY_DAY, key).values())


@pytest.mark.parametrize("name", FILES)
def test_a_migrated_file_is_the_same_configuration_without_notes(tmp_path: Path, name: str) -> None:
    loaded = load(tmp_path, FILES[name][0])
    text, translations = migrated(loaded.path)
    path = tmp_path / "today.json"
    path.write_text(text)
    today = load_config(path)

    assert translations
    assert today.config == loaded.config
    assert today.content_hash == loaded.content_hash
    assert today.notes == ()
    assert migrated(path) == (text, [])


def test_a_migrated_file_keeps_order_and_digits(tmp_path: Path) -> None:
    path = tmp_path / "earlier.json"
    text = json.dumps(readme_example(), indent=2).replace("0.0004", "0.00040")
    path.write_text(text)
    assert migrated(path)[0].startswith(text.removesuffix("\n}"))


def test_files_of_today_are_as_they_are() -> None:
    for file in CONFIGS.glob("*_*[!a].json"):
        if file.name.endswith(".schema.json"):
            continue
        assert migrated(file)[1] == []
        assert load_config(file).notes == ()


def test_a_folder_path_takes_the_file_of_the_pattern(tmp_path: Path) -> None:
    key = "BINANCE-FUTURES:PERPETUAL:BTC-USDT"
    data = {"trades_path": f"{ANY_DAY}/trades/", "instrument_file_pattern": f"{key}.parquet"}
    loaded = load(tmp_path, readme_example() | {"data_catalog": data})
    template = loaded.config.data_catalog.template("trades", loaded.key)
    assert template == f"{ANY_DAY}/trades/{key}.parquet"


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "another day than that of time_window": (
        {"data_catalog": paths(DAY.replace("23", "24"), "BINANCE-FUTURES:PERPETUAL:BTC-USDT")},
        "allowed day-* for the day; a certain day only where time_window lies in it",
    ),
    "a window that reaches beyond the day": (
        {
            "data_catalog": paths(DAY, "BINANCE-FUTURES:PERPETUAL:BTC-USDT"),
            "time_window": {"end": "2023-05-24T00:00:01Z"},
        },
        "allowed day-* for the day; a certain day only where time_window lies in it",
    ),
    "an open window": (
        {
            "data_catalog": paths(DAY, "BINANCE-FUTURES:PERPETUAL:BTC-USDT"),
            "time_window": {"end": None},
        },
        "allowed day-* for the day; a certain day only where time_window lies in it",
    ),
    "two days": (
        {
            "data_catalog": {
                "trades_path": f"{DAY}/trades/BINANCE-FUTURES:PERPETUAL:BTC-USDT.parquet"
            }
            | {
                "book_snapshot_5_path": "raw_tick_data/by_date/day-2023-05-22/books/"
                "BINANCE-FUTURES:PERPETUAL:BTC-USDT.parquet"
            }
        },
        "and the same in all paths",
    ),
    "another file than the pattern's": (
        {"data_catalog": {"instrument_file_pattern": "BINANCE-FUTURES:PERPETUAL:ETH-USDT"}},
        "data_catalog.instrument_file_pattern: found",
    ),
    "a pattern of many files": (
        {"data_catalog": {"instrument_file_pattern": "BINANCE-FUTURES:*"}},
        "data_catalog.instrument_file_pattern: found",
    ),
    "spot against a file of futures": (
        {"instrument": {"id": "BINANCE:SPOT:BTC-USDT"}},
        "names BINANCE-FUTURES:PERPETUAL:BTC-USDT, allowed the instrument of instrument.id "
        "(BINANCE:SPOT_PAIR:BTC-USDT)",
    ),
    "another coin": (
        {"instrument": {"id": "ETH-USDT.BINANCE"}},
        "names BINANCE-FUTURES:PERPETUAL:BTC-USDT, allowed the instrument of instrument.id",
    ),
    "another venue": ({"venue": {"name": "OKX"}}, "found OKX, allowed the venue of instrument.id"),
    "an account of neither kind": ({"venue": {"oms_type": "SPOT"}}, "should be 'NETTING'"),
    "a fee that is null": ({"venue": {"maker_fee": None}}, "venue.maker_fee: found null"),
    "a strategy that is null": ({"strategy": None}, "strategy: found null"),
    "a store": (
        {"environment": {"UNIFIED_CLOUD_SERVICES_USE_PARQUET": False}},
        "environment.UNIFIED_CLOUD_SERVICES_USE_PARQUET: found 'false', allowed true",
    ),
    "a misspelled fee": ({"venue": {"taker_fees": 0.1}}, 'did you mean "taker_fee"?'),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_could_change_figures_is_refused(tmp_path: Path, name: str) -> None:
    sections, text = WRONG[name]
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, with_keys(readme_example(), **sections))
    assert text in str(caught.value)


@pytest.mark.parametrize("section", ["venue", "instrument", "data_catalog", "environment"])
@pytest.mark.parametrize("value", [None, [], 1, "BINANCE", {}])
def test_any_document_is_refused_and_no_bug(tmp_path: Path, section: str, value: Any) -> None:
    document = of_venue("BINANCE", "BINANCE:SPOT:BTC-USDT") | {section: value}
    if (section, value) == ("environment", {}):
        # Nothing says then that the folder in the paths is the raw root itself.
        template = load(tmp_path, document).config.data_catalog.trades_path
        assert template.startswith("data_downloads/raw_tick_data/")
        return
    with pytest.raises(ConfigError, match=f"{section}"):
        load(tmp_path, document)


def test_a_key_of_a_later_kind_of_configuration_is_not_translated(tmp_path: Path) -> None:
    document = minimal() | {"kind": "anything"}
    del document["strategy"]
    with pytest.raises(ConfigError):
        load(tmp_path, document)
