"""One damaged file is one damaged file: it is named, and everything else goes on."""

import json
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hostileproject import BTC, BTC_KEY, DAY, REPOSITORY, Project

from odum_assets.backtest.volume import days_before
from odum_assets.catalog import convert_partition, publish, scan_manifests
from odum_assets.catalog.paths import PartitionPaths, manifest_lock
from odum_assets.config import instrument_spec, load_config
from odum_assets.errors import DataError
from odum_assets.instruments import parse_instrument_key
from odum_assets.orchestration import discovery
from odum_assets.orchestration.discovery import Cursor, discover
from odum_assets.orchestration.project import load_project
from odum_assets.raw.layout import DataType
from odum_assets.raw.sample import SampleSpec, write_sample
from odum_assets.settings import load_settings

RUN = ("backtest", BTC, "--day", str(DAY), "--fast", "--snapshot-mode", "trades")
HALF = '{"instrument": '


# --- configurations -----------------------------------------------------------------------------


def test_a_half_written_configuration_stops_no_other(project: Project) -> None:
    project.sample()
    half = project.root / "configs" / "half.json"
    half.write_text(HALF)
    code, printed = project.odum(*RUN)
    assert code == 0, printed
    assert f"! left out of the graph: {half}: not JSON at line 1" in printed
    for command in (("data", "list"), ("convert", BTC, "--all")):
        code, printed = project.odum(*command)
        assert code == 0, printed
        assert "half.json: not JSON" in printed
    code, printed = project.odum("backtest", "half", "--day", str(DAY))
    assert code == 1
    assert "half.json: not JSON" in printed


def test_a_configuration_of_another_source_stops_no_other(project: Project) -> None:
    project.sample()
    project.config("aaa_gcs", data_source="gcs")
    code, printed = project.odum(*RUN)
    assert code == 0, printed
    assert "aaa_gcs.json: data_source is" in printed
    for command in (("backtest", "aaa_gcs", "--day", str(DAY)), ("config", "validate", "aaa_gcs")):
        code, printed = project.odum(*command)
        assert code == 1
        assert "no bucket is named" in printed


def test_validate_says_what_a_run_would(project: Project) -> None:
    project.config("second")
    project.config("odd", instrument={"price_precision": 2})
    code, printed = project.odum("config", "validate", "odd")
    assert code == 1
    assert "instrument.price_precision: found 2, but" in printed
    code, printed = project.odum("backtest", "odd", "--day", str(DAY))
    assert code == 1
    assert "instrument.price_precision: found 2, but" in printed
    assert project.odum("config", "validate", BTC, "second")[0] == 0
    assert project.odum("config", "validate")[0] == 1


@pytest.mark.parametrize(
    ("strategy", "why"),
    [
        ({"path": "momentum:Momentun"}, "momentum has no class Momentun"),
        ({"path": "nowhere:Momentum"}, "module nowhere cannot be imported"),
        ({"path": "momentum:Momentum", "params": {"windw": 1}}, "strategy.params.windw"),
    ],
)
def test_validate_loads_the_strategy(
    project: Project, monkeypatch: pytest.MonkeyPatch, strategy: dict[str, object], why: str
) -> None:
    (project.root / "momentum.py").write_text(
        "from pydantic import BaseModel\n"
        "from odum_assets.backtest.strategies.base import OdumStrategy\n\n\n"
        "class Momentum(OdumStrategy):\n"
        "    class Params(BaseModel, extra='forbid'):\n"
        "        window: int = 1\n"
    )
    monkeypatch.syspath_prepend(str(project.root))
    file = project.config()
    content = json.loads(file.read_text())
    content["strategy"] = {"name": "Own", **strategy}
    file.write_text(json.dumps(content))
    code, printed = project.odum("config", "validate", BTC)
    assert code == 1, printed
    assert why in printed.replace("\n", " ")
    content["strategy"] = {"name": "Own", "path": "momentum:Momentum", "params": {"window": 2}}
    file.write_text(json.dumps(content))
    code, printed = project.odum("config", "validate", BTC)
    assert code == 0, printed


