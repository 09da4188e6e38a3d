"""What may be asked of a run: one model for the launchpad, the service's bodies and the commands.

What belongs here: the options with their defaults, help and rules, and their translation into a
`RunRequest`. What does not: which assets, partitions and days come of them (``planner``).
"""

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from odum_assets.backtest.request import WINDOW, RunRequest, empty_window
from odum_assets.bars.calendar import BarCalendar
from odum_assets.config import LoadedConfig, effective_settings
from odum_assets.config.instrument_names import names_instrument
from odum_assets.config.variants import SweepFigure, override
from odum_assets.errors import ConfigError, InvalidRequestError
from odum_assets.orchestration.days import days_of, parse_time, require_time
from odum_assets.raw.layout import is_url
from odum_assets.settings import Settings
from odum_assets.utc import DAY_NS, day_start_ns

if TYPE_CHECKING:
    from odum_assets.config.sections.algorithms import ExecAlgorithm


class RunOptions(BaseModel):
    """What a person may choose for every run."""

    model_config = ConfigDict(extra="forbid")

    mode: Literal["fast", "report"] = Field(
        default="report",
        description="fast: the summary only. report: also orders, fills, positions, equity and "
        "timeline, which ticks and report need.",
    )
    snapshot_mode: Literal["auto", "trades", "book", "both"] = Field(
        default="auto",
        description="What moves the simulated market. trades: the trades alone. book: the book "
        "snapshots, trades are only the strategy's signal. both: both. auto: both if the "
        "configuration names a book_snapshot_5_path, else trades.",
    )
    close_positions: bool = Field(
        default=True,
        description="Close open positions at the end of the window.",
    )
    closing: Literal["CONFIG", "last_price", "book", "work"] = Field(
        default="CONFIG",
        description="How positions are closed. book: by market orders into the last book; what it "
        "does not take stays open. last_price: the same, and the rest at the last trade's price, "
        "marked as simulated. work: the strategy stops execution.closing.work_secs before the end, "
        "and the position is worked through successive books. CONFIG: the configuration's "
        "execution.closing.method.",
    )
    exec_algorithm: Literal["CONFIG", "NORMAL", "TWAP", "VWAP", "ICEBERG"] = Field(
        default="CONFIG",
        description="Execution algorithm for this run. CONFIG: the configuration's.",
    )
    exec_algorithm_params: dict[str, Any] = Field(
        default={},
        description="Parameters of exec_algorithm, defaults where left out. TWAP: horizon_secs, "
        "interval_secs, child_order_type. VWAP: horizon_secs, intervals, lookback_days, "
        "child_order_type. ICEBERG: visible_pct.",
        examples=[{"horizon_secs": 10}],
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO",
        description="What of a strategy's log is kept with the result, failed runs too.",
    )
    start: str | None = Field(
        default=None,
        description="Start: 2023-05-23T19:23:00Z, or with a day a time of day in UTC such as 19:23 "
        "(the form to use in a backfill). Takes precedence over time_window.start of the "
        "configuration, which counts where this is empty, else the start of the day.",
        examples=["2024-07-18T00:00:00Z"],
    )
    end: str | None = Field(
        default=None,
        description="End (exclusive), same format as start. Takes precedence over time_window.end "
        "of the configuration, which counts where this is empty, else the end of the day.",
        examples=["2024-07-18T00:05:00Z"],
    )
    engine: Literal["nautilus", "kernel"] = Field(
        default="nautilus",
        description="What matches the orders. kernel: the compiled rules of NautilusTrader, some "
        "hundred times as fast, with the same result; runs that it does not cover are refused.",
    )
    overrides: dict[str, Any | None] = Field(
        default={},
        description="Values for this run in place of the configuration's, by dotted path, such as "
        "{strategy.params.fast: 10, venue.starting_balance: 5000}. What decides the data "
        "(instruments, bars, session, data_catalog, time_window) may not be among them. A number "
        'with more digits than a float holds is written {"$number": "0.1234567890123456789"}.',
    )

    def day_request(self, loaded: LoadedConfig, day: date) -> RunRequest:
        """Return the request for one day.

        Raises
        ------
        ConfigError
            If a time or the execution algorithm cannot be used.
        """
        bounds = (parse_time("start", self.start, day), parse_time("end", self.end, day))
        return self.request(loaded, (day,), day.isoformat(), bounds)

    def request(
        self,
        loaded: LoadedConfig,
        days: tuple[date, ...],
        partition: str,
        bounds: tuple[int | None, int | None],
    ) -> RunRequest:
        """Return the request that these options make of a configuration and its days.

        Raises
        ------
        ConfigError
            If the execution algorithm, its parameters or an override cannot be used.
        """
        mode = self.snapshot_mode
        if self.overrides:
            loaded = override(loaded, self.overrides)
        if loaded.bars is not None:
            self._refuse_for_bars()
        return RunRequest(
            config=loaded,
            days=days,
            partition=partition,
            start_ns=bounds[0],
            end_ns=bounds[1],
            mode=self.mode,
            snapshot_mode=_automatic(loaded) if mode == "auto" else mode,
            close_positions=self.close_positions,
            closing=None if self.closing == "CONFIG" else self.closing,
            log_level=self.log_level,
            exec_algorithm=self._algorithm(loaded),
            refuse_missing_days=self._refuses_missing_days(loaded),
            engine=self.engine,
            overrides=self.overrides,
            export_ticks=self._exports_ticks(),
        )

    def _refuse_for_bars(self) -> None:
        if self.snapshot_mode != "auto":
            raise ConfigError(
                f"snapshot_mode: found {self.snapshot_mode}, allowed auto: the market of a "
                "configuration for bars is its bars"
            )
        if self.exec_algorithm != "CONFIG":
            raise ConfigError(
                f"exec_algorithm: found {self.exec_algorithm}, allowed CONFIG: a strategy on bars "
                "sends its orders itself"
            )

    def _refuses_missing_days(self, loaded: LoadedConfig) -> bool:
        """Return whether a window that lacks days is refused."""
        return loaded.config.quality.missing_days == "refuse"

    def _exports_ticks(self) -> bool:
        """Return whether a window exports its ticks; of a day an asset of its own does."""
        return False

    def _algorithm(self, loaded: LoadedConfig) -> "ExecAlgorithm | None":
        params = self.exec_algorithm_params
        if self.exec_algorithm == "CONFIG":
            if params:
                raise ConfigError(
                    "exec_algorithm_params: given without exec_algorithm; name the algorithm they "
                    "belong to"
                )
            return None
        chosen = {
            "type": self.exec_algorithm,
            "params": {name: _exact(value) for name, value in params.items()},
        }
        strategy = loaded.ticks.strategy
        given = {name: getattr(strategy, name) for name in strategy.model_fields_set}
        try:
            # Through the section, so that its rules between keys hold for this run, too.
            checked = type(strategy).model_validate({**given, "exec_algorithm": chosen})
        except ValidationError as error:
            raise ConfigError(_problems(loaded, error)) from None
        return checked.exec_algorithm


