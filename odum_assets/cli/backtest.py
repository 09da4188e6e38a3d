"""``odum backtest``: one configuration over a day, several days, or one continuous window."""

from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from odum_assets.cli.options import (
    AlgorithmOption,
    ClosingOption,
    ConfigArgument,
    DayOption,
    EndOption,
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
    from odum_assets.cli.session import Session
    from odum_assets.orchestration.planner import Plan
    from odum_assets.orchestration.requests import NewRun


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

    Without days, --start and --end or the configuration's time_window say what to run: within one
    day that day, else all of it as with --window.

    [dim]Examples:[/]
      odum backtest binance_futures_btcusdt_l2_trades_config --day 2024-07-18
      odum backtest binance_futures_btcusdt_l2_trades_config --day 2024-07-18 \
--start 23:57 --end 23:58 --fast
      odum backtest binance_futures_btcusdt_l2_trades_config --window \
--start 2024-07-18T23:57:00Z --end 2024-07-19T00:05:00Z
    """
    from odum_assets.cli.errors import UsageError
    from odum_assets.cli.options import chosen_mode, parse_params, require_pair
    from odum_assets.cli.outcome import record, show_list, show_short
    from odum_assets.cli.rendering import Output
    from odum_assets.cli.runs import run_plan
    from odum_assets.cli.selection import choose_config
    from odum_assets.cli.session import open_session
    from odum_assets.orchestration.requests import NewRun
    from odum_assets.settings import load_settings

    require_pair(first, last)
    if day is not None and (first is not None or window):
        raise UsageError("--day runs one day; leave out --from, --to and --window")
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
        exec_algorithm=exec_algorithm,
        exec_algorithm_params=parse_params(exec_algorithm_params),
        export_ticks=export_ticks,
        log_level=log_level.value,
    )
    with open_session(choice.settings, output, replays=True, in_foreground=foreground) as session:
        plans, entries = _plans(session, new), []
        for plan in plans:
            entries.append(run_plan(session, plan))
            if len(plans) > 1:
                output.info(f"{plan.partition}: {plan.run_id} ({len(entries)} of {len(plans)})")
    output.data({"results": [record(entry) for entry in entries]})
    for entry in entries if len(entries) == 1 else []:
        show_short(output, entry)
    if len(entries) > 1:
        show_list(output, entries)


def _plans(session: "Session", new: "NewRun") -> "list[Plan]":
    """Return the runs that a request comes to, each day of a range by itself.

    Raises
    ------
    UnavailableDataError
        If data are missing; nothing is run then.
    """
    from odum_assets.backtest.request import name_days
    from odum_assets.errors import UnavailableDataError

    planner = session.planner()
    if not new.is_range:
        return [planner.plan(new)]
    plans, refused = planner.plan_days(new)
    if refused:
        days = name_days([date.fromisoformat(day) for day in refused])
        raise UnavailableDataError(
            "missing-data",
            f"{new.config}: cannot run {days} (odum backfill leaves such days out):\n"
            f"{next(iter(refused.values()))}",
        )
    return [*plans.values()]
