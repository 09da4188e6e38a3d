"""The process of a sweep: load a day once, fork a child per variant.

Run as ``python -m odum_assets.backtest.sweep_worker MESSAGES_FD PARENT``; the plans are named on
its standard input. A child has the
loaded rows by copy on write, adds venue and strategy, replays and writes down its outcome as the
process of a single run does: nothing is reset, and a panic or a strategy that breaks ends one
variant only.
"""

import gc
import json
import os
import signal
import sys
import traceback
import warnings
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NoReturn

from pydantic import BaseModel, ConfigDict, model_validator

from odum_assets.backtest.bar_plan import BarPlan
from odum_assets.backtest.bar_strategies import check_bar_strategy
from odum_assets.backtest.child import await_task
from odum_assets.backtest.loaded import load_engine, loaded_replay
from odum_assets.backtest.node import engine_config
from odum_assets.backtest.output import LOG, keep_output
from odum_assets.backtest.parent_watchdog import end_with_parent
from odum_assets.backtest.plan import EXIT_USER_ERROR, RunPlan
from odum_assets.backtest.process import ALL, ALLOWED, Messages, death
from odum_assets.backtest.simulation import Report, load_strategy, simulate
from odum_assets.backtest.strategies.sources import StrategySources
from odum_assets.backtest.worker import (
    Finish,
    bar_run,
    replay_to_end,
    strategy_path,
    strategy_sources,
)
from odum_assets.catalog.arrow import leave_pandas_out
from odum_assets.config.exact_json import read_json
from odum_assets.errors import BacktestError, OdumError


class SweepPlan(BaseModel):
    """Runs over the same rows.

    Parameters
    ----------
    labels : tuple[str, ...]
        What each run is called in messages.
    plans : tuple[RunPlan or BarPlan, ...]
        The runs; they differ in nothing that decides which rows are replayed.
    work : Path
        Folder for what is said of all of them, and for how many may go on at one time.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    labels: tuple[str, ...]
    plans: tuple[RunPlan | BarPlan, ...]
    work: Path

    @model_validator(mode="after")
    def _check(self) -> "SweepPlan":
        if len({_data_of(plan) for plan in self.plans}) != 1:
            raise ValueError("the runs of a sweep replay different rows")
        return self


def main(arguments: list[str]) -> int:
    """Run a sweep and return the exit code; that of a variant is sent as a message."""
    end_with_parent(int(arguments[1]))
    task, _ = await_task(arguments)
    sweep = SweepPlan.model_validate(read_json(task.read_text(encoding="utf-8")))
    messages = Messages(int(arguments[0]))
    # Variants that start late run the code that the first ones ran.
    sources = strategy_sources(strategy_path(plan) for plan in sweep.plans)
    try:
        _check_strategies(sweep)
        _run(sweep, messages, sources)
    except OdumError as error:
        messages.refused(ALL, str(error))
        return EXIT_USER_ERROR
    return 0


def _data_of(plan: RunPlan | BarPlan) -> str:
    fields = {"catalog", "data_types", "start_ns", "end_ns", "last_row_ns"}
    of_bars = {"days", "first_bars", "first_close_ns", "last_close_ns"}
    return plan.model_dump_json(include=of_bars if isinstance(plan, BarPlan) else fields)


def _check_strategies(sweep: SweepPlan) -> None:
    """Load every variant's strategy in a process of its own, which leaves nothing imported here.

    Raises
    ------
    BacktestError
        If one cannot be imported or its parameters cannot be used.
    """
    problems_file = sweep.work / "problems.json"

    def check() -> int:
        problems: dict[str, str] = {}
        for label, plan in zip(sweep.labels, sweep.plans, strict=True):
            try:
                if isinstance(plan, BarPlan):
                    check_bar_strategy(plan.config)
                else:
                    load_strategy(plan)
            except BacktestError as error:
                problems.setdefault(str(error), label)
        problems_file.write_text(json.dumps(problems), encoding="utf-8")
        return 0

    _run_apart(check, sweep)
    problems: dict[str, str] = json.loads(problems_file.read_text(encoding="utf-8"))
    if problems:
        raise BacktestError("\n".join(f"{label}: {text}" for text, label in problems.items()))


def _run(sweep: SweepPlan, messages: Messages, sources: StrategySources) -> None:
    messages.progress(ALL, "load", 0.0, 0, None)
    ticks = {i: plan for i, plan in enumerate(sweep.plans) if isinstance(plan, RunPlan)}
    for indices in _by_engine(ticks):
        # A process can have one engine only.
        _run_apart(partial(_run_group, sweep, indices, messages, sources), sweep)
    if len(ticks) < len(sweep.plans):
        _run_apart(partial(_run_bars, sweep, messages, sources), sweep)


def _run_group(
    sweep: SweepPlan, indices: list[int], messages: Messages, sources: StrategySources
) -> int:
    """Run the plans that can share an engine."""

    def loaded(done: float) -> None:
        messages.progress(ALL, "load", done, 0, None)

    def run(plan: RunPlan, report: Report, finish: Finish) -> None:
        simulate(plan, loaded_replay(engine, plan), report, finish, sources)

    def work(index: int) -> NoReturn:
        _replay(index, ticks[index], partial(run, ticks[index]), messages)

    ticks = {i: plan for i, plan in enumerate(sweep.plans) if isinstance(plan, RunPlan)}
    leave_pandas_out()
    engine = load_engine(ticks[indices[0]], loaded)
    # Looking at objects writes to them, and each page written to is a copy.
    gc.collect()
    gc.freeze()
    _fork_all(indices, work, sweep.work / ALLOWED, messages)
    return 0


def _run_bars(sweep: SweepPlan, messages: Messages, sources: StrategySources) -> int:
    """Run the plans on bars: each has an engine of its own, and imports are shared."""
    leave_pandas_out()
    runs = {i: bar_run(plan) for i, plan in enumerate(sweep.plans) if isinstance(plan, BarPlan)}

    def work(index: int) -> NoReturn:
        def run(report: Report, finish: Finish) -> None:
            runs[index](report, finish, sources)

        _replay(index, sweep.plans[index], run, messages)

    gc.collect()
    gc.freeze()
    _fork_all([*runs], work, sweep.work / ALLOWED, messages)
    return 0


def _replay(
    index: int,
    plan: RunPlan | BarPlan,
    run: Callable[[Report, Finish], None],
    messages: Messages,
) -> NoReturn:
    """Replay a plan in this process, which prints to the plan's log, and end it."""
    _print_to(plan.work / LOG)
    keep_output(plan.work / LOG, plan.log_level)
    report = partial(messages.progress, index)
    replay_to_end(plan.work, partial(run, report), partial(messages.refused, index))


