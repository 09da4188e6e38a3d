"""Running a backtest and storing its result: the one way by which results come to be."""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.backtest.bar_plan import AMBIGUOUS, STRATEGY_FILES
from odum_assets.backtest.request import RunRequest
from odum_assets.backtest.run import CompletedRun, ProgressCallback, completed_run
from odum_assets.results.digest import digest_of
from odum_assets.results.documents import ORDERS_JSON, write_orders_json, write_timeline
from odum_assets.results.logs import logged
from odum_assets.results.provenance import build_metadata
from odum_assets.results.run_id import run_id_of
from odum_assets.results.store import ResultStore, json_text
from odum_assets.results.summary import build_summary, describe_window
from odum_assets.settings import Settings

_PREVIEW_POINTS = 200
_TABLES = ("orders", "fills", "positions", "equity")


@dataclass(frozen=True, slots=True)
class RunResult:
    """A stored result.

    Parameters
    ----------
    run_id, digest : str
        Name and content hash.
    summary, metadata : dict[str, Any]
        Figures and provenance, JSON-ready.
    fast_path : Path
        The summary file.
    report_path : Path or None
        The report folder, in report mode.
    flags : tuple[str, ...]
        What a reader must know.
    equity_preview : list[tuple[int, float]]
        Up to 200 points of time (ns) and equity.
    """

    run_id: str
    digest: str
    summary: dict[str, Any]
    metadata: dict[str, Any]
    fast_path: Path
    report_path: Path | None
    flags: tuple[str, ...]
    equity_preview: list[tuple[int, float]]


def run_backtest(
    request: RunRequest,
    settings: Settings,
    progress: ProgressCallback | None = None,
    dagster_run_id: str | None = None,
    run_id: str | None = None,
    require_owner: Callable[[], None] | None = None,
) -> RunResult:
    """Run a request and store its result.

    Parameters
    ----------
    request : RunRequest
        The run.
    settings : Settings
        Where everything lies.
    progress : callable, optional
        Called as the run proceeds.
    dagster_run_id : str, optional
        The Dagster run that asked for it; goes into the provenance.
    run_id : str, optional
        Id of the result, made before; a new one by default.
    require_owner : callable, optional
        As of `ResultStore.publish`.

    Returns
    -------
    RunResult
        The stored result.

    Raises
    ------
    OdumError
        If the request cannot be served or the run fails; nothing is stored then.
    """
    store = ResultStore(settings.results_path)
    name = run_id_of(request) if run_id is None else run_id
    workspace = logged(store, name, store.workspace())
    with _completed(request, settings, workspace, progress) as run:
        return store_result(run, settings, dagster_run_id, name, require_owner=require_owner)


def _completed(
    request: RunRequest,
    settings: Settings,
    workspace: AbstractContextManager[Path],
    progress: ProgressCallback | None,
) -> AbstractContextManager[CompletedRun]:
    """Run a request; by the kernel without a journal."""
    if request.engine == "kernel":
        from odum_assets.results.kernel_figures import figures_run

        return figures_run(request, settings, workspace, progress)
    return completed_run(request, settings, workspace, progress)


def store_result(
    run: CompletedRun,
    settings: Settings,
    dagster_run_id: str | None,
    run_id: str,
    sweep: dict[str, Any] | None = None,
    require_owner: Callable[[], None] | None = None,
) -> RunResult:
    """Store a finished run; its tables are moved out of its work folder.

    Parameters
    ----------
    run : CompletedRun
        The run.
    settings : Settings
        Where results lie.
    dagster_run_id : str or None
        As of `run_backtest`.
    run_id : str
        Id of the result.
    sweep : dict[str, Any], optional
        Which variant of which sweep the run is.
    require_owner : callable, optional
        As of `ResultStore.publish`.

    Raises
    ------
    OdumError
        If it cannot be written; nothing is stored then.
    """
    created = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    work = run.plan.work
    digest = digest_of(run)
    metadata = build_metadata(run, run_id, created, digest, sweep)
    document = _document(run, {**metadata, "dagster_run_id": dagster_run_id})
    preview = _preview(work / "equity.parquet")
    report = _report(work, document) if run.request.mode == "report" else None
    is_current = sweep is None and run.request.is_whole
    asked = {} if require_owner is None else {"require_owner": require_owner}
    store = ResultStore(settings.results_path)
    entry = store.publish(document, report, is_current=is_current, **asked)
    return RunResult(
        run_id=run_id,
        digest=digest,
        summary=document["summary"],
        # As it can be read: numbers of any length are floats.
        metadata=entry.metadata(),
        fast_path=entry.fast_path,
        report_path=entry.report_path,
        flags=tuple(document["summary"]["flags"]),
        equity_preview=preview,
    )


def _document(run: CompletedRun, metadata: dict[str, Any]) -> dict[str, Any]:
    start, end = describe_window(run)
    request = run.request
    return {
        "run_id": metadata["run_id"],
        "mode": request.mode,
        "instrument": str(request.config.key),
        "dataset": f"day-{request.days[0]}"
        if len(request.days) == 1
        else f"day-{request.days[0]}..day-{request.days[-1]}",
        "start": start,
        "end": end,
        "execution_time": metadata["created"],
        "summary": build_summary(run),
        "metadata": metadata,
    }


def _report(work: Path, document: dict[str, Any]) -> Path:
    """Make the report folder in the run's work folder."""
    folder = work / "report"
    folder.mkdir()
    for name in _TABLES:
        shutil.move(work / f"{name}.parquet", folder / f"{name}.parquet")
    for path in _bar_files(work):
        shutil.move(path, folder / path.name)
    # Arrow works without Python's lock.
    with ThreadPoolExecutor(1, "orders-json") as pool:
        orders = pool.submit(_write_orders_json, work, folder)
        write_timeline(folder)
        orders.result()
    (folder / "summary.json").write_text(json_text(document), encoding="utf-8")
    (folder / "metadata.json").write_text(json_text(document["metadata"]), encoding="utf-8")
    return folder


def _write_orders_json(work: Path, folder: Path) -> None:
    """Write the document of orders, unless it was written with their table."""
    written = work / ORDERS_JSON
    if written.exists():
        written.rename(folder / ORDERS_JSON)
    else:
        write_orders_json(folder)


def _bar_files(work: Path) -> list[Path]:
    """Return what a report of a run on bars has beside the tables of every run."""
    named = [work / "symbols.parquet", work / AMBIGUOUS]
    return [path for path in named if path.exists()] + sorted((work / STRATEGY_FILES).glob("*"))


def _preview(path: Path) -> list[tuple[int, float]]:
    table = pq.read_table(path, columns=["timestamp", "portfolio_value"])
    step = -(-table.num_rows // _PREVIEW_POINTS)
    thin = table.take(pa.array(range(0, table.num_rows, step))) if step > 1 else table
    times: list[Any] = thin["timestamp"].cast(pa.int64()).to_pylist()
    values: list[Any] = thin["portfolio_value"].cast(pa.float64()).to_pylist()
    return list(zip(times, values, strict=True))
