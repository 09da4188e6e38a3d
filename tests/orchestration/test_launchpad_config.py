"""What a person types into the launchpad becomes a request."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from graphtools import BTC, REPO

from odum_assets.config import LoadedConfig, load_config
from odum_assets.errors import ConfigError
from odum_assets.orchestration.days import parse_time
from odum_assets.orchestration.run_config import ResultConfig, WindowConfig

DAY = date(2024, 7, 18)
DAY_NS = 1_721_260_800_000_000_000


@pytest.fixture(scope="module")
def config() -> LoadedConfig:
    return load_config(REPO / "configs" / f"{BTC}.json")


@pytest.fixture(scope="module")
def changed(config: LoadedConfig) -> Callable[..., LoadedConfig]:
    def change(section: str, **values: Any) -> LoadedConfig:
        part = getattr(config.config, section).model_copy(update=values)
        return replace(config, config=config.config.model_copy(update={section: part}))

    return change


def test_defaults_ask_for_the_whole_day_in_report_mode_with_the_book(config: LoadedConfig) -> None:
    request = ResultConfig().day_request(config, DAY)
    assert (request.days, request.partition) == ((DAY,), "2024-07-18")
    assert (request.start_ns, request.end_ns) == (None, None)
    assert (request.mode, request.snapshot_mode) == ("report", "both")
    assert request.close_positions
    assert request.exec_algorithm is None


def test_auto_means_trades_without_a_book_path(changed: Callable[..., LoadedConfig]) -> None:
    config = changed("data_catalog", book_snapshot_5_path=None)
    assert ResultConfig().day_request(config, DAY).snapshot_mode == "trades"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2024-07-18T19:23:00Z", 69_780),
        ("2024-07-18T21:23:00+02:00", 69_780),
        ("19:23", 69_780),
        ("19:23:00Z", 69_780),
        (" 19:23:00.5 ", 69_780.5),
    ],
)
def test_times_are_read_as_utc_nanoseconds(text: str, seconds: float) -> None:
    assert parse_time("start", text, DAY) == DAY_NS + int(seconds * 1_000_000_000)


@pytest.mark.parametrize("text", [None, "", "  "])
def test_no_text_is_no_bound(text: str | None) -> None:
    assert parse_time("start", text, DAY) is None


@pytest.mark.parametrize("text", ["noon", "25:00", "2024-07-18T19:23:00"])
def test_unreadable_times_are_named(text: str) -> None:
    with pytest.raises(ConfigError, match="start: found"):
        parse_time("start", text, DAY)


def test_a_time_of_day_needs_a_day() -> None:
    with pytest.raises(ConfigError, match="allowed a time such as 2023"):
        parse_time("start", "19:23", None)


def test_an_algorithm_is_checked_like_in_a_configuration(config: LoadedConfig) -> None:
    given = ResultConfig(exec_algorithm="TWAP", exec_algorithm_params={"horizon_secs": 30.0})
    algorithm = given.day_request(config, DAY).exec_algorithm
    assert algorithm is not None
    assert algorithm.model_dump(mode="json") == {
        "type": "TWAP",
        "params": {"horizon_secs": "30", "interval_secs": "1", "child_order_type": "MARKET"},
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"exec_algorithm_params": {"horizon_secs": 1.0}}, "without exec_algorithm"),
        ({"exec_algorithm": "TWAP", "exec_algorithm_params": {"horizon": 1.0}}, "horizon"),
        ({"exec_algorithm": "VWAP", "exec_algorithm_params": {"intervals": 1.5}}, "intervals"),
        (
            {"exec_algorithm": "ICEBERG", "exec_algorithm_params": {"visible_pct": 2.0}},
            "visible_pct",
        ),
    ],
)
def test_an_algorithm_that_does_not_fit_is_refused(
    config: LoadedConfig, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        ResultConfig(**given).day_request(config, DAY)


def test_a_window_needs_both_ends(config: LoadedConfig) -> None:
    with pytest.raises(ConfigError, match="its start is open"):
        WindowConfig().bounds(config)
    with pytest.raises(ConfigError, match="its end is open"):
        WindowConfig(start="2024-07-18T00:00:00Z").bounds(config)


def test_a_window_comes_from_run_config_before_the_configuration() -> None:
    example = load_config(REPO / "configs" / "binance_futures_btcusdt_5min_example.json")
    start, end = WindowConfig(end="2023-05-23T19:24:00Z").bounds(example)
    assert (end - start) == 60_000_000_000


def test_an_empty_window_is_refused(config: LoadedConfig) -> None:
    with pytest.raises(ConfigError, match="is not before end"):
        WindowConfig(start="2024-07-18T00:00:00Z", end="2024-07-18T00:00:00Z").bounds(config)
