"""What a result is made up of, and what it was made from."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from odum_assets.api.aggregating import aggregated
from odum_assets.api.cache import file_validator
from odum_assets.api.origins import Breakdown, By, Lineage
from odum_assets.api.replies import json_reply
from odum_assets.api.routes.charts import require_report
from odum_assets.api.routes.results import KNOWN
from odum_assets.api.service import RunResultHere, ServiceHere
from odum_assets.api.tables import fills_of, orders_of, trades_of
from odum_assets.results import breakdown
from odum_assets.results.lineage import lineage

router = APIRouter(prefix="/api/v1/runs/{run_id}", tags=["runs"])


@router.get("/breakdown", response_model=Breakdown, responses=KNOWN)
async def get_breakdown(
    service: ServiceHere,
    entry: RunResultHere,
    request: Request,
    by: Annotated[By, Query(description="What the trades have in common.")] = "hour",
) -> Response:
    """Return profit and commissions of a run by hour, day, side..., and their distribution."""
    require_report(entry)

    def make() -> bytes:
        positions = trades_of(entry).file
        if by in breakdown.OF_FILLS:
            rows = breakdown.fill_rows(fills_of(entry).file, orders_of(entry).file, by)
        else:
            rows = breakdown.trade_rows(positions, by, entry.metadata()["instrument_key"])
        document = {
            "run_id": entry.run_id,
            "by": by,
            "rows": rows,
            "histogram": breakdown.histogram(positions),
        }
        return Breakdown.model_validate(document).model_dump_json().encode()

    names = ("positions", "fills", "orders")
    files = [entry.report_file(f"{name}.parquet").path for name in names]
    validator = entry.digest, file_validator(entry.fast_path, *files)
    return await aggregated(service, request, ("breakdown", entry.run_id, by), validator, make)


@router.get("/lineage", response_model=Lineage, responses=KNOWN)
async def get_lineage(service: ServiceHere, entry: RunResultHere, request: Request) -> Response:
    """Return what a result was made from, with hashes and rows, and whether it is there now."""

    def make() -> bytes:
        nodes = lineage(entry, service.settings)
        return Lineage.model_validate(nodes).model_dump_json().encode()

    # Anything may have changed since: it is looked at each time, by one request at a time.
    body = await service.single_flight.get(
        ("lineage", entry.run_id), make, service.aggregations.run
    )
    return json_reply(request, body)
