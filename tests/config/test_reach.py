"""What a configuration from outside may name."""

import os
from pathlib import Path
from typing import Any

import pytest
from configfiles import CONFIGS, shipped, with_keys

from odum_assets.config import BarsConfig, RunConfig, load_config
from odum_assets.config.reach import Reach, reach_of, reach_problems
from odum_assets.settings import Settings

STORE = "s3://market-data/tardis"


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The operator's folders: raw data, catalog, strategies, results, and a secret outside."""
    for name in ("data/catalog", "data/results", "configs", "own/inner", "extra", "outside"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "own/momentum.py").write_text("raise SystemExit('imported')\n")
    (tmp_path / "own/inner/deep.py").write_text("raise SystemExit('imported')\n")
    (tmp_path / "elsewhere.py").write_text("raise SystemExit('imported')\n")
    (tmp_path / "own/linked.py").symlink_to(tmp_path / "elsewhere.py")
    (tmp_path / "data/link").symlink_to(tmp_path / "outside")
    (tmp_path / "data/catalog/link").symlink_to(tmp_path / "outside")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def reach(ground: Path, **more: Any) -> Reach:
    return reach_of(
        Settings(
            raw_root=str(ground / "data"),
            catalog_path=ground / "data/catalog",
            results_path=ground / "data/results",
            configs_path=ground / "configs",
            **more,
        )
    )


def config(**sections: Any) -> RunConfig:
    document = with_keys(shipped() | {"environment": {}}, **sections)
    if "path" in sections.get("strategy", {}):
        params = sections["strategy"].get("params", {})
        document["strategy"] = {"name": "Own", "path": sections["strategy"]["path"]}
        document["strategy"]["params"] = params
    return RunConfig.model_validate(document)


def keys(found: RunConfig, allowed: Reach, *present: RunConfig) -> list[str]:
    return [each.path for each in reach_problems(found, allowed, present)]


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*_config.json")))
def test_the_shipped_configurations_may_come_over_http(ground: Path, file: Path) -> None:
    assert reach_problems(load_config(file).config, reach(ground), ()) == []


@pytest.mark.parametrize(
    "root",
    [
        "/",
        "/etc",
        "{ground}",
        "{ground}/data2",
        "{ground}/data/../outside",
        "{ground}/data/link",
        "{ground}/outside",
        "data",
        "data/raw",
        "~",
        "~root/x",
        "file:///etc",
        "file://{ground}/outside",
        "file:{ground}/data",
        "local:///etc",
        "{ground}/data/x::ftp",
        "{ground}/data::zip://x",
        "/dev/null",
        "/proc/self/root/etc",
        "webhdfs://10.0.0.5:80/",
        "ftp://127.0.0.1:2121/x",
        "http://127.0.0.1/x",
        "zip://x::http://127.0.0.1/x.zip",
        "simplecache::http://127.0.0.1/x",
        "blockcache://x::ftp://127.0.0.1/",
        "filecache::file:///etc",
        "memory://x",
        "github://a:b@c/",
        "s3://market-data",
        "s3://market-data/tardis2",
        "s3://market-data/tardis/../secret",
        "s3://market-data/tardis/./../secret",
        "s3://market-data/tardis//secret",
        "s3://market-data/tardis/%2e%2e/secret",
        "s3://market-data/tardis?versionId=1",
        "s3://market-data/tardis/x#y",
        "s3://market-data/tardis/x::file:///etc",
        "s3://market-data/tardis\n/x",
        "S3://market-data/tardis/x",
        "s3://market-data@evil/tardis",
        "s3://market-data.evil/tardis",
        "s3://market-data/tardis\\..\\x",
    ],
)
def test_a_raw_root_elsewhere_is_refused(ground: Path, root: str) -> None:
    text = root.format(ground=ground)
    found = config(environment={"UNIFIED_CLOUD_LOCAL_PATH": text})
    allowed = reach(ground, remote_raw_roots=(STORE,))
    (problem,) = reach_problems(found, allowed, ())
    assert problem.path == "environment.UNIFIED_CLOUD_LOCAL_PATH"
    assert f"{ground}/data, {STORE}" in problem.text
    assert "ODUM_REMOTE_RAW_ROOTS" in problem.text


@pytest.mark.parametrize(
    "root",
    ["{ground}/data", "{ground}/data/", "{ground}/data/more/x", "file://{ground}/data/more"],
)
def test_a_raw_root_below_the_configured_one_is_taken(ground: Path, root: str) -> None:
    text = root.format(ground=ground)
    assert keys(config(environment={"UNIFIED_CLOUD_LOCAL_PATH": text}), reach(ground)) == []


@pytest.mark.parametrize("root", [STORE, f"{STORE}/", f"{STORE}/spot/2024", "{ground}/extra/x"])
def test_a_raw_root_that_the_operator_adds_is_taken(ground: Path, root: str) -> None:
    found = config(environment={"UNIFIED_CLOUD_LOCAL_PATH": root.format(ground=ground)})
    added = reach(ground, remote_raw_roots=f"{STORE}, {ground}/extra")
    assert keys(found, added) == []
    assert keys(found, reach(ground)) == ["environment.UNIFIED_CLOUD_LOCAL_PATH"]


