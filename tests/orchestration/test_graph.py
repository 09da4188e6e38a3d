"""The graph that follows from the configurations."""

import json
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from graphtools import BTC, BTC_KEY, BTC_SLUG, ETH, REPO

from odum_assets.catalog.convert import CONVERTER_VERSION
from odum_assets.orchestration import names
from odum_assets.orchestration.build import build_definitions
from odum_assets.orchestration.jobs import DAY_STEPS
from odum_assets.orchestration.launch import AD_HOC_JOB, Graph
from odum_assets.orchestration.names import ACTIONS
from odum_assets.settings import Settings

SLUGS = {
    BTC: BTC_SLUG,
    ETH: "binance_futures_perpetual_eth_usdt",
    "binance_futures_btcusdt_5min_example": BTC_SLUG,
    "binance_btcusdt_l2_trades_config": "binance_spot_pair_btc_usdt",
    "binance_ethusdt_l2_trades_config": "binance_spot_pair_eth_usdt",
    "bybit_btcusdt_l2_trades_config": "bybit_perpetual_btc_usdt_lin",
    "bybit_ethusdt_l2_trades_config": "bybit_perpetual_eth_usdt_lin",
    "deribit_btcusd_l2_trades_config": "deribit_perpetual_btc_usd_inv",
    "deribit_ethusd_l2_trades_config": "deribit_perpetual_eth_usd_inv",
    "okx_btcusdt_l2_trades_config": "okx_perpetual_btc_usdt_lin",
    "okx_ethusdt_l2_trades_config": "okx_perpetual_eth_usdt_lin",
}
"""The shipped configurations for ticks and the instruments that they read."""

BAR_SLUGS = {
    "spy_1m_ma_cross_config": ("arca_equity_spy",),
    "spy_qqq_1m_orb_config": ("arca_equity_spy", "nasdaq_equity_qqq"),
}
"""Those for bars."""

SWEPT = "spy_1m_ma_cross_config"
NAMES = (*SLUGS, *BAR_SLUGS)
ON_REQUEST = [action for action in ACTIONS if action != "vsweep"]


@pytest.fixture
def shipped(folder: Path) -> dg.Definitions:
    return build_definitions(settings=Settings(configs_path=REPO / "configs", raw_root=str(folder)))


def _keys(definitions: dg.Definitions) -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}


def test_shipped_configs_make_the_expected_keys(shipped: dg.Definitions) -> None:
    slugs = set(SLUGS.values())
    perpetuals = {slug for slug in slugs if "perpetual" in slug}
    raw = {f"raw/{slug}/{kind}" for slug in slugs for kind in ("trades", "book_snapshot_5")}
    raw |= {f"raw/{slug}/derivative_ticker" for slug in perpetuals}
    catalog = {f"catalog/{slug}/{kind}" for slug in slugs for kind in ("trades", "book_depths")}
    catalog |= {f"catalog/{slug}/funding_rates" for slug in perpetuals}
    bars = {slug for slugs in BAR_SLUGS.values() for slug in slugs}
    raw |= {f"raw/{slug}/bars_1m" for slug in bars}
    catalog |= {f"catalog/{slug}/bars_1m" for slug in bars}
    backtest = {f"backtest/{name}/{step}" for name in NAMES for step in DAY_STEPS}
    backtest -= {f"backtest/{name}/ticks" for name in BAR_SLUGS}
    on_request = {f"backtest/{name}/{action}" for name in NAMES for action in ON_REQUEST}
    on_request.add(f"backtest/{SWEPT}/vsweep")

    specs = _keys(shipped)

    assert set(specs) == raw | catalog | backtest | on_request
    graph = shipped.resolve_asset_graph()
    assert {key.to_user_string() for key in graph.external_asset_keys} == raw | on_request
    assert {key.to_user_string() for key in graph.materializable_asset_keys} == catalog | backtest


def test_groups_are_instruments_and_configurations(shipped: dg.Definitions) -> None:
    for spec in shipped.resolve_all_asset_specs():
        # raw/INSTRUMENT/..., catalog/INSTRUMENT/..., backtest/CONFIG/...
        assert spec.group_name == spec.key.path[1]


def test_kinds_and_owners_follow_the_stage(shipped: dg.Definitions) -> None:
    expected = {
        "trades": {"raw": {"parquet", "raw"}, "catalog": {"parquet", "nautilus"}},
        "result": {"backtest": {"nautilus", "json"}},
        "window": {"backtest": {"nautilus", "json"}},
        "sweep": {"backtest": {"nautilus", "json"}},
        "vsweep": {"backtest": {"numba", "parquet"}},
        "ticks": {"backtest": {"json"}},
        "report": {"backtest": {"html"}},
    }
    for spec in _keys(shipped).values():
        stage, _, step = spec.key.path
        kinds = ("book_snapshot_5", "book_depths", "derivative_ticker", "funding_rates", "bars_1m")
        same = dict.fromkeys(kinds, "trades")
        assert spec.kinds == expected[same.get(step, step)][stage]
        assert spec.owners == ["team:research"]
        # What the node of the graph shows of it tells assets of one name apart.
        first_word, _, _ = str(spec.description).partition(":")
        names = {
            "raw": "Raw files", "catalog": "Catalog", "result": "Day", "report": "Tearsheet",
            "vsweep": "Vectorized sweep",
        }  # fmt: skip
        assert first_word == names.get(stage, names.get(step, step.capitalize()))


def test_every_daily_asset_shares_one_partitioning(shipped: dg.Definitions) -> None:
    specs = _keys(shipped).values()
    partitions = {spec.partitions_def for spec in specs if spec.partitions_def is not None}
    assert len(partitions) == 1
    assert {spec.key.path[-1] for spec in specs if spec.partitions_def is None} == {
        "window",
        "vsweep",
    }


