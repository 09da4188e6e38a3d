"""Running a plan in a process of its own, and telling its end apart: done, refused, or dead."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from odum_assets.backtest.plan import EXIT_USER_ERROR, OUTCOME, Progress, RunPlan
from odum_assets.errors import BacktestError

_LOG = "worker.log"
_LOG_TAIL_LINES = 20


def run_plan(plan: RunPlan, progress: Callable[[Progress], None] | None = None) -> dict[str, Any]:
    """Run a plan in a fresh process and return its outcome.

    Parameters
    ----------
    plan : RunPlan
        The run; its work folder exists.
    progress : Callable[[Progress], None], optional
        Called as the run proceeds.

    Returns
    -------
    dict[str, Any]
        See `odum_assets.backtest.worker.run`.

    Raises
    ------
    BacktestError
        If the run was refused, failed, or its process died (a panic in NautilusTrader's core, no
        memory, a signal); the message says which and shows the last lines it printed.
    """
    plan_file = plan.work / "plan.json"
    plan_file.write_text(plan.model_dump_json(by_alias=True), encoding="utf-8")
    reading, writing = os.pipe()
    with (plan.work / _LOG).open("wb") as log:
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [
                *(sys.executable, "-m", "odum_assets.backtest.worker"),
                *(str(plan_file), str(writing), str(os.getpid())),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(writing,),
        )
    os.close(writing)
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
    found = plan.work / OUTCOME
    # A strategy that ends the process leaves exit code 0, and no outcome.
    if code == 0 and found.is_file():
        outcome: dict[str, Any] = json.loads(found.read_text(encoding="utf-8"))
        return outcome
    if code == EXIT_USER_ERROR:
        raise BacktestError(refused)
    raise BacktestError(_death(code, plan.work / _LOG))


def _death(code: int, log: Path) -> str:
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
