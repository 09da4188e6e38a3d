"""Ending a process at once: Python's last collection of Dagster's modules takes up to a second."""

import atexit
import gc


def skip_last_collection() -> None:
    """Have this process end without a last search for garbage, which the system takes anyway."""
    atexit.register(gc.freeze)
