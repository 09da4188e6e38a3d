"""``odum backtest``: one configuration over a day, several days, or one continuous window."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from odum_assets.cli.options import (
    AlgorithmOption,
    ClosingOption,
    ConfigArgument,
    DayOption,
    EndOption,
    EngineChoice,
    EngineOption,
    FastOption,
    ForegroundOption,
    FromOption,
    JsonOption,
    LogLevelChoice,
    LogLevelOption,
    MissingDaysOption,
    NoCloseOption,
    ParamsOption,
    ReportOption,
    SnapshotOption,
    StartOption,
    ToOption,
)

if TYPE_CHECKING:
    from odum_assets.cli.board import DayWork
    from odum_assets.cli.session import Session
    from odum_assets.results.store import ResultEntry


def backtest(
    config: ConfigArgument,
    day: DayOption = None,
    first: FromOption = None,
    last: ToOption = None,
    window: Annotated[
        bool,
        typer.Option("--window", help="Run all of it as one continuous account, across midnight."),
    ] = False,
    fast: FastOption = False,
    report: ReportOption = False,
    snapshot_mode: SnapshotOption = None,
    start: StartOption = None,
    end: EndOption = None,
    missing_days: MissingDaysOption = None,
    no_close_positions: NoCloseOption = False,
    closing: ClosingOption = None,
    engine: EngineOption = EngineChoice.NAUTILUS,
    exec_algorithm: AlgorithmOption = None,
    exec_algorithm_params: ParamsOption = None,
    export_ticks: Annotated[
        bool, typer.Option("--export-ticks", help="Also write the replayed trades as JSON.")
    ] = False,
    log_level: LogLevelOption = LogLevelChoice.INFO,
    foreground: ForegroundOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run a backtest; what is not converted yet is converted first.

    Of several days each is run, whatever becomes of the others. Days without data are named, and
    the exit code is 1 if one failed. Without days, --start and --end or the configuration's
    time_window say what to run: within one day that day, else all of it as with --window.

    [dim]Examples:[/]
      odum backtest binance_futures_btcusdt_l2_trades_config --day 2024-07-18
      odum backtest binance_futures_btcusdt_l2_trades_config --day 2024-07-18 \
--start 23:57 --end 23:58 --fast
      odum backtest binance_futures_btcusdt_l2_trades_config --window \
--start 2024-07-18T23:57:00Z --end 2024-07-19T00:05:00Z
    """
    from odum_assets.cli.backfill import is_good
    from odum_assets.cli.backfill import plan as plan_range
    from odum_assets.cli.board import record as day_record
    from odum_assets.cli.board import show
    from odum_assets.cli.errors import UsageError
    from odum_assets.cli.options import chosen_mode, parse_params, require_pair
    from odum_assets.cli.outcome import record, show_short
    from odum_assets.cli.rendering import Output
    from odum_assets.cli.runs import run_plan
    from odum_assets.cli.selection import choose_config
    from odum_assets.cli.session import open_session
    from odum_assets.orchestration.requests import NewRun
    from odum_assets.settings import load_settings

    require_pair(first, last)
    if day is not None and (first is not None or window):
        raise UsageError("--day runs one day; leave out --from, --to and --window")
    if foreground and first is not None and not window:
        raise UsageError("--foreground runs one day or a window: give --day or --window")
    if missing_days is not None and not window and (day or first) is not None:
        raise UsageError("--missing-days needs --window")
    output, settings = Output(as_json), load_settings()
    choice = choose_config(config, settings)
    if choice.warning:
        output.warn(choice.warning)
    new = NewRun.of(
        config=choice.name,
        day=day,
        first_day=first,
        last_day=last,
        window=window,
        mode=chosen_mode(fast=fast, report=report),
        snapshot_mode=snapshot_mode,
        start=start,
        end=end,
        missing_days=missing_days,
        close_positions=not no_close_positions,
        closing=closing,
        engine=engine.value,
        exec_algorithm=exec_algorithm,
        exec_algorithm_params=parse_params(exec_algorithm_params),
        export_ticks=export_ticks,
        log_level=log_level.value,
    )
    replays = engine is EngineChoice.NAUTILUS
    with open_session(
        choice.settings, output, replays=replays, in_foreground=foreground
    ) as session:
        planner = session.planner()
        if new.is_range:
            works = _run_days(session, plan_range(planner, new, only_available=True))
            entries = _results(session, works)
        else:
            works, entries = [], [run_plan(session, planner.plan(new))]
    if works:
        document = {"days": [day_record(work) for work in works]}
        output.data({"results": [record(entry) for entry in entries], **document})
        show(output, works)
        if not is_good(works):
            raise typer.Exit(1)
        return
    output.data({"results": [record(entry) for entry in entries]})
    show_short(output, entries[0])


def _run_days(session: "Session", works: "list[DayWork]") -> "list[DayWork]":
    """Run what is planned, one day after the other, whatever becomes of the others."""
    from odum_assets.cli.runs import carry_out

    planned = [work for work in works if work.plan is not None]
    for number, work in enumerate(planned, 1):
        assert work.plan is not None  # noqa: S101 - chosen above
        started = time.monotonic()
        work.result = carry_out(session, work.plan)
        work.state = "done" if work.result.success else "failed"
        work.seconds = time.monotonic() - started
        end = work.figures.get("run_id") or work.state
        session.output.info(f"{work.day}: {end} ({number} of {len(planned)})")
    return works


def _results(session: "Session", works: "list[DayWork]") -> "list[ResultEntry]":
    from odum_assets.results.store import ResultStore

    store = ResultStore(session.settings.results_path)
    return [store.entry(work.figures["run_id"]) for work in works if work.state == "done"]
