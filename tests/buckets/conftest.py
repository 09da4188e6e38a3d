"""A bucket of its own for each test, behind a proxy, and machines that share nothing else."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from emulator import BUCKET, Proxy, emulator, proxied, s3_emulator

from odum_assets.storage import outages, stores

_NUMBERS = itertools.count()


@pytest.fixture(scope="module", autouse=True)
def _warm(warm_replays: None) -> None:
    """Have replays begin with NautilusTrader loaded."""


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    with emulator(tmp_path_factory.mktemp("emulator")) as address:
        yield address


@pytest.fixture
def proxy(
    server: tuple[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Proxy]:
    """The proxy that this test's requests pass; the local cache is empty."""
    monkeypatch.setenv("ODUM_CACHE_PATH", str(tmp_path / "cache"))
    monkeypatch.setattr(stores, "ANSWER_SECS", 1.0)
    monkeypatch.setattr(outages, "_given_up", {})
    with proxied(server) as found:
        yield found


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    with s3_emulator(tmp_path_factory.mktemp("s3")) as address:
        yield address


@pytest.fixture
def s3_proxy(
    s3_server: tuple[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Proxy]:
    """The proxy that this test's requests to S3 pass; the local cache is empty."""
    monkeypatch.setenv("ODUM_CACHE_PATH", str(tmp_path / "cache"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA-of-the-test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-key")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(outages, "_given_up", {})
    with proxied(s3_server, "AWS_ENDPOINT_URL") as found:
        yield found


@pytest.fixture
def address(proxy: Proxy) -> str:  # noqa: ARG001 - nothing reaches the bucket but through it
    """A folder in the bucket that nothing is in."""
    return f"gs://{BUCKET}/test-{next(_NUMBERS)}"
