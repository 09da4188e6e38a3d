"""How a run goes on, as it happens: status of steps, progress, log lines.

What belongs here: what an event of Dagster means to a reader, and following a run up to its end,
with one question to Dagster at a time for each run, however many follow it. What does not: how a
run ended in words (``routes.runs``), queries (``dagster_client``).
"""

import asyncio
import re
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Any, Final, Literal

import anyio

from odum_assets.api.dagster_client import (
    FINISHED,
    DagsterClient,
    DagsterEvent,
    DagsterRun,
    Snapshot,
)
from odum_assets.api.problems import ProblemError
from odum_assets.api.single_flight import SingleFlight

type Kind = Literal["step", "progress", "log"]

_POLL_S: Final = 0.5
_SLOWEST_POLL_S: Final = 2.0
"""A run without new events is polled less often."""

_LONGEST_ABSENCE_S: Final = 180.0
"""How long Dagster may be away, as in a restart, before a follower gives up."""

_MOST_EVENTS: Final = 20_000
"""Events of a run that are kept for those who follow it; older ones are left out."""

_AT_ONCE: Final = 100
_MOST_LOGS: Final = 1_000
"""Runs of which it is known how far their events were read."""

_MOST_FAILED: Final = 100

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
_VARIANTS: Final = re.compile(r"(?P<done>[\d,]+) of (?P<total>[\d,]+) variants [\w ]+")


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """What a reader of a run is sent: kind, content, and number among all events of the run."""

    kind: Kind
    data: dict[str, Any]
    number: int = 0


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
    if (match := _REPLAY.fullmatch(text)) is not None:
        return figures | {
            "phase": match["phase"],
            "done": int(match["done"]) / 100,
            "orders": _whole(match["orders"]),
            "market_time": match["time"],
        }
    if (match := _ROWS.fullmatch(text)) is not None:
        return figures | {"phase": "convert", "done": _share(match), "rows": _whole(match["done"])}
    if (match := _VARIANTS.fullmatch(text)) is not None:
        return figures | {"phase": "replay", "done": _share(match)}
    return None


def to_stream_events(event: DagsterEvent) -> list[StreamEvent]:
    """Return what an event of Dagster means to a reader; nothing for its bookkeeping."""
    where = {"step": event.step, "time": event.time}
    stream_events = []
    if event.error is not None:
        stream_events.append(
            StreamEvent("log", {**where, "level": "error", "message": event.error})
        )
    if event.kind in _STEPS:
        stream_events.append(StreamEvent("step", {**where, "status": _STEPS[event.kind]}))
    elif event.kind == "LogMessageEvent":
        figures = progress_of(event.message)
        if figures is not None:
            stream_events.append(StreamEvent("progress", {**where, **figures}))
        else:
            stream_events.append(
                StreamEvent("log", {**where, "level": event.level, "message": event.message})
            )
    return stream_events


@dataclass(frozen=True, slots=True)
class RunLog:
    """What the events of a run come to, as far as they were read.

    Parameters
    ----------
    dagster_run_id : str
        The run in Dagster.
    run : DagsterRun or None
        Its state when the last ones were read.
    cursor : str or None
        Where to read on.
    progress : dict or None
        Newest progress.
    result : str or None
        Run id of the result that it made.
    failed_steps : tuple[str, ...]
        Why steps failed, in their own words.
    failure : str or None
        Why the run failed, in Dagster's words.
    """

    dagster_run_id: str
    run: DagsterRun | None = None
    cursor: str | None = None
    progress: dict[str, Any] | None = None
    result: str | None = None
    failed_steps: tuple[str, ...] = ()
    failure: str | None = None

    @property
    def error(self) -> str | None:
        """Return why the run failed: each step's own words, else the run's."""
        return "\n".join(self.failed_steps) or self.failure

    def after(self, snapshot: Snapshot) -> "RunLog":
        """Return what it comes to with later events."""
        log = replace(self, run=snapshot.run, cursor=snapshot.cursor)
        for event in snapshot.events:
            log = log._with(event)
        return log

    def _with(self, event: DagsterEvent) -> "RunLog":
        log = self
        if event.result:
            log = replace(log, result=event.result)
        if event.kind == "LogMessageEvent" and (figures := progress_of(event.message)) is not None:
            log = replace(log, progress={"step": event.step, **figures})
        if event.error is None:
            return log
        if event.kind != "ExecutionStepFailureEvent":
            return replace(log, failure=event.error)
        steps = (*log.failed_steps, f"{event.step}: {event.error}")
        return replace(log, failed_steps=steps[:_MOST_FAILED])


