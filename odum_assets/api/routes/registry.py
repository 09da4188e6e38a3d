"""What the registry knows: runs, whatever became of them, and what they used and made."""

import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import PurePosixPath
from typing import Annotated, Any, NamedTuple
from uuid import UUID

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    computed_field,
    create_model,
)
from sqlalchemy import Column, Connection, Integer

from odum_assets.api import models
from odum_assets.api.preconditions import tag_of, tag_of_files
from odum_assets.api.problems import ProblemError
from odum_assets.api.replies import StoredFileResponse, json_reply, not_modified
from odum_assets.api.routes.results import KNOWN, Offset
from odum_assets.api.run_selection import RunQuery
from odum_assets.api.service import Service, ServiceHere
from odum_assets.api.tables import TIMELINE_EVENTS, timeline_events, timeline_of
from odum_assets.registry import queries
from odum_assets.registry.created import uuid_of
from odum_assets.registry.models import (
    DATASETS,
    FIGURES,
    STRATEGIES,
)
from odum_assets.registry.records import Row
from odum_assets.registry.types import ArtifactKind, Exact, RunMode, RunStatus
from odum_assets.results.annotations import Annotations
from odum_assets.results.stored_file import ResultError

router = APIRouter(prefix="/api", tags=["runs"])

_Limit = Annotated[int, Query(ge=1, le=queries.MAX_LIMIT, description="Entries at most.")]
_RUNS = "/api/v1/runs"


class RunLinks(BaseModel):
    """Where more of a run is; null for what it does not have (yet)."""

    model_config = ConfigDict(populate_by_name=True)

    self_: str = Field(alias="self", serialization_alias="self")
    artifacts: str
    events: str
    result: str | None
    metrics: str | None
    report: str | None
    equity: str | None
    trades: str | None
    orders: str | None
    fills: str | None
    timeline: str | None
    stream: str | None = Field(description="Its progress, as server-sent events.")


def _with_figures[T: BaseModel](model: type[T]) -> type[T]:
    """Return a model with a field for each figure of the registry."""
    fields: dict[str, Any] = {
        column.name: (_python_type(column) | None, Field(description=column.doc))
        for column in FIGURES
    }
    return create_model(model.__name__, __base__=model, **fields)


def _python_type(column: Column[Any]) -> type:
    if isinstance(column.type, Exact):
        return float
    return int if isinstance(column.type, Integer) else str


@_with_figures
class _RunFigures(BaseModel):
    run_id: str
    dagster_run_id: str | None
    status: RunStatus
    run_mode: RunMode
    detail: str = Field(description="fast or report.")
    config_name: str
    config_hash: str
    partition: str
    instrument: str
    dataset_id: int | None
    strategy_id: int | None
    sweep_id: str | None
    digest: str | None
    executed_at: datetime = Field(description="Time of the latest change of its status.")
    updated_at: datetime | None = Field(
        default=None, description="Latest heartbeat of an active run."
    )
    window_start: datetime | None
    window_end: datetime | None
    progress: float | None = Field(description="Progress, 0 to 1.")
    phase: str | None = Field(description="Current or last phase, in words.")
    error: str | None
    error_type: str | None


class Run(_RunFigures):
    """A run: what it was asked to be, where it stands or how it ended, and its figures.

    Figures are null until they are known. Fractions are fractions (0.25 is 25 %), drawdowns are
    zero or negative, amounts are in `currency`; `pnl` is net of commissions and funding.
    """

    star: bool = Field(default=False, description="Whether somebody marked it.")
    tags: list[str] = []
    verified: bool | None = Field(
        default=None,
        description="Whether the latest verification gave the same digest; null without one.",
    )
    links: RunLinks


class Dataset(BaseModel):
    """Catalog partitions that runs read, by what is in them."""

    id: int
    name: str
    description: str | None
    content_hash: str
    instrument: str
    symbols: list[str]
    timeframe: str
    start_date: datetime
    end_date: datetime
    row_count: int
    rejected_count: int
    partitions: list[dict[str, Any]]
    created_at: datetime

    @computed_field(description="Another name of its id, which no rebuild changes.")  # type: ignore[prop-decorator]
    @property
    def uuid(self) -> UUID:
        """Return its UUID."""
        return uuid_of(DATASETS, {"content_hash": self.content_hash})


