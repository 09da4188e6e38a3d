"""From a request to tables and a digest in a work folder; nothing is stored yet."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.backtest.accounting import account
from odum_assets.backtest.plan import Progress, RunPlan
from odum_assets.backtest.prices import LastPrices
from odum_assets.backtest.process import run_plan
from odum_assets.backtest.request import RunRequest, check_request
from odum_assets.backtest.volume import VolumeDays
from odum_assets.catalog import PartitionManifest, PartitionRequest, catalog_view
from odum_assets.catalog.publish import sweep_staging
from odum_assets.catalog.repeats import drop_repeats
from odum_assets.config.sections.algorithms import ExecAlgorithm, VwapAlgorithm
from odum_assets.errors import BacktestError
from odum_assets.raw.layout import DataType
from odum_assets.results.digest import result_digest
from odum_assets.results.store import ResultStore
from odum_assets.settings import Settings
from odum_assets.storage.scratch import scratch_folder
from odum_assets.utc import day_start_ns

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
    rows_replayed : int
        Their rows in the window.
    curve_days : list[PartitionManifest]
        Days before whose volume was followed (VWAP).
    exec_algorithm : ExecAlgorithm
        The algorithm that counted.
    sweep : dict[str, Any] or None
        Which variant of which sweep the run is; None for a run by itself.
    repeated : dict[str, int]
        Rows by data type that two neighboring partitions hold and that were replayed once.
    """

    request: RunRequest
    work: Path
    outcome: dict[str, Any]
    digest: str
    manifests: list[PartitionManifest]
    rows_replayed: int
    curve_days: list[PartitionManifest]
    exec_algorithm: ExecAlgorithm
    sweep: dict[str, Any] | None = None
    repeated: dict[str, int] = field(default_factory=dict)

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
    with prepared(request, settings) as data:
        plan, curve_days = plan_of(data.request, data, data.work, chunk_rows=chunk_rows)
        outcome = account(plan, data.prices, run_plan(plan, progress))
        yield Executed(
            request=data.request,
            work=data.work,
            outcome=outcome,
            digest=result_digest(data.work, outcome["account"]),
            manifests=data.manifests,
            rows_replayed=data.rows,
            curve_days=curve_days,
            exec_algorithm=plan.exec_algorithm,
            repeated=data.repeated,
        )


@dataclass(frozen=True, slots=True)
class Prepared:
    """The data of a request, held as they are, and a folder to work in.

    Parameters
    ----------
    request : RunRequest
        The request with its effective window.
    catalog : Path
        The catalog.
    view, work : Path
        Private catalog view and work folder.
    manifests : list[PartitionManifest]
        Partitions that the request reads.
    prices : LastPrices
        Trades of the window.
    rows : int
        Rows of all partitions in the window.
    volumes : VolumeDays
        Volume of the days before, for VWAP.
    repeated : dict[str, int]
        As of `Executed`.
    """

    request: RunRequest
    catalog: Path
    view: Path
    work: Path
    manifests: list[PartitionManifest]
    prices: LastPrices
    rows: int
    volumes: VolumeDays
    repeated: dict[str, int]


@contextmanager
def prepared(request: RunRequest, settings: Settings) -> Iterator[Prepared]:
    """Check a request and hold its data; the folders live as long as the context.

    Raises
    ------
    OdumError
        If the request cannot be served, or no trades lie in its window.
    """
    root = check_request(request, settings)
    request = request.normalized()
    store = ResultStore(settings.results_path)
    sweep_staging(root)
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
        dropped = drop_repeats(view, manifests)
        window = request.bounds()
        prices = LastPrices(_files(manifests, DataType.TRADES, view), window)
        if not len(prices):
            raise BacktestError(
                "no trades lie in the window; choose a window inside the data (see odum data list)"
            )
        rows = sum(
            _rows_between(each, view, count, *window)
            for each, count in zip(manifests, dropped, strict=True)
        )
        repeated: dict[str, int] = {}
        for each, count in zip(manifests, dropped, strict=True):
            if count:
                repeated[each.data_type.value] = repeated.get(each.data_type.value, 0) + count
        volumes = VolumeDays(root, work / "curve")
        yield Prepared(request, root, view, work, manifests, prices, rows, volumes, repeated)


def plan_of(
    request: RunRequest, data: Prepared, work: Path, *, chunk_rows: int | None = None
) -> tuple[RunPlan, list[PartitionManifest]]:
    """Return the plan of a request over prepared data, and the days of its volume curve (VWAP)."""
    algorithm = request.exec_algorithm or request.config.config.strategy.exec_algorithm
    curve_days: list[PartitionManifest] = []
    curve = None
    start, end = request.bounds()
    if isinstance(algorithm, VwapAlgorithm):
        curve_days, curve = data.volumes.curve(
            request.config.key, request.days[0], algorithm.params.lookback_days
        )
    plan = RunPlan(
        config=request.config.config,
        exec_algorithm=algorithm,
        snapshot_mode=request.snapshot_mode,
        close_positions=request.close_positions,
        data_types=request.data_types,
        days=request.days,
        catalog=data.view,
        funding_files=_files(data.manifests, DataType.FUNDING, data.view),
        start_ns=start,
        end_ns=end,
        first_trade_ns=data.prices.span[0],
        last_row_ns=max(each.last_ts_init for each in data.manifests),
        volume_curve=curve,
        work=work,
        chunk_rows=chunk_rows,
    )
    return plan, curve_days


def _files(manifests: list[PartitionManifest], data_type: DataType, view: Path) -> tuple[Path, ...]:
    return tuple(each.data_path(view) for each in manifests if each.data_type is data_type)


def _rows_between(
    manifest: PartitionManifest, root: Path, dropped: int, start: int | None, end: int | None
) -> int:
    """Return how many rows of a partition in a view lie in a window (ns), `end` exclusive."""
    first, last = manifest.first_ts_init, manifest.last_ts_init
    if (start is None or start <= first) and (end is None or end > last):
        return manifest.rows_written - dropped
    column = pq.read_table(manifest.data_path(root), columns=["ts_init"])["ts_init"]
    times = column.cast(pa.int64()).to_numpy()
    low = 0 if start is None else int(np.searchsorted(times, start))
    high = len(times) if end is None else int(np.searchsorted(times, end))
    return high - low
