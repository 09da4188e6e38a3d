"""Registries on both databases, and stored results to fill them with."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

# The helper lives with the tests that use it most.
sys.path.append(str(Path(__file__).parents[1] / "backtest"))

from postgresserver import server
from tinydays import Market

from odum_assets.registry import schema
from odum_assets.registry.database import create_engine, registry_url, writing
from odum_assets.settings import Settings


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    with server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """Settings with an empty results folder and an empty database."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    results = tmp_path / "results"
    if request.param == "sqlite":
        return Settings(results_path=results)
    url = request.getfixturevalue("postgresql")
    settings = Settings(results_path=results, database_url=url)
    engine = create_engine(registry_url(settings))
    with engine.begin() as connection:
        connection.execute(sa.text("DROP SCHEMA IF EXISTS odum CASCADE"))
    engine.dispose()
    return settings


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
