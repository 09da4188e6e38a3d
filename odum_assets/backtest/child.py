"""Starting the processes that replay, also before it is known what they are to replay.

NautilusTrader takes about a second to load. A command that is going to run a backtest lets the
process of the run load it while it loads Dagster itself. Nothing heavy is imported here.
"""

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, NoReturn

_WORKER = "worker"
# The pipe of its messages and its parent.
_WAITING_ARGUMENTS = 2
_PIPE_BYTES = 65_536
# Chunks of market data come and go by tens of megabytes: glibc would give their pages back each
# time, and the kernel zero them again. Other allocators do not look at these.
_MMAP_THRESHOLD, _TRIM_THRESHOLD = 256 << 20, 512 << 20
_ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(_MMAP_THRESHOLD),
    "MALLOC_TRIM_THRESHOLD_": str(_TRIM_THRESHOLD),
}
# The same of a process that runs already: numbers of glibc's mallopt.
_MALLOPT: Final = ((-3, _MMAP_THRESHOLD), (-1, _TRIM_THRESHOLD))
_SET_NAME: Final = 15  # PR_SET_NAME of Linux' prctl


@dataclass(slots=True)
class ForkedProcess:
    """A process that was forked off this one; the part of `subprocess.Popen` that is needed."""

    pid: int
    returncode: int | None = None

    def kill(self) -> None:
        """Kill it, unless it was seen to have ended."""
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Return its exit code, a signal as a negative number."""
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode


type Process = subprocess.Popen[bytes] | ForkedProcess


@dataclass(frozen=True, slots=True)
class Child:
    """A process that replays, the pipe of its task, and the reading end of that of its messages."""

    process: Process
    task: IO[bytes] | None
    messages: int

    def give(self, plans: Path, log: Path) -> bool:
        """Say what is to be replayed and where output goes; return whether it was there to hear."""
        if self.task is None:
            raise AssertionError("a process that has its task already")
        try:
            with self.task:
                asked = {"plans": str(plans), "log": str(log)}
                self.task.write(f"{json.dumps(asked)}\n".encode())
        except BrokenPipeError:
            return False
        return True

    def ask(self, strategies: str, timeout_s: float) -> str | None:
        """Return what a process without a task answers; None where it ended.

        Raises
        ------
        TimeoutError
            If it takes too long.
        """
        if self.task is None:
            raise AssertionError("a process that has its task already")
        answer, ends_at = b"", time.monotonic() + timeout_s
        try:
            self.task.write(f"{json.dumps({'strategies': strategies})}\n".encode())
            self.task.flush()
        except BrokenPipeError:
            return None
        while not answer.endswith(b"\n"):
            seconds = max(0.0, ends_at - time.monotonic())
            if not select.select([self.messages], [], [], seconds)[0]:
                raise TimeoutError
            part = os.read(self.messages, _PIPE_BYTES)
            if not part:
                return None
            answer += part
        return answer.decode()

    def end(self) -> None:
        """End a process that has no task, and close what belongs to it."""
        self.process.kill()
        self.process.wait()
        if self.task is not None:
            self.task.close()
        os.close(self.messages)


_waiting: list[Child] = []
"""The process that was started for a run to come; one at most."""

_foreground: ContextVar[bool] = ContextVar("odum_replay_in_the_foreground", default=False)
"""Whether replays have the terminal of this process."""


@contextmanager
def in_the_foreground() -> Iterator[None]:
    """Let single replays in this context have the terminal, so that a debugger can be used."""
    token = _foreground.set(True)
    try:
        yield
    finally:
        _foreground.reset(token)


@contextmanager
def started_ahead() -> Iterator[None]:
    """Have the process of the next single run load NautilusTrader from now on.

    When the context ends without a run, so does the process. It has the current folder and
    environment of now.
    """
    with _waits(_start(_WORKER, subprocess.DEVNULL, own_group=False)):
        yield


@contextmanager
def forked_ahead(run: Callable[[list[str]], None]) -> Iterator[None]:
    """Fork the process of the next single run off this one, which has loaded what a replay needs.

    Call it while this process has one thread. When the context ends without a run, so does the
    process.

    Parameters
    ----------
    run : Callable
        What the process does, given its arguments: ``worker.main``.
    """
    with _waits(_fork(run)):
        yield


@contextmanager
def _waits(child: Child) -> Iterator[None]:
    _waiting.append(child)
    try:
        yield
    finally:
        while _waiting:
            _waiting.pop().end()


def ask_waiting(strategies: str, timeout_s: float) -> str | None:
    """Return what the process that was started ahead says of strategies.

    Parameters
    ----------
    strategies : str
        Import paths and parameters, as JSON in one line.
    timeout_s : float
        Seconds that the answer may take; the process is ended when they are over.

    Returns
    -------
    str or None
        The answer; None where no process waits, or where it ended.

    Raises
    ------
    TimeoutError
        If it takes too long.
    """
    if not _waiting:
        return None
    answer = None
    try:
        answer = _waiting[-1].ask(strategies, timeout_s)
    finally:
        if answer is None:
            _waiting.pop().end()
    return answer


def start_child(module: str, plans: Path, log: Path, *, own_group: bool) -> Child:
    """Start a process that replays plans, or take the one that was started ahead.

    Parameters
    ----------
    module : str
        Module of this package that runs in it.
    plans : Path
        File of what it is to replay.
    log : Path
        Where its output goes.
    own_group : bool
        Whether it leads a process group, so that one signal ends it with its children.
    """
    log.touch()
    if module == _WORKER and _foreground.get():
        return _start(module, None, own_group=own_group, task=[str(plans)])
    if module == _WORKER and _waiting:
        child = _waiting.pop()
        if child.give(plans, log):
            return child
        child.end()
    with log.open("wb") as printed:
        child = _start(module, printed, own_group=own_group)
    # One that is gone already has said why in its log.
    child.give(plans, log)
    return child


def _no_answer(_strategies: str) -> str:
    raise AssertionError("this process is not started ahead, and nobody asks it")


def await_task(
    arguments: list[str], answer: Callable[[str], str] = _no_answer
) -> tuple[Path, Path | None]:
    """Return the file of what this process is to replay, and its log.

    Output goes to the log from then on; one in the foreground has none. The process ends where
    nobody has a task for it.

    Parameters
    ----------
    arguments : list of str
        Of the process; the file of one in the foreground is among them.
    answer : Callable
        Says in one line whether strategies can be run, which may be asked before there is a task.
    """
    if len(arguments) > _WAITING_ARGUMENTS:
        return Path(arguments[-1]), None
    with open(0, encoding="utf-8", closefd=False) as given:
        while (line := given.readline()) and "strategies" in (asked := json.loads(line)):
            os.write(int(arguments[0]), f"{answer(asked['strategies'])}\n".encode())
    if not line:
        os._exit(0)
    plans, log = asked["plans"], asked["log"]
    with open(log, "ab") as printed, open(os.devnull, "rb") as nothing:  # noqa: PTH123 - descriptors
        os.dup2(nothing.fileno(), 0)
        for descriptor in (1, 2):
            os.dup2(printed.fileno(), descriptor)
    return Path(plans), Path(log)


def _start(
    module: str, printed: IO[Any] | int | None, *, own_group: bool, task: Sequence[str] = ()
) -> Child:
    """Start a process that waits for its task, or one in the foreground that has it."""
    reading, writing = os.pipe()
    own = [str(writing), str(os.getpid()), *task]
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", f"{__package__}.{module}", *own],
        stdin=None if task else subprocess.PIPE,
        stdout=printed,
        stderr=printed,
        pass_fds=(writing,),
        env=_ALLOCATOR | os.environ,
        start_new_session=own_group,
    )
    os.close(writing)
    return Child(process, process.stdin, reading)


def _fork(run: Callable[[list[str]], None]) -> Child:
    reading, writing = os.pipe()
    task, giving = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        os.dup2(task, 0)
        for descriptor in (task, giving, reading):
            os.close(descriptor)
        _run_forked(run, [str(writing), str(parent)])
    os.close(task)
    os.close(writing)
    return Child(ForkedProcess(pid), os.fdopen(giving, "wb"), reading)


def _run_forked(run: Callable[[list[str]], None], arguments: list[str]) -> NoReturn:
    """Run and end this process: nothing of the one that it was forked off may go on in it."""
    code = 1
    try:
        if sys.platform == "linux":
            library = ctypes.CDLL(None)
            library.prctl(_SET_NAME, b"backtest.worker", 0, 0, 0)
            for number, value in _MALLOPT:
                library.mallopt(number, value)
        run(arguments)
        code = 0
    except BaseException:  # noqa: BLE001 - as at the end of any process
        traceback.print_exc(file=sys.__stderr__)
    finally:
        os._exit(code)
