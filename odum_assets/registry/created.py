"""Datasets and strategies that were created before any run used them.

Each has a file beside the results, ``registry/datasets/<uuid>.json`` or
``registry/strategies/<uuid>.json``: the registry is rebuilt from files. A run that reads the same
partitions, or has the same strategy, refers to the same row.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from odum_assets.config.hashing import canonical_json
from odum_assets.registry.bulk import insert
from odum_assets.registry.database import writing
from odum_assets.registry.models import DATASETS, STRATEGIES
from odum_assets.registry.records import Row
from odum_assets.results.store import ResultStore
from odum_assets.storage.files import sync, write_synced

IDENTITY: Final = {DATASETS: ("content_hash",), STRATEGIES: ("name", "version", "params_hash")}
"""Columns by which two rows are the same."""

_MOMENTS: Final = ("start_date", "end_date", "created_at", "updated_at")
_CHANGED: Final = ("description", "updated_at")
"""What creating a row once more changes of it; a dataset's name, too."""


def uuid_of(table: sa.Table, row: Mapping[Any, Any]) -> uuid.UUID:
    """Return the UUID of a dataset or strategy, which a rebuild of the registry does not change."""
    text = canonical_json([row[name] for name in IDENTITY[table]])
    return uuid.uuid5(uuid.NAMESPACE_URL, f"odum:{table.name}:{text}")


def create(
    engine: sa.Engine, store: ResultStore, table: sa.Table, row: Row, given: Row
) -> tuple[int, bool]:
    """Store a dataset or strategy, and return its id and whether it is new.

    Parameters
    ----------
    engine : sa.Engine
        The registry.
    store : ResultStore
        The results beside it.
    table : sa.Table
        ``DATASETS`` or ``STRATEGIES``.
    row : dict
        All columns but the id.
    given : dict
        What its creator says of name and description: one that is there is changed to it.

    Raises
    ------
    RegistryError
        If the registry cannot be written.
    """
    with writing(engine) as connection:
        known = _find(connection, table, row)
        stored = {name: (known or row)[name] for name in _columns(table)} | given
        is_changed = known is not None and any(known[name] != given[name] for name in given)
        if is_changed and "updated_at" in row:
            stored["updated_at"] = row["updated_at"]
        _write(store, table, stored)
        return _upsert(connection, table, stored), known is None


def restore(connection: sa.Connection, store: ResultStore) -> list[str]:
    """Bring the rows of all files into the registry, and return what is wrong with files."""
    problems = []
    for table in IDENTITY:
        for path in store.listed(f"registry/{table.name}"):
            try:
                row = json.loads(path.read_text(encoding="utf-8"))
                row |= {name: datetime.fromisoformat(row[name]) for name in _MOMENTS if name in row}
                with connection.begin_nested():
                    _upsert(connection, table, {name: row[name] for name in _columns(table)})
            except (OSError, ValueError, LookupError, TypeError, sa.exc.StatementError) as error:
                problems.append(
                    f"{path}: not a row of {table.name} ({type(error).__name__}); move it away"
                )
    return problems


def _columns(table: sa.Table) -> Sequence[str]:
    return [column.name for column in table.c if column.name != "id"]


def _write(store: ResultStore, table: sa.Table, row: Row) -> None:
    folder = store.root / "registry" / table.name
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{uuid_of(table, row)}.json"
    text = json.dumps(row, default=_as_text, indent=2) + "\n"
    store.put(write_synced(path.with_name(f".{path.name}.{uuid.uuid4().hex}"), text), path)
    sync(folder)


def _as_text(value: Any) -> str:  # noqa: ANN401 - what JSON does not have
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _find(connection: sa.Connection, table: sa.Table, row: Row) -> Row | None:
    same = [table.c[name] == row[name] for name in IDENTITY[table]]
    match = connection.execute(sa.select(table).where(*same)).mappings().one_or_none()
    return None if match is None else dict(match)


def _upsert(connection: sa.Connection, table: sa.Table, row: Row) -> int:
    statement = insert(connection)(table).values(row)
    created = statement.excluded.created_at
    changes: dict[str, Any] = {
        name: statement.excluded[name] for name in _CHANGED if name in table.c
    }
    changes["created_at"] = sa.case(
        (created < table.c.created_at, created), else_=table.c.created_at
    )
    if table is DATASETS:
        changes["name"] = statement.excluded.name
    upsert = statement.on_conflict_do_update(
        index_elements=list(IDENTITY[table]), set_=changes
    ).returning(table.c.id)
    key: int = connection.execute(upsert).scalar_one()
    return key
