"""Active runs: queued, running, how far they are, and how they end when they cannot say it.

What belongs here: rows of runs that have no file yet, from the moment they are asked for. What does
not: runs that ended with a file (``register``), asking Dagster whether a run is still alive
(``orchestration``).

These rows are the only ones that no file says. They hold what was asked for, so that a run whose
process died can still be given the file that says so. Each function opens the registry by itself,
and is safe to call again and from several processes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

import sqlalchemy as sa

from odum_assets.backtest.request import RunRequest
from odum_assets.registry.bulk import insert
from odum_assets.registry.database import (
    TIMEOUT_SECS,
    reading,
    registry_exists,
    result_store,
    writing,
)
from odum_assets.registry.models import ARTIFACTS, EVENTS, IS_PENDING, RUNS
from odum_assets.registry.records import PHASE_LIMIT, Row, pending_row, record_of
from odum_assets.registry.register import opened, register_record
from odum_assets.registry.types import RunStatus
from odum_assets.results.failures import write_failure
from odum_assets.results.requested import request_record
from odum_assets.results.store import ResultError, ResultStore
from odum_assets.settings import Settings

type Ending = Literal[RunStatus.FAILED, RunStatus.CANCELED]

_PROGRESS_TIMEOUT_SECS = 0.25
_ERROR_TYPES = {RunStatus.FAILED: "RunFailed", RunStatus.CANCELED: "RunCanceled"}
_OWNER = "dagster_instance"
"""Key in the provenance of an active run: names of the Dagster instance that has it."""


@dataclass(frozen=True, slots=True)
class PendingRun:
    """An active run.

    Parameters
    ----------
    run_id : str
        Its id.
    status : RunStatus
        Queued or running.
    dagster_run_id : str or None
        The Dagster run that carries it out; None while that is not known.
    seen_at : datetime
        Last sign of life.
    owner : tuple[str, ...]
        Names of the Dagster instance that has the run; empty while none has said so. Several
        instances may share a registry, and only that one can say what became of the run.
    """

    run_id: str
    status: RunStatus
    dagster_run_id: str | None
    seen_at: datetime
    owner: tuple[str, ...] = ()


def register_queued(
    settings: Settings, request: RunRequest, run_id: str, dagster_run_id: str | None = None
) -> None:
    """Register a run that was asked for; a run that is there already keeps its status.

    Parameters
    ----------
    settings : Settings
        Paths of results and registry.
    request : RunRequest
        What was asked for; its days may be missing.
    run_id : str
        Its id, such as `odum_assets.results.run_id.run_id_of` makes. The Dagster run gets it as
        tag ``odum/run_id``.
    dagster_run_id : str, optional
        The Dagster run that will carry it out, where that is known; else `attach_dagster_run`.

    Raises
    ------
    RegistryError
        If the registry cannot be written; it is as before.
    """
    register_queued_runs(settings, [request_record(request, run_id, dagster_run_id)])


def register_queued_runs(settings: Settings, records: Sequence[Row]) -> None:
    """Register several runs like `register_queued`, all of them or none.

    Parameters
    ----------
    settings : Settings
        Paths of results and registry.
    records : sequence of dict
        From `odum_assets.results.failures.request_record`.

    Raises
    ------
    RegistryError
        If the registry cannot be written; it is as before.
    """
    now = datetime.now(UTC)
    with opened(settings) as engine, writing(engine) as connection:
        for record in records:
            row = pending_row(record, RunStatus.QUEUED, now)
            statement = insert(connection)(RUNS).values(row)
            known = sa.func.coalesce(RUNS.c.dagster_run_id, statement.excluded.dagster_run_id)
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["run_id"], set_={"dagster_run_id": known}, where=IS_PENDING
                )
            )


def attach_dagster_run(settings: Settings, run_id: str, dagster_run_id: str) -> bool:
    """Say which Dagster run carries a queued run out; return whether it was still to be said.

    Raises
    ------
    RegistryError
        If the registry cannot be written; it is as before.
    """
    which = (RUNS.c.run_id == run_id, RUNS.c.dagster_run_id.is_(None), IS_PENDING)
    return _update(settings, which, {"dagster_run_id": dagster_run_id})


def claim(settings: Settings, run: PendingRun, owner: tuple[str, ...]) -> None:
    """Say which Dagster instance has a run.

    Raises
    ------
    RegistryError
        If the registry cannot be written; it is as before.
    """
    with opened(settings) as engine, writing(engine) as connection:
        query = sa.select(RUNS.c.provenance).where(*_same(run))
        provenance = connection.execute(query).scalar_one_or_none()
        if provenance is not None:
            values = {"provenance": {**provenance, _OWNER: list(owner)}}
            connection.execute(RUNS.update().where(*_same(run)).values(values))


def withdraw(settings: Settings, run_id: str) -> bool:
    """Remove a queued run that no Dagster run carries out; return whether it was there.

    Raises
    ------
    RegistryError
        If the registry cannot be written; it is as before.
    """
    which = (RUNS.c.run_id == run_id, RUNS.c.dagster_run_id.is_(None), IS_PENDING)
    with opened(settings) as engine, writing(engine) as connection:
        return bool(connection.execute(RUNS.delete().where(*which)).rowcount)


def requeue(settings: Settings, run: PendingRun, dagster_run_id: str) -> bool:
    """Let a run wait for the Dagster run that tries it again; return whether it was still pending.

    Raises
    ------
    RegistryError
        If the registry cannot be written; it is as before.
    """
    now = datetime.now(UTC)
    values = {
        "status": RunStatus.QUEUED,
        "dagster_run_id": dagster_run_id,
        "progress": Decimal(0),
        "phase": None,
        "executed_at": now,
        "updated_at": now,
    }
    return _update(settings, _same(run), values)


def register_running(
    settings: Settings,
    request: RunRequest,
    run_id: str,
    dagster_run_id: str | None = None,
    owner: tuple[str, ...] = (),
) -> None:
    """Register that a run begins, queued before or not.

    A run that failed and is tried again under its id is active again: the record of its failure
    goes. One that has a result stays as it is.

    Parameters
    ----------
    settings : Settings
        Paths of results and registry.
    request : RunRequest
        What is run.
    run_id : str
        Its id.
    dagster_run_id : str, optional
        The Dagster run that carries it out.
    owner : tuple[str, ...]
        Names of the Dagster instance that has this Dagster run.

    Raises
    ------
    RegistryError
        If the registry cannot be written; it is as before.
    """
    record = request_record(request, run_id, dagster_run_id)
    row = pending_row(record, RunStatus.RUNNING, datetime.now(UTC))
    if owner:
        row["provenance"] = {**row["provenance"], _OWNER: list(owner)}
    failed = result_store(settings).failed_path(run_id)
    with opened(settings) as engine, writing(engine) as connection:
        statement = insert(connection)(RUNS).values(row)
        changes = {name: statement.excluded[name] for name in row if name != "run_id"}
        upsert = statement.on_conflict_do_update(
            index_elements=["run_id"],
            set_=changes,
            where=RUNS.c.status != RunStatus.SUCCEEDED,
        ).returning(RUNS.c.id)
        key = connection.execute(upsert).scalar_one_or_none()
        if key is None:
            return
        for table in (ARTIFACTS, EVENTS):
            connection.execute(table.delete().where(table.c.run_id == key))
        failed.unlink(missing_ok=True)


def register_progress(settings: Settings, run_id: str, done: float, phase: str) -> bool:
    """Say how far a running run is; return whether it is known as running.

    It waits for nobody longer than a quarter of a second: the next call says more anyway.

    Parameters
    ----------
    settings : Settings
        Paths of results and registry.
    run_id : str
        The run.
    done : float
        Share done, 0 to 1.
    phase : str
        A text for a person, such as the market time reached.

    Raises
    ------
    RegistryError
        If the registry cannot be written now.
    """
    values = {
        "progress": Decimal(repr(min(max(float(done), 0.0), 1.0))),
        "phase": phase[:PHASE_LIMIT],
        "updated_at": datetime.now(UTC),
    }
    which = (RUNS.c.run_id == run_id, RUNS.c.status == RunStatus.RUNNING)
    return _update(settings, which, values, _PROGRESS_TIMEOUT_SECS)


def finalize_pending(
    settings: Settings, dagster_run_id: str, status: Ending, error: str
) -> list[str]:
    """Finalize the runs of a Dagster run that ended without their saying so, and return their ids.

    What has a result or a record of its failure is registered by that. Any other run gets a record
    (``failed/<run_id>.json``) with the error, so that a rebuilt registry says the same.

    Parameters
    ----------
    settings : Settings
        Paths of results and registry.
    dagster_run_id : str
        The Dagster run. Runs that another one tries again by now are left alone.
    status : RunStatus
        Failed or canceled.
    error : str
        Why.

    Raises
    ------
    RegistryError
        If the registry cannot be written; it is as before.
    ResultError
        If a record cannot be written or read; the other runs are closed.
    """
    which = (RUNS.c.dagster_run_id == dagster_run_id, IS_PENDING)
    return _finalize(settings, which, status, error)


def register_ending(settings: Settings, record: Row, status: Ending, error: str) -> bool:
    """Register a run that ended before it was registered, unless its Dagster run has a row of it.

    Safe to call from several processes at the same time: one of them registers.

    Parameters
    ----------
    settings : Settings
        Paths of results and registry.
    record : dict
        From `odum_assets.results.failures.request_record`, with the Dagster run.
    status : RunStatus
        Failed or canceled.
    error : str
        Why.

    Returns
    -------
    bool
        Whether it was registered now.

    Raises
    ------
    RegistryError, ResultError
        If the registry or the record cannot be written.
    """
    metadata, store = record["metadata"], result_store(settings)
    known = sa.select(RUNS.c.run_id).where(
        RUNS.c.dagster_run_id == metadata["dagster_run_id"],
        RUNS.c.config_name == metadata["config_name"],
        RUNS.c.partition == metadata["partition"],
    )
    with opened(settings) as engine, writing(engine) as connection:
        if connection.execute(known).first() is not None:
            return False
        if not _has_file(store, record["run_id"]):
            _write_ending(settings, record, status, error)
        register_record(connection, record_of(store, record["run_id"]))
    return True


def finalize_run(settings: Settings, run: PendingRun, status: Ending, error: str) -> bool:
    """Finalize one run like `finalize_pending`, unless it is another Dagster run's by now.

    Returns
    -------
    bool
        Whether it was still pending.
    """
    return bool(_finalize(settings, _same(run), status, error))


def pending_runs(settings: Settings) -> list[PendingRun]:
    """Return all active runs; none where there is no registry yet.

    Raises
    ------
    RegistryError
        If the registry cannot be read.
    """
    if not registry_exists(settings):
        return []
    query = sa.select(
        RUNS.c.run_id,
        RUNS.c.status,
        RUNS.c.dagster_run_id,
        RUNS.c.executed_at,
        RUNS.c.updated_at,
        RUNS.c.provenance,
    ).where(IS_PENDING)
    with opened(settings) as engine, reading(engine) as connection:
        return [
            PendingRun(
                row.run_id,
                row.status,
                row.dagster_run_id,
                row.updated_at or row.executed_at,
                tuple(row.provenance.get(_OWNER, ())),
            )
            for row in connection.execute(query.order_by(RUNS.c.executed_at))
        ]


def _same(run: PendingRun) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the condition that a run is still the one that was looked at."""
    return (
        RUNS.c.run_id == run.run_id,
        RUNS.c.dagster_run_id.is_not_distinct_from(run.dagster_run_id),
        IS_PENDING,
    )


