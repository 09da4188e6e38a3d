"""A process that ends with the one that started it, however that one ends.

Nobody would take its answer any more, and on a full machine it would keep memory and cores from
the run that replaces it.
"""

import ctypes
import os
import signal
import sys
import threading
import time

_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux' prctl
_POLL_INTERVAL_S = 1.0


def end_with_parent(parent: int) -> None:
    """Kill this process as soon as its parent is gone.

    Linux sees to it, also while the engine runs and lets no Python thread have a turn. Elsewhere a
    thread checks every second.

    Parameters
    ----------
    parent : int
        Process id of the parent.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    else:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    if os.getppid() != parent:  # it died before anybody watched
        os.kill(os.getpid(), signal.SIGKILL)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_INTERVAL_S)
    os.kill(os.getpid(), signal.SIGKILL)
