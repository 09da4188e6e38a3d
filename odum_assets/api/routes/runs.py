"""Runs: start, follow, show, cancel. All of it is Dagster's doing."""

import dataclasses
import logging
import re
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Annotated, Any, Literal

import anyio
import anyio.to_thread
from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, Field

from odum_assets.api import models
from odum_assets.api.dagster_client import (
    FINISHED,
    DagsterBackfill,
    DagsterRun,
    Status,
    is_cursor,
)
from odum_assets.api.following import RunLog, StreamEvent
from odum_assets.api.launching import BODY_TAG, KEY_TAG, repeat_tags
from odum_assets.api.planned_runs import check_length, counted_launch, planned_run
from odum_assets.api.problems import ProblemError
from odum_assets.api.runs_by_ids import RunCreate
from odum_assets.api.service import Service, ServiceHere
from odum_assets.errors import OdumError
from odum_assets.orchestration.planner import Plan
from odum_assets.orchestration.registration import CONFIG_TAG, RUN_ID_TAG
from odum_assets.orchestration.requests import LegacyRun, NewRun
from odum_assets.orchestration.run_process import NotInterruptedError, RunProcess, process_of
from odum_assets.registry.pending import finalize_pending, register_queued, withdraw
from odum_assets.registry.types import RunStatus
from odum_assets.results.run_id import is_run_id

router = APIRouter(tags=["runs"])

_LOG = logging.getLogger("odum_assets.api")

_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events; each one's data is {type, data}, with type step, "
        "progress, log, and at the end complete or error. Last-Event-ID resumes the stream.",
    }
}
_EVENT_ID = re.compile(r"\d{1,12}", re.ASCII)
_LOG_LINES = 200
_CANCEL_S = 30.0
_CANCEL_POLL_S = 0.5
_AT_ONCE = "MARK_AS_CANCELED_IMMEDIATELY"


class Progress(BaseModel):
    """How far a run is; what is not known is null."""

    step: str | None = Field(description="Asset that is being materialized.")
    phase: str = Field(description="convert, validate, load, replay or finish.")
    done: float | None = Field(description="Share of the phase, 0 to 1.")
    orders: int | None = Field(description="Orders so far.")
    market_time: str | None = Field(description="Time of day that the market has reached (UTC).")
    rows: int | None = Field(description="Rows that are converted.")
    text: str


class LiveRun(BaseModel):
    """Where a run stands, as Dagster has it at this moment."""

    kind: Literal["run"] = "run"
    run_id: str = Field(description="Its id, also that of its result.")
    dagster_run_id: str
    status: Status
    canceling: bool = Field(description="Whether it is being canceled.")
    config: str | None
    partition: str | None = Field(description="Day; null for a window.")
    created_at: str
    started_at: str | None
    ended_at: str | None
    progress: Progress | None
    error: str | None
    result: str | None = Field(description="Where its result is, once it is stored.")


class DayRun(BaseModel):
    """The run of one day of a range."""

    run_id: str | None = Field(description="Its id; null while the registry does not know it.")
    dagster_run_id: str
    day: str | None
    status: Status


class Backfill(BaseModel):
    """Runs for the days of a range."""

    kind: Literal["backfill"] = "backfill"
    id: str
    status: str = Field(description="requested, completed_success, completed_failed, canceled...")
    days: int
    by_status: dict[str, int] = Field(description="Number of runs by status.")
    runs: list[DayRun] = Field(description="Runs so far, by day.")
    skipped: dict[str, str] = Field(
        default={},
        description="Days without data that were left out; only in the reply to the start.",
    )


class FinishedRun(models.Result):
    """A result, with the run that made it."""

    dagster_run_id: str
    logs: list[str] = Field(description="Last lines of its log.")
    latest_step: str | None
    report_path: str | None = Field(description="Where timeline and orders are, in report mode.")


IdempotencyKey = Annotated[
    str | None,
    Header(
        description="Any text, new for each run: the same request with the same key starts "
        "nothing and returns the run that the first one started.",
        min_length=1,
        max_length=255,
    ),
]


