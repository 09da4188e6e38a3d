"""Replays of tests in processes that have NautilusTrader loaded when they begin.

What a replay needs takes most of a second to load, and a test replays a day of a few rows. One
process loads it for all tests; each replay is a fork of it, as in a backfill. What `odum` does in
the place of it, a new interpreter, is left to tests of commands and of processes.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import IO, Any, NoReturn

from odum_assets.backtest import child
from odum_assets.backtest.child import Child
from odum_assets.backtest.parent_watchdog import end_with_parent

_MESSAGE_BYTES = 1 << 18
_NUMBER_BYTES = 16
_PRELOADED = (
    "odum_assets.backtest.bar_simulation",
    "odum_assets.backtest.sweep_worker",
    "odum_assets.backtest.worker",
)


@dataclass(slots=True)
class _Replay:
    """A replay's process: the part of `subprocess.Popen` that is needed."""

    pid: int
    _ended: int
    returncode: int | None = None
    _lock: Any = field(default_factory=Lock)

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._ended], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def kill(self) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        with self._lock:
            if self.returncode is None:
                if not select.select([self._ended], [], [], timeout)[0]:
                    raise subprocess.TimeoutExpired("replay", timeout or 0)
                self.returncode = int(os.read(self._ended, _NUMBER_BYTES))
                os.close(self._ended)
        return self.returncode


class WarmReplays:
    """The process that replays are forked off, as the one that asks sees it."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._cold = child._start
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno()), str(os.getpid())],
                pass_fds=(theirs.fileno(),),
                env=child._ALLOCATOR | os.environ,
            )

    def close(self) -> None:
        self._socket.close()
        assert self._process.wait(60) == 0

    @contextmanager
    def used(self) -> Iterator[None]:
        """Have replays of this process begin there."""
        child._start, cold = self.start, child._start
        try:
            yield
        finally:
            child._start = cold

    def start(
        self,
        module: str,
        printed: IO[Any] | int | None,
        *,
        own_group: bool,
        task: Sequence[str] = (),
    ) -> Child:
        """Do what `child._start` does."""
        if printed is None:  # It has the terminal.
            return self._cold(module, printed, own_group=own_group, task=task)
        if printed == subprocess.DEVNULL:
            with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a descriptor
                return self._ask(module, nowhere.fileno(), own_group=own_group)
        assert not isinstance(printed, int)
        return self._ask(module, printed.fileno(), own_group=own_group)

    def _ask(self, module: str, output: int, *, own_group: bool) -> Child:
        reading, writing = os.pipe()
        task, giving = os.pipe()
        ended, ending = os.pipe()
        asked = {
            "module": f"odum_assets.backtest.{module}",
            "own_group": own_group,
            "folder": str(Path.cwd()),
            "environment": dict(child._ALLOCATOR | os.environ),
        }
        theirs = [task, output, writing, ending]
        socket.send_fds(self._socket, [json.dumps(asked).encode()], theirs)
        for descriptor in (task, writing, ending):
            os.close(descriptor)
        # On a pipe of its own: a test that is interrupted here takes no other's answer.
        replay: Any = _Replay(int(os.read(ended, _NUMBER_BYTES)), ended)
        return Child(replay, os.fdopen(giving, "wb"), reading)


def _serve(asking: socket.socket) -> NoReturn:
    """Fork a replay for each message, and tell how each ends."""
    woken, waking = os.pipe()
    os.set_blocking(waking, False)
    signal.set_wakeup_fd(waking)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running: dict[int, int] = {}
    while True:
        ready = select.select([asking, woken], [], [])[0]
        if woken in ready:
            os.read(woken, 4_096)
            _tell_ends(running)
        if asking not in ready:
            continue
        message, given, _, _ = socket.recv_fds(asking, _MESSAGE_BYTES, 4)
        if not message:
            os._exit(0)
        process = os.fork()
        if process == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for descriptor in (asking.fileno(), woken, waking, *running.values()):
                os.close(descriptor)
            _replay(json.loads(message), *given)
        *others, running[process] = given
        os.write(running[process], str(process).rjust(_NUMBER_BYTES).encode())
        for descriptor in others:
            os.close(descriptor)


def _tell_ends(running: dict[int, int]) -> None:
    while running:
        process, status = os.waitpid(-1, os.WNOHANG)
        if process == 0:
            return
        ending = running.pop(process)
        with suppress(BrokenPipeError):
            os.write(ending, str(os.waitstatus_to_exitcode(status)).encode())
        os.close(ending)


def _replay(asked: dict[str, Any], task: int, output: int, messages: int, ending: int) -> NoReturn:
    """Be the process that `python -m` would start."""
    code = 1
    try:
        server = os.getppid()
        if asked["own_group"]:
            os.setsid()
        os.dup2(task, 0)
        for standard in (1, 2):
            os.dup2(output, standard)
        for descriptor in (task, output, ending):
            os.close(descriptor)
        os.environ.clear()
        os.environ.update(asked["environment"])
        time.tzset()
        os.chdir(asked["folder"])
        named = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
        sys.path[0:1] = [asked["folder"], *named]
        module = sys.modules[asked["module"]]
        sys.argv = [str(module.__file__), str(messages), str(server)]
        code = module.main(sys.argv[1:]) or 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - as at the end of any process
        traceback.print_exc()
    finally:
        _end(code)


def _end(code: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code)


def _load(names: Sequence[str], before: Callable[[], None]) -> None:
    before()
    for name in ("pandas", *names):
        import_module(name)


def main(arguments: list[str]) -> None:
    """Load what replays need and wait for them."""
    from odum_assets.catalog.arrow import leave_pandas_out

    end_with_parent(int(arguments[1]))
    # The threads are those of Arrow and NumPy, which know of forks.
    warnings.filterwarnings("ignore", ".*multi-threaded, use of fork", DeprecationWarning)
    # As a replay does: Arrow knows no pandas, NautilusTrader does.
    _load(_PRELOADED, leave_pandas_out)
    _serve(socket.socket(fileno=int(arguments[0])))


if __name__ == "__main__":
    main(sys.argv[1:])
