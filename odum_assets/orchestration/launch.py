"""Running the graph from Python: real runs in the instance, seen in the UI like any other.

What belongs here: opening the instance, one run in this process, and telling what went wrong. What
does not: several runs at a time (``backfill``), anything a person sees.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from odum_assets.errors import ConfigError, OdumError
from odum_assets.orchestration.ended_runs import register_ended_or_log
from odum_assets.orchestration.failures import step_failure_text, step_label
from odum_assets.orchestration.instance import instance_problems, instance_ref
from odum_assets.orchestration.interrupts import INTERRUPTS, discarded_interrupts_repeated
from odum_assets.orchestration.names import ACTIONS, CODE_LOCATION, action_job_name, op_name
from odum_assets.orchestration.progress import Watcher, watched
from odum_assets.orchestration.project import Project, load_project
from odum_assets.orchestration.registration import reconcile_pending
from odum_assets.orchestration.run_process import process_of, process_tags
from odum_assets.settings import Settings

if TYPE_CHECKING:
    from dagster._core.remote_origin import RemoteJobOrigin

AD_HOC_JOB: Final = "__ASSET_JOB"
"""Dagster's own job of all assets, for selections that no single day job has."""

# Capturing output replaces stdout and stderr of the process, and with them progress bars.
_QUIET: Final = {
    "compute_logs": {
        "module": "dagster.core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
    }
}

_CANCEL_POLL_S: Final = 1.0
_CANCEL_GRACE_S: Final = 2.0

type Key = Sequence[str]
"""An asset key as its parts, such as ``("backtest", "my_config", "result")``."""

type Config = Mapping[tuple[str, ...], Mapping[str, object]]
"""Run config by asset key."""


@dataclass(frozen=True, slots=True)
class LaunchResult:
    """What became of a run.

    Parameters
    ----------
    success : bool
        Whether every selected asset was made.
    dagster_run_id : str
        The run in Dagster.
    failures : tuple[tuple[str, str], ...]
        Asset key (parts joined by ``/``) and message of each step that failed.
    materializations : dict[str, dict[str, Any]]
        Metadata values by asset key, of the assets that were made.
    warnings : tuple[tuple[str, str], ...]
        Asset key and text of each check that warned.
    canceled : bool
        Whether somebody stopped it.
    """

    success: bool
    dagster_run_id: str
    failures: tuple[tuple[str, str], ...] = ()
    materializations: dict[str, dict[str, Any]] = field(default_factory=dict)
    warnings: tuple[tuple[str, str], ...] = ()
    canceled: bool = False


@dataclass(frozen=True)
class Graph:
    """The project and its definitions.

    Parameters
    ----------
    project : Project
        Settings and configurations.
    """

    project: Project

    @cached_property
    def definitions(self) -> dg.Definitions:
        """Return the graph; it is built when something is run."""
        from odum_assets.orchestration.build import definitions_of

        return definitions_of(self.project)


def load_graph(settings: Settings, *, is_local: bool = True) -> Graph:
    """Read the configurations; the graph of them is built when something is run.

    Parameters
    ----------
    settings : Settings
        All paths.
    is_local : bool, default True
        Of the `Project`.

    Raises
    ------
    ConfigError
        If the folder of configurations cannot be used.
    """
    return Graph(replace(load_project(settings), is_local=is_local))


@contextmanager
def open_instance(settings: Settings | None = None) -> Iterator[dg.DagsterInstance]:
    """Open the Dagster instance that ``make dev`` shows (`instance_ref`).

    Runs that an earlier process left behind when it died are marked as failed.

    Parameters
    ----------
    settings : Settings, optional
        Where the registry is in which such runs are recorded; without it none are.

    Yields
    ------
    dg.DagsterInstance
        Open until the context ends.
    """
    # SQLAlchemy and Alembic take their time to load: only where an instance is opened.
    from odum_assets.orchestration.dagster_sqlite import repeat_less

    with repeat_less(), _instance() as instance:
        lost = fail_lost_runs(instance)
        if lost and settings is not None:
            # Who wants to run something else need not care about a registry that is not there.
            with suppress(OdumError):
                reconcile_pending(instance, settings)
                project = load_project(settings)
                for run_id in lost:
                    register_ended_or_log(instance, project, run_id)
        yield instance


@contextmanager
def _instance() -> Iterator[dg.DagsterInstance]:
    ref = instance_ref(_QUIET)
    with instance_problems():
        instance = dg.DagsterInstance.from_ref(ref)
    with instance:
        yield instance


