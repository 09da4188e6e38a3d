"""What old runs have left behind, and removing it.

What belongs here: finding what nobody needs any more, each with its size and how it is removed.
What does not: showing it. Everything is removed piece by piece: a process that is killed meanwhile
leaves pieces that the next one removes. Never removed are a partition's current result, results
with tags or a note, runs that have not ended, and Dagster runs that hold the latest materialization
of a partition: without them the UI and the sensors would call it missing.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import dagster as dg

from odum_assets.errors import OdumError
from odum_assets.orchestration.project import load_project
from odum_assets.orchestration.run_deletion import (
    FINISHED,
    DagsterStorageError,
    delete_dagster_run,
    delete_replaced_checks,
    event_files,
)
from odum_assets.registry.deletion import delete_run
from odum_assets.results.deletion import paths_of, size_of
from odum_assets.results.references import stored_run_ids
from odum_assets.results.store import ResultEntry, ResultStore
from odum_assets.settings import Settings
from odum_assets.storage.addresses import cache_root
from odum_assets.storage.copies import exists
from odum_assets.storage.locks import is_locked
from odum_assets.storage.scratch import scratch_folder

type Kind = Literal["runs", "failed", "results", "staging", "cache"]

KINDS: Final[tuple[Kind, ...]] = ("runs", "failed", "results", "staging", "cache")
_PAGE: Final = 1000
_DAY_SECS: Final = 86_400


@dataclass(frozen=True, slots=True)
class Prunable:
    """Something that can be removed.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    name : str
        A run id, or a path.
    size : int
        Bytes.
    remove : Callable
        Removes it.
    """

    kind: Kind
    name: str
    size: int
    remove: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Limits:
    """What is kept: what is younger than ``before`` (seconds since 1970), and the last of each.

    ``keep_last`` counts Dagster runs, failed records, and the superseded results of each partition.
    """

    before: float
    keep_last: int = 0

    @classmethod
    def of(cls, older_than_days: float, keep_last: int) -> "Limits":
        """Return the limits for an age in days from now."""
        return cls(time.time() - older_than_days * _DAY_SECS, keep_last)


def prunable(
    instance: dg.DagsterInstance, settings: Settings, kinds: set[Kind], limits: Limits
) -> Iterator[Prunable]:
    """Yield what can be removed, of some kinds.

    Raises
    ------
    OdumError
        If results cannot be read.
    """
    store = ResultStore(settings.results_path)
    if "runs" in kinds:
        yield from _dagster_runs(instance, limits)
    if "failed" in kinds:
        yield from _failed(store, settings, limits)
    if "results" in kinds:
        yield from _superseded(store, settings, limits)
    if "staging" in kinds:
        yield from _staging(settings)
    if "cache" in kinds:
        yield from _cached(limits)


def _dagster_runs(instance: dg.DagsterInstance, limits: Limits) -> Iterator[Prunable]:
    """Yield ended runs, and event logs whose run a killed process had removed already."""
    ended = dg.RunsFilter(statuses=FINISHED)
    records = instance.get_run_records(ended)[limits.keep_last :]
    old = [record for record in records if (record.end_time or limits.before) < limits.before]
    needed = _latest_runs(instance) if old else set()
    for record in old:
        run_id = record.dagster_run.run_id
        if run_id not in needed:
            yield _dagster_run(instance, run_id)
    for run_id in _without_run(instance):
        yield _dagster_run(instance, run_id)


def _dagster_run(instance: dg.DagsterInstance, run_id: str) -> Prunable:
    size = size_of(event_files(instance, run_id))
    return Prunable("runs", run_id, size, partial(delete_dagster_run, instance, run_id))


def _without_run(instance: dg.DagsterInstance) -> list[str]:
    list_ids = getattr(instance.event_log_storage, "get_all_run_ids", None)
    if list_ids is None or not hasattr(instance.event_log_storage, "path_for_shard"):
        return []
    # Files first: a run's row is there before its file.
    files = set(list_ids())
    gone = sorted(files - set(instance.get_run_ids()))
    # Dagster itself has a file without a run's name.
    return [run_id for run_id in gone if event_files(instance, run_id)]


def _latest_runs(instance: dg.DagsterInstance) -> set[str]:
    """Return the runs that made the latest materialization of a partition of any asset."""
    needed = set()
    for key in instance.all_asset_keys():
        seen: set[str | None] = set()
        cursor, has_more = None, True
        while has_more:
            page = instance.fetch_materializations(key, limit=_PAGE, cursor=cursor)
            for record in page.records:
                if record.partition_key not in seen:
                    seen.add(record.partition_key)
                    needed.add(record.run_id)
            cursor, has_more = page.cursor, page.has_more
    return needed


def _failed(store: ResultStore, settings: Settings, limits: Limits) -> Iterator[Prunable]:
    ids = stored_run_ids(store, failed=True) - stored_run_ids(store)
    times = {run_id: store.failed_path(run_id).stat().st_mtime for run_id in ids}
    newest = sorted(ids, key=lambda run_id: times[run_id], reverse=True)
    for run_id in newest[limits.keep_last :]:
        if times[run_id] < limits.before and not exists(store.annotations_path(run_id)):
            yield _run("failed", store, settings, run_id)


def _superseded(store: ResultStore, settings: Settings, limits: Limits) -> Iterator[Prunable]:
    """Yield results that a newer one of the same request and partition has replaced."""
    by_partition: dict[tuple[str, str], list[ResultEntry]] = defaultdict(list)
    for entry in store.entries([]):
        by_partition[entry.config_name, entry.partition].append(entry)
    for (config, partition), entries in by_partition.items():
        current = store.current(config, partition)
        if current is None:
            continue
        replaced = [entry for entry in entries if _is_replaced(entry, current)]
        for entry in replaced[limits.keep_last :]:
            created = datetime.fromisoformat(entry.created_at).timestamp()
            if created < limits.before:
                yield _run("results", store, settings, entry.run_id)


def _is_replaced(entry: ResultEntry, current: ResultEntry) -> bool:
    return (
        entry.run_id != current.run_id
        and entry.created_at < current.created_at
        and entry.sweep is None
        and _request(entry) == _request(current)
        and not _has_annotations(entry)
    )


def _has_annotations(entry: ResultEntry) -> bool:
    """Return whether a person gave a result a tag or a note."""
    annotations = entry.annotations()
    return bool(annotations.tags or annotations.note)


def _request(entry: ResultEntry) -> list[Any]:
    """Return what was asked for, but for the mode and the configuration's content."""
    return [
        entry.document.get("start"),
        entry.document.get("end"),
        entry.metadata().get("overrides"),
        entry.metadata().get("snapshot_mode"),
    ]


