"""Raw files, catalog and results in S3: the same partitions and results as in a folder."""

from pathlib import Path

import dagster as dg
import pytest
from emulator import BUCKET, Proxy, Rule
from resultday import BOOKS, ROWS
from tinydays import DAY, Market, variant

from odum_assets.catalog import convert_partition, read_manifest
from odum_assets.config import instrument_spec, raw_path
from odum_assets.errors import DataError
from odum_assets.orchestration.pruning import KINDS, Limits, prunable
from odum_assets.raw.layout import DataType, list_days, list_raw_files
from odum_assets.results.annotating import annotate
from odum_assets.results.annotations import Annotations
from odum_assets.results.store import ResultStore
from odum_assets.results.verify import verify_result
from odum_assets.settings import Settings
from odum_assets.storage import s3
from odum_assets.storage.buckets import Bucket, ObjectChangedError
from odum_assets.storage.objects import ABSENT, md5_of
from odum_assets.storage.stores import open_store

CONFIG = variant()
ROOT = f"s3://{BUCKET}/main"


def _settings(local: Market) -> Settings:
    return Settings(
        raw_root=ROOT,
        catalog_path=f"{ROOT}/catalog",  # type: ignore[arg-type]
        results_path=f"{ROOT}/results",  # type: ignore[arg-type]
        configs_path=local.settings.configs_path,
    )


class S3Market(Market):
    """The tiny day on a machine whose folders are all in S3."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings


def test_the_main_job_is_done_in_s3(
    tmp_path: Path, s3_proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = Market(tmp_path / "local")
    local.trades(ROWS)
    local.books(BOOKS)
    here = local.run(CONFIG, snapshot_mode="book").result
    settings = _settings(local)
    fs, path = open_store(ROOT)
    for kind in (DataType.TRADES, DataType.BOOK):
        file = local.raw_file(kind)
        fs.put_file(str(file), f"{path}/{file.relative_to(local.settings.raw_root)}")
    assert list_days(ROOT) == [DAY]
    s3_proxy.requests.clear()
    assert len(list_raw_files(ROOT)) == 2
    assert len(s3_proxy.requests) <= 4
    for kind in (DataType.TRADES, DataType.BOOK):
        raw = raw_path(CONFIG, kind, DAY, settings)
        manifest = convert_partition(
            raw, CONFIG.key, instrument_spec(CONFIG), kind, DAY, settings.catalog_path
        )
        twin = read_manifest(local.settings.catalog_path, CONFIG.key, kind, DAY)
        assert twin is not None
        assert (manifest.digest, manifest.file) == (twin.digest, twin.file)
    # A connection that is cut, and a service that is busy, cost a repetition.
    s3_proxy.rules += [Rule("PUT .*report/", "cut"), Rule("PUT .*results/fast/", 503, times=2)]
    there = S3Market(settings).run(CONFIG, snapshot_mode="book", mode="report").result
    assert there.digest == here.digest
    assert not any(rule.times for rule in s3_proxy.rules)
    # Another machine, which shares the bucket only.
    monkeypatch.setenv("ODUM_CACHE_PATH", str(tmp_path / "elsewhere"))
    other = _settings(local)
    store = ResultStore(other.results_path)
    assert [entry.digest for entry in store.entries()] == [here.digest]
    assert verify_result(there.run_id, other).equal
    annotate(store, there.run_id, lambda _: Annotations(("base",), "from elsewhere"))
    with dg.DagsterInstance.ephemeral() as instance:
        found = list(prunable(instance, other, {*KINDS}, Limits.of(0, 0)))
    assert {item.kind for item in found} <= {"cache"}
    assert [entry.run_id for entry in store.entries()] == [there.run_id]


def test_writes_to_s3_have_conditions(tmp_path: Path, s3_proxy: Proxy) -> None:
    bucket, small, large = Bucket(f"s3://{BUCKET}/conditions"), tmp_path / "s", tmp_path / "l"
    small.write_bytes(b"small")
    large.write_bytes(bytes(range(256)) * 4_000)
    for name, first, second in (("a/one", small, large), ("a/two", large, small)):
        bucket.put(name, first, ABSENT)
        bucket.put(name, first, ABSENT)  # a repeated request
        stat = bucket.stat(name)
        assert stat is not None
        assert stat.md5 == md5_of(first)
        for expected in (ABSENT, "f" * 32):
            with pytest.raises(ObjectChangedError, match="another process wrote it"):
                bucket.put(name, second, expected)
        bucket.fetch(name, tmp_path / "back", bucket.listing()[name])
        assert md5_of(tmp_path / "back") == stat.md5
        bucket.put(name, second, stat.generation)
        bucket.remove(name, stat.generation)
        assert bucket.stat(name) is not None
    assert (bucket.folders(), bucket.has("b")) == (["a"], False)
    assert sorted(bucket.listing()) == ["a/one", "a/two"]
    # A service that ignores them is refused before anything is written.
    s3_proxy.rules.append(Rule("PUT|DELETE", "unconditional", times=99))
    other = Bucket(f"s3://{BUCKET}/ignored")
    s3._holds.cache_clear()
    with pytest.raises(DataError, match="ignores the conditions of writes"):
        other.put("a", small, ABSENT)
    assert other.listing() == {}
    assert not [name for name in Bucket(f"s3://{BUCKET}").listing() if name.startswith(".odum")]
    s3._holds.cache_clear()
