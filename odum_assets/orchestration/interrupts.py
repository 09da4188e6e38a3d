"""Ctrl-C and terminations in the processes of runs.

What belongs here: what becomes of the signal. What does not: what becomes of the run (``launch``,
``canceled_runs``).
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import parent_process
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

INTERRUPTS: Final = ("KeyboardInterrupt", "DagsterExecutionInterruptedError")
"""Names of the exceptions that a signal raises; Dagster's is not exported."""

_AGAIN_SECS: Final = 0.05


@contextmanager
def interrupts_ignored() -> Iterator[None]:
    """Have processes that are started inside ignore Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def end_with_parent() -> None:
    """Have this process stop, as Ctrl-C would stop it, when the one that forked it has died."""

    def wait() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


@contextmanager
def discarded_interrupts_repeated() -> Iterator[None]:
    """Send this process SIGINT again where Python discards the exception of the first.

    A signal that arrives while an object is destroyed raises its exception there. Python prints
    and discards it, and the run would go on.
    """
    before = sys.unraisablehook

    def repeat(raised: "UnraisableHookArgs") -> None:
        if raised.exc_type.__name__ not in INTERRUPTS:
            before(raised)
            return
        # Sent by another thread, so that this one is out of the destructor again.
        timer = threading.Timer(_AGAIN_SECS, os.kill, (os.getpid(), signal.SIGINT))
        timer.daemon = True
        # The interpreter may be ending.
        with suppress(RuntimeError):
            timer.start()

    sys.unraisablehook = repeat
    try:
        yield
    finally:
        sys.unraisablehook = before
