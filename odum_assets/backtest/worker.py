"""The child process of a run: replay, write down what happened, end.

Run as ``python -m odum_assets.backtest.worker MESSAGES_FD PARENT``; the plan is named on its
standard input, or as a third argument where the run has the terminal. The outcome is written last;
an error that a person can act on goes to the parent beside the progress (a full disk would not take
it), anything else ends in a traceback. The process ends with its parent.
"""

import gc
import os
import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import NoReturn

from odum_assets.backtest.child import await_task
from odum_assets.backtest.lifeline import end_with_parent
from odum_assets.backtest.node import Replay
from odum_assets.backtest.outcome import ReplayOutcome
from odum_assets.backtest.output import keep_output
from odum_assets.backtest.plan import DISK_TROUBLE, EXIT_USER_ERROR, FREE_SPACE, RunPlan
from odum_assets.backtest.process import Messages
from odum_assets.backtest.simulation import Report, simulate, strategy_of, streamed
from odum_assets.backtest.strategies.loading import import_from_here
from odum_assets.backtest.strategies.sources import StrategySources
from odum_assets.catalog.arrow import leave_pandas_out
from odum_assets.config.exact_json import read_json
from odum_assets.errors import OdumError


def main(arguments: list[str]) -> None:
    """Run a plan and end the process."""
    end_with_parent(int(arguments[1]))
    task, log = await_task(arguments)
    plan = RunPlan.model_validate(read_json(task.read_text(encoding="utf-8")))
    keep_output(log, plan.log_level)
    messages = Messages(int(arguments[0]))
    report = partial(messages.progress, 0)
    sources = strategy_sources([plan])
    leave_pandas_out()
    # What the imports made stays: collections need not look at it again.
    gc.freeze()
    report("load", 0.0, 0, None)
    replay_to_end(plan, lambda: streamed(plan), report, partial(messages.refused, 0), sources)


def strategy_sources(plans: Iterable[RunPlan]) -> StrategySources:
    """Read the code of the strategies of plans, and let this process import no other."""
    import_from_here()
    sources = StrategySources([strategy_of(plan) for plan in plans])
    sources.install()
    return sources


def replay_to_end(
    plan: RunPlan,
    replay: Callable[[], Replay],
    report: Report,
    refuse: Callable[[str], None],
    sources: StrategySources,
) -> NoReturn:
    """Replay a plan, write down its outcome or tell why it is refused, and end the process.

    Parameters
    ----------
    plan : RunPlan
        The run.
    replay : Callable
        Makes what the plan is replayed on.
    report : Callable
        Called with phase, share done, orders and market time.
    refuse : Callable
        Called with why the run is refused, as a message for a person.
    sources : StrategySources
        The code of the strategy.
    """

    def finish(outcome: ReplayOutcome) -> NoReturn:
        outcome.write(plan.work)
        _end(0)

    try:
        simulate(plan, replay(), report, finish, sources)
    except OdumError as error:
        refuse(str(error))
    except OSError as error:
        if error.errno not in DISK_TROUBLE:
            raise
        what = f"{error.filename or plan.work}: cannot be written ({error.strerror or error})"
        refuse(f"{what}; {FREE_SPACE}")
    _end(EXIT_USER_ERROR)


def _end(code: int) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    # Nothing is left to do: taking a day's engine apart object by object would take seconds.
    os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
