"""Deleting Dagster runs, and giving the space of their events back to the disk.

What belongs here: what Dagster's storages hold of a run. What does not: which runs may be deleted
(`orchestration.pruning`).
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import batched
from pathlib import Path
from typing import Final

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable

from odum_assets.errors import OdumError

_INDEX: Final = "index"
_BATCH: Final = 500
_BUSY_SECS: Final = 30.0
FINISHED: Final = [
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
]
"""Statuses of runs that may be deleted."""


class DagsterStorageError(OdumError):
    """Report that Dagster's database does not take a change; the next one would fail, too."""


def delete_dagster_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """Delete a run that has ended: its events, its logs, its row.

    The row goes last: who is killed meanwhile leaves a run that can be deleted again.

    Raises
    ------
    DagsterStorageError
        If Dagster's database cannot be written.
    """
    with _explained():
        instance.event_log_storage.delete_events(run_id)
        instance.compute_log_manager.delete_logs(prefix=[run_id])
        instance.run_storage.delete_run(run_id)
        # Dagster leaves the run's own SQLite file, empty.
        for file in event_files(instance, run_id):
            file.unlink(missing_ok=True)


def delete_replaced_checks(instance: dg.DagsterInstance, run_ids: Sequence[str]) -> None:
    """Delete evaluations of checks by some runs, which Dagster leaves, where there is a newer one.

    For many runs at once: the rows have no index by run.

    Raises
    ------
    DagsterStorageError
        If Dagster's database cannot be written.
    """
    connect = getattr(instance.event_log_storage, "index_connection", None)
    if connect is None:
        return
    old = AssetCheckExecutionsTable
    new = AssetCheckExecutionsTable.alias()
    is_replaced = sa.exists().where(
        new.c.asset_key == old.c.asset_key,
        new.c.check_name == old.c.check_name,
        # None where an asset has no partitions.
        new.c.partition.is_not_distinct_from(old.c.partition),
        new.c.id > old.c.id,
    )
    for ids in batched(run_ids, _BATCH, strict=False):
        with _explained(), connect() as connection:
            connection.execute(old.delete().where(old.c.run_id.in_(ids), is_replaced))


def event_files(instance: dg.DagsterInstance, run_id: str) -> list[Path]:
    """Return the SQLite files of a run's events; a server's database has none."""
    path = _sqlite_file(instance, run_id)
    if path is None:
        return []
    return [file for end in ("", "-wal", "-shm") if (file := Path(f"{path}{end}")).is_file()]


def unused_bytes(instance: dg.DagsterInstance) -> int:
    """Return how much of the SQLite file of all runs' events is not in use; later events fill it.

    Zero for a server's database, which sees to that itself.
    """
    file = _sqlite_file(instance, _INDEX)
    if file is None or not file.is_file():
        return 0
    with _explained(), closing(sqlite3.connect(file, timeout=_BUSY_SECS)) as connection:
        (pages,) = connection.execute("PRAGMA freelist_count").fetchone()
        (page_size,) = connection.execute("PRAGMA page_size").fetchone()
    return int(pages) * int(page_size)


def compact(instance: dg.DagsterInstance) -> int:
    """Give what is not in use back to the disk, and return how much that is, in bytes.

    Nothing can be written meanwhile: a run would fail.

    Raises
    ------
    DagsterStorageError
        If a run has not ended, or the file is in use, or the disk is full.
    """
    file = _sqlite_file(instance, _INDEX)
    if file is None or not unused_bytes(instance):
        return 0
    if active := instance.get_runs_count(
        dg.RunsFilter(statuses=[*set(dg.DagsterRunStatus) - set(FINISHED)])
    ):
        raise DagsterStorageError(
            f"{file}: not compacted, because runs have not ended ({active}) and could not write to "
            "it; repeat the command when they have"
        )
    before = file.stat().st_size
    with _explained(), closing(sqlite3.connect(file, timeout=_BUSY_SECS)) as connection:
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return before - file.stat().st_size


def _sqlite_file(instance: dg.DagsterInstance, name: str) -> Path | None:
    path_of = getattr(instance.event_log_storage, "path_for_shard", None)
    return None if path_of is None else Path(path_of(name))


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, sa.exc.DBAPIError) as error:
        reason = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        raise DagsterStorageError(
            f"Dagster's database: {str(reason).strip()}; what was removed stays removed, repeat "
            "the command for the rest"
        ) from error
