"""What a caller asks for: one run over one or several days.

What belongs here: the request, and finding out early that it cannot be served. What does not:
running it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Self

from odum_assets.bars.calendar import BarCalendar
from odum_assets.config import LoadedConfig, catalog_root, raw_path
from odum_assets.config.sections.algorithms import ExecAlgorithm
from odum_assets.config.sections.execution import Closing, ClosingMethod
from odum_assets.errors import BacktestError, DataError
from odum_assets.instruments import InstrumentKey
from odum_assets.raw.layout import DataType
from odum_assets.settings import Settings
from odum_assets.utc import DAY_NS, day_of_ns, day_start_ns, iso_ns

Mode = Literal["fast", "report"]
SnapshotMode = Literal["trades", "book", "both", "bars"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
Engine = Literal["nautilus", "kernel"]

WINDOW = "window"
"""Name of the result of a window, in place of a day."""

_MOST_NAMED = 20
_MODE_NEEDS_BOOK = ("book", "both")


class NotConvertedError(DataError):
    """Report catalog partitions of a run that are missing."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """Describe one backtest run.

    Parameters
    ----------
    config : LoadedConfig
        The run configuration.
    days : tuple[date, ...]
        Catalog days that are read, in order; several days are one continuous account. For bars:
        dates of sessions, for daily bars first days of years.
    partition : str
        Name of the result: the day, or ``window``.
    start_ns, end_ns : int or None
        Window in nanoseconds since 1970 (UTC), `end_ns` exclusive: inside the day, or for a
        ``window`` wider than its days where the catalog lacks the first or last ones. Each takes
        precedence over that of the configuration's ``time_window``, which counts where it is None.
    mode : {"fast", "report"}
        Whether tables and documents are kept beside the summary.
    snapshot_mode : {"trades", "book", "both", "bars"}
        What moves the simulated market: the trades alone (best bid and ask follow the last trade),
        the book snapshots alone (trades are only the strategy's signal), or both; bars for a
        configuration for bars.
    close_positions : bool
        Whether positions are closed at the end of the window.
    closing : ClosingMethod or None
        How they are closed, in place of the configuration's ``execution.closing.method``.
    exec_algorithm : ExecAlgorithm or None
        Execution algorithm in place of the configuration's.
    log_level : {"DEBUG", "INFO", "WARNING", "ERROR"}
        What of a strategy's log is kept with the result.
    refuse_missing_days : bool
        Whether a window that lacks days is refused, wherever they are missing.
    engine : {"nautilus", "kernel"}
        What matches the orders: NautilusTrader, or the kernel where it is covered by it.
    overrides : mapping
        What `config` has in place of its file's values, by dotted path; JSON values.
    export_ticks : bool
        Whether the trades that the run goes over are exported after it.
    """

    config: LoadedConfig
    days: tuple[date, ...]
    partition: str
    start_ns: int | None = None
    end_ns: int | None = None
    mode: Mode = "report"
    snapshot_mode: SnapshotMode = "both"
    close_positions: bool = True
    closing: ClosingMethod | None = None
    exec_algorithm: ExecAlgorithm | None = None
    log_level: LogLevel = "INFO"
    refuse_missing_days: bool = False
    engine: Engine = "nautilus"
    overrides: Mapping[str, Any] = field(default_factory=dict, hash=False)
    export_ticks: bool = False

    @property
    def data_types(self) -> tuple[DataType, ...]:
        """Return the raw data types that the run reads; funding only where it is configured.

        Of those in ``config.optional_types`` it reads the days that are there.
        """
        bars = self.config.bars
        if bars is not None:
            return (DataType(bars.bars.data_type),)
        kinds = [DataType.TRADES]
        if self.snapshot_mode in _MODE_NEEDS_BOOK:
            kinds.append(DataType.BOOK)
        if self.config.ticks.data_catalog.derivative_ticker_path is not None:
            kinds.append(DataType.FUNDING)
        return tuple(kinds)

    @property
    def effective_closing(self) -> Closing | None:
        """Return how positions are closed, None where they stay open and for bars."""
        if not self.close_positions or self.config.bars is not None:
            return None
        configured = self.config.ticks.execution.closing
        if self.closing is None:
            return configured
        return configured.model_copy(update={"method": self.closing})

    @property
    def algorithm(self) -> ExecAlgorithm:
        """Return the execution algorithm that counts."""
        return self.exec_algorithm or self.config.ticks.strategy.exec_algorithm

    @property
    def calendar(self) -> BarCalendar | None:
        """Return sessions and partitions of a configuration for bars, None for ticks."""
        return None if self.config.bars is None else BarCalendar.of(self.config.bars)

    @property
    def sessions(self) -> tuple[date, ...]:
        """Return the dates of the sessions that are traded, in order; none for ticks."""
        calendar = self.calendar
        if calendar is None or not self.days:
            return ()
        first, last = self.span()
        start, end = self.bounds()
        inside = calendar.dates_between(
            first if start is None else start, last if end is None else end
        )
        partitions = set(self.days)
        return tuple(day for day in inside if calendar.partition_of(day) in partitions)

    @property
    def catalog_days(self) -> tuple[date, ...]:
        """Return the catalog partitions that the run must have, in order.

        For bars those that its sessions touch; sessions before, which warm indicators up, are read
        as far as they are there.
        """
        calendar = self.calendar
        return self.days if calendar is None else tuple(calendar.catalog_days(self.sessions))

    def span(self) -> tuple[int, int]:
        """Return where the days begin and end (ns); for bars their first and last session."""
        calendar = self.calendar
        span = None if calendar is None else calendar.bounds(self.days)
        return span or (day_start_ns(self.days[0]), day_start_ns(self.days[-1]) + DAY_NS)

    def bounds(self) -> tuple[int | None, int | None]:
        """Return which rows of the days are replayed (ns, end exclusive).

        A bound that cuts nothing off is None. Bars belong to a window when they close after its
        start and not after its end.
        """
        start, end = self.window()
        first, last = self.span()
        if start is not None and start <= first:
            start = None
        if end is not None and end >= last:
            end = None
        return start, end

    def normalized(self) -> Self:
        """Return the request with its effective window written out.

        A bound that was not given stays None unless the configuration's cuts something off.
        """
        (start, end), (first, last) = self.window(), self.bounds()
        return replace(
            self,
            start_ns=first if self.start_ns is None else start,
            end_ns=last if self.end_ns is None else end,
        )

    @property
    def is_whole(self) -> bool:
        """Return whether it covers all that the configuration runs of its days."""
        start, end = self.bounds()
        own_start, own_end = replace(self, start_ns=None, end_ns=None).bounds()
        is_early = start is None or (own_start is not None and start <= own_start)
        is_late = end is None or (own_end is not None and end >= own_end)
        return self.partition == WINDOW or (is_early and is_late)

    @property
    def missing_days(self) -> tuple[date, ...]:
        """Return the days of the window that are not among `days`, in order.

        The window reaches from the first to the last of its days; a bound that was not given is
        that of the first or last of `days`.
        """
        start, end = self.window()
        calendar = self.calendar
        if calendar is not None:
            span = self.span()
            dates = calendar.dates_between(
                span[0] if self.start_ns is None or start is None else start,
                span[1] if self.end_ns is None or end is None else end,
            )
            return tuple(day for day in calendar.partitions(dates) if day not in set(self.days))
        first = self.days[0] if self.start_ns is None or start is None else day_of_ns(start)
        last = self.days[-1] if self.end_ns is None or end is None else day_of_ns(end - 1)
        count = (last - first).days + 1
        there = set(self.days)
        window_days = (first + timedelta(days=index) for index in range(count))
        return tuple(day for day in window_days if day not in there)

    def window(self) -> tuple[int | None, int | None]:
        """Return start and end that count: those asked for, else the configuration's."""
        window = self.config.config.time_window
        return (
            window.start_ns if self.start_ns is None else self.start_ns,
            window.end_ns if self.end_ns is None else self.end_ns,
        )


def check_request(request: RunRequest, settings: Settings) -> Path:
    """Refuse at once what cannot be run.

    Parameters
    ----------
    request : RunRequest
        The run.
    settings : Settings
        Where everything lies.

    Returns
    -------
    Path
        The catalog that the run reads.

    Raises
    ------
    BacktestError
        If the window or the mode does not fit the configuration.
    DataError
        If days of the window are missing and the request refuses that, or if catalog partitions of
        its days are missing; each is named with its raw file and what to run.
    ConfigError
        If the configuration reads from a source that is not supported.
    """
    root = catalog_root(request.config, settings)
    check_options(request)
    _check_days(request, root)
    _check_partitions(request, settings, root)
    return root


def check_options(request: RunRequest) -> None:
    """Refuse what no data could make possible: `check_request` without a look at the catalog.

    Raises
    ------
    BacktestError
        If the window or the mode does not fit the configuration.
    """
    _check_window(request)
    _check_engine(request)
    if (
        request.config.bars is None
        and request.snapshot_mode in _MODE_NEEDS_BOOK
        and request.config.ticks.data_catalog.book_snapshot_5_path is None
    ):
        raise BacktestError(
            f"{request.config.path}: snapshot_mode {request.snapshot_mode} needs book snapshots, "
            "but data_catalog.book_snapshot_5_path is not set; set it, or run with snapshot_mode "
            "trades"
        )


def _check_engine(request: RunRequest) -> None:
    from odum_assets.backtest.coverage import uncovered_request

    if request.engine == "nautilus":
        return
    why = uncovered_request(request)
    if why is not None:
        raise BacktestError(
            f"{request.config.path}: engine kernel does not cover {why}; run it with engine "
            "nautilus"
        )
    if find_spec("numba") is None:
        raise BacktestError(
            "engine kernel needs Numba, which is not installed; run: make install, or pip install "
            "'odum-assets[vector]'"
        )


def _check_window(request: RunRequest) -> None:
    start, end = request.window()
    given = {"start": request.start_ns, "end": request.end_ns}
    text = empty_window(start, end, [name for name, moment in given.items() if moment is not None])
    if text is not None:
        raise BacktestError(text)
    if request.calendar is not None:
        _check_sessions(request, request.calendar)
    outside = [
        day
        for day in request.days
        if not _overlaps(replace(request, days=(day,)).span(), start, end)
    ]
    if outside:
        raise BacktestError(
            f"{request.config.path}: {name_days(outside)} lies outside time_window "
            f"({_text(start)} to {_text(end)}); choose a day inside it, give start and end, which "
            "take precedence over it, or widen time_window"
        )
    first_ns, last_ns = request.span()
    if request.partition == WINDOW:
        # Its first and last days may be missing.
        first_ns = min(first_ns, given["start"] or first_ns)
        last_ns = max(last_ns, given["end"] or last_ns)
    for name, moment in given.items():
        if moment is not None and not first_ns <= moment <= last_ns:
            raise BacktestError(
                f"{name} {_text(moment)} lies outside {_text(first_ns)} to {_text(last_ns)}, the "
                f"days of partition {request.partition}; choose a time inside, or other days"
            )


def empty_window(start: int | None, end: int | None, asked: Sequence[str]) -> str | None:
    """Return why a window (ns, end exclusive) holds no time, None if it does.

    Parameters
    ----------
    start, end : int or None
        The window; None where it is open.
    asked : sequence of str
        Which of ``start`` and ``end`` were asked for; others are the configuration's.
    """
    if start is None or end is None or start < end:
        return None
    first, last = (
        f"{'' if name in asked else 'time_window.'}{name} {iso_ns(moment)}"
        for name, moment in (("start", start), ("end", end))
    )
    return (
        f"{first} is not before {last}; end is exclusive, and what is asked for takes precedence "
        "over time_window"
    )


def is_beside(request: RunRequest, spans: Sequence[tuple[int, int]]) -> bool:
    """Return whether a window lies wholly beside times from the first to the last trade (ns)."""
    start, end = request.window()
    return not any(
        (end is None or first < end) and (start is None or start <= last) for first, last in spans
    )


def without_trades(request: RunRequest, spans: Sequence[tuple[int, int]]) -> str:
    """Return that a window holds no trades, and where they are: from first to last (ns), by day."""
    start, end = request.window()
    hours = ", ".join(f"{iso_ns(first)} to {iso_ns(last)}" for first, last in spans[:_MOST_NAMED])
    return (
        f"{request.config.name}: no trades lie in the window ({_text(start)} to {_text(end)}); the "
        f"trades of its days reach from {hours}"
    )


def _overlaps(span: tuple[int, int], start: int | None, end: int | None) -> bool:
    first, last = span
    return (end is None or first < end) and (start is None or start < last)


def _check_days(request: RunRequest, root: Path) -> None:
    missing = request.missing_days
    if missing and request.refuse_missing_days:
        name = request.config.name
        kind = "trades" if request.calendar is None else "bars"
        raise DataError(
            f"{name} {request.partition}: {root} lacks {kind} of {name_days(missing)}, and "
            "missing_days is refuse. Convert those days (odum convert "
            f"{name} --from {missing[0]} --to {missing[-1]}), choose another window, or set "
            "missing_days to warn."
        )


def name_days(days: Sequence[date]) -> str:
    """Return days as text: all of them, or the first ones and how many more there are."""
    named = ", ".join(day.isoformat() for day in days[:_MOST_NAMED])
    more = len(days) - _MOST_NAMED
    return f"{named} and {more} more days" if more > 0 else named


def _check_partitions(request: RunRequest, settings: Settings, root: Path) -> None:
    from odum_assets.catalog import read_manifest

    lines = [
        f"  {data_type} {day}: raw file {_raw_file(request, key, data_type, day, settings)}; "
        f"run: odum convert {request.config.name} --day {day}"
        for key in request.config.keys
        for data_type in request.data_types
        for day in request.catalog_days
        if data_type not in request.config.optional_types
        and read_manifest(root, key, data_type, day) is None
    ]
    if lines:
        raise NotConvertedError(
            f"{request.config.name} {request.partition}: catalog partitions are missing in "
            f"{root}:\n" + "\n".join(lines)
        )


def _check_sessions(request: RunRequest, calendar: BarCalendar) -> None:
    closed = [day.isoformat() for day in request.days if not calendar.dates(day)]
    if closed:
        raise BacktestError(
            f"{request.config.path}: no session on {', '.join(closed)} (a weekend, or one of "
            "session.holidays); choose a date with a session"
        )


def _raw_file(
    request: RunRequest, key: InstrumentKey, data_type: DataType, day: date, settings: Settings
) -> str:
    # Bars that are aggregated come from the raw files of trades.
    is_read = request.config.config.template(data_type, key) is not None
    return raw_path(request.config, data_type if is_read else "trades", day, settings, key)


def _text(moment: int | None) -> str:
    return "open" if moment is None else iso_ns(moment)
