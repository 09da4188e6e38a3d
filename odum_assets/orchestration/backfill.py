"""Several partitions side by side, each in a process of its own.

They are forked off a process that has everything loaded already (``run_server``), so that a run
starts within milliseconds; the configurations of all of them are those of its start. A run whose
process dies, by whatever signal, is reported and marked as failed; the other partitions go on.
"""

import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.forkserver import ensure_running
from typing import Literal

import dagster as dg

from odum_assets.backtest.child import forked_ahead
from odum_assets.errors import OdumError
from odum_assets.orchestration.ended_runs import register_ended_or_log
from odum_assets.orchestration.interrupts import end_with_parent, interrupts_ignored
from odum_assets.orchestration.launch import (
    Config,
    Graph,
    Key,
    LaunchResult,
    fail_run,
    materialize,
)
from odum_assets.orchestration.project import load_project
from odum_assets.orchestration.run_process import ending_text
from odum_assets.orchestration.run_server import (
    PRELOADED,
    PRELOADED_FOR_REPLAYS,
    REPLAY_WORKER,
    Command,
    Shared,
    serve,
)
from odum_assets.settings import Settings


@dataclass(frozen=True, slots=True)
class Work:
    """Assets to make for one partition, as one run.

    Parameters
    ----------
    keys : tuple[Key, ...]
        The assets.
    partition : str
        The day.
    config : Config
        Run config by asset key.
    tags : Mapping[str, str]
        Tags of the run.
    """

    keys: tuple[Key, ...]
    partition: str
    config: Config = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BackfillEvent:
    """Something that happened to a piece of work.

    Parameters
    ----------
    index : int
        Its place among all, from 0.
    partition : str
        The day.
    kind : {"started", "step", "finished"}
        ``step`` names the asset that starts now.
    step : str
        Asset key of a step, else empty.
    result : LaunchResult or None
        Of finished work.
    """

    index: int
    partition: str
    kind: Literal["started", "step", "finished"]
    step: str = ""
    result: LaunchResult | None = None


@dataclass(frozen=True, slots=True)
class _Task:
    """What a process needs to know; everything in it can be pickled."""

    partition: str
    keys: tuple[tuple[str, ...], ...]
    config: dict[tuple[str, ...], dict[str, object]]
    job: str | None
    tags: dict[str, str]
    run_id: str


def backfill(
    instance: dg.DagsterInstance,
    settings: Settings,
    works: Sequence[Work],
    *,
    slots: int = 1,
    job: str | None = None,
    tags: Mapping[str, str] | None = None,
    on_event: Callable[[BackfillEvent], None] | None = None,
) -> list[LaunchResult]:
    """Make assets for several partitions, each as a run of its own process.

    All of it waits in one queue, whatever assets it is about: no slot is idle while work waits.

    Parameters
    ----------
    instance : dg.DagsterInstance
        A persistent instance, from `launch.open_instance`.
    settings : Settings
        All paths.
    works : sequence of Work
        What to make, in the order in which it is started.
    slots : int, default 1
        Processes at one time.
    job, tags
        As for `launch.materialize`.
    on_event : callable, optional
        Called in this process.

    Returns
    -------
    list[LaunchResult]
        One per work, in the order given. Failed ones are in it like the others.
    """
    from dagster._core.utils import make_new_run_id

    backfill_id = make_new_run_id()[:8]
    tasks = [
        _Task(
            partition=work.partition,
            keys=tuple(tuple(key) for key in work.keys),
            config={key: dict(values) for key, values in work.config.items()},
            job=job,
            tags={**(tags or {}), **work.tags, "odum/backfill": backfill_id},
            run_id=make_new_run_id(),
        )
        for work in works
    ]
    replays = any(map(_replays, tasks))
    _preload(replays=replays)
    shared = Shared(settings, instance.get_ref(), dict(os.environ), replays)
    with _registry_kept_open(settings):
        return _Backfill(instance, shared, tasks, on_event or _ignore).run(max(slots, 1))


