"""From a request to a run of the graph: which assets, days and partitions, with which run config.

What belongs here: everything that can be known before a run is started, and refusing what cannot
be run. What does not: starting it (``launch``, the service's client), what a step does.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, Any, Final, Literal

import dagster as dg

from odum_assets.backtest.request import (
    RunRequest,
    check_options,
    is_beside,
    name_days,
    without_trades,
)
from odum_assets.bars.calendar import BarCalendar
from odum_assets.config import BarsConfig, LoadedConfig
from odum_assets.config.variants import make_variants
from odum_assets.errors import (
    BacktestError,
    ConfigError,
    InvalidRequestError,
    UnavailableDataError,
)
from odum_assets.orchestration.days import days_between, days_of
from odum_assets.orchestration.finished import finished_result
from odum_assets.orchestration.names import (
    action_job_name,
    backtest_key,
    day_job_name,
    model_labels,
    op_name,
    signals_key,
)
from odum_assets.orchestration.overrides import refuse_overrides
from odum_assets.orchestration.partition_state import (
    Partition,
    State,
    describe_partition,
    describe_partitions,
    sources_for,
)
from odum_assets.orchestration.project import Project, Source, missing_raw
from odum_assets.orchestration.raw_folders import RawFolders
from odum_assets.orchestration.registration import CONFIG_TAG, RUN_ID_TAG, SWEEP_ID_TAG
from odum_assets.orchestration.requests import NewRun, RunOptions, WindowOptions
from odum_assets.orchestration.vsweep_requests import VsweepOptions
from odum_assets.raw.layout import DataType
from odum_assets.results.run_id import new_sweep_id, run_id_of
from odum_assets.utc import day_start_ns, iso_ns

if TYPE_CHECKING:
    from odum_assets.results.bar_sweep import SweepRequest

type Key = tuple[str, ...]
"""Parts of an asset key."""

type Kind = Literal["result", "window", "sweep", "vsweep"]

_MOST_NAMED: Final = 20


@dataclass(frozen=True, slots=True)
class Plan:
    """What a request comes to.

    Parameters
    ----------
    request : RunRequest
        The run; the first one of a range.
    loaded : LoadedConfig
        The configuration as its file is; the request's has the overrides of the run.
    kind : {"result", "window", "sweep", "vsweep"}
        What is run: a day or each day of a range, a window, variants over a day, variants over the
        bars of the catalog.
    steps : tuple[str, ...]
        Assets of the configuration that are made, by the last part of their keys.
    config : dict[str, Any]
        Run config of the target.
    tags : dict[str, str]
        Tags of the run.
    conversions : tuple[Partition, ...]
        Catalog partitions that steps of their own convert in the same run; a window and sweeps
        convert what they read themselves.
    run_id : str or None
        Id of the run; None for a range and a sweep, whose runs get their own.
    partition : str or None
        Day; None for a window and a range.
    days : tuple[str, ...]
        Days of a range.
    skipped : dict[str, str]
        Days of a range that are left out, with the reason.
    partitions : tuple[Partition, ...]
        Everything that is read, in the state in which it was.
    """

    request: RunRequest
    loaded: LoadedConfig
    kind: Kind
    steps: tuple[str, ...]
    config: dict[str, Any]
    tags: dict[str, str]
    conversions: tuple[Partition, ...]
    run_id: str | None
    partition: str | None = None
    days: tuple[str, ...] = ()
    skipped: dict[str, str] = field(default_factory=dict)
    partitions: tuple[Partition, ...] = ()

    @property
    def job(self) -> str:
        """Return the job that the run belongs to."""
        return _target(self.loaded, self.kind)[0]

    @property
    def target(self) -> Key:
        """Return the asset that the run config is for."""
        return _target(self.loaded, self.kind)[1]

    @property
    def keys(self) -> tuple[Key, ...]:
        """Return the assets of the run, catalog partitions first."""
        converted = [part.source.catalog_key for part in self.conversions]
        steps = [backtest_key(self.loaded.name, step) for step in self.steps]
        signals = [signals_key(self.loaded.name)] if self._has_signals else []
        return tuple(tuple(key.path) for key in dict.fromkeys([*converted, *signals, *steps]))

    @property
    def _has_signals(self) -> bool:
        """Return whether a model's signals are made first, which the result then reads."""
        if self.kind != "result" or not model_labels(self.loaded):
            return False
        # A part of a day, or other parameters, have predictions of their own.
        return not self.request.overrides and self.request.is_whole

    @property
    def selection(self) -> tuple[Key, ...]:
        """Return which assets of its job a run makes; none where the job says it."""
        return self.keys if self.kind == "result" else ()

    @property
    def run_config(self) -> dict[str, Any]:
        """Return the run config as Dagster takes it."""
        return {"ops": {op_name(dg.AssetKey(self.target)): {"config": self.config}}}