class SweepOptions(RunOptions):
    """What a person may choose for variants over one day."""

    slots: int = Field(default=2, ge=1, le=64, description="Variants that run at the same time.")
    figures_only: bool = Field(
        default=False,
        description="Keep the figures of all variants in one parquet file, in place of a result "
        "for each. Needs engine kernel.",
    )
    verify: int = Field(
        default=0,
        ge=0,
        le=1_000,
        description="Repeat the K best and K random variants in NautilusTrader; the sweep fails if "
        "any fill or digest differs. Needs engine kernel.",
    )
    sort: SweepFigure = Field(
        default="net_pnl", description="The figure that says which variants are the best."
    )

    @property
    def sweep_values(self) -> dict[str, Any]:
        """Return what only a sweep has, by name."""
        return self.model_dump(include={*SweepOptions.model_fields} - {*RunOptions.model_fields})


class WindowOptions(RunOptions):
    """What a person may choose for a run over several days as one continuous account."""

    missing_days: Literal["CONFIG", "warn", "refuse"] = Field(
        default="CONFIG",
        description="Whether a window runs when the catalog lacks days of it. warn: it runs over "
        "the others, and the result lists the missing ones. refuse: it fails. CONFIG: "
        "quality.missing_days of the configuration.",
    )
    export_ticks: bool = Field(
        default=False, description="Also export the trades that the run went over, for charts."
    )

    def _exports_ticks(self) -> bool:
        return self.export_ticks

    def _refuses_missing_days(self, loaded: LoadedConfig) -> bool:
        if self.missing_days == "CONFIG":
            return super()._refuses_missing_days(loaded)
        return self.missing_days == "refuse"

    def ends(self, loaded: LoadedConfig) -> tuple[int | None, int | None]:
        """Return start and end (ns since 1970 UTC, exclusive), None where nothing says them.

        Raises
        ------
        InvalidRequestError
            If one cannot be read, or they leave no time between them.
        """
        window = loaded.config.time_window
        start, end = parse_time("start", self.start, None), parse_time("end", self.end, None)
        given = {"start": start, "end": end}
        return _ordered(
            window.start_ns if start is None else start,
            window.end_ns if end is None else end,
            [name for name, moment in given.items() if moment is not None],
        )

    def bounds(self, loaded: LoadedConfig) -> tuple[int, int]:
        """Return the window (ns since 1970 UTC, end exclusive).

        Raises
        ------
        InvalidRequestError
            If an end is open or cannot be read, or they leave no time between them.
        """
        start, end = self.ends(loaded)
        if start is None or end is None:
            name = "start" if start is None else "end"
            raise InvalidRequestError(
                "invalid-window",
                f"{loaded.path}: a window needs both ends, but its {name} is open; set "
                f"time_window.{name}, or give {name}",
            )
        return start, end


