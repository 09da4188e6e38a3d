"""Raw files, catalog and results in a bucket: the same partitions and results as in a folder."""

import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from emulator import BUCKET, Proxy, Rule, emulator, proxied
from resultday import BOOKS, ROWS
from tinydays import DAY, LINEAR, Market, Outcome, variant

from odum_assets.backtest.request import RunRequest
from odum_assets.catalog import PartitionRequest, catalog_view, list_manifests, read_manifest
from odum_assets.config import catalog_root, instrument_spec
from odum_assets.errors import DataError, OdumError
from odum_assets.raw.layout import DataType, list_days, list_raw_files
from odum_assets.registry.database import result_store
from odum_assets.registry.deletion import delete_run
from odum_assets.registry.register import open_registry, rebuild
from odum_assets.results.annotating import annotate
from odum_assets.results.annotations import Annotations, read_annotations
from odum_assets.results.run import run_backtest
from odum_assets.results.run_id import run_id_of
from odum_assets.results.store import ResultError, ResultStore
from odum_assets.results.tearsheet.page import write_tearsheet
from odum_assets.results.verify import verify_result
from odum_assets.settings import Settings
from odum_assets.storage import stores
from odum_assets.storage.addresses import location_of
from odum_assets.storage.buckets import Bucket, ObjectChangedError
from odum_assets.storage.stores import open_store

CONFIG = variant()


@pytest.fixture
def local(tmp_path: Path) -> Market:
    found = Market(tmp_path / "local")
    found.trades(ROWS)
    found.books(BOOKS)
    return found


@pytest.fixture
def settings(local: Market, address: str) -> Settings:
    """Settings of a machine whose folders are all in a bucket, which holds the raw files only."""
    fs, path = open_store(address)
    for kind in (DataType.TRADES, DataType.BOOK):
        file = local.raw_file(kind)
        fs.put_file(str(file), f"{path}/{file.relative_to(local.settings.raw_root)}")
    return Settings(
        raw_root=address,
        catalog_path=f"{address}/catalog",  # type: ignore[arg-type]
        results_path=f"{address}/results",  # type: ignore[arg-type]
        configs_path=local.settings.configs_path,
    )


class BucketMarket(Market):
    """The tiny day on a machine whose folders are all in a bucket."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings


def _elsewhere(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """Return the settings of another machine: nothing is shared but the bucket."""
    addresses = location_of(settings.catalog_path), location_of(settings.results_path)
    monkeypatch.setenv("ODUM_CACHE_PATH", str(tmp_path / "elsewhere"))
    return Settings(
        raw_root=settings.raw_root,
        catalog_path=addresses[0],  # type: ignore[arg-type]
        results_path=addresses[1],  # type: ignore[arg-type]
        configs_path=settings.configs_path,
    )


def _convert(settings: Settings, kind: DataType = DataType.TRADES) -> Any:
    from odum_assets.catalog import convert_partition
    from odum_assets.config import raw_path

    return convert_partition(
        raw_path(CONFIG, kind, DAY, settings),
        CONFIG.key,
        instrument_spec(CONFIG),
        kind,
        DAY,
        settings.catalog_path,
    )


def _run(settings: Settings, **options: Any) -> Outcome:
    return BucketMarket(settings).run(CONFIG, snapshot_mode="book", **options)


def _posted(proxy: Proxy, part: str) -> list[int]:
    return [
        at for at, line in enumerate(proxy.requests) if line.startswith("POST") and part in line
    ]


CONVERT = """
import sys
from datetime import date
from pathlib import Path
from odum_assets.catalog import convert_partition
from odum_assets.config import instrument_spec, load_config
from odum_assets.raw.layout import DataType
from odum_assets.storage.addresses import local_copy
source, config, catalog, day = sys.argv[1:]
loaded = load_config(Path(config))
print(convert_partition(source, loaded.key, instrument_spec(loaded), DataType.TRADES,
    date.fromisoformat(day), local_copy(catalog)).file.sha256)
