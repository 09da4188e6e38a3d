"""``odum backfill``: many days of one or several configurations, each day in its own process."""

from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from odum_assets.cli.board import Board, DayWork, record, show
from odum_assets.cli.options import FastOption, JsonOption, ReportOption, SnapshotOption, parse_day

if TYPE_CHECKING:
    from odum_assets.cli.session import Session
    from odum_assets.orchestration.backfill import BackfillEvent
    from odum_assets.orchestration.planner import Planner
    from odum_assets.orchestration.requests import NewRun


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
    slots: Annotated[int, typer.Option(min=1, max=64, help="Days that run at the same time.")] = 2,
    only_available: Annotated[
        bool,
        typer.Option(
            "--only-available/--all-days",
            help="Skip days without data and list them, or run every day and let those fail.",
        ),
    ] = True,
    force: Annotated[
        bool, typer.Option("--force", help="Run days again whose results are up to date.")
    ] = False,
    fast: FastOption = False,
    report: ReportOption = False,
    snapshot_mode: SnapshotOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run many days, each by itself and in a process of its own.

    A day whose result is up to date (same data, configuration, options and strategy) is left
    alone. A day that fails does not stop the others; the exit code is 1 if any failed.

    [dim]Example:[/]
      odum backfill binance_futures_btcusdt_l2_trades_config \
binance_futures_ethusdt_l2_trades_config --from 2024-07-18 --to 2024-07-19
    """
    from odum_assets.cli.errors import UsageError
    from odum_assets.cli.options import chosen_mode, require_pair
    from odum_assets.cli.rendering import Output
    from odum_assets.cli.selection import choose_config
    from odum_assets.cli.session import open_session
    from odum_assets.orchestration.requests import NewRun
    from odum_assets.settings import load_settings

    require_pair(first, last)
    output, settings = Output(as_json), load_settings()
    choices = [choose_config(config, settings) for config in dict.fromkeys(configs)]
    folders = {choice.settings.configs_path for choice in choices}
    if len(folders) > 1:
        raise UsageError(
            f"the configurations are in {len(folders)} folders; run those of each folder separately"
        )
    requests = [
        NewRun.of(
            config=choice.name,
            first_day=first,
            last_day=last,
            mode=chosen_mode(fast=fast, report=report),
            snapshot_mode=snapshot_mode,
        )
        for choice in choices
    ]
    for warning in dict.fromkeys(choice.warning for choice in choices if choice.warning):
        output.warn(warning)
    with open_session(choices[0].settings, output) as session:
        planner = session.planner()
        works = [work for new in requests for work in plan(planner, new, only_available)]
        if not force:
            leave_finished(planner, works)
        run_all(session, works, slots)
    output.data({"days": [record(work) for work in works]})
    show(output, works)
    if not is_good(works):
        raise typer.Exit(1)


def is_good(works: list[DayWork]) -> bool:
    """Return whether no day failed and there was something to do or already done."""
    states = {work.state for work in works}
    return "failed" not in states and states != {"no data"}


def leave_finished(planner: "Planner", works: list[DayWork], *, ticks: bool = False) -> None:
    """Take days out of the work whose results are there already."""
    from odum_assets.orchestration.finished import finished_result

    for work in works:
        if work.plan is not None:
            entry = finished_result(planner.project, work.plan.request, ticks=ticks)
            if entry is not None:
                work.plan, work.state, work.stored = None, "finished", entry


def plan(planner: "Planner", new: "NewRun", only_available: bool) -> list[DayWork]:
    """Return what becomes of each day of a range; one that cannot be run has no plan."""
    plans, refused = planner.plan_days(new)
    works = [DayWork(new.config, day, planned) for day, planned in plans.items()]
    for day, error in refused.items():
        is_empty = error.code == "missing-data" and not error.is_partial
        state = "no data" if only_available and is_empty else "failed"
        works.append(DayWork(new.config, day, state=state, refusal=str(error)))
    return sorted(works, key=lambda work: work.day)


def run_all(session: "Session", works: list[DayWork], slots: int) -> None:
    """Run what is planned, several days at a time, and show it."""
    from odum_assets.orchestration.backfill import Work
    from odum_assets.orchestration.backfill import backfill as run_backfill

    chosen = [(work, work.plan) for work in works if work.plan is not None]
    with Board(session.output, works) as board:

        def follow(event: "BackfillEvent") -> None:
            work, _ = chosen[event.index]
            work.take(event)
            board.update(work)

        run_backfill(
            session.instance,
            session.settings,
            [
                Work(planned.keys, work.day, {planned.target: planned.config}, planned.tags)
                for work, planned in chosen
            ],
            slots=slots,
            on_event=follow,
        )
