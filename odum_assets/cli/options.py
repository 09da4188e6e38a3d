"""Options that several commands share, and reading what they say."""

import json
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Literal

import typer

from odum_assets.cli.errors import UsageError


class SnapshotChoice(StrEnum):
    """What moves the simulated market."""

    TRADES = "trades"
    BOOK = "book"
    BOTH = "both"


class AlgorithmChoice(StrEnum):
    """Execution algorithms."""

    NORMAL = "NORMAL"
    TWAP = "TWAP"
    VWAP = "VWAP"
    ICEBERG = "ICEBERG"


class ClosingChoice(StrEnum):
    """How open positions are closed at the end."""

    LAST_PRICE = "last_price"
    BOOK = "book"
    WORK = "work"


class EngineChoice(StrEnum):
    """What matches the orders."""

    NAUTILUS = "nautilus"
    KERNEL = "kernel"

    @property
    def name_of_engine(self) -> Literal["nautilus", "kernel"]:
        """Return the engine as requests name it."""
        return "kernel" if self is EngineChoice.KERNEL else "nautilus"


class LogLevelChoice(StrEnum):
    """What of a strategy's log is kept."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class MissingDaysChoice(StrEnum):
    """Whether a window with missing days runs."""

    WARN = "warn"
    REFUSE = "refuse"


class DataTypeChoice(StrEnum):
    """Kinds of raw data."""

    TRADES = "trades"
    BOOK = "book_snapshot_5"
    FUNDING = "derivative_ticker"
    BARS_1M = "bars_1m"
    BARS_5M = "bars_5m"
    BARS_15M = "bars_15m"
    BARS_1H = "bars_1h"
    BARS_1D = "bars_1d"


def parse_day(text: str | date) -> date:
    """Return a day written YYYY-MM-DD, perhaps with ``day-`` before it.

    Raises
    ------
    typer.BadParameter
        If it is no day.
    """
    if isinstance(text, date):
        return text
    try:
        return date.fromisoformat(text.strip().removeprefix("day-"))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a valid day; write YYYY-MM-DD") from None


JsonOption = Annotated[
    bool, typer.Option("--json", help="Print JSON on stdout, and nothing else there.")
]
ConfigArgument = Annotated[
    str,
    typer.Argument(
        metavar="CONFIG",
        help="Run configuration: its name, its file name, or the path of its file.",
        show_default=False,
    ),
]
DayOption = Annotated[
    date | None,
    typer.Option("--day", parser=parse_day, metavar="DAY", help="One UTC day, as 2024-07-18."),
]
FromOption = Annotated[
    date | None,
    typer.Option("--from", parser=parse_day, metavar="DAY", help="First day of a range."),
]
ToOption = Annotated[
    date | None,
    typer.Option("--to", parser=parse_day, metavar="DAY", help="Last day of a range (included)."),
]
SnapshotOption = Annotated[
    SnapshotChoice | None,
    typer.Option(help="What moves the market. Default: both where there are books."),
]
FastOption = Annotated[bool, typer.Option("--fast", help="Keep summaries only.")]
ReportOption = Annotated[
    bool, typer.Option("--report", help="Keep tables, timeline, tearsheet. The default.")
]
StartOption = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Start: 2023-05-23T19:23:00Z, or 19:23 with a day."),
]
EndOption = Annotated[
    str | None, typer.Option(metavar="TIME", help="End (exclusive), same format as --start.")
]
MissingDaysOption = Annotated[
    MissingDaysChoice | None,
    typer.Option(
        "--missing-days",
        help="Run a window with missing days and list them, or fail. Default: the configuration's.",
    ),
]
NoCloseOption = Annotated[
    bool, typer.Option("--no-close-positions", help="Leave positions open at the end.")
]
ClosingOption = Annotated[
    ClosingChoice | None,
    typer.Option(
        "--closing",
        help="How positions are closed at the end, instead of the configuration's way: at the last "
        "trade's price where the book does not take them, in the last book alone, or worked "
        "through the last minute's books.",
    ),
]
EngineOption = Annotated[
    EngineChoice,
    typer.Option(
        "--engine",
        help="What matches the orders: NautilusTrader, or the kernel, with the same result and "
        "many times as fast, where it covers the run.",
    ),
]
LogLevelOption = Annotated[
    LogLevelChoice,
    typer.Option(
        "--log-level",
        case_sensitive=False,
        help="What of the strategy's log is kept with the result.",
    ),
]
ForegroundOption = Annotated[
    bool,
    typer.Option(
        "--foreground",
        help="Let the strategy have the terminal: breakpoint() works, and what it prints is shown "
        "instead of kept.",
    ),
]
AlgorithmOption = Annotated[
    AlgorithmChoice | None,
    typer.Option(
        "--exec-algorithm",
        case_sensitive=False,
        help="Execution algorithm instead of the configuration's.",
    ),
]
ParamsOption = Annotated[
    str | None,
    typer.Option(
        "--exec-algorithm-params",
        metavar="JSON",
        help="""Its parameters, as '{"horizon_secs": 10}'.""",
    ),
]


def chosen_mode(*, fast: bool, report: bool) -> str:
    """Return the mode that two flags mean.

    Raises
    ------
    UsageError
        If both are given.
    """
    if fast and report:
        raise UsageError("--fast and --report exclude each other")
    return "fast" if fast else "report"


def require_pair(first: date | None, last: date | None) -> tuple[date, date] | None:
    """Return both ends of a range, None when neither is given.

    Raises
    ------
    UsageError
        If only one is given, or the last one is before the first one.
    """
    if first is None and last is None:
        return None
    if first is None or last is None:
        raise UsageError("--from and --to need each other: give both")
    if last < first:
        raise UsageError(f"--to {last} is before --from {first}")
    return first, last


def parse_params(
    text: str | None, option: str = "--exec-algorithm-params"
) -> dict[str, float | str]:
    """Return the parameters of an execution algorithm.

    Raises
    ------
    UsageError
        If the text is no JSON object of numbers and texts.
    """
    if text is None:
        return {}
    try:
        params: Any = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{option}: {text} is not valid JSON ({error})") from None
    if not isinstance(params, dict) or not all(_is_plain(value) for value in params.values()):
        raise UsageError(
            f"{option}: allowed a JSON object of numbers and texts such as "
            f'{{"horizon_secs": 10}}: {text}'
        )
    return {
        name: value if isinstance(value, str) else float(value) for name, value in params.items()
    }


def _is_plain(value: object) -> bool:
    return isinstance(value, int | float | str) and not isinstance(value, bool)
