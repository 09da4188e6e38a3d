"""The variants of a run over the same rows, from request to figures.

What belongs here: as ``run``, for several runs whose rows are read once. What does not: making
variants (``config.variants``), processes (``process``), storing results.
"""

import shutil
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Event

from odum_assets.backtest.bar_figures import compute_bar_figures
from odum_assets.backtest.bar_inputs import BarInputs, bar_inputs, bar_plan_of
from odum_assets.backtest.bar_plan import BarPlan
from odum_assets.backtest.coverage import NotCoveredError
from odum_assets.backtest.figures import RunFigures, compute_figures
from odum_assets.backtest.inputs import RunInputs, plan_of, run_inputs
from odum_assets.backtest.kernel_run import run_kernel
from odum_assets.backtest.outcome import ReplayOutcome
from odum_assets.backtest.plan import Progress, RunPlan
from odum_assets.backtest.process import ALL, ReplayEnd, Slots, run_plans
from odum_assets.backtest.request import RunRequest
from odum_assets.backtest.run import CompletedRun, ProgressCallback
from odum_assets.backtest.witness import Witness
from odum_assets.catalog import PartitionManifest
from odum_assets.config.variants import Variant
from odum_assets.errors import BacktestError, OdumError
from odum_assets.settings import Settings


def completed_variants(
    request: RunRequest,
    variants: Sequence[Variant],
    settings: Settings,
    workspace: AbstractContextManager[Path],
    *,
    slots: int | Slots,
    begun: Callable[[Sequence[RunRequest]], None],
    ended: Callable[[int, Path], None],
    progress: ProgressCallback | None = None,
) -> Generator[tuple[int, CompletedRun | OdumError]]:
    """Run variants over the data of a request, some at a time.

    Parameters
    ----------
    request : RunRequest
        What is run, with the configuration that is varied.
    variants : sequence of Variant
        Configurations over the same rows.
    settings : Settings
        Where everything lies.
    workspace : context manager of Path
        Makes the work folder.
    slots : int or callable
        Variants at one time, as of `odum_assets.backtest.process.run_plans`.
    begun : callable
        Called with the requests of all variants before the first one begins.
    ended : callable
        Called with the index of each variant that has ended, and its work folder.
    progress : callable, optional
        Called as the sweep proceeds.

    Yields
    ------
    tuple[int, CompletedRun or OdumError]
        Index of a variant, and its run or why there is none, in the order in which they end. The
        tables of a run are removed when the next one is asked for.

    Raises
    ------
    OdumError
        If the request cannot be served or a strategy or its parameters cannot be used; nothing is
        run then.
    """
    report = _SweepProgress(len(variants), progress)
    modules: dict[str, str] = {}
    is_bars = request.config.bars is not None
    with (_bar_rows if is_bars else _tick_rows)(request, settings, workspace) as (inputs, planned):
        requests = [replace(inputs.request, config=variant.config) for variant in variants]
        works = [inputs.work / f"{index:04d}" for index in range(len(variants))]
        for work in works:
            work.mkdir()
        runs = [planned(*run) for run in zip(requests, works, strict=True)]
        plans = [run.plan for run in runs]
        begun(requests)

        def completed(index: int, outcome: ReplayOutcome) -> CompletedRun:
            _check_modules(modules, outcome)
            run = runs[index]
            figures = run.figures(outcome)
            verdict = None
            if isinstance(run.plan, RunPlan) and request.engine == "nautilus":
                witness = Witness(run.plan)
                witness.match()
                verdict = witness.verdict(outcome)
            return CompletedRun(
                requests[index], inputs, run.plan, run.curve_days, outcome, figures, verdict
            )

        labels = [variant.label for variant in variants]
        # Closed at once when something is raised: it ends the processes.
        if request.engine == "kernel":
            started = _kernel_ends(plans, slots, report.moved)
        else:
            started = run_plans(labels, plans, inputs.work, slots, report.moved)
        with closing(started) as ends:
            for index, end in ends:
                result: CompletedRun | OdumError
                ended(index, plans[index].work)
                try:
                    result = end if isinstance(end, BacktestError) else completed(index, end)
                except OdumError as error:
                    result = error
                yield index, result
                report.ended(index)
                # Twenty variants' tables need not lie there at once.
                shutil.rmtree(plans[index].work, ignore_errors=True)


