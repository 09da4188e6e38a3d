"""A bucket of its own for each test, behind a proxy, and machines that share nothing else."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from emulator import BUCKET, Proxy, emulator, proxied

from odum_assets.storage import stores

_NUMBERS = itertools.count()


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
    with proxied(server) as found:
        yield found


@pytest.fixture
def address(proxy: Proxy) -> str:  # noqa: ARG001 - nothing reaches the bucket but through it
    """A folder in the bucket that nothing is in."""
    return f"gs://{BUCKET}/test-{next(_NUMBERS)}"
