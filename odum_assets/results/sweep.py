"""Running the variants of a configuration over the same data, each to a stored result of its own.

What belongs here: a sweep from request to stored results and their figures side by side. What does
not: making variants (``config.variants``), processes (``backtest.sweep``), how a table looks.
"""

import shutil
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Final

from odum_assets.backtest.accounting import account
from odum_assets.backtest.facts import ReplayFacts
from odum_assets.backtest.plan import Progress
from odum_assets.backtest.request import RunRequest
from odum_assets.backtest.sweep import End, Slots, run_plans
from odum_assets.config.variants import Variant, label_of
from odum_assets.errors import BacktestError, ConfigError, OdumError
from odum_assets.results.digest import result_digest
from odum_assets.results.execution import Executed, ProgressCallback, plan_of, prepared
from odum_assets.results.run import store_result
from odum_assets.results.run_id import new_run_id
from odum_assets.settings import Settings
from odum_assets.utc import day_start_ns

_ALGORITHM_PATH = "strategy.exec_algorithm"

_FIGURES: Final[dict[str, Callable[[dict[str, Any]], Any]]] = {
    "net_pnl": lambda summary: summary["pnl_breakdown"]["net"],
    "realized": lambda summary: summary["pnl_breakdown"]["realized"],
    "commissions": lambda summary: summary["pnl_breakdown"]["commissions"],
    "orders": lambda summary: summary["orders"],
    "fills": lambda summary: summary["fills"],
    "win_rate": lambda summary: summary["trades"]["win_rate"],
    "max_drawdown": lambda summary: summary["drawdown"]["max_drawdown"],
    "sharpe": lambda summary: summary["ratios"]["sharpe"],
}

FIGURES: Final = tuple(_FIGURES)
"""Names of the figures that a sweep puts side by side: win rate in percent, the maximum drawdown as
a fraction, zero or negative."""


@dataclass(frozen=True, slots=True)
class VariantResult:
    """What became of one variant.

    Parameters
    ----------
    varied : dict[str, Any]
        Values by dotted path.
    run_id, digest : str or None
        Its result; None if it failed.
    error : str or None
        Why it failed.
    figures : dict[str, Any]
        Values by the names of `FIGURES`; empty if it failed, None where not known.
    flags : tuple[str, ...]
        What a reader must know.
    """

    varied: dict[str, Any]
    run_id: str | None
    digest: str | None
    error: str | None
    figures: dict[str, Any]
    flags: tuple[str, ...]

    @property
    def label(self) -> str:
        """Return what is varied, on one line."""
        return label_of(self.varied)


@dataclass(frozen=True, slots=True)
class VariantRun:
    """The run of one variant: its id, what is run, and its place in the sweep (for provenance)."""

    run_id: str
    request: RunRequest
    sweep: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SweepResult:
    """A finished sweep: its id, and its variants in the order in which they were given."""

    sweep_id: str
    variants: tuple[VariantResult, ...]