def materialize(
    instance: dg.DagsterInstance,
    graph: Graph,
    keys: Sequence[Key],
    partition: str | None,
    *,
    config: Config | None = None,
    job: str | None = None,
    tags: Mapping[str, str] | None = None,
    run_id: str | None = None,
    on_event: Callable[[dg.DagsterEvent], None] | None = None,
    on_progress: Watcher | None = None,
) -> LaunchResult:
    """Make assets in this process, as a run that the UI shows with its partition and lineage.

    Parameters
    ----------
    instance : dg.DagsterInstance
        From `open_instance`.
    graph : Graph
        From `load_graph`.
    keys : sequence of sequence of str
        Assets to make; a window or a sweep by itself, as a job of its own makes it.
    partition : str or None
        Day, such as ``2024-07-18``; None for assets without partitions.
    config : mapping, optional
        Run config by asset key, such as ``{("backtest", name, "result"): {"mode": "fast"}}``.
    job : str, optional
        Job that the run belongs to; by default the only one that has all the assets, else Dagster's
        own for any selection.
    tags : mapping, optional
        Tags of the run.
    run_id : str, optional
        Id of the run.
    on_event : callable, optional
        Called with each event of the run, in order.
    on_progress : callable, optional
        Called with every change of how far the running step is.

    Raises
    ------
    ConfigError
        If a key or the partition does not exist.
    """
    from dagster._core.definitions.job_base import InMemoryJob
    from dagster._core.execution.api import execute_run_iterator
    from dagster._core.utils import make_new_run_id

    run_id = run_id or make_new_run_id()
    selection = _selection(graph, keys)
    _check_partition(graph, selection, partition)
    name = job or _job_for(graph, selection)
    definition = graph.definitions.resolve_job_def(name)
    run = instance.create_run_for_job(
        definition,
        run_id=run_id,
        run_config=_run_config(config or {}),
        tags={
            **(tags or {}),
            # A person is watching: the daemon must not start it again behind their back.
            "dagster/max_retries": "0",
            **process_tags(run_id),
            **({} if partition is None else {"dagster/partition": partition}),
        },
        asset_selection=None if _action_job(selection) else selection,
        remote_job_origin=job_origin(name),
    )
    outcome = _Outcome(partition)
    with (
        discarded_interrupts_repeated(),
        watched(on_progress),
        _stopped_on_request(instance, run_id) as ended,
    ):
        for event in execute_run_iterator(InMemoryJob(definition), run, instance):
            if _is_interrupted(event):
                ended.set()
                # Who presses Ctrl-C cancels the run: Dagster would call it failed.
                instance.report_run_canceling(run, "The run was interrupted (Ctrl-C).")
            outcome.take(event)
            if on_event is not None:
                on_event(event)
    # Where no daemon runs, no sensor does it.
    register_ended_or_log(instance, graph.project, run.run_id)
    finished = instance.get_run_by_id(run.run_id)
    return outcome.result(run.run_id, None if finished is None else finished.status)


@contextmanager
def _stopped_on_request(instance: dg.DagsterInstance, run_id: str) -> Iterator[threading.Event]:
    """Interrupt this process, as Ctrl-C does, once its run is terminated in the Dagster UI.

    Dagster notes that this is wanted and cannot reach a process that it has not started.

    Yields
    ------
    threading.Event
        To be set where the run is interrupted already.
    """
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_CANCEL_POLL_S):
            run = instance.get_run_by_id(run_id)
            if run is not None and run.status is dg.DagsterRunStatus.CANCELING:
                # The service interrupts the process itself: not a second time.
                if not ended.wait(_CANCEL_GRACE_S):
                    os.kill(os.getpid(), signal.SIGINT)
                return

    is_main = threading.current_thread() is threading.main_thread()
    thread = threading.Thread(target=watch, daemon=True)
    if is_main and not instance.is_ephemeral:
        thread.start()
    try:
        yield ended
    finally:
        ended.set()
        if thread.ident is not None:
            thread.join()


