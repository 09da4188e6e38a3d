"""What a result is made up of, and what it was made from."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from odum_assets.api.origins import Breakdown, By, Lineage
from odum_assets.api.problems import ProblemError
from odum_assets.api.routes.results import KNOWN
from odum_assets.api.service import RunResultHere, ServiceHere

router = APIRouter(prefix="/api/v1/runs/{run_id}", tags=["runs"])


@router.get("/breakdown", response_model=Breakdown, responses=KNOWN)
async def get_breakdown(
    service: ServiceHere,
    entry: RunResultHere,
    request: Request,
    by: Annotated[By, Query(description="What the trades have in common.")] = "hour",
) -> Response:
    """Return profit and commissions of a run by hour, day, side..., and their distribution."""
    raise ProblemError(501, "not-yet", "breakdown")


@router.get("/lineage", response_model=Lineage, responses=KNOWN)
async def get_lineage(service: ServiceHere, entry: RunResultHere, request: Request) -> Response:
    """Return what a result was made from, with hashes and rows, and whether it is there now."""
    raise ProblemError(501, "not-yet", "lineage")