@dataclass(frozen=True, slots=True)
class Planner:
    """Plan runs for one project and one interface.

    Parameters
    ----------
    project : Project
        Configurations and settings.
    tags : Mapping[str, str]
        Tags of its runs, such as who asked.
    recorded_days : callable, optional
        Returns the days of a source's catalog partitions that Dagster has as materialized. One that
        is up to date and recorded takes no step in a run; converting one that is not recorded does
        nothing but give the result its lineage. By default none is known.
    proceed : callable, optional
        Called before each check of files, to raise when nobody waits for the plan any more.
    checks_strategies : bool
        Whether own strategies are imported (in a process of their own) and their parameters
        validated: they can be where the runs have the same current folder.
    """

    project: Project
    tags: Mapping[str, str] = field(default_factory=dict)
    recorded_days: Callable[[Source], Collection[str]] = lambda _source: ()
    proceed: Callable[[], None] = lambda: None
    checks_strategies: bool = True

    def plan(self, new: NewRun) -> Plan:
        """Return what a request comes to.

        Raises
        ------
        InvalidRequestError
            If its days, times, options or strategy cannot be used.
        UnavailableDataError
            If its data are missing, or cannot be read.
        ConfigError
            If its configuration does not exist or cannot be used.
        """
        loaded = self._config(new)
        plan = self._planned(loaded, new)
        refuse_overrides(self.project, plan.request)
        self._check_strategies([plan.request.config])
        return plan

    def _planned(self, loaded: LoadedConfig, new: NewRun) -> Plan:
        if new.is_range:
            return self._range(loaded, new)
        if new.day is not None:
            return self._day(loaded, new, new.day)
        if new.window:
            return self._window(loaded, new)
        start, end = new.ends(loaded)
        if start is None or end is None:
            raise InvalidRequestError(
                "invalid-window",
                f"{loaded.name} has an open time_window: give a day, the first and last day, or "
                "start and end",
            )
        days = result_days(loaded, start, end)
        return self._day(loaded, new, days[0]) if len(days) == 1 else self._window(loaded, new)

    def plan_days(self, new: NewRun) -> tuple[dict[str, Plan], dict[str, UnavailableDataError]]:
        """Return a plan for each day of a range that can be run, and why the others cannot.

        Raises
        ------
        InvalidRequestError, ConfigError
            As `plan`.
        """
        loaded, plans, refused = self._config(new), {}, {}
        for day in self._days(loaded, new):
            try:
                plans[day.isoformat()] = self._day(loaded, new, day)
            except UnavailableDataError as error:
                refused[day.isoformat()] = error
        self._check_strategies([plan.request.config for plan in plans.values()][:1])
        return plans, refused

    def plan_sweep(
        self,
        new: NewRun,
        variants: Sequence[Mapping[str, Any]],
        slots: int = 2,
        **options: Any,  # noqa: ANN401 - fields
    ) -> Plan:
        """Return what a sweep over a day comes to: variants as values by path.

        Parameters
        ----------
        new : NewRun
            What is run of each.
        variants : sequence of mappings
            Values by path.
        slots : int, default 2
            Variants at one time.
        **options : Any
            Other fields of `SweepOptions` alone.

        Raises
        ------
        InvalidRequestError, UnavailableDataError, ConfigError
            As `plan`.
        """
        from odum_assets.results.sweep import Kept, check_sweep

        loaded = self._config(new)
        if new.day is None:
            raise InvalidRequestError("invalid-window", "a sweep runs over a day: give it")
        varied = _checked(lambda: make_variants(loaded, variants))
        plan = self._day(loaded, new, new.day, "sweep")
        kept = Kept(**options)
        _checked(lambda: check_sweep(plan.request, varied, kept))
        self._check_strategies([variant.config for variant in varied])
        sweep_id = new_sweep_id(plan.request)
        config = {**plan.config, "variants": [*variants], "slots": slots, **options}
        return replace(plan, config=config, tags={**plan.tags, SWEEP_ID_TAG: sweep_id})

    def plan_vsweep(self, config: str, options: VsweepOptions) -> Plan:
        """Return what a vectorized sweep comes to.

        Parameters
        ----------
        config : str
            Configuration.
        options : VsweepOptions
            What varies, over which sessions; without these over all that the catalog holds.

        Raises
        ------
        InvalidRequestError, UnavailableDataError, ConfigError
            As `plan`.
        """
        from odum_assets.results.bar_sweep import check_variants
        from odum_assets.vectorized.grid import require_numba

        loaded = self.project.config(config.removesuffix(".json"))
        sweep = _checked(lambda: options.sweep_request(loaded))
        _checked(lambda: check_variants(loaded, sweep))
        if self.checks_strategies:
            require_numba()
        request = RunRequest(loaded, (), "vsweep", snapshot_mode="bars")
        parts = self._swept(loaded, sweep)
        _refuse_unreadable(parts)
        first = parts[0].day if sweep.days is None else sweep.days[0]
        tags = {**self.tags, CONFIG_TAG: loaded.name}
        tags[SWEEP_ID_TAG] = new_sweep_id(replace(request, start_ns=day_start_ns(first)))
        return Plan(
            request,
            loaded,
            "vsweep",
            ("vsweep",),
            options.model_dump(include={*VsweepOptions.model_fields}, exclude_none=True),
            tags,
            (),
            None,
            partitions=tuple(parts),
        )

    def _swept(self, loaded: LoadedConfig, sweep: "SweepRequest") -> list[Partition]:
        """Return the partitions of the bars that a vectorized sweep runs over."""
        from odum_assets.results.bar_sweep import instrument_of

        key = instrument_of(loaded, sweep.instrument).key
        problems: list[str] = []
        folders = RawFolders()
        parts = [
            part
            for source in self.project.sources_of(loaded)
            if source.key == key
            for part in describe_partitions(self.project, source, folders, problems)
        ]
        if sweep.days is None:
            wanted = {part.day for part in parts if part.manifest is not None}
            advice = (
                "give first_day and last_day, whose sessions are converted first, or run: "
                f"odum convert {loaded.name}"
            )
            which = "the catalog has no bars"
        else:
            calendar = BarCalendar.of(loaded.required_bars)
            wanted = {*calendar.catalog_days(calendar.rules.dates(*sweep.days))}
            first, last = sweep.days
            which = f"from {first} to {last} there are neither raw files nor a catalog"
            advice = "see odum data list"
        available = [
            part for part in parts if part.day in wanted and part.state is not State.MISSING
        ]
        if not available:
            lines = [*problems, f"{loaded.name}: {which} of {key}; {advice}"]
            raise UnavailableDataError("missing-data", "\n".join(lines))
        return sorted(available, key=lambda part: part.day)

    def _day(self, loaded: LoadedConfig, new: NewRun, day: date, kind: Kind = "result") -> Plan:
        if loaded.bars is not None:
            day = BarCalendar.of(loaded.bars).partition_of(day)
        request = self._day_request(loaded, new, day)
        parts = self._partitions(loaded, new, [day])
        _refuse_unreadable(parts)
        _refuse_missing(self.project, loaded, parts)
        _refuse_without_trades(request, parts)
        return self._plan(kind, request, new, parts, partition=day.isoformat())

    def _range(self, loaded: LoadedConfig, new: NewRun) -> Plan:
        """Plan a run for every day that has raw files: all of them make the same assets."""
        skipped: dict[str, str] = {}
        parts: list[Partition] = []
        days: list[date] = []
        for day in self._days(loaded, new):
            of_day = self._partitions(loaded, new, [day])
            without = [
                f"{partition.source.data_type}: {partition.state}"
                for partition in of_day
                if not partition.raw and partition.source.is_required(loaded)
            ]
            finished = self._finished(loaded, new, day) if not without else None
            if without:
                skipped[day.isoformat()] = "; ".join(without)
            elif finished is not None:
                skipped[day.isoformat()] = f"its result {finished} is up to date"
            else:
                days.append(day)
                parts += of_day
        if not parts:
            reasons = [f"{day}: {reason}" for day, reason in [*skipped.items()][:_MOST_NAMED]]
            raise UnavailableDataError(
                "missing-data", f"{loaded.name}: no day to run: {'; '.join(reasons)}"
            )
        first = self._day_request(loaded, new, days[0])
        names = tuple(day.isoformat() for day in days)
        return self._plan("result", first, new, parts, days=names, skipped=skipped)

    def _finished(self, loaded: LoadedConfig, new: NewRun, day: date) -> str | None:
        """Return the result of a day that is to be left out where there is one."""
        if not new.skip_finished:
            return None
        request = self._day_request(loaded, new, day)
        entry = finished_result(self.project, request, ticks=new.export_ticks)
        return None if entry is None else entry.run_id

    def _window(self, loaded: LoadedConfig, new: NewRun) -> Plan:
        start, end = new.bounds(loaded)
        request = _checked(lambda: new.window_request(loaded))
        parts = self._partitions(loaded, new, result_days(loaded, start, end))
        _refuse_missing_days(self.project, loaded, parts, refuse=request.refuse_missing_days)
        _refuse_unreadable(parts)
        _refuse_without_trades(request, parts)
        plan = self._plan("window", request, new, parts)
        return replace(plan, config={**plan.config, "start": iso_ns(start), "end": iso_ns(end)})

    def _plan(
        self,
        kind: Kind,
        request: RunRequest,
        new: NewRun,
        parts: Sequence[Partition],
        **facts: Any,  # noqa: ANN401 - fields of a plan
    ) -> Plan:
        is_single = kind != "sweep" and "days" not in facts
        run_id = run_id_of(request) if is_single else None
        loaded = self._config(new)
        tags = {**self.tags, CONFIG_TAG: request.config.name}
        options = WindowOptions if kind == "window" else RunOptions
        return Plan(
            request,
            loaded,
            kind,
            _steps(kind, new),
            _run_config(new, options),
            tags if run_id is None else {**tags, RUN_ID_TAG: run_id},
            # What sessions touch are other partitions than theirs, and what a day may lack takes no
            # step in its job: the step of the result converts it.
            self._conversions(loaded, parts)
            if kind == "result" and request.calendar is None
            else (),
            run_id,
            partitions=tuple(parts),
            **facts,
        )

    def _check_strategies(self, configs: Sequence[LoadedConfig]) -> None:
        """Refuse own strategies that cannot be imported, and parameters that they do not take."""
        if not (self.checks_strategies and any(map(_has_own_rules, configs))):
            return
        from odum_assets.backtest.strategies.checking import config_problems

        texts = dict.fromkeys(text for text in config_problems(configs) if text)
        if texts:
            text = f"{configs[0].path}: " + "\n".join(texts)
            raise InvalidRequestError("invalid-strategy", text)

    def _config(self, new: NewRun) -> LoadedConfig:
        return self.project.config(new.config.removesuffix(".json"))

    def _days(self, loaded: LoadedConfig, new: NewRun) -> list[date]:
        """Return the days of a range; its first and last one must be possible."""
        if new.first_day is None or new.last_day is None:
            raise InvalidRequestError("invalid-window", "give the first and the last day")
        days = days_between(new.first_day, new.last_day)
        if loaded.bars is not None:
            days = _session_days(loaded, loaded.bars, days)
        for day in (days[0], days[-1]):
            self._day_request(loaded, new, day)
        return days

    def _day_request(self, loaded: LoadedConfig, new: NewRun, day: date) -> RunRequest:
        partitions = self.project.result_partitions(loaded)
        if not partitions.has_partition_key(day.isoformat()):
            raise InvalidRequestError(
                "invalid-day",
                f"{day} is not a partition; allowed: {partitions.get_first_partition_key()} to "
                f"{partitions.get_last_partition_key()} (UTC). ODUM_PARTITIONS_START sets the "
                "first",
            )

        def make() -> RunRequest:
            request = new.day_request(loaded, day)
            check_options(request)
            return request

        return _checked(make)

    def _partitions(
        self, loaded: LoadedConfig, new: NewRun, days: Sequence[date]
    ) -> list[Partition]:
        """Return the state of everything that a run of some days reads."""
        sources = sources_for(self.project, loaded, new.snapshot_mode)
        partitions: list[Partition] = []
        for day in catalog_days(loaded, days):
            self.proceed()
            partitions += [describe_partition(self.project, source, day) for source in sources]
        return partitions

    def _conversions(
        self, loaded: LoadedConfig, parts: Sequence[Partition]
    ) -> tuple[Partition, ...]:
        """Return the partitions that have a raw file, but for those with nothing left to do."""

        def is_done(part: Partition) -> bool:
            is_current = part.state is State.CURRENT
            return is_current and part.day.isoformat() in self.recorded_days(part.source)

        required = [part for part in parts if part.source.is_required(loaded)]
        return tuple(part for part in required if part.raw is not None and not is_done(part))


