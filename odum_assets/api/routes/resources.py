"""What runs made, as resources: metrics, equity, trades, events, artifacts, comparisons.

A run is named by the id of its result, or by its id in Dagster once it has one.
"""

import mimetypes
from importlib.metadata import version
from typing import Annotated, Any, Literal

import anyio.to_thread
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from odum_assets.api import models
from odum_assets.api.following import result_of
from odum_assets.api.problems import ProblemError
from odum_assets.api.routes.results import (
    FORMS,
    Limit,
    ListLimit,
    Offset,
    listed_model,
    report_file,
)
from odum_assets.api.routes.runs import known_run
from odum_assets.api.service import ServiceHere
from odum_assets.api.tables import DocumentTable, Page, ParquetTable, table_reply
from odum_assets.results.compare import compare_results
from odum_assets.results.run_id import is_run_id
from odum_assets.results.store import ResultEntry

router = APIRouter(prefix="/api", tags=["resources"])

_MOST_COMPARED = 20


class StoredRuns(BaseModel):
    """Stored results, newest first."""

    runs: list[models.ListedResult]
    damaged: list[str] = Field(description="Files that cannot be read, and why.")
    total: int
    limit: int
    offset: int
    has_more: bool


class Metrics(BaseModel):
    """Figures of a run."""

    run_id: str
    metrics: models.Summary


class Artifact(BaseModel):
    """A file of a run."""

    filename: str
    kind: Literal["json", "parquet", "html", "other"]
    mime_type: str
    size_bytes: int


class Artifacts(BaseModel):
    """Files of a run."""

    run_id: str
    artifacts: list[Artifact]


class Trades(models.Paged):
    """A page of round trips, as the positions that they were."""

    trades: list[models.Row]


class EquityPoints(models.Paged):
    """A page of the equity curve."""

    equity: list[models.Row]


class Events(models.Paged):
    """A page of the timeline: orders, fills and refusals in order."""

    events: list[models.Row]


class Strategy(BaseModel):
    """A strategy as configurations use it."""

    name: str
    version: str
    params: dict[str, Any]
    configs: list[str]


class CatalogDataset(BaseModel):
    """A day of one instrument and kind of data in the catalog."""

    instrument: str
    data_type: str
    day: str
    rows: int
    rejected: int
    content_hash: str


class CatalogDatasets(BaseModel):
    """Days in the catalog, newest first."""

    datasets: list[CatalogDataset]
    total: int
    limit: int
    offset: int
    has_more: bool


class AlignedEquity(BaseModel):
    """Equity of several runs at the same moments; null before a run's begin and after its end."""

    align: Literal["time", "start"]
    times_ns: list[str] = Field(description="Since 1970, or since each run's begin; texts.")
    equity: dict[str, list[float | None]]
    missing: list[str] = Field(description="Runs in fast mode, which have no curve.")


class Comparison(BaseModel):
    """Runs side by side; values stand in the order of `run_ids`."""

    run_ids: list[str]
    same_digest: bool
    metrics: dict[str, list[Any]]
    config: dict[str, list[Any]] = Field(description="Settings that differ.")
    inputs: dict[str, list[Any]] = Field(description="Options and data that differ.")
    equity: AlignedEquity


async def _entry_of(service: ServiceHere, run_id: str) -> ResultEntry:
    if is_run_id(run_id):
        return await anyio.to_thread.run_sync(service.result, run_id)
    run = await known_run(service, run_id)
    result = result_of(await service.dagster.ask(service.dagster.all_events, run.run_id))
    if result is None:
        raise ProblemError(409, "no-result", f"run {run_id} has no result: it is {run.status}")
    return await anyio.to_thread.run_sync(service.result, result)


Entry = Annotated[ResultEntry, Depends(_entry_of)]
RunId = Annotated[str, Query(description="Id of a result.", max_length=120)]


