"""Running the variants of a configuration over the same data, to results or to one file of figures.

What belongs here: a sweep from request to what is stored, and the figures of its variants side by
side. What does not: making variants (``config.variants``), running them (``backtest.sweep``), the
file (``figures_file``), proving variants (``sweep_proof``), how a table looks.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from odum_assets.backtest.coverage import uncovered_request
from odum_assets.backtest.process import Slots
from odum_assets.backtest.request import RunRequest
from odum_assets.backtest.run import CompletedRun, ProgressCallback
from odum_assets.backtest.sweep import completed_variants
from odum_assets.config.variants import SweepFigure, Variant, label_of
from odum_assets.errors import ConfigError, OdumError
from odum_assets.results.digest import digest_of
from odum_assets.results.figures_file import figures_table, sweep_facts
from odum_assets.results.logs import store_log
from odum_assets.results.provenance import build_metadata
from odum_assets.results.run import store_result
from odum_assets.results.run_id import new_run_id, new_sweep_id, requested_window
from odum_assets.results.store import ResultStore
from odum_assets.results.summary import build_summary
from odum_assets.results.sweep_proof import Proof, prove_variants
from odum_assets.results.variant_files import FOLDER, write_variants
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

LOWEST_FIRST: Final = ("commissions",)
"""Figures of which the lowest is the best."""


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
    summary : dict[str, Any] or None
        All figures, where figures alone are kept.
    """

    varied: dict[str, Any]
    run_id: str | None
    digest: str | None
    error: str | None
    figures: dict[str, Any]
    flags: tuple[str, ...]
    summary: dict[str, Any] | None = None

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
    """A finished sweep.

    Parameters
    ----------
    sweep_id : str
        Its id.
    variants : tuple[VariantResult, ...]
        In the order in which they were given.
    proof : Proof or None
        Which of them NautilusTrader repeated; None if none was to be.
    file : Path or None
        The file of figures; None where each variant has a result.
    """

    sweep_id: str
    variants: tuple[VariantResult, ...]
    proof: Proof | None = None
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a sweep, and how it is proven.

    Parameters
    ----------
    figures_only : bool, default False
        Whether figures are kept in one file, in place of a result for each variant.
    verify : int, default 0
        How many of the best variants, and how many random ones, NautilusTrader repeats.
    sort : str, default "net_pnl"
        The figure that says which are the best.
    """

    figures_only: bool = False
    verify: int = 0
    sort: SweepFigure = "net_pnl"


def best_first(figures: Sequence[dict[str, Any]], sort: str) -> list[int]:
    """Return the places of variants, the best figure first, unknown ones last."""
    sign = 1 if sort in LOWEST_FIRST else -1

    def order(place: int) -> tuple[float, int]:
        value = figures[place].get(sort)
        return math.inf if value is None else sign * float(value), place

    return sorted(range(len(figures)), key=order)


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
    kept: Kept | None = None,
) -> SweepResult:
    """Run variants over the data of one day, which are read once, and store what is to be kept.

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
        Called with the runs of all variants before the first one begins; never where figures alone
        are kept.
    ended : callable, optional
        Called with the run of each variant once its result is stored, or with the error.
    kept : Kept, optional
        What is kept; a result for each variant by default.

    Returns
    -------
    SweepResult
        Results and failures.

    Raises
    ------
    OdumError
        If the request cannot be served or a strategy or its parameters cannot be used, or the
        kernel does not cover a variant; nothing is run then. If NautilusTrader does not repeat a
        variant; no file of figures is written then.
    """
    kept = kept or Kept()
    check_sweep(request, variants, kept)
    store = ResultStore(settings.results_path)
    sweep = _Sweep(request, variants, settings, kept, dagster_run_id, sweep_id)

    def begin(requests: Sequence[RunRequest]) -> None:
        sweep.begin(requests)
        if begun is not None and not kept.figures_only:
            begun(sweep.runs)

    def log(index: int, work: Path) -> None:
        store_log(store, sweep.runs[index].run_id, work)

    run_all: Any = partial(completed_variants, ended=log)
    if kept.figures_only:
        from odum_assets.results.kernel_sweep import variants_figures

        run_all = variants_figures
    completed = run_all(
        request,
        variants,
        settings,
        store.workspace(),
        slots=slots,
        begun=begin,
        progress=progress,
    )
    with store.explained(), closing(completed) as ends:
        for index, end in ends:
            problem = sweep.keep(index, end)
            if ended is not None and not kept.figures_only:
                ended(sweep.runs[index], problem)
    proof = None
    results = sweep.results()
    if kept.verify:
        order = best_first([result.figures for result in results], kept.sort)
        digests = [result.digest for result in results]
        proof = prove_variants(
            request, variants, digests, order, kept.verify, settings, slots=slots, progress=progress
        )
    return SweepResult(sweep.id, results, proof, sweep.store_figures(store, proof))


class _Sweep:
    """A sweep that goes on: its variants' ids, and what became of them."""

    def __init__(
        self,
        request: RunRequest,
        variants: Sequence[Variant],
        settings: Settings,
        kept: Kept,
        dagster_run_id: str | None,
        sweep_id: str | None,
    ) -> None:
        self.id = sweep_id or new_sweep_id(request)
        self.runs: list[VariantRun] = []
        self._request = request
        self._variants = variants
        self._settings = settings
        self._kept = kept
        self._dagster_run_id = dagster_run_id
        self._results: dict[int, VariantResult] = {}
        self._metadata: dict[str, Any] = {}

    def begin(self, requests: Sequence[RunRequest]) -> None:
        """Give ids to the runs of all variants."""
        start, _ = requested_window(self._request)
        for number, (request, variant) in enumerate(zip(requests, self._variants, strict=True), 1):
            part = {"id": self.id, "variant": number, "of": len(self._variants)}
            run_id = new_run_id(request.config, start)
            self.runs.append(VariantRun(run_id, request, {**part, "varied": variant.varied}))

    def keep(self, index: int, end: CompletedRun | OdumError) -> OdumError | None:
        """Keep what became of a variant; return why it has no result."""
        varied = self._variants[index].varied
        try:
            if isinstance(end, OdumError):
                raise end
            keep = self._figures if self._kept.figures_only else self._stored
            self._results[index] = keep(index, end)
        except OdumError as error:
            self._results[index] = VariantResult(varied, None, None, str(error), {}, ())
            return error
        return None

    def results(self) -> tuple[VariantResult, ...]:
        """Return the variants in the order in which they were given."""
        return tuple(self._results[index] for index in range(len(self._variants)))

    def store_figures(self, store: ResultStore, proof: Proof | None) -> Path | None:
        """Write the file of figures where there is to be one; return its path."""
        results = self.results()
        if not self._kept.figures_only or all(result.error for result in results):
            return None
        config = self._request.config
        own = {
            "id": self.id,
            "created": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "currency": config.config.venue.base_currency,
            "config_document": config.config.document(),
            "config_hash": config.content_hash,
            "dagster_run_id": self._dagster_run_id,
            "proof": None if proof is None else asdict(proof),
        }
        facts = sweep_facts(self._metadata, results, own)
        path = self._settings.results_path / FOLDER / f"{self.id}.parquet"
        table = figures_table(results, [variant.config.content_hash for variant in self._variants])
        with store.workspace() as scratch:
            write_variants(table, facts, path, scratch)
        return path

    def _stored(self, index: int, run: CompletedRun) -> VariantResult:
        own, varied = self.runs[index], self._variants[index].varied
        result = store_result(run, self._settings, self._dagster_run_id, own.run_id, own.sweep)
        figures = {name: read(result.summary) for name, read in _FIGURES.items()}
        return VariantResult(varied, own.run_id, result.digest, None, figures, result.flags)

    def _figures(self, index: int, run: CompletedRun) -> VariantResult:
        digest, summary = digest_of(run), build_summary(run)
        self._metadata = self._metadata or build_metadata(run, self.id, "", digest, None)
        figures = {name: read(summary) for name, read in _FIGURES.items()}
        varied, flags = self._variants[index].varied, tuple(summary["flags"])
        return VariantResult(varied, None, digest, None, figures, flags, summary)