def _run_config(new: NewRun, options: type[RunOptions]) -> dict[str, Any]:
    names = set(options.model_fields) - {"overrides"}
    config = new.model_dump(mode="json", include=names, exclude_none=True)
    return {**config, "overrides": new.overrides} if new.overrides else config


def _target(loaded: LoadedConfig, kind: Kind) -> tuple[str, Key]:
    """Return the job of a kind of run, and the asset that its run config is for."""
    job = day_job_name(loaded.name) if kind == "result" else action_job_name(loaded.name, kind)
    return job, tuple(backtest_key(loaded.name, kind).path)


def _steps(kind: Kind, new: NewRun) -> tuple[str, ...]:
    """Return the assets of a configuration that a run makes of the catalog."""
    exports = {"report": new.mode == "report", "ticks": new.export_ticks}
    return (kind, *(step for step, is_wanted in exports.items() if is_wanted and kind == "result"))


def result_days(loaded: LoadedConfig, start: int, end: int) -> list[date]:
    """Return the result's partitions that a window (ns) touches: UTC days, or those of sessions.

    Raises
    ------
    InvalidRequestError
        If the window is empty, too long, or has no session.
    """
    days = days_of(start, end)
    if loaded.bars is None:
        return days
    calendar = BarCalendar.of(loaded.bars)
    partitions = calendar.partitions(calendar.dates_between(start, end))
    if not partitions:
        raise InvalidRequestError(
            "invalid-window", f"{loaded.name}: no session from {iso_ns(start)} to {iso_ns(end)}"
        )
    return partitions


