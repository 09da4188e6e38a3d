"""A folder with its own raw files, catalog and results per test; the real data where they are."""

import os
from pathlib import Path

import pytest
from tinydays import Market


@pytest.fixture(scope="module", autouse=True)
def _warm(warm_replays: None) -> None:
    """Have replays begin with NautilusTrader loaded."""


@pytest.fixture
def market(tmp_path: Path) -> Market:
    return Market(tmp_path)


@pytest.fixture(scope="session")
def real_data() -> Path:
    place = os.environ.get("ODUM_TEST_DATA")
    if not place:
        pytest.skip("ODUM_TEST_DATA names no folder with real market data")
    return Path(place)
