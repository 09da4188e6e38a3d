"""Runs: start, follow, look at, cancel. All of it is Dagster's doing."""

import re
import uuid
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import anyio
import anyio.to_thread
from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from odum_assets.api import models
from odum_assets.api.dagster_client import DagsterRun, Launch
from odum_assets.api.following import (
    FINISHED,
    Told,
    failure_of,
    follow,
    progress_of,
    result_of,
    told_of,
)
from odum_assets.api.launching import NewBackfill, NewRun, plan_backfill, plan_run
from odum_assets.api.problems import ProblemError
from odum_assets.api.service import Service, ServiceHere
from odum_assets.api.windows import days_of, moment_ns, names_instrument

router = APIRouter(tags=["runs"])

_EVENT_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
        "description": "Events: data is {type: step|progress|log|complete|error, data}",
    }
}
_BEAT_S = 10.0
_CANCEL_S = 30.0
_LOG_LINES = 200
type _Status = Literal["queued", "running", "succeeded", "failed", "canceled"]


class Progress(BaseModel):
    """How far a run is."""

    step: str | None
    phase: str
    done: float | None = Field(description="Share of the phase, 0 to 1.")
    orders: int | None
    market_time: str | None
    rows: int | None
    text: str


class Run(BaseModel):
    """A run that was started, and what became of it."""

    id: str = Field(description="Its id in Dagster.")
    status: _Status
    canceling: bool = Field(description="Whether it is being canceled.")
    config: str | None
    partition: str | None
    created_at: str
    started_at: str | None
    ended_at: str | None
    progress: Progress | None
    error: str | None
    result_run_id: str | None = Field(description="Its result, once it is stored.")
    result: str | None = Field(description="Where its result is.")


class LegacyRun(BaseModel):
    """A run as the earlier system was asked for it."""

    instrument: str = Field(description="Any spelling.", examples=["BTCUSDT"])
    config: str = Field(description="Configuration: its name or file name.")
    start: str = Field(examples=["2023-05-23T02:00:00Z"])
    end: str = Field(examples=["2023-05-23T02:01:00Z"])
    dataset: str | None = Field(default=None, examples=["day-2023-05-23"])
    fast: bool = False
    report: bool = False
    export_ticks: bool = False
    snapshot_mode: Literal["auto", "trades", "book", "both"] = Field(
        default="auto", description="auto: both where the configuration names books, else trades."
    )
    data_source: Literal["local", "gcs", "auto"] = "auto"
    exec_algorithm: Literal["NORMAL", "TWAP", "VWAP", "ICEBERG"] | None = None
    exec_algorithm_params: dict[str, float] | None = None


class FinishedRun(models.Result):
    """A result, with the run that made it."""

    dagster_run_id: str
    logs: list[str] = Field(description="Last lines of its log.")
    latest_step: str | None
    report_path: str | None = Field(description="Where timeline and orders are, in report mode.")


class BackfillStatus(BaseModel):
    """Runs for the days of a range."""

    id: str
    status: str = Field(description="requested, completed_success, completed_failed, canceled...")
    days: int
    by_status: dict[str, int] = Field(description="Runs so far, by their status.")


@router.post("/api/v1/runs", status_code=202)
async def start_run(service: ServiceHere, new: NewRun, response: Response) -> Run:
    """Start a run; Location says where to look how it goes."""
    run_id = await _start(service, new)
    response.headers["Location"] = f"/api/v1/runs/{run_id}"
    return await _run(service, run_id)


@router.delete("/api/v1/runs/{run_id}", status_code=202)
async def cancel_run(service: ServiceHere, run_id: str) -> Run:
    """Cancel a queued or running run. One that has ended stays as it is (409)."""
    run = await known_run(service, run_id)
    if run.status in FINISHED:
        raise ProblemError(409, "already-ended", f"run {run_id} has {run.status} already")
    deadline = anyio.current_time() + _CANCEL_S
    while True:
        try:
            await service.dagster.ask(service.dagster.cancel, run_id)
        except ProblemError:
            # A run whose process is being started cannot be stopped yet.
            now = await known_run(service, run_id)
            if now.canceling or now.status in FINISHED:
                return await _run(service, run_id)
            if anyio.current_time() >= deadline:
                raise
            await anyio.sleep(0.5)
        else:
            return await _run(service, run_id)


