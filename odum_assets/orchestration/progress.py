"""How far a step is: a line of the log now and then, and every change to a command that watches.

A line of the log is a row of Dagster's event log for good, so there are few; a command that runs a
step in its own process sees all of it.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from odum_assets.orchestration.metadata import StepContext

if TYPE_CHECKING:
    from odum_assets.backtest.plan import Progress

_FIRST_S: Final = 1.0
_SELDOM_S: Final = 10.0


class _Pace:
    """Say when a line is due: after a second, then after ever longer, every ten in the end."""

    def __init__(self) -> None:
        self._pause = _FIRST_S
        self._next = time.monotonic() + self._pause

    def is_due(self) -> bool:
        """Return whether it is time; then the pause grows."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._pause = min(self._pause * 2, _SELDOM_S)
        self._next = now + self._pause
        return True


@dataclass(frozen=True, slots=True)
class StepProgress:
    """How far a step is: share done (0 to 1), and a text for a person."""

    done: float
    text: str


type Watcher = Callable[[StepProgress], None]

_WATCHER: ContextVar[Watcher | None] = ContextVar("odum_progress_watcher", default=None)


@contextmanager
def watched(watcher: Watcher | None) -> Iterator[None]:
    """Tell a callback how far the steps are that run in this context."""
    token = _WATCHER.set(watcher)
    try:
        yield
    finally:
        _WATCHER.reset(token)


def row_progress(context: StepContext, what: str) -> Callable[[int, int], None]:
    """Return a callback for rows done and in all; a step of less than a second logs none."""
    pace = _Pace()

    def report(done: int, total: int) -> None:
        text = f"{done:,} of {total:,} {what}"
        _tell(done / total if total else 1.0, text)
        if pace.is_due():
            context.log.info(text)

    return report


def run_progress(
    context: StepContext, also: "Callable[[Progress], None] | None" = None
) -> "Callable[[Progress], None]":
    """Return a callback for a backtest that logs each phase, and now and then within one.

    Parameters
    ----------
    context : StepContext
        The step.
    also : callable, optional
        Called with every change.
    """
    phase, pace = "", _Pace()

    def report(progress: "Progress") -> None:
        nonlocal phase, pace
        _tell(progress.done, progress.text)
        if also is not None:
            also(progress)
        is_new = progress.phase != phase
        if is_new:
            phase, pace = progress.phase, _Pace()
        if is_new or pace.is_due():
            context.log.info(progress.text)

    return report


def _tell(done: float, text: str) -> None:
    watcher = _WATCHER.get()
    if watcher is not None:
        watcher(StepProgress(done, text))