class NewRun(WindowOptions):
    """A run to start: a day, a window, or every day of a range by itself (a backfill)."""

    config: str = Field(description="Configuration.", examples=["my_config"])
    day: date | None = Field(default=None, description="Day (UTC).")
    first_day: date | None = Field(default=None, description="First day of a range (UTC).")
    last_day: date | None = Field(default=None, description="Last day of the range, included.")
    window: bool = Field(
        default=False,
        description="One continuous account: over the days from first_day to last_day, or from "
        "start to end also where that is within one day.",
    )
    skip_finished: bool = Field(
        default=False,
        description="Leave out days of a range whose result is up to date: same data, "
        "configuration, options, strategy and versions.",
    )

    @classmethod
    def of(cls, **values: Any) -> Self:  # noqa: ANN401 - fields
        """Return a request with fields of these values; None leaves a field at its default.

        Raises
        ------
        InvalidRequestError
            If the values do not make one.
        """
        try:
            return cls(**{name: value for name, value in values.items() if value is not None})
        except ValidationError as error:
            lines = [_line(problem) for problem in error.errors()]
            raise InvalidRequestError("invalid-request", "\n".join(lines)) from None

    @property
    def is_range(self) -> bool:
        """Return whether it asks for several runs."""
        return self.first_day is not None and not self.window

    def ends(self, loaded: LoadedConfig) -> tuple[int | None, int | None]:
        """Return start and end as `WindowOptions.ends`; days that are given set them."""
        if self.first_day is None or self.last_day is None:
            return super().ends(loaded)
        start = parse_time("start", self.start, self.first_day)
        end = parse_time("end", self.end, self.last_day)
        span = None
        if loaded.bars is not None:
            rules = BarCalendar.of(loaded.bars).rules
            span = rules.span(self.first_day, self.last_day)
        first, last = span or (day_start_ns(self.first_day), day_start_ns(self.last_day) + DAY_NS)
        return _ordered(
            first if start is None else start, last if end is None else end, ("start", "end")
        )

    def window_request(self, loaded: LoadedConfig) -> RunRequest:
        """Return the request for a window, whose days are not known yet.

        Raises
        ------
        ConfigError
            If a time or the execution algorithm cannot be used.
        """
        return self.request(loaded, (), WINDOW, self.bounds(loaded))

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.export_ticks and self.mode == "fast":
            raise ValueError("export_ticks needs mode report: fast mode keeps no ticks")
        if (self.first_day is None) != (self.last_day is None):
            raise ValueError("give both first_day and last_day")
        if self.day is not None and (self.first_day is not None or self.window):
            raise ValueError("give a day, or first_day and last_day; one day is not a window")
        return self


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
    missing_days: Literal["CONFIG", "warn", "refuse"] = Field(
        default="CONFIG", description="For a window with missing days; CONFIG: the configuration's."
    )
    no_close_positions: bool = Field(default=False, description="Leave positions open at the end.")
    closing: Literal["CONFIG", "last_price", "book", "work"] = Field(
        default="CONFIG", description="How positions are closed; CONFIG: the configuration's."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="What of a strategy's log is kept with the result."
    )
    engine: Literal["nautilus", "kernel"] = Field(
        default="nautilus", description="What matches the orders."
    )
    exec_algorithm: Literal["NORMAL", "TWAP", "VWAP", "ICEBERG"] | None = None
    exec_algorithm_params: dict[str, Any] | None = None

    def new_run(
        self, loaded: LoadedConfig, settings: Settings, option: Callable[[str], str] = str
    ) -> NewRun:
        """Return the request that it is, after checking what must agree.

        Parameters
        ----------
        loaded : LoadedConfig
            The configuration that it names.
        settings : Settings
            The settings of the process.
        option : callable, optional
            How the one who asked spells a field.

        Raises
        ------
        InvalidRequestError
            If it cannot be carried out as it is written.
        """
        first = days_of(require_time("start", self.start), require_time("end", self.end))[0]
        is_other = not names_instrument(self.instrument, loaded)
        raw_root = effective_settings(loaded, settings).raw_root
        needs_algorithm = bool(self.exec_algorithm_params) and self.exec_algorithm is None
        rules = [
            (
                is_other,
                "instrument",
                f"{self.instrument!r} does not match {loaded.name}, which has {loaded.key}",
            ),
            (self.fast and self.report, "fast", f"this and {option('report')} exclude each other"),
            (
                self.fast and self.export_ticks,
                "export_ticks",
                f"this needs {option('report')}: fast mode keeps no ticks",
            ),
            (
                self.data_source == "gcs" and not raw_root.startswith("gs://"),
                "data_source",
                f"found gcs, but raw files are read from {raw_root} and no bucket is named; set "
                "UNIFIED_CLOUD_SERVICES_GCS_BUCKET",
            ),
            (
                self.data_source == "local" and is_url(raw_root),
                "data_source",
                f"found local, but raw files are read from {raw_root}; set "
                "UNIFIED_CLOUD_LOCAL_PATH to a local folder",
            ),
            (needs_algorithm, "exec_algorithm_params", f"give {option('exec_algorithm')}, too"),
            (
                self.dataset not in (None, f"day-{first}"),
                "dataset",
                f"found {self.dataset!r}, allowed day-{first}, the UTC day of start",
            ),
        ]
        for is_broken, name, text in rules:
            if is_broken:
                raise InvalidRequestError("invalid-request", f"{option(name)}: {text}")
        return NewRun(
            config=loaded.name,
            start=self.start,
            end=self.end,
            mode="fast" if self.fast else "report",
            snapshot_mode=self.snapshot_mode,
            close_positions=not self.no_close_positions,
            closing=self.closing,
            log_level=self.log_level,
            engine=self.engine,
            exec_algorithm=self.exec_algorithm or "CONFIG",
            exec_algorithm_params=self.exec_algorithm_params or {},
            missing_days=self.missing_days,
            export_ticks=self.export_ticks,
        )


