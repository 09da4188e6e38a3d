"""Stored results as the earlier system served them: lists, figures, tables, documents."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy import Connection

from odum_assets.api import models
from odum_assets.api.media_types import MediaType, json_page, preferred_media_type
from odum_assets.api.preconditions import tag_of
from odum_assets.api.rejections import Rejections, analyze
from odum_assets.api.replies import Page, Streamed, json_reply, next_link, table_reply
from odum_assets.api.rows import EventRow, FillRow, OrderRow, TickRow
from odum_assets.api.sending import ReadOn
from odum_assets.api.service import ResultHere, Service, ServiceHere
from odum_assets.api.tables import (
    REFUSED,
    fills_of,
    line_pieces,
    orders_of,
    ticks_of,
    timeline_of,
)
from odum_assets.api.tearsheets import tearsheet_page
from odum_assets.orchestration.days import require_time
from odum_assets.registry import queries
from odum_assets.registry.queries import RunFilter
from odum_assets.registry.types import RunStatus
from odum_assets.results.tables import StoredTable

router = APIRouter(prefix="/api/backtest/results", tags=["results"])

FORMS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            MediaType.LINES.value: {"schema": {"type": "string"}},
            MediaType.ARROW.value: {"schema": {"type": "string", "format": "binary"}},
            MediaType.CSV.value: {"schema": {"type": "string"}},
        }
    },
    304: {"description": "The client has it already (If-None-Match)."},
}
"""What tables can be had as, for the OpenAPI document."""

KNOWN: dict[int | str, dict[str, Any]] = {304: FORMS[304]}

Offset = Annotated[int, Query(ge=0, le=2**40, description="Rows to skip.")]
Limit = Annotated[
    int | None,
    Query(ge=1, le=10_000, description="Rows; JSON has 1,000 by default, other forms all."),
]
ListLimit = Annotated[int, Query(ge=1, le=1_000, description="Entries at most.")]
Start = Annotated[
    str | None,
    Query(
        max_length=64, description="Only at or after this time.", examples=["2024-07-18T00:00:00Z"]
    ),
]
End = Annotated[
    str | None,
    Query(max_length=64, description="Only before this time.", examples=["2024-07-18T00:05:00Z"]),
]


@dataclass(frozen=True, slots=True)
class Range:
    """Which rows of a table are asked for: those of a range of time, and a page of them."""

    page: Page
    start: str | None
    end: str | None


async def _range_of(
    limit: Limit = None, offset: Offset = 0, start: Start = None, end: End = None
) -> Range:
    return Range(Page(offset, limit), start, end)


RangeHere = Annotated[Range, Depends(_range_of)]
"""The rows that the query names by ``limit``, ``offset``, ``start`` and ``end``."""


class Fills(models.PagedSelection):
    """A page of fills, in order of time."""

    fills: list[FillRow]


class RejectedOrders(models.Paged):
    """A page of orders that were denied or rejected."""

    rejected_orders: list[OrderRow]
    analysis: Rejections


class Ticks(models.Paged):
    """A page of the trades that a run replayed; times in ns are texts."""

    ticks: list[TickRow]


class Report(models.Result):
    """A result with its timeline and orders."""

    timeline: list[EventRow]
    orders: list[OrderRow]
    timeline_pagination: models.Pagination
    orders_pagination: models.Pagination


@router.get("", response_model=list[models.ListedResult], responses=KNOWN)
async def list_results(
    service: ServiceHere, request: Request, limit: ListLimit = 100, offset: Offset = 0
) -> Response:
    """List results of both modes, newest first; X-Total-Count says how many there are."""
    return await _listed(service, request, None, limit, offset)


@router.get("/fast", response_model=list[models.ListedResult], responses=KNOWN)
async def list_fast_results(
    service: ServiceHere, request: Request, limit: ListLimit = 100, offset: Offset = 0
) -> Response:
    """List results in fast mode, newest first."""
    return await _listed(service, request, "fast", limit, offset)


@router.get("/report", response_model=list[models.ListedResult], responses=KNOWN)
async def list_report_results(
    service: ServiceHere, request: Request, limit: ListLimit = 100, offset: Offset = 0
) -> Response:
    """List results in report mode, newest first, without timeline and orders."""
    return await _listed(service, request, "report", limit, offset)


@router.get("/{run_id}", response_model=models.Result, responses=KNOWN)
def get_result(service: ServiceHere, run_id: str, request: Request) -> Response:
    """Return the figures of a result and what it was made of."""
    return json_reply(request, service.document(run_id))


@router.get("/{run_id}/report", response_model=Report, responses=KNOWN)
def get_report(
    service: ServiceHere,
    entry: ResultHere,
    request: Request,
    timeline_limit: Annotated[int, Query(ge=1, le=50_000)] = 5_000,
    timeline_offset: Offset = 0,
    orders_limit: Annotated[
        int | None, Query(ge=1, le=10_000_000, description="Orders; all of them by default.")
    ] = None,
    orders_offset: Offset = 0,
) -> Response:
    """Return a result with a page of its timeline, and its orders, as a stream."""
    preferred_media_type(request.headers.get("accept"), (MediaType.JSON,))
    timeline, orders = timeline_of(entry), orders_of(entry)
    document = service.full_document(entry)
    files = (entry.fast_path, timeline.path, orders.path)
    reply = Streamed(request, files, MediaType.JSON, (request.url.query, document["ticks_path"]))
    if reply.known is not None:
        return reply.known
    arrays: dict[str, ReadOn[bytes]] = {}
    pages = {}
    for name, table, page in (
        ("timeline", timeline, Page(timeline_offset, timeline_limit)),
        ("orders", orders, Page(orders_offset, orders_limit)),
    ):
        total = table.count()
        arrays[name] = line_pieces(table, page.offset, page.size(total))
        pages[f"{name}_pagination"] = page.pagination(total)
    return reply.of(json_page(document, arrays, pages), *arrays.values())


@router.get(
    "/{run_id}/tearsheet",
    response_class=HTMLResponse,
    responses={200: {"content": {"text/html": {}}, "description": "The page."}},
)
def get_tearsheet(service: ServiceHere, entry: ResultHere) -> Response:
    """Return the tearsheet of a result, to look at."""
    return tearsheet_page(service.store, entry.run_id)


@router.get("/{run_id}/fills", response_model=Fills, responses=FORMS)
def get_fills(entry: ResultHere, request: Request, selection: RangeHere) -> Response:
    """Return fills in order of time."""
    return timed_reply(request, fills_of(entry), "fills", selection)


@router.get("/{run_id}/rejected-orders", response_model=RejectedOrders, responses=FORMS)
def get_rejected_orders(
    entry: ResultHere, request: Request, limit: Limit = None, offset: Offset = 0
) -> Response:
    """Return orders that were denied or rejected, and what they have in common."""
    table = orders_of(entry, *REFUSED)
    wants_json = (
        preferred_media_type(request.headers.get("accept"), tuple(MediaType)) is MediaType.JSON
    )
    extra = {"analysis": analyze(table).model_dump()} if wants_json else None
    return table_reply(request, table, "rejected_orders", Page(offset, limit), extra)


@router.get("/{run_id}/ticks", response_model=Ticks, responses=FORMS)
def get_ticks(
    service: ServiceHere, entry: ResultHere, request: Request, selection: RangeHere
) -> Response:
    """Return the trades that a run replayed, if they were exported, by arrival."""
    table = ticks_of(service.store, entry)
    return timed_reply(request, table, "ticks", selection)


def timed_reply(request: Request, table: StoredTable, name: str, selection: Range) -> Response:
    """Send a page of the rows of a range of time; errors as `selected`."""
    return table_reply(request, selected(table, selection), name, selection.page)


def selected(table: StoredTable, selection: Range) -> StoredTable:
    """Return the rows of a range of time.

    Raises
    ------
    InvalidRequestError
        If a time cannot be used.
    """
    bounds = [
        None if text is None else require_time(which, text)
        for which, text in (("start", selection.start), ("end", selection.end))
    ]
    return table if bounds == [None, None] else table.between(*bounds)


async def _listed(
    service: Service, request: Request, mode: str | None, limit: int, offset: int
) -> Response:
    """Send a page of results: which ones, the registry says; what of them, their files do."""
    key = ("results", mode, limit, offset)

    def ask(connection: Connection) -> tuple[list[str], int]:
        where = RunFilter(status=RunStatus.SUCCEEDED, detail=mode)
        page = queries.list_runs(connection, where, limit=limit, offset=offset, with_total=True)
        return [row["run_id"] for row in page.rows], page.total or 0

    def work() -> tuple[bytes, str, int, int]:
        names, total = service.registry.answer(key, ask)
        documents = [service.listed(name) for name in names]
        readable = [document for document in documents if document is not None]
        body = b"[" + b",\n".join(readable) + b"]\n"
        return body, tag_of(body), total, len(documents) - len(readable)

    body, tag, total, damaged = await service.single_flight.get(key, work)
    headers = {"X-Total-Count": str(total), "X-Damaged-Results": str(damaged)}
    if offset + limit < total:
        headers["Link"] = next_link(request, offset + limit, limit)
    return json_reply(request, body, headers, tag)
