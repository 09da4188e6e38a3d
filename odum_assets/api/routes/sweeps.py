"""Sweeps: variants of one configuration side by side, in NautilusTrader or in the Numba kernel."""

from collections.abc import Callable, Hashable
from functools import partial
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response

from odum_assets.api.dagster_client import DagsterRun
from odum_assets.api.exact_bodies import ExactRoute
from odum_assets.api.launching import repeat_tags
from odum_assets.api.planned_runs import counted_launch, planned, planned_vsweep
from odum_assets.api.problems import ProblemError
from odum_assets.api.replies import json_reply
from odum_assets.api.routes.results import KNOWN, Offset
from odum_assets.api.routes.runs import IdempotencyKey, started_once
from odum_assets.api.service import Service, ServiceHere
from odum_assets.api.sweep_columns import SweepColumns, columns_of, page_of
from odum_assets.api.sweeps import (
    MOST_VARIANTS,
    NewSweep,
    NewVsweep,
    PlannedVsweep,
    StartedSweep,
    Sweep,
    Sweeps,
    listed_sweeps,
    planned_reply,
    requested_variants,
    started_only,
    stored_sweep,
    with_dagster_runs,
)
from odum_assets.config import LoadedConfig
from odum_assets.errors import ConfigError, InvalidRequestError
from odum_assets.orchestration.planner import Plan, Planner
from odum_assets.orchestration.registration import SWEEP_ID_TAG
from odum_assets.orchestration.requests import NewRun, RunOptions
from odum_assets.results.run_id import is_sweep_id

router = APIRouter(prefix="/api/v1/sweeps", tags=["runs"], route_class=ExactRoute)


@router.get("", response_model=Sweeps, responses=KNOWN)
async def list_sweeps(
    service: ServiceHere,
    request: Request,
    config: Annotated[str | None, Query(max_length=255)] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    offset: Offset = 0,
) -> Response:
    """List sweeps, newest first: those whose variants are runs, and vectorized ones.

    One that goes on without a variant yet is among them while Dagster can be reached.
    """
    going_on = await _going_on(service)

    def work() -> bytes:
        sweeps = listed_sweeps(service, config, going_on)
        page = sweeps[offset : offset + limit]
        with_dagster_runs(service, page)
        return (
            Sweeps(
                sweeps=page,
                total=len(sweeps),
                limit=limit,
                offset=offset,
                has_more=offset + len(page) < len(sweeps),
            )
            .model_dump_json()
            .encode()
        )

    key = ("sweeps", config, limit, offset, *((run.run_id, run.status) for run in going_on))
    return json_reply(request, await service.single_flight.get(key, work))


async def _going_on(service: Service) -> tuple[DagsterRun, ...]:
    """Return the Dagster runs that carry out sweeps now; none where it does not answer."""
    ask = partial(service.dagster.runs_going_on, SWEEP_ID_TAG)
    try:
        return await service.single_flight.get("sweeps going on", ask, service.dagster.ask)
    except ProblemError:
        # What is stored is listed all the same.
        return ()


