"""The ``run-backtest`` command: the flags of the earlier system, through the same assets."""

import os
import sys
from enum import StrEnum
from typing import Annotated

import typer

from odum_assets.cli.options import (
    AlgorithmChoice,
    ClosingOption,
    EngineChoice,
    EngineOption,
    FastOption,
    ForegroundOption,
    JsonOption,
    LogLevelChoice,
    LogLevelOption,
    MissingDaysChoice,
    ReportOption,
    SnapshotChoice,
)
from odum_assets.cli.running import run_app


class DataSourceChoice(StrEnum):
    """Where raw data are read from."""

    LOCAL = "local"
    GCS = "gcs"
    AUTO = "auto"


app = typer.Typer(
    name="run-backtest",
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def run_backtest(
    instrument: Annotated[
        str,
        typer.Option("--instrument", help="Instrument, any spelling: BTCUSDT, BTC-USDT.BINANCE..."),
    ],
    config: Annotated[
        str, typer.Option("--config", help="Configuration: path, file name or name.")
    ],
    start: Annotated[
        str, typer.Option("--start", metavar="TIME", help="Start: 2023-05-23T19:23:00Z.")
    ],
    end: Annotated[
        str, typer.Option("--end", metavar="TIME", help="End (exclusive), same format as --start.")
    ],
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", metavar="day-DAY", help="Day folder of --start; only checked."),
    ] = None,
    fast: FastOption = False,
    report: ReportOption = False,
    export_ticks: Annotated[
        bool, typer.Option("--export_ticks", help="Also write the ticks; needs --report.")
    ] = False,
    snapshot_mode: Annotated[
        SnapshotChoice, typer.Option("--snapshot_mode", help="What moves the market.")
    ] = SnapshotChoice.BOTH,
    data_source: Annotated[
        DataSourceChoice,
        typer.Option("--data_source", help="Where raw files are read; auto: as configured."),
    ] = DataSourceChoice.AUTO,
    missing_days: Annotated[
        MissingDaysChoice | None,
        typer.Option(
            "--missing_days",
            help="Run a window with missing days and list them, or fail. Default: the "
            "configuration's.",
        ),
    ] = None,
    no_close_positions: Annotated[
        bool, typer.Option("--no_close_positions", help="Leave positions open at the end.")
    ] = False,
    closing: ClosingOption = None,
    engine: EngineOption = EngineChoice.NAUTILUS,
    exec_algorithm: Annotated[
        AlgorithmChoice | None,
        typer.Option("--exec_algorithm", case_sensitive=False, help="Execution algorithm."),
    ] = None,
    exec_algorithm_params: Annotated[
        str | None,
        typer.Option(
            "--exec_algorithm_params",
            metavar="JSON",
            help="""Its parameters, '{"horizon_secs": 10}'.""",
        ),
    ] = None,
    log_level: LogLevelOption = LogLevelChoice.INFO,
    foreground: ForegroundOption = False,
    as_json: JsonOption = False,
    debug: Annotated[  # noqa: ARG001 - taken from the arguments by `run_app`
        bool, typer.Option("--debug", help="Show the traceback of an error.")
    ] = False,
) -> None:
    """Run one backtest over a window, as one continuous account.

    A window inside one day is that day's partition in Dagster; a longer one runs the window job.

    [dim]Example:[/]
      run-backtest --instrument BTCUSDT --dataset day-2023-05-23 \
--config binance_futures_btcusdt_l2_trades_config.json \
--start 2023-05-23T02:00:00Z --end 2023-05-23T02:01:00Z --fast --snapshot_mode trades
    """
    from odum_assets.cli.options import parse_params
    from odum_assets.cli.outcome import record, show_short
    from odum_assets.cli.rendering import Output
    from odum_assets.cli.runs import run_plan
    from odum_assets.cli.selection import choose_config
    from odum_assets.cli.session import open_session
    from odum_assets.config import load_config
    from odum_assets.orchestration.requests import LegacyRun
    from odum_assets.settings import load_settings

    if data_source is not DataSourceChoice.AUTO:
        # Before settings are read, and for the process of the run, too.
        os.environ["ODUM_DATA_SOURCE"] = data_source.value
    output, settings = Output(as_json), load_settings()
    choice = choose_config(config, settings, what="--config")
    request = LegacyRun(
        instrument=instrument,
        config=choice.name,
        start=start,
        end=end,
        dataset=dataset,
        fast=fast,
        report=report,
        export_ticks=export_ticks,
        snapshot_mode=snapshot_mode.value,
        data_source=data_source.value,
        missing_days="CONFIG" if missing_days is None else missing_days.value,
        no_close_positions=no_close_positions,
        closing="CONFIG" if closing is None else closing.value,
        engine=engine.value,
        log_level=log_level.value,
        exec_algorithm=None if exec_algorithm is None else exec_algorithm.value,
        exec_algorithm_params=parse_params(exec_algorithm_params, "--exec_algorithm_params"),
    )
    new = request.new_run(load_config(choice.path), settings, "--{}".format)
    if choice.warning:
        output.warn(choice.warning)
    replays = engine is EngineChoice.NAUTILUS
    with open_session(
        choice.settings, output, replays=replays, in_foreground=foreground
    ) as session:
        entry = run_plan(session, session.planner().plan(new))
    output.data({**entry.document, "files": record(entry)["files"]})
    show_short(output, entry)


def main(arguments: list[str] | None = None) -> int:
    """Run ``run-backtest`` and return its exit code."""
    return run_app(app, "run-backtest", arguments)


if __name__ == "__main__":
    sys.exit(main())
