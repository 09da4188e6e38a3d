"""Opening the registry's database: which one, and how connections behave.

SQLite beside the results unless ``DATABASE_URL`` names another one. On PostgreSQL the tables lie in
a schema of their own, ``odum``: other programs that share the database (Dagster has a table
``runs``, too) are not touched.
"""

import json
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, StatementError

from odum_assets.errors import OdumError
from odum_assets.results.store import ResultStore
from odum_assets.settings import Settings

SCHEMA = "odum"
SQLITE_NAME = "registry.sqlite"
_WRITES = "odum_writes"
TIMEOUT_SECS = 60.0
"""How long a writer waits for another one."""

_CONNECT_SECS = 10
_POOL: Final[dict[str, Any]] = {"pool_size": 16, "max_overflow": 0}
"""Connections are opened when needed, and kept: opening one takes longer than a query."""

_LOCK_KEY = 0x6F64756D
_DAMAGE_CODES: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_TO_JSON: Final = partial(json.dumps, allow_nan=False)
"""A number that JSON does not have would make the row unreadable for everybody else."""

_OPTIONS: Final[dict[str, Any]] = {"json_serializer": _TO_JSON, **_POOL}


class RegistryError(OdumError):
    """Report a registry that cannot be reached, or not be used as it is."""


class DamagedRegistryError(RegistryError):
    """Report a registry whose database file is damaged.

    Parameters
    ----------
    address : str
        Where it is.
    reason : str
        What the database says.
    """

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(
            f"registry {address}: the database file is damaged ({reason}). Run: odum registry "
            "rebuild, which renames it and builds a new one from the result files"
        )
        self.reason = reason


def registry_url(settings: Settings) -> sa.URL:
    """Return where the registry is.

    Raises
    ------
    RegistryError
        If ``DATABASE_URL`` is none that can be used.
    """
    if settings.database_url is None:
        return sa.URL.create("sqlite", database=str(settings.results_path / SQLITE_NAME))
    allowed = "allowed postgresql://user:password@host/name, or sqlite:////absolute/path"
    try:
        url = make_url(settings.database_url.get_secret_value())
    except (ArgumentError, ValueError):
        # The text may hold a password: it is not repeated.
        raise RegistryError(f"DATABASE_URL: not the URL of a database; {allowed}") from None
    if re.fullmatch(r"postgres(ql)?(\+(psycopg2?|asyncpg))?", url.drivername):
        return url.set(drivername="postgresql+psycopg")
    if url.drivername == "sqlite" and url.database not in (None, "", ":memory:"):
        return url
    raise RegistryError(f"DATABASE_URL: {url.drivername}:// cannot be used; {allowed}")


def display_url(url: sa.URL) -> str:
    """Return a URL as it may be printed: without its password, wherever that stands."""
    if url.drivername == "sqlite":
        return str(url.database)
    hidden = {name: "***" for name in url.query if "password" in name.lower()}
    return url.set(drivername="postgresql").update_query_dict(hidden).render_as_string()


def registry_exists(settings: Settings) -> bool:
    """Return whether there is a registry's file; of a server it is taken for granted."""
    url = registry_url(settings)
    return url.drivername != "sqlite" or Path(str(url.database)).is_file()


def result_store(settings: Settings) -> ResultStore:
    """Return the results beside a registry, of which no file is ever taken for one of a result."""
    url = registry_url(settings)
    databases = (Path(str(url.database)),) if url.drivername == "sqlite" else ()
    return ResultStore(settings.results_path, databases)


