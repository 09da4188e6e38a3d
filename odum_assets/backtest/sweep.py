"""Running several plans over the same rows: the side of the process that asks.

What belongs here: starting ``sweep_worker``, telling its ends apart, ending it with its children.
What does not: choosing variants (``config.variants``), storing results.
"""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from odum_assets.backtest.facts import ReplayFacts
from odum_assets.backtest.plan import EXIT_USER_ERROR, Progress, RunPlan
from odum_assets.backtest.process import LOG, death, read_facts, start_child
from odum_assets.config.exact_json import write_json
from odum_assets.errors import BacktestError

type Slots = Callable[[int], int]
"""Return how many runs may go on at one time, given how many have not ended."""

type End = ReplayFacts | BacktestError
"""Facts of a replay, or why there are none."""


ALLOWED = "slots"
"""File in a sweep's work folder: how many runs may go on at one time."""


def run_plans(
    labels: Sequence[str],
    plans: Sequence[RunPlan],
    work: Path,
    slots: int | Slots,
    progress: Callable[[int | None, Progress], None],
) -> Generator[tuple[int, End]]:
    """Run plans over the same rows, which are read once, each in a process of its own.

    Parameters
    ----------
    labels : sequence of str
        What each is called in messages.
    plans : sequence of RunPlan
        The runs; their work folders exist.
    work : Path
        An existing folder for what is said of all of them.
    slots : int or callable
        Runs at one time; a callable is asked at the begin and after each run's end. It may lower
        its answer only to the number of runs that have not ended: none is stopped.
    progress : Callable
        Called with the index of a run (None while rows are loaded) and how far it is.

    Yields
    ------
    tuple[int, ReplayFacts or BacktestError]
        Index and end of each run, in the order in which they end.

    Raises
    ------
    BacktestError
        If a strategy or its parameters cannot be used (nothing ran then), or the process that
        loads the rows died.
    """
    file = work / "plans.json"
    document = {
        "labels": list(labels),
        "plans": [plan.document() for plan in plans],
        "work": str(work),
    }
    file.write_text(write_json(document), encoding="utf-8")
    unended = len(plans)
    _allow(work, slots, unended)
    refusals: dict[int, str] = {}
    with _started(file, work / LOG) as (process, lines):
        for line in lines:
            index, phase, done, orders, market_time_ns = json.loads(line)
            if phase == "refused":
                refusals[index] = refusals.get(index, "") + done
            elif index < 0:
                progress(None, Progress(phase, done))
            elif phase == "ended":
                unended -= 1
                _allow(work, slots, unended)
                try:
                    yield index, read_facts(plans[index], done, refusals.get(index, ""))
                except BacktestError as error:
                    yield index, error
            else:
                progress(index, Progress(phase, done, orders, market_time_ns))
        code = process.wait()
    if code == EXIT_USER_ERROR:
        raise BacktestError(refusals[-1])
    if code:
        raise BacktestError(death(code, work / LOG))


def _allow(work: Path, slots: int | Slots, unended: int) -> None:
    """Write down how many runs may go on; the sweep's process reads it before it starts one."""
    number = slots if isinstance(slots, int) else slots(unended)
    # Renamed: it is never read in part.
    (work / "allowed").write_text(str(number), encoding="ascii")
    (work / "allowed").rename(work / ALLOWED)


@contextmanager
def _started(plans: Path, log: Path) -> Iterator[tuple["subprocess.Popen[bytes]", IO[str]]]:
    """Start the process of a sweep; it and its children are gone when the context ends."""
    process, reading = start_child("odum_assets.backtest.sweep_worker", plans, log, own_group=True)
    try:
        with os.fdopen(reading, encoding="utf-8") as lines:
            yield process, lines
    finally:
        # Children of a process that died are in its group, too.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