def _by_engine(plans: dict[int, RunPlan]) -> list[list[int]]:
    """Return the indices of plans with equal engine settings: those can share an engine."""
    groups: dict[str, list[int]] = {}
    for index, plan in plans.items():
        groups.setdefault(str(engine_config(plan.config)), []).append(index)
    return list(groups.values())


def _fork_all(
    indices: list[int], work: Callable[[int], int], allowed: Path, messages: Messages
) -> None:
    """Run a function in a process per index, as many as a file allows, and tell of each end."""
    running: dict[int, int] = {}
    waiting = deque(indices)
    try:
        while waiting or running:
            while waiting and (not running or len(running) < int(allowed.read_text())):
                index = waiting.popleft()
                running[_fork(partial(work, index))] = index
            process, status = os.wait()
            messages.ended(running.pop(process), os.waitstatus_to_exitcode(status))
    finally:
        for process in running:
            os.kill(process, signal.SIGKILL)


def _run_apart(work: Callable[[], int], sweep: SweepPlan) -> None:
    """Run a function in a child process and wait for it.

    Raises
    ------
    BacktestError
        If the process died or ended with another exit code than 0.
    """
    _, status = os.waitpid(_fork(work), 0)
    code = os.waitstatus_to_exitcode(status)
    if code:
        raise BacktestError(death(code, sweep.work))


def _fork(work: Callable[[], int]) -> int:
    """Run a function in a child process that ends with its exit code; return the process id."""
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        # The threads are Arrow's, which mends itself after a fork, and NautilusTrader's idle
        # logger: none holds a lock that a child will ask for.
        warnings.filterwarnings("ignore", ".*multi-threaded, use of fork", DeprecationWarning)
        parent = os.getpid()
        process = os.fork()
    if process == 0:
        end_with_parent(parent)
        _end(work)
    return process


def _end(work: Callable[[], int]) -> NoReturn:
    code = 1
    try:
        code = work()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001 - nothing of the child may return to the parent's code
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        # Not torn down: that would take the loaded rows apart one by one.
        os._exit(code)


def _print_to(path: Path) -> None:
    """Send what this process prints to a file."""
    with path.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


if __name__ == "__main__":
    exit_code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)
