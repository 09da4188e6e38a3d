"""Running a plan in a process of its own, and telling its end apart: done, refused, or dead."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from odum_assets.backtest.facts import FACTS, ReplayFacts
from odum_assets.backtest.plan import EXIT_USER_ERROR, Progress, RunPlan
from odum_assets.config.exact_json import write_json
from odum_assets.errors import BacktestError

LOG = "worker.log"
"""File in a run's work folder that holds what its process printed."""

_LOG_TAIL_LINES = 20
# Chunks of market data come and go by tens of megabytes: glibc would give their pages back each
# time, and the kernel zero them anew. Other allocators do not look at these.
_ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(256 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(512 << 20),
}


def run_plan(plan: RunPlan, progress: Callable[[Progress], None] | None = None) -> ReplayFacts:
    """Replay a plan in a fresh process and return what it said at its end.

    Parameters
    ----------
    plan : RunPlan
        The run; its work folder exists.
    progress : Callable[[Progress], None], optional
        Called as the run proceeds.

    Returns
    -------
    ReplayFacts
        Facts of the replay; events lie in the plan's work folder.

    Raises
    ------
    BacktestError
        If the run was refused, failed, or its process died (a panic in NautilusTrader's core, no
        memory, a signal); the message says which and shows the last lines it printed.
    """
    plan_file = plan.work / "plan.json"
    plan_file.write_text(write_json(plan.document()), encoding="utf-8")
    child, reading = start_child("odum_assets.backtest.worker", plan_file, plan.work / LOG)
    refused = ""
    try:
        with os.fdopen(reading, encoding="utf-8") as lines:
            for line in lines:
                message = json.loads(line)
                if isinstance(message, str):
                    refused = message
                elif progress is not None:
                    progress(Progress(*message))
        code = child.wait()
    except BaseException:
        child.kill()
        child.wait()
        raise
    return read_facts(plan, code, refused)


def start_child(
    module: str, plans: Path, log: Path, *, own_group: bool = False
) -> tuple["subprocess.Popen[bytes]", int]:
    """Start a process that replays; it is given its plans, a pipe to tell on, and who asks.

    Parameters
    ----------
    module : str
        What runs in it.
    plans : Path
        What it is to replay.
    log : Path
        Where its output goes.
    own_group : bool, default False
        Whether it leads a process group, so that one signal ends it with its children.

    Returns
    -------
    tuple[subprocess.Popen, int]
        The process, and the descriptor of the pipe's reading end.
    """
    reading, writing = os.pipe()
    with log.open("wb") as printed:
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", module, str(plans), str(writing), str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
            pass_fds=(writing,),
            env=_ALLOCATOR | os.environ,
            start_new_session=own_group,
        )
    os.close(writing)
    return child, reading


def read_facts(plan: RunPlan, code: int, refused: str) -> ReplayFacts:
    """Return the facts of a plan whose process ended.

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
        If there are none; the message says why.
    """
    # A strategy that ends the process leaves exit code 0, and no facts.
    if code == 0 and (plan.work / FACTS).is_file():
        return ReplayFacts.read(plan.work)
    if code == EXIT_USER_ERROR:
        raise BacktestError(refused)
    raise BacktestError(death(code, plan.work / LOG))


def death(code: int, log: Path) -> str:
    """Return what is known of a process that ended without facts.

    Parameters
    ----------
    code : int
        Its exit code; a signal as a negative number.
    log : Path
        What it printed.
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
    tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_TAIL_LINES:]
    return "\n".join([f"the backtest process {cause}. Its last lines:", *tail])
