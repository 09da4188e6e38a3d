"""From a request to a run of the graph: which assets, which day, which run config.

Everything that can be known before is refused before: Dagster is only asked what can be run.
"""

import hashlib
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, Literal, Self

import anyio
from pydantic import BaseModel, ConfigDict, Field, model_validator

from odum_assets.api.capacity import go_on
from odum_assets.api.dagster_client import Launch, RawReport
from odum_assets.api.problems import ProblemError
from odum_assets.api.windows import days_between, days_of, moment_ns
from odum_assets.config import LoadedConfig
from odum_assets.errors import BacktestError, ConfigError
from odum_assets.orchestration.launch import AD_HOC_JOB
from odum_assets.orchestration.names import backtest_key, day_job_name, op_name
from odum_assets.orchestration.partition_state import Partition, State, look_at, sources_for
from odum_assets.orchestration.project import Project
from odum_assets.orchestration.registration import CONFIG_TAG, RUN_ID_TAG
from odum_assets.orchestration.run_config import ResultConfig, WindowConfig
from odum_assets.raw.layout import DataType
from odum_assets.results.run_id import run_id_of

if TYPE_CHECKING:
    from odum_assets.backtest.request import RunRequest

KEY_TAG = "odum/idempotency_key"
BODY_TAG = "odum/request"

_MOST_NAMED = 20


class RunOptions(BaseModel):
    """What a person may choose for a run."""

    model_config = ConfigDict(extra="forbid")

    mode: Literal["fast", "report"] = Field(
        default="report", description="fast keeps the summary only."
    )
    snapshot_mode: Literal["auto", "trades", "book", "both"] = Field(
        default="auto", description="What moves the market; auto: both where there are books."
    )
    close_positions: bool = Field(default=True, description="Close positions at the end.")
    exec_algorithm: Literal["CONFIG", "NORMAL", "TWAP", "VWAP", "ICEBERG"] = Field(
        default="CONFIG", description="Execution algorithm; CONFIG is the configuration's."
    )
    exec_algorithm_params: dict[str, float] = Field(
        default={}, description="Its parameters.", examples=[{"horizon_secs": 10}]
    )
    export_ticks: bool = Field(default=False, description="Also export the replayed trades.")

    @model_validator(mode="after")
    def _ticks_need_a_report(self) -> Self:
        if self.export_ticks and self.mode == "fast":
            raise ValueError("export_ticks needs mode report: fast mode keeps no ticks")
        return self


class NewRun(RunOptions):
    """A run to start: a day, a window, or every day of a range by itself (a backfill)."""

    config: str = Field(description="Configuration.", examples=["my_config"])
    day: date | None = Field(default=None, description="Day (UTC).")
    first_day: date | None = Field(default=None, description="First day of a range (UTC).")
    last_day: date | None = Field(default=None, description="Last day of the range, included.")
    start: str | None = Field(
        default=None,
        description="First moment; with a day or a range a time of day will do, such as 12:30. "
        "Empty: of the day, else time_window.start of the configuration.",
        examples=["2024-07-18T00:00:00Z"],
    )
    end: str | None = Field(
        default=None,
        description="First moment after the end, spelled like start.",
        examples=["2024-07-18T00:05:00Z"],
    )
    missing_days: Literal["CONFIG", "warn", "refuse"] = Field(
        default="CONFIG",
        description="What becomes of a window that lacks days. warn: it runs over the others and "
        "names those that are missing; refuse: 409. CONFIG: quality.missing_days of the "
        "configuration.",
    )

    @property
    def is_range(self) -> bool:
        """Return whether it asks for several runs."""
        return self.first_day is not None

    @model_validator(mode="after")
    def _one_span(self) -> Self:
        if (self.first_day is None) != (self.last_day is None):
            raise ValueError("first_day and last_day belong together")
        if self.is_range and self.day is not None:
            raise ValueError("give a day, or first_day and last_day")
        return self


@dataclass(frozen=True, slots=True)
class Plan:
    """What a request comes to.

    Parameters
    ----------
    launch : Launch
        What Dagster is asked for.
    request : RunRequest
        The run; the first one of a range.
    run_id : str or None
        Id of the run, made before it; None for a range, whose runs make their own.
    days : tuple[str, ...]
        Days of a range.
    skipped : dict[str, str]
        Days of a range that are left out, with the reason.
    """

    launch: Launch
    request: "RunRequest"
    run_id: str | None = None
    days: tuple[str, ...] = ()
    skipped: dict[str, str] = field(default_factory=dict)


