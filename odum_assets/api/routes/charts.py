"""What the charts of a run are drawn from: candles with fills, the account, and single moments."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from odum_assets.api.charts import AccountCurve, Bars, Moment
from odum_assets.api.problems import ProblemError
from odum_assets.api.routes.results import KNOWN
from odum_assets.api.service import RunResultHere, ServiceHere

router = APIRouter(prefix="/api/v1/runs/{run_id}", tags=["runs"])

_LATEST = 2**63 - 1

Instrument = Annotated[
    str | None,
    Query(
        max_length=120,
        description="One of the run's; its first one by default.",
        examples=["BINANCE:PERPETUAL:BTC-USDT"],
    ),
]
Time = Annotated[str | None, Query(max_length=64, examples=["2024-07-18T00:00:00Z"])]


@dataclass(frozen=True, slots=True)
class Window:
    """What a chart shows: from `start`, before `end` (None: all of the run), in about `points`."""

    start: str | None
    end: str | None
    points: int
    instrument: str | None


async def _window_of(
    start: Time = None,
    end: Time = None,
    points: Annotated[
        int, Query(ge=2, le=5_000, description="Buckets, about: their length is a usual one.")
    ] = 1_000,
    instrument: Instrument = None,
) -> Window:
    return Window(start, end, points, instrument)


WindowHere = Annotated[Window, Depends(_window_of)]
"""The window that the query names: times are ISO 8601 with a zone, or ns since 1970."""


@router.get("/bars", response_model=Bars, responses=KNOWN)
async def get_run_bars(
    service: ServiceHere, entry: RunResultHere, request: Request, window: WindowHere
) -> Response:
    """Return the market of a run as candles, with its fills, its refusals and faults in the data."""
    raise ProblemError(501, "not-yet", "bars")


@router.get("/curve", response_model=AccountCurve, responses=KNOWN)
async def get_run_curve(
    service: ServiceHere, entry: RunResultHere, request: Request, window: WindowHere
) -> Response:
    """Return equity, drawdown and position of a run by bucket: first, min, max and last."""
    raise ProblemError(501, "not-yet", "curve")


@router.get("/moment", response_model=Moment, responses=KNOWN)
async def get_run_moment(
    service: ServiceHere,
    entry: RunResultHere,
    request: Request,
    at_ns: Annotated[int, Query(ge=0, le=_LATEST, description="The moment, ns since 1970 (UTC).")],
    span_ns: Annotated[
        int, Query(ge=1, le=3_600_000_000_000, description="Length of the span around it, ns.")
    ] = 5_000_000_000,
    instrument: Instrument = None,
) -> Response:
    """Return trades, books, orders and fills around a moment, to the nanosecond."""
    raise ProblemError(501, "not-yet", "moment")
