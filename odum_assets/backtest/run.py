"""A run from a request to its figures: who does what, and in which process.

1. This process checks the request, holds its data in a private view and plans (``inputs``).
2. A child process replays (``worker``, ``simulation``; ``process`` is this side of it). It records
   events, and ends in the run's last timer, before NautilusTrader copies every position with all
   its fills.
3. This process counts what was recorded (``figures``), when the child's memory is gone: engine and
   tables are never in memory together, and a day of two million orders takes less than 3 GB. To
   count in a third process would cost its start for every run. The modules that count are loaded
   while the child replays.

What is kept of a completed run, and where, is a matter of ``results``.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from odum_assets.backtest.bar_inputs import BarInputs, bar_inputs, bar_plan_of
from odum_assets.backtest.bar_plan import BarPlan
from odum_assets.backtest.inputs import RunInputs, plan_of, run_inputs
from odum_assets.backtest.outcome import ReplayOutcome
from odum_assets.backtest.plan import Progress, RunPlan
from odum_assets.backtest.process import run_plan
from odum_assets.backtest.request import RunRequest
from odum_assets.backtest.witness import Verdict, beside_replay
from odum_assets.catalog import PartitionManifest
from odum_assets.settings import Settings

if TYPE_CHECKING:
    from odum_assets.backtest.figures import RunFigures

type ProgressCallback = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class CompletedRun:
    """A finished run that is not stored: its tables lie in the plan's work folder.

    Parameters
    ----------
    request : RunRequest
        The run with its effective window.
    inputs : RunInputs
        The data that were replayed.
    plan : RunPlan
        The replay; `RunPlan.work` holds orders, fills, positions and equity as parquet.
    curve_days : list[PartitionManifest]
        Days before whose volume was followed (VWAP).
    outcome : ReplayOutcome
        What the engine and the strategy said.
    figures : RunFigures
        What was counted.
    witness : Verdict or None
        Whether the kernel agrees with a replay; None of a run by the kernel, and on bars.
    digest : str or None
        Its digest, where there are no tables.
    """

    request: RunRequest
    inputs: RunInputs | BarInputs
    plan: RunPlan | BarPlan
    curve_days: list[PartitionManifest]
    outcome: ReplayOutcome
    figures: "RunFigures"
    witness: Verdict | None = None
    digest: str | None = None

    @property
    def window_start_ns(self) -> int:
        """Return the start of the window: the given one, else that of the first day."""
        given = self.request.start_ns
        return self.request.span()[0] if given is None else given


@contextmanager
def completed_run(
    request: RunRequest,
    settings: Settings,
    workspace: AbstractContextManager[Path],
    progress: ProgressCallback | None = None,
    *,
    chunk_rows: int | None = None,
) -> Iterator[CompletedRun]:
    """Run a request; the work folder lives as long as the context.

    Parameters
    ----------
    request : RunRequest
        The run.
    settings : Settings
        Where everything lies.
    workspace : context manager of Path
        Makes the work folder.
    progress : callable, optional
        Called as the run proceeds.
    chunk_rows : int, optional
        Rows loaded at a time; results do not depend on it.

    Yields
    ------
    CompletedRun
        The finished run.

    Raises
    ------
    OdumError
        If the request cannot be served or the run fails.
    """
    if progress is not None:
        progress(Progress("validate", 0.0))
    if request.config.bars is not None:
        with bar_inputs(request, settings, workspace) as bars:
            bar_plan = bar_plan_of(bars, settings, chunk_rows=chunk_rows)
            with _loading("bar_figures"):
                outcome = run_plan(bar_plan, progress)
            from odum_assets.backtest.bar_figures import compute_bar_figures

            figures = compute_bar_figures(bar_plan, bars, outcome)
            yield CompletedRun(bars.request, bars, bar_plan, [], outcome, figures)
        return
    with run_inputs(request, settings, workspace) as inputs:
        plan, curve_days = plan_of(inputs.request, inputs, inputs.work, chunk_rows=chunk_rows)
        if request.engine == "kernel":
            from odum_assets.backtest.kernel_run import run_kernel

            witness, outcome = None, run_kernel(plan, progress)
        else:
            with _loading("figures"), beside_replay(plan) as witness:
                outcome = run_plan(plan, progress)
        from odum_assets.backtest.figures import compute_figures

        # Arrow compares the events on one core while they are counted on the other.
        with ThreadPoolExecutor(1, "verdict") as pool:
            compared = None if witness is None else pool.submit(witness.verdict, outcome)
            figures = compute_figures(plan, inputs.prices, outcome)
            verdict = None if compared is None else compared.result()
        yield CompletedRun(inputs.request, inputs, plan, curve_days, outcome, figures, verdict)


@contextmanager
def _loading(module: str) -> Iterator[None]:
    """Load a module of this package in a thread while a replay goes on in another process."""
    with ThreadPoolExecutor(1, "loading") as pool:
        pool.submit(import_module, f"{__package__}.{module}")
        # Arrow imports it for the first array that it makes.
        pool.submit(import_module, "pandas")
        yield