@router.get("/api/v1/runs/{run_id}/stream", responses=_EVENT_STREAM)
async def stream_run(
    service: ServiceHere,
    run_id: str,
    last_event_id: Annotated[
        str | None, Header(description="Id of the last event that was read.", max_length=512)
    ] = None,
) -> StreamingResponse:
    """Follow a run from its begin, or from where the other side was."""
    await known_run(service, run_id)
    return _stream(_with_result(service, follow(service.dagster, run_id, last_event_id)))


@router.post("/api/v1/backfills", status_code=202)
async def start_backfill(
    service: ServiceHere, new: NewBackfill, response: Response
) -> BackfillStatus:
    """Start a run for every day of a range."""

    def plan() -> tuple[Launch, list[str]]:
        return plan_backfill(*service.config(new.config), new)

    launch, days = await anyio.to_thread.run_sync(plan)
    service.launches.take()
    found = await service.dagster.ask(service.dagster.backfill, launch, days)
    response.headers["Location"] = f"/api/v1/backfills/{found}"
    return await get_backfill(service, found)


@router.get("/api/v1/backfills/{backfill_id}")
async def get_backfill(service: ServiceHere, backfill_id: str) -> BackfillStatus:
    """Return how far a backfill is."""
    known = re.fullmatch(r"[a-z0-9]{4,32}", backfill_id, re.ASCII) is not None
    found = (
        await service.dagster.ask(service.dagster.backfill_status, backfill_id) if known else None
    )
    if found is None:
        raise ProblemError(404, "unknown-backfill", f"Dagster has no backfill {backfill_id}")
    return BackfillStatus(
        id=backfill_id, status=found.status, days=found.partitions, by_status=found.by_status
    )


@router.post("/api/backtest/run")
async def run_backtest(service: ServiceHere, wanted: LegacyRun, request: Request) -> FinishedRun:
    """Run a backtest and return its result when it is there.

    The run goes on when the other side goes away.
    """
    run_id = await _start(service, wanted)
    logs: list[str] = []
    step = None
    async for told in follow(service.dagster, run_id, None):
        if told.kind in ("log", "progress"):
            logs.append(str(told.data.get("message") or told.data.get("text")))
            del logs[:-_LOG_LINES]
        elif told.kind == "step":
            step = told.data["step"] or step
        elif told.kind == "error":
            status = {"failed": 409, "canceled": 409}.get(told.data["status"], 503)
            raise ProblemError(
                status, f"run-{told.data['status']}", f"run {run_id}: {told.data['message']}"
            )
        else:
            return await anyio.to_thread.run_sync(_finished, service, told, logs, step)
        if await request.is_disconnected():
            break
    raise ProblemError(503, "not-waiting", f"run {run_id} goes on; see /api/v1/runs/{run_id}")


@router.post("/api/backtest/run/stream", responses=_EVENT_STREAM)
async def run_backtest_stream(service: ServiceHere, wanted: LegacyRun) -> StreamingResponse:
    """Run a backtest and tell how it goes; the last event holds its result."""
    run_id = await _start(service, wanted)

    async def told() -> AsyncIterator[Told]:
        place = f"/api/v1/runs/{run_id}"
        yield Told("step", {"step": None, "status": "launched", "id": run_id, "location": place})
        async for each in follow(service.dagster, run_id, None):
            yield each

    return _stream(_with_result(service, told()))


async def _start(service: Service, wanted: NewRun | LegacyRun) -> str:
    def plan() -> Launch:
        project, loaded = service.config(wanted.config)
        new = wanted
        if isinstance(new, LegacyRun):
            if not names_instrument(new.instrument, loaded):
                raise ProblemError(
                    422,
                    "invalid-request",
                    f"instrument: {new.instrument!r} is not that of {loaded.name}: {loaded.key}",
                )
            new = _translated(new)
        return plan_run(project, loaded, new)

    launch = await anyio.to_thread.run_sync(plan)
    service.launches.take()
    return await service.dagster.ask(service.dagster.launch, launch)


