"""How a run goes on, told as it happens: status steps, progress, log, and how it ended."""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import anyio

from odum_assets.api.dagster_client import DagsterClient, DagsterEvent, DagsterRun
from odum_assets.api.problems import ProblemError

type Kind = Literal["step", "progress", "log", "complete", "error"]

FINISHED: Final = ("succeeded", "failed", "canceled")

_POLL_S: Final = 0.5
_PATIENCE_S: Final = 180.0
"""How long Dagster may be away, as in a restart, before a follower gives up."""

_REPLAY: Final = re.compile(
    r"(?P<phase>\w+): (?P<done>\d+)%, (?P<orders>[\d,]+) orders, market time (?P<time>[\d:]{8})"
)
_ROWS: Final = re.compile(r"(?P<done>[\d,]+) of (?P<total>[\d,]+) (?P<what>[a-z ]+)")
_PHASES: Final = ("validate", "load", "replay", "finish")
_ENGINE: Final = ("STEP_START", "STEP_SUCCESS", "STEP_FAILURE", "RUN_ENQUEUED", "RUN_START")


@dataclass(frozen=True, slots=True)
class Told:
    """Something to tell: its kind, its content, and the cursor after it."""

    kind: Kind
    data: dict[str, Any]
    cursor: str = ""

    def sse(self) -> bytes:
        """Return it as a server-sent event."""
        head = f"id: {self.cursor}\n" if self.cursor else ""
        body = json.dumps({"type": self.kind, "data": self.data}, allow_nan=False)
        return f"{head}data: {body}\n\n".encode()


def progress_of(text: str) -> dict[str, Any] | None:
    """Return the figures of a progress message of the assets, None for another message."""
    found = _REPLAY.fullmatch(text)
    if found is not None:
        return {
            "phase": found["phase"],
            "done": int(found["done"]) / 100,
            "orders": int(found["orders"].replace(",", "")),
            "market_time": found["time"],
            "rows": None,
            "text": text,
        }
    found = _ROWS.fullmatch(text)
    if found is not None:
        done, total = (int(found[name].replace(",", "")) for name in ("done", "total"))
        return {
            "phase": "convert",
            "done": done / total if total else 1.0,
            "orders": None,
            "market_time": None,
            "rows": done,
            "text": text,
        }
    if text in _PHASES:
        return {
            "phase": text,
            "done": None,
            "orders": None,
            "market_time": None,
            "rows": None,
            "text": text,
        }
    return None


def told_of(event: DagsterEvent) -> Told | None:
    """Return what an event of Dagster means to a follower, None for its bookkeeping."""
    where = {"step": event.step, "time": event.time}
    if event.error is not None:
        return Told("log", {**where, "level": "error", "message": event.error})
    if event.event_type in _ENGINE:
        status = str(event.event_type).lower()
        return Told("step", {**where, "status": status})
    if event.event_type is not None:
        return None
    figures = progress_of(event.message)
    if figures is not None:
        return Told("progress", {**where, **figures})
    return Told("log", {**where, "level": event.level, "message": event.message})


def failure_of(events: list[DagsterEvent]) -> str | None:
    """Return why a run failed: each step's own words, else the run's."""
    steps = [each for each in events if each.error and each.kind == "ExecutionStepFailureEvent"]
    if steps:
        return "\n".join(f"{each.step}: {each.error}" for each in steps)
    runs = [each.error for each in events if each.error]
    return runs[-1] if runs else None


def result_of(events: list[DagsterEvent]) -> str | None:
    """Return the run id of the result that a run made."""
    return next((each.result_run_id for each in reversed(events) if each.result_run_id), None)


async def follow(client: DagsterClient, run_id: str, cursor: str | None) -> AsyncIterator[Told]:
    """Yield what happens to a run, up to its end.

    Dagster may be away for a while, as in a restart: the run goes on or fails meanwhile, and either
    is told when it is back.

    Parameters
    ----------
    client : DagsterClient
        Dagster.
    run_id : str
        Run in Dagster.
    cursor : str or None
        Where a follower was when it went away.
    """
    away, ended = 0.0, False
    while True:
        try:
            page = await client.ask(client.events, run_id, cursor)
            news = [each for each in map(told_of, page.events) if each is not None]
            for told in news[:-1]:
                yield told
            if news:
                # Only the last one has the cursor: who goes away before it reads the page again.
                yield replace(news[-1], cursor=page.cursor)
            cursor = page.cursor
            if page.has_more:
                continue
            if ended:
                yield await _ending(client, run_id)
                return
            run = await client.ask(client.run, run_id)
            away = 0.0
        except ProblemError as error:
            if error.status not in (502, 503) or away >= _PATIENCE_S:
                yield Told("error", {"status": "unknown", "message": error.detail})
                return
            away += _POLL_S
            await anyio.sleep(_POLL_S)
            continue
        if run is None:
            yield Told("error", {"status": "unknown", "message": f"run {run_id} was deleted"})
            return
        if run.status in FINISHED:
            # Events may have come between the last page and the end.
            ended = True
            continue
        await anyio.sleep(_POLL_S)


async def _ending(client: DagsterClient, run_id: str) -> Told:
    run: DagsterRun | None = await client.ask(client.run, run_id)
    events = await client.ask(client.all_events, run_id)
    if run is not None and run.status == "succeeded":
        return Told("complete", {"id": run_id, "result_run_id": result_of(events)})
    status = "unknown" if run is None else run.status
    message = failure_of(events) or f"the run was {status}"
    return Told(
        "error",
        {
            "status": status,
            "message": message,
            "id": run_id,
            # The result may be stored although a later step, such as the tearsheet, failed.
            "result_run_id": result_of(events),
        },
    )