def test_every_dependency_is_an_asset_of_the_graph(shipped: dg.Definitions) -> None:
    specs = _keys(shipped)
    named = {dep.asset_key.to_user_string() for spec in specs.values() for dep in spec.deps}
    assert named <= set(specs)


def test_each_config_has_a_day_job_of_catalog_result_and_exports(shipped: dg.Definitions) -> None:
    jobs = {job.name: job for job in shipped.resolve_all_job_defs() if job.name != AD_HOC_JOB}
    every = {f"{name}_{job}" for name in NAMES for job in ("day", *ON_REQUEST)}
    assert set(jobs) == {*every, f"{SWEPT}_vsweep", "verify_result"}
    for name, slug in SLUGS.items():
        selected = jobs[f"{name}_day"].asset_layer.selected_asset_keys
        assert {key.to_user_string() for key in selected} == {
            f"catalog/{slug}/trades",
            f"catalog/{slug}/book_depths",
            f"backtest/{name}/result",
            f"backtest/{name}/ticks",
            f"backtest/{name}/report",
        }
    for name, slugs in BAR_SLUGS.items():
        selected = jobs[f"{name}_day"].asset_layer.selected_asset_keys
        assert {key.to_user_string() for key in selected} == {
            *(f"catalog/{slug}/bars_1m" for slug in slugs),
            f"backtest/{name}/result",
            f"backtest/{name}/report",
        }


def test_no_sensor_starts_runs_until_someone_turns_it_on(shipped: dg.Definitions) -> None:
    repository = shipped.get_repository_def()
    sensors = {sensor.name: sensor.default_status for sensor in repository.sensor_defs}
    assert sensors == {
        "raw_days": dg.DefaultSensorStatus.STOPPED,
        "on_new_data": dg.DefaultSensorStatus.STOPPED,
        # It starts none.
        "registry_ended_runs": dg.DefaultSensorStatus.RUNNING,
        "registry_failed_runs": dg.DefaultSensorStatus.RUNNING,
        "registry_canceled_runs": dg.DefaultSensorStatus.RUNNING,
    }


def test_two_configs_of_an_instrument_share_its_assets(graph: Graph) -> None:
    folder = graph.project.settings.configs_path
    content = json.loads((folder / f"{BTC}.json").read_text())
    content["data_catalog"]["book_snapshot_5_path"] = None
    content["data_catalog"]["derivative_ticker_path"] = None
    (folder / "trades_only.json").write_text(json.dumps(content))

    definitions = build_definitions(settings=graph.project.settings)

    specs = _keys(definitions)
    assert {key for key in specs if key.startswith(f"catalog/{BTC_SLUG}")} == {
        f"catalog/{BTC_SLUG}/trades",
        f"catalog/{BTC_SLUG}/book_depths",
        f"catalog/{BTC_SLUG}/funding_rates",
    }
    deps = {dep.asset_key.to_user_string() for dep in specs["backtest/trades_only/result"].deps}
    assert deps == {f"catalog/{BTC_SLUG}/trades"}


def test_a_perpetual_with_a_ticker_path_gets_funding_assets(graph: Graph) -> None:
    path = graph.project.settings.configs_path / f"{BTC}.json"
    content = json.loads(path.read_text())
    place = f"raw_tick_data/by_date/day-*/data_type-derivative_ticker/{BTC_KEY}.parquet"
    content["data_catalog"]["derivative_ticker_path"] = place
    path.write_text(json.dumps(content))

    specs = _keys(build_definitions(settings=graph.project.settings))

    assert f"raw/{BTC_SLUG}/derivative_ticker" in specs
    deps = {dep.asset_key.to_user_string() for dep in specs[f"backtest/{BTC}/result"].deps}
    assert f"catalog/{BTC_SLUG}/funding_rates" in deps


def test_a_broken_config_is_left_out_and_named(
    graph: Graph, caplog: pytest.LogCaptureFixture
) -> None:
    folder = graph.project.settings.configs_path
    (folder / "broken.json").write_text('{"instrument": ')
    definitions = build_definitions(settings=graph.project.settings)

    assert _keys(definitions).keys() == _keys(graph.definitions).keys()
    dg.Definitions.validate_loadable(definitions)
    assert f"{folder / 'broken.json'}: not JSON at line 1" in caplog.text
    shown = (definitions.metadata or {})["left out of the graph: broken.json"]
    assert "not JSON at line 1" in str(shown.value)


def test_no_config_at_all_still_loads(folder: Path) -> None:
    (folder / "empty").mkdir()
    definitions = build_definitions(settings=Settings(configs_path=folder / "empty"))
    dg.Definitions.validate_loadable(definitions)


def test_changing_a_config_changes_the_code_version_of_its_result(graph: Graph) -> None:
    before = _keys(graph.definitions)
    path = graph.project.settings.configs_path / f"{BTC}.json"
    content = json.loads(path.read_text())
    content["venue"]["taker_fee"] = 0.001
    path.write_text(json.dumps(content))

    after = _keys(build_definitions(settings=graph.project.settings))

    changed = {key for key in before if before[key].code_version != after[key].code_version}
    assert changed == {f"backtest/{BTC}/{step}" for step in (*DAY_STEPS, *ON_REQUEST)}


def test_converter_version_is_the_one_of_the_catalog() -> None:
    assert names.CONVERTER_VERSION == CONVERTER_VERSION


def test_loading_the_code_location_imports_nothing_heavy() -> None:
    script = (
        "import sys; from odum_assets.definitions import defs; defs.get_repository_def(); "
        "print([m for m in ('nautilus_trader', 'pyarrow', 'pandas', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=REPO,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
