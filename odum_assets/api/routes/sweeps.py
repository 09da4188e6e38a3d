"""Sweeps: variants of one configuration side by side, in NautilusTrader or in the Numba kernel."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from odum_assets.api import models
from odum_assets.api.problems import ProblemError
from odum_assets.api.routes.results import KNOWN, Offset
from odum_assets.api.routes.runs import IdempotencyKey
from odum_assets.api.service import ServiceHere
from odum_assets.orchestration.requests import RunOptions

router = APIRouter(prefix="/api/v1/sweeps", tags=["runs"])

type SweepStatus = Literal["queued", "running", "succeeded", "failed", "canceled"]
type Value = str | float | int | bool | None

_MOST_VARIANTS = 10_000


class NewSweep(RunOptions):
    """A sweep to start: variants of a configuration over one day."""

    model_config = ConfigDict(extra="forbid")

    config: str = Field(description="Configuration.", examples=["my_config"])
    day: date = Field(description="Day (UTC).")
    vary: dict[str, list[Any | None]] = Field(
        default={},
        description="Values by dotted path; every combination runs.",
        examples=[{"strategy.params.window": [50, 100]}],
    )
    variants: list[dict[str, Any | None]] = Field(
        default=[],
        max_length=_MOST_VARIANTS,
        description="Instead of vary: one {path: value} object per variant.",
    )
    slots: int = Field(default=2, ge=1, le=64, description="Variants at one time.")


class ListedSweep(BaseModel):
    """A sweep in a list."""

    id: str
    kind: Literal["runs", "vectorized"] = Field(
        description="runs: each variant is a run with a result. vectorized: the Numba kernel ran "
        "them, and a file has their figures."
    )
    config: str
    partition: str | None = Field(description="Day; null for a vectorized sweep over sessions.")
    instrument: str
    status: SweepStatus = Field(description="failed: every variant did.")
    variants: int
    by_status: dict[str, int] = Field(description="Variants by status.")
    created_at: datetime | None
    dagster_run_id: str | None = Field(description="What runs it; DELETE runs/{it} cancels.")


class Sweeps(models.Paged):
    """Sweeps, newest first."""

    sweeps: list[ListedSweep]


class Axis(BaseModel):
    """What varies: a path of the configuration and its values, in order."""

    path: str
    name: str = Field(description="Shortest name that tells it from the others.")
    values: list[Value]


class SweepVariant(BaseModel):
    """A variant: what is varied, and what became of it."""

    number: int = Field(description="From 1, in the order given.")
    varied: dict[str, Value] = Field(description="Values by path.")
    run_id: str | None = Field(description="Its run; null in a vectorized sweep.")
    status: SweepStatus
    figures: dict[str, float | None] = Field(
        description="As in a list of runs (fractions); of a vectorized sweep those of its file, "
        "with percentages as fractions, too."
    )
    flags: list[str]
    error: str | None


class Sweep(ListedSweep):
    """A sweep with its variants."""

    currency: str | None
    axes: list[Axis]
    figures: list[str] = Field(description="Names of the figures that variants have.")
    facts: dict[str, Any] = Field(description="What a vectorized sweep is of; else empty.")
    total: int = Field(description="Variants of all pages.")
    limit: int
    offset: int
    rows: list[SweepVariant] = Field(description="Variants of this page.")


class StartedSweep(BaseModel):
    """A sweep that was asked for."""

    kind: Literal["sweep"] = "sweep"
    id: str
    dagster_run_id: str
    status: SweepStatus
    variants: int


@router.get("", response_model=Sweeps, responses=KNOWN)
async def list_sweeps(
    service: ServiceHere,
    request: Request,
    config: Annotated[str | None, Query(max_length=255)] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    offset: Offset = 0,
) -> Response:
    """List sweeps, newest first: those whose variants are runs, and vectorized ones."""
    raise ProblemError(501, "not-implemented", "not yet")


@router.post("", status_code=202)
async def start_sweep(
    service: ServiceHere,
    new: NewSweep,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> StartedSweep:
    """Start a sweep over one day; Location is its address, where variants appear one by one."""
    raise ProblemError(501, "not-implemented", "not yet")


@router.get("/{sweep_id}", response_model=Sweep, responses=KNOWN)
async def get_sweep(
    service: ServiceHere,
    request: Request,
    sweep_id: str,
    sort: Annotated[
        str | None,
        Query(
            max_length=80,
            pattern=r"^-?[a-z0-9_]+$",
            description="A figure, with - before it for the highest first; as given by default.",
        ),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=_MOST_VARIANTS)] = _MOST_VARIANTS,
    offset: Offset = 0,
) -> Response:
    """Return a sweep: its axes, and its variants with status, figures, flags and errors."""
    raise ProblemError(501, "not-implemented", "not yet")
