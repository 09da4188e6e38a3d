"""The version of the tables: new tables, and tables of an earlier version brought up to this one.

Migrations follow from the models: what differs is found and changed in place, so that no row is
lost, whether a file says the same or not. Only what happens to the values of a version's rows is
written down here. Alembic finds the differences; it is loaded for that alone.
"""

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from odum_assets.registry.database import SCHEMA
from odum_assets.registry.models import METADATA

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext

VERSION: Final = "0004"
"""The version that this program needs."""

VERSION_TABLE: Final = "registry_version"
_VERSIONS: Final = sa.Table(
    VERSION_TABLE, sa.MetaData(), sa.Column("version_num", sa.String(32), primary_key=True)
)

_CREATED: Final = "UPDATE strategies SET updated_at = created_at"

_VALUES: Final[dict[str, tuple[str, ...]]] = {
    # Drawdowns in money become zero or negative, the profit net of commissions and funding: only
    # where it is another figure, for sums of floats differ from the one that the file has.
    "0001": (
        "UPDATE runs SET figures_version = 1 WHERE status = 'succeeded'",
        "UPDATE runs SET drawdown_amount = 0 - drawdown_amount",
        "UPDATE runs SET pnl = realized - commissions + funding "
        "WHERE abs(pnl - (realized - commissions + funding)) > 0.000000005",
        _CREATED,
    ),
    "0002": (_CREATED,),
    "0003": (_CREATED,),
}
"""What is done to the rows of each earlier version, once the tables are those of today."""


def is_known(version: str | None) -> bool:
    """Return whether this program knows a version, or there is none yet."""
    return version in (None, VERSION, *_VALUES)


def current_version(connection: sa.Connection) -> str | None:
    """Return the version of a database, None for one without a registry."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(sa.select(_VERSIONS.c.version_num)).scalar_one_or_none()


def upgrade(connection: sa.Connection) -> None:
    """Bring a database up to this version, in the open transaction: whole or not at all.

    Parameters
    ----------
    connection : sa.Connection
        With an open transaction; its version must be known.
    """
    version = current_version(connection)
    if version == VERSION:
        return
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
    _VERSIONS.create(connection, checkfirst=True)
    if version is None:
        # Tables of these names that are there already are somebody else's: an error.
        METADATA.create_all(connection, checkfirst=False)
        connection.execute(_VERSIONS.insert().values(version_num=VERSION))
        return
    _adapt_tables(connection)
    for statement in _VALUES[version]:
        connection.execute(sa.text(statement))
    connection.execute(_VERSIONS.update().values(version_num=VERSION))


def differences(connection: sa.Connection) -> list[str]:
    """Return how the tables of a database differ from the models; none: not at all."""
    from alembic.autogenerate import compare_metadata

    return [str(difference) for difference in compare_metadata(_context(connection), METADATA)]


def _adapt_tables(connection: sa.Connection) -> None:
    """Add and remove columns and indexes until the tables are those of the models."""
    from alembic.autogenerate import produce_migrations
    from alembic.operations import Operations

    context = _context(connection)
    operations = Operations(context)
    changes: list[Any] = [produce_migrations(context, METADATA).upgrade_ops]
    while changes:
        change = changes.pop(0)
        if hasattr(change, "ops"):
            changes = [*change.ops, *changes]
        else:
            operations.invoke(change)


def _context(connection: sa.Connection) -> "MigrationContext":
    from alembic.runtime.migration import MigrationContext

    dialect = connection.dialect.name

    def is_ours(item: Any, _name: str, kind: str, reflected: bool, _to: object) -> bool:  # noqa: ANN401
        if kind == "table" and reflected:
            return item.name in METADATA.tables
        return bool(getattr(item, "info", {}).get("dialect", dialect) == dialect)

    options = {"version_table": VERSION_TABLE, "include_object": is_ours}
    return MigrationContext.configure(connection, opts=options)