def create_engine(url: sa.URL, timeout_secs: float = TIMEOUT_SECS) -> sa.Engine:
    """Return an engine for a registry; nothing is connected yet.

    Parameters
    ----------
    url : sa.URL
        From `registry_url`.
    timeout_secs : float
        How long to wait for a lock that another process holds.
    """
    if url.drivername == "sqlite":
        engine = sa.create_engine(url, connect_args={"timeout": timeout_secs}, **_OPTIONS)
        sa.event.listen(engine, "connect", partial(_prepare_sqlite, timeout_secs))
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine
    # The driver takes whole seconds, two at least.
    connect_secs = max(2, min(_CONNECT_SECS, round(timeout_secs)))
    options = {"connect_timeout": connect_secs, "application_name": "odum"}
    engine = sa.create_engine(url, pool_pre_ping=True, connect_args=options, **_OPTIONS)
    sa.event.listen(engine, "connect", partial(_prepare_postgresql, round(timeout_secs * 1000)))
    return engine


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Open a transaction for reading, in which everything is of one moment.

    Raises
    ------
    RegistryError
        If the database cannot be reached or read.
    """
    with _explained(engine), engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        yield connection


@contextmanager
def writing(engine: sa.Engine, *, alone: bool = True) -> Iterator[sa.Connection]:
    """Open a transaction for writing.

    Parameters
    ----------
    engine : sa.Engine
        The registry.
    alone : bool
        Whether other writers wait until this one is done. SQLite has one writer at a time anyway;
        a statement that changes one row need not wait on PostgreSQL.

    Raises
    ------
    RegistryError
        If the database cannot be reached or written; nothing of the transaction is left.
    """
    marked = engine.execution_options(**{_WRITES: True})
    with _explained(engine), marked.begin() as connection:
        if alone and engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK_KEY)))
        yield connection


@contextmanager
def _explained(engine: sa.Engine) -> Iterator[None]:
    driver: Any = engine.dialect.loaded_dbapi
    try:
        yield
    except (DBAPIError, driver.Error) as error:
        # Errors of _prepare_sqlite, such as a damaged file, and of COPY come as they are.
        reason = reason_of(error).rstrip(".?")
        code = getattr(_original(error), "sqlite_errorcode", None)
        if code is not None and code & 0xFF in _DAMAGE_CODES:
            raise DamagedRegistryError(display_url(engine.url), reason) from error
        raise RegistryError(
            f"registry {display_url(engine.url)}: {reason}. Check that the database is there and "
            "may be written, and that it is up to date (odum registry upgrade)"
        ) from error


def reason_of(error: BaseException) -> str:
    """Return what a database or its driver says, on one line."""
    return " ".join(str(_original(error)).split())[:500]


def is_of_database(error: BaseException) -> bool:
    """Return whether an error is the database's own, and not about the values that were written."""
    original = _original(error)
    kinds = {kind.__name__ for kind in type(original).__mro__}
    if not kinds & {"Error", "DatabaseError"} or kinds & {"IntegrityError", "DataError"}:
        return False
    # PostgreSQL's class 54: a value that is too large or too deeply nested.
    return not str(getattr(original, "sqlstate", None) or "").startswith("54")


def _original(error: BaseException) -> BaseException:
    original = error.orig if isinstance(error, StatementError) else error
    return error if original is None else original


def _prepare_sqlite(timeout_secs: float, connection: Any, _: object) -> None:  # noqa: ANN401 - DB-API
    # Transactions are begun by _begin_sqlite; Python's own would not cover changes of the schema.
    connection.isolation_level = None
    _use_write_ahead_log(connection, timeout_secs)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA cache_size = -65536")


def _use_write_ahead_log(connection: sqlite3.Connection, timeout_secs: float) -> None:
    # SQLite does not wait for the lock that this takes: of several processes that open a new file
    # at the same time, all but one would fail at once.
    deadline = time.monotonic() + timeout_secs
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _begin_sqlite(connection: sa.Connection) -> None:
    # A reader that turns writer would fail at once when another one wrote meanwhile.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _prepare_postgresql(timeout_ms: int, connection: Any, _: object) -> None:  # noqa: ANN401
    connection.autocommit = True
    connection.execute(f"SET search_path TO {SCHEMA}")
    connection.execute("SET TIME ZONE 'UTC'")
    connection.execute(f"SET lock_timeout TO {timeout_ms}")
    connection.autocommit = False
