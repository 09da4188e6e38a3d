"""The schema's versions: upgrading, downgrading, and whether a database is what the models say."""

from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from odum_assets.registry.database import SCHEMA
from odum_assets.registry.models import Base

VERSION_TABLE = "registry_version"
BASE = "base"


@cache
def head_version() -> str:
    """Return the version that this program needs."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise AssertionError("the package has no migrations")
    return head


def is_known(version: str | None) -> bool:
    """Return whether this program knows a version, or there is none yet."""
    known = {each.revision for each in ScriptDirectory.from_config(_config()).walk_revisions()}
    return version is None or version in known


def current_version(connection: sa.Connection) -> str | None:
    """Return the version of a database, None for one without a registry."""
    return _context(connection).get_current_revision()


def upgrade(connection: sa.Connection, target: str = "head") -> None:
    """Bring a database up to a version, inside the transaction that is open: whole or not at all.

    Parameters
    ----------
    connection : sa.Connection
        With an open transaction.
    target : str, optional
        The version; the newest by default.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
    command.upgrade(_config(connection), target)


def downgrade(connection: sa.Connection, target: str = BASE) -> None:
    """Bring a database down to a version, inside the transaction that is open.

    Parameters
    ----------
    connection : sa.Connection
        With an open transaction.
    target : str, optional
        The version; by default none, so that no table of the registry is left.
    """
    command.downgrade(_config(connection), target)


def differences(connection: sa.Connection) -> list[str]:
    """Return how the tables of a database differ from the models; none: not at all."""
    return [str(each) for each in compare_metadata(_context(connection), Base.metadata)]


def _context(connection: sa.Connection) -> MigrationContext:
    dialect = connection.dialect.name

    def is_of_dialect(item: Any, *_: object) -> bool:  # noqa: ANN401 - any part of a schema
        return bool(getattr(item, "info", {}).get("dialect", dialect) == dialect)

    options = {"version_table": VERSION_TABLE, "include_object": is_of_dialect}
    return MigrationContext.configure(connection, opts=options)


def _config(connection: sa.Connection | None = None) -> Config:
    config = Config(attributes={"connection": connection, "version_table": VERSION_TABLE})
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config