def _run(kind: Kind, store: ResultStore, settings: Settings, run_id: str) -> Prunable:
    size = size_of(paths_of(store, run_id))
    return Prunable(kind, run_id, size, lambda: delete_run(settings, run_id))


def _staging(settings: Settings) -> Iterator[Prunable]:
    """Yield the work folders of processes that died."""
    project = load_project(settings)
    catalogs = {settings.catalog_path, *map(project.catalog_root, project.configs)}
    parents = [settings.results_path / ".staging", *(root / ".views" for root in catalogs)]
    for parent in parents:
        for folder in sorted(parent.glob("work-*")):
            if not is_locked(folder / ".owner"):
                yield Prunable("staging", str(folder), size_of([folder]), partial(_swept, parent))


def _swept(parent: Path) -> None:
    with scratch_folder(parent):
        """Its begin removes the folders of dead processes."""


def _cached(limits: Limits) -> Iterator[Prunable]:
    """Yield copies of bucket files that were not used lately; who uses one has a link."""
    for path in sorted((cache_root() / "objects").glob("[0-9a-f][0-9a-f]/*")):
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue
        if stat.st_mtime < limits.before:
            yield Prunable("cache", str(path), stat.st_size, partial(path.unlink, missing_ok=True))


def remove_all(
    instance: dg.DagsterInstance, items: Sequence[Prunable]
) -> Iterator[tuple[Prunable, str | None]]:
    """Remove things; yield each with the reason why that was not possible, None if it is done.

    Ends at the first one that Dagster's database does not let go: the others would wait as long.
    """
    runs = [item.name for item in items if item.kind == "runs"]
    for item in items:
        try:
            if runs and item.kind == "runs":
                delete_replaced_checks(instance, runs)
                runs = []
            item.remove()
        except DagsterStorageError as error:
            yield item, str(error)
            return
        except (OdumError, OSError) as error:
            yield item, f"{item.name}: {error}"
        else:
            yield item, None
