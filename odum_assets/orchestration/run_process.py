"""The process that carries out a run: which one it is, whether it lives, stopping it.

What belongs here: a tag that names the process, and asking the system about it. What does not: what
becomes of the run (``launch``, ``registration``).
"""

import os
import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from odum_assets.errors import OdumError

PROCESS_TAG: Final = "odum/process"
"""Tag of a Dagster run that a command carries out: run id, host, process id, start of the process.

The run id is in it because tags are copied: the UI gives a re-execution the tags of the run before,
and a tag that names another run says nothing about this one. Earlier versions wrote the process id
alone; such a tag is not believed, for it cannot be known whose it is."""

WORKER_TAG: Final = "odum/worker"
"""The same of a run that Dagster's daemon has launched (``run_launcher``)."""

_UNKNOWN: Final = "unknown"


class NotInterruptedError(OdumError):
    """Report a process that cannot be stopped from here."""


@dataclass(frozen=True, slots=True)
class RunProcess:
    """The process of a run.

    Parameters
    ----------
    host : str
        Machine or container that it runs on.
    pid : int
        Its process id there.
    started : str
        When it began, in the system's own terms; ``unknown`` where the system does not say.
    """

    host: str
    pid: int
    started: str

    @property
    def is_here(self) -> bool:
        """Return whether it runs, or ran, on this machine."""
        return self.host == socket.gethostname()

    def is_alive(self) -> bool:
        """Return whether it is still there; only to be asked on its own machine."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        # Process ids come again, after a restart of the machine soon.
        return _UNKNOWN in (self.started, now := _started(self.pid)) or self.started == now

    def interrupt(self) -> None:
        """Send it SIGINT, as Ctrl-C does.

        Raises
        ------
        NotInterruptedError
            If it runs elsewhere, or it cannot be known that this is the process.
        """
        advice = f"stop it there: press Ctrl-C in its terminal, or kill -INT {self.pid}"
        if not self.is_here:
            raise NotInterruptedError(f"process {self.pid} on host {self.host} runs it; {advice}")
        if self.started == _UNKNOWN or self.started != _started(self.pid):
            raise NotInterruptedError(
                f"it cannot be known whether process {self.pid} is still the one that runs it; "
                f"{advice}"
            )
        try:
            os.kill(self.pid, signal.SIGINT)
        except (ProcessLookupError, PermissionError) as error:
            raise NotInterruptedError(f"process {self.pid}: {error.strerror}; {advice}") from None


def process_tags(dagster_run_id: str, tag: str = PROCESS_TAG) -> dict[str, str]:
    """Return the tag of a run that this process carries out."""
    own = (dagster_run_id, socket.gethostname(), str(os.getpid()), _started(os.getpid()))
    return {tag: " ".join(own)}


def process_of(
    dagster_run_id: str, tags: Mapping[str, str], tag: str = PROCESS_TAG
) -> RunProcess | None:
    """Return the process that carries out a run; None where its tags do not say so."""
    named, _, rest = tags.get(tag, "").partition(" ")
    parts = rest.split(" ")
    if named != dagster_run_id or len(parts) != 3 or not parts[1].isdecimal():
        return None
    return RunProcess(parts[0], int(parts[1]), parts[2])


def worker_of(dagster_run_id: str, tags: Mapping[str, str]) -> RunProcess | None:
    """Return the process that was launched for a run; None where it has not begun."""
    return process_of(dagster_run_id, tags, WORKER_TAG)


def ending_text(code: int | None) -> str:
    """Return how a process ended: a signal is a negative exit code."""
    if code is not None and code < 0:
        return f"was killed by signal {-code}"
    return f"ended with {code}"


def _started(pid: int) -> str:
    """Return when a process began, in the system's own terms."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        after_name = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2]
    except OSError:
        return _UNKNOWN
    return f"{after_name.split()[19]}@{boot}"