def _finalize(
    settings: Settings,
    which: tuple[sa.ColumnElement[bool], ...],
    status: Ending,
    error: str,
) -> list[str]:
    store = result_store(settings)
    closed: list[str] = []
    problems: list[ResultError] = []
    with opened(settings) as engine, writing(engine) as connection:
        for row in connection.execute(sa.select(RUNS).where(*which)).mappings().all():
            run_id = row["run_id"]
            try:
                if not _has_file(store, run_id):
                    record = row["provenance"]["request"]
                    record["metadata"]["dagster_run_id"] = row["dagster_run_id"]
                    _write_ending(settings, record, status, error, _progress_of(dict(row)))
                register_record(connection, record_of(store, run_id))
            except ResultError as problem:
                problems.append(problem)
            else:
                closed.append(run_id)
    if problems:
        # The others are closed.
        raise problems[0]
    return closed


def _has_file(store: ResultStore, run_id: str) -> bool:
    return store.fast_path(run_id).exists() or store.failed_path(run_id).exists()


def _progress_of(row: Row) -> tuple[float, str] | None:
    return None if row["phase"] is None else (float(row["progress"]), row["phase"])


def _write_ending(
    settings: Settings,
    record: Row,
    status: Ending,
    error: str,
    reached: tuple[float, str] | None = None,
) -> None:
    """Write the record of a run that ended without a file."""
    ending: Literal["failed", "canceled"] = "failed" if status is RunStatus.FAILED else "canceled"
    write_failure(
        settings, record, ending, {"type": _ERROR_TYPES[status], "message": error}, reached
    )


def _update(
    settings: Settings,
    which: tuple[sa.ColumnElement[bool], ...],
    values: dict[str, Any],
    timeout_secs: float = TIMEOUT_SECS,
) -> bool:
    """Change one row; it needs no turn of its own."""
    with (
        opened(settings, timeout_secs) as engine,
        writing(engine, alone=False) as connection,
    ):
        return bool(connection.execute(RUNS.update().where(*which).values(values)).rowcount)