class LaunchLimit:
    """Let a number of runs start per minute.

    Parameters
    ----------
    per_minute : int
        How many.
    """

    def __init__(self, per_minute: int) -> None:
        self._lock = threading.Lock()
        self._most = per_minute
        self._times: deque[float] = deque()

    def take(self) -> None:
        """Count a launch.

        Raises
        ------
        ProblemError
            If there were too many in the last minute; it says when the next one may come.
        """
        with self._lock:
            now = time.monotonic()
            while self._times and now - self._times[0] >= 60:
                self._times.popleft()
            if len(self._times) >= self._most:
                wait = int(60 - (now - self._times[0])) + 1
                raise ProblemError(
                    429,
                    "too-many-launches",
                    f"{self._most} runs may be started per minute (ODUM_API_LAUNCHES_PER_MINUTE); "
                    f"try again in {wait} s, or start many days as one range",
                    {"Retry-After": str(wait)},
                )
            self._times.append(now)

    def give_back(self) -> None:
        """Take back the latest launch: it was refused before there was any work."""
        with self._lock:
            if self._times:
                self._times.pop()


class KeyLocks:
    """Locks by name, each there as long as somebody holds or awaits it."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[anyio.Lock, int]] = {}

    @asynccontextmanager
    async def hold(self, name: str) -> AsyncGenerator[None]:
        """Hold the lock of a name."""
        lock, users = self._locks.get(name, (anyio.Lock(), 0))
        self._locks[name] = lock, users + 1
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks.pop(name)
            if users > 1:
                self._locks[name] = lock, users - 1


def repeat_tags(key: str | None, body: str) -> dict[str, str]:
    """Return tags by which a repeated request is known again; none without an Idempotency-Key.

    Parameters
    ----------
    key : str or None
        The header.
    body : str
        What was asked for, in one spelling.
    """
    if key is None:
        return {}
    # Hashed: a tag is shown to everybody, and has no room for any text.
    return {KEY_TAG: _hash(key), BODY_TAG: _hash(body)}


def plan_run(project: Project, loaded: LoadedConfig, new: NewRun, tags: Mapping[str, str]) -> Plan:
    """Return what a request comes to.

    Raises
    ------
    ProblemError
        If it cannot be run: times, options (422) or missing data (409).
    """
    if new.first_day is not None and new.last_day is not None:
        return _range(project, loaded, new, days_between(new.first_day, new.last_day), tags)
    if new.day is not None:
        return _day(project, loaded, new, new.day, tags)
    window = loaded.config.time_window
    start = moment_ns("start", new.start) if new.start else window.start_ns
    end = moment_ns("end", new.end) if new.end else window.end_ns
    if start is None or end is None:
        raise ProblemError(
            422,
            "invalid-window",
            "give a day, first_day and last_day, or start and end: the configuration leaves its "
            "time_window open",
        )
    days = days_of(start, end)
    if len(days) == 1:
        return _day(project, loaded, new, days[0], tags)
    return _window(project, loaded, new, days, tags)


def _day(
    project: Project, loaded: LoadedConfig, new: NewRun, day: date, tags: Mapping[str, str]
) -> Plan:
    _check_partition(project, day)
    request = _day_request(loaded, new, day)
    parts = _parts(project, loaded, new, day)
    for each in parts:
        if each.state is State.UNREADABLE and each.manifest is None:
            raise ProblemError(409, "unreadable-data", "\n".join(each.problems))
    missing = [str(each.source.data_type) for each in parts if each.state is State.MISSING]
    if missing:
        raise ProblemError(
            409,
            "missing-data",
            f"{loaded.name} {day}: there is neither a raw file nor a catalog partition of "
            f"{', '.join(missing)}; see POST /api/backtest/check-data",
        )
    run_id = run_id_of(request)
    tags = {**_tags(loaded), RUN_ID_TAG: run_id, **tags}
    return Plan(_daily(loaded, new, parts, day.isoformat(), tags), request, run_id)


def _range(
    project: Project,
    loaded: LoadedConfig,
    new: NewRun,
    days: Sequence[date],
    tags: Mapping[str, str],
) -> Plan:
    """Plan a run for every day of a range that has raw files; the others are named."""
    for day in (days[0], days[-1]):
        _check_partition(project, day)
    requests = [_day_request(loaded, new, day) for day in (days[0], days[-1])]
    skipped: dict[str, str] = {}
    chosen: dict[str, list[Partition]] = {}
    for day in days:
        parts = _parts(project, loaded, new, day)
        without = [f"{each.source.data_type}: {each.state}" for each in parts if each.raw is None]
        if without:
            skipped[day.isoformat()] = "; ".join(without)
        else:
            chosen[day.isoformat()] = parts
    if not chosen:
        reasons = [f"{day}: {reason}" for day, reason in list(skipped.items())[:_MOST_NAMED]]
        raise ProblemError(409, "missing-data", f"{loaded.name}: no day to run: {reasons}")
    every = [part for parts in chosen.values() for part in parts]
    launch = _daily(loaded, new, every, None, {**_tags(loaded), **tags})
    return Plan(launch, requests[0], days=tuple(chosen), skipped=skipped)


def _daily(
    loaded: LoadedConfig,
    new: NewRun,
    parts: Sequence[Partition],
    partition: str | None,
    tags: dict[str, str],
) -> Launch:
    steps = ["result"]
    steps += ["report"] if new.mode == "report" else []
    steps += ["ticks"] if new.export_ticks else []
    # Converting a partition that is up to date does nothing but give the result its lineage.
    catalog = {tuple(each.source.catalog_key.path): None for each in parts if each.raw is not None}
    result = backtest_key(loaded.name, "result")
    return Launch(
        job=day_job_name(loaded.name),
        made=tuple(result.path),
        keys=(*catalog, *(tuple(backtest_key(loaded.name, step).path) for step in steps)),
        partition=partition,
        run_config={"ops": {op_name(result): {"config": _run_config(new)}}},
        tags=tags,
        config_hash=loaded.content_hash,
        raw=_reports(parts),
    )


def _window(
    project: Project,
    loaded: LoadedConfig,
    new: NewRun,
    days: Sequence[date],
    tags: Mapping[str, str],
) -> Plan:
    chosen = {
        **_run_config(new),
        "export_ticks": new.export_ticks,
        "missing_days": new.missing_days,
    }
    config = _validated(lambda: WindowConfig.model_validate(chosen))
    request = _validated(lambda: config.request(loaded, (), "window", config.bounds(loaded)))
    parts = [part for day in days for part in _parts(project, loaded, new, day)]
    _check_days(loaded, days, parts, refuse=request.refuse_missing_days)
    due = sorted({part.day for part in parts if part.state in (State.NEW, State.STALE)})
    if due:
        more = f" and {len(due) - _MOST_NAMED} more" if len(due) > _MOST_NAMED else ""
        raise ProblemError(
            409,
            "not-converted",
            f"{loaded.name}: not converted yet: {', '.join(map(str, due[:_MOST_NAMED]))}{more}; a "
            f"window reads the catalog. Convert them with `odum convert {loaded.name} --from "
            f"{due[0]} --to {due[-1]}`, or run them as a range (first_day, last_day) first",
        )
    key = backtest_key(loaded.name, "window")
    run_id = run_id_of(request)
    launch = Launch(
        job=AD_HOC_JOB,
        made=tuple(key.path),
        keys=(tuple(key.path),),
        partition=None,
        run_config={"ops": {op_name(key): {"config": chosen}}},
        tags={**_tags(loaded), RUN_ID_TAG: run_id, **tags},
        config_hash=loaded.content_hash,
    )
    return Plan(launch, request, run_id)


def _check_days(
    loaded: LoadedConfig, days: Sequence[date], parts: Sequence[Partition], *, refuse: bool
) -> None:
    """Refuse a window without any trades, and one with missing days where that is asked for."""
    from odum_assets.backtest.request import name_days

    missing = [
        part.day
        for part in parts
        if part.source.data_type is DataType.TRADES and part.state is State.MISSING
    ]
    if missing and (refuse or len(missing) == len(days)):
        why = "missing_days is refuse" if refuse else "that is all of the window"
        raise ProblemError(
            409,
            "missing-data",
            f"{loaded.name}: there is neither a raw file nor a catalog partition of trades for "
            f"{name_days(missing)}, and {why}",
        )


def _parts(project: Project, loaded: LoadedConfig, new: NewRun, day: date) -> list[Partition]:
    """Return the state of everything that a run of a day reads."""
    go_on()
    return [look_at(project, each, day) for each in sources_for(project, loaded, new.snapshot_mode)]


def _reports(parts: Sequence[Partition]) -> tuple[RawReport, ...]:
    return tuple(
        RawReport(
            tuple(each.source.raw_key.path),
            each.day.isoformat(),
            each.raw.path,
            each.raw.stat.size,
            str(each.raw.stat),
        )
        for each in parts
        if each.raw is not None
    )


def _run_config(new: NewRun) -> dict[str, Any]:
    names = (*RunOptions.model_fields, "start", "end")
    chosen = {name: getattr(new, name) for name in names if name != "export_ticks"}
    return {name: value for name, value in chosen.items() if value is not None}


def _tags(loaded: LoadedConfig) -> dict[str, str]:
    # Whoever asked is told of a failure, and starts it again or not.
    return {"odum/source": "api", CONFIG_TAG: loaded.name, "dagster/max_retries": "0"}


def _day_request(loaded: LoadedConfig, new: NewRun, day: date) -> "RunRequest":
    from odum_assets.backtest.request import check_options

    chosen = ResultConfig.model_validate(_run_config(new))
    request = _validated(lambda: chosen.day_request(loaded, day))
    _validated(lambda: check_options(request))
    return request


def _validated[T](check: Callable[[], T]) -> T:
    try:
        return check()
    except (BacktestError, ConfigError) as error:
        raise ProblemError(422, "invalid-options", str(error)) from None


def _check_partition(project: Project, day: date) -> None:
    partitions = project.partitions
    if not partitions.has_partition_key(day.isoformat()):
        raise ProblemError(
            422,
            "invalid-day",
            f"{day} is no partition; allowed: {partitions.get_first_partition_key()} to "
            f"{partitions.get_last_partition_key()} (UTC)",
        )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