class Following:
    """Know how runs go on.

    Parameters
    ----------
    client : DagsterClient
        Dagster.
    """

    def __init__(self, client: DagsterClient) -> None:
        self._client = client
        self._sharing = SingleFlight()
        self._logs: OrderedDict[str, RunLog] = OrderedDict()
        self._followed: dict[str, _Followed] = {}

    async def log(self, dagster_run_id: str) -> RunLog:
        """Return what the events of a run come to now; only those since the last time are read.

        Raises
        ------
        ProblemError
            If Dagster cannot be reached, or has no such run.
        """

        def read() -> RunLog:
            log, has_more = self._logs.get(dagster_run_id, RunLog(dagster_run_id)), True
            while has_more:
                snapshot = self._client.poll(dagster_run_id, log.cursor)
                log, has_more = log.after(snapshot), snapshot.has_more
            return log

        log = await self._sharing.get(dagster_run_id, read, self._client.following.run)
        if log.run is None:
            self._logs.pop(dagster_run_id, None)
            raise _unknown(dagster_run_id)
        self._logs[dagster_run_id] = log
        self._logs.move_to_end(dagster_run_id)
        if len(self._logs) > _MOST_LOGS:
            self._logs.popitem(last=False)
        return log

    async def follow(self, dagster_run_id: str, after: int = 0) -> AsyncGenerator[StreamEvent]:
        """Yield what happens to a run, up to its end.

        Dagster may be away for a while, as in a restart: the run goes on or fails meanwhile, and
        either is an event when it is back.

        Parameters
        ----------
        dagster_run_id : str
            Run in Dagster.
        after : int
            Number of the last event that a reader had when it went away.

        Raises
        ------
        ProblemError
            If Dagster stays away, or deletes the run.
        """
        followed = self._followed.get(dagster_run_id)
        if followed is None or followed.has_ended:
            followed = _Followed(self._client, dagster_run_id)
            self._followed[dagster_run_id] = followed
        followed.followers += 1
        try:
            while True:
                for event in (news := followed.after(after)):
                    yield event
                    after = event.number
                if news:
                    continue
                if followed.has_ended:
                    followed.task.result()
                    return
                await followed.news.wait()
        finally:
            followed.followers -= 1
            if followed.followers == 0:
                followed.task.cancel()
                if self._followed.get(dagster_run_id) is followed:
                    del self._followed[dagster_run_id]


@dataclass
class _Followed:
    """A run that is followed, by any number of readers.

    Parameters
    ----------
    client : DagsterClient
        Dagster.
    dagster_run_id : str
        Run in Dagster.
    """

    client: DagsterClient
    dagster_run_id: str
    followers: int = 0
    task: asyncio.Task[None] = field(init=False)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    _events: deque[StreamEvent] = field(default_factory=lambda: deque(maxlen=_MOST_EVENTS))

    def __post_init__(self) -> None:
        self.task = asyncio.create_task(self._poll())
        self.task.add_done_callback(self._end)

    @property
    def has_ended(self) -> bool:
        """Return whether there is nothing more to come."""
        return self.task.done()

    def after(self, number: int) -> list[StreamEvent]:
        """Return the next events after one, some at a time."""
        if not self._events or self._events[-1].number <= number:
            return []
        first = max(number + 1 - self._events[0].number, 0)
        return [*islice(self._events, first, first + _AT_ONCE)]

    async def _poll(self) -> None:
        """Ask Dagster again and again, until the run has ended."""
        away_since: float | None = None
        cursor, number, pause, has_ended = None, 0, _POLL_S, False
        while True:
            try:
                snapshot = await self.client.following.run(
                    self.client.poll, self.dagster_run_id, cursor
                )
            except ProblemError as error:
                away_since = away_since or anyio.current_time()
                if error.status < 500 or anyio.current_time() - away_since > _LONGEST_ABSENCE_S:
                    raise
                await anyio.sleep(_SLOWEST_POLL_S)
                continue
            away_since, cursor = None, snapshot.cursor
            if snapshot.run is None:
                raise _unknown(self.dagster_run_id)
            before = number
            for event in chain.from_iterable(map(to_stream_events, snapshot.events)):
                number += 1
                self._events.append(replace(event, number=number))
            if number > before:
                self._announce()
            if snapshot.has_more:
                continue
            if has_ended:
                return
            # Once more after the end: an event may be stored after the status.
            has_ended = snapshot.run.status in FINISHED
            pause = _POLL_S if number > before else min(pause * 1.25, _SLOWEST_POLL_S)
            await anyio.sleep(0 if has_ended else pause)

    def _announce(self) -> None:
        self.news.set()
        self.news = asyncio.Event()

    def _end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            # It is raised where the run is followed; everybody may have gone away.
            task.exception()
        self._announce()


def _unknown(dagster_run_id: str) -> ProblemError:
    return ProblemError(404, "unknown-run", f"Dagster has no run {dagster_run_id} any more")


def _share(match: re.Match[str]) -> float:
    total = _whole(match["total"])
    return _whole(match["done"]) / total if total else 1.0


def _whole(text: str) -> int:
    return int(text.replace(",", ""))