def _kernel_ends(
    plans: Sequence[RunPlan | BarPlan],
    slots: int | Slots,
    progress: Callable[[int, Progress], None],
) -> Generator[tuple[int, ReplayEnd]]:
    """Match the orders of plans by the kernel, some at a time, in threads.

    When it is closed before its end, no plan begins any more and those that run stop.
    """
    is_over = Event()

    def report(index: int, how_far: Progress) -> None:
        if is_over.is_set():
            raise BacktestError("the sweep was stopped")
        progress(index, how_far)

    def end(index: int) -> tuple[int, ReplayEnd]:
        plan = plans[index]
        assert isinstance(plan, RunPlan)  # noqa: S101 - bars are refused
        try:
            return index, run_kernel(plan, partial(report, index))
        except NotCoveredError as error:
            return index, error

    threads = slots if isinstance(slots, int) else slots(len(plans))
    pool = ThreadPoolExecutor(max(threads, 1), "kernel")
    try:
        for done in as_completed([pool.submit(end, index) for index in range(len(plans))]):
            yield done.result()
    finally:
        is_over.set()
        pool.shutdown(cancel_futures=True)


@dataclass(frozen=True, slots=True)
class _Planned:
    """The plan of a variant, the days of its volume curve, and what counts its outcome."""

    plan: RunPlan | BarPlan
    curve_days: list[PartitionManifest]
    figures: Callable[[ReplayOutcome], RunFigures]


type _Rows[Inputs] = tuple[Inputs, Callable[[RunRequest, Path], _Planned]]


@contextmanager
def _tick_rows(
    request: RunRequest, settings: Settings, workspace: AbstractContextManager[Path]
) -> Iterator[_Rows[RunInputs | BarInputs]]:
    with run_inputs(request, settings, workspace) as inputs:

        def planned(variant: RunRequest, work: Path) -> _Planned:
            plan, curve_days = plan_of(variant, inputs, work)
            return _Planned(plan, curve_days, partial(compute_figures, plan, inputs.prices))

        yield inputs, planned


@contextmanager
def _bar_rows(
    request: RunRequest, settings: Settings, workspace: AbstractContextManager[Path]
) -> Iterator[_Rows[RunInputs | BarInputs]]:
    with bar_inputs(request, settings, workspace) as inputs:

        def planned(variant: RunRequest, work: Path) -> _Planned:
            own = replace(inputs, request=variant, work=work)
            plan = bar_plan_of(own, settings)
            return _Planned(plan, [], partial(compute_bar_figures, plan, own))

        yield inputs, planned


def _check_modules(known: dict[str, str], outcome: ReplayOutcome) -> None:
    """Note the code of a variant.

    What an import statement names is read once for all variants; a module that is loaded by name is
    read by each.

    Raises
    ------
    BacktestError
        If an earlier variant ran other code.
    """
    now = outcome.strategy_modules
    changed = [name for name, sha in now.items() if known.get(name, sha) != sha]
    if changed:
        raise BacktestError(
            f"{', '.join(changed)} was edited during the sweep: this variant ran other code than "
            "those before it, so its result is not stored; run the sweep again"
        )
    known |= now


class _SweepProgress:
    """How far a sweep is, from how far its variants are."""

    def __init__(self, total: int, report: Callable[[Progress], None] | None) -> None:
        self._total = total
        self._report = report or (lambda _: None)
        self._shares: dict[int, float] = {}
        self._orders: dict[int, int] = {}
        self._ended = 0

    def moved(self, index: int, progress: Progress) -> None:
        """Take the progress of a variant, or of loading (`ALL`)."""
        if index == ALL:
            self._report(Progress("load", progress.done))
            return
        # Counting is not measured; it comes after the replay.
        self._shares[index] = progress.done if progress.phase == "replay" else 1.0
        self._orders[index] = progress.orders
        self._send()

    def ended(self, index: int) -> None:
        """Take the end of a variant."""
        self._ended += 1
        self._shares[index] = 1.0
        self._send()

    def _send(self) -> None:
        done = sum(self._shares.values()) / self._total
        phase = f"{self._ended} of {self._total} variants"
        self._report(Progress(phase, done, sum(self._orders.values())))
