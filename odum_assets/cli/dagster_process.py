"""The one Dagster of a folder: started, found by other commands, ended with who started it.

What belongs here: its command, its supervisor, and the pidfile that says where it runs. A second
daemon on the same instance would start runs a second time, so there is one, and a lock guards that.
The supervisor is a small process of its own (`python -m odum_assets.cli.dagster_process`): it holds
the lock, and ends Dagster with all its children when the pipe from its parent closes, also when
that was killed. Dagster listens on no port: the sockets of its webserver and of its code servers
are in a temporary folder that only this user may enter, which the supervisor removes in the end.
What does not belong here: messages for people (``dev``, ``serve``).
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple, Self

_TIMEOUT_S: Final = 20.0
"""How long Dagster may take to end by itself; an active run is stopped then."""

_POLL_INTERVAL_S: Final = 0.1
_MAX_FOLDER_LENGTH: Final = 60
"""Names of Unix sockets have some hundred characters at most (sun_path)."""

_TAKEN: Final = 75
"""Exit code of a supervisor when another one runs."""


class Pidfile(NamedTuple):
    """What the lock file says of the Dagster that runs.

    Its UI as who started it serves it, its process group, and the socket of its webserver.
    """

    url: str
    group: int
    socket: str


class DagsterProcess:
    """A Dagster that ends with this process.

    Parameters
    ----------
    url : str
        Address of its UI, for who asks where it runs.
    log_level : str
        What of its log is shown.
    """

    def __init__(self, url: str, log_level: str = "info") -> None:
        command, environment = _command(log_level)
        lock = pidfile_path()
        given = json.dumps([str(lock), url, command])
        self._supervisor = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", __name__, given],
            env=environment,
            stdin=subprocess.PIPE,
            # Ctrl-C in a terminal reaches the parent alone, which ends the supervisor in turn.
            start_new_session=True,
        )
        self._lock = lock

    def wait(self) -> int:
        """Wait for its end and return its exit code; a signal as a negative number."""
        code = self._supervisor.wait()
        if code < 0 and (left := _read(self._lock)) is not None:
            _end_group(left.group)
        return code

    def stop(self) -> None:
        """Ask it to end; `wait` tells when it has."""
        assert self._supervisor.stdin is not None  # noqa: S101 - it was opened as a pipe
        with contextlib.suppress(BrokenPipeError):
            self._supervisor.stdin.close()

    def death(self, code: int) -> str:
        """Return what there is to say when it ended by itself."""
        if code == _TAKEN:
            return "Dagster already runs in this folder"
        return f"Dagster ended with exit code {code}; its last lines are above"

    def __enter__(self) -> Self:
        """Keep it running."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.stop()
        self.wait()


def running_here() -> Pidfile | None:
    """Return where the Dagster of this folder runs, None when none does.

    One that is ending just now is waited for.
    """
    from odum_assets.storage.locks import is_locked

    lock = pidfile_path()
    deadline = time.monotonic() + 2 * _TIMEOUT_S
    while is_locked(lock) and time.monotonic() < deadline:
        pidfile = _read(lock)
        if pidfile is not None:
            return pidfile
        time.sleep(_POLL_INTERVAL_S)
    return None


def pidfile_path() -> Path:
    """Return the file that is locked while Dagster runs on this folder's instance.

    It says where (``Pidfile``), as JSON; empty where none runs.
    """
    return _state() / "dev.lock"


def _command(log_level: str) -> tuple[list[str], dict[str, str]]:
    """Return the command that runs Dagster on the instance of this folder, and its environment.

    The socket is still to be added to it.
    """
    environment = dict(os.environ)
    # The token of the service is nothing that Dagster or a strategy needs to know.
    environment.pop("ODUM_API_TOKEN", None)
    # No usage statistics, also where no dagster.yaml says so.
    environment.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
    module = "" if Path("workspace.yaml").is_file() else "odum_assets.definitions"
    command = [sys.executable, "-m", "odum_assets.cli.dagster_services", log_level, module]
    if not environment.get("DAGSTER_HOME") and not Path("dagster.yaml").is_file():
        # The state that the other commands use here; Dagster would make a temporary one.
        _state().mkdir(exist_ok=True)
        environment["DAGSTER_HOME"] = str(_state())
    return command, environment


def _state() -> Path:
    """Return where the state of this folder's Dagster instance lies."""
    home = os.environ.get("DAGSTER_HOME")
    return Path(home).absolute() if home else Path(".dagster").absolute()


def _end_group(group: int) -> None:
    """End every process of a group, kindly first."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + _TIMEOUT_S
        try:
            os.killpg(group, sign)
            while time.monotonic() < deadline:
                os.killpg(group, 0)
                time.sleep(_POLL_INTERVAL_S)
        except ProcessLookupError:
            return


def _read(lock: Path) -> Pidfile | None:
    try:
        return Pidfile(**json.loads(lock.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _supervise(lock: Path, url: str, command: list[str]) -> int:
    """Run Dagster until it ends or the parent is gone, and leave none of its processes behind."""
    import fcntl

    lock.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _TAKEN
    os.ftruncate(descriptor, 0)
    with _private_folder() as private:
        return _run(descriptor, url, command, private)


def _run(descriptor: int, url: str, command: list[str], private: Path) -> int:
    ending = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: ending.set())
    path = private / "dagster.sock"
    child = subprocess.Popen(  # noqa: S603 - our own interpreter
        [*command, str(path)],
        # The code servers put their sockets there.
        env={**os.environ, "TMPDIR": str(private)},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        # Dagster takes over how SIGINT is handled: it must not inherit that it is ignored.
        preexec_fn=_listen_to_interrupts,  # noqa: PLW1509 - there is one thread yet
    )
    os.pwrite(descriptor, json.dumps(Pidfile(url, child.pid, str(path))._asdict()).encode(), 0)

    def watch_parent() -> None:
        # Not by sys.stdin: its lock is held while this waits, and Python would not end.
        while os.read(0, 1):
            pass
        ending.set()

    threading.Thread(target=watch_parent, daemon=True).start()
    while child.poll() is None and not ending.wait(_POLL_INTERVAL_S):
        pass
    # From here on nobody should start to use it.
    os.ftruncate(descriptor, 0)
    if child.poll() is None:
        child.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_TIMEOUT_S)
    _end_group(child.pid)
    code = child.wait()
    return code if code >= 0 else 128 - code


@contextlib.contextmanager
def _private_folder() -> Iterator[Path]:
    """Yield a new temporary folder that only this user may enter, with a name short enough."""
    usual = tempfile.gettempdir()
    folder = usual if len(usual) <= _MAX_FOLDER_LENGTH else "/tmp"  # noqa: S108 - it has mode 0700
    with tempfile.TemporaryDirectory(
        prefix="odum-", dir=folder, ignore_cleanup_errors=True
    ) as name:
        yield Path(name)


def _listen_to_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


if __name__ == "__main__":
    given_lock, given_url, given_command = json.loads(sys.argv[1])
    sys.exit(_supervise(Path(given_lock), given_url, given_command))