class Strategy(BaseModel):
    """A strategy at a version, with its parameters."""

    id: int
    name: str
    version: str
    description: str | None
    params: dict[str, Any]
    params_hash: str
    created_at: datetime
    updated_at: datetime | None = Field(description="Time of the latest change.")

    @computed_field(description="Another name of its id, which no rebuild changes.")  # type: ignore[prop-decorator]
    @property
    def uuid(self) -> UUID:
        """Return its UUID."""
        return uuid_of(STRATEGIES, self.__dict__)


class WholeRun(Run):
    """A run with its options, what it was made of, its data and its strategy."""

    params: dict[str, Any]
    provenance: dict[str, Any]
    dataset: Dataset | None
    strategy: Strategy | None


class Overview(BaseModel):
    """A run, and its result."""

    run: WholeRun
    result: models.Result | None = Field(description="Null where there is none, or not yet.")


class PageLinks(BaseModel):
    """Other pages of a list; null where there is none."""

    model_config = ConfigDict(populate_by_name=True)

    self_: str = Field(alias="self", serialization_alias="self")
    next: str | None
    previous: str | None


class _Listed(BaseModel):
    total: int
    limit: int
    offset: int
    has_more: bool
    links: PageLinks


class Runs(_Listed):
    """A page of runs."""

    runs: list[Run]
    next_cursor: str | None = Field(
        description="Start of the next page; runs that come meanwhile do not shift it."
    )


class Datasets(_Listed):
    """A page of datasets."""

    datasets: list[Dataset]


class Strategies(_Listed):
    """A page of strategies."""

    strategies: list[Strategy]


class Artifact(BaseModel):
    """A file of a run."""

    filename: str
    kind: ArtifactKind
    storage_path: str = Field(description="Below the folder of results.")
    mime_type: str
    size_bytes: int
    created_at: datetime
    link: str


class Artifacts(BaseModel):
    """Files of a run."""

    run_id: str
    artifacts: list[Artifact]


class Event(BaseModel):
    """Something that a reader of a run should know."""

    sequence: int
    event_type: str
    timestamp: datetime
    payload: dict[str, Any]


class Events(BaseModel):
    """Events of a run, in order."""

    run_id: str
    events: list[Event]
    next_after: int | None = Field(description="`after` of the next page; null on the last one.")


_KEPT_ROWS = 200
"""Longer pages are not kept: they would fill the memory."""

_LISTED_RUNS = TypeAdapter(list[Run])
"""What is sent of several runs."""


_Query = Annotated[RunQuery, Query()]


@router.get("/runs", response_model=list[Run], responses=KNOWN)
async def list_stored_runs(service: ServiceHere, request: Request, query: _Query) -> Response:
    """List runs, newest first; X-Total-Count says how many there are, Link where more are."""
    page = await page_of_runs(service, query)
    headers = {"X-Total-Count": str(page.total)}
    links = _page_links(request, query, page)
    if links.next is not None:
        headers["Link"] = f'<{links.next}>; rel="next"'
    return json_reply(request, page.rows, headers, page.tag)


@router.get("/v1/runs", response_model=Runs, responses=KNOWN)
async def list_runs(service: ServiceHere, request: Request, query: _Query) -> Response:
    """List runs, queued and running ones, too: filtered, sorted, a page of them."""
    page = await page_of_runs(service, query)
    rest = _Listed(
        total=page.total,
        limit=query.limit,
        offset=query.offset,
        has_more=page.next_cursor is not None,
        links=_page_links(request, query, page),
    )
    tail = {**rest.model_dump(by_alias=True), "next_cursor": page.next_cursor}
    body = b'{"runs":' + page.rows + b"," + json.dumps(tail).encode()[1:]
    return json_reply(request, body, tag=page.tag, is_packable=True)


class RunPage(NamedTuple):
    """A page of runs as a JSON array; a tag that changes with any of it."""

    rows: bytes
    total: int
    next_cursor: str | None
    tag: str


