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
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from odum_assets.backtest.bar_plan import BarPlan, is_bar_plan
from odum_assets.backtest.bar_strategies import bar_strategy_path
from odum_assets.backtest.child import await_task
from odum_assets.backtest.outcome import ReplayOutcome
from odum_assets.backtest.output import keep_output
from odum_assets.backtest.parent_watchdog import end_with_parent
from odum_assets.backtest.plan import EXIT_USER_ERROR, RunPlan
from odum_assets.backtest.process import Messages
from odum_assets.backtest.simulation import Report, simulate, strategy_of, streamed
from odum_assets.backtest.strategies.checking import forked_answer
from odum_assets.backtest.strategies.loading import import_from_here
from odum_assets.backtest.strategies.sources import StrategySources
from odum_assets.catalog.arrow import leave_pandas_out
from odum_assets.config.exact_json import read_json
from odum_assets.errors import OdumError
from odum_assets.storage.files import DISK_TROUBLE, FREE_SPACE

type Finish = Callable[[ReplayOutcome], NoReturn]
type Run = Callable[[Report, Finish, StrategySources], None]


def main(arguments: list[str]) -> None:
    """Run a plan and end the process."""
    end_with_parent(int(arguments[1]))
    leave_pandas_out()
    # NautilusTrader imports it for the first time of a configuration: better while we wait.
    import_module("pandas")
    task, log = await_task(arguments, forked_answer)
    document = read_json(task.read_text(encoding="utf-8"))
    messages = Messages(int(arguments[0]))
    report = partial(messages.progress, 0)
    plan = (BarPlan if is_bar_plan(document) else RunPlan).model_validate(document)
    keep_output(log, plan.log_level)
    sources = strategy_sources([strategy_path(plan)])
    run = bar_run(plan) if isinstance(plan, BarPlan) else _tick_run(plan)
    # What the imports made stays: collections need not look at it again.
    gc.freeze()
    report("load", 0.0, 0, None)
    replay_to_end(
        plan.work, lambda finish: run(report, finish, sources), partial(messages.refused, 0)
    )


def strategy_path(plan: RunPlan | BarPlan) -> str:
    """Return the import path of a plan's strategy."""
    if isinstance(plan, BarPlan):
        return bar_strategy_path(plan.config.strategy.name)
    return strategy_of(plan)


def _tick_run(plan: RunPlan) -> Run:
    return lambda report, finish, sources: simulate(plan, streamed(plan), report, finish, sources)


def bar_run(plan: BarPlan) -> Run:
    """Return what replays a plan on bars; it is imported before the process is forked."""
    from odum_assets.backtest.bar_simulation import simulate_bars

    return partial(simulate_bars, plan)


def strategy_sources(strategies: Iterable[str]) -> StrategySources:
    """Read the code of strategies (import paths), and let this process import no other."""
    import_from_here()
    sources = StrategySources([*strategies])
    sources.install()
    return sources


def replay_to_end(
    work: Path, run: Callable[[Finish], None], refuse: Callable[[str], None]
) -> NoReturn:
    """Replay, write down the outcome or tell why the run is refused, and end the process.

    Parameters
    ----------
    work : Path
        The work folder of the run's plan.
    run : Callable
        Replays; it calls what it is given with the outcome.
    refuse : Callable
        Called with why the run is refused, as a message for a person.
    """

    def finish(outcome: ReplayOutcome) -> NoReturn:
        outcome.write(work)
        _end(0)

    try:
        run(finish)
    except OdumError as error:
        refuse(str(error))
    except OSError as error:
        if error.errno not in DISK_TROUBLE:
            raise
        what = f"{error.filename or work}: cannot be written ({error.strerror or error})"
        refuse(f"{what}; {FREE_SPACE}")
    _end(EXIT_USER_ERROR)


def _end(code: int) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    # Nothing is left to do: taking a day's engine apart object by object would take seconds.
    os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