@router.get("/runs")
def list_stored_runs(
    service: ServiceHere,
    limit: ListLimit = 100,
    offset: Offset = 0,
    config: Annotated[str | None, Query(description="Only of this configuration.")] = None,
    partition: Annotated[str | None, Query(description="Only of this day.")] = None,
) -> StoredRuns:
    """List stored results, newest first."""
    listing = service.index.listing()
    found = [
        each
        for each in listing.results
        if config in (None, each.config_name) and partition in (None, each.partition)
    ]
    shown = found[offset : offset + limit]
    return StoredRuns(
        runs=[listed_model(each) for each in shown],
        damaged=list(listing.damaged),
        total=len(found),
        limit=limit,
        offset=offset,
        has_more=offset + len(shown) < len(found),
    )


@router.get("/trades", response_model=Trades, responses=FORMS)
def get_trades_of(
    service: ServiceHere, run_id: RunId, request: Request, limit: Limit = None, offset: Offset = 0
) -> Response:
    """Return the round trips of a run."""
    return _trades(service.result(run_id), request, limit, offset)


@router.get("/metrics/core")
def get_core_metrics(service: ServiceHere, run_id: RunId) -> Metrics:
    """Return the figures of a run."""
    return _metrics(service.result(run_id))


@router.get("/v1/runs/{run_id}/metrics")
def get_metrics(entry: Entry) -> Metrics:
    """Return the figures of a run."""
    return _metrics(entry)


@router.get("/v1/runs/{run_id}/trades", response_model=Trades, responses=FORMS)
def get_trades(entry: Entry, request: Request, limit: Limit = None, offset: Offset = 0) -> Response:
    """Return the round trips of a run."""
    return _trades(entry, request, limit, offset)


@router.get("/v1/runs/{run_id}/equity", response_model=EquityPoints, responses=FORMS)
def get_equity(entry: Entry, request: Request, limit: Limit = None, offset: Offset = 0) -> Response:
    """Return the equity curve of a run."""
    table = ParquetTable(report_file(entry, "equity.parquet"))
    return table_reply(request, table, "equity", Page(offset, limit), 1_000)


@router.get("/v1/runs/{run_id}/events", response_model=Events, responses=FORMS)
def get_events(entry: Entry, request: Request, limit: Limit = None, offset: Offset = 0) -> Response:
    """Return orders, fills and refusals of a run in order of time."""
    table = DocumentTable(report_file(entry, "timeline.json"))
    return table_reply(request, table, "events", Page(offset, limit), 1_000)


@router.get("/v1/runs/{run_id}/artifacts")
def list_artifacts(entry: Entry) -> Artifacts:
    """List the files of a run."""
    files = [entry.fast_path]
    if entry.report_path is not None:
        files += sorted(each for each in entry.report_path.iterdir() if each.is_file())
    return Artifacts(
        run_id=entry.run_id,
        artifacts=[
            Artifact(
                filename=each.name,
                kind=_KINDS.get(each.suffix, "other"),
                mime_type=_mime_type(each.name),
                size_bytes=each.stat().st_size,
            )
            for each in files
        ],
    )


@router.get("/v1/strategies")
def list_strategies(service: ServiceHere) -> list[Strategy]:
    """List strategies with their parameters, and the configurations that use them so."""
    found: dict[str, Strategy] = {}
    for loaded in service.project().configs:
        params = loaded.config.strategy.model_dump(mode="json", exclude={"name"})
        strategy = Strategy(
            name=loaded.config.strategy.name,
            version=version("odum-assets"),
            params=params,
            configs=[],
        )
        found.setdefault(strategy.model_dump_json(), strategy).configs.append(loaded.name)
    return list(found.values())


