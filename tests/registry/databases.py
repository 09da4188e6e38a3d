"""The databases that the tests of the registry run on."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from odum_assets.registry.database import create_engine, registry_url
from odum_assets.settings import Settings

DATABASES = ("sqlite", "postgresql")


def empty(results: Path, url: str | None) -> Settings:
    """Return settings with an empty results folder and an empty database."""
    settings = Settings(results_path=results, database_url=url)
    if url is not None:
        engine = create_engine(registry_url(settings))
        with engine.begin() as connection:
            connection.execute(sa.text("DROP SCHEMA IF EXISTS odum CASCADE"))
        engine.dispose()
    return settings


def url_of(request: pytest.FixtureRequest) -> str | None:
    """Return the URL of the database that a fixture is asked for."""
    return request.getfixturevalue("postgresql") if request.param == "postgresql" else None
