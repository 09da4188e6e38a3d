"""Several partitions side by side, each in a process of its own.

The processes come from a fork server that has Dagster loaded already, so that a run starts within
a fraction of a second. A run whose process dies, by whatever signal, is reported and marked as
failed; the other partitions go on.
"""

import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.forkserver import ensure_running
from typing import TYPE_CHECKING, Any, Final, Literal

import dagster as dg

from odum_assets.backtest.child import forked_ahead
from odum_assets.errors import OdumError
from odum_assets.orchestration.ended_runs import register_ended_or_log
from odum_assets.orchestration.launch import (
    Config,
    Key,
    LaunchResult,
    fail_run,
    load_graph,
    materialize,
)
from odum_assets.orchestration.project import load_project
from odum_assets.settings import Settings

if TYPE_CHECKING:
    from dagster._core.instance.ref import InstanceRef

_PRELOAD: Final = [
    __name__,
    "dagster._core.storage.sqlite_storage",
    "fsspec.implementations.local",
    "odum_assets.catalog.convert",
    "odum_assets.results.run",
]
_WORKER: Final = "odum_assets.backtest.worker"
"""What the fork server loads once: Dagster with its store, and pyarrow; and NautilusTrader, where
something is replayed. The process of each backtest is forked off that of its day."""


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

    index: int
    settings: Settings
    instance: "InstanceRef"
    environment: dict[str, str]
    keys: tuple[tuple[str, ...], ...]
    partition: str
    config: dict[tuple[str, ...], dict[str, object]]
    job: str | None
    tags: dict[str, str]
    run_id: str


@dataclass(slots=True)
class _Running:
    task: _Task
    process: Any
    receiver: Connection
    messages: list[Any] = field(default_factory=list)


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
        All paths; each process reads the configurations itself.
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
    waiting = deque(
        _Task(
            index=index,
            settings=settings,
            instance=instance.get_ref(),
            environment=dict(os.environ),
            keys=tuple(tuple(key) for key in work.keys),
            partition=work.partition,
            config={key: dict(values) for key, values in work.config.items()},
            job=job,
            tags={**(tags or {}), **work.tags, "odum/backfill": backfill_id},
            run_id=make_new_run_id(),
        )
        for index, work in enumerate(works)
    )
    _preload(waiting)
    tell = on_event or _ignore
    running: list[_Running] = []
    results: dict[int, LaunchResult] = {}
    try:
        while waiting or running:
            while waiting and len(running) < max(slots, 1):
                running.append(_start(waiting.popleft()))
                tell(_event(running[-1], "started"))
            wait([process.receiver for process in running])
            for process in [process for process in running if process.receiver.poll()]:
                message = _receive(process)
                if isinstance(message, str):
                    tell(_event(process, "step", step=message))
                    continue
                running.remove(process)
                result = _finish(instance, settings, process, message)
                results[process.task.index] = result
                tell(_event(process, "finished", result=result))
    finally:
        # Something was raised, such as Ctrl-C.
        for process in running:
            process.process.terminate()
        for process in running:
            _finish(instance, settings, process, _last_message(process), is_canceled=True)
    return [results[index] for index in range(len(works))]


def _event(
    running: "_Running",
    kind: Literal["started", "step", "finished"],
    step: str = "",
    result: LaunchResult | None = None,
) -> BackfillEvent:
    return BackfillEvent(running.task.index, running.task.partition, kind, step, result)


def run_task(task: _Task, sender: Connection) -> None:
    """Make one partition in this process and send steps (text) and the result."""
    # Ctrl-C in a terminal is for the parent, which then stops each of its processes once.
    os.setpgid(0, 0)
    os.environ.update(task.environment)
    with _replay_ahead(task):
        _run(task, sender)
    sender.close()


def _replay_ahead(task: _Task) -> AbstractContextManager[None]:
    """Fork the process that replays, as long as this one has one thread."""
    worker = sys.modules.get(_WORKER)
    if worker is None or not _replays(task):
        return nullcontext()
    return forked_ahead(worker.main)


def _run(task: _Task, sender: Connection) -> None:
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    with dg.DagsterInstance.from_ref(task.instance) as instance:
        try:
            result = materialize(
                instance,
                load_graph(task.settings),
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


def _stop_with_parent() -> None:
    """Stop as Ctrl-C would when the process that wants the result has died."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _send_step(sender: Connection, event: dg.DagsterEvent) -> None:
    if event.event_type is dg.DagsterEventType.STEP_START and event.step_key is not None:
        sender.send(event.step_key.replace("__", "/"))


def _replays(task: _Task) -> bool:
    return any(key[0] == "backtest" and key[-1] == "result" for key in task.keys)


def _preload(tasks: Iterable[_Task]) -> None:
    """Say what the fork server loads; one that runs already stays as it is."""
    worker = [_WORKER] if any(map(_replays, tasks)) else []
    get_context("forkserver").set_forkserver_preload([*_PRELOAD, *worker])


def _start(task: _Task) -> _Running:
    context = get_context("forkserver")
    with _interrupts_ignored():
        # What the server starts with, its processes do: until a run begins they say nothing of it.
        ensure_running()
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=run_task, args=(task, sender), name=f"odum-{task.partition}")
    process.start()
    # Only the child holds the sending end now: its death ends the stream.
    sender.close()
    return _Running(task, process, receiver)


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Have processes that are started inside ignore Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _last_message(running: _Running) -> object:
    """Return the result that a process still sends, None if it ends without one."""
    while isinstance(message := _receive(running), str):
        pass
    return message


def _receive(running: _Running) -> object:
    try:
        return running.receiver.recv()
    except EOFError:
        return None


def _finish(
    instance: dg.DagsterInstance,
    settings: Settings,
    running: _Running,
    message: object,
    *,
    is_canceled: bool = False,
) -> LaunchResult:
    """Wait for the process; a result that it did not send is made from how it ended."""
    running.process.join()
    running.receiver.close()
    code = running.process.exitcode
    running.process.close()
    if isinstance(message, LaunchResult):
        return message
    ended = (
        f"was killed by signal {-code}" if code is not None and code < 0 else f"ended with {code}"
    )
    text = f"the process of partition {running.task.partition} {ended} before its run ended"
    run = instance.get_run_by_id(running.task.run_id)
    if run is not None and not run.is_finished:
        if is_canceled:
            instance.report_run_canceling(run, "The run was interrupted (Ctrl-C).")
            run = instance.get_run_by_id(run.run_id) or run
        fail_run(instance, run, text)
        register_ended_or_log(instance, load_project(settings), run.run_id)
    return LaunchResult(False, running.task.run_id, (("run", text),))


def _ignore(event: BackfillEvent) -> None:
    """Take an event that nobody wants."""
