"""From a request to tables and a digest in a work folder; nothing is stored yet."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from odum_assets.backtest.plan import Progress, RunPlan
from odum_assets.backtest.process import run_plan
from odum_assets.backtest.request import RunRequest, check_request, day_start_ns
from odum_assets.backtest.volume import days_before, volume_curve
from odum_assets.catalog import PartitionManifest, PartitionRequest, catalog_view
from odum_assets.catalog.scratch import scratch_folder
from odum_assets.config.model import ExecAlgorithm, VwapAlgorithm
from odum_assets.raw.layout import DataType
from odum_assets.results.digest import result_digest
from odum_assets.results.store import ResultStore
from odum_assets.settings import Settings

ProgressCallback = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Executed:
    """A finished run that is not stored: its tables lie in `work`.

    Parameters
    ----------
    request : RunRequest
        The run with its effective window.
    work : Path
        Holds orders, fills, positions and equity as parquet.
    outcome : dict[str, Any]
        Figures of `odum_assets.backtest.accounting.account`.
    digest : str
        Digest of tables and balances.
    manifests : list[PartitionManifest]
        Partitions that were replayed.
    curve_days : list[PartitionManifest]
        Days before whose volume was followed (VWAP).
    exec_algorithm : ExecAlgorithm
        The algorithm that counted.
    """

    request: RunRequest
    work: Path
    outcome: dict[str, Any]
    digest: str
    manifests: list[PartitionManifest]
    curve_days: list[PartitionManifest]
    exec_algorithm: ExecAlgorithm

    @property
    def window_start_ns(self) -> int:
        """Return the start of the window: the given one, else the first day's midnight."""
        given = self.request.start_ns
        return day_start_ns(self.request.days[0]) if given is None else given


@contextmanager
def executed(
    request: RunRequest,
    settings: Settings,
    progress: ProgressCallback | None = None,
    *,
    chunk_rows: int | None = None,
) -> Iterator[Executed]:
    """Run a request in a fresh process; the work folder lives as long as the context.

    Parameters
    ----------
    request : RunRequest
        The run.
    settings : Settings
        Where everything lies.
    progress : callable, optional
        Called as the run proceeds.
    chunk_rows : int, optional
        Rows loaded at a time; results do not depend on it.

    Yields
    ------
    Executed
        The finished run.

    Raises
    ------
    OdumError
        If the request cannot be served or the run fails.
    """
    if progress is not None:
        progress(Progress("validate", 0.0))
    root = check_request(request, settings)
    request = request.normalized()
    store = ResultStore(settings.results_path)
    with (
        store.explained(),
        scratch_folder(root / ".views") as view,
        store.scratch() as work,
    ):
        wanted = [
            PartitionRequest(request.config.key, data_type, request.days)
            for data_type in request.data_types
        ]
        manifests = catalog_view(root, wanted, view)
        algorithm = request.exec_algorithm or request.config.config.strategy.exec_algorithm
        curve_days: list[PartitionManifest] = []
        if isinstance(algorithm, VwapAlgorithm):
            lookback = algorithm.params.lookback_days
            earlier = days_before(root, request.config.key, request.days[0], lookback)
            days = tuple(each.day for each in earlier)
            wanted = [PartitionRequest(request.config.key, DataType.TRADES, days)]
            curve_days = catalog_view(root, wanted, work / "curve")
        start, end = request.start_ns, request.end_ns
        plan = RunPlan(
            config=request.config.config,
            exec_algorithm=algorithm,
            snapshot_mode=request.snapshot_mode,
            close_positions=request.close_positions,
            data_types=request.data_types,
            catalog=view,
            trade_files=_files(manifests, DataType.TRADES, view),
            funding_files=_files(manifests, DataType.FUNDING, view),
            start_ns=start,
            end_ns=end,
            last_row_ns=max(each.last_ts_init for each in manifests),
            volume_curve=volume_curve(work / "curve", curve_days),
            work=work,
            chunk_rows=chunk_rows,
        )
        outcome = run_plan(plan, progress)
        digest = result_digest(work, outcome["account"])
        yield Executed(request, work, outcome, digest, manifests, curve_days, algorithm)


def _files(manifests: list[PartitionManifest], data_type: DataType, view: Path) -> tuple[Path, ...]:
    return tuple(each.data_path(view) for each in manifests if each.data_type is data_type)
