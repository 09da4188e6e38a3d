"""Replaying plans in a process of their own, and telling its end apart: done, refused, or dead.

What belongs here: the side of the process that asks, and the messages between the two. What does
not: the processes (``worker``, ``sweep_worker``).
"""

import json
import os
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from odum_assets.backtest.bar_plan import BarPlan
from odum_assets.backtest.child import Process, start_child
from odum_assets.backtest.counting import load_kernel_beside
from odum_assets.backtest.outcome import OUTCOME, ReplayOutcome
from odum_assets.backtest.output import LOG, captured_output
from odum_assets.backtest.plan import EXIT_USER_ERROR, Progress, RunPlan
from odum_assets.config.exact_json import write_json
from odum_assets.errors import BacktestError

type Slots = Callable[[int], int]
"""Return how many runs may go on at one time, given how many have not ended."""

type ReplayEnd = ReplayOutcome | BacktestError
"""Outcome of a replay, or why there is none."""

ALLOWED = "slots"
"""File in a sweep's work folder: how many runs may go on at one time."""

ALL = -1
"""Index of messages about no single plan: loading, and why nothing is run."""

# Phases of messages that are no progress. The share is the exit code, and the text.
_ENDED, _REFUSED = "ended", "refused"
# Lines longer than a pipe's atomic write could be torn apart by another process' lines.
_ATOMIC_CHARACTERS = 600
_LOG_TAIL_LINES = 20


class Messages:
    """Lines of JSON to the process that asked: index of the plan, phase, share, orders, time.

    Parameters
    ----------
    pipe : int
        The pipe's writing end.
    """

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def progress(
        self, index: int, phase: str, done: float, orders: int, market_time_ns: int | None
    ) -> None:
        """Report how far a plan is."""
        self._send([index, phase, done, orders, market_time_ns])

    def ended(self, index: int, code: int) -> None:
        """Report that a plan's process ended with an exit code (negative: a signal)."""
        self._send([index, _ENDED, code, 0, None])

    def refused(self, index: int, text: str) -> None:
        """Report why a plan, or all, are refused; in lines that are written as one."""
        for start in range(0, len(text), _ATOMIC_CHARACTERS):
            self._send([index, _REFUSED, text[start : start + _ATOMIC_CHARACTERS], 0, None])

    def _send(self, message: list[Any]) -> None:
        try:
            os.write(self._pipe, f"{json.dumps(message)}\n".encode())
        except BrokenPipeError:
            # Nobody is there any more who would store a result.
            os._exit(1)


@dataclass(slots=True)
class _Child:
    """A process that replays, and what it said so far of why it refused which plans."""

    process: Process
    lines: IO[str]
    refusals: dict[int, str] = field(default_factory=dict)

    def ends(self, progress: Callable[[int, Progress], None]) -> Iterator[tuple[int, int]]:
        """Read messages to the last; yield index and exit code of each plan's process."""
        for line in self.lines:
            index, phase, done, orders, market_time_ns = json.loads(line)
            if phase == _REFUSED:
                self.refusals[index] = self.refusals.get(index, "") + done
            elif phase == _ENDED:
                yield index, done
            else:
                load_kernel_beside(orders)
                progress(index, Progress(phase, done, orders, market_time_ns))


def run_plan(
    plan: RunPlan | BarPlan, progress: Callable[[Progress], None] | None = None
) -> ReplayOutcome:
    """Replay a plan in a fresh process and return what it said at its end.

    Parameters
    ----------
    plan : RunPlan
        The run; its work folder exists, and gets the recorded events.
    progress : Callable[[Progress], None], optional
        Called as the run proceeds.

    Raises
    ------
    BacktestError
        If the run was refused, failed, or its process died (a panic in NautilusTrader's core, no
        memory, a signal); the message says which and shows the last lines it printed.
    """

    def report(_index: int, how_far: Progress) -> None:
        if progress is not None:
            progress(how_far)

    with _started("worker", plan.document(), plan.work, own_group=False) as child:
        # Its end is that of the only plan.
        list(child.ends(report))
        return _outcome(plan, child.process.wait(), child.refusals.get(0, ""))


