"""Fewer repetitions in Dagster's SQLite storages, for processes whose runs are short.

Dagster makes an engine and a connection for every query, so that SQLAlchemy compiles every
statement each time and SQLite empties its write-ahead log, and migrates the file of every run from
nothing. All of it takes longer than the queries. Nothing changes in what is stored; where Dagster
is made differently, nothing is changed at all.
"""

import tempfile
from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import dagster as dg
import sqlalchemy as sa
from sqlalchemy.pool import QueuePool

_EVENTS: Final = "dagster._core.storage.event_log.sqlite.sqlite_event_log"
_RUNS: Final = "dagster._core.storage.runs.sqlite.sqlite_run_storage"


class _OpenConnections(QueuePool):
    """Connections that stay open when Dagster disposes of their engine, as it does every time."""

    def dispose(self) -> None:
        """Leave them open."""

    def recreate(self) -> "_OpenConnections":
        """Return this pool, which is as good as new."""
        return self

    def close_all(self) -> None:
        """Close them; the next query opens another one."""
        super().dispose()


_engines: Final[dict[str, sa.Engine]] = {}
# Statements are the same in every run's file. They are compiled once for each dialect.
_compiled: Final[dict[Any, Any]] = {}


def repeat_less(instance: dg.DagsterInstance) -> None:
    """Let this process keep one connection per SQLite file, and copy the file of a new run.

    Parameters
    ----------
    instance : dg.DagsterInstance
        Where runs are stored; nothing changes for one that is not in SQLite.
    """
    from alembic.script import ScriptDirectory

    ScriptDirectory.from_config = cache(ScriptDirectory.from_config)  # type: ignore[method-assign]
    for name in (_EVENTS, _RUNS):
        module = import_module(name)
        if hasattr(module, "create_engine"):
            create = partial(_engine_of_file, module.create_engine)
            module.create_engine = create  # type: ignore[attr-defined]
    storage, kind = instance.event_log_storage, import_module(_EVENTS).SqliteEventLogStorage
    if isinstance(storage, kind) and hasattr(kind, "_initdb"):
        kind._initdb = _copying(_empty_file(storage), kind._initdb)


def close_connections() -> None:
    """Close all connections: SQLite's must not be used in a process that is forked off this one."""
    for engine in _engines.values():
        if isinstance(engine.pool, _OpenConnections):
            engine.pool.close_all()


def _engine_of_file(create: Callable[..., sa.Engine], url: str, **options: Any) -> sa.Engine:  # noqa: ANN401 - as SQLAlchemy's
    if url not in _engines:
        engine = create(url, **options | {"poolclass": _OpenConnections})
        # A process that is killed loses nothing; a power failure may cost the last events.
        sa.event.listen(engine, "connect", _sync_at_checkpoints)
        for first in _engines.values():
            engine.dialect = first.dialect
            break
        _engines[url] = engine.execution_options(compiled_cache=_compiled)
    return _engines[url]


def _sync_at_checkpoints(connection: Any, _record: object) -> None:  # noqa: ANN401 - of the driver
    connection.execute("PRAGMA synchronous=NORMAL")


def _empty_file(storage: Any) -> bytes:  # noqa: ANN401 - Dagster's, with a private method
    """Return the content of the file of a run without events."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "empty.db"
        storage._initdb(sa.create_engine(f"sqlite:///{file}", poolclass=sa.NullPool))
        return file.read_bytes()


def _copying(empty: bytes, initialize: Callable[..., None]) -> Callable[..., None]:
    """Return what makes a file that does not exist, instead of migrating it from nothing."""

    def copy(storage: object, engine: sa.Engine, *, for_index_shard: bool = False) -> None:
        file = Path(str(engine.url.database))
        if for_index_shard or file.exists():
            initialize(storage, engine, for_index_shard)
            return
        # Renamed: it is never read in part.
        new = file.with_suffix(".new")
        new.write_bytes(empty)
        new.rename(file)

    return copy
