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

import dagster as dg

if TYPE_CHECKING:
    from odum_assets.backtest.plan import Progress

_LOG_EVERY_S: Final = 10.0


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


def row_progress(context: dg.AssetExecutionContext, what: str) -> Callable[[int, int], None]:
    """Return a callback for rows done and in all; a step that takes less than 10 s logs none."""
    last = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal last
        text = f"{done:,} of {total:,} {what}"
        _tell(done / total if total else 1.0, text)
        if time.monotonic() - last >= _LOG_EVERY_S:
            last = time.monotonic()
            context.log.info(text)

    return report


def run_progress(
    context: dg.AssetExecutionContext, also: "Callable[[Progress], None] | None" = None
) -> "Callable[[Progress], None]":
    """Return a callback for a backtest that logs each phase, and every ten seconds within one.

    Parameters
    ----------
    context : dg.AssetExecutionContext
        The step.
    also : callable, optional
        Called with every change.
    """
    phase, last = "", 0.0

    def report(progress: "Progress") -> None:
        nonlocal phase, last
        _tell(progress.done, progress.text)
        if also is not None:
            also(progress)
        now = time.monotonic()
        if progress.phase != phase or now - last >= _LOG_EVERY_S:
            phase, last = progress.phase, now
            context.log.info(progress.text)

    return report


def _tell(done: float, text: str) -> None:
    watcher = _WATCHER.get()
    if watcher is not None:
        watcher(StepProgress(done, text))
