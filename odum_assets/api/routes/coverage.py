"""Which data there are, by day: raw files and catalog partitions, and what is in one of them."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from odum_assets.api.problems import ProblemError
from odum_assets.api.routes.results import KNOWN
from odum_assets.api.service import ServiceHere
from odum_assets.raw.layout import DataType

router = APIRouter(prefix="/api/v1", tags=["data"])


class CoverageRow(BaseModel):
    """The partitions of one instrument and data type, one for each of the days."""

    instrument: str
    data_type: str
    configs: list[str] = Field(description="Configurations that read it.")
    state: str = Field(
        description="A character per day: ■ up to date, ◪ stale, □ not converted, ▨ raw file "
        "gone, · no raw file, ! raw file unreadable. Of yearly data each day has its year's."
    )
    rows: list[int | None] = Field(description="Rows in the catalog; null without a partition.")
    rejected: list[int | None] = Field(description="Rows that were rejected.")
    checks: list[str | None] = Field(
        description="What the checks say: passed, warned or refused; null without a partition."
    )


class Coverage(BaseModel):
    """A calendar of all data."""

    days: list[str]
    rows: list[CoverageRow]
    problems: list[str] = Field(description="What could not be read.")


class PartitionVerdict(BaseModel):
    """What a check says of a partition."""

    check: str
    passed: bool
    blocking: bool = Field(description="Whether runs refuse the partition because of it.")
    text: str
    config: str | None = Field(description="Whose thresholds; null where all agree.")


class PartitionRun(BaseModel):
    """A run that read a partition."""

    run_id: str
    config_name: str
    executed_at: str
    digest: str = Field(description="Digest of the partition then.")
    current: bool = Field(description="Whether the partition is the same now.")


class CatalogPartition(BaseModel):
    """One day (or year) of one instrument and data type."""

    instrument: str
    data_type: str
    day: str
    state: str = Field(description="One of the characters of the calendar.")
    state_text: str
    raw: dict[str, Any] | None = Field(description="Raw file: path, size, mtime_ns (text).")
    manifest: dict[str, Any] | None = Field(description="Null while it is not converted.")
    verdicts: list[PartitionVerdict]
    runs: list[PartitionRun] = Field(description="The latest runs that read it.")
    problems: list[str]


@router.get("/coverage", response_model=Coverage, responses=KNOWN)
async def get_coverage(
    service: ServiceHere,
    request: Request,
    first_day: Annotated[date, Query(description="First day (UTC).")],
    last_day: Annotated[date, Query(description="Last day, included; up to 3,660 days.")],
    instrument: Annotated[str | None, Query(max_length=128)] = None,
    data_type: DataType | None = None,
) -> Response:
    """Return the state of every partition, by instrument, data type and day."""
    raise ProblemError(501, "not-implemented", "not yet")


@router.get(
    "/catalog/{instrument}/{data_type}/{day}", response_model=CatalogPartition, responses=KNOWN
)
async def get_partition(
    service: ServiceHere, request: Request, instrument: str, data_type: DataType, day: date
) -> Response:
    """Return what there is of one day: raw file, manifest, verdicts, and the runs that used it."""
    raise ProblemError(501, "not-implemented", "not yet")
