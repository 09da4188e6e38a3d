"""``odum config``: validate, show and describe run configurations."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from odum_assets.cli.options import ConfigArgument, JsonOption

if TYPE_CHECKING:
    from odum_assets.config import LoadedConfig
    from odum_assets.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Validate and show run configurations.")


@app.command()
def validate(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CONFIG]...",
            help="Configurations by name or path. Default: all of the folder.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check run configurations and show every problem of every file.

    This includes contradictions to other files of the folder, and strategies that cannot be loaded.

    [dim]Examples:[/]
      odum config validate
      odum config validate configs/my_config.json
    """
    from odum_assets.cli.rendering import Output, plural, table
    from odum_assets.settings import load_settings

    output, settings = Output(as_json), load_settings()
    loaded, problems = _validated(files, settings)
    output.data(
        {
            "valid": not problems,
            "configs": [{"name": config.name, "hash": config.content_hash} for config in loaded],
            "problems": problems,
        }
    )
    rows = table(None, ["configuration", "instrument", "hash"])
    for config in loaded:
        rows.add_row(config.name, str(config.key), config.content_hash[:12])
    if loaded:
        output.show(rows)
    for problem in problems:
        output.err.print(problem, style="red", markup=False, highlight=False, soft_wrap=True)
    if problems:
        raise typer.Exit(1)
    verb = "is" if len(loaded) == 1 else "are"
    output.show(f"[green]{plural(len(loaded), 'configuration')} {verb} valid.[/]")


def _validated(
    files: list[str] | None, settings: "Settings"
) -> tuple[list["LoadedConfig"], list[str]]:
    from odum_assets.cli.selection import choose_config
    from odum_assets.config import read_folder

    if not files:
        folder = read_folder(settings)
        loaded = list(folder.configs)
        problems = [line for refused in folder.refused for line in refused.problems]
    else:
        loaded, problems = [], []
        for choice in [choose_config(file, settings) for file in files]:
            # With its folder: what contradicts the others cannot be run either.
            folder = read_folder(choice.settings)
            loaded += [config for config in folder.configs if config.name == choice.name]
            for refused in folder.refused:
                problems += refused.problems if refused.name == choice.name else ()
    return loaded, problems + [line for config in loaded for line in _strategy_problems(config)]


def _strategy_problems(loaded: "LoadedConfig") -> list[str]:
    """Return why a strategy of one's own cannot be run: its class, its parameters."""
    if loaded.bars is not None or loaded.ticks.strategy.path is None:
        return []
    from odum_assets.backtest.strategies.loading import load_strategy_class
    from odum_assets.backtest.strategies.params import strategy_params
    from odum_assets.errors import BacktestError

    try:
        path = loaded.ticks.strategy.path
        strategy_params(load_strategy_class(path), loaded.ticks.strategy.params, path)
    except BacktestError as error:
        return [f"{loaded.path}: {line.strip()}" for line in str(error).splitlines()]
    return []


@app.command()
def show(config: ConfigArgument, as_json: JsonOption = False) -> None:
    """Show one configuration with its defaults, its hash and the paths of its data.

    [dim]Example:[/]
      odum config show binance_futures_btcusdt_l2_trades_config
    """
    from odum_assets.cli.rendering import Output, display_path, escaped
    from odum_assets.cli.selection import choose_config
    from odum_assets.config import load_config
    from odum_assets.settings import load_settings

    output = Output(as_json)
    choice = choose_config(config, load_settings())
    loaded = load_config(choice.path)
    locations = _locations(loaded, choice.settings)
    content: dict[str, Any] = json.loads(loaded.config.model_dump_json(by_alias=True))
    output.data(
        {
            "name": loaded.name,
            "path": str(loaded.path),
            "hash": loaded.content_hash,
            "instrument": str(loaded.key),
            "nautilus_id": loaded.key.nautilus_id,
            **locations,
            "config": content,
        }
    )
    output.facts(
        loaded.name,
        [
            ("file", escaped(display_path(loaded.path))),
            ("hash", loaded.content_hash),
            ("instrument", str(loaded.key)),
            ("Nautilus id", loaded.key.nautilus_id),
            ("catalog", escaped(display_path(locations["catalog"]))),
            *((f"raw {kind}", escaped(path)) for kind, path in locations["raw"].items()),
        ],
    )
    if not as_json:
        output.out.print("\n[bold]Content, defaults filled in[/]")
        output.out.print_json(json.dumps(content), indent=2)


def _locations(loaded: "LoadedConfig", settings: "Settings") -> dict[str, Any]:
    from odum_assets.config import effective_settings

    effective = effective_settings(loaded, settings)
    root = effective.raw_root
    templates = [
        (kind, key, loaded.config.template(kind, key))
        for key in loaded.keys
        for kind in loaded.config.raw_types
    ]
    return {
        "catalog": str(effective.catalog_path),
        "raw": {
            kind if len(loaded.keys) == 1 else f"{kind} of {key}": f"{root}/{template}"
            for kind, key, template in templates
        },
    }


@app.command()
def schema(
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="Write the schema to this file.", show_default=False
        ),
    ] = None,
    as_json: JsonOption = False,  # noqa: ARG001 - it is JSON anyway
) -> None:
    """Print the JSON Schema of run configurations, for editors.

    [dim]Example:[/]
      odum config schema --out configs/run_config.schema.json
    """
    from odum_assets.config import json_schema

    text = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
