"""The kernel beside NautilusTrader on real days, under the terms of every shipped configuration."""

import itertools
import shutil
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hostiledays import TICKER, verdicts
from tinydays import CONTRACTS, INVERSE, LINEAR, SPOT, Market, kinds, variant

from odum_assets.backtest import witness
from odum_assets.config import LoadedConfig
from odum_assets.raw.layout import DataType
from odum_assets.utc import day_start_ns

pytestmark = pytest.mark.real_data

ETH = "binance_futures_ethusdt_l2_trades_config"
SPRING = (date(2023, 4, 4), date(2023, 4, 5))
SUMMER = (date(2024, 7, 18), date(2024, 7, 19))
WINTER = (date(2026, 2, 16),)
MODES = ("trades", "book", "both")

DAYS: dict[str, tuple[str, tuple[date, ...]]] = {
    **{f"btc {day}": (LINEAR, (day,)) for day in (*SPRING, *SUMMER, *WINTER)},
    **{f"eth {day}": (ETH, (day,)) for day in SUMMER},
    "spot 2026-02-16": (SPOT, WINTER),
    "btc over midnight 2023": (LINEAR, SPRING),
    "btc over midnight 2024": (LINEAR, SUMMER),
    "eth over midnight 2024": (ETH, SUMMER),
}

OTHERS = {
    "bybit btc": ("bybit_btcusdt_l2_trades_config", LINEAR),
    "bybit eth": ("bybit_ethusdt_l2_trades_config", ETH),
    "okx btc": (CONTRACTS, LINEAR),
    "okx eth": ("okx_ethusdt_l2_trades_config", ETH),
    "deribit btc": (INVERSE, LINEAR),
    "deribit eth": ("deribit_ethusd_l2_trades_config", ETH),
}
"""Configurations of venues without real data, and whose rows they are tried with."""


def _counts(
    market: Market, work: Path, configs: list[LoadedConfig], days: tuple[date, ...], **options: Any
) -> Counter[str]:
    """Return how often which verdict was found; none differs."""
    counts: Counter[str] = Counter()
    name = days[0].isoformat() if len(days) == 1 else "window"
    options = {"days": days, "partition": name, **options}
    for config, found in verdicts(market, work, configs, **options):
        counts[found.verdict if found.detail is None else f"{found.verdict}: {found.detail}"] += 1
        assert found.verdict != witness.DIFFERS, (options, config.config, found.detail)
    return counts


def _converted(root: Path, real_data: Path, config: LoadedConfig, days: tuple[date, ...]) -> Market:
    market = Market(root)
    market.settings = market.settings.model_copy(update={"raw_root": str(real_data)})
    for day, kind in itertools.product(days, (DataType.TRADES, DataType.BOOK)):
        market.convert(config, kind, day)
    return market


@pytest.mark.torture
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("name", DAYS)
def test_a_real_day_is_equal_in_every_kind_of_run(
    real_data: Path, tmp_path: Path, name: str
) -> None:
    base, days = DAYS[name]
    configs = kinds(base)
    market = _converted(tmp_path, real_data, configs[0], days)
    # Windows over midnight repeat rows of their days.
    modes = MODES if len(days) == 1 else ("both",)
    total: Counter[str] = Counter()
    for mode in modes:
        total += _counts(market, tmp_path / "work", configs, days, snapshot_mode=mode)
    assert total[witness.EQUAL] >= 11 * len(modes)


def _as_other(market: Market, real_data: Path, config: LoadedConfig, source: LoadedConfig) -> None:
    """Write and convert real rows under the terms of another venue's instrument."""
    instrument = config.config.instrument
    real = Market(market.settings.catalog_path)
    real.settings = real.settings.model_copy(update={"raw_root": str(real_data)})
    for kind in (DataType.TRADES, DataType.BOOK):
        table = pq.read_table(real.raw_file(kind, source, SUMMER[1]))
        for name in table.column_names:
            if name.endswith("amount"):
                # A contract of 1 USD in place of a coin.
                value = pc.multiply(table[name], 3_000.0 if config.config.key.is_inverse else 1.0)
                value = pc.max_element_wise(
                    pc.round(value, instrument.size_precision),
                    10.0**-instrument.size_precision,
                    skip_nulls=False,
                )
                table = table.set_column(table.column_names.index(name), name, value)
            if name.endswith("price"):
                price = pc.round(table[name], instrument.price_precision)
                table = table.set_column(table.column_names.index(name), name, price)
        table = table.drop_columns(["exchange", "symbol"])
        path = market.raw_file(kind, config, SUMMER[1])
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)
        market.convert(config, kind, SUMMER[1])


@pytest.mark.torture
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("name", OTHERS)
def test_real_rows_are_equal_under_the_terms_of_each_venue(
    market: Market, real_data: Path, tmp_path: Path, name: str
) -> None:
    base, source = OTHERS[name]
    configs = kinds(base)
    _as_other(market, real_data, configs[0], variant(source))
    total = _counts(market, tmp_path / "work", configs, SUMMER[1:], snapshot_mode="both")
    assert total[witness.EQUAL] >= 11


@pytest.mark.torture
@pytest.mark.timeout(3_600)
def test_a_window_over_midnight_with_funding_and_latency_is_equal(
    market: Market, real_data: Path, tmp_path: Path
) -> None:
    """Rates are of before and after midnight; orders are on their way as the day changes."""
    latency = {"insert_ms": 40, "cancel_ms": 10}
    configs = [
        *kinds(LINEAR, data_catalog=TICKER),
        *kinds(LINEAR, data_catalog=TICKER, execution={"latency": latency}),
    ]
    for day in SUMMER:
        for kind in (DataType.TRADES, DataType.BOOK):
            path = market.raw_file(kind, configs[0], day)
            path.parent.mkdir(parents=True, exist_ok=True)
            real = _of(real_data, configs[0], kind, day)
            shutil.copyfile(real, path)
            market.convert(configs[0], kind, day)
        trades = pq.read_table(_of(real_data, configs[0], DataType.TRADES, day))
        seen = trades["local_timestamp"].to_numpy()
        # Seconds of the day; each rate is due a while after it arrives.
        seconds = (seen - _start_us(day)) / 1e6
        picked = [float(seconds[int(len(seconds) * share)]) for share in (0.2, 0.5, 0.8)]
        rates = [
            (each, f"{0.0001 * (place + 1):.4f}", each + 5) for place, each in enumerate(picked)
        ]
        market.funding(rates, configs[0], day)
    total = _counts(market, tmp_path / "work", configs, SUMMER, snapshot_mode="both")
    assert total[witness.EQUAL] >= 20


def _of(real_data: Path, config: LoadedConfig, kind: DataType, day: date) -> Path:
    market = Market(real_data)
    market.settings = market.settings.model_copy(update={"raw_root": str(real_data)})
    return market.raw_file(kind, config, day)


def _start_us(day: date) -> int:
    return day_start_ns(day) // 1_000
