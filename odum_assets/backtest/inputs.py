"""The data of a run, held as they are, and its plan: what a run needs before it starts."""

from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from odum_assets.backtest.order_file import OrderFiles
from odum_assets.backtest.plan import RunPlan
from odum_assets.backtest.prices import LastPrices
from odum_assets.backtest.request import RunRequest, check_request, without_trades
from odum_assets.backtest.volume import VolumeDays
from odum_assets.catalog import PartitionManifest, PartitionRequest, catalog_view, read_manifest
from odum_assets.catalog.publish import sweep_staging
from odum_assets.catalog.repeats import drop_repeats
from odum_assets.catalog.row_counts import rows_between
from odum_assets.config.sections.algorithms import VwapAlgorithm
from odum_assets.errors import BacktestError
from odum_assets.raw.layout import DataType
from odum_assets.settings import Settings
from odum_assets.storage.scratch import scratch_folder
from odum_assets.utc import iso_ns


@dataclass(frozen=True, slots=True)
class RunInputs:
    """The data of a request, held as they are, and a folder to work in.

    Parameters
    ----------
    request : RunRequest
        The request with its effective window.
    view, work : Path
        Private catalog view and work folder.
    manifests : list[PartitionManifest]
        Partitions that the request reads.
    prices : LastPrices
        Trades of the window.
    rows : int
        Rows of all partitions in the window.
    repeated : dict[str, int]
        Rows by data type that two neighboring partitions hold and that are replayed once.
    volumes : VolumeDays
        Volume of the days before, for VWAP.
    order_files : OrderFiles
        Files of orders.
    """

    request: RunRequest
    view: Path
    work: Path
    manifests: list[PartitionManifest]
    prices: LastPrices
    rows: int
    repeated: dict[str, int]
    volumes: VolumeDays
    order_files: OrderFiles


@contextmanager
def run_inputs(
    request: RunRequest, settings: Settings, workspace: AbstractContextManager[Path]
) -> Iterator[RunInputs]:
    """Check a request and hold its data; the folders live as long as the context.

    Parameters
    ----------
    request : RunRequest
        What is run.
    settings : Settings
        Where everything lies.
    workspace : context manager of Path
        Makes the work folder; entered once the request is checked.

    Raises
    ------
    OdumError
        If the request cannot be served, or no trades lie in its window.
    """
    root = check_request(request, settings)
    request = request.normalized()
    sweep_staging(root)
    with workspace as work, scratch_folder(root / ".views") as view:
        partitions = [
            PartitionRequest(request.config.key, data_type, _days_there(request, data_type, root))
            for data_type in request.data_types
        ]
        manifests = catalog_view(root, partitions, view)
        dropped = drop_repeats(view, manifests)
        window = request.bounds()
        prices = LastPrices(_files(manifests, DataType.TRADES, view), window)
        if not len(prices):
            spans = [
                (manifest.first_ts_init, manifest.last_ts_init)
                for manifest in manifests
                if manifest.data_type is DataType.TRADES
            ]
            raise BacktestError(without_trades(request, spans))
        rows = 0
        repeated: Counter[str] = Counter()
        for manifest, count in zip(manifests, dropped, strict=True):
            rows += _rows_between(manifest, view, count, *window)
            repeated[manifest.data_type.value] += count
        yield RunInputs(
            request,
            view,
            work,
            manifests,
            prices,
            rows,
            {name: count for name, count in repeated.items() if count},
            VolumeDays(root, work / "curve"),
            OrderFiles(work),
        )


def plan_of(
    request: RunRequest, inputs: RunInputs, work: Path, *, chunk_rows: int | None = None
) -> tuple[RunPlan, list[PartitionManifest]]:
    """Return the plan of a request over its inputs, and the days of its volume curve (VWAP).

    Raises
    ------
    BacktestError
        If positions are to be worked for longer than the window is, or the file of orders cannot be
        used.
    """
    algorithm = request.algorithm
    there = {manifest.data_type for manifest in inputs.manifests}
    curve_days: list[PartitionManifest] = []
    curve = None
    start, end = request.bounds()
    if isinstance(algorithm, VwapAlgorithm):
        curve_days, curve = inputs.volumes.curve(
            request.config.key, request.days[0], algorithm.params.lookback_days
        )
    plan = RunPlan(
        config=request.config.ticks,
        exec_algorithm=algorithm,
        snapshot_mode=request.snapshot_mode,
        closing=request.effective_closing,
        data_types=tuple(kind for kind in request.data_types if kind in there),
        days=request.days,
        catalog=inputs.view,
        funding_files=_files(inputs.manifests, DataType.FUNDING, inputs.view),
        start_ns=start,
        end_ns=end,
        first_trade_ns=inputs.prices.span[0],
        last_row_ns=max(manifest.last_ts_init for manifest in inputs.manifests),
        last_price=inputs.prices.last,
        volume_curve=curve,
        work=work,
        log_level=request.log_level,
        chunk_rows=chunk_rows,
    )
    _check_work_time(plan, request)
    until = plan.close_at_ns if plan.work_from_ns is None else plan.work_from_ns
    held = inputs.order_files.held(request.config, (plan.first_trade_ns, until))
    return plan.model_copy(update={"orders": held}), curve_days


def _days_there(request: RunRequest, data_type: DataType, root: Path) -> tuple[date, ...]:
    """Return the days whose partitions are read: all of them, or those that are there."""
    if data_type not in request.config.optional_types:
        return request.days
    key = request.config.key
    return tuple(day for day in request.days if read_manifest(root, key, data_type, day))


def _check_work_time(plan: RunPlan, request: RunRequest) -> None:
    work_from = plan.work_from_ns
    if work_from is not None and work_from <= plan.first_trade_ns:
        secs = request.config.ticks.execution.closing.work_secs
        raise BacktestError(
            f"{request.config.path}: execution.closing.work_secs {secs:f} leaves the strategy no "
            f"time: the trades of the window begin at {iso_ns(plan.first_trade_ns)} and positions "
            f"are closed at {iso_ns(plan.close_at_ns)}. Choose a longer window, fewer seconds, or "
            "another closing method"
        )


def _files(manifests: list[PartitionManifest], data_type: DataType, view: Path) -> tuple[Path, ...]:
    return tuple(
        manifest.data_path(view) for manifest in manifests if manifest.data_type is data_type
    )


def _rows_between(
    manifest: PartitionManifest, root: Path, dropped: int, start: int | None, end: int | None
) -> int:
    """Return how many rows of a partition in a view lie in a window (ns), `end` exclusive."""
    first, last = manifest.first_ts_init, manifest.last_ts_init
    if (start is None or start <= first) and (end is None or end > last):
        return manifest.rows_written - dropped
    return rows_between(manifest.data_path(root), start, end)
