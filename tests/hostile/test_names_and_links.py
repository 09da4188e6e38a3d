"""Names and links cannot lead out of the raw root, the catalog, the results or the configurations.

The roots themselves may be links. What a person names on the command line is theirs to choose.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from hostileproject import BTC, BTC_KEY, DAY, Project

from odum_assets.catalog import (
    PartitionManifest,
    PartitionRequest,
    catalog_view,
    convert_partition,
    list_manifests,
)
from odum_assets.config import (
    effective_settings,
    instrument_spec,
    load_config,
    load_configs,
    raw_path,
)
from odum_assets.errors import ConfigError, DataError
from odum_assets.instruments import parse_instrument_key
from odum_assets.orchestration.assets.catalog import require_raw
from odum_assets.orchestration.launch import load_graph, materialize
from odum_assets.orchestration.project import load_project
from odum_assets.raw.layout import DataType
from odum_assets.results.store import ResultError, ResultStore
from odum_assets.settings import Settings, load_settings

CONVERT = ("convert", BTC, "--day", str(DAY))
RUN = ("backtest", BTC, "--day", str(DAY), "--fast", "--snapshot-mode", "trades")
RUN_ID = "BNF_BTC_20240101_00000000_018dd7_c54988"


def moved_out(path: Path, elsewhere: Path) -> Path:
    """Move a file or folder elsewhere and leave a link; return where it is now."""
    elsewhere.mkdir(parents=True, exist_ok=True)
    target = elsewhere / path.name
    shutil.move(path, target)
    path.symlink_to(target)
    return target


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (key, value)
        for key in ("trades_path", "book_snapshot_5_path", "derivative_ticker_path")
        for value in (
            "../outside/day-*/",
            "raw_tick_data/../../outside/day-*/",
            "raw_tick_data/day-*/..",
            "raw_tick_data/day-*/../",
            "/etc/day-*/",
            "//etc/day-*/",
            "~/day-*/",
            "~root/day-*/",
            "file:///etc/day-*/",
            "s3://bucket/day-*/",
            "C:\\day-*\\",
            "C:/day-*/",
            "./day-*/",
            "raw\x00/day-*/",
            "raw/{key}/day-*/",
            f"raw/day-*/../{BTC_KEY}.parquet",
            "",
        )
    ]
    + [
        ("instrument_file_pattern", value)
        for value in (
            "../{key}.parquet",
            "/etc/{key}.parquet",
            "..\\{key}.parquet",
            "{key}/x.parquet",
            "{key}{key}.parquet",
            "*{key}.parquet",
            "{key}.parquet\n",
            "{key}",
            "\x00{key}.parquet",
        )
    ],
)
def test_names_of_raw_files_stay_below_the_raw_root(project: Project, key: str, value: str) -> None:
    changed = {"instrument_file_pattern": "{key}.parquet", key: value}
    path = project.config(data_catalog=changed)
    with pytest.raises(ConfigError, match=rf"{BTC}\.json: data_catalog\.{key}: .*allowed|write /"):
        load_config(path)


@pytest.mark.parametrize(
    "text",
    [
        "BINANCE-FUTURES:PERPETUAL:../../etc",
        "BINANCE-FUTURES:PERPETUAL:BTC-USDT/../..",
        "../BINANCE-FUTURES:PERPETUAL:BTC-USDT",
        "BINANCE-FUTURES:PERPETUAL:BTC-USDT@../x",
        "BTC-USDT.../..",
        "BTC-../x.BINANCE-FUTURES",
        "/etc/passwd",
    ],
)
def test_an_instrument_id_is_no_path(project: Project, text: str) -> None:
    path = project.config(instrument={"id": text})
    with pytest.raises(ConfigError, match=r"instrument\.id"):
        load_config(path)


@pytest.mark.parametrize("name", ["..", "a.b", "UPPER", "a b", "a\nb", "-x", "a%2e"])
def test_a_configuration_has_a_plain_name(project: Project, name: str) -> None:
    with pytest.raises(ConfigError, match="file name"):
        load_config(project.config(name))


@pytest.mark.parametrize(
    "text", ["../../configs/x", "/etc/passwd", "..", "", f"{RUN_ID}/../x", f"{RUN_ID}\n", "\x00"]
)
@pytest.mark.parametrize("command", ["show", "verify", "compare"])
def test_a_run_id_is_no_path(project: Project, command: str, text: str) -> None:
    with pytest.raises(ResultError, match="not a run id"):
        ResultStore(project.root).entry(text)
    code, printed = project.odum("results", command, *[text] * (1 + (command == "compare")))
    assert code == 2
    assert "is not a run id" in printed


@pytest.mark.parametrize(
    "path", ["../mine:Mine", "/etc/mine:Mine", "mine", "a..b:C", ":C", "a:b.c"]
)
def test_a_strategy_is_named_by_an_import_path_and_the_error_says_how(
    project: Project, path: str
) -> None:
    section = {"name": "Own", "path": path}
    file = project.config()
    document = json.loads(file.read_text())
    document["strategy"] = section
    file.write_text(json.dumps(document))
    with pytest.raises(ConfigError, match=r"strategy\.path: .*my_strategies\.momentum:Momentum"):
        load_config(file)


def test_a_root_is_set_by_the_process_before_any_configuration(
    project: Project, tmp_path: Path
) -> None:
    elsewhere = str(tmp_path / "elsewhere")
    path = project.config(
        data_catalog={"parquet_root": elsewhere},
        environment={"UNIFIED_CLOUD_LOCAL_PATH": elsewhere},
    )
    loaded = load_config(path)
    roots = {"raw_root": str(tmp_path / "raw"), "catalog_path": tmp_path / "catalog"}
    found = effective_settings(loaded, Settings(**roots))
    assert (found.raw_root, found.catalog_path) == (roots["raw_root"], roots["catalog_path"])
    assert raw_path(loaded, "trades", DAY, Settings(**roots)).startswith(roots["raw_root"])


@pytest.mark.parametrize("text", ["~nobody-here/x", "a\x00b", "", "s3://bucket/x", "\udcff\ud800"])
def test_a_root_that_is_no_path_is_an_error(project: Project, text: str) -> None:
    path = project.config(data_catalog={"parquet_root": text})
    with pytest.raises(ConfigError, match=r"data_catalog\.parquet_root"):
        load_config(path)
    path = project.config(environment={"DATA_CATALOG_PATH": text})
    with pytest.raises(ConfigError, match=r"environment\.DATA_CATALOG_PATH"):
        load_config(path)


@pytest.mark.parametrize("name", ["UNIFIED_CLOUD_LOCAL_PATH", "DATA_CATALOG_PATH"])
def test_a_variable_that_is_no_path_is_an_error(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "~nobody-here/x")
    with pytest.raises(ConfigError, match=rf"environment variable {name}: .*nobody-here"):
        load_settings()


# --- links --------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["file", "type folder", "day folder", "by_date"])
def test_a_raw_file_behind_a_link_out_of_the_raw_root_is_not_read(
    project: Project, tmp_path: Path, level: str
) -> None:
    project.sample()
    raw = project.raw()
    place = {"file": raw, "type folder": raw.parent, "day folder": raw.parents[1]}
    moved_out(place.get(level, raw.parents[2]), tmp_path / "other disk")
    graph = load_project(load_settings())
    source = next(each for each in graph.sources if each.data_type is DataType.TRADES)
    with pytest.raises(
        DataError, match=r"outside the raw root .* set UNIFIED_CLOUD_LOCAL_PATH"
    ) as e:
        require_raw(source, DAY, graph)
    assert str(raw) in str(e.value)


def test_the_command_line_refuses_it_too(project: Project, tmp_path: Path) -> None:
    project.sample()
    moved_out(project.raw().parents[1], tmp_path / "other disk")
    code, printed = project.odum(*CONVERT, "--data-type", "trades")
    assert code == 1
    assert "outside the raw root" in printed
    assert project.files("data/catalog") == []


def test_dagster_refuses_it_too_and_does_not_retry(project: Project, tmp_path: Path) -> None:
    project.sample()
    moved_out(project.raw(), tmp_path / "other disk")
    graph = load_graph(load_settings())
    with dg.DagsterInstance.ephemeral() as instance:
        key = ("catalog", "binance_futures_perpetual_btc_usdt", "trades")
        result = materialize(instance, graph, [key], str(DAY))
    assert not result.success
    ((_, text),) = result.failures
    assert "outside the raw root" in text
    assert "Traceback" not in text


def test_roots_may_be_links_and_links_inside_a_root_may_stay_inside(
    project: Project, tmp_path: Path
) -> None:
    project.sample()
    for name in ("catalog", "results"):
        (tmp_path / "other disk" / name).mkdir(parents=True)
        (project.root / "data" / name).symlink_to(tmp_path / "other disk" / name)
    raw = project.raw()
    moved_out(raw.parents[1], project.root / "data" / "kept")
    moved_out(project.root / "configs", tmp_path / "other disk")
    code, printed = project.odum(*RUN)
    assert code == 0, printed
    code, printed = project.odum("data", "list")
    assert "up to date" in printed
    (tmp_path / "moved").symlink_to(project.root / "data")
    found = list_manifests(tmp_path / "moved" / "catalog")
    assert {each.data_type for each in found} == {"trades", "derivative_ticker"}


def convert(project: Project) -> PartitionManifest:
    """Convert the sample day's trades without Dagster."""
    loaded = load_config(project.root / "configs" / f"{BTC}.json")
    return convert_partition(
        str(project.raw()),
        loaded.key,
        instrument_spec(loaded),
        DataType.TRADES,
        DAY,
        project.root / "data/catalog",
    )


