"""What a person may choose per run, with help in the launchpad, and what it means to the engine.

What belongs here: the run config of assets and its translation into a `RunRequest`. What does not:
the run configuration files (``config``).
"""

import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import dagster as dg
from pydantic import Field, ValidationError

from odum_assets.config import LoadedConfig
from odum_assets.errors import ConfigError

if TYPE_CHECKING:
    from odum_assets.backtest.request import RunRequest
    from odum_assets.config.sections.algorithms import ExecAlgorithm
    from odum_assets.config.variants import Variant

_TIME_OF_DAY = re.compile(r"\d\d:\d\d(:\d\d(\.\d{1,6})?)?Z?", re.ASCII)


class ConvertConfig(dg.Config):
    """Run config of a catalog asset."""

    force: bool = Field(
        default=False,
        description="Convert again even if the raw file and the converter are unchanged.",
    )


class BacktestConfig(dg.Config):
    """Run config that results of a day and of a window share."""

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
        description="Close open positions by market orders at the end of the window; what the book "
        "does not take stays open and is reported.",
    )
    exec_algorithm: Literal["CONFIG", "NORMAL", "TWAP", "VWAP", "ICEBERG"] = Field(
        default="CONFIG",
        description="Execution algorithm for this run. CONFIG: the configuration's.",
    )
    exec_algorithm_params: dict[str, float] = Field(
        default={},
        description="Parameters of exec_algorithm, defaults where left out. TWAP: horizon_secs, "
        "interval_secs. VWAP: horizon_secs, intervals, lookback_days. ICEBERG: visible_pct.",
    )

    def request(
        self,
        loaded: LoadedConfig,
        days: tuple[date, ...],
        partition: str,
        bounds: tuple[int | None, int | None],
    ) -> "RunRequest":
        """Return the request that this run config makes of a configuration and its days.

        Raises
        ------
        ConfigError
            If the execution algorithm or its parameters cannot be used.
        """
        from odum_assets.backtest.request import RunRequest

        has_book = loaded.config.data_catalog.book_snapshot_5_path is not None
        automatic: Literal["both", "trades"] = "both" if has_book else "trades"
        return RunRequest(
            config=loaded,
            days=days,
            partition=partition,
            start_ns=bounds[0],
            end_ns=bounds[1],
            mode=self.mode,
            snapshot_mode=automatic if self.snapshot_mode == "auto" else self.snapshot_mode,
            close_positions=self.close_positions,
            exec_algorithm=self._algorithm(loaded),
            refuse_missing_days=self._refuses_missing_days(loaded),
        )

    def _refuses_missing_days(self, loaded: LoadedConfig) -> bool:
        """Return whether a window that lacks days is refused."""
        return loaded.config.quality.missing_days == "refuse"

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
            "params": {name: _number(value) for name, value in params.items()},
        }
        strategy = loaded.config.strategy
        given = {name: getattr(strategy, name) for name in strategy.model_fields_set}
        try:
            # Through the section, so that its rules between keys hold for this run, too.
            checked = type(strategy).model_validate({**given, "exec_algorithm": chosen})
        except ValidationError as error:
            raise ConfigError(_problems(loaded, error)) from None
        return checked.exec_algorithm


class ResultConfig(BacktestConfig):
    """Run config of a day's result."""

    start: str | None = Field(
        default=None,
        description="First moment inside the day: 2023-05-23T19:23:00Z, or a time of day in UTC "
        "such as 19:23 (the one to use in a backfill). Empty: all of the day.",
    )
    end: str | None = Field(
        default=None,
        description="First moment after the window, spelled like start. Empty: all of the day.",
    )

    def day_request(self, loaded: LoadedConfig, day: date) -> "RunRequest":
        """Return the request for one day.

        Raises
        ------
        ConfigError
            If a time or the execution algorithm cannot be used.
        """
        bounds = (parse_moment("start", self.start, day), parse_moment("end", self.end, day))
        return self.request(loaded, (day,), day.isoformat(), bounds)