def fail_lost_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs of this machine whose process is gone as failed, and return their ids.

    Only runs that were started from Python are looked at; the daemon watches over its own.
    """
    unfinished = dg.RunsFilter(
        statuses=[
            dg.DagsterRunStatus.NOT_STARTED,
            dg.DagsterRunStatus.STARTING,
            dg.DagsterRunStatus.STARTED,
            dg.DagsterRunStatus.CANCELING,
        ],
    )
    lost = [run for run in instance.get_runs(unfinished) if _is_lost(run)]
    for run in lost:
        fail_run(instance, run, "The process of this run died before the run ended.")
    return [run.run_id for run in lost]


def _is_lost(run: dg.DagsterRun) -> bool:
    """Return whether a run has a process of this machine that is gone."""
    process = process_of(run.run_id, run.tags)
    return process is not None and process.is_here and not process.is_alive()


def fail_run(instance: dg.DagsterInstance, run: dg.DagsterRun, message: str | None) -> None:
    """Mark a run as failed, or as canceled where that was asked for, and free its pool slots."""
    if run.status is dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, message)
    else:
        instance.report_run_failed(run, message)
    instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


class _Outcome:
    """Collect what a person wants to know from the events of a run."""

    def __init__(self, partition: str | None) -> None:
        self._partition = partition
        self._failures: list[tuple[str, str]] = []
        self._warnings: list[tuple[str, str]] = []
        self._materializations: dict[str, dict[str, Any]] = {}

    def take(self, event: dg.DagsterEvent) -> None:
        """Take the next event."""
        if event.is_step_materialization:
            materialization = event.step_materialization_data.materialization
            values = {name: value.value for name, value in materialization.metadata.items()}
            self._materializations[materialization.asset_key.to_user_string()] = values
        elif event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            if not check.passed:
                # A window converts several days.
                day = "" if check.partition in (None, self._partition) else f"{check.partition}: "
                line = f"{day}check {check.check_name}: {check.description}"
                key = check.asset_key.to_user_string()
                (self._failures if check.blocking else self._warnings).append((key, line))
        elif event.is_step_failure:
            self._failures.append((step_label(event.step_key), step_failure_text(event)))
        elif event.is_failure and not self._failures:
            self._failures.append(("run", event.message or "the run failed"))

    def result(self, run_id: str, status: dg.DagsterRunStatus | None) -> LaunchResult:
        """Return what was collected of a run that ended like this."""
        is_canceled = status is dg.DagsterRunStatus.CANCELED
        return LaunchResult(
            status is dg.DagsterRunStatus.SUCCESS,
            run_id,
            (("run", "the run was canceled"),) if is_canceled else tuple(self._failures),
            self._materializations,
            tuple(self._warnings),
            is_canceled,
        )


def _is_interrupted(event: dg.DagsterEvent) -> bool:
    if not event.is_step_failure or event.step_failure_data.error is None:
        return False
    return event.step_failure_data.error.cls_name in INTERRUPTS


def _selection(graph: Graph, keys: Sequence[Key]) -> frozenset[dg.AssetKey]:
    selection = frozenset(dg.AssetKey(list(key)) for key in keys)
    assets = graph.definitions.resolve_asset_graph()
    known = assets.materializable_asset_keys
    if _action_job(selection):
        known = assets.get_all_asset_keys()
    unknown = sorted(key.to_user_string() for key in selection - known)
    if unknown:
        raise ConfigError(
            f"no such asset: {', '.join(unknown)}; the graph is built from the configurations in "
            f"{graph.project.settings.configs_path}"
        )
    return selection


def _check_partition(
    graph: Graph, selection: frozenset[dg.AssetKey], partition: str | None
) -> None:
    assets = graph.definitions.resolve_asset_graph()
    is_yearly = graph.project.years in [assets.get(key).partitions_def for key in selection]
    partitions = graph.project.years if is_yearly else graph.project.partitions
    if partition is not None and not partitions.has_partition_key(partition):
        kind = "first days of years" if is_yearly else "days"
        raise ConfigError(
            f"{partition!r} is not a partition; allowed: {kind} from "
            f"{partitions.get_first_partition_key()} to {partitions.get_last_partition_key()} "
            "(UTC). ODUM_PARTITIONS_START sets the first"
        )


def _action_job(selection: frozenset[dg.AssetKey]) -> str | None:
    """Return the job of the window or the sweep that is all of a selection, if it is one."""
    (first, *more) = (key.path for key in selection)
    return None if more or first[-1] not in ACTIONS else action_job_name(*first[1:])


def _job_for(graph: Graph, selection: frozenset[dg.AssetKey]) -> str:
    if (action := _action_job(selection)) is not None:
        return action
    having = [
        job.name
        for job in graph.definitions.resolve_all_job_defs()
        if job.name != AD_HOC_JOB and selection <= job.asset_layer.selected_asset_keys
    ]
    return having[0] if len(having) == 1 else AD_HOC_JOB


def _run_config(config: Config) -> dict[str, Any]:
    ops = {op_name(dg.AssetKey(key)): {"config": dict(values)} for key, values in config.items()}
    # What a person sees comes from the caller, not as log lines on the terminal.
    return {"ops": ops, "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def job_origin(job: str) -> "RemoteJobOrigin":
    """Return where the UI finds the job: without it a run has no link and cannot be repeated."""
    from dagster._core.remote_origin import (
        ManagedGrpcPythonEnvCodeLocationOrigin,
        RemoteJobOrigin,
        RemoteRepositoryOrigin,
    )
    from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

    target = LoadableTargetOrigin(module_name="odum_assets.definitions")
    location = ManagedGrpcPythonEnvCodeLocationOrigin(target, CODE_LOCATION)
    return RemoteJobOrigin(RemoteRepositoryOrigin(location, "__repository__"), job)