def test_an_address_as_raw_root_takes_what_is_below_it(ground: Path) -> None:
    settings = Settings(raw_root="https://data.example:8443/market", catalog_path=ground / "c")
    for root, expected in (
        ("https://data.example:8443/market/x", []),
        ("https://data.example/market/x", ["environment.UNIFIED_CLOUD_LOCAL_PATH"]),
        ("http://data.example:8443/market", ["environment.UNIFIED_CLOUD_LOCAL_PATH"]),
        ("https://data.example:8443@evil/market", ["environment.UNIFIED_CLOUD_LOCAL_PATH"]),
        (f"{ground}/data", ["environment.UNIFIED_CLOUD_LOCAL_PATH"]),
    ):
        found = config(environment={"UNIFIED_CLOUD_LOCAL_PATH": root})
        assert keys(found, reach_of(settings)) == expected, root


def test_what_is_allowed_is_told_without_passwords(ground: Path) -> None:
    found = config(environment={"UNIFIED_CLOUD_LOCAL_PATH": "ftp://x/"})
    allowed = reach(ground, remote_raw_roots=("ftp://reader:hidden@host/x",))
    (problem,) = reach_problems(found, allowed, ())
    assert "ftp://host/x" in problem.text
    assert "hidden" not in problem.text


@pytest.mark.parametrize(
    "folder",
    [
        "/tmp/other",  # noqa: S108 - it is refused
        "data/catalog/x",
        "catalog",
        "{ground}/data",
        "{ground}/data/results",
        "{ground}/data/raw_tick_data",
        "{ground}/data/catalog/link/x",
        "{ground}/data/catalog/../results",
        "{ground}/data/catalog/data/trades",
        "{ground}/data/catalog/manifests",
        "{ground}/data/catalog/.staging",
        "{ground}/configs",
        "/dev/null",
    ],
)
@pytest.mark.parametrize(
    ("section", "key"),
    [("environment", "DATA_CATALOG_PATH"), ("data_catalog", "parquet_root")],
)
def test_a_catalog_elsewhere_is_refused(ground: Path, section: str, key: str, folder: str) -> None:
    found = config(**{section: {key: folder.format(ground=ground)}})
    (problem,) = reach_problems(found, reach(ground), ())
    assert problem.path == f"{section}.{key}"
    assert f"{ground}/data/catalog" in problem.text
    assert "ODUM_REMOTE_CATALOGS" in problem.text


def test_a_catalog_below_an_allowed_one_is_taken(ground: Path) -> None:
    for folder in ("data/catalog", "data/catalog/mine", "data/catalog/mine/x"):
        text = str(ground / folder)
        assert keys(config(data_catalog={"parquet_root": text}), reach(ground)) == []
    other = config(data_catalog={"parquet_root": str(ground / "extra/a")})
    assert keys(other, reach(ground)) == ["data_catalog.parquet_root"]
    assert keys(other, reach(ground, remote_catalogs=str(ground / "extra"))) == []
    # Results and configurations are free of catalogs, wherever they lie.
    wide = reach(ground, remote_catalogs=str(ground))
    for name in ("data/results/x", "configs/x", "data/raw_tick_data/x"):
        inside = config(data_catalog={"parquet_root": str(ground / name)})
        assert keys(inside, wide) == ["data_catalog.parquet_root"], name


@pytest.mark.parametrize(
    "path",
    [
        "os:system",
        "subprocess:Popen",
        "antigravity:X",
        "this:X",
        "elsewhere:X",
        "momentum:X",
        "own.linked:X",
        "own.missing:X",
        "own:X",
        "odum_assets.cli.main:main",
        "odum_assets.backtest.node:X",
    ],
)
def test_a_strategy_elsewhere_is_refused_and_not_imported(ground: Path, path: str) -> None:
    allowed = reach(ground, remote_strategies=str(ground / "own"))
    (problem,) = reach_problems(config(strategy={"path": path}), allowed, ())
    assert problem.path == "strategy.path"
    assert f"ODUM_REMOTE_STRATEGIES ({ground}/own)" in problem.text


def test_a_strategy_of_an_allowed_folder_is_taken_and_not_imported(ground: Path) -> None:
    allowed = reach(ground, remote_strategies=str(ground / "own"))
    for path in ("own.momentum:X", "own.inner.deep:X"):
        assert keys(config(strategy={"path": path}), allowed) == []
        assert keys(config(strategy={"path": path}), reach(ground)) == ["strategy.path"]
    own = "odum_assets.backtest.strategies.trade_replay:TradeReplay"
    assert keys(config(strategy={"path": own}), reach(ground)) == []


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("trades_path", "raw_tick_data/by_date/day-*/%2e%2e/"),
        ("trades_path", "raw_tick_data/by_date/day-*/x&y/"),
        ("book_snapshot_5_path", "raw_tick_data/by_date/day-*/x::ftp:/"),
        ("book_snapshot_5_path", "raw_tick_data/by_date/day-*/x#/"),
        ("instrument_file_pattern", "x::{key}.parquet"),
    ],
)
def test_names_that_a_store_reads_as_more_are_refused(ground: Path, key: str, name: str) -> None:
    paths = {"trades_path": "raw_tick_data/by_date/day-*/data_type-trades/"}
    paths["book_snapshot_5_path"] = "raw_tick_data/by_date/day-*/data_type-book_snapshot_5/"
    paths["derivative_ticker_path"] = "raw_tick_data/by_date/day-*/data_type-derivative_ticker/"
    found = config(data_catalog={**paths, key: name})
    assert keys(found, reach(ground)) == [f"data_catalog.{key}"]


