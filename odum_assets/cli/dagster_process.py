"""The one `dagster dev` of a folder: started, found by other commands, ended with who started it.

What belongs here: its command, its keeper, and the note that says where it runs. A second daemon on
the same instance would start runs a second time, so there is one, and a lock guards that. The
keeper is a small process of its own (`python -m odum_assets.cli.dagster_process`): it holds the
lock, and ends Dagster with all its children when the pipe from its parent closes, also when that
was killed. What does not belong here: what a person is told (``dev``, ``serve``).
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final, NamedTuple, Self

from odum_assets.cli.servers import shown

_PATIENCE_S: Final = 20.0
"""How long Dagster may take to end by itself; a run under way is stopped then."""

_LOOK_EVERY_S: Final = 0.1
_TAKEN: Final = 75
"""Exit code of a keeper that found another one."""


class Note(NamedTuple):
    """What the lock file says of the Dagster that runs: its address, and its process group."""

    url: str
    group: int


class DagsterProcess:
    """A `dagster dev` that ends with this process.

    Parameters
    ----------
    host : str
        Address to listen on.
    port : int
        Port of its UI.
    log_level : str
        What of its log is shown.
    """

    def __init__(self, host: str, port: int, log_level: str = "info") -> None:
        command, environment = _command(host, port)
        command += ["--log-level", log_level]
        lock = _lock()
        given = json.dumps([str(lock), f"http://{shown(host, port)}", command])
        self._keeper = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", __name__, given],
            env=environment,
            stdin=subprocess.PIPE,
            # Ctrl-C in a terminal reaches the parent alone, which ends the keeper in its turn.
            start_new_session=True,
        )
        self._lock = lock
        self._stopping = False

    def wait(self) -> int:
        """Wait for its end and return its exit code; a signal as a negative number."""
        code = self._keeper.wait()
        if code < 0 and (left := _read(self._lock)) is not None:
            _end_group(left.group)
        return code

    def stop(self) -> None:
        """Ask it to end; `wait` tells when it has."""
        self._stopping = True
        assert self._keeper.stdin is not None  # noqa: S101 - it was opened as a pipe
        with contextlib.suppress(BrokenPipeError):
            self._keeper.stdin.close()

    @property
    def was_stopped(self) -> bool:
        """Return whether it was asked to end."""
        return self._stopping

    def death(self, code: int) -> str:
        """Return what there is to say when it ended by itself."""
        if code == _TAKEN:
            return "the Dagster of this folder runs already"
        return f"dagster dev ended with exit code {code}; its last lines are above"

    def __enter__(self) -> Self:
        """Keep it running."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.stop()
        self.wait()


def running_here() -> Note | None:
    """Return where the Dagster of this folder runs, None when none does.

    One that is ending just now is waited for.
    """
    from odum_assets.storage.locks import is_held

    lock = _lock()
    deadline = time.monotonic() + 2 * _PATIENCE_S
    while is_held(lock) and time.monotonic() < deadline:
        note = _read(lock)
        if note is not None:
            return note
        time.sleep(_LOOK_EVERY_S)
    return None


def _command(host: str, port: int) -> tuple[list[str], dict[str, str]]:
    """Return the command that runs Dagster on the instance of this folder, and its environment."""
    environment = dict(os.environ)
    # The token of the service is nothing that Dagster or a strategy needs to know.
    environment.pop("ODUM_API_TOKEN", None)
    # It advises another command, which is made for other projects than this one.
    quiet = "ignore:Function `dev_command` is superseded"
    environment["PYTHONWARNINGS"] = ",".join(
        filter(None, [environment.get("PYTHONWARNINGS"), quiet])
    )
    command = [sys.executable, "-m", "dagster", "dev", "--host", host, "--port", str(port)]
    if not Path("workspace.yaml").is_file():
        command += ["-m", "odum_assets.definitions"]
    if not environment.get("DAGSTER_HOME") and not Path("dagster.yaml").is_file():
        # The state that the other commands use here; Dagster would make a temporary one.
        _state().mkdir(exist_ok=True)
        environment["DAGSTER_HOME"] = str(_state())
    return command, environment


def _state() -> Path:
    """Return where the state of this folder's Dagster instance lies."""
    home = os.environ.get("DAGSTER_HOME")
    return Path(home).absolute() if home else Path(".dagster").absolute()


def _lock() -> Path:
    """Return the lock that is held while a `dagster dev` runs on this folder's instance."""
    return _state() / "dev.lock"


def _end_group(group: int) -> None:
    """End every process of a group, kindly first."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + _PATIENCE_S
        try:
            os.killpg(group, sign)
            while time.monotonic() < deadline:
                os.killpg(group, 0)
                time.sleep(_LOOK_EVERY_S)
        except ProcessLookupError:
            return


def _read(lock: Path) -> Note | None:
    try:
        return Note(**json.loads(lock.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _keep(lock: Path, url: str, command: list[str]) -> int:
    """Run Dagster until it ends or the parent is gone, and leave none of its processes behind."""
    import fcntl

    lock.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _TAKEN
    os.ftruncate(descriptor, 0)
    ending = threading.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda _number, _frame: ending.set())
    child = subprocess.Popen(  # noqa: S603 - our own interpreter
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        # Dagster takes over how SIGINT is handled: it must not inherit that it is ignored.
        preexec_fn=_listen_to_interrupts,  # noqa: PLW1509 - there is one thread yet
    )
    os.pwrite(descriptor, json.dumps(Note(url, child.pid)._asdict()).encode(), 0)

    def watch_parent() -> None:
        while sys.stdin.buffer.read(1):
            pass
        ending.set()

    threading.Thread(target=watch_parent, daemon=True).start()
    while child.poll() is None and not ending.wait(_LOOK_EVERY_S):
        pass
    # From here on nobody should start to use it.
    os.ftruncate(descriptor, 0)
    if child.poll() is None:
        child.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_PATIENCE_S)
    _end_group(child.pid)
    code = child.wait()
    return code if code >= 0 else 128 - code


def _listen_to_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


if __name__ == "__main__":
    given_lock, given_url, given_command = json.loads(sys.argv[1])
    sys.exit(_keep(Path(given_lock), given_url, given_command))
