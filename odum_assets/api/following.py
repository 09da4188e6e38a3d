"""How a run goes on, told as it happens: status steps, progress, log lines.

What belongs here: what an event of Dagster means to a reader, and following a run up to its end.
What does not: how a run ended in words (``routes.runs``), queries (``dagster_client``).
"""

import re
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import anyio

from odum_assets.api.dagster_client import FINISHED, DagsterClient, DagsterEvent
from odum_assets.api.problems import ProblemError

type Kind = Literal["step", "progress", "log"]

_POLL_S: Final = 0.5
_SLOWEST_POLL_S: Final = 2.0
"""A run that has nothing to tell is asked less often."""

_PATIENCE_S: Final = 180.0
"""How long Dagster may be away, as in a restart, before a follower gives up."""

_STEPS: Final = {
    "RunEnqueuedEvent": "queued",
    "RunStartingEvent": "starting",
    "RunStartEvent": "running",
    "RunCancelingEvent": "canceling",
    "ExecutionStepStartEvent": "started",
    "ExecutionStepSuccessEvent": "succeeded",
    "ExecutionStepFailureEvent": "failed",
    "ExecutionStepSkippedEvent": "skipped",
}
_PHASES: Final = ("validate", "load", "replay", "finish")
_REPLAY: Final = re.compile(
    r"(?P<phase>\w+): (?P<done>\d+)%, (?P<orders>[\d,]+) orders, market time (?P<time>[\d:]{8})"
)
_ROWS: Final = re.compile(r"(?P<done>[\d,]+) of (?P<total>[\d,]+) [\w ]*rows")


@dataclass(frozen=True, slots=True)
class Told:
    """Something to tell: its kind, its content, and the cursor after it (empty: none yet)."""

    kind: Kind
    data: dict[str, Any]
    cursor: str = ""


def progress_of(text: str) -> dict[str, Any] | None:
    """Return the figures of a progress message of the assets, None for another message."""
    figures: dict[str, Any] = {
        "phase": text,
        "done": None,
        "orders": None,
        "market_time": None,
        "rows": None,
        "text": text,
    }
    if text in _PHASES:
        return figures
    if (found := _REPLAY.fullmatch(text)) is not None:
        return figures | {
            "phase": found["phase"],
            "done": int(found["done"]) / 100,
            "orders": _whole(found["orders"]),
            "market_time": found["time"],
        }
    if (found := _ROWS.fullmatch(text)) is not None:
        done, total = _whole(found["done"]), _whole(found["total"])
        share = done / total if total else 1.0
        return figures | {"phase": "convert", "done": share, "rows": done}
    return None


def told_of(event: DagsterEvent) -> list[Told]:
    """Return what an event of Dagster means to a reader; nothing for its bookkeeping."""
    where = {"step": event.step, "time": event.time}
    told = []
    if event.error is not None:
        told.append(Told("log", {**where, "level": "error", "message": event.error}))
    if event.kind in _STEPS:
        told.append(Told("step", {**where, "status": _STEPS[event.kind]}))
    elif event.kind == "LogMessageEvent":
        figures = progress_of(event.message)
        if figures is not None:
            told.append(Told("progress", {**where, **figures}))
        else:
            told.append(Told("log", {**where, "level": event.level, "message": event.message}))
    return told


def last_progress(events: Iterable[DagsterEvent]) -> dict[str, Any] | None:
    """Return the newest progress of a run's events, None where there is none yet."""
    for event in reversed(list(events)):
        figures = progress_of(event.message) if event.kind == "LogMessageEvent" else None
        if figures is not None:
            return {"step": event.step, **figures}
    return None


def failure_of(events: Iterable[DagsterEvent]) -> str | None:
    """Return why a run failed: each step's own words, else the run's."""
    failed = [each for each in events if each.error is not None]
    steps = [each for each in failed if each.kind == "ExecutionStepFailureEvent"]
    if steps:
        return "\n".join(f"{each.step}: {each.error}" for each in steps)
    return failed[-1].error if failed else None


def result_of(events: Iterable[DagsterEvent]) -> str | None:
    """Return the run id of the result that a run made."""
    return next((each.result for each in reversed(list(events)) if each.result), None)


async def follow(
    client: DagsterClient, dagster_run_id: str, cursor: str | None = None
) -> AsyncGenerator[Told]:
    """Yield what happens to a run, up to its end.

    Dagster may be away for a while, as in a restart: the run goes on or fails meanwhile, and either
    is told when it is back.

    Parameters
    ----------
    client : DagsterClient
        Dagster.
    dagster_run_id : str
        Run in Dagster.
    cursor : str, optional
        Where a reader was when it went away.

    Raises
    ------
    ProblemError
        If Dagster stays away, deletes the run, or does not know the cursor.
    """
    away_since: float | None = None
    pause, has_ended = _POLL_S, False
    while True:
        try:
            look = await client.ask(client.look, dagster_run_id, cursor)
        except ProblemError as error:
            away_since = anyio.current_time() if away_since is None else away_since
            if error.status not in (502, 503) or anyio.current_time() - away_since > _PATIENCE_S:
                raise
            await anyio.sleep(_SLOWEST_POLL_S)
            continue
        away_since = None
        if look.run is None:
            raise ProblemError(404, "unknown-run", f"Dagster has no run {dagster_run_id} any more")
        news = [told for event in look.events for told in told_of(event)]
        if news and look.cursor is not None:
            # Only the last one has the cursor: who goes away before it reads the page again.
            news[-1] = replace(news[-1], cursor=look.cursor)
        for told in news:
            yield told
        cursor = look.cursor
        if look.has_more:
            continue
        if has_ended:
            return
        # Once more after the end: an event may be stored after the status.
        has_ended = look.run.status in FINISHED
        pause = _POLL_S if news else min(pause * 1.25, _SLOWEST_POLL_S)
        await anyio.sleep(0 if has_ended else pause)


def _whole(text: str) -> int:
    return int(text.replace(",", ""))