def test_google_cloud_storage_is_not_switched_on_from_outside(ground: Path) -> None:
    switch = {"UNIFIED_CLOUD_SERVICES_USE_DIRECT_GCS": "true"}
    document = config(environment=switch).model_dump(by_alias=True, exclude_unset=True)
    found = RunConfig.model_validate({**document, "data_source": "gcs"})
    assert keys(found, reach(ground)) == [f"environment.{next(iter(switch))}", "data_source"]
    assert keys(config(environment={next(iter(switch)): "false"}), reach(ground)) == []


def test_what_a_configuration_of_the_folder_says_is_nothing_new(ground: Path) -> None:
    away = {
        "environment": {"UNIFIED_CLOUD_LOCAL_PATH": "ftp://host/x", "DATA_CATALOG_PATH": "away"},
        "data_catalog": {"parquet_root": "/srv/away"},
        "strategy": {"path": "elsewhere:X", "params": {"window": 1.50}},
    }
    mine = config(**away)
    assert len(keys(mine, reach(ground))) == 4
    assert keys(config(**away), reach(ground), mine) == []
    # The same value under another key, or the same class with other parameters, is new.
    swapped = {"environment": {"DATA_CATALOG_PATH": "/srv/away"}}
    assert keys(config(**swapped), reach(ground), mine) == ["environment.DATA_CATALOG_PATH"]
    more = {**away, "strategy": {"path": "elsewhere:X", "params": {"window": 1.51}}}
    assert keys(config(**more), reach(ground), mine) == ["strategy.path"]


def test_the_process_environment_does_not_hide_what_a_file_says(
    ground: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be another one after the next start."""
    monkeypatch.setenv("UNIFIED_CLOUD_LOCAL_PATH", str(ground / "data"))
    monkeypatch.setenv("DATA_CATALOG_PATH", str(ground / "data/catalog"))
    found = config(environment={"UNIFIED_CLOUD_LOCAL_PATH": "/etc", "DATA_CATALOG_PATH": "/etc"})
    assert len(keys(found, reach_of(Settings()))) == 2
    assert os.environ["DATA_CATALOG_PATH"]


def test_a_model_is_an_uploaded_one(ground: Path) -> None:
    (ground / "data/models/ann").mkdir(parents=True)
    allowed = reach(ground, models_path=ground / "data/models")

    def with_model(**model: str) -> BarsConfig:
        document = {
            "kind": "bars",
            "instruments": [{"id": "ARCA:EQUITY:SPY", "tick_size": "0.01"}],
            "bars": {"step": "1m", "label": "end"},
            "venue": {"name": "ARCA", "base_currency": "USD", "starting_balance": 1},
            "strategy": {"name": "ML_SIGNALS", "params": {"model": model}},
        }
        return BarsConfig.model_validate(document)

    inside = str(ground / "data/models/ann/m.onnx")
    for model in ({"user": "ann", "name": "m"}, {"path": inside}):
        assert reach_problems(with_model(**model), allowed, ()) == []
    (ground / "data/models/link").symlink_to(ground / "outside")
    link = str(ground / "data/models/link/m.onnx")
    for path in ("m.onnx", "data/models/ann/m.onnx", str(ground / "outside/m.onnx"), link):
        own = with_model(path=path)
        (problem,) = reach_problems(own, allowed, ())
        assert problem.path == "strategy.params.model.path of ARCA:EQUITY:SPY"
        assert "user and name of an uploaded model" in problem.text
        # What the operator's own configuration names is no new reach.
        assert reach_problems(own, allowed, (own,)) == []


def test_a_file_of_orders_lies_below_the_raw_roots(ground: Path) -> None:
    def with_file(path: str) -> RunConfig:
        document = shipped() | {"environment": {}}
        document["strategy"] = {"name": "Research", "orders_file": path}
        return RunConfig.model_validate(document)

    allowed = reach(ground)
    assert keys(with_file(f"{ground}/data/orders.parquet"), allowed) == []
    for path in (
        "orders.parquet",
        "../orders.parquet",
        "/etc/passwd",
        f"{ground}/data/../outside/o.parquet",
        f"{ground}/data/link/o.parquet",
        f"s3://{ground}/data/o.parquet",
    ):
        own = with_file(path)
        (problem,) = reach_problems(own, allowed, ())
        assert problem.path == "strategy.orders_file"
        assert f"below the raw roots {ground}/data" in problem.text
        assert keys(own, allowed, own) == []
