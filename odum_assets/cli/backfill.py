"""``odum backfill``: many days of one or several configurations, each day in its own process."""

from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from odum_assets.cli.board import Board, DayWork, show
from odum_assets.cli.options import JsonOption, SnapshotOption, parse_day

if TYPE_CHECKING:
    from collections.abc import Sequence

    from odum_assets.cli.runs import RunOptions
    from odum_assets.cli.session import Session
    from odum_assets.config import LoadedConfig
    from odum_assets.orchestration.backfill import BackfillEvent


def backfill(
    configs: Annotated[
        list[str],
        typer.Argument(metavar="CONFIG...", help="Names, file names or paths.", show_default=False),
    ],
    first: Annotated[
        date, typer.Option("--from", parser=parse_day, metavar="DAY", help="First day.")
    ],
    last: Annotated[
        date, typer.Option("--to", parser=parse_day, metavar="DAY", help="Last day (included).")
    ],
    slots: Annotated[int, typer.Option(min=1, max=64, help="Days at one time.")] = 2,
    only_available: Annotated[
        bool,
        typer.Option(
            "--only-available/--all-days",
            help="Skip and name days without data, or run every day and let those fail.",
        ),
    ] = True,
    fast: Annotated[bool, typer.Option("--fast", help="Keep summaries only.")] = False,
    report: Annotated[
        bool, typer.Option("--report", help="Keep tables, timeline, tearsheet. The default.")
    ] = False,
    snapshot_mode: SnapshotOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run many days, each by itself and in a process of its own.

    A day that fails does not stop the others; the exit code is 1 if any failed.

    [dim]Example:[/]
      odum backfill binance_futures_btcusdt_l2_trades_config \
binance_futures_ethusdt_l2_trades_config --from 2024-07-18 --to 2024-07-19
    """
    from odum_assets.cli.errors import UsageError
    from odum_assets.cli.options import days_between
    from odum_assets.cli.rendering import Output
    from odum_assets.cli.runs import RunOptions
    from odum_assets.cli.selection import choose_config
    from odum_assets.cli.session import open_session
    from odum_assets.settings import load_settings

    if fast and report:
        raise UsageError("--fast and --report exclude each other")
    output, settings = Output(as_json), load_settings()
    days = days_between(first, last)
    choices = [choose_config(config, settings) for config in dict.fromkeys(configs)]
    folders = {choice.settings.configs_path for choice in choices}
    if len(folders) > 1:
        raise UsageError(f"the configurations lie in {len(folders)} folders; run one at a time")
    options = RunOptions(
        mode="fast" if fast else "report",
        snapshot_mode="auto" if snapshot_mode is None else snapshot_mode.value,
    )
    for note in dict.fromkeys(choice.note for choice in choices if choice.note):
        output.warn(note)
    with open_session(choices[0].settings, output) as session:
        works: list[DayWork] = []
        for choice in choices:
            works += plan(session, session.config(choice.name), days, options, only_available)
        run_all(session, works, options, slots)
    show(output, works)
    if any(work.state == "failed" for work in works) or not any(work.keys for work in works):
        raise typer.Exit(1)


def plan(
    session: "Session",
    loaded: "LoadedConfig",
    days: "Sequence[date]",
    options: "RunOptions",
    only_available: bool,
) -> list[DayWork]:
    """Return what is to be made on each day; a day without data has no assets to make."""
    from odum_assets.cli.partitions import to_convert
    from odum_assets.cli.runs import day_steps
    from odum_assets.orchestration.partition_state import State, look_at, sources_for

    sources = sources_for(session.graph.project, loaded, options.snapshot_mode)
    steps = tuple(("backtest", loaded.name, step) for step in day_steps(options))
    works = []
    for day in days:
        work = DayWork(loaded.name, day.isoformat())
        states = {look_at(session.graph.project, source, day).state for source in sources}
        if only_available and states == {State.MISSING}:
            work.state = "no data"
        else:
            todo = to_convert(session, sources, day)
            work.keys = (*(tuple(each.source.catalog_key.path) for each in todo), *steps)
        works.append(work)
    return works


def run_all(session: "Session", works: list[DayWork], options: "RunOptions", slots: int) -> None:
    """Run what is planned, several days at a time, and show it."""
    from odum_assets.orchestration.backfill import Work
    from odum_assets.orchestration.backfill import backfill as run_backfill

    chosen = [work for work in works if work.keys]
    with Board(session.output, works) as board:

        def follow(event: "BackfillEvent") -> None:
            chosen[event.index].take(event)
            board.update(chosen[event.index])

        run_backfill(
            session.instance,
            session.settings,
            [
                Work(
                    work.keys,
                    work.day,
                    {("backtest", work.config, "result"): options.run_config()},
                )
                for work in chosen
            ],
            slots=slots,
            tags={"odum/source": "cli"},
            on_event=follow,
        )
