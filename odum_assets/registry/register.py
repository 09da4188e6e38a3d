"""Bringing runs into the registry: one when it ends, or rebuild all of them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, StatementError

from odum_assets.registry import schema
from odum_assets.registry.bulk import insert, load
from odum_assets.registry.created import restore
from odum_assets.registry.database import (
    TIMEOUT_SECS,
    RegistryError,
    create_engine,
    display_url,
    is_of_database,
    reading,
    reason_of,
    registry_url,
    result_store,
    writing,
)
from odum_assets.registry.fitting import require_fits
from odum_assets.registry.models import ARTIFACTS, DATASETS, EVENTS, IS_PENDING, RUNS, STRATEGIES
from odum_assets.registry.records import Record, Row, record_of, run_ids
from odum_assets.results.deletion import marked_deleted, remove_marked
from odum_assets.results.store import ResultError, ResultStore
from odum_assets.settings import Settings
from odum_assets.storage.locks import hold_lock

_BATCH = 2_000

_TABLES = [table.name for table in (DATASETS, STRATEGIES, RUNS, ARTIFACTS, EVENTS)]


@dataclass(slots=True)
class RebuildReport:
    """What a rebuild came to.

    Parameters
    ----------
    runs : int
        Runs that were registered from their files.
    pending : int
        Active runs that were taken over.
    problems : list of str
        Files that could not be read, each with the reason.
    set_aside : Path or None
        What a damaged database file is called now.
    notes : list of str
        What else there is to know.
    """

    runs: int = 0
    pending: int = 0
    problems: list[str] = field(default_factory=list)
    set_aside: Path | None = None
    notes: list[str] = field(default_factory=list)


def open_registry(settings: Settings, timeout_secs: float = TIMEOUT_SECS) -> sa.Engine:
    """Return the engine of a registry that is ready for use; dispose of it at the end.

    The SQLite file needs no setting up: it is made, filled from the result files and upgraded where
    that is needed. A PostgreSQL database is upgraded by ``odum registry upgrade`` only.

    Parameters
    ----------
    settings : Settings
        Paths of results and registry.
    timeout_secs : float
        How long to wait for a lock that another process holds.

    Raises
    ------
    RegistryError
        If the database cannot be reached, or is not at the version of this program.
    """
    url = registry_url(settings)
    is_file = url.drivername == "sqlite"
    if is_file:
        settings.results_path.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, timeout_secs)
    try:
        with reading(engine) as connection:
            version = schema.current_version(connection)
        if version == schema.VERSION:
            _finish_deletions(engine, result_store(settings))
            return engine
        if not is_file:
            raise RegistryError(
                f"registry {display_url(url)}: the tables are at version {version or 'none'}, this "
                f"program needs {schema.VERSION}; run: odum registry upgrade"
            )
        upgrade_registry(engine, result_store(settings))
    except BaseException:
        engine.dispose()
        raise
    return engine


def upgrade_registry(
    engine: sa.Engine,
    store: ResultStore,
    pending: Sequence[Row] = (),
    progress: Callable[[int], None] | None = None,
) -> RebuildReport | None:
    """Bring the tables up to this program's version, and fill new ones from the result files.

    Parameters
    ----------
    engine : sa.Engine
        The registry.
    store : ResultStore
        The result files.
    pending : sequence of dict
        Rows of active runs, for new tables.
    progress : callable, optional
        Called with the number of runs that were read.

    Returns
    -------
    RebuildReport or None
        What filling came to; None when the tables were there.

    Raises
    ------
    RegistryError
        If the database has a version that this program does not know.
    """
    with writing(engine) as connection:
        # Another process may have done it while this one waited.
        version = schema.current_version(connection)
        if not schema.is_known(version):
            raise RegistryError(
                f"registry {display_url(engine.url)}: version {version} is newer than this "
                "program; use that version, or another DATABASE_URL"
            )
        schema.upgrade(connection)
        filled = None
        if version is None:
            filled = _fill(connection, store, progress, pending)
    if filled is not None:
        _tidy(engine)
    return filled


def _finish_deletions(engine: sa.Engine, store: ResultStore) -> None:
    """Remove what is left of runs whose deletion was interrupted."""
    if not marked_deleted(store):
        return
    with hold_lock(store.publish_lock):
        for run_id in marked_deleted(store):
            remove_row(engine, run_id)
            remove_marked(store, run_id)


def remove_row(engine: sa.Engine, run_id: str) -> None:
    """Remove the row of a run and what belongs to it; one that is not there is none to remove."""
    with writing(engine) as connection:
        key = sa.select(RUNS.c.id).where(RUNS.c.run_id == run_id).scalar_subquery()
        for table in (ARTIFACTS, EVENTS):
            connection.execute(table.delete().where(table.c.run_id == key))
        connection.execute(RUNS.delete().where(RUNS.c.run_id == run_id))


@contextmanager
def opened(settings: Settings, timeout_secs: float = TIMEOUT_SECS) -> Iterator[sa.Engine]:
    """Open a registry and dispose of its connections at the end."""
    engine = open_registry(settings, timeout_secs)
    try:
        yield engine
    finally:
        engine.dispose()


def register_run(settings: Settings, run_id: str) -> None:
    """Register a stored run or a failed one; again is as good as once.

    Parameters
    ----------
    settings : Settings
        Paths of results and registry.
    run_id : str
        The run.

    Raises
    ------
    ResultError
        If its file is not there, cannot be read, or says what the registry cannot hold.
    RegistryError
        If the registry cannot be written; it is as before.
    """
    store = result_store(settings)
    with opened(settings) as engine, writing(engine) as connection:
        # Read with the lock held: whoever writes last has read last.
        register_record(connection, record_of(store, run_id))
        if store.fast_path(run_id).is_file():
            # Dagster may have given a run up that went on all the same.
            store.discard(store.failed_path(run_id))


def rebuild(
    engine: sa.Engine, store: ResultStore, progress: Callable[[int], None] | None = None
) -> RebuildReport:
    """Rebuild the whole registry from the result files; readers see the old one until the end.

    Active runs have no file: their rows (queued, running) are taken over as they are, unless a
    file says by now how the run ended. Every other row goes, and comes back only from its file. A
    run that is registered meanwhile waits until the end.

    Parameters
    ----------
    engine : sa.Engine
        An open registry.
    store : ResultStore
        The result files.
    progress : callable, optional
        Called with the number of runs that were read.
    """
    with writing(engine) as connection:
        pending = pending_rows(connection)
        for table in (EVENTS, ARTIFACTS, RUNS, STRATEGIES, DATASETS):
            connection.execute(table.delete())
        done = _fill(connection, store, progress, pending)
    _tidy(engine)
    return done


def register_record(connection: sa.Connection, record: Record) -> None:
    """Write the rows of a run that ended, in place of those that it had.

    Raises
    ------
    ResultError
        If its file says what the registry cannot hold; the transaction goes on as without it.
    """
    require_fits(record)
    with _refusing(connection, record):
        _write_record(connection, record)


def pending_rows(connection: sa.Connection) -> list[Row]:
    """Return the rows of active runs, in order of their keys."""
    under_way = sa.select(RUNS).where(IS_PENDING).order_by(RUNS.c.id)
    return [dict(row) for row in connection.execute(under_way).mappings()]


@contextmanager
def _refusing(connection: sa.Connection, record: Record) -> Iterator[None]:
    """Blame the file of a record for what the database refuses of its rows.

    Raises
    ------
    ResultError
        If the database refuses them; nothing of them is left.
    """
    try:
        with connection.begin_nested():
            yield
    except _refusals(connection) as error:
        if is_of_database(error):
            raise
        raise ResultError(
            f"{record.path}: the registry cannot store its values ({reason_of(error)}); move it "
            "away or run the backtest again"
        ) from error


def _refusals(connection: sa.Connection) -> tuple[type[Exception], ...]:
    """Return the errors by which values are refused, by SQLAlchemy or by the driver itself."""
    driver: Any = connection.dialect.loaded_dbapi
    return (StatementError, driver.Error, ValueError, OverflowError)


def _write_record(connection: sa.Connection, record: Record) -> None:
    dataset_id = strategy_id = None
    if record.dataset is not None:
        dataset_id = _upsert_parent(connection, DATASETS, record.dataset, ["content_hash"])
    if record.strategy is not None:
        identity = ["name", "version", "params_hash"]
        strategy_id = _upsert_parent(connection, STRATEGIES, record.strategy, identity)
    row = {**record.run, "dataset_id": dataset_id, "strategy_id": strategy_id}
    statement = insert(connection)(RUNS).values(row)
    changes = {name: statement.excluded[name] for name in row if name != "run_id"}
    upsert = statement.on_conflict_do_update(index_elements=["run_id"], set_=changes)
    key = connection.execute(upsert.returning(RUNS.c.id)).scalar_one()
    for table, rows in ((ARTIFACTS, record.artifacts), (EVENTS, record.events)):
        connection.execute(table.delete().where(table.c.run_id == key))
        load(connection, table, [{"run_id": key, **row} for row in rows])


def _upsert_parent(
    connection: sa.Connection, table: sa.Table, row: Row, identity: list[str]
) -> int:
    """Insert a dataset or strategy unless it is there, and return its key.

    It came to be with the first run that used it, in whatever order runs are registered.
    """
    statement = insert(connection)(table).values(row)
    created = statement.excluded.created_at
    is_earlier = created < table.c.created_at
    changes = {"created_at": sa.case((is_earlier, created), else_=table.c.created_at)}
    if "updated_at" in table.c:
        # As long as nobody has changed it.
        follows = sa.and_(is_earlier, table.c.updated_at == table.c.created_at)
        changes["updated_at"] = sa.case((follows, created), else_=table.c.updated_at)
    upsert = statement.on_conflict_do_update(index_elements=identity, set_=changes).returning(
        table.c.id
    )
    key: int = connection.execute(upsert).scalar_one()
    return key


class _Keys:
    """Keys of datasets or strategies by what identifies them, while everything is loaded."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], int] = {}
        self._new: dict[tuple[str, ...], Row] = {}
        self._last = 0

    def of(self, row: Row | None, *identity: str) -> int | None:
        """Return the key of a row, which is kept for loading when it is new."""
        if row is None:
            return None
        name = tuple(row[column] for column in identity)
        if name not in self._known:
            self._last += 1
            self._known[name] = self._last
            self._new[name] = {"id": self._last, **row}
        return self._known[name]

    def new(self) -> list[Row]:
        """Return the rows that were not loaded yet."""
        return list(self._new.values())

    def finish(self, *, loaded: bool) -> None:
        """Take the new rows as loaded, or forget them."""
        if not loaded:
            for name in self._new:
                del self._known[name]
        self._new.clear()


