"""Stored results: lists, figures, tables, documents."""

from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.dataset as ds
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from odum_assets.api import models
from odum_assets.api.problems import ProblemError
from odum_assets.api.results_index import ListedResult
from odum_assets.api.service import Service, ServiceHere
from odum_assets.api.tables import (
    DocumentTable,
    Form,
    Page,
    ParquetTable,
    chosen_form,
    is_known,
    json_page,
    streamed,
    table_reply,
    tag_of,
)
from odum_assets.catalog.arrow import kernels as pc
from odum_assets.results.store import ResultEntry

router = APIRouter(prefix="/api/backtest/results", tags=["results"])

FORMS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            Form.LINES.value: {"schema": {"type": "string"}},
            Form.ARROW.value: {"schema": {"type": "string", "format": "binary"}},
        }
    },
    304: {"description": "The other side has it already (If-None-Match)"},
}
"""What tables can be had as, for the OpenAPI document."""

_REFUSED = ("denied", "rejected")
_BUCKETS = 10
_PATTERNS = 20
_TICK_FIELDS: dict[str, pa.DataType] = {
    "ts_event": pa.string(),
    "ts_init": pa.string(),
    "instrument_id": pa.string(),
    "price": pa.float64(),
    "size": pa.float64(),
    "aggressor_side": pa.string(),
    "trade_id": pa.string(),
}

Offset = Annotated[int, Query(ge=0, le=2**62, description="Rows to leave out first.")]
Limit = Annotated[
    int | None,
    Query(ge=1, le=10_000, description="Rows; JSON has 1,000 by default, other forms all."),
]
ListLimit = Annotated[int, Query(ge=1, le=1_000, description="Results at most.")]


@router.get("")
def list_results(
    service: ServiceHere, response: Response, limit: ListLimit = 100, offset: Offset = 0
) -> list[models.ListedResult]:
    """List results of both modes, newest first.

    X-Total-Count says how many there are, X-Damaged-Results how many files cannot be read.
    """
    return _listed(service, response, None, limit, offset)


@router.get("/fast")
def list_fast_results(
    service: ServiceHere, response: Response, limit: ListLimit = 100, offset: Offset = 0
) -> list[models.ListedResult]:
    """List results in fast mode, newest first."""
    return _listed(service, response, "fast", limit, offset)


@router.get("/report")
def list_report_results(
    service: ServiceHere, response: Response, limit: ListLimit = 100, offset: Offset = 0
) -> list[models.ListedResult]:
    """List results in report mode, newest first, without timeline and orders."""
    return _listed(service, response, "report", limit, offset)


