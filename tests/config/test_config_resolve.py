from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from odum_assets.config import (
    LoadedConfig,
    RunConfig,
    catalog_root,
    effective_settings,
    instrument_spec,
    load_config,
    raw_path,
)
from odum_assets.errors import ConfigError
from odum_assets.instruments import InstrumentSpec
from odum_assets.settings import Settings, load_settings

CONFIGS = Path(__file__).parents[2] / "configs"
DAY = date(2024, 7, 18)
FUTURES = "BINANCE-FUTURES:PERPETUAL:BTC-USDT"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in (
        "UNIFIED_CLOUD_LOCAL_PATH",
        "UNIFIED_CLOUD_SERVICES_USE_DIRECT_GCS",
        "UNIFIED_CLOUD_SERVICES_USE_PARQUET",
        "DATA_CATALOG_PATH",
    ):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def loaded(
    name: str = "binance_futures_btcusdt_l2_trades_config", **sections: object
) -> LoadedConfig:
    found = load_config(CONFIGS / f"{name}.json")
    content = found.config.model_dump(mode="json")
    for section, values in sections.items():
        content[section] = {**content[section], **values} if isinstance(values, dict) else values
    config = RunConfig.model_validate(content)
    return LoadedConfig(found.name, found.path, config, found.content_hash, config.key)


def test_spec_of_a_contract() -> None:
    config = loaded("okx_btcusdt_l2_trades_config")

    assert instrument_spec(config) == InstrumentSpec(
        key=config.key,
        price_precision=1,
        size_precision=2,
        multiplier=Decimal("0.01"),
        margin_init=Decimal("0.01"),
        margin_maint=Decimal("0.005"),
        settlement_currency="USDT",
    )


def test_spec_of_an_inverse_contract() -> None:
    spec = instrument_spec(loaded("deribit_ethusd_l2_trades_config"))

    assert (spec.settlement_currency, spec.multiplier) == ("ETH", Decimal(1))


def test_raw_path_of_a_day(folder: Path) -> None:
    found = raw_path(loaded(), "trades", DAY, load_settings())

    assert found == (
        f"{folder}/data/raw_tick_data/by_date/day-2024-07-18/data_type-trades/{FUTURES}.parquet"
    )


def test_raw_path_below_a_url() -> None:
    found = raw_path(loaded(), "book_snapshot_5", DAY, Settings(raw_root="memory://raw/"))

    assert found == (
        "memory://raw/raw_tick_data/by_date/day-2024-07-18/data_type-book_snapshot_5/"
        f"{FUTURES}.parquet"
    )


def test_raw_path_of_a_type_without_one() -> None:
    config = loaded(data_catalog={"derivative_ticker_path": None})
    with pytest.raises(ConfigError, match=r"json: data_catalog\.derivative_ticker_path: missing"):
        raw_path(config, "derivative_ticker", DAY, load_settings())


def test_catalog_of_the_process_takes_precedence(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    config = loaded(
        data_catalog={"parquet_root": "root"}, environment={"DATA_CATALOG_PATH": "variable"}
    )
    assert catalog_root(config, load_settings()) == folder / "variable"

    monkeypatch.setenv("DATA_CATALOG_PATH", "process")
    assert catalog_root(config, load_settings()) == folder / "process"
    assert catalog_root(config, Settings(catalog_path=folder / "argument")) == folder / "argument"


def test_parquet_root_takes_precedence_over_the_default(folder: Path) -> None:
    assert catalog_root(loaded(), load_settings()) == folder / "data" / "catalog"
    config = loaded(data_catalog={"parquet_root": "root"})
    assert catalog_root(config, load_settings()) == folder / "root"


def test_raw_root_of_the_configuration(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    config = loaded(environment={"UNIFIED_CLOUD_LOCAL_PATH": "raw"})
    assert effective_settings(config, load_settings()).raw_root == str(folder / "raw")

    monkeypatch.setenv("UNIFIED_CLOUD_LOCAL_PATH", "/process")
    assert effective_settings(config, load_settings()).raw_root == "/process"


def test_google_cloud_storage_needs_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    config = loaded(data_source="gcs")
    message = 'data_source is "gcs", but no bucket is named; set UNIFIED_CLOUD_SERVICES_GCS_BUCKET'
    with pytest.raises(ConfigError, match=message):
        raw_path(config, "trades", DAY, load_settings())
    with pytest.raises(ConfigError, match=message):
        catalog_root(config, load_settings())

    monkeypatch.setenv("UNIFIED_CLOUD_SERVICES_USE_DIRECT_GCS", "true")
    with pytest.raises(ConfigError, match="UNIFIED_CLOUD_SERVICES_USE_DIRECT_GCS is true, but"):
        raw_path(loaded(), "trades", DAY, load_settings())


def test_the_process_can_switch_off_what_a_configuration_switches_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = loaded(environment={"UNIFIED_CLOUD_SERVICES_USE_DIRECT_GCS": "true"})
    with pytest.raises(ConfigError, match="no bucket is named"):
        raw_path(config, "trades", DAY, load_settings())

    monkeypatch.setenv("UNIFIED_CLOUD_SERVICES_USE_DIRECT_GCS", "false")
    assert raw_path(config, "trades", DAY, load_settings())
