"""What a run would come to, before it is started."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from odum_assets.api.problems import ProblemError
from odum_assets.api.runs_by_ids import RunCreate
from odum_assets.api.service import ServiceHere

router = APIRouter(prefix="/api/v1", tags=["runs"])


class PlannedPartition(BaseModel):
    """A catalog partition that the runs read."""

    instrument: str
    data_type: str
    day: str
    state: str = Field(description="As in the coverage calendar: ■ ◪ □ ▨ · !")
    state_text: str
    rows: int | None = Field(description="Rows in the catalog; null while not converted.")
    converts: bool = Field(description="Whether it is converted first.")


class PlannedRun(BaseModel):
    """What a request for a run comes to; nothing is started."""

    kind: Literal["day", "days", "window"]
    config: str
    config_hash: str
    instruments: list[str]
    runs: int = Field(description="Number of backtests.")
    days: list[str]
    skipped: dict[str, str] = Field(description="Days of a range that are left out, and why.")
    steps: list[str] = Field(description="Assets of the configuration that are made.")
    partitions: list[PlannedPartition]
    partitions_total: int = Field(description="Partitions of the plan; the list ends at 5,000.")
    converts: int = Field(description="Partitions that are converted first.")
    rows: int | None = Field(description="Rows that are read; null where some are not known yet.")
    seconds: float | None = Field(
        description="Time that the runs take one after the other, by earlier runs of the "
        "configuration; null without any. Conversions are not in it."
    )
    seconds_from: int = Field(description="Earlier runs that `seconds` follows from.")
    warnings: list[str]


@router.post("/plan")
async def plan_run(service: ServiceHere, new: RunCreate) -> PlannedRun:
    """Return what a run would come to: the body is that of POST runs, and so are the refusals."""
    raise ProblemError(501, "not-implemented", "not yet")
