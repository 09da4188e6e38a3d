"""The registry, as the service reads it: opened at the first question, and kept open.

Answers are kept until the registry changes: SQLite counts changes, and PostgreSQL says which
transactions a question sees.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from odum_assets.api.cache import Cache
from odum_assets.api.problems import ProblemError
from odum_assets.registry import queries
from odum_assets.registry.database import RegistryError, reading, registry_url
from odum_assets.registry.records import Row
from odum_assets.registry.register import open_registry
from odum_assets.registry.types import RunStatus
from odum_assets.results.references import LAST, AmbiguousRunError, match_run_id
from odum_assets.results.run_id import is_run_id
from odum_assets.settings import Settings

_SNAPSHOT = sa.text("SELECT pg_current_snapshot()::text")
_WITH_RESULT = queries.RunFilter(status=RunStatus.SUCCEEDED)
_TIMEOUT_S = 5.0
"""How long to wait for a database that does not answer; a thread waits."""

_RETRY_S = 2.0


class RunRegistry:
    """Read the registry.

    Parameters
    ----------
    settings : Settings
        Where it is.
    cache : Cache
        Keeps answers.
    """

    def __init__(self, settings: Settings, cache: Cache) -> None:
        self._settings = settings
        self._cache = cache
        self._lock = threading.Lock()
        self._engine: sa.Engine | None = None
        self._file: int | None = None
        self._watch: sa.PoolProxiedConnection | None = None
        self._failed: tuple[float, str] | None = None
        self._opens = 0

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Open a transaction for reading.

        Raises
        ------
        RegistryError
            If the database cannot be reached or read.
        """
        with reading(self._opened()) as connection:
            yield connection

    def answer[T](self, key: Hashable, ask: Callable[[sa.Connection], T]) -> T:
        """Return the answer to a question, the one that was given before if nothing has changed.

        Parameters
        ----------
        key : hashable
            Names the question.
        ask : callable
            Asks it; must depend on the key and the registry only.
        """
        if self._opened().dialect.name == "sqlite":

            def make() -> T:
                with self.reading() as connection:
                    return ask(connection)

            return self._cache.get(key, self._version(), make)
        with self.reading() as connection:
            return self._cache.get(key, connection.scalar(_SNAPSHOT), lambda: ask(connection))

    def run(self, run_id: str) -> Row:
        """Return a run, by its id or its id in Dagster, which may have several: the first.

        What `name_of` takes is as good.

        Raises
        ------
        ProblemError
            If there is none.
        """

        def ask(connection: sa.Connection) -> Row | None:
            row = queries.get_run(connection, run_id)
            if row is None:
                of_dagster = queries.get_runs_of_dagster(connection, run_id)
                row = queries.get_run(connection, of_dagster[0]["run_id"]) if of_dagster else None
            return row

        row = self.answer(("run", run_id), ask)
        if row is None and (name := self.name_of(run_id)) != run_id:
            return self.run(name)
        if row is None:
            raise ProblemError(
                404, "unknown-run", f"there is no run {run_id[:80]}; see GET /api/v1/runs"
            )
        return row

    def name_of(self, text: str) -> str:
        """Return the id of the run that a part of it means, or ``last``; else the text itself.

        Raises
        ------
        ProblemError
            If several runs fit; the message names them.
        """

        def ask(connection: sa.Connection) -> str:
            if text == LAST:
                newest = queries.list_runs(connection, _WITH_RESULT, limit=1).rows
                return str(newest[0]["run_id"]) if newest else text
            return match_run_id(text, queries.find_run_ids(connection, text))

        if is_run_id(text):
            return text
        try:
            return self.answer(("reference", text), ask)
        except AmbiguousRunError as error:
            raise ProblemError(409, "ambiguous-run", str(error)) from None

    def run_ids(self, dagster_run_ids: Sequence[str]) -> dict[str, str]:
        """Return the run ids of Dagster runs by their ids, of those that are known."""
        try:
            with self.reading() as connection:
                return queries.get_run_ids(connection, dagster_run_ids)
        except RegistryError:
            # Dagster may know more than a registry that cannot be read.
            return {}

    def close(self) -> None:
        """Close what is open."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._watch is not None:
            self._watch.close()
        if self._engine is not None:
            self._engine.dispose()
        self._engine = self._watch = None

    def _opened(self) -> sa.Engine:
        with self._lock:
            if self._engine is not None and self._file == self._identity():
                return self._engine
            # A file that was removed or replaced tells nothing new.
            self._close()
            self._opens += 1
            self._engine = self._open()
            if self._engine.dialect.name == "sqlite":
                self._watch = self._engine.raw_connection()
            self._file = self._identity()
            return self._engine

    def _open(self) -> sa.Engine:
        """Open the registry; who asks soon after a failure gets the same one, without waiting."""
        if self._failed is not None and time.monotonic() < self._failed[0]:
            raise RegistryError(self._failed[1])
        try:
            return open_registry(self._settings, _TIMEOUT_S)
        except RegistryError as error:
            self._failed = time.monotonic() + _RETRY_S, str(error)
            raise

    def _version(self) -> Hashable:
        """Return what changes when others write to SQLite."""
        with self._lock:
            if self._watch is None:
                return object()
            cursor = self._watch.cursor()
            try:
                cursor.execute("PRAGMA data_version")
                return self._opens, (cursor.fetchone() or (0,))[0]
            except sqlite3.Error:
                # What is wrong with the file, the question itself will say.
                return object()
            finally:
                cursor.close()

    def _identity(self) -> int | None:
        """Return which file a SQLite registry is."""
        url = registry_url(self._settings)
        try:
            return Path(url.database or "").stat().st_ino if url.drivername == "sqlite" else None
        except FileNotFoundError:
            return None