# --- raw data -----------------------------------------------------------------------------------

OTHER = "binance_futures_ethusdt_l2_trades_config"


@pytest.fixture
def with_url(project: Project) -> Project:
    """A project with a second instrument whose raw data lie where no driver leads."""
    project.sample()
    content = json.loads((REPOSITORY / f"configs/{OTHER}.json").read_text())
    content["environment"] = {"UNIFIED_CLOUD_LOCAL_PATH": "abfs://bucket/raw"}
    (project.root / "configs" / f"{OTHER}.json").write_text(json.dumps(content))
    return project


def test_a_bad_address_stops_its_own_instrument_only(with_url: Project) -> None:
    code, printed = with_url.odum(*RUN)
    assert code == 0, printed
    code, printed = with_url.odum("data", "list")
    assert "BTC-USDT" in printed
    assert "abfs://bucket/raw" in printed
    assert "the driver for abfs:// is not installed" in printed
    for command in (("convert", OTHER, "--all"), ("backtest", OTHER, "--day", str(DAY))):
        code, printed = with_url.odum(*command)
        assert code == 1
        assert "the driver for abfs:// is not installed" in printed, command


def test_the_sensor_goes_on_beside_a_bad_address(with_url: Project) -> None:
    (with_url.raw().parents[1] / "_SUCCESS").touch()
    found = discover(
        load_project(load_settings()), Cursor(), now=0, today=date(2024, 2, 1), stable_secs=30
    )
    assert [(run.config.name, run.day) for run in found.runs] == [(BTC, DAY)]
    (note,) = [note for note in found.notes if "abfs://" in note]
    assert "the driver for abfs:// is not installed" in note


