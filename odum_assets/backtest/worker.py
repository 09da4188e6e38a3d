"""The child process of a run: replay, write down what happened, end.

Run as ``python -m odum_assets.backtest.worker PLAN PROGRESS_FD``. Facts are written last; an error
that a person can act on is written to ``error.txt``, anything else ends in a traceback. Counting
the events is the parent's: the engine's memory is gone by then.
"""

import gc
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import NoReturn

import pyarrow as pa

from odum_assets.backtest.facts import ReplayFacts
from odum_assets.backtest.node import Replay
from odum_assets.backtest.plan import ERROR, EXIT_USER_ERROR, RunPlan
from odum_assets.backtest.simulation import Report, simulate, streamed
from odum_assets.errors import OdumError


def main(arguments: list[str]) -> None:
    """Run a plan and end the process."""
    plan = RunPlan.model_validate_json(Path(arguments[0]).read_text(encoding="utf-8"))
    leave_pandas_out()
    # What the imports made stays: collections need not look at it again.
    gc.freeze()
    report = _reporter(int(arguments[1]))
    report("load", 0.0, 0, None)
    replay_to_end(plan, report, lambda: streamed(plan))


def replay_to_end(plan: RunPlan, report: Report, replay: Callable[[], Replay]) -> NoReturn:
    """Replay a plan, write down its facts or why it was refused, and end the process.

    Parameters
    ----------
    plan : RunPlan
        The run.
    report : Callable
        Called with phase, share done, orders and market time.
    replay : Callable
        Makes what the plan is replayed on.
    """

    def finish(facts: ReplayFacts) -> NoReturn:
        facts.write(plan.work)
        _end(0)

    try:
        simulate(plan, replay(), report, finish)
    except OdumError as error:
        (plan.work / ERROR).write_text(str(error), encoding="utf-8")
        _end(EXIT_USER_ERROR)
    raise AssertionError("a replay ends in its last timer or is refused")


class _NoPandas(MetaPathFinder):
    """Say that pandas cannot be imported."""

    def find_spec(self, fullname: str, _path: object, _target: object = None) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError(fullname)


def leave_pandas_out() -> None:
    """Let Arrow make its first array without importing pandas, which it does to know its types.

    A strategy may import pandas, and Arrow finds it then when it is asked for a data frame.
    """
    refusal = _NoPandas()
    sys.meta_path.insert(0, refusal)
    pa.array([0])
    sys.meta_path.remove(refusal)


def _end(code: int) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    # Nothing is left to do: taking a day's engine apart object by object would take seconds.
    os._exit(code)


def _reporter(descriptor: int) -> Report:
    def report(phase: str, done: float, orders: int, market_time_ns: int | None) -> None:
        line = json.dumps([phase, done, orders, market_time_ns]) + "\n"
        # Lines are shorter than a pipe's atomic write. A parent that is gone is no reason to stop.
        with suppress(BrokenPipeError):
            os.write(descriptor, line.encode())

    return report


if __name__ == "__main__":
    main(sys.argv[1:])