def _automatic(loaded: LoadedConfig) -> Literal["both", "trades", "bars"]:
    """Return what moves the market when nobody says it."""
    if loaded.bars is not None:
        return "bars"
    has_book = loaded.ticks.data_catalog.book_snapshot_5_path is not None
    return "both" if has_book else "trades"


def _ordered(
    start: int | None, end: int | None, asked: Sequence[str]
) -> tuple[int | None, int | None]:
    """Return start and end (ns) unless there is no time between them; `asked` names those given.

    Raises
    ------
    InvalidRequestError
        If the start is not before the end.
    """
    text = empty_window(start, end, asked)
    if text is not None:
        raise InvalidRequestError("invalid-window", text)
    return start, end


def _line(problem: Any) -> str:  # noqa: ANN401 - pydantic's error details
    key = ".".join(map(str, problem["loc"]))
    text = str(problem["msg"]).removeprefix("Value error, ")
    return f"{key}: {text}" if key else text


def _exact(value: object) -> object:
    if not isinstance(value, float):
        return value
    return int(value) if value.is_integer() else Decimal(repr(value))


def _problems(loaded: LoadedConfig, error: ValidationError) -> str:
    from odum_assets.config.problems import find_problems

    problems = find_problems(error, type(loaded.config.strategy))
    return "\n".join(f"run config of {loaded.name}: {problem}" for problem in problems)