@pytest.mark.parametrize("name", ["data", "data/trades", "manifests", ".staging", ".locks"])
def test_nothing_is_written_through_a_link_out_of_the_catalog(
    project: Project, tmp_path: Path, name: str
) -> None:
    project.sample()
    outside = tmp_path / "outside"
    outside.mkdir()
    link = project.root / "data/catalog" / name
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    with pytest.raises(DataError, match=r"outside the catalog .* set DATA_CATALOG_PATH"):
        convert(project)
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("what", ["data file", "manifest", "data folder", "manifest folder"])
def test_nothing_is_read_through_a_link_out_of_the_catalog(
    project: Project, tmp_path: Path, what: str
) -> None:
    project.sample()
    catalog = project.root / "data/catalog"
    manifest = convert(project)
    data = manifest.data_path(catalog)
    (record,) = (catalog / "manifests").rglob("*.json")
    place = {"data file": data, "data folder": data.parent, "manifest": record}
    moved_out(place.get(what, record.parent), tmp_path / "outside")
    key = parse_instrument_key(manifest.key)
    request = PartitionRequest(key, DataType.TRADES, (DAY,))
    with pytest.raises(DataError, match="outside the catalog"):
        catalog_view(catalog, [request], tmp_path / "view")
    if what.startswith("manifest"):
        with pytest.raises(DataError, match="outside the catalog"):
            list_manifests(catalog)
    else:
        with pytest.raises(DataError, match="outside the catalog"):
            manifest.data_path(catalog)


