"""The child process of a run: replay, count, write tables and the outcome, end.

Run as ``python -m odum_assets.backtest.worker PLAN PROGRESS_FD``. The outcome is written last; an
error that a person can act on is written to ``error.txt``, anything else ends in a traceback.
"""

import gc
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from odum_assets.backtest.accounting import account
from odum_assets.backtest.equity import LastPrices
from odum_assets.backtest.node import Replay
from odum_assets.backtest.plan import ERROR, EXIT_USER_ERROR, OUTCOME, RunPlan
from odum_assets.backtest.simulation import simulate, streamed
from odum_assets.errors import BacktestError, OdumError

Report = Callable[[str, float, int, int | None], None]


def main(arguments: list[str]) -> int:
    """Run a plan and return the exit code."""
    plan = RunPlan.model_validate_json(Path(arguments[0]).read_text(encoding="utf-8"))
    report = _reporter(int(arguments[1]))

    def run() -> dict[str, Any]:
        report("load", 0.0, 0, None)
        prices = read_prices(plan)
        return run_on(plan, prices, report, lambda: streamed(plan))

    return conclude(plan, run)


def conclude(plan: RunPlan, run: Callable[[], dict[str, Any]]) -> int:
    """Write down the outcome of a plan, or why it was refused, and return the exit code."""
    try:
        outcome = run()
    except OdumError as error:
        (plan.work / ERROR).write_text(str(error), encoding="utf-8")
        return EXIT_USER_ERROR
    (plan.work / OUTCOME).write_text(json.dumps(outcome, indent=1), encoding="utf-8")
    return 0


def read_prices(plan: RunPlan) -> LastPrices:
    """Read the prices of a plan's window.

    Raises
    ------
    BacktestError
        If the window holds no trades.
    """
    prices = LastPrices.read(plan.trade_files, plan.bounds)
    if not len(prices):
        raise BacktestError(
            "no trades lie in the window; choose a window inside the data (see odum data list)"
        )
    return prices


def run_on(
    plan: RunPlan, prices: LastPrices, report: Report, replay: Callable[[], Replay]
) -> dict[str, Any]:
    """Run a plan and return its outcome, JSON-ready: amounts as text, unknown figures as None.

    Parameters
    ----------
    plan : RunPlan
        The run.
    prices : LastPrices
        Of its window.
    report : Callable
        Called with phase, share done, orders and market time.
    replay : Callable
        Makes what the plan is replayed on.

    Raises
    ------
    BacktestError
        If orders were denied by a limit that nobody set, or the accounts do not reconcile.
    """
    started = time.perf_counter()
    facts = simulate(plan, prices, report, replay())
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
        line = json.dumps([phase, done, orders, market_time_ns]) + "\n"
        # Lines are shorter than a pipe's atomic write. A parent that is gone is no reason to stop.
        with suppress(BrokenPipeError):
            os.write(descriptor, line.encode())

    return report


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # Nothing is left to do: taking a day's engine apart object by object would take seconds.
    os._exit(code)