class _Loader:
    """Load records into empty tables, many at a time; one that is refused is named alone."""

    def __init__(self, connection: sa.Connection, done: RebuildReport) -> None:
        self._connection = connection
        self._done = done
        self._datasets = _Keys()
        self._strategies = _Keys()
        self._last = 0
        self.loaded: set[str] = set()

    def load(self, records: Sequence[Record]) -> None:
        """Load records; where the database refuses some, halve them until it is clear which."""
        if not records:
            return
        try:
            with self._connection.begin_nested():
                self._insert(records)
        except _refusals(self._connection) as error:
            self._settle(loaded=False)
            if is_of_database(error):
                raise
            if len(records) > 1:
                middle = len(records) // 2
                self.load(records[:middle])
                self.load(records[middle:])
                return
            self._done.problems.append(
                f"{records[0].path}: the registry cannot store its values ({reason_of(error)}); "
                "move it away or run the backtest again"
            )
        else:
            self._settle(loaded=True)
            self._done.runs += len(records)
            for record in records:
                self._done.problems += record.problems
                self.loaded.add(record.run["run_id"])

    def next_key(self) -> int:
        """Return a key that no run has."""
        self._last += 1
        return self._last

    def _insert(self, records: Sequence[Record]) -> None:
        runs, artifacts, events = [], [], []
        for record in records:
            key = self.next_key()
            dataset = self._datasets.of(record.dataset, "content_hash")
            strategy = self._strategies.of(record.strategy, "name", "version", "params_hash")
            runs.append({"id": key, **record.run, "dataset_id": dataset, "strategy_id": strategy})
            artifacts += [{"run_id": key, **artifact} for artifact in record.artifacts]
            events += [{"run_id": key, **event} for event in record.events]
        load(self._connection, DATASETS, self._datasets.new())
        load(self._connection, STRATEGIES, self._strategies.new())
        for table, rows in ((RUNS, runs), (ARTIFACTS, artifacts), (EVENTS, events)):
            load(self._connection, table, rows)

    def _settle(self, *, loaded: bool) -> None:
        self._datasets.finish(loaded=loaded)
        self._strategies.finish(loaded=loaded)