def _session_days(loaded: LoadedConfig, config: BarsConfig, days: Sequence[date]) -> list[date]:
    """Return the result's partitions of the dates with a session."""
    calendar = BarCalendar.of(config)
    dates = [day for day in days if calendar.rules.is_open(day)]
    if not dates:
        raise InvalidRequestError(
            "invalid-window", f"{loaded.name}: no session from {days[0]} to {days[-1]}"
        )
    return calendar.partitions(dates)


def catalog_days(loaded: LoadedConfig, days: Sequence[date]) -> list[date]:
    """Return the catalog partitions that results of some partitions read."""
    if loaded.bars is None:
        return [*days]
    calendar = BarCalendar.of(loaded.bars)
    return calendar.catalog_days(date_ for day in days for date_ in calendar.dates(day))


def _refuse_unreadable(parts: Sequence[Partition]) -> None:
    problems = [
        problem
        for part in parts
        if part.state is State.UNREADABLE and part.manifest is None
        for problem in part.problems
    ]
    if problems:
        raise UnavailableDataError("unreadable-data", "\n".join(problems))


def _refuse_missing(project: Project, loaded: LoadedConfig, parts: Sequence[Partition]) -> None:
    """Refuse a day of which there is neither a raw file nor a catalog partition."""
    required = [part for part in parts if part.source.is_required(loaded)]
    missing = [part for part in required if part.state is State.MISSING]
    if missing:
        lines = [missing_raw(part.source, part.day, project.settings) for part in missing]
        is_partial = len(missing) < len(required)
        raise UnavailableDataError("missing-data", "\n".join(lines), is_partial=is_partial)