def run_sweep(
    request: RunRequest,
    variants: Sequence[Variant],
    settings: Settings,
    *,
    slots: int | Slots = 2,
    progress: ProgressCallback | None = None,
    dagster_run_id: str | None = None,
    begun: Callable[[Sequence[VariantRun]], None] | None = None,
    ended: Callable[[VariantRun, OdumError | None], None] | None = None,
) -> SweepResult:
    """Run variants over the data of one day, which are read once, and store every result.

    A variant that fails does not stop the others.

    Parameters
    ----------
    request : RunRequest
        What is run, with the configuration that is varied.
    variants : sequence of Variant
        From `odum_assets.config.variants.make_variants`.
    settings : Settings
        Where everything lies.
    slots : int or callable, default 2
        Variants at one time. A callable is asked at the begin and after the end of each variant;
        it is given the number of variants that have not ended.
    progress : callable, optional
        Called as the sweep proceeds.
    dagster_run_id : str, optional
        The Dagster run that asked for it; goes into the provenance of every result.
    begun : callable, optional
        Called with the runs of all variants before the first one begins.
    ended : callable, optional
        Called with the run of each variant once its result is stored, or with the error.

    Returns
    -------
    SweepResult
        Results and failures.

    Raises
    ------
    OdumError
        If the request cannot be served or a strategy or its parameters cannot be used; nothing is
        run then.
    """
    if len(request.days) != 1:
        raise ConfigError("a sweep runs over one day")
    if request.exec_algorithm is not None and any(
        path.startswith(_ALGORITHM_PATH) for each in variants for path in each.varied
    ):
        raise ConfigError(f"exec_algorithm is given for all, and {_ALGORITHM_PATH} varies; choose")
    start = request.start_ns
    start = day_start_ns(request.days[0]) if start is None else start
    sweep_id = f"SWP_{new_run_id(request.config, start)}"
    meter = _Meter(len(variants), progress)
    results: dict[int, VariantResult] = {}
    code: dict[str, str] = {}
    with prepared(request, settings) as data:
        requests = [replace(data.request, config=each.config) for each in variants]
        folders = [data.work / f"{index:04d}" for index in range(len(variants))]
        for folder in folders:
            folder.mkdir()
        made = [plan_of(each, data, folder) for each, folder in zip(requests, folders, strict=True)]
        runs = [
            VariantRun(
                new_run_id(each.config, start),
                each,
                {"id": sweep_id, "variant": number, "of": len(variants), "varied": variant.varied},
            )
            for number, (each, variant) in enumerate(zip(requests, variants, strict=True), 1)
        ]
        if begun is not None:
            begun(runs)

        def finish(index: int, end: End) -> VariantResult:
            """Store a run that ended."""
            if isinstance(end, BacktestError):
                raise end
            _same_code(code, end)
            plan, curve_days = made[index]
            outcome = account(plan, data.prices, end)
            run = Executed(
                request=requests[index],
                work=plan.work,
                outcome=outcome,
                digest=result_digest(plan.work, outcome["account"]),
                manifests=data.manifests,
                rows_replayed=data.rows,
                curve_days=curve_days,
                exec_algorithm=plan.exec_algorithm,
                sweep=runs[index].sweep,
            )
            result = store_result(run, settings, dagster_run_id, runs[index].run_id)
            figures = {name: read(result.summary) for name, read in _FIGURES.items()}
            return VariantResult(
                variants[index].varied, result.run_id, result.digest, None, figures, result.flags
            )

        labels = [each.label for each in variants]
        plans = [plan for plan, _ in made]
        # Closed at once when something is raised: it ends the processes.
        with closing(run_plans(labels, plans, data.work, slots, meter.moved)) as ends:
            for index, end in ends:
                problem = None
                try:
                    results[index] = finish(index, end)
                except OdumError as error:
                    problem, varied = error, variants[index].varied
                    results[index] = VariantResult(varied, None, None, str(error), {}, ())
                if ended is not None:
                    ended(runs[index], problem)
                meter.ended(index)
                # Twenty variants' tables need not lie there at once.
                shutil.rmtree(folders[index], ignore_errors=True)
    return SweepResult(sweep_id, tuple(results[index] for index in range(len(variants))))


def _same_code(known: dict[str, str], facts: ReplayFacts) -> None:
    """Note the code of a variant.

    What an import statement names is read once for all variants; a module that is loaded by name is
    read by each.

    Raises
    ------
    BacktestError
        If an earlier variant ran other code.
    """
    now = facts.strategy_modules
    changed = [name for name, sha in now.items() if known.get(name, sha) != sha]
    if changed:
        raise BacktestError(
            f"{', '.join(changed)} was edited during the sweep: this variant ran other code than "
            "those before it, so its result is not stored; run the sweep again"
        )
    known |= now


class _Meter:
    """How far a sweep is, from how far its variants are."""

    def __init__(self, total: int, report: ProgressCallback | None) -> None:
        self._total = total
        self._report = report
        self._shares: dict[int, float] = {}
        self._orders: dict[int, int] = {}
        self._ended = 0

    def moved(self, index: int | None, progress: Progress) -> None:
        """Take the progress of a variant, or of loading (None)."""
        if index is not None:
            # Counting is not measured; it comes after the replay.
            share = progress.done if progress.phase == "replay" else 1.0
            self._shares[index] = share
            self._orders[index] = progress.orders
        elif self._report is not None:
            self._report(Progress("load", progress.done))
            return
        self._tell()

    def ended(self, index: int) -> None:
        """Take the end of a variant."""
        self._ended += 1
        self._shares[index] = 1.0
        self._tell()

    def _tell(self) -> None:
        if self._report is not None:
            done = sum(self._shares.values()) / self._total
            phase = f"{self._ended} of {self._total} variants"
            self._report(Progress(phase, done, sum(self._orders.values())))
