"""What the strategy of a run printed and logged: ``logs/<run_id>.log``, failed runs too.

What belongs here: moving it there from the run's work folder, and reading it. What does not: how it
is kept while the run goes on, and how much of it (``odum_assets.backtest.output``).
"""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Final

from odum_assets.backtest.output import captured_output
from odum_assets.errors import OdumError
from odum_assets.results.store import ResultError, ResultStore

_COLORS: Final = re.compile(rb"\x1b\[[0-9;]*m")

TAIL_LINES: Final = 20
"""Lines of a log that are shown beside figures."""


@contextmanager
def logged(
    store: ResultStore, run_id: str, workspace: AbstractContextManager[Path]
) -> Iterator[Path]:
    """Store at the end of the context what a run printed, however it ended.

    Parameters
    ----------
    store : ResultStore
        Where.
    run_id : str
        The run.
    workspace : context manager of Path
        Makes its work folder.

    Yields
    ------
    Path
        The work folder.
    """
    with workspace as work:
        try:
            yield work
        finally:
            store_log(store, run_id, work)


def store_log(store: ResultStore, run_id: str, work: Path) -> None:
    """Store what a run printed, if it did; where that is not possible, nothing is said of it.

    The run's own end, a full disk perhaps, is what has to be said.
    """
    # NautilusTrader colors what it prints.
    content = _COLORS.sub(b"", captured_output(work))
    if not content:
        return
    with suppress(OSError, OdumError):
        unfinished = work / "log"
        unfinished.write_bytes(content)
        store.put(unfinished, store.log_path(run_id))


def read_log(store: ResultStore, run_id: str) -> str:
    """Return what a run printed, empty if nothing.

    Raises
    ------
    ResultError
        If it cannot be read.
    """
    path = store.log_path(run_id)
    try:
        return (
            store.file("logs", path.name, is_current=True).read_bytes().decode("utf-8", "replace")
        )
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ResultError(f"{path}: cannot be read ({error.strerror or error})") from error


def last_lines(text: str, count: int = TAIL_LINES) -> list[str]:
    """Return the last lines of a log."""
    return text.splitlines()[-count:] if count else []