@pytest.mark.parametrize("name", ["fast", "report", "partitions", "partitions/some_config"])
def test_nothing_is_written_through_a_link_out_of_the_results(tmp_path: Path, name: str) -> None:
    outside, report = tmp_path / "outside", tmp_path / "report"
    outside.mkdir()
    report.mkdir()
    link = tmp_path / "results" / name
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    metadata = {"config_name": "some_config", "partition": "2024-01-01"}
    document = {"run_id": RUN_ID, "mode": "report", "metadata": metadata}
    with pytest.raises(ResultError, match=r"outside the results .* set ODUM_RESULTS_PATH"):
        ResultStore(tmp_path / "results").publish(document, report)
    assert list(outside.iterdir()) == []
    assert [path for path in (tmp_path / "results").rglob("*") if path.is_file()] == []


def test_a_result_behind_a_link_is_not_read(project: Project, tmp_path: Path) -> None:
    fast = project.root / "data/results/fast"
    fast.mkdir(parents=True)
    secret = tmp_path / "secret.json"
    secret.write_text('{"secret": 1}')
    (fast / f"{RUN_ID}.json").symlink_to(secret)
    for command in (("show", RUN_ID), ("list",)):
        code, printed = project.odum("results", *command)
        assert code in (1, 2)
        assert "outside the results" in printed


def test_a_configuration_behind_a_link_out_of_its_folder_is_not_read(
    project: Project, tmp_path: Path
) -> None:
    moved_out(project.config(), tmp_path / "outside")
    with pytest.raises(ConfigError, match=r"outside the folder .*ODUM_CONFIGS"):
        load_configs(project.root / "configs")
    code, printed = project.odum("config", "validate")
    assert code == 1
    assert str(tmp_path / "outside") in printed
    # As Kubernetes mounts them: links into a hidden folder beside them.
    inner = project.root / "configs" / "..data"
    inner.mkdir()
    (project.root / "configs" / f"{BTC}.json").unlink()
    moved_out(project.config(), inner)
    assert [each.name for each in load_configs(project.root / "configs")] == [BTC]


def test_a_link_in_a_circle_is_an_error(project: Project) -> None:
    raw = project.raw()
    raw.parent.mkdir(parents=True)
    raw.symlink_to(raw)
    with pytest.raises(DataError, match="cannot be read"):
        convert(project)
    config = project.root / "configs" / "circle.json"
    config.symlink_to(config)
    with pytest.raises(ConfigError, match=r"circle\.json: cannot be read"):
        load_config(config)


def test_a_catalog_is_never_read_through_its_manifest_elsewhere(project: Project) -> None:
    project.sample()
    convert(project)
    (record,) = (project.root / "data/catalog/manifests").rglob("*.json")
    content: dict[str, Any] = json.loads(record.read_text())
    content["file"]["name"] = f"../../../../../{content['file']['name']}"
    record.write_text(json.dumps(content))
    with pytest.raises(DataError, match="is in another folder"):
        list_manifests(project.root / "data/catalog")
