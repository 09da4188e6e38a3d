"""The child process of a run: replay, count, write tables and the outcome, end.

Run as ``python -m odum_assets.backtest.worker PLAN PROGRESS_FD PARENT``. The outcome is written
last; an error that a person can act on goes to the parent beside the progress (a full disk would
not take it), anything else ends in a traceback. The process ends with its parent.
"""

import gc
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from odum_assets.backtest.accounting import account
from odum_assets.backtest.equity import LastPrices
from odum_assets.backtest.lifeline import end_with_parent
from odum_assets.backtest.plan import DISK_TROUBLE, EXIT_USER_ERROR, FREE_SPACE, OUTCOME, RunPlan
from odum_assets.backtest.simulation import simulate
from odum_assets.errors import BacktestError, OdumError

Report = Callable[[str, float, int, int | None], None]


def main(arguments: list[str]) -> int:
    """Run a plan and return the exit code."""
    end_with_parent(int(arguments[2]))
    plan = RunPlan.model_validate_json(Path(arguments[0]).read_text(encoding="utf-8"))
    descriptor = int(arguments[1])
    try:
        outcome = run(plan, _reporter(descriptor))
        (plan.work / OUTCOME).write_text(json.dumps(outcome, indent=1), encoding="utf-8")
    except OdumError as error:
        _send(descriptor, str(error))
        return EXIT_USER_ERROR
    except OSError as error:
        if error.errno not in DISK_TROUBLE:
            raise
        what = f"{error.filename or plan.work}: cannot be written ({error.strerror or error})"
        _send(descriptor, f"{what}; {FREE_SPACE}")
        return EXIT_USER_ERROR
    return 0


def run(plan: RunPlan, report: Report) -> dict[str, Any]:
    """Run a plan and return its outcome, JSON-ready: amounts as text, unknown figures as None.

    Raises
    ------
    BacktestError
        If the window holds no trades, orders were denied by a limit that nobody set, or the
        accounts do not reconcile.
    """
    report("load", 0.0, 0, None)
    prices = LastPrices.read(plan.trade_files, plan.bounds)
    if not len(prices):
        raise BacktestError(
            "no trades lie in the window; choose a window inside the data (see odum data list)"
        )
    started = time.perf_counter()
    facts = simulate(plan, prices, report)
    replay_secs = time.perf_counter() - started
    # Accounting makes millions of small objects and no cycles: collections would only look at them.
    gc.disable()
    report("finish", 0.0, facts.order_count, None)
    outcome = account(plan, prices, facts)
    outcome["resources"] = {
        "replay_secs": round(replay_secs, 3),
        "accounting_secs": round(time.perf_counter() - started - replay_secs, 3),
        # Linux counts in KiB.
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    return outcome


def _reporter(descriptor: int) -> Report:
    def report(phase: str, done: float, orders: int, market_time_ns: int | None) -> None:
        _send(descriptor, [phase, done, orders, market_time_ns])

    return report


def _send(descriptor: int, message: list[Any] | str) -> None:
    """Write progress, or the text of an error, as a line of JSON; the parent reads to the end."""
    with os.fdopen(descriptor, "w", encoding="utf-8", closefd=False) as pipe:
        pipe.write(json.dumps(message) + "\n")


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # Nothing is left to do: taking a day's engine apart object by object would take seconds.
    os._exit(code)