class _Backfill:
    """The tasks of a backfill, those that run, and what became of the others."""

    def __init__(
        self,
        instance: dg.DagsterInstance,
        shared: Shared,
        tasks: Sequence[_Task],
        on_event: Callable[[BackfillEvent], None],
    ) -> None:
        self._instance = instance
        self._shared = shared
        self._tasks = tasks
        self._on_event = on_event
        self._server: _RunServer | None = None
        self._running: set[int] = set()
        self._results: dict[int, LaunchResult] = {}

    def run(self, slots: int) -> list[LaunchResult]:
        """Run all of them, some at a time, and return their results in order."""
        waiting = deque(range(len(self._tasks)))
        try:
            while waiting or self._running:
                # A process that has sent its result only closes what it has open: a slot is free.
                while waiting and len(self._running - self._results.keys()) < slots:
                    self._start(waiting.popleft())
                self._take()
        except BaseException:
            # Something was raised, such as Ctrl-C.
            self._cancel()
            raise
        finally:
            if self._server is not None:
                self._server.close()
        return [self._results[index] for index in range(len(self._tasks))]

    def _start(self, index: int) -> None:
        if self._server is None:
            self._server = _RunServer(self._shared)
        self._running.add(index)
        with suppress(BrokenPipeError):
            self._server.connection.send((index, self._tasks[index]))
        self._tell(index, "started")

    def _take(self) -> None:
        """Take the next message; where the server itself died, so did all that it had forked."""
        server = self._server
        if server is None:
            raise AssertionError("a run without the server that it is forked off")
        try:
            sent = server.connection.recv()
        except EOFError:
            code = server.close()
            self._server = None
            for index in sorted(self._running):
                self._end(index, code)
            return
        if sent.is_end:
            self._end(sent.index, sent.exit_code)
        elif isinstance(sent.content, LaunchResult):
            self._results[sent.index] = sent.content
            self._tell(sent.index, "finished", result=sent.content)
        else:
            self._tell(sent.index, "step", step=sent.content)

    def _end(self, index: int, code: int | None, *, is_canceled: bool = False) -> None:
        """Note that a process is gone; a result that it did not send is made from how it ended."""
        self._running.remove(index)
        if index in self._results:
            return
        self._results[index] = _lost(
            self._instance,
            self._shared.settings,
            self._tasks[index],
            code,
            is_canceled=is_canceled,
        )
        if not is_canceled:
            self._tell(index, "finished", result=self._results[index])

    def _cancel(self) -> None:
        """End what runs, and wait for its end."""
        server = self._server
        with suppress(EOFError, BrokenPipeError):
            if server is not None and self._running:
                server.connection.send(Command.TERMINATE)
            while server is not None and self._running:
                sent = server.connection.recv()
                if sent.is_end:
                    self._end(sent.index, sent.exit_code, is_canceled=True)
                elif isinstance(sent.content, LaunchResult):
                    self._results[sent.index] = sent.content
        for index in sorted(self._running):
            self._end(index, None, is_canceled=True)

    def _tell(
        self,
        index: int,
        kind: Literal["started", "step", "finished"],
        step: str = "",
        result: LaunchResult | None = None,
    ) -> None:
        self._on_event(BackfillEvent(index, self._tasks[index].partition, kind, step, result))


class _RunServer:
    """The process that runs are forked off, as the one that asks sees it."""

    def __init__(self, shared: Shared) -> None:
        context = get_context("forkserver")
        with interrupts_ignored():
            # What the fork server starts with, its processes do: until a run begins they say
            # nothing of Ctrl-C.
            ensure_running()
        self.connection, theirs = context.Pipe()
        self._process = context.Process(
            target=serve, args=(theirs, shared, run_task), name="odum-backfill"
        )
        self._process.start()
        theirs.close()

    def close(self) -> int | None:
        """Let it end what runs, and return its exit code when it is gone."""
        self.connection.close()
        self._process.join()
        return self._process.exitcode


def run_task(instance: dg.DagsterInstance, graph: Graph, task: _Task, sender: Connection) -> None:
    """Make one partition in this process and send steps (text) and the result."""
    os.setpgid(0, 0)
    with _replay_ahead(task):
        end_with_parent()
        try:
            result = materialize(
                instance,
                graph,
                task.keys,
                task.partition,
                config=task.config,
                job=task.job,
                tags=task.tags,
                run_id=task.run_id,
                on_event=lambda event: _send_step(sender, event),
            )
        except OdumError as error:
            result = LaunchResult(False, task.run_id, (("run", str(error)),))
        sender.send(result)


def _replay_ahead(task: _Task) -> AbstractContextManager[None]:
    """Fork the process that replays, as long as this one has one thread."""
    worker = sys.modules.get(REPLAY_WORKER)
    if worker is None or not _replays(task):
        return nullcontext()
    return forked_ahead(worker.main)


def _send_step(sender: Connection, event: dg.DagsterEvent) -> None:
    if event.event_type is dg.DagsterEventType.STEP_START and event.step_key is not None:
        sender.send(event.step_key.replace("__", "/"))


def _replays(task: _Task) -> bool:
    return any(key[0] == "backtest" and key[-1] == "result" for key in task.keys)


def _preload(*, replays: bool) -> None:
    """Say what the fork server loads; one that runs already stays as it is."""
    more = PRELOADED_FOR_REPLAYS if replays else ()
    get_context("forkserver").set_forkserver_preload([__name__, *PRELOADED, *more])


@contextmanager
def _registry_kept_open(settings: Settings) -> Iterator[None]:
    """Keep a connection to the registry's file.

    Who closes the last one empties SQLite's write-ahead log and waits for the disk. Each run would,
    several times.
    """
    from odum_assets.registry.database import registry_url
    from odum_assets.registry.register import opened

    with ExitStack() as kept:
        # What is wrong with it each run says itself.
        with suppress(OdumError):
            if registry_url(settings).drivername == "sqlite":
                kept.enter_context(opened(settings))
        yield


def _lost(
    instance: dg.DagsterInstance,
    settings: Settings,
    task: _Task,
    code: int | None,
    *,
    is_canceled: bool,
) -> LaunchResult:
    """Return the result of a task whose process ended without one, and end its run."""
    text = f"the process of partition {task.partition} {ending_text(code)} before its run ended"
    run = instance.get_run_by_id(task.run_id)
    if run is not None and not run.is_finished:
        if is_canceled:
            instance.report_run_canceling(run, "The run was interrupted (Ctrl-C).")
            run = instance.get_run_by_id(run.run_id) or run
        fail_run(instance, run, text)
        register_ended_or_log(instance, load_project(settings), run.run_id)
    return LaunchResult(False, task.run_id, (("run", text),))


def _ignore(event: BackfillEvent) -> None:
    """Take an event that nobody wants."""
