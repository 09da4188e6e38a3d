"""Runs as HTML files to send: one, or several side by side."""

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse

from odum_assets.api.preconditions import tag_of
from odum_assets.api.replies import not_modified
from odum_assets.api.routes.comparing import chosen_entries, validator_of
from odum_assets.api.service import ServiceHere
from odum_assets.api.tables import equity_of, fills_of, orders_of, trades_of
from odum_assets.api.tearsheets import PAGE_HEADERS
from odum_assets.results.tearsheet.export import MOST_RUNS, export_html

router = APIRouter(prefix="/api/v1", tags=["runs"])


@router.get(
    "/export",
    response_class=HTMLResponse,
    responses={200: {"content": {"text/html": {}}, "description": "The page."}},
)
async def export_runs(
    service: ServiceHere,
    request: Request,
    ids: Annotated[
        str,
        Query(
            description="Up to 20 ids of runs, their own or in Dagster, separated by commas.",
            max_length=2_000,
        ),
    ],
    base: Annotated[
        str | None, Query(max_length=120, description="One of the ids; the first by default.")
    ] = None,
) -> Response:
    """Return a run, or several side by side, as one HTML file that needs nothing else."""
    entries, at = await to_thread.run_sync(chosen_entries, service, ids, base, 1, MOST_RUNS)
    validator = tuple(validator_of(entry) for entry in entries)
    key = ("export", tuple(entry.run_id for entry in entries), at)
    name = entries[0].run_id if len(entries) == 1 else f"{len(entries)}_runs"
    headers = {
        **PAGE_HEADERS,
        "ETag": tag_of(repr((key, validator)).encode()),
        "Content-Disposition": f'attachment; filename="{name}.html"',
    }
    known = not_modified(request, headers["ETag"], headers)
    if known is not None:
        return known

    def work() -> bytes:
        def make() -> bytes:
            for entry in entries:
                for table in (equity_of, fills_of, orders_of, trades_of):
                    if entry.report_path is not None:
                        # Says what a report lacks.
                        table(entry)
            return export_html(entries, at).encode()

        return service.cache.get(key, validator, make)

    body = await service.single_flight.get((*key, validator), work, service.aggregations.run)
    return HTMLResponse(body, headers=headers)
