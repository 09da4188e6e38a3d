"""Verifying a result: running it again, and comparing every order and fill."""

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from odum_assets.api.dagster_client import FINISHED, Status
from odum_assets.api.service import RunResultHere, ServiceHere
from odum_assets.orchestration.verification import JOB, VERIFIES_TAG, run_config

router = APIRouter(prefix="/api/v1", tags=["runs"])


class StartedVerification(BaseModel):
    """A queued or running verification; the event `verified` of the run has its outcome."""

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
    request while one is queued or running returns that one.
    """
    name, dagster = entry.run_id, service.dagster
    # One after the other: a repeat may come while the first is being started.
    async with service.repeats.hold(f"verify {name}"):
        run = await dagster.ask(dagster.find_run, VERIFIES_TAG, name)
        if run is None or run.status in FINISHED:
            service.launches.take()
            tags = {VERIFIES_TAG: name, "odum/source": "api", "dagster/max_retries": "0"}
            run = await dagster.launching.run(dagster.launch_job, JOB, run_config(name), tags)
    response.headers["Location"] = f"/api/v1/runs/{run.run_id}/status"
    return StartedVerification(run_id=name, dagster_run_id=run.run_id, status=run.status)
