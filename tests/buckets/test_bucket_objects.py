"""Objects are written and read whole, on conditions, whatever happens on the way."""

import logging
from pathlib import Path

import fsspec
import pytest
from emulator import Proxy, Rule
from google.oauth2.credentials import Credentials

from odum_assets.errors import DataError
from odum_assets.storage.buckets import Bucket, ObjectChangedError
from odum_assets.storage.objects import ABSENT, md5_of
from odum_assets.storage.stores import open_store

NAME = "data/BINANCE:SPOT_PAIR:BTC-USDT 100%@LIN.parquet"
UPLOAD, DOWNLOAD = "POST /upload/", "alt=media|GET /download/"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(bytes(range(256)) * 2_000)
    return path


def test_a_write_has_a_condition(address: str, source: Path, tmp_path: Path) -> None:
    bucket, other = Bucket(address), tmp_path / "other"
    other.write_bytes(b"other")
    bucket.put(NAME, source, ABSENT)
    first = bucket.stat(NAME)
    assert first is not None
    assert (first.size, first.md5) == (512_000, md5_of(source))
    # A repeated request, or another machine with the same bytes.
    bucket.put(NAME, source, ABSENT)
    for expected in (ABSENT, "17"):
        with pytest.raises(ObjectChangedError, match="another process wrote it") as caught:
            bucket.put(NAME, other, expected)
        assert str(caught.value).startswith(f"{address}/{NAME}: ")
    assert bucket.stat(NAME) == first
    bucket.put(NAME, other, first.generation)
    assert list(bucket.listing()) == [NAME]
    assert bucket.folders() == ["data"]
    bucket.remove(NAME)
    bucket.remove(NAME)
    assert (bucket.stat(NAME), bucket.listing(), bucket.has("data")) == (None, {}, False)


def test_a_large_file_is_sent_in_parts(
    address: str, source: Path, tmp_path: Path, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("odum_assets.storage.google.CHUNK", 1 << 18)
    proxy.rules.append(Rule("upload_id=", "cut"))
    bucket = Bucket(address)
    bucket.put(NAME, source)
    stat = bucket.stat(NAME)
    assert stat is not None
    assert stat.size == 512_000
    bucket.fetch(NAME, tmp_path / "back", stat)
    assert md5_of(tmp_path / "back") == md5_of(source)
    assert sum("upload_id=" in line for line in proxy.requests) == 3


@pytest.mark.parametrize(
    "rule",
    [
        Rule(UPLOAD, "cut"),
        Rule(UPLOAD, 503, times=2),
        Rule(UPLOAD, 429),
        Rule(UPLOAD, "slow", delay=1.5),
    ],
    ids=["cut", "unavailable", "too many", "slow"],
)
def test_an_upload_is_tried_again(address: str, source: Path, proxy: Proxy, rule: Rule) -> None:
    proxy.rules.append(rule)
    bucket = Bucket(address)
    bucket.put(NAME, source, ABSENT)
    assert sum(line.startswith(UPLOAD) for line in proxy.requests) >= 2
    stat = bucket.stat(NAME)
    assert stat is not None
    assert stat.md5 == md5_of(source)


@pytest.mark.parametrize(
    "rule",
    [
        Rule(DOWNLOAD, "cut"),
        Rule(DOWNLOAD, 503, times=2),
        Rule(DOWNLOAD, "slow", delay=1.5),
    ],
    ids=["cut", "unavailable", "slow"],
)
def test_a_download_is_tried_again(
    address: str, source: Path, tmp_path: Path, proxy: Proxy, rule: Rule
) -> None:
    bucket = Bucket(address)
    bucket.put(NAME, source)
    stat = bucket.stat(NAME)
    assert stat is not None
    proxy.rules.append(rule)
    bucket.fetch(NAME, tmp_path / "in" / "target", stat)
    assert md5_of(tmp_path / "in" / "target") == stat.md5
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["target"]


def test_an_object_that_is_replaced_while_it_is_read_is_read_again(
    address: str, source: Path, tmp_path: Path, proxy: Proxy
) -> None:
    bucket, target = Bucket(address), tmp_path / "target"
    newer = tmp_path / "newer"
    newer.write_bytes(b"newer")
    bucket.put(NAME, source)
    stat = bucket.stat(NAME)
    assert stat is not None
    bucket.put(NAME, newer)
    found = bucket.fetch(NAME, target, stat)
    assert found == bucket.stat(NAME)
    assert target.read_bytes() == b"newer"
    # Forever is long enough.
    target.unlink()
    proxy.rules.append(Rule(DOWNLOAD, lambda: _replace(bucket, newer), times=9))
    with pytest.raises(ObjectChangedError, match="changed 3 times while it was read"):
        bucket.fetch(NAME, target, stat)
    assert not target.exists()


def _replace(bucket: Bucket, file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"!")
    fs, path = open_store(f"{bucket.address}/{NAME}")
    fs.pipe_file(path, file.read_bytes())


def test_what_may_not_be_done_is_told_without_credentials(
    address: str,
    source: Path,
    tmp_path: Path,
    proxy: Proxy,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bucket = Bucket(address)
    bucket.put("there", source)
    stat = bucket.stat("there")
    assert stat is not None
    token = Credentials("ya29.a-secret-token")  # type: ignore[no-untyped-call]
    monkeypatch.setitem(fsspec.config.conf, "gs", {"token": token})
    proxy.rules.append(Rule(".", 403, times=99))
    caplog.set_level(logging.DEBUG)
    told = []
    for use in (
        lambda: bucket.put(NAME, source),
        lambda: bucket.fetch("there", tmp_path / "target", stat),
        bucket.listing,
        lambda: bucket.stat("there"),
        lambda: bucket.remove("there"),
    ):
        with pytest.raises(DataError, match=r"Forbidden.*GOOGLE_APPLICATION_CREDENTIALS") as caught:
            use()
        told.append(str(caught.value))
    assert "Bearer ya29.a-secret-token" in proxy.headers
    assert all(text.startswith(address) for text in told)
    assert "a-secret-token" not in "".join(told) + caplog.text
    proxy.rules.clear()
    assert list(bucket.listing()) == ["there"]


def test_a_bucket_that_does_not_exist_is_named(proxy: Proxy, source: Path) -> None:  # noqa: ARG001
    bucket = Bucket("gs://nowhere/data")
    for use in (bucket.listing, bucket.require, lambda: bucket.put(NAME, source)):
        with pytest.raises(DataError, match=r"no bucket gs://nowhere\. .*gcloud storage buckets"):
            use()
