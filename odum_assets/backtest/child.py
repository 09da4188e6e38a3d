"""Starting the processes that replay, also before it is known what they are to replay.

NautilusTrader takes about a second to load. A command that is going to run a backtest lets the
process of the run load it while it loads Dagster itself. Nothing heavy is imported here.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

_WORKER = "worker"
# The pipe of its messages and its parent.
_WAITING_ARGUMENTS = 2
# Chunks of market data come and go by tens of megabytes: glibc would give their pages back each
# time, and the kernel zero them anew. Other allocators do not look at these.
_ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(256 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(512 << 20),
}


@dataclass(frozen=True, slots=True)
class Child:
    """A process that replays, and the reading end of the pipe of its messages."""

    process: "subprocess.Popen[bytes]"
    messages: int

    def give(self, plans: Path, log: Path) -> bool:
        """Say what is to be replayed and where output goes; return whether it was there to hear."""
        pipe = self.process.stdin
        if pipe is None:
            raise AssertionError("a process that has its task already")
        try:
            pipe.write(f"{json.dumps([str(plans), str(log)])}\n".encode())
            pipe.close()
        except BrokenPipeError:
            return False
        return True

    def end(self) -> None:
        """End a process that has no task, and close what belongs to it."""
        self.process.kill()
        self.process.communicate()
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
    _waiting.append(_start(_WORKER, subprocess.DEVNULL, own_group=False))
    try:
        yield
    finally:
        while _waiting:
            _waiting.pop().end()


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


def await_task(arguments: list[str]) -> tuple[Path, Path | None]:
    """Return the file of what this process is to replay, and its log.

    Output goes to the log from then on; one in the foreground has none. The process ends where
    nobody has a task for it.

    Parameters
    ----------
    arguments : list of str
        Of the process; the file of one in the foreground is among them.
    """
    if len(arguments) > _WAITING_ARGUMENTS:
        return Path(arguments[-1]), None
    line = sys.stdin.readline()
    if not line:
        os._exit(0)
    plans, log = json.loads(line)
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
    return Child(process, reading)
