"""The registry, as the service reads it: opened at the first question, and kept open."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from odum_assets.api.files import stamp_of
from odum_assets.api.problems import ProblemError
from odum_assets.registry import queries
from odum_assets.registry.database import reading, registry_url
from odum_assets.registry.records import Row
from odum_assets.registry.register import open_registry
from odum_assets.settings import Settings


class Registered:
    """Read the registry.

    Parameters
    ----------
    settings : Settings
        Where it lies.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._engine: sa.Engine | None = None
        self._file: int | None = None

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

    def run(self, run_id: str) -> Row:
        """Return a run, by its id or its id in Dagster; the newest where Dagster's has several.

        Raises
        ------
        ProblemError
            If there is none.
        """
        with self.reading() as connection:
            found = queries.get_run(connection, run_id)
            if found is None:
                of_dagster = queries.get_runs_of_dagster(connection, run_id)
                found = queries.get_run(connection, of_dagster[0]["run_id"]) if of_dagster else None
        if found is None:
            raise ProblemError(
                404, "unknown-run", f"there is no run {run_id[:80]}; see GET /api/v1/runs"
            )
        return found

    def close(self) -> None:
        """Close what is open."""
        with self._lock:
            if self._engine is not None:
                self._engine.dispose()
            self._engine = None

    def _opened(self) -> sa.Engine:
        with self._lock:
            if self._engine is not None and self._file == self._identity():
                return self._engine
            if self._engine is not None:
                # The file was removed or replaced: nothing would be seen in the old one.
                self._engine.dispose()
            self._engine = None
            self._engine = open_registry(self._settings)
            self._file = self._identity()
            return self._engine

    def _identity(self) -> int | None:
        """Return which file a SQLite registry is."""
        url = registry_url(self._settings)
        if url.drivername != "sqlite" or url.database is None:
            return None
        try:
            return stamp_of(Path(url.database))[2]
        except FileNotFoundError:
            return -1
