"""The process that runs are forked off, which has done once what all of them need.

It has loaded Dagster and NautilusTrader, read the configurations, built the graph and opened the
instance. Each run still has a process of its own: it starts within milliseconds, and its death is
nobody else's. The server has one thread, so that it can be forked at any time.
"""

import gc
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from odum_assets.backtest.bar_strategies import bar_strategy_path
from odum_assets.backtest.compiled import load_compiled
from odum_assets.backtest.strategies.sources import StrategySources, strategy_path
from odum_assets.config import LoadedConfig
from odum_assets.errors import OdumError
from odum_assets.orchestration.dagster_sqlite import (
    close_connections,
    prepare_empty_file,
    repeat_less,
)
from odum_assets.orchestration.launch import Graph, load_graph
from odum_assets.settings import Settings

if TYPE_CHECKING:
    from dagster._core.instance.ref import InstanceRef

type RunTask = Callable[[dg.DagsterInstance, Graph, Any, Connection], None]
"""What a forked process does with its task; what it sends is passed on."""

PRELOADED: Final = (
    "dagster._core.execution.plan.active",
    "dagster._core.executor.in_process",
    "dagster._core.instance.runs.run_domain",
    "dagster._core.storage.noop_compute_log_manager",
    "dagster._core.storage.sqlite_storage",
    "dagster._core.system_config.composite_descent",
    "fsspec.implementations.local",
    "odum_assets.catalog.convert",
    "odum_assets.backtest.figures",
    "odum_assets.backtest.kernel_run",
    "odum_assets.registry.pending",
    "odum_assets.results.run",
    "pyarrow.acero",
    "pyarrow.dataset",
)
"""What is loaded once: Dagster with its store, and pyarrow."""

REPLAY_WORKER: Final = "odum_assets.backtest.worker"
PRELOADED_FOR_REPLAYS: Final = (
    REPLAY_WORKER,
    # NautilusTrader imports them for its first run.
    "nautilus_trader.core.datetime",
    "uvloop",
)
"""What is loaded besides where something is replayed. The process of each backtest is forked off
that of its day."""

GRACE_SECS: Final = 20.0
"""Seconds between SIGTERM and SIGKILL."""


class Command(Enum):
    """A message to the server that is not a task."""

    TERMINATE = "end all that runs"
    END = "end when nothing runs any more"


@dataclass(frozen=True, slots=True)
class Sent:
    """Something that the process of a task sent, or its exit code (a signal as a negative number).

    ``index`` is the task's number.
    """

    index: int
    content: object = None
    exit_code: int | None = None

    @property
    def is_end(self) -> bool:
        """Return whether the process is gone."""
        return self.exit_code is not None


@dataclass(frozen=True, slots=True)
class Shared:
    """What all runs of a server have in common.

    Parameters
    ----------
    settings : Settings
        All paths.
    instance : InstanceRef
        The Dagster instance.
    environment : dict[str, str]
        Of the process that asked.
    replays : bool
        Whether any of them replays.
    is_local : bool
        Of their `Project`.
    """

    settings: Settings
    instance: "InstanceRef"
    environment: dict[str, str]
    replays: bool
    is_local: bool = True


def serve(connection: Connection, shared: Shared, run: RunTask) -> None:
    """Fork a process for each task ``(index, task)`` that comes, and pass on what these send.

    A `Command` may come in place of a task. The server ends, and its processes with it, when nobody
    holds the other end any more.
    """
    # Ctrl-C in a terminal is for who asked.
    os.setpgid(0, 0)
    os.environ.update(shared.environment)
    with repeat_less(), dg.DagsterInstance.from_ref(shared.instance) as instance:
        prepare_empty_file(instance)
        graph = _prepared(shared, instance)
        close_connections()
        if shared.replays:
            load_compiled()
            _parse_strategies(graph.project.configs)
        # What is loaded stays: collections in the runs neither look at it nor copy its pages.
        gc.collect()
        gc.freeze()
        with suppress(EOFError, BrokenPipeError):
            _Server(connection, lambda task, sender: run(instance, graph, task, sender)).loop()


def _prepared(shared: Shared, instance: dg.DagsterInstance) -> Graph:
    """Return the graph, built; what is wrong with it each run says itself."""
    graph = load_graph(shared.settings, is_local=shared.is_local)
    with suppress(OdumError):
        graph.definitions.resolve_all_job_defs()
        # SQLAlchemy and Dagster's storages have loaded what they need at their first query.
        instance.get_runs(limit=1)
    return graph


def _parse_strategies(configs: Sequence[LoadedConfig]) -> None:
    """Parse the sources of strategies: a run reads them again, and parses only what changed."""
    paths = set()
    for loaded in configs:
        # What is wrong with a configuration its runs say.
        with suppress(OdumError):
            paths.add(
                strategy_path(loaded.ticks.strategy)
                if loaded.bars is None
                else bar_strategy_path(loaded.bars.strategy.name)
            )
    StrategySources(sorted(paths))


class _Server:
    """The processes that run, by the end on which they send."""

    def __init__(self, connection: Connection, run: Callable[[Any, Connection], None]) -> None:
        self._connection = connection
        self._run = run
        self._running: dict[Connection, tuple[int, BaseProcess]] = {}
        self._ending: set[Connection] = set()
        self._is_last = False
        self._kill_at = 0.0

    def loop(self) -> None:
        """Serve until the other end is closed or wants it; then end what runs."""
        try:
            while self._running or not self._is_last:
                for ready in wait([self._connection, *self._running], self._remaining_secs()):
                    if ready is self._connection:
                        self._obey()
                    elif isinstance(ready, Connection):
                        self._pass_on(ready)
                self._kill_late()
        finally:
            self._terminate()
            for _, process in self._running.values():
                process.join(self._remaining_secs())
            self._kill_late()

    def _obey(self) -> None:
        command = self._connection.recv()
        if command is Command.TERMINATE:
            self._terminate()
            return
        if command is Command.END:
            self._is_last = True
            return
        index, task = command
        context = get_context("fork")
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=self._child, args=(task, sender))
        process.start()
        # Only the child holds the sending end now: its death ends the stream.
        sender.close()
        self._running[receiver] = index, process

    def _child(self, task: Any, sender: Connection) -> None:  # noqa: ANN401 - who asked knows
        self._connection.close()
        for receiver in self._running:
            receiver.close()
        try:
            self._run(task, sender)
        finally:
            # The last one that closes a file of SQLite empties its write-ahead log.
            close_connections()
            sender.close()

    def _pass_on(self, receiver: Connection) -> None:
        index, process = self._running[receiver]
        try:
            sent = Sent(index, receiver.recv())
        except EOFError:
            del self._running[receiver]
            self._ending.discard(receiver)
            receiver.close()
            process.join()
            sent = Sent(index, exit_code=process.exitcode)
            process.close()
        self._connection.send(sent)

    def _terminate(self) -> None:
        for _, process in self._running.values():
            process.terminate()
        self._ending = set(self._running)
        self._kill_at = time.monotonic() + GRACE_SECS

    def _remaining_secs(self) -> float | None:
        """Return the seconds until terminated processes are killed; None if there are none."""
        return max(0.0, self._kill_at - time.monotonic()) if self._ending else None

    def _kill_late(self) -> None:
        """Kill terminated processes that still run: a strategy or library may ignore SIGTERM."""
        if self._ending and time.monotonic() >= self._kill_at:
            for receiver in self._ending:
                self._running[receiver][1].kill()
            self._ending = set()