@router.get("/{run_id}", response_model=models.Result, responses={304: FORMS[304]})
def get_result(service: ServiceHere, run_id: str, request: Request) -> Response:
    """Return the figures of a result and what it was made of."""
    entry = service.result(run_id)
    document = full_document(service, entry)
    headers = {"ETag": tag_of((entry.fast_path,), document["ticks_path"])}
    if is_known(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return JSONResponse(document, headers=headers)


@router.get("/{run_id}/report", response_model=models.Report, responses={304: FORMS[304]})
def get_report(
    service: ServiceHere,
    run_id: str,
    request: Request,
    timeline_limit: Annotated[int, Query(ge=1, le=50_000)] = 5_000,
    timeline_offset: Offset = 0,
    orders_limit: Annotated[
        int | None, Query(ge=1, le=10_000_000, description="Orders; all of them by default.")
    ] = None,
    orders_offset: Offset = 0,
) -> Response:
    """Return a result with a page of its timeline, and its orders, as a stream."""
    entry = service.result(run_id)
    orders = ParquetTable(report_file(entry, "orders.parquet"))
    timeline = DocumentTable(report_file(entry, "timeline.json"))
    chosen_form(request.headers.get("accept"), (Form.JSON,))
    pages = (Page(timeline_offset, timeline_limit), Page(orders_offset, orders_limit))
    packed = "gzip" in request.headers.get("accept-encoding", "")
    document = full_document(service, entry)
    files = (entry.fast_path, orders.path, timeline.path)
    tag = tag_of(files, pages, packed, document["ticks_path"])
    headers = {"ETag": tag, "Vary": "Accept, Accept-Encoding", "Cache-Control": "no-cache"}
    if is_known(request, tag):
        return Response(status_code=304, headers=headers)
    totals = (timeline.count(), orders.count())
    rows = [page.size(total) for page, total in zip(pages, totals, strict=True)]
    chunks = json_page(
        document,
        {
            "timeline": timeline.lines(timeline_offset, rows[0]),
            "orders": orders.lines(orders_offset, rows[1]),
        },
        {
            name: {
                "total": total,
                "limit": page.limit,
                "offset": page.offset,
                "has_more": page.offset + count < total,
            }
            for name, page, total, count in zip(
                ("timeline_pagination", "orders_pagination"), pages, totals, rows, strict=True
            )
        },
    )
    return streamed(chunks, Form.JSON, headers, packed=packed)


@router.get("/{run_id}/fills", response_model=models.Fills, responses=FORMS)
def get_fills(
    service: ServiceHere, run_id: str, request: Request, limit: Limit = None, offset: Offset = 0
) -> Response:
    """Return fills in order of time."""
    table = ParquetTable(report_file(service.result(run_id), "fills.parquet"))
    return table_reply(request, table, "fills", Page(offset, limit), 1_000)


@router.get("/{run_id}/rejected-orders", response_model=models.RejectedOrders, responses=FORMS)
def get_rejected_orders(
    service: ServiceHere, run_id: str, request: Request, limit: Limit = None, offset: Offset = 0
) -> Response:
    """Return orders that were denied or rejected, and what they have in common."""
    path = report_file(service.result(run_id), "orders.parquet")
    keep = ds.field("status").isin(list(_REFUSED))
    wants_json = chosen_form(request.headers.get("accept"), tuple(Form)) is Form.JSON
    extra = {"analysis": _analysis(ParquetTable(path, keep))} if wants_json else None
    table = ParquetTable(path, keep)
    return table_reply(request, table, "rejected_orders", Page(offset, limit), 1_000, extra)


@router.get("/{run_id}/ticks", response_model=models.Ticks, responses=FORMS)
def get_ticks(
    service: ServiceHere, run_id: str, request: Request, limit: Limit = None, offset: Offset = 0
) -> Response:
    """Return the trades that a run replayed, if they were exported."""
    entry = service.result(run_id)
    path = service.index.store.ticks_path(run_id)
    if not path.is_file():
        raise ProblemError(
            404,
            "no-ticks",
            f"the ticks of {run_id} were not exported; run {entry.config_name} again with "
            "export_ticks",
        )
    table = DocumentTable(path, pa.schema(_TICK_FIELDS))
    return table_reply(request, table, "ticks", Page(offset, limit), 1_000)


def full_document(service: Service, entry: ResultEntry) -> dict[str, Any]:
    """Return what is stored of a result, and where its ticks are."""
    exported = service.index.store.ticks_path(entry.run_id).is_file()
    ticks = f"/api/backtest/results/{entry.run_id}/ticks" if exported else None
    return {**entry.document, "ticks_path": ticks}


def report_file(entry: ResultEntry, name: str) -> Path:
    """Return a file of a result's report.

    Raises
    ------
    ProblemError
        If the result has none.
    """
    if entry.report_path is None:
        raise ProblemError(
            404,
            "no-report",
            f"{entry.run_id} ran in fast mode, which keeps the summary only; run "
            f"{entry.config_name} {entry.partition} again in report mode",
        )
    path = entry.report_path / name
    if not path.is_file():
        raise ProblemError(409, "damaged-report", f"the report of {entry.run_id} has no {name}")
    return path


def listed_model(each: ListedResult) -> models.ListedResult:
    """Return what a list shows of a result."""
    return models.ListedResult.model_validate(
        {
            "run_id": each.run_id,
            "mode": each.mode,
            "instrument": each.instrument,
            "dataset": each.dataset,
            "start": each.start,
            "end": each.end,
            "execution_time": each.created_at,
            "summary": each.summary,
            "metadata": {
                "config_name": each.config_name,
                "partition": each.partition,
                "snapshot_mode": each.snapshot_mode,
                "digest": each.digest,
            },
        }
    )


def _listed(
    service: Service, response: Response, mode: str | None, limit: int, offset: int
) -> list[models.ListedResult]:
    listing = service.index.listing()
    found = [each for each in listing.results if mode in (None, each.mode)]
    response.headers["X-Total-Count"] = str(len(found))
    response.headers["X-Damaged-Results"] = str(len(listing.damaged))
    return [listed_model(each) for each in found[offset : offset + limit]]


def _analysis(table: ParquetTable) -> dict[str, Any]:
    scanner = ds.dataset(table.path).scanner(
        columns=["side", "price", "reason"], filter=table.keep, batch_readahead=1
    )
    refused = scanner.to_table()
    prices = pc.drop_null(refused["price"].cast(pa.float64()))
    sides = pc.value_counts(refused["side"]).to_pylist()
    reasons = pc.value_counts(pc.cast(refused["reason"], pa.string())).to_pylist()
    reasons.sort(key=lambda each: (-each["counts"], each["values"] or ""))
    return {
        "total_rejected": refused.num_rows,
        "by_side": {str(each["values"]): each["counts"] for each in sides},
        "by_price_range": _price_buckets(prices),
        "common_patterns": [
            {"reason": each["values"], "count": each["counts"]} for each in reasons[:_PATTERNS]
        ],
        "price_range": {
            "min": pc.min(prices).as_py(),
            "max": pc.max(prices).as_py(),
            "avg": pc.mean(prices).as_py(),
        },
    }


def _price_buckets(prices: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - an Arrow column
    if not len(prices):
        return []
    import numpy as np

    counts, edges = np.histogram(prices.to_numpy(), bins=_BUCKETS)
    return [
        {"low": float(low), "high": float(high), "count": int(count)}
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
        if count
    ]
