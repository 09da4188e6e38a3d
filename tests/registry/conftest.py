"""Registries on both databases, and stored results to fill them with."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from databases import DATABASES, empty, url_of
from postgresserver import server
from tinydays import Market

from odum_assets.registry import schema
from odum_assets.registry.database import create_engine, registry_url, writing
from odum_assets.settings import Settings


@pytest.fixture(scope="module", autouse=True)
def _warm(warm_replays: None) -> None:
    """Have replays begin with NautilusTrader loaded."""


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    with server() as url:
        yield url


@pytest.fixture(params=DATABASES)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings with an empty results folder and an empty database."""
    return empty(tmp_path / "results", url_of(request))


@pytest.fixture
def bare(settings: Settings) -> Iterator[sa.Engine]:
    """A database without tables."""
    settings.results_path.mkdir(parents=True)
    engine = create_engine(registry_url(settings))
    yield engine
    engine.dispose()


@pytest.fixture
def registry(bare: sa.Engine) -> sa.Engine:
    """A registry without rows."""
    with writing(bare) as connection:
        schema.upgrade(connection)
    return bare


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    """A tiny day, converted."""
    found = Market(tmp_path_factory.mktemp("market"))
    found.trades(
        [
            (43_201, "buy", "64000.3", "4"),
            (43_202, "sell", "64000.0", "2"),
            (43_203, "sell", "63999.9", "3.5"),
            (43_265, "buy", "64000.1", "0.7"),
            (43_330, "sell", "63999.7", "0.7"),
        ]
    )
    return found


@pytest.fixture(scope="session")
def sample(market: Market) -> Path:
    """A real result's summary file."""
    return market.run(mode="fast").result.fast_path
