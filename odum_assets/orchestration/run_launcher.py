"""A run launcher that forks the process of a run off one which has loaded what all runs need.

Dagster's own has the code server start an interpreter for each run, which loads Dagster, the graph
and NautilusTrader: seconds of processor time. It fails a run that is launched while a code server
is replaced, because a configuration changed. Here nothing of the code server is asked.
"""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from multiprocessing import Pipe
from pathlib import Path
from typing import Final

import dagster as dg
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.launcher import (
    CheckRunHealthResult,
    DefaultRunLauncher,
    LaunchRunContext,
    WorkerStatus,
)

from odum_assets.config import stats_of_configs
from odum_assets.orchestration.launch import fail_run
from odum_assets.orchestration.run_process import NotInterruptedError, ending_text, worker_of
from odum_assets.orchestration.run_server import Command, Sent, Shared
from odum_assets.settings import Settings, load_settings

_LOG: Final = logging.getLogger(__name__)

_PACKAGE: Final = "odum_assets"
_DEFINITIONS: Final = f"{_PACKAGE}.definitions"
_SERVER: Final = f"{_PACKAGE}.orchestration.launched_runs"


class ForkingRunLauncher(DefaultRunLauncher):
    """Start runs of our code location as processes that are forked off one server.

    The server ends with the process that launches runs, Dagster's daemon, and ends the runs with
    it. It is replaced for the next run once a configuration or the package itself has changed. Runs
    of other code locations are launched as Dagster does it.
    """

    def launch_run(self, context: LaunchRunContext) -> None:
        """Have the process of a run started; it has not begun when this returns."""
        run = context.dagster_run
        if not _is_ours(run):
            super().launch_run(context)
            return
        self._servers.start(self._instance, run)

    def terminate(self, run_id: str) -> bool:
        """Interrupt the process of a run; one that is being started ends before it does anything.

        Returns
        -------
        bool
            Whether the run will end; the log of the run says why not.
        """
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        if not _is_ours(run):
            return bool(super().terminate(run_id))  # type: ignore[no-untyped-call]
        # Before its process is asked for: the process says which one it is, and then looks here.
        self._instance.report_run_canceling(run)
        run = self._instance.get_run_by_id(run_id) or run
        worker = worker_of(run_id, run.tags)
        if worker is not None and worker.is_here and not worker.is_alive():
            fail_run(self._instance, run, "The process of this run is gone.")
        elif worker is not None:
            try:
                worker.interrupt()
            except NotInterruptedError as error:
                self._instance.report_engine_event(f"Not terminated: {error}", run)
                return False
        return True

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Return True: whether the process of a run lives can be asked on its own machine."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Return whether the process of a run is there; unknown ones are believed to be."""
        worker = worker_of(run.run_id, run.tags)
        if worker is None or not worker.is_here or worker.is_alive():
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, "The process of this run is gone.")

    def dispose(self) -> None:
        """End the runs that this process has launched."""
        if "_servers" in vars(self):
            self._servers.close()
        super().dispose()

    @cached_property
    def _servers(self) -> "_Servers":
        return _Servers()


def _is_ours(run: dg.DagsterRun) -> bool:
    """Return whether a run is of this package's code location, in this environment of Python."""
    if run.job_code_origin is None:
        return False
    origin = run.job_code_origin.repository_origin
    return (
        isinstance(origin.code_pointer, ModuleCodePointer)
        and origin.code_pointer.module == _DEFINITIONS
        and Path(origin.executable_path).parent == Path(sys.executable).parent
    )