async def page_of_runs(service: Service, query: RunQuery) -> RunPage:
    """Return a page of runs."""
    annotated = await to_thread.run_sync(service.annotations.now)
    key = ("runs", query.model_dump_json(), annotated.version)

    def ask(connection: Connection) -> RunPage:
        page = queries.list_runs(
            connection,
            query.where(annotated.by_run),
            query.sort,
            query.limit,
            query.cursor,
            query.offset,
            with_total=True,
        )
        verified = queries.get_verified(connection, [row["id"] for row in page.rows])
        runs = _LISTED_RUNS.validate_python(
            [
                {
                    **_with_links(row),
                    **_annotations_document(annotated.by_run.get(row["run_id"])),
                    "verified": verified.get(row["id"]),
                }
                for row in page.rows
            ]
        )
        rows, total = _LISTED_RUNS.dump_json(runs, by_alias=True), page.total or 0
        tag = tag_of(rows + repr((total, page.next_cursor)).encode())
        return RunPage(rows, total, page.next_cursor, tag)

    def work() -> RunPage:
        if query.limit <= _KEPT_ROWS:
            return service.registry.answer(key, ask)
        with service.registry.reading() as connection:
            return ask(connection)

    return await service.single_flight.get(key, work)


@router.get("/v1/runs/{run_id}", response_model=WholeRun, responses=KNOWN)
async def get_run(service: ServiceHere, request: Request, run_id: str) -> Response:
    """Return a run, by its id or its id in Dagster: its progress, figures, origin."""

    def work() -> bytes:
        return _whole_run(service, run_id).model_dump_json(by_alias=True).encode()

    return json_reply(request, await service.single_flight.get(("run", run_id), work))


@router.get("/v1/runs/{run_id}/overview", response_model=Overview, responses=KNOWN)
async def get_overview(service: ServiceHere, request: Request, run_id: str) -> Response:
    """Return a run and its result with one request: what a page begins with."""

    def work() -> bytes:
        run = _whole_run(service, run_id)
        result = b"null"
        if run.status is RunStatus.SUCCEEDED:
            # Why there is none, the call for the result says.
            with suppress(ProblemError, ResultError):
                result = service.document(run.run_id)
        return b'{"run":%b,"result":%b}' % (run.model_dump_json(by_alias=True).encode(), result)

    body = await service.single_flight.get(("overview", run_id), work)
    return json_reply(request, body, is_packable=True)


def _whole_run(service: Service, run_id: str) -> WholeRun:
    row = _with_links(service.registry.run(run_id))
    row |= _annotations_document(service.annotations.now().by_run.get(row["run_id"]))
    with service.registry.reading() as connection:
        row["verified"] = queries.get_verified(connection, [row["id"]]).get(row["id"])
    return WholeRun.model_validate(row)


@router.get("/v1/runs/{run_id}/artifacts")
def list_artifacts(service: ServiceHere, run_id: str) -> Artifacts:
    """List the files of a run."""
    name, artifacts = _artifacts_of(service, run_id)
    folder = f"{_RUNS}/{name}/artifacts"
    return Artifacts.model_validate(
        {
            "run_id": name,
            "artifacts": [
                {**artifact, "link": f"{folder}/{artifact['filename']}"} for artifact in artifacts
            ],
        }
    )


@router.get(
    "/v1/runs/{run_id}/artifacts/{filename}",
    response_class=FileResponse,
    responses={200: {"content": {"*/*": {}}, "description": "The file."}, **KNOWN},
)
def get_artifact(service: ServiceHere, request: Request, run_id: str, filename: str) -> Response:
    """Return a file of a run."""
    name, artifacts = _artifacts_of(service, run_id)
    for artifact in artifacts:
        file = service.store.file(*PurePosixPath(artifact["storage_path"]).parts)
        if artifact["filename"] == filename and file.is_there():
            # A page among them must not act in the name of the service.
            headers = {
                "Content-Security-Policy": "sandbox allow-scripts",
            }
            with file.opened() as path:
                headers["ETag"] = tag_of_files((path,))
            known = not_modified(request, headers["ETag"], headers)
            return known or StoredFileResponse(file, artifact["mime_type"], filename, headers)
    raise ProblemError(
        404, "unknown-artifact", f"run {name} has no file {filename[:80]!r}; see its artifacts"
    )