@router.get("/v1/datasets")
def list_catalog_datasets(
    service: ServiceHere, limit: ListLimit = 100, offset: Offset = 0
) -> CatalogDatasets:
    """List days in the catalog, newest first."""
    from odum_assets.catalog import list_manifests

    project = service.project()
    found = [
        (manifest.day, str(source.key), source.data_type.value, manifest)
        for source in project.sources
        for manifest in list_manifests(
            project.catalog_root(source.loaded), source.key, source.data_type
        )
    ]
    found.sort(key=lambda each: each[:3], reverse=True)
    shown = found[offset : offset + limit]
    return CatalogDatasets(
        datasets=[
            CatalogDataset(
                instrument=instrument,
                data_type=data_type,
                day=day.isoformat(),
                rows=manifest.rows_written,
                rejected=manifest.rows_rejected,
                content_hash=manifest.digest,
            )
            for day, instrument, data_type, manifest in shown
        ],
        total=len(found),
        limit=limit,
        offset=offset,
        has_more=offset + len(shown) < len(found),
    )


@router.get("/v1/compare")
def compare(
    service: ServiceHere,
    ids: Annotated[str, Query(description="Ids of results, separated by commas.", max_length=2000)],
    align: Annotated[
        Literal["time", "start"], Query(description="Same time, or same time since the begin.")
    ] = "time",
    points: Annotated[int, Query(ge=2, le=5_000)] = 500,
) -> Comparison:
    """Put results side by side: figures, what differs, and equity at the same moments."""
    names = list(dict.fromkeys(each.strip() for each in ids.split(",") if each.strip()))
    if not 2 <= len(names) <= _MOST_COMPARED:
        raise ProblemError(
            422, "invalid-request", f"ids: allowed 2 to {_MOST_COMPARED} different ids of results"
        )
    entries = [service.result(name) for name in names]
    found = compare_results(entries)
    return Comparison(
        run_ids=list(found.run_ids),
        same_digest=found.same_digest,
        metrics={row.name: list(row.values) for row in found.metrics},
        config={row.name: list(row.values) for row in found.config},
        inputs={row.name: list(row.values) for row in found.inputs},
        equity=_aligned(entries, align, points),
    )


_KINDS: dict[str, Literal["json", "parquet", "html", "other"]] = {
    ".json": "json",
    ".parquet": "parquet",
    ".html": "html",
}


def _mime_type(name: str) -> str:
    if name.endswith(".parquet"):
        return "application/vnd.apache.parquet"
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def _metrics(entry: ResultEntry) -> Metrics:
    return Metrics(run_id=entry.run_id, metrics=models.Summary.model_validate(entry.summary()))


def _trades(entry: ResultEntry, request: Request, limit: int | None, offset: int) -> Response:
    table = ParquetTable(report_file(entry, "positions.parquet"))
    return table_reply(request, table, "trades", Page(offset, limit), 1_000)


def _aligned(
    entries: list[ResultEntry], align: Literal["time", "start"], points: int
) -> AlignedEquity:
    curves: dict[str, tuple[Any, Any]] = {}
    for entry in entries:
        if entry.report_path is None:
            continue
        path = report_file(entry, "equity.parquet")
        table = pq.read_table(path, columns=["timestamp", "portfolio_value"])
        times = table["timestamp"].cast(pa.int64()).to_numpy()
        if len(times):
            shift = times[0] if align == "start" else 0
            curves[entry.run_id] = (times - shift, table["portfolio_value"].cast(pa.float64()))
    missing = [entry.run_id for entry in entries if entry.run_id not in curves]
    if not curves:
        return AlignedEquity(align=align, times_ns=[], equity={}, missing=missing)
    first = min(int(times[0]) for times, _ in curves.values())
    last = max(int(times[-1]) for times, _ in curves.values())
    # Whole numbers: ns since 1970 do not fit a float.
    grid = np.array([first + (last - first) * at // (points - 1) for at in range(points)])
    equity: dict[str, list[float | None]] = {}
    for name, (times, values) in curves.items():
        # The last value at or before each moment.
        places = np.searchsorted(times, grid, side="right") - 1
        taken = values.to_numpy()[np.maximum(places, 0)]
        known = (grid >= times[0]) & (grid <= times[-1])
        equity[name] = [
            float(value) if there else None for value, there in zip(taken, known, strict=True)
        ]
    return AlignedEquity(
        align=align, times_ns=[str(moment) for moment in grid], equity=equity, missing=missing
    )
