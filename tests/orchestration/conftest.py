"""A project folder of its own per test: configurations, sample days, a Dagster instance."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from graphtools import BTC, BTC_KEY, ETH, FIRST_DAY, REPO
from variables import VARIABLES

from odum_assets.orchestration.launch import Graph, load_graph
from odum_assets.raw.sample import SampleSpec, write_sample
from odum_assets.settings import Settings


@pytest.fixture(scope="module", autouse=True)
def _warm(warm_replays: None) -> None:
    """Have replays begin with NautilusTrader loaded."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project folder with the configurations of BTC and ETH, as current folder."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "configs").mkdir()
    for name in (BTC, ETH):
        shutil.copy(REPO / "configs" / f"{name}.json", tmp_path / "configs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def settings(folder: Path) -> Settings:
    return Settings(raw_root=str(folder / "data"))


@pytest.fixture
def graph(settings: Settings) -> Graph:
    return load_graph(settings)


@pytest.fixture
def sample(folder: Path) -> Path:
    """Two days of trades and books of BTC, in the project folder."""
    spec = SampleSpec(
        keys=(BTC_KEY,),
        start=FIRST_DAY,
        days=2,
        trades_per_day=300,
        books_per_day=300,
        hours=(10, 11),
    )
    write_sample(folder / "data", spec)
    return folder


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


@pytest.fixture(scope="session")
def real_data() -> Path:
    place = os.environ.get("ODUM_TEST_DATA")
    if not place:
        pytest.skip("ODUM_TEST_DATA names no folder with real market data")
    return Path(place)
