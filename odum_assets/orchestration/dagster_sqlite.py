"""Fewer repetitions in Dagster's SQLite storages, for processes whose runs are short.

Dagster makes an engine and a connection for every query, so that SQLAlchemy compiles every
statement each time and SQLite empties its write-ahead log. It reads its migrations for every file,
and migrates the file of every run from nothing. All of it takes longer than the queries. Nothing
changes in what is stored; where Dagster is made differently, nothing is changed at all.
"""

import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import dagster as dg
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.pool import QueuePool

_EVENTS: Final = "dagster._core.storage.event_log.sqlite.sqlite_event_log"
_RUNS: Final = "dagster._core.storage.runs.sqlite.sqlite_run_storage"

# The index, the runs, and the files of the last runs. A command may make thousands of runs.
_OPEN_FILES: Final = 8

_WRITTEN: Final = "odum_written"


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


_engines: Final[OrderedDict[str, sa.Engine]] = OrderedDict()
_engines_lock: Final = threading.Lock()
# Statements are the same in every run's file. They are compiled once for each dialect.
_compiled: Final[dict[Any, Any]] = {}
_scripts: Final[dict[str | None, ScriptDirectory]] = {}
_is_on = False


@contextmanager
def repeat_less() -> Iterator[None]:
    """Let this process keep connections to SQLite files, and copy the file of a new run.

    An instance is opened, used and closed within the context, which may be entered again in it. At
    its end the connections are closed.
    """
    global _is_on  # noqa: PLW0603 - Dagster's modules are there once, too
    if _is_on:
        yield
        return
    with ExitStack() as changes:
        read = partial(_scripts_of, ScriptDirectory.from_config)
        _change(changes, ScriptDirectory, "from_config", staticmethod(read))
        for name in (_EVENTS, _RUNS):
            module = import_module(name)
            if hasattr(module, "create_engine"):
                create = partial(_engine_of_file, module.create_engine)
                _change(changes, module, "create_engine", create)
        kind = import_module(_EVENTS).SqliteEventLogStorage
        if hasattr(kind, "_initdb"):
            _change(changes, kind, "_initdb", _copying(kind._initdb))
        _is_on = True
        try:
            yield
        finally:
            _is_on = False
            close_connections()
            _engines.clear()


def _change(changes: ExitStack, owner: Any, name: str, value: object) -> None:  # noqa: ANN401 - a module or a class
    """Set an attribute until the context ends."""
    before = vars(owner)[name]
    setattr(owner, name, value)
    changes.callback(setattr, owner, name, before)


def close_connections() -> None:
    """Close all connections: SQLite's must not be used in a process that is forked off this one."""
    for engine in _engines.values():
        _close(engine)


def prepare_empty_file(instance: dg.DagsterInstance) -> None:
    """Make what the file of a new run is copied from, for all processes forked off this one.

    Parameters
    ----------
    instance : dg.DagsterInstance
        Where runs are stored; nothing is made for one that is not in SQLite.
    """
    storage, kind = instance.event_log_storage, import_module(_EVENTS).SqliteEventLogStorage
    if isinstance(storage, kind) and hasattr(kind, "_initdb"):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "empty.db"
            storage._initdb(sa.create_engine(f"sqlite:///{file}", poolclass=sa.NullPool))


def _close(engine: sa.Engine) -> None:
    if isinstance(engine.pool, _OpenConnections):
        engine.pool.close_all()


def _scripts_of(read: Callable[[Config], ScriptDirectory], config: Config) -> ScriptDirectory:
    """Return the migrations of a folder, which all of Dagster's storages share."""
    location = config.get_main_option("script_location")
    if location not in _scripts:
        _scripts[location] = read(config)
    return _scripts[location]


def _engine_of_file(create: Callable[..., sa.Engine], url: str, **options: Any) -> sa.Engine:  # noqa: ANN401 - as SQLAlchemy's
    with _engines_lock:
        if url not in _engines:
            engine = create(url, **options | {"poolclass": _OpenConnections})
            # A process that is killed loses nothing; a power failure may cost the last events.
            sa.event.listen(engine, "connect", _sync_at_checkpoints)
            _touch_when_written(engine)
            for first in _engines.values():
                engine.dialect = first.dialect
                break
            _engines[url] = engine.execution_options(compiled_cache=_compiled)
        _engines.move_to_end(url)
        if len(_engines) > _OPEN_FILES:
            _close(_engines.popitem(last=False)[1])
        return _engines[url]


def _sync_at_checkpoints(connection: Any, _record: object) -> None:  # noqa: ANN401 - of the driver
    connection.execute("PRAGMA synchronous=NORMAL")


def _touch_when_written(engine: sa.Engine) -> None:
    """Set a file's modification time after each commit: the UI reads new events of a run then.

    While a connection stays open, they are in the write-ahead log beside it.
    """
    file = str(engine.url.database)

    # It is called before the commit, and who looks then would see nothing.
    def note(connection: sa.Connection) -> None:
        connection.info[_WRITTEN] = True

    def touch(_connection: object, record: sa.pool.ConnectionPoolEntry) -> None:
        if record.info.pop(_WRITTEN, False):
            with suppress(OSError):
                os.utime(file)

    sa.event.listen(engine, "commit", note)
    sa.event.listen(engine, "checkin", touch)


def _never_sync(connection: Any, _record: object) -> None:  # noqa: ANN401 - of the driver
    connection.execute("PRAGMA synchronous=OFF")


def _empty_file(storage: object, initialize: Callable[..., None]) -> bytes:
    """Return the content of the file of a run without events."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "empty.db"
        engine = sa.create_engine(f"sqlite:///{file}", poolclass=sa.NullPool)
        sa.event.listen(engine, "connect", _never_sync)
        initialize(storage, engine)
        return file.read_bytes()


def _copying(initialize: Callable[..., None]) -> Callable[..., None]:
    """Return what makes a file that does not exist, instead of migrating it from nothing."""
    empty: list[bytes] = []

    def copy(storage: object, engine: sa.Engine, *, for_index_shard: bool = False) -> None:
        file = Path(str(engine.url.database))
        if for_index_shard or file.exists():
            initialize(storage, engine, for_index_shard)
            return
        if not empty:
            empty.append(_empty_file(storage, initialize))
        # Processes may open one file at once, such as that of events without a run. A link appears
        # whole, and never takes the place of a file that another one already writes to.
        new = file.with_name(f"{file.name}.{uuid4().hex}.new")
        try:
            new.write_bytes(empty[0])
            file.hardlink_to(new)
        except OSError:
            # It is there now, or the file system has no hard links: as Dagster does it.
            initialize(storage, engine, for_index_shard)
        finally:
            new.unlink(missing_ok=True)

    return copy