class SweepConfig(ResultConfig):
    """Run config of a sweep over one day."""

    vary: dict[str, list[Any | None]] = Field(
        default={},
        description="Values by dotted path of the run configuration; every combination runs, such "
        "as {strategy.params.window: [50, 100], execution.latency.insert_ms: [0, 5]}. What decides "
        "the data (instrument, data_catalog, time_window) may not vary. A number with more digits "
        'than a float holds is written {"$number": "0.1234567890123456789"}.',
    )
    variants: list[dict[str, Any | None]] = Field(
        default=[],
        description="In place of vary: one {path: value} object per variant.",
    )
    slots: int = Field(default=2, ge=1, le=64, description="Variants that run at one time.")

    def made_variants(self, loaded: LoadedConfig) -> "list[Variant]":
        """Return the variants of a configuration.

        Raises
        ------
        ConfigError
            If nothing varies, or not like this.
        """
        from odum_assets.config.variants import grid, make_variants

        if self.vary and self.variants:
            raise ConfigError("vary and variants exclude each other")
        return make_variants(loaded, grid(self.vary) if self.vary else self.variants)


class WindowConfig(BacktestConfig):
    """Run config of a window."""

    start: str | None = Field(
        default=None,
        description="First moment, such as 2023-05-23T19:23:00Z. Empty: time_window.start of the "
        "configuration, which must then be set.",
    )
    end: str | None = Field(
        default=None,
        description="First moment after the window, spelled like start. Empty: time_window.end of "
        "the configuration, which must then be set.",
    )
    missing_days: Literal["CONFIG", "warn", "refuse"] = Field(
        default="CONFIG",
        description="What becomes of the window when the catalog lacks days of it. warn: it runs "
        "over the others, and the result names those that are missing. refuse: it fails. CONFIG: "
        "quality.missing_days of the configuration.",
    )
    export_ticks: bool = Field(
        default=False, description="Also export the trades that the run went over, for charts."
    )

    def _refuses_missing_days(self, loaded: LoadedConfig) -> bool:
        if self.missing_days == "CONFIG":
            return super()._refuses_missing_days(loaded)
        return self.missing_days == "refuse"

    def bounds(self, loaded: LoadedConfig) -> tuple[int, int]:
        """Return the window (ns since 1970 UTC, end exclusive).

        Raises
        ------
        ConfigError
            If an end is open or cannot be read, or the window is empty.
        """
        window = loaded.config.time_window
        start = parse_moment("start", self.start, None)
        end = parse_moment("end", self.end, None)
        start = window.start_ns if start is None else start
        end = window.end_ns if end is None else end
        if start is None or end is None:
            name = "start" if start is None else "end"
            raise ConfigError(
                f"{loaded.path}: a window needs both ends, but its {name} is open; set "
                f"time_window.{name}, or give {name} in the run config"
            )
        if start >= end:
            raise ConfigError(f"{loaded.path}: the window's start is not before its end")
        return start, end


def parse_moment(name: str, text: str | None, day: date | None) -> int | None:
    """Return a time as nanoseconds since 1970 (UTC).

    Parameters
    ----------
    name : str
        Field, for the message.
    text : str or None
        ISO 8601 with a zone, or a time of `day` in UTC; None and empty text mean no bound.
    day : date or None
        The day that a time of day belongs to; None where only whole times are allowed.

    Raises
    ------
    ConfigError
        If the text is no such time.
    """
    if text is None or not text.strip():
        return None
    text = text.strip()
    try:
        if day is not None and _TIME_OF_DAY.fullmatch(text):
            moment = datetime.combine(day, time.fromisoformat(text.removesuffix("Z")), UTC)
        else:
            moment = datetime.fromisoformat(text)
    except ValueError:
        allowed = "2023-05-23T19:23:00Z" + ("" if day is None else " or 19:23:00")
        raise ConfigError(f"{name}: found {text!r}, allowed a time such as {allowed}") from None
    if moment.utcoffset() is None:
        # Written out: a day alone takes no zone.
        whole = f"{moment.isoformat()}Z"
        raise ConfigError(f"{name}: found {text!r} without a time zone, add Z for UTC: {whole}")
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


def _number(value: float) -> int | Decimal:
    return int(value) if value.is_integer() else Decimal(repr(value))


def _problems(loaded: LoadedConfig, error: ValidationError) -> str:
    from odum_assets.config.problems import find_problems

    problems = find_problems(error, type(loaded.config.strategy))
    return "\n".join(f"run config of {loaded.name}: {problem}" for problem in problems)