def _translated(old: LegacyRun) -> NewRun:
    if old.fast and old.report:
        raise ProblemError(422, "invalid-request", "fast and report exclude each other")
    if old.data_source == "gcs":
        raise ProblemError(
            422, "invalid-request", "data_source: gcs is not wired yet; use local or auto"
        )
    if old.exec_algorithm_params and old.exec_algorithm is None:
        raise ProblemError(
            422, "invalid-request", "exec_algorithm_params: give exec_algorithm, too"
        )
    first = days_of(moment_ns("start", old.start), moment_ns("end", old.end))[0]
    if old.dataset is not None and old.dataset != f"day-{first}":
        raise ProblemError(
            422,
            "invalid-request",
            f"dataset: found {old.dataset!r}, allowed day-{first}, the UTC day of start",
        )
    return NewRun(
        config=old.config,
        start=old.start,
        end=old.end,
        mode="fast" if old.fast else "report",
        snapshot_mode=old.snapshot_mode,
        exec_algorithm=old.exec_algorithm or "CONFIG",
        exec_algorithm_params=old.exec_algorithm_params or {},
        export_ticks=old.export_ticks,
    )


def _finished(service: Service, told: Told, logs: list[str], step: str | None) -> FinishedRun:
    entry = service.result(told.data["result_run_id"])
    place = f"/api/backtest/results/{entry.run_id}/report"
    return FinishedRun.model_validate(
        {
            **service.full_document(entry),
            "dagster_run_id": told.data["id"],
            "logs": logs,
            "latest_step": step,
            "report_path": None if entry.report_path is None else place,
        }
    )


async def _with_result(service: Service, events: AsyncIterator[Told]) -> AsyncIterator[Told]:
    """Put the result itself into the event that tells of it."""
    async for told in events:
        if told.kind == "complete" and told.data["result_run_id"]:

            def document(run_id: str = told.data["result_run_id"]) -> dict[str, Any]:
                return service.full_document(service.result(run_id))

            result = await anyio.to_thread.run_sync(document)
            yield Told("complete", {**told.data, "result": result}, told.cursor)
        else:
            yield told


def _stream(events: AsyncIterator[Told]) -> StreamingResponse:
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_beating(events), media_type="text/event-stream", headers=headers)


async def _beating(events: AsyncIterator[Told]) -> AsyncIterator[bytes]:
    """Yield events as they come, and a comment when none comes for a while."""
    sender, receiver = anyio.create_memory_object_stream[Told](32)

    async def feed() -> None:
        async with sender:
            async for told in events:
                await sender.send(told)

    async with anyio.create_task_group() as tasks, receiver:
        tasks.start_soon(feed)
        while True:
            told = None
            with anyio.move_on_after(_BEAT_S):
                try:
                    told = await receiver.receive()
                except anyio.EndOfStream:
                    return
            yield b": still here\n\n" if told is None else told.sse()


async def known_run(service: Service, run_id: str) -> DagsterRun:
    """Return a run that Dagster knows.

    Raises
    ------
    ProblemError
        If it knows none of this id.
    """
    try:
        plain = str(uuid.UUID(run_id)) == run_id
    except ValueError:
        plain = False
    run = await service.dagster.ask(service.dagster.run, run_id) if plain else None
    if run is None:
        raise ProblemError(
            404,
            "unknown-run",
            f"Dagster has no run {run_id[:80]}; stored results are under /api/backtest/results",
        )
    return run


async def _run(service: Service, run_id: str) -> Run:
    run = await known_run(service, run_id)
    events = await service.dagster.ask(service.dagster.all_events, run_id)
    shown = _shown(run)
    if run.status == "running":
        for event in reversed(events):
            told = told_of(event)
            if told is not None and told.kind == "progress":
                figures = progress_of(event.message) or {}
                shown.progress = Progress.model_validate({"step": event.step, **figures})
                break
    if run.status in ("failed", "canceled"):
        shown.error = failure_of(events)
    shown.result_run_id = result_of(events)
    if shown.result_run_id is not None:
        shown.result = f"/api/backtest/results/{shown.result_run_id}"
    return shown


def _shown(run: DagsterRun) -> Run:
    return Run(
        id=run.run_id,
        status=run.status,
        canceling=run.canceling,
        config=run.tags.get("odum/config"),
        partition=run.tags.get("dagster/partition"),
        created_at=run.created_at,
        started_at=run.started_at,
        ended_at=run.ended_at,
        progress=None,
        error=None,
        result_run_id=None,
        result=None,
    )