def _fill(
    connection: sa.Connection,
    store: ResultStore,
    progress: Callable[[int], None] | None,
    pending: Sequence[Row],
) -> RebuildReport:
    """Load everything into empty tables, a batch of runs at a time, and the active runs last."""
    done = RebuildReport()
    loader = _Loader(connection, done)
    records: list[Record] = []
    names = dict.fromkeys(run_ids(store, done.problems))
    for number, run_id in enumerate(names, 1):
        try:
            record = record_of(store, run_id)
            require_fits(record)
            records.append(record)
        except ResultError as error:
            done.problems.append(str(error))
        if len(records) >= _BATCH or number == len(names):
            loader.load(records)
            records.clear()
            if progress is not None:
                progress(done.runs)
    kept = [row for row in pending if row["run_id"] not in loader.loaded]
    load(connection, RUNS, [{**row, "id": loader.next_key()} for row in kept])
    done.pending = len(kept)
    _settle(connection)
    done.problems += restore(connection, store)
    return done


def _settle(connection: sa.Connection) -> None:
    """Set what follows from all runs: first uses, the next keys, and the planner's statistics."""
    for table, column in ((DATASETS, RUNS.c.dataset_id), (STRATEGIES, RUNS.c.strategy_id)):
        first = sa.select(sa.func.min(RUNS.c.executed_at)).where(column == table.c.id)
        changes = {"created_at": first.scalar_subquery()}
        if "updated_at" in table.c:
            changes["updated_at"] = first.scalar_subquery()
        connection.execute(table.update().values(changes))
    if connection.dialect.name == "postgresql":
        for table in (DATASETS, STRATEGIES, RUNS):
            connection.execute(
                sa.text(
                    f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), "  # noqa: S608
                    f"coalesce(max(id), 0) + 1, false) FROM {table.name}"
                )
            )
    for name in _TABLES:
        connection.exec_driver_sql(f"ANALYZE {name}")


def _tidy(engine: sa.Engine) -> None:
    """Let PostgreSQL know at once which rows all readers see: counts and deep pages need that."""
    if engine.dialect.name == "postgresql":
        alone = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        # The rows are there already; without this it is done by the server a little later.
        with suppress(DBAPIError), alone as connection:
            connection.exec_driver_sql(f"VACUUM (ANALYZE) {', '.join(_TABLES)}")