def _has_own_rules(loaded: LoadedConfig) -> bool:
    """Return whether a strategy may be wrong: our own one on ticks takes no parameters."""
    if loaded.bars is not None:
        return True
    strategy = loaded.ticks.strategy
    return strategy.path is not None or strategy.orders_file is not None


def _refuse_without_trades(request: RunRequest, parts: Sequence[Partition]) -> None:
    """Refuse a window in which the catalog has no trades; a day to convert may have some."""
    trades = [part for part in parts if part.source.data_type is DataType.TRADES]
    manifests = [part.manifest for part in trades if part.manifest is not None]
    if any(part.state in (State.NEW, State.STALE) for part in trades) or not manifests:
        return
    spans = [(manifest.first_ts_init, manifest.last_ts_init) for manifest in manifests]
    if is_beside(request, spans):
        raise UnavailableDataError("missing-data", without_trades(request, spans))


def _refuse_missing_days(
    project: Project, loaded: LoadedConfig, parts: Sequence[Partition], *, refuse: bool
) -> None:
    """Refuse a window without any data, and one with missing days where that is asked for.

    Data are trades, or the bars of all instruments.
    """
    is_moving = loaded.bars is not None
    moving = [part for part in parts if is_moving or part.source.data_type is DataType.TRADES]
    missing = [part for part in moving if part.state is State.MISSING]
    if missing and (refuse or len(missing) == len(moving)):
        why = "missing_days is refuse" if refuse else "no day of the window has data"
        raise UnavailableDataError(
            "missing-data",
            f"{loaded.name}: there is neither a raw file nor a catalog partition of "
            f"{missing[0].source.data_type} for "
            f"{name_days([part.day for part in missing])}, and {why}\n"
            f"{missing_raw(missing[0].source, missing[0].day, project.settings)}",
        )


def _checked[T](make: Callable[[], T]) -> T:
    """Return what a request means; one whose options cannot be used is an invalid one."""
    try:
        return make()
    except (BacktestError, ConfigError) as error:
        raise InvalidRequestError("invalid-options", str(error)) from None