@router.post("/api/v1/runs", status_code=202)
async def start_run(
    service: ServiceHere,
    new: RunCreate,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> LiveRun | Backfill:
    """Start a run, or one for every day of a range; Location is the address of its state."""
    tags = repeat_tags(idempotency_key, new.model_dump_json())
    if new.is_range:
        check_length(service, new)
        backfill = await _started_days(service, new, tags)
        response.headers["Location"] = f"/api/v1/backfills/{backfill.id}"
        return backfill
    run = _live_run(*await _started(service, new, tags))
    response.headers["Location"] = _location(run)
    return run


@router.get("/api/v1/runs/{run_id}/status")
async def get_run_status(service: ServiceHere, run_id: str) -> LiveRun:
    """Return where a run stands: queued, running with its progress, or how it ended."""
    return await _current_run(service, await _dagster_run_id(service, run_id))


@router.delete("/api/v1/runs/{run_id}", status_code=202)
async def cancel_run(service: ServiceHere, run_id: str) -> LiveRun:
    """Cancel a queued or running run. One that has ended stays as it is (409).

    A run that a command carries out is stopped as by Ctrl-C, on the service's own host only (409).
    """
    deadline = anyio.current_time() + _CANCEL_S
    run = await known_run(service, run_id)
    if run.status in FINISHED:
        raise ProblemError(409, "already-ended", f"run {run_id} has ended: {run.status}")
    process = process_of(run.run_id, run.tags)
    if process is not None and not process.is_here:
        await anyio.to_thread.run_sync(_interrupt, run_id, process)
    while run.status not in FINISHED and not run.canceling:
        refusal = await service.dagster.ask(service.dagster.cancel, run.run_id)
        run = await known_run(service, run.run_id)
        if refusal is not None and not run.canceling:
            # A run whose process is being started cannot be stopped yet.
            if anyio.current_time() >= deadline:
                raise ProblemError(409, "not-canceled", f"run {run_id}: Dagster: {refusal}")
            await anyio.sleep(_CANCEL_POLL_S)
    if process is not None and run.status not in FINISHED:
        # Dagster knows by now that this is wanted, but has no way to reach the process.
        if await anyio.to_thread.run_sync(process.is_alive):
            await anyio.to_thread.run_sync(_interrupt, run_id, process)
        else:
            await service.dagster.ask(service.dagster.cancel, run.run_id, _AT_ONCE)
            run = await known_run(service, run.run_id)
    if run.status == "canceled":
        await anyio.to_thread.run_sync(_close, service, run.run_id)
    return _live_run(run, await service.following.log(run.run_id))


def _interrupt(run_id: str, process: RunProcess) -> None:
    try:
        process.interrupt()
    except NotInterruptedError as error:
        raise ProblemError(409, "not-canceled", f"run {run_id}: {error}") from None


LastEventId = Annotated[
    str | None, Header(description="Id of the last event that the client has read.", max_length=512)
]


async def _followed(service: ServiceHere, run_id: str, last_event_id: LastEventId = None) -> str:
    # Ids of earlier versions were Dagster's: such a reader is sent all events again.
    text = last_event_id or "0"
    if not _EVENT_ID.fullmatch(text) and not is_cursor(text):
        raise ProblemError(422, "invalid-cursor", "Last-Event-ID: not the id of an event")
    return (await service.following.log(await _dagster_run_id(service, run_id))).dagster_run_id


@router.get("/api/v1/runs/{run_id}/stream", response_class=EventSourceResponse, responses=_EVENTS)
async def stream_run(
    service: ServiceHere,
    dagster_run_id: Annotated[str, Depends(_followed)],
    last_event_id: LastEventId = None,
) -> AsyncGenerator[ServerSentEvent]:
    """Follow a run from its begin, or from where the other side was."""
    is_number = last_event_id is not None and _EVENT_ID.fullmatch(last_event_id)
    after = int(last_event_id or 0) if is_number else 0
    try:
        async with aclosing(service.following.follow(dagster_run_id, after)) as events:
            async for event in events:
                yield _sent_event(event)
        live_run = await _current_run(service, dagster_run_id)
        if live_run.status != "succeeded":
            message = live_run.error or f"the run was {live_run.status}"
            yield _sent("error", {**live_run.model_dump(), "message": message})
            return
        document = await anyio.to_thread.run_sync(_document, service, live_run)
    except (ProblemError, OdumError) as problem:
        yield _sent("error", {"status": "unknown", "message": str(problem)})
        return
    yield _sent("complete", {**live_run.model_dump(), "document": document})


@router.get("/api/v1/backfills/{backfill_id}")
async def get_backfill(service: ServiceHere, backfill_id: str) -> Backfill:
    """Return how far a range of days is."""
    return await backfill_reply(service, await _known_backfill(service, backfill_id))


@router.delete("/api/v1/backfills/{backfill_id}", status_code=202)
async def cancel_backfill(service: ServiceHere, backfill_id: str) -> Backfill:
    """Cancel a range of days with its runs. One that has ended stays as it is (409)."""
    backfill = await _known_backfill(service, backfill_id)
    if backfill.status not in ("requested", "canceling"):
        raise ProblemError(409, "already-ended", f"backfill {backfill_id} is {backfill.status}")
    refusal = await service.dagster.ask(service.dagster.cancel_backfill, backfill_id)
    if refusal is not None:
        raise ProblemError(409, "not-canceled", f"backfill {backfill_id}: Dagster: {refusal}")
    return await backfill_reply(service, await _known_backfill(service, backfill_id))


@router.post("/api/backtest/run")
async def run_backtest(
    service: ServiceHere,
    legacy: LegacyRun,
    request: Request,
    idempotency_key: IdempotencyKey = None,
) -> FinishedRun:
    """Run a backtest and return its result when it is there.

    The run goes on when the other side goes away; with an Idempotency-Key it can ask again.
    """
    return await run_to_end(service, request, await _start_legacy(service, legacy, idempotency_key))


async def run_to_end(service: Service, request: Request, run: DagsterRun | NewRun) -> FinishedRun:
    """Return the result of a run when it is there; one that is only asked for is started.

    Raises
    ------
    ProblemError
        If it is refused or fails, or the client has gone: the run goes on then.
    """
    if isinstance(run, NewRun):
        run, _ = await _started(service, run, {})
    awaited = run
    ended: list[FinishedRun | ProblemError | OdumError] = []
    async with anyio.create_task_group() as tasks:

        async def wait() -> None:
            try:
                ended.append(await _finished(service, awaited))
            except (ProblemError, OdumError) as error:
                # Raised after the group, which would wrap it.
                ended.append(error)
            tasks.cancel_scope.cancel()

        tasks.start_soon(wait)
        # The client has gone; the body is read, so what comes next is the end.
        while not await request.is_disconnected():
            await anyio.sleep(1)
        tasks.cancel_scope.cancel()
    if not ended:
        location = f"/api/v1/runs/{run.tags[RUN_ID_TAG]}"
        raise ProblemError(503, "not-waiting", f"the run goes on; see {location}")
    if isinstance(ended[0], Exception):
        raise ended[0]
    return ended[0]


async def _launched(
    service: ServiceHere,
    request: LegacyRun,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> DagsterRun:
    """Start a run before the reply begins: what is wrong is then a problem, not an event."""
    run = await _start_legacy(service, request, idempotency_key)
    response.headers["Location"] = f"/api/v1/runs/{run.tags[RUN_ID_TAG]}"
    return run


@router.post("/api/backtest/run/stream", response_class=EventSourceResponse, responses=_EVENTS)
async def run_backtest_stream(
    service: ServiceHere, run: Annotated[DagsterRun, Depends(_launched)]
) -> AsyncGenerator[ServerSentEvent]:
    """Run a backtest and tell how it goes; complete holds what /api/backtest/run returns."""
    run_id = run.tags[RUN_ID_TAG]
    location = f"/api/v1/runs/{run_id}"
    yield _sent(
        "step", {"step": None, "status": "launched", "run_id": run_id, "location": location}
    )
    heard = _Heard()
    try:
        async with aclosing(service.following.follow(run.run_id)) as events:
            async for event in events:
                heard.take(event)
                yield _sent_event(event)
        finished = await _outcome(service, run, heard)
    except (ProblemError, OdumError) as problem:
        yield _sent("error", {"run_id": run_id, "message": str(problem)})
        return
    yield _sent("complete", finished.model_dump())


class _Heard:
    """What a reply tells of the log."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.step: str | None = None

    def take(self, event: StreamEvent) -> None:
        """Take the next event."""
        if event.kind == "step":
            self.step = event.data["step"] or self.step
        else:
            self.lines.append(str(event.data.get("message") or event.data.get("text")))
            del self.lines[:-_LOG_LINES]


async def _finished(service: Service, run: DagsterRun) -> FinishedRun:
    heard = _Heard()
    async with aclosing(service.following.follow(run.run_id)) as events:
        async for event in events:
            heard.take(event)
    return await _outcome(service, run, heard)


async def _outcome(service: Service, run: DagsterRun, heard: _Heard) -> FinishedRun:
    """Return the result of a run that has ended.

    Raises
    ------
    ProblemError
        If it has none.
    """
    live_run = await _current_run(service, run.run_id)
    if live_run.status != "succeeded":
        raise ProblemError(
            409,
            f"run-{live_run.status}",
            f"run {live_run.run_id}: {live_run.error or live_run.status}",
        )

    def result() -> FinishedRun:
        document = _document(service, live_run)
        has_report = document["mode"] == "report"
        return FinishedRun.model_validate(
            {
                **document,
                "dagster_run_id": live_run.dagster_run_id,
                "logs": heard.lines,
                "latest_step": heard.step,
                "report_path": f"{live_run.result}/report" if has_report else None,
            }
        )

    return await anyio.to_thread.run_sync(result)


async def _start_legacy(service: Service, request: LegacyRun, key: str | None) -> DagsterRun:
    run, _ = await _started(service, request, repeat_tags(key, request.model_dump_json()))
    return run


async def _started(
    service: Service, request: NewRun | LegacyRun, tags: dict[str, str]
) -> tuple[DagsterRun, RunLog]:
    """Return the run that a request started before and its log, else plan and start it."""
    launched: list[DagsterRun] = []

    async def start() -> DagsterRun:
        planned = await _planned(service, request, tags)
        # First: who dies in between leaves a run that is known, and that its sensor finds again.
        await anyio.to_thread.run_sync(_register, service, planned)
        try:
            run = await service.dagster.launching.run(service.dagster.launch, planned)
        except ProblemError:
            await anyio.to_thread.run_sync(_withdraw, service, planned)
            raise
        await anyio.to_thread.run_sync(_register, service, planned, run.run_id)
        launched.append(run)
        return run

    run = await started_once(service, service.dagster.find_run, start, tags)
    # What has just begun has no events that tell anything.
    log = RunLog(run.run_id, run) if launched else await service.following.log(run.run_id)
    return log.run or run, log


async def _planned(service: Service, request: NewRun | LegacyRun, tags: dict[str, str]) -> Plan:
    """Plan a request, if its turn has come."""
    with counted_launch(service):
        return await planned_run(service, request, tags)


def _register(service: Service, plan: Plan, dagster_run_id: str | None = None) -> None:
    """Have the registry know the run as queued; its step tells of all that follows."""
    assert plan.run_id is not None  # noqa: S101 - a single run has one
    try:
        register_queued(service.settings, plan.request, plan.run_id, dagster_run_id)
    except OdumError as error:
        # Its step says once more what there is to register.
        _LOG.warning("run %s could not be registered as queued: %s", plan.run_id, error)


def _withdraw(service: Service, plan: Plan) -> None:
    """Have the registry forget a run that Dagster did not take."""
    assert plan.run_id is not None  # noqa: S101 - a single run has one
    try:
        withdraw(service.settings, plan.run_id)
    except OdumError as error:
        # A sensor closes it later as never started.
        _LOG.warning("run %s was not started but stays registered: %s", plan.run_id, error)


def _close(service: Service, dagster_run_id: str) -> None:
    """Have the registry know a run as canceled that no step can tell of."""
    try:
        finalize_pending(
            service.settings, dagster_run_id, RunStatus.CANCELED, "the run was canceled"
        )
    except OdumError as error:
        # A sensor does the same within seconds.
        _LOG.warning("run %s was canceled but not registered as such: %s", dagster_run_id, error)


async def _started_days(service: Service, new: NewRun, tags: dict[str, str]) -> Backfill:
    skipped: dict[str, str] = {}

    async def start() -> DagsterBackfill:
        planned = await _planned(service, new, tags)
        skipped.update(planned.skipped)
        dagster = service.dagster
        return await _known_backfill(
            service, await dagster.ranges.run(dagster.launch_days, planned)
        )

    backfill = await started_once(service, service.dagster.find_backfill, start, tags)
    return await backfill_reply(service, backfill, skipped)


async def started_once[T: (DagsterRun, DagsterBackfill)](
    service: Service,
    find: Callable[[str, str], T | None],
    start: Callable[[], Awaitable[T]],
    tags: dict[str, str],
) -> T:
    """Start something, unless a request with the same key has started it before."""
    if not tags:
        return await start()
    # One after the other: a repeat may come while the first is being started.
    async with service.repeats.hold(tags[KEY_TAG]):
        earlier = await service.dagster.ask(find, KEY_TAG, tags[KEY_TAG])
        if earlier is None:
            return await start()
    if earlier.tags.get(BODY_TAG) != tags[BODY_TAG]:
        raise ProblemError(
            422,
            "key-used-before",
            "Idempotency-Key: this key was used for a different request; use a new key for "
            "each run",
        )
    return earlier


async def known_run(service: Service, run_id: str) -> DagsterRun:
    """Return a run by its run id, or by its id in Dagster.

    Raises
    ------
    ProblemError
        If Dagster knows none.
    """
    dagster_run_id = await _dagster_run_id(service, run_id)
    run = await service.dagster.ask(service.dagster.run, dagster_run_id)
    if run is None:
        raise _unknown(run_id)
    return run


async def _dagster_run_id(service: Service, run_id: str) -> str:
    """Return the id in Dagster of a run that is named by that one, its run id, or a part of it.

    Raises
    ------
    ProblemError
        If neither the registry nor Dagster knows one, or several fit.
    """
    if _is_uuid(run_id):
        return run_id
    named = await anyio.to_thread.run_sync(service.name_of, run_id)
    if not is_run_id(named):
        raise _unknown(run_id)
    run_id = named
    # First the registry: a person's re-execution has the tags of the run before.
    dagster_run_id = await anyio.to_thread.run_sync(_registered_as, service, run_id)
    if not _is_uuid(dagster_run_id):
        run = await service.dagster.ask(service.dagster.find_run, RUN_ID_TAG, run_id)
        if run is None:
            raise _unknown(run_id)
        dagster_run_id = run.run_id
    return dagster_run_id


def _unknown(run_id: str) -> ProblemError:
    return ProblemError(
        404,
        "unknown-run",
        f"Dagster has no run {run_id[:80]}; stored results are under /api/backtest/results",
    )


def _registered_as(service: Service, run_id: str) -> str:
    """Return the id in Dagster that the registry has for a run, empty if it has none."""
    try:
        return service.registry.run(run_id)["dagster_run_id"] or ""
    except (ProblemError, OdumError):
        # Dagster may know more than a registry that could not be written.
        return ""


async def _known_backfill(service: Service, backfill_id: str) -> DagsterBackfill:
    known = re.fullmatch(r"[a-z0-9]{4,32}", backfill_id, re.ASCII) is not None
    backfill = await service.dagster.ask(service.dagster.backfill, backfill_id) if known else None
    if backfill is None:
        raise ProblemError(404, "unknown-backfill", f"Dagster has no backfill {backfill_id[:80]}")
    return backfill


async def _current_run(service: Service, dagster_run_id: str) -> LiveRun:
    """Return where a run stands at this moment."""
    log = await service.following.log(dagster_run_id)
    assert log.run is not None  # noqa: S101 - else it is unknown
    return _live_run(log.run, log)


def _live_run(run: DagsterRun, log: RunLog) -> LiveRun:
    """Return what there is to say of a run."""
    result = log.result
    return LiveRun(
        run_id=result or run.tags.get(RUN_ID_TAG) or run.run_id,
        dagster_run_id=run.run_id,
        status=run.status,
        canceling=run.canceling,
        config=run.tags.get(CONFIG_TAG),
        partition=run.tags.get("dagster/partition"),
        created_at=run.created_at,
        started_at=run.started_at,
        ended_at=run.ended_at,
        progress=_progress(log.progress) if run.status == "running" else None,
        error=log.error if run.status == "failed" else None,
        result=None if result is None else f"/api/backtest/results/{result}",
    )


def _progress(figures: dict[str, Any] | None) -> Progress | None:
    return None if figures is None else Progress.model_validate(figures)


async def backfill_reply(
    service: Service, backfill: DagsterBackfill, skipped: dict[str, str] | None = None
) -> Backfill:
    """Return a range of days as the service describes it."""
    dagster_run_ids = [run.dagster_run_id for run in backfill.runs]
    ids = await anyio.to_thread.run_sync(service.registry.run_ids, dagster_run_ids)
    return Backfill(
        id=backfill.id,
        status=backfill.status,
        days=backfill.days,
        by_status=Counter(run.status for run in backfill.runs),
        runs=[
            DayRun(run_id=ids.get(run.dagster_run_id), **dataclasses.asdict(run))
            for run in backfill.runs
        ],
        skipped=skipped or {},
    )


def _document(service: Service, run: LiveRun) -> dict[str, Any]:
    return service.full_document(service.result(run.run_id))


def _location(run: LiveRun) -> str:
    return f"/api/v1/runs/{run.run_id}"


def _sent_event(event: StreamEvent) -> ServerSentEvent:
    return _sent(event.kind, event.data, str(event.number))


def _sent(kind: str, data: dict[str, Any], cursor: str | None = None) -> ServerSentEvent:
    return ServerSentEvent(data={"type": kind, "data": data}, id=cursor)


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