"""


def _lock_of(settings: Settings) -> Path:
    return settings.results_path / ".staging" / f".publish-{uuid.uuid4().hex}"


def _write(bucket: Bucket, name: str, content: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        bucket.put(name, Path(file.name))


def _machine(settings: Settings, cache: Path) -> "subprocess.Popen[str]":
    """Start a machine that converts the trades."""
    from odum_assets.config import raw_path

    source = raw_path(CONFIG, DataType.TRADES, DAY, settings)
    catalog = location_of(settings.catalog_path)
    return subprocess.Popen(
        [sys.executable, "-c", CONVERT, source, str(CONFIG.path), catalog, DAY.isoformat()],
        env=os.environ | {"ODUM_CACHE_PATH": str(cache)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_run_in_a_bucket_is_the_run_in_a_folder(
    local: Market,
    settings: Settings,
    proxy: Proxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = local.run(CONFIG, snapshot_mode="book").result
    partitions = [_convert(settings), _convert(settings, DataType.BOOK)]
    for manifest in partitions:
        twin = read_manifest(local.settings.catalog_path, CONFIG.key, manifest.data_type, DAY)
        assert twin is not None
        assert (manifest.digest, manifest.file) == (twin.digest, twin.file)
    proxy.requests.clear()
    there = _run(settings, mode="report").result
    assert there.digest == here.digest
    # The summary is the commit record: after everything that it stands for.
    (summary,) = _posted(proxy, "results/fast/")
    reports = _posted(proxy, f"results/report/{there.run_id}/")
    assert len(reports) >= 8
    assert max(reports) < summary
    names = Bucket(location_of(settings.results_path)).listing()
    assert f"fast/{there.run_id}.json" in names
    assert sum(name.startswith(f"report/{there.run_id}/") for name in names) >= 8

    results, cache = Bucket(location_of(settings.results_path)), os.environ["ODUM_CACHE_PATH"]
    other = _elsewhere(settings, monkeypatch, tmp_path)
    store = ResultStore(other.results_path)
    assert [entry.digest for entry in store.entries()] == [here.digest]
    assert store.current(LINEAR, DAY.isoformat()) is not None
    assert verify_result(there.run_id, other).equal
    sheet = write_tearsheet(there.run_id, other)
    assert f"report/{there.run_id}/tearsheet.html" in results.listing()
    assert sheet.read_text().startswith("<!")
    registry = open_registry(other)
    assert rebuild(registry, result_store(other)).runs == 1
    registry.dispose()

    annotate(store, there.run_id, lambda _: Annotations(("base",), "from elsewhere"))
    monkeypatch.setenv("ODUM_CACHE_PATH", cache)
    first = ResultStore(settings.results_path)
    found = read_annotations(first.file("annotations", f"{there.run_id}.json"))
    assert found == Annotations(("base",), "from elsewhere")
    delete_run(settings, there.run_id)
    assert results.listing() == {}
    monkeypatch.setenv("ODUM_CACHE_PATH", str(tmp_path / "elsewhere"))
    assert store.entries() == []
    with pytest.raises(ResultError, match=r"no result BNF_.* in gs://"):
        store.entry(there.run_id)


@pytest.mark.parametrize("refused", ["report/.*equity", "fast/"])
def test_a_result_that_cannot_be_stored_leaves_nothing(
    settings: Settings, proxy: Proxy, refused: str
) -> None:
    _convert(settings)
    _convert(settings, DataType.BOOK)
    proxy.rules.append(Rule(rf"POST .*{refused}", 403, times=99))
    with pytest.raises(DataError, match=r"cannot be written .*Forbidden"):
        _run(settings, mode="report")
    proxy.rules.clear()
    assert ResultStore(settings.results_path).entries() == []
    names = Bucket(location_of(settings.results_path)).listing()
    assert [name for name in names if name.startswith(("fast", "report"))] == []
    assert _run(settings, mode="fast").result.digest


class GivenUpError(DataError):
    """Say that Dagster has given a run up."""


def _publish(settings: Settings, run_id: str, owner: Callable[[], None]) -> str:
    request = RunRequest(CONFIG, (DAY,), DAY.isoformat(), snapshot_mode="book", mode="report")
    return run_backtest(request, settings, run_id=run_id, require_owner=owner).run_id


def _run_ids(count: int) -> list[str]:
    request = RunRequest(CONFIG, (DAY,), DAY.isoformat())
    return [run_id_of(request, f"{number:06x}") for number in range(count)]


def _nothing() -> None:
    pass


@pytest.mark.parametrize("frozen_before", ["report/.*equity", "fast/", "partitions/"])
def test_a_worker_that_was_frozen_while_it_stored_its_result_stores_nothing(
    settings: Settings, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, frozen_before: str
) -> None:
    """Frozen at any of its writes: meanwhile it is given up, and the run that replaces it ends."""
    monkeypatch.setattr(stores, "ANSWER_SECS", 100.0)
    _convert(settings)
    _convert(settings, DataType.BOOK)
    frozen, replacing = _run_ids(2)
    is_given_up = Event()

    def freeze() -> None:
        is_given_up.set()
        _publish(settings, replacing, _nothing)

    def owner() -> None:
        if is_given_up.is_set():
            raise GivenUpError(frozen)

    # The lock of this machine's results would hold the other one up, which is another machine.
    monkeypatch.setattr(ResultStore, "publish_lock", property(lambda _: _lock_of(settings)))
    proxy.rules.append(Rule(rf"POST .*results/{frozen_before}", freeze))
    with pytest.raises(GivenUpError):
        _publish(settings, frozen, owner)
    names = Bucket(location_of(settings.results_path)).listing()
    assert not [name for name in names if frozen in name and not name.startswith("logs/")]
    assert f"fast/{replacing}.json" in names
    current = ResultStore(settings.results_path).current(CONFIG.name, DAY.isoformat())
    assert current is not None
    assert current.run_id == replacing
    assert current.report_file("equity.parquet").is_there()


def test_two_attempts_of_one_run_leave_one_result(settings: Settings, proxy: Proxy) -> None:
    """A run that was given its id before keeps it when it is tried again."""
    _convert(settings)
    _convert(settings, DataType.BOOK)
    (run_id,) = _run_ids(1)
    results = Bucket(location_of(settings.results_path))

    def other_attempt() -> None:
        _write(results, f"fast/{run_id}.json", b"the other attempt")
        _write(results, f"report/{run_id}/metadata.json", b"the other attempt")

    # What a machine left that died while it wrote the report is replaced.
    _write(results, f"report/{run_id}/half.parquet", b"half")
    proxy.rules.append(Rule("POST .*results/fast/", other_attempt))
    with pytest.raises(ObjectChangedError, match="another process wrote it"):
        _publish(settings, run_id, _nothing)
    names = results.listing()
    assert f"report/{run_id}/half.parquet" not in names
    for name in (f"fast/{run_id}.json", f"report/{run_id}/metadata.json"):
        assert names[name].size == len(b"the other attempt")


def test_machines_that_convert_the_same_day_end_with_one_partition(
    settings: Settings, proxy: Proxy, tmp_path: Path
) -> None:
    machines = [_machine(settings, tmp_path / f"cache-{number}") for number in range(3)]
    printed = [machine.communicate(timeout=120)[0].strip() for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0, 0]
    assert len({*printed}) == 1
    names = [*Bucket(location_of(settings.catalog_path)).listing()]
    assert sum("/trades/" in name and name.endswith(".parquet") for name in names) == 1
    assert sum(name.startswith("manifests/") for name in names) == 1
    (manifest,) = list_manifests(settings.catalog_path)
    assert manifest.file.sha256 == printed[0]
    # Up to date for everybody: nothing is written.
    proxy.requests.clear()
    assert _convert(settings) == manifest
    assert not any(line.startswith("POST") for line in proxy.requests)


def test_a_redelivery_that_another_machine_converts_meanwhile_wins(
    local: Market,
    settings: Settings,
    proxy: Proxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stores, "ANSWER_SECS", 100.0)

    def redelivered() -> None:
        local.trades(ROWS[:-1])
        fs, path = open_store(settings.raw_root)
        file = local.raw_file(DataType.TRADES)
        fs.put_file(str(file), f"{path}/{file.relative_to(local.settings.raw_root)}")
        machine = _machine(settings, tmp_path / "other")
        machine.communicate(timeout=120)
        assert machine.returncode == 0

    # Between this machine's last look at the manifest and its writing one.
    manifest = f"manifests/{CONFIG.key.slug}/trades/{DAY}.json"
    proxy.rules.append(Rule(rf"POST .*{manifest}", redelivered))
    with pytest.raises(DataError, match=r"changed while it was read|another machine"):
        _convert(settings)
    (found,) = list_manifests(settings.catalog_path)
    assert found.rows_written == len(ROWS) - 1
    request = PartitionRequest(CONFIG.key, DataType.TRADES, (DAY,))
    assert catalog_view(settings.catalog_path, [request], tmp_path / "view") == [found]
    # The other way round: what was there is replaced, and its file goes.
    local.trades(ROWS)
    fs, path = open_store(settings.raw_root)
    file = local.raw_file(DataType.TRADES)
    fs.put_file(str(file), f"{path}/{file.relative_to(local.settings.raw_root)}")
    assert _convert(settings).rows_written == len(ROWS)
    names = Bucket(location_of(settings.catalog_path)).listing()
    assert sum("data/trades/" in name for name in names) == 1


def test_a_raw_file_that_is_replaced_while_it_is_read_is_not_converted(
    local: Market, settings: Settings, proxy: Proxy
) -> None:
    def replace() -> None:
        fs, path = open_store(settings.raw_root)
        file = local.raw_file(DataType.BOOK)
        fs.put_file(
            str(file),
            f"{path}/{local.raw_file(DataType.TRADES).relative_to(local.settings.raw_root)}",
        )

    proxy.rules.append(Rule("alt=media|GET /download/", replace))
    with pytest.raises(DataError, match="changed while it was read; nothing was written"):
        _convert(settings)
    assert list(Bucket(location_of(settings.catalog_path)).listing()) == []


def test_the_cache_is_checked_and_bounded(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifests = [_convert(settings), _convert(settings, DataType.BOOK)]
    other = _elsewhere(settings, monkeypatch, tmp_path)
    requests = [PartitionRequest(CONFIG.key, each.data_type, (DAY,)) for each in manifests]

    def view(name: str, wanted: list[PartitionRequest] = requests) -> list[Any]:
        return catalog_view(other.catalog_path, wanted, tmp_path / name)

    def kept() -> set[str]:
        objects = tmp_path / "elsewhere" / "objects"
        return {path.name for path in objects.glob("??/*") if len(path.name) == 64}

    # Several processes or threads that need the same file bring it once.
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(view, "abcd")) == [manifests] * 4
    hashes = [each.file.sha256 for each in manifests]
    assert kept() == {*hashes}
    damaged = tmp_path / "elsewhere" / "objects" / hashes[0][:2] / hashes[0]
    damaged.unlink()
    damaged.write_bytes(b"damaged")
    assert view("e") == manifests
    assert damaged.stat().st_size == manifests[0].file.size
    monkeypatch.setenv("ODUM_CACHE_GB", "0")
    assert view("f", requests[:1]) == manifests[:1]
    assert kept() <= {hashes[0]}
    assert manifests[1].data_path(tmp_path / "e").is_file()
    # A partition that lost its file says what to do.
    bucket, name = Bucket(location_of(other.catalog_path)), manifests[1].data_path(Path())
    bucket.remove(name.as_posix())
    monkeypatch.setenv("ODUM_CACHE_PATH", str(tmp_path / "third"))
    with pytest.raises(DataError, match=r"gs://.*is missing or differs.*odum convert .*--force"):
        catalog_view(
            Settings(catalog_path=f"{bucket.address}").catalog_path,  # type: ignore[arg-type]
            requests,
            tmp_path / "g",
        )


def test_files_are_listed_a_thousand_in_a_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "emulator"
    first = date(2021, 1, 1)
    for day in (first + timedelta(days=number) for number in range(150)):
        place = folder / "data" / "year" / f"raw_tick_data/by_date/day-{day}/data_type-trades"
        place.mkdir(parents=True)
        for number in range(20):
            (place / f"BINANCE:SPOT_PAIR:C{number}-USDT.parquet").write_bytes(b"x")
    monkeypatch.setenv("ODUM_CACHE_PATH", str(tmp_path / "cache"))
    with emulator(folder) as server, proxied(server) as proxy:
        assert len(list_raw_files("gs://year")) == 3_000
        # Two more say that there are no years of daily bars: 22 for 1,000 days, as docs/buckets.md
        # states; the emulator takes minutes for a list of so many.
        assert len(proxy.requests) == 3 + 2
        proxy.requests.clear()
        assert len(list_days("gs://year")) == 150
        assert len(proxy.requests) <= 2
        proxy.requests.clear()
        assert len(list_raw_files("gs://year", day=first)) == 20
        assert len(proxy.requests) <= 3


def test_the_data_source_decides_where_raw_files_are(monkeypatch: pytest.MonkeyPatch) -> None:
    from odum_assets.config import effective_settings, raw_path

    monkeypatch.setenv("UNIFIED_CLOUD_SERVICES_GCS_BUCKET", BUCKET)

    def root(**given: str) -> str:
        settings = Settings(**given)  # type: ignore[arg-type]
        return effective_settings(CONFIG, settings).raw_root

    assert root(raw_root="/mnt/fuse") == "/mnt/fuse"
    assert root(raw_root="/mnt/fuse", data_source="gcs") == f"gs://{BUCKET}"
    assert root(raw_root="/mnt/fuse", use_direct_gcs="true") == f"gs://{BUCKET}"
    assert root(raw_root="/mnt", use_direct_gcs="true", data_source="local") == "/mnt"
    assert root(raw_root="gs://other/prefix", data_source="gcs") == "gs://other/prefix"
    gcs = variant(data_source="gcs")
    assert raw_path(gcs, DataType.TRADES, DAY, Settings()).startswith(f"gs://{BUCKET}/raw_tick")
    assert root(raw_root="gcs://other") == "gs://other"
    for bucket in ("gs://b", "s3://b"):
        with pytest.raises(OdumError, match=f'data_source is "local", but .* root is {bucket}'):
            catalog_root(CONFIG, Settings(raw_root=bucket, data_source="local"))
    for wrong in ("gs://", "gs://user:secret@b/x", "gs://b/../x", "ftp://b", "gs://b//x"):
        with pytest.raises(ValueError, match=r"allowed a folder or gs://bucket/prefix") as caught:
            Settings(results_path=wrong)  # type: ignore[arg-type]
        assert "secret" not in str(caught.value).partition("input_value")[0]