def check_sweep(request: RunRequest, variants: Sequence[Variant], kept: Kept) -> None:
    """Refuse what no sweep can do.

    Raises
    ------
    ConfigError
        If it is over several days, gives and varies an execution algorithm, asks of NautilusTrader
        what the kernel does, or has a variant that the kernel does not cover; it is named.
    """
    if len(request.days) != 1:
        raise ConfigError("a sweep runs over one day")
    if request.exec_algorithm is not None and any(
        path.startswith(_ALGORITHM_PATH) for variant in variants for path in variant.varied
    ):
        raise ConfigError(f"exec_algorithm is given for all, and {_ALGORITHM_PATH} varies; choose")
    if request.engine == "kernel":
        if kept.figures_only and any(item.config.ticks.strategy.orders_file for item in variants):
            raise ConfigError("figures_only: strategy.orders_file needs results that are kept")
        for number, variant in enumerate(variants, 1):
            why = uncovered_request(replace(request, config=variant.config))
            if why is not None:
                raise ConfigError(
                    f"variant {number} ({variant.label}): engine kernel does not cover {why}"
                )
    elif kept.figures_only or kept.verify:
        name = "figures_only" if kept.figures_only else "verify"
        raise ConfigError(f"{name}: needs engine kernel, found engine {request.engine}")