def test_a_store_that_fails_for_a_while_is_not_forgotten(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.sample()
    (project.raw().parents[1] / "_SUCCESS").touch()
    loaded = load_project(load_settings())
    times = {"today": date(2024, 2, 1), "stable_secs": 30}
    first = discover(loaded, Cursor(), now=0, **times)

    def fails(feed: str) -> list[date]:
        raise DataError(f"{feed}: cannot be read (timed out)")

    with monkeypatch.context() as patch:
        patch.setattr(discovery, "list_folder_days", fails)
        away = discover(loaded, first.cursor, now=10, **times)
    assert away.runs == ()
    assert any("timed out" in note for note in away.notes)
    assert away.cursor.done == first.cursor.done
    assert discover(loaded, away.cursor, now=20, **times).runs == ()


@pytest.mark.parametrize("below", ["", "raw_tick_data"])
def test_a_mistyped_raw_root_is_no_such_folder(
    project: Project, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    project.sample()
    assert project.odum("convert", BTC, "--all")[0] == 0
    root = project.root / "data" / below if below else project.root / "nope"
    monkeypatch.setenv("UNIFIED_CLOUD_LOCAL_PATH", str(root))
    for command in (
        ("data", "list"),
        ("convert", BTC, "--all"),
        ("convert", BTC, "--day", "2024-01-05"),
        ("backtest", BTC, "--day", "2024-01-05"),
    ):
        _, printed = project.odum(*command)
        assert f"{root}" in printed, command
        assert "no such folder; set UNIFIED_CLOUD_LOCAL_PATH" in printed, command
        assert (f"perhaps {project.root / 'data'}" in printed) == bool(below)


# --- manifests ----------------------------------------------------------------------------------


def _shape(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return write


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent / "nothing.json")


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


MANIFESTS: dict[str, Callable[[Path], object]] = {
    "half": lambda path: path.write_text('{"manifest_version": 2, '),
    "empty": lambda path: path.write_bytes(b""),
    "deep": lambda path: path.write_bytes(b"[" * 200_000),
    "list": lambda path: path.write_text("[]"),
    "latin": lambda path: path.write_bytes(b'{"\xff": 1}'),
    "huge": _shape(lambda content: content.update(rows_written=10**30)),
    "text": _shape(lambda content: content.update(rows_in="many")),
    "truth": _shape(lambda content: content.update(rows_in=True)),
    "null": _shape(lambda content: content.update(rejected=None)),
    "quality": _shape(lambda content: content.update(quality=[])),
    "no JSON": _shape(lambda content: content.update(sorted_source=float("nan"))),
    "source": _shape(lambda content: content.update(source="here")),
    "another day": _shape(lambda content: content.update(day="2024-01-09")),
    "no key": _shape(lambda content: content.update(key="???")),
    "another key": _shape(lambda content: content.update(key="OKX:PERPETUAL:BTC-USDT")),
    "link": _link,
    "folder": _folder,
}


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog of two days of BTC trades, beside their raw data."""
    place = tmp_path_factory.mktemp("converted")
    days = SampleSpec(
        keys=(BTC_KEY,), start=DAY, days=2, trades_per_day=50, books_per_day=50, hours=(10, 11)
    )
    write_sample(place / "data", days)
    loaded = load_config(REPOSITORY / "configs" / f"{BTC}.json")
    for day in (DAY, DAY + timedelta(days=1)):
        raw = place / f"data/raw_tick_data/by_date/day-{day}/data_type-trades/{BTC_KEY}.parquet"
        spec, catalog = instrument_spec(loaded), place / "data/catalog"
        convert_partition(str(raw), loaded.key, spec, DataType.TRADES, day, catalog)
    return place


@pytest.mark.parametrize("damage", MANIFESTS)
def test_a_damaged_manifest_stops_its_own_day_only(
    project: Project, converted: Path, damage: str
) -> None:
    shutil.copytree(converted / "data", project.root / "data")
    catalog = project.root / "data/catalog"
    (damaged,) = (catalog / "manifests").rglob(f"{DAY}.json")
    MANIFESTS[damage](damaged)

    found = scan_manifests(catalog)
    assert [each.day for each in found.manifests] == [DAY + timedelta(days=1)]
    assert [(each.path, each.day) for each in found.damaged] == [(damaged, DAY)]
    assert str(damaged) in found.damaged[0].problem
    # Another instrument's conversion looks at it, too.
    other = json.loads((REPOSITORY / f"configs/{OTHER}.json").read_text())
    path = project.root / "configs" / f"{OTHER}.json"
    path.write_text(json.dumps(other))
    loaded = load_config(path)
    table = pq.read_table(project.raw())
    eth = project.raw().with_name(f"{loaded.key}.parquet")
    index = table.schema.get_field_index("symbol")
    symbols = pa.array(["ETH-USDT"] * table.num_rows)
    pq.write_table(table.set_column(index, "symbol", symbols) if index >= 0 else table, eth)
    made = convert_partition(
        str(eth), loaded.key, instrument_spec(loaded), DataType.TRADES, DAY, catalog
    )
    assert made.rows_written > 0


def test_a_window_needs_the_manifests_of_its_own_days_only(
    project: Project, converted: Path
) -> None:
    shutil.copytree(converted / "data", project.root / "data")
    (damaged,) = (project.root / "data/catalog/manifests").rglob(f"{DAY}.json")
    damaged.write_text("{")
    good = DAY + timedelta(days=1)
    window = ("--start", f"{good}T10:00:00Z", "--end", f"{good}T10:30:00Z")
    options = ("--window", "--fast", "--snapshot-mode", "trades")
    code, printed = project.odum("backtest", BTC, *window, *options)
    assert code == 0, printed
    code, printed = project.odum("data", "list")
    assert f"{damaged}: not a manifest that this version can use" in printed
    assert f"{good}" in printed
    # Converting the day again mends it.
    assert project.odum("convert", BTC, "--data-type", "trades", "--day", str(DAY))[0] == 0
    assert scan_manifests(project.root / "data/catalog").damaged == ()


@pytest.mark.parametrize("quality", [{}, {"gaps": []}, {"gaps": {"max_s": "long"}}])
def test_figures_that_cannot_be_judged_fail_their_day_only(
    project: Project, converted: Path, quality: dict[str, Any]
) -> None:
    shutil.copytree(converted / "data", project.root / "data")
    (damaged,) = (project.root / "data/catalog/manifests").rglob(f"{DAY}.json")
    _shape(lambda content: content.update(quality=quality))(damaged)
    code, printed = project.odum("data", "check")
    assert code == 1
    assert f"{DAY}: the quality figures of the manifest cannot be used" in printed
    assert "2 partitions checked: " in printed
    assert f"{DAY + timedelta(days=1)}: the quality figures" not in printed
    code, printed = project.odum(*RUN)
    assert code == 1
    assert "the quality figures of the manifest cannot be used" in printed


def test_a_volume_curve_needs_the_manifests_of_its_own_days(
    project: Project, converted: Path
) -> None:
    shutil.copytree(converted / "data", project.root / "data")
    catalog = project.root / "data/catalog"
    (damaged,) = (catalog / "manifests").rglob(f"{DAY}.json")
    damaged.write_text("{")
    key = parse_instrument_key(BTC_KEY)
    later = DAY + timedelta(days=2)
    assert [each.day for each in days_before(catalog, key, later, 1)] == [DAY + timedelta(days=1)]
    with pytest.raises(DataError, match="not a manifest"):
        days_before(catalog, key, later, 2)
    assert days_before(catalog, key, DAY, 2) == []


def test_what_cannot_be_told_is_not_removed(converted: Path, tmp_path: Path) -> None:
    """With another key's manifests damaged, files of the folder may be that key's."""
    catalog = shutil.copytree(converted / "data/catalog", tmp_path / "catalog")
    key = parse_instrument_key(BTC_KEY)
    lin = catalog / "manifests" / f"{key.slug}_lin" / "trades"
    lin.mkdir(parents=True)
    (lin / f"{DAY}.json").write_text("{")
    folder = catalog / "data/trades" / key.nautilus_id
    stranger = folder / "2023-01-01T00-00-00-000000000Z_2023-01-01T01-00-00-000000000Z.parquet"
    stranger.write_bytes(b"x")
    loaded = load_config(REPOSITORY / "configs" / f"{BTC}.json")
    raw = f"data/raw_tick_data/by_date/day-{DAY}/data_type-trades/{BTC_KEY}.parquet"
    source, spec = str(converted / raw), instrument_spec(loaded)
    for _ in range(2):
        convert_partition(source, key, spec, DataType.TRADES, DAY, catalog, force=True)
    assert stranger.is_file()
    assert len(list(folder.iterdir())) == 3
    (lin / f"{DAY}.json").unlink()
    convert_partition(source, key, spec, DataType.TRADES, DAY, catalog, force=True)
    assert not stranger.exists()
    assert len(list(folder.iterdir())) == 2


def test_the_scan_of_other_instruments_waits_for_their_locks(
    converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = shutil.copytree(converted / "data/catalog", tmp_path / "catalog")
    key = parse_instrument_key(BTC_KEY)
    locked: list[Path] = []
    real = publish.shared

    def noted(lock: Path) -> AbstractContextManager[None]:
        locked.append(lock)
        return real(lock)

    monkeypatch.setattr(publish, "shared", noted)
    loaded = load_config(REPOSITORY / "configs" / f"{OTHER}.json")
    paths = PartitionPaths(catalog, loaded.key, DataType.TRADES, DAY)
    assert publish._require_own_folder(paths)
    assert locked == [manifest_lock(catalog, key.slug, "trades")]
