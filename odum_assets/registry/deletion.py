"""Deleting runs: their files and their rows, both or none.

A run is deleted when its summary has left the results (`results.deletion`). If the registry cannot
follow, the summary is put back. If the process dies, whoever opens the registry next removes the
rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from odum_assets.registry.database import reading, result_store
from odum_assets.registry.models import IS_PENDING, RUNS
from odum_assets.registry.register import opened, remove_row
from odum_assets.results.deletion import (
    mark_deleted,
    paths_of,
    remove_marked,
    size_of,
    unmark_deleted,
)
from odum_assets.results.store import ResultError
from odum_assets.settings import Settings
from odum_assets.storage.locks import hold_lock


@dataclass(frozen=True, slots=True)
class RunFiles:
    """What a run has in the results folder: files and folders, and their size in bytes."""

    run_id: str
    paths: tuple[Path, ...]
    size: int


def files_of_runs(settings: Settings, run_ids: Sequence[str]) -> list[RunFiles]:
    """Return what deleting runs would remove.

    Raises
    ------
    ResultError
        If there is no such run, or it has not ended.
    RegistryError
        If the registry cannot be read.
    """
    store = result_store(settings)
    with opened(settings) as engine, reading(engine) as connection:
        query = sa.select(RUNS.c.run_id).where(IS_PENDING, RUNS.c.run_id.in_(run_ids))
        active = sorted(connection.execute(query).scalars())
    if active:
        raise ResultError(f"{', '.join(active)}: not ended yet; stop it first")
    files = []
    for run_id in run_ids:
        paths = paths_of(store, run_id)
        files.append(RunFiles(run_id, tuple(paths), size_of(paths)))
    return files


def delete_run(settings: Settings, run_id: str) -> None:
    """Delete a run that has ended: its files, its row, and what belongs to them.

    Raises
    ------
    ResultError
        If there is no such run, or a file cannot be removed.
    RegistryError
        If the registry cannot be written; everything is as before then.
    """
    store = result_store(settings)
    with opened(settings) as engine, hold_lock(store.publish_lock):
        source = mark_deleted(store, run_id)
        try:
            remove_row(engine, run_id)
        except Exception:
            # Not on Ctrl-C: the row may be gone by then, and the next one to open the registry
            # removes the rest.
            unmark_deleted(store, run_id, source)
            raise
        remove_marked(store, run_id)
