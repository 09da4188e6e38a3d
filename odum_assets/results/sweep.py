"""Running the variants of a configuration over the same data, each to a stored result of its own.

What belongs here: a sweep from request to stored results and their figures side by side. What does
not: making variants (``config.variants``), running them (``backtest.sweep``), how a table looks.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

from odum_assets.backtest.process import Slots
from odum_assets.backtest.request import RunRequest
from odum_assets.backtest.run import CompletedRun, ProgressCallback
from odum_assets.backtest.sweep import completed_variants
from odum_assets.config.variants import Variant, label_of
from odum_assets.errors import ConfigError, OdumError
from odum_assets.results.logs import store_log
from odum_assets.results.run import store_result
from odum_assets.results.run_id import new_run_id, new_sweep_id, requested_window
from odum_assets.results.store import ResultStore
from odum_assets.settings import Settings

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
    sweep_id: str | None = None,
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
    sweep_id : str, optional
        The sweep's id; a new one by default.
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
    _check(request, variants)
    start, _ = requested_window(request)
    sweep_id = sweep_id or new_sweep_id(request)
    runs: list[VariantRun] = []

    def begin(requests: Sequence[RunRequest]) -> None:
        for number, (each, variant) in enumerate(zip(requests, variants, strict=True), 1):
            part = {"id": sweep_id, "variant": number, "of": len(variants)}
            run_id = new_run_id(each.config, start)
            runs.append(VariantRun(run_id, each, {**part, "varied": variant.varied}))
        if begun is not None:
            begun(runs)

    def keep(index: int, run: CompletedRun) -> VariantResult:
        own = runs[index]
        result = store_result(run, settings, dagster_run_id, own.run_id, own.sweep)
        figures = {name: read(result.summary) for name, read in _FIGURES.items()}
        return VariantResult(
            variants[index].varied, own.run_id, result.digest, None, figures, result.flags
        )

    results: dict[int, VariantResult] = {}
    store = ResultStore(settings.results_path)
    completed = completed_variants(
        request,
        variants,
        settings,
        store.workspace(),
        slots=slots,
        begun=begin,
        ended=lambda index, work: store_log(store, runs[index].run_id, work),
        progress=progress,
    )
    with store.explained(), closing(completed) as ends:
        for index, end in ends:
            problem = None
            try:
                if isinstance(end, OdumError):
                    raise end
                results[index] = keep(index, end)
            except OdumError as error:
                problem, varied = error, variants[index].varied
                results[index] = VariantResult(varied, None, None, str(error), {}, ())
            if ended is not None:
                ended(runs[index], problem)
    return SweepResult(sweep_id, tuple(results[index] for index in range(len(variants))))


def _check(request: RunRequest, variants: Sequence[Variant]) -> None:
    """Refuse a sweep over several days, and an execution algorithm that is given and varied."""
    if len(request.days) != 1:
        raise ConfigError("a sweep runs over one day")
    if request.exec_algorithm is not None and any(
        path.startswith(_ALGORITHM_PATH) for each in variants for path in each.varied
    ):
        raise ConfigError(f"exec_algorithm is given for all, and {_ALGORITHM_PATH} varies; choose")
