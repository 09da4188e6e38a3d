"""Verifying a result: running it again, and comparing every order and fill."""

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from odum_assets.api.dagster_client import Status
from odum_assets.api.problems import ProblemError
from odum_assets.api.service import RunResultHere, ServiceHere

router = APIRouter(prefix="/api/v1", tags=["runs"])


class StartedVerification(BaseModel):
    """A verification under way; the event `verified` of the run tells how it ends."""

    kind: Literal["verification"] = "verification"
    run_id: str = Field(description="The result that is verified.")
    dagster_run_id: str = Field(description="What runs it again; runs/{it}/status and /stream.")
    status: Status
    event_type: Literal["verified"] = "verified"


@router.post("/runs/{run_id}/verify", status_code=202)
async def verify_run(
    service: ServiceHere, entry: RunResultHere, response: Response
) -> StartedVerification:
    """Run a stored result again and compare; nothing of it is changed.

    Its end is an event of the run, with type `verified` and payload {equal, expected, found,
    changed_inputs, dagster_run_id}: the digests, and the inputs that are others now. A second
    request while one is under way returns that one.
    """
    raise ProblemError(501, "not-implemented", "not yet")
