"""The ``odum`` command: its groups, its own options, its entry point."""

import sys
from typing import Annotated

import typer

from odum_assets.cli import (
    backfill,
    backtest,
    config,
    convert,
    data,
    demo,
    dev,
    init,
    orb,
    prune,
    registry,
    results,
    serve,
    sweep,
    vsweep,
)
from odum_assets.cli.running import run_app

app = typer.Typer(
    name="odum",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(data.app, name="data", rich_help_panel="Data")
app.command("convert", rich_help_panel="Data")(convert.convert)
app.command("backtest", rich_help_panel="Backtests")(backtest.backtest)
app.command("backfill", rich_help_panel="Backtests")(backfill.backfill)
app.command("sweep", rich_help_panel="Backtests")(sweep.sweep)
app.command("orb", rich_help_panel="Backtests")(orb.orb)
app.command("vsweep", rich_help_panel="Backtests")(vsweep.vsweep)
app.add_typer(results.app, name="results", rich_help_panel="Backtests")
app.add_typer(registry.app, name="registry", rich_help_panel="Backtests")
app.add_typer(config.app, name="config", rich_help_panel="Project")
app.command("prune", rich_help_panel="Project")(prune.prune)
app.command("init", rich_help_panel="Project")(init.init)
app.command("demo", rich_help_panel="Project")(demo.demo)
app.command("dev", rich_help_panel="Project")(dev.dev)
app.command("serve", rich_help_panel="Project")(serve.serve)


def _print_version(requested: bool) -> None:
    if requested:
        from importlib.metadata import version

        typer.echo(f"odum {version('odum-assets')}")
        raise typer.Exit


@app.callback()
def odum(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version and exit.",
            is_eager=True,
            callback=_print_version,
        ),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Raw exchange data in, trustworthy backtest results out.

    Every run goes through the Dagster asset graph: what a command makes is in the UI
    of [bold]odum dev[/], with its lineage.

    [dim]Try first:[/]  odum demo
    """


def main(arguments: list[str] | None = None) -> int:
    """Run ``odum`` and return its exit code."""
    return run_app(app, "odum", arguments)


if __name__ == "__main__":
    sys.exit(main())