@router.get("/v1/runs/{run_id}/events")
def list_events(
    service: ServiceHere,
    run_id: str,
    after: Annotated[int, Query(ge=-1, lt=2**62, description="Sequence of the last one.")] = -1,
    limit: _Limit = 100,
    event_type: Annotated[
        str | None,
        Query(
            max_length=50,
            examples=["warning"],
            description="Only these. signal: the orders of a result with a report; trade: its "
            "fills. Both are listed only when they are asked for.",
        ),
    ] = None,
) -> Events:
    """List what a reader of a run should know: market times, warnings, refusals, its end."""
    name = service.registry.run(run_id)["run_id"]
    if event_type in TIMELINE_EVENTS:
        table = timeline_of(service.result_of_run(name))
        events = timeline_events(table, event_type, after, limit + 1)
    else:
        with service.registry.reading() as connection:
            events = queries.list_events(connection, name, after, limit + 1, event_type)
    page = events[:limit]
    return Events.model_validate(
        {
            "run_id": name,
            "events": page,
            "next_after": page[-1]["sequence"] if len(events) > limit else None,
        }
    )


@router.get("/v1/datasets")
def list_datasets(
    service: ServiceHere,
    request: Request,
    instrument: Annotated[str | None, Query(max_length=128)] = None,
    limit: _Limit = 100,
    offset: Offset = 0,
) -> Datasets:
    """List what runs read, by instrument and first day."""
    with service.registry.reading() as connection:
        rows = queries.list_datasets(connection, instrument, limit, offset)
        total = queries.count_datasets(connection, instrument)
    return Datasets.model_validate({**_page(request, rows, total, limit, offset), "datasets": rows})


@router.get("/v1/strategies")
def list_strategies(
    service: ServiceHere,
    request: Request,
    name: Annotated[str | None, Query(max_length=255)] = None,
    limit: _Limit = 100,
    offset: Offset = 0,
) -> Strategies:
    """List what was run, by name and version."""
    with service.registry.reading() as connection:
        rows = queries.list_strategies(connection, name, limit, offset)
        total = queries.count_strategies(connection, name)
    return Strategies.model_validate(
        {**_page(request, rows, total, limit, offset), "strategies": rows}
    )


def _artifacts_of(service: Service, run_id: str) -> tuple[str, list[Row]]:
    name = service.registry.run(run_id)["run_id"]
    with service.registry.reading() as connection:
        return name, queries.list_artifacts(connection, name)


def _page(
    request: Request, rows: Sequence[Row], total: int, limit: int, offset: int
) -> dict[str, Any]:
    has_more = offset + len(rows) < total
    return {
        "total": total,
        "limit": limit,
        "offset": offset,
        "has_more": has_more,
        "links": _links(request, limit, offset, has_more=has_more),
    }


def _page_links(request: Request, query: RunQuery, page: RunPage) -> PageLinks:
    if query.cursor is None:
        has_more = query.offset + query.limit < page.total
        return _links(request, query.limit, query.offset, has_more=has_more)
    following = None
    if page.next_cursor is not None:
        url = request.url.include_query_params(cursor=page.next_cursor, limit=query.limit)
        following = f"{url.path}?{url.query}"
    # A cursor leads forward only.
    return PageLinks(self_=_here(request), next=following, previous=None)


def _links(request: Request, limit: int, offset: int, *, has_more: bool) -> PageLinks:
    def at(position: int) -> str:
        url = request.url.include_query_params(offset=position, limit=limit)
        return f"{url.path}?{url.query}"

    return PageLinks(
        self_=_here(request),
        next=at(offset + limit) if has_more else None,
        previous=at(max(offset - limit, 0)) if offset else None,
    )


def _here(request: Request) -> str:
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def _annotations_document(annotations: Annotations | None) -> dict[str, Any]:
    """Return what lists show of tags and star."""
    known = annotations or Annotations()
    return {"tags": list(known.tags), "star": known.star}


def _with_links(row: Row) -> Row:
    name, dagster = row["run_id"], row["dagster_run_id"]
    address, result = f"{_RUNS}/{name}", f"/api/backtest/results/{name}"
    done = row["status"] is RunStatus.SUCCEEDED
    tables = done and row["detail"] == "report"
    links = RunLinks(
        self_=address,
        artifacts=f"{address}/artifacts",
        events=f"{address}/events",
        result=result if done else None,
        metrics=f"{address}/metrics" if done else None,
        report=f"{result}/report" if tables else None,
        **{
            kind: f"{address}/{kind}" if tables else None
            for kind in ("equity", "trades", "orders", "fills", "timeline")
        },
        stream=None if dagster is None else f"{_RUNS}/{dagster}/stream",
    )
    return {**row, "links": links}