def run_plans(
    labels: Sequence[str],
    plans: Sequence[RunPlan | BarPlan],
    work: Path,
    slots: int | Slots,
    progress: Callable[[int, Progress], None],
) -> Generator[tuple[int, ReplayEnd]]:
    """Replay plans over the same rows, which are read once, each in a process of its own.

    Parameters
    ----------
    labels : sequence of str
        What each is called in messages.
    plans : sequence of RunPlan or BarPlan
        The runs; their work folders exist.
    work : Path
        An existing folder for what is said of all of them.
    slots : int or callable
        Runs at one time; a callable is asked at the begin and after each run's end. It may lower
        its answer only to the number of runs that have not ended: none is stopped.
    progress : Callable
        Called with the index of a run (`ALL` while rows are loaded) and how far it is.

    Yields
    ------
    tuple[int, ReplayOutcome or BacktestError]
        Index and end of each run, in the order in which they end.

    Raises
    ------
    BacktestError
        If a strategy or its parameters cannot be used (nothing ran then), or the process that
        loads the rows died.
    """
    document = {
        "labels": list(labels),
        "plans": [plan.document() for plan in plans],
        "work": str(work),
    }
    unended = len(plans)
    _allow(work, slots, unended)
    with _started("sweep_worker", document, work, own_group=True) as child:
        for index, code in child.ends(progress):
            unended -= 1
            _allow(work, slots, unended)
            try:
                yield index, _outcome(plans[index], code, child.refusals.get(index, ""))
            except BacktestError as error:
                yield index, error
        code = child.process.wait()
        if code == EXIT_USER_ERROR:
            raise BacktestError(child.refusals[ALL])
        if code:
            raise BacktestError(death(code, work))


def _allow(work: Path, slots: int | Slots, unended: int) -> None:
    """Write down how many runs may go on; the sweep's process reads it before it starts one."""
    number = slots if isinstance(slots, int) else slots(unended)
    # Renamed: it is never read in part.
    (work / "allowed").write_text(str(number), encoding="ascii")
    (work / "allowed").rename(work / ALLOWED)


@contextmanager
def _started(
    module: str, document: dict[str, Any], work: Path, *, own_group: bool
) -> Iterator[_Child]:
    """Start a process that replays; it is gone when the context ends.

    Where it leads a process group, so are its children.
    """
    plans = work / "plan.json"
    plans.write_text(write_json(document), encoding="utf-8")
    child = start_child(module, plans, work / LOG, own_group=own_group)
    process = child.process
    try:
        with os.fdopen(child.messages, encoding="utf-8") as lines:
            yield _Child(process, lines)
    finally:
        if own_group:
            # Children of a process that died are in its group, too.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()


def _outcome(plan: RunPlan | BarPlan, code: int, refused: str) -> ReplayOutcome:
    """Return the outcome of a plan whose process ended.

    Parameters
    ----------
    plan : RunPlan
        The run.
    code : int
        Exit code of its process; a signal as a negative number.
    refused : str
        Why it says that it refused the run, empty if it did not.

    Raises
    ------
    BacktestError
        If there is none; the message says why.
    """
    # A strategy that ends the process leaves exit code 0, and no outcome.
    if code == 0 and (plan.work / OUTCOME).is_file():
        return ReplayOutcome.read(plan.work)
    raise BacktestError(refused if code == EXIT_USER_ERROR else death(code, plan.work))


def death(code: int, work: Path) -> str:
    """Return what is known of a process that ended without an outcome.

    Parameters
    ----------
    code : int
        Its exit code; a signal as a negative number.
    work : Path
        Work folder with what it printed.
    """
    if code < 0:
        name = signal.Signals(-code).name
        cause = f"was ended by signal {name}"
        if -code == signal.SIGKILL:
            cause += " (often: the machine ran out of memory)"
        elif -code == signal.SIGABRT:
            cause += " (a panic in NautilusTrader's core)"
    else:
        cause = f"ended with exit code {code}"
    tail = captured_output(work).decode("utf-8", "replace").splitlines()[-_LOG_TAIL_LINES:]
    return "\n".join([f"the backtest process {cause}. Its last lines:", *tail])
