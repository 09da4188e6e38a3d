"""``odum backtest``: one configuration over a day, several days, or one continuous window."""

from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from odum_assets.cli.options import (
    AlgorithmOption,
    ConfigArgument,
    DayOption,
    EndOption,
    FromOption,
    JsonOption,
    MissingDaysOption,
    NoCloseOption,
    ParamsOption,
    SnapshotOption,
    ToOption,
)

if TYPE_CHECKING:
    from odum_assets.cli.rendering import Output
    from odum_assets.cli.runs import RunOptions
    from odum_assets.config import LoadedConfig
    from odum_assets.results.store import ResultEntry


def backtest(
    config: ConfigArgument,
    day: DayOption = None,
    first: FromOption = None,
    last: ToOption = None,
    window: Annotated[
        bool, typer.Option("--window", help="All of it as one continuous account, over midnight.")
    ] = False,
    fast: Annotated[bool, typer.Option("--fast", help="Keep the summary only.")] = False,
    report: Annotated[
        bool, typer.Option("--report", help="Keep tables, timeline, tearsheet. The default.")
    ] = False,
    snapshot_mode: SnapshotOption = None,
    start: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="First moment: 2023-05-23T19:23:00Z, or 19:23 of a day."),
    ] = None,
    end: EndOption = None,
    missing_days: MissingDaysOption = None,
    no_close_positions: NoCloseOption = False,
    exec_algorithm: AlgorithmOption = None,
    exec_algorithm_params: ParamsOption = None,
    export_ticks: Annotated[
        bool, typer.Option("--export-ticks", help="Also write the replayed trades as JSON.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Run a backtest; what is not converted yet is converted first.

    Without days, the configuration's time_window says what to run.

    [dim]Examples:[/]
      odum backtest binance_futures_btcusdt_l2_trades_config --day 2024-07-18
      odum backtest binance_futures_btcusdt_l2_trades_config --day 2024-07-18 \
--start 23:57 --end 23:58 --fast
      odum backtest binance_futures_btcusdt_l2_trades_config --window \
--start 2024-07-18T23:57:00Z --end 2024-07-19T00:05:00Z
    """
    from odum_assets.cli.errors import UsageError
    from odum_assets.cli.options import parse_params
    from odum_assets.cli.outcome import record, show_list, show_short
    from odum_assets.cli.rendering import Output
    from odum_assets.cli.runs import RunOptions, run_day, run_window
    from odum_assets.cli.selection import choose_config
    from odum_assets.cli.session import open_session
    from odum_assets.config import load_config
    from odum_assets.settings import load_settings

    if fast and report:
        raise UsageError("--fast and --report exclude each other")
    if missing_days is not None and not window:
        raise UsageError("--missing-days belongs to --window")
    output, settings = Output(as_json), load_settings()
    choice = choose_config(config, settings)
    if choice.note:
        output.warn(choice.note)
    options = RunOptions(
        mode="fast" if fast else "report",
        snapshot_mode="auto" if snapshot_mode is None else snapshot_mode.value,
        close_positions=not no_close_positions,
        algorithm=None if exec_algorithm is None else exec_algorithm.value,
        params=parse_params(exec_algorithm_params),
        start=start,
        end=end,
        export_ticks=export_ticks,
        missing_days=None if missing_days is None else missing_days.value,
    )
    if options.params and options.algorithm is None:
        raise UsageError("--exec-algorithm-params needs --exec-algorithm")
    named = load_config(choice.path)
    days = _days(named, day, first, last, options, window=window)
    with open_session(choice.settings, output) as session:
        loaded = session.config(choice.name)
        if window:
            bounded = _with_bounds(loaded, days, options, named=first is not None)
            entries = [run_window(session, loaded, bounded)]
        else:
            entries = []
            for each in days:
                entries.append(run_day(session, loaded, each, options))
                _progress(output, entries, days)
    output.data({"results": [record(entry) for entry in entries]})
    for entry in entries if len(entries) == 1 else []:
        show_short(output, entry)
    if len(entries) > 1:
        show_list(output, entries)


def _progress(output: "Output", entries: "list[ResultEntry]", days: list[date]) -> None:
    if len(days) > 1:
        output.note(
            f"{entries[-1].partition}: {entries[-1].run_id} ({len(entries)} of {len(days)})"
        )


def _days(
    loaded: "LoadedConfig",
    day: date | None,
    first: date | None,
    last: date | None,
    options: "RunOptions",
    *,
    window: bool,
) -> list[date]:
    """Return the days that the options mean."""
    from odum_assets.cli.errors import UsageError
    from odum_assets.cli.options import days_between, require_pair

    span = require_pair(first, last)
    if day is not None and (span is not None or window):
        raise UsageError("--day is one day by itself; leave out --from, --to and --window")
    if day is not None:
        return [day]
    if span is not None:
        return days_between(*span)
    if window or not (options.start or options.end):
        days = _window_days(loaded, options, window=window)
        if window or len(days) == 1:
            return days
        raise UsageError(
            f"the time_window of {loaded.name} covers {len(days)} days: say --window for one "
            "continuous account, or --from and --to for each day by itself"
        )
    raise UsageError("say which day --start and --end belong to: --day DAY, or --window")


def _window_days(loaded: "LoadedConfig", options: "RunOptions", *, window: bool) -> list[date]:
    from odum_assets.cli.errors import UsageError
    from odum_assets.cli.moments import days_of, to_ns

    bounds = loaded.config.time_window
    start = to_ns("--start", options.start) if options.start else bounds.start_ns
    end = to_ns("--end", options.end) if options.end else bounds.end_ns
    if start is None or end is None:
        name = "start" if start is None else "end"
        raise UsageError(
            f"--window needs both ends, and the {name} of {loaded.name} is open: give --{name}, "
            "or --from and --to"
            if window
            else f"say which days: --day DAY, --from DAY --to DAY, or --window ({loaded.name} has "
            "an open time_window)"
        )
    return days_of(start, end)


def _with_bounds(
    loaded: "LoadedConfig", days: list[date], options: "RunOptions", *, named: bool
) -> "RunOptions":
    """Return options whose ends are given: by --start and --end, the days, or the configuration.

    Days that were `named` (by --from and --to) come before the configuration's window, which cuts
    off what lies outside it.
    """
    from dataclasses import replace
    from datetime import timedelta

    given = loaded.config.time_window
    start, end = options.start, options.end
    if start is None and (named or given.start is None):
        start = f"{days[0]}T00:00:00Z"
    if end is None and (named or given.end is None):
        end = f"{days[-1] + timedelta(days=1)}T00:00:00Z"
    return replace(options, start=start, end=end)
