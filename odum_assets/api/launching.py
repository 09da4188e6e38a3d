"""From a request to a run of the graph: which assets, which day, which run config.

Everything that can be known before is refused before: Dagster is only asked what can be run.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import date
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from odum_assets.api.dagster_client import Launch
from odum_assets.api.problems import ProblemError
from odum_assets.api.windows import days_between, days_of, moment_ns
from odum_assets.config import LoadedConfig
from odum_assets.errors import ConfigError
from odum_assets.orchestration.launch import AD_HOC_JOB
from odum_assets.orchestration.names import backtest_key, day_job_name, op_name
from odum_assets.orchestration.project import Project, Source, find_raw
from odum_assets.orchestration.run_config import ResultConfig, WindowConfig
from odum_assets.raw.layout import DataType


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


class NewRun(RunOptions):
    """A run to start: one day, or a window."""

    config: str = Field(description="Configuration.", examples=["my_config"])
    day: date | None = Field(default=None, description="Day (UTC); found by start if left out.")
    start: str | None = Field(default=None, examples=["2024-07-18T00:00:00Z"])
    end: str | None = Field(
        default=None, description="First moment after the end.", examples=["2024-07-18T00:05:00Z"]
    )


class NewBackfill(RunOptions):
    """Runs to start: every day of a range by itself."""

    config: str = Field(description="Configuration.", examples=["my_config"])
    first: date = Field(description="First day (UTC).")
    last: date = Field(description="Last day, included.")


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
                    f"try again in {wait} s, or start many days as one backfill",
                    {"Retry-After": str(wait)},
                )
            self._times.append(now)


def plan_run(project: Project, loaded: LoadedConfig, new: NewRun) -> Launch:
    """Return the run that a request means.

    Raises
    ------
    ProblemError
        If it cannot be run: times, options (422) or missing data (409).
    """
    if new.day is not None:
        return _day(project, loaded, new, new.day)
    window = loaded.config.time_window
    start = moment_ns("start", new.start) if new.start else window.start_ns
    end = moment_ns("end", new.end) if new.end else window.end_ns
    if start is None or end is None:
        raise ProblemError(
            422,
            "invalid-window",
            "give a day, or start and end: the configuration leaves them open",
        )
    days = days_of(start, end)
    if len(days) == 1:
        return _day(project, loaded, new, days[0])
    return _window(project, loaded, new, days)


def plan_backfill(
    project: Project, loaded: LoadedConfig, new: NewBackfill
) -> tuple[Launch, list[str]]:
    """Return what runs for every day of a range, and the days.

    Raises
    ------
    ProblemError
        If it cannot be run.
    """
    days = days_between(new.first, new.last)
    for day in (days[0], days[-1]):
        _check_partition(project, day)
    chosen = _run_config(new)
    _validated(lambda: ResultConfig.model_validate(chosen).day_request(loaded, days[0]))
    sources = _sources(project, loaded, new)
    launch = _daily(loaded, new, sources, chosen, None)
    return launch, [day.isoformat() for day in days]


def _day(project: Project, loaded: LoadedConfig, new: NewRun, day: date) -> Launch:
    _check_partition(project, day)
    chosen = _run_config(new)
    _validated(lambda: ResultConfig.model_validate(chosen).day_request(loaded, day))
    sources = _sources(project, loaded, new)
    missing = [str(each.data_type) for each in sources if not _is_there(project, each, day)]
    if missing:
        raise ProblemError(
            409,
            "missing-data",
            f"{loaded.name} {day}: there is neither a raw file nor a catalog partition of "
            f"{', '.join(missing)}; see POST /api/backtest/check-data",
        )
    return _daily(loaded, new, sources, chosen, day.isoformat())


def _daily(
    loaded: LoadedConfig,
    new: RunOptions,
    sources: tuple[Source, ...],
    chosen: dict[str, Any],
    partition: str | None,
) -> Launch:
    steps = ["result"]
    steps += ["report"] if new.mode == "report" else []
    steps += ["ticks"] if new.export_ticks else []
    result = backtest_key(loaded.name, "result")
    return Launch(
        job=day_job_name(loaded.name),
        keys=(
            *(tuple(each.catalog_key.path) for each in sources),
            *(tuple(backtest_key(loaded.name, step).path) for step in steps),
        ),
        partition=partition,
        run_config={"ops": {op_name(result): {"config": chosen}}},
        tags=_tags(loaded),
    )


def _window(project: Project, loaded: LoadedConfig, new: NewRun, days: list[date]) -> Launch:
    if new.export_ticks:
        raise ProblemError(
            422,
            "invalid-request",
            "export_ticks: ticks of a window over midnight are exported "
            "by the odum command only; leave it out",
        )
    chosen = _run_config(new)
    chosen_config = _validated(lambda: WindowConfig.model_validate(chosen))
    _validated(lambda: chosen_config.request(loaded, (), "window", chosen_config.bounds(loaded)))
    from odum_assets.catalog import read_manifest

    root = project.catalog_root(loaded)
    waiting = sorted(
        {
            day.isoformat()
            for each in _sources(project, loaded, new)
            for day in days
            if read_manifest(root, each.key, each.data_type, day) is None
            and find_raw(each, day, project.settings) is not None
        }
    )
    if waiting:
        raise ProblemError(
            409,
            "not-converted",
            f"{loaded.name}: not converted yet: {', '.join(waiting)}; a window reads the catalog. "
            f"Convert them with POST /api/v1/backfills, or odum convert {loaded.name}",
        )
    key = backtest_key(loaded.name, "window")
    return Launch(
        job=AD_HOC_JOB,
        keys=(tuple(key.path),),
        partition=None,
        run_config={"ops": {op_name(key): {"config": chosen}}},
        tags=_tags(loaded),
    )


def _run_config(new: RunOptions) -> dict[str, Any]:
    chosen = new.model_dump(exclude={"config", "day", "first", "last", "export_ticks"})
    if new.export_ticks and new.mode == "fast":
        raise ProblemError(422, "invalid-request", "export_ticks needs mode report")
    return {name: value for name, value in chosen.items() if value is not None}


def _tags(loaded: LoadedConfig) -> dict[str, str]:
    # Whoever asked is told of a failure, and starts it again or not.
    return {"odum/source": "api", "odum/config": loaded.name, "dagster/max_retries": "0"}


def _validated[T](check: Callable[[], T]) -> T:
    try:
        return check()
    except ConfigError as error:
        raise ProblemError(422, "invalid-options", str(error)) from None


def _sources(project: Project, loaded: LoadedConfig, new: RunOptions) -> tuple[Source, ...]:
    sources = project.sources_of(loaded)
    if new.snapshot_mode == "trades":
        return tuple(each for each in sources if each.data_type is not DataType.BOOK)
    return sources


def _is_there(project: Project, source: Source, day: date) -> bool:
    from odum_assets.catalog import read_manifest

    if find_raw(source, day, project.settings) is not None:
        return True
    root = project.catalog_root(source.loaded)
    return read_manifest(root, source.key, source.data_type, day) is not None


def _check_partition(project: Project, day: date) -> None:
    partitions = project.partitions
    if not partitions.has_partition_key(day.isoformat()):
        raise ProblemError(
            422,
            "invalid-day",
            f"{day} is no partition; allowed: {partitions.get_first_partition_key()} to "
            f"{partitions.get_last_partition_key()} (UTC)",
        )