@router.post("", status_code=202)
async def start_sweep(
    service: ServiceHere,
    new: NewSweep,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> StartedSweep:
    """Start a sweep over one day; Location is its address, where variants appear one by one."""
    variants = requested_variants(new)

    async def start() -> DagsterRun:
        with counted_launch(service):
            plan = await planned(service, new.config, tags, work)
        return await service.dagster.launching.run(service.dagster.launch, plan)

    def work(planner: Planner, loaded: LoadedConfig) -> Plan:
        options = new.model_dump(include=set(RunOptions.model_fields))
        run = NewRun(config=loaded.name, day=new.day, **options)
        return planner.plan_sweep(run, variants, **new.sweep_values)

    tags = repeat_tags(idempotency_key, new.model_dump_json())
    run = await started_once(service, service.dagster.find_run, start, tags)
    return _started(run, len(variants), response)


@router.post("/vectorized", status_code=202)
async def start_vectorized_sweep(
    service: ServiceHere,
    new: NewVsweep,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> StartedSweep:
    """Start a vectorized sweep: the Numba kernel runs a grid of parameters over bars.

    Location is its address. Variants are there all at once, when it has ended.
    """
    variants = await _variants(service, new)

    async def start() -> DagsterRun:
        with counted_launch(service):
            plan = await planned_vsweep(service, new, tags)
        return await service.dagster.launching.run(service.dagster.launch, plan)

    tags = repeat_tags(idempotency_key, new.model_dump_json())
    run = await started_once(service, service.dagster.find_run, start, tags)
    return _started(run, variants, response)


@router.post("/vectorized/plan")
async def plan_vectorized_sweep(service: ServiceHere, new: NewVsweep) -> PlannedVsweep:
    """Return what a vectorized sweep would come to: body and refusals are those of its start."""
    plan = await planned_vsweep(service, new, {})
    storage = await to_thread.run_sync(service.storage_of, plan.loaded.name)
    return await storage.run(planned_reply, service, new, plan)


async def _variants(service: Service, new: NewVsweep) -> int:
    """Return how many variants are meant, before any data are looked at."""

    def work() -> int:
        _, loaded = service.config(new.config)
        try:
            return len(new.sweep_request(loaded).variants)
        except ConfigError as error:
            raise InvalidRequestError("invalid-options", str(error)) from None

    return await to_thread.run_sync(work)


def _started(run: DagsterRun, variants: int, response: Response) -> StartedSweep:
    """Return the reply to a start, with the sweep's address."""
    sweep_id = run.tags[SWEEP_ID_TAG]
    response.headers["Location"] = f"/api/v1/sweeps/{sweep_id}"
    return StartedSweep(
        id=sweep_id, dagster_run_id=run.run_id, status=run.status, variants=variants
    )


Where = Annotated[
    str | None,
    Query(
        max_length=500,
        description="Conditions that all hold, separated by commas, over names of axes, figures, "
        "number, status, flags and error.",
        examples=["window>=50,total_return>0,status:succeeded"],
    ),
]


@router.get("/{sweep_id}", response_model=Sweep, responses=KNOWN)
async def get_sweep(
    service: ServiceHere,
    request: Request,
    sweep_id: str,
    sort: Annotated[
        str | None,
        Query(
            max_length=200,
            description="Figures, axes, number or status, separated by commas, with - before one "
            "for the highest first; nulls are last. As given by default.",
        ),
    ] = None,
    where: Where = None,
    limit: Annotated[int, Query(ge=1, le=MOST_VARIANTS)] = MOST_VARIANTS,
    offset: Offset = 0,
) -> Response:
    """Return a sweep: its axes, and its variants with status, figures, flags and errors."""

    def shape(sweep: Sweep) -> bytes:
        return page_of(sweep, sort, where, limit, offset).model_dump_json().encode()

    key = ("sweep", sweep_id, sort, where, limit, offset)
    return json_reply(request, await _answered(service, sweep_id, key, shape))


@router.get("/{sweep_id}/columns", response_model=SweepColumns, responses=KNOWN)
async def get_sweep_columns(
    service: ServiceHere,
    request: Request,
    sweep_id: str,
    figures: Annotated[
        str,
        Query(max_length=500, description="Figures, separated by commas.", examples=["pnl,fills"]),
    ],
    where: Where = None,
) -> Response:
    """Return figures of all variants of a sweep by column, as charts take them."""
    names = tuple(dict.fromkeys(name.strip() for name in figures.split(",") if name.strip()))

    def shape(sweep: Sweep) -> bytes:
        return columns_of(sweep, names, where).model_dump_json().encode()

    key = ("sweep columns", sweep_id, names, where)
    return json_reply(request, await _answered(service, sweep_id, key, shape))


async def _answered(
    service: Service, sweep_id: str, key: tuple[Hashable, ...], shape: Callable[[Sweep], bytes]
) -> bytes:
    """Return what is made of a sweep, worked out in a thread; a sweep that begins is in Dagster."""

    def work() -> bytes | None:
        sweep = stored_sweep(service, sweep_id)
        return None if sweep is None else shape(sweep)

    body = await service.single_flight.get(key, work)
    if body is not None:
        return body
    run = None
    if is_sweep_id(sweep_id):
        run = await service.dagster.ask(service.dagster.find_run, SWEEP_ID_TAG, sweep_id)
    if run is None:
        raise ProblemError(
            404, "unknown-sweep", f"there is no sweep {sweep_id[:80]}; see GET /api/v1/sweeps"
        )
    return shape(started_only(service, sweep_id, run))