class _Servers:
    """The server that the next run is forked off, and earlier ones whose runs have not ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._current: _Server | None = None
        self._retired: list[_Server] = []

    def start(self, instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
        """Have the process of a run forked off a server that has loaded what lies there now."""
        origin = run.remote_job_origin
        with self._lock:
            # Code servers have the variables that dagster.yaml loads as secrets. So have runs.
            instance.inject_env_vars(None if origin is None else origin.location_name)
            settings = load_settings()
            # What changes while the server loads it is seen at the next run.
            content = _content(settings)
            server = self._current
            if server is not None and (server.is_over or server.content != content):
                server.retire()
                self._retired = [other for other in (*self._retired, server) if not other.is_over]
                server = None
            self._current = server or _Server(instance, settings, content)
            self._current.start(run.run_id)

    def close(self) -> None:
        """End all of them and what they run."""
        with self._lock:
            for server in filter(None, (*self._retired, self._current)):
                server.close()
            self._current, self._retired = None, []


type _Content = tuple[dict[str, str], dict[str, tuple[int, int]]]


def _content(settings: Settings) -> _Content:
    """Return the variables that a server has, and time (ns) and size of each file that it loads."""
    return dict(os.environ), {**stats_of_configs(settings), **dict(_stats_of_package())}


def _stats_of_package() -> Iterator[tuple[str, tuple[int, int]]]:
    for folder, _, names in os.walk(Path(__file__).parents[1]):
        for name in names:
            if name.endswith(".py"):
                stat = os.stat(path := f"{folder}/{name}")  # noqa: PTH116 - hundreds of files
                yield path, (stat.st_mtime_ns, stat.st_size)


class _Server:
    """A process that runs are forked off, as the one that launches them sees it.

    Parameters
    ----------
    instance : dg.DagsterInstance
        Where the runs are.
    settings : Settings
        All paths.
    content : tuple
        What it loads (`_content`).
    """

    def __init__(self, instance: dg.DagsterInstance, settings: Settings, content: _Content) -> None:
        self.content = content
        self._instance = instance
        self._lock = threading.Lock()
        self._running: dict[int, str] = {}
        self._started = 0
        self._connection, theirs = Pipe()
        # A start of the interpreter: the daemon has threads, so nothing is forked off it.
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-m", _SERVER, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
        )
        theirs.close()
        shared = Shared(settings, instance.get_ref(), dict(os.environ), True, is_local=False)
        self._connection.send(shared)
        self._receiver = threading.Thread(target=self._receive, name="odum-runs", daemon=True)
        self._receiver.start()

    @property
    def is_over(self) -> bool:
        """Return whether its process is gone."""
        return self._process.poll() is not None

    def start(self, run_id: str) -> None:
        """Have a process forked for a run.

        Raises
        ------
        OSError
            If the server is gone; Dagster then fails the run.
        """
        with self._lock:
            self._started += 1
            self._running[self._started] = run_id
            try:
                self._connection.send((self._started, run_id))
            except OSError:
                del self._running[self._started]
                raise

    def retire(self) -> None:
        """Let it end as soon as its last run has."""
        with self._lock, suppress(OSError):
            self._connection.send(Command.END)

    def close(self) -> None:
        """End it and what it runs."""
        with self._lock, suppress(OSError):
            self._connection.send(Command.TERMINATE)
            self._connection.send(Command.END)
        self._process.wait()
        self._receiver.join()

    def _receive(self) -> None:
        """Fail each run whose process ends before it does, until the server is gone."""
        try:
            while True:
                sent: Sent = self._connection.recv()
                if sent.is_end:
                    with self._lock:
                        run_id = self._running.pop(sent.index)
                    self._end(run_id, f"The process of this run {ending_text(sent.exit_code)}.")
        except (EOFError, OSError):
            with self._lock:
                self._connection.close()
                lost, self._running = self._running, {}
        code = self._process.wait()
        for run_id in lost.values():
            self._end(run_id, f"The process that runs are forked off {ending_text(code)}.")

    def _end(self, run_id: str, text: str) -> None:
        try:
            run = self._instance.get_run_by_id(run_id)
            if run is not None and not run.is_finished:
                fail_run(self._instance, run, text)
        except Exception:  # noqa: BLE001 - the next check of the daemon sees that the process is gone
            _LOG.exception("%s: how its process ended could not be stored", run_id)
