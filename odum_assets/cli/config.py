"""``odum config``: validate, show and describe run configurations."""

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from odum_assets.cli.options import ConfigArgument, JsonOption

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    from odum_assets.cli.rendering import Output, escaped, fitted, plural, table
    from odum_assets.settings import load_settings

    output, settings = Output(as_json), load_settings()
    loaded, problems = _validated(files, settings)
    output.data(
        {
            "valid": not problems,
            "configs": [
                {"name": config.name, "hash": config.content_hash, "notes": list(config.notes)}
                for config in loaded
            ],
            "problems": problems,
        }
    )
    rows = [
        {
            "configuration": config.name,
            "instrument": ", ".join(map(str, config.keys)),
            "hash": config.content_hash[:12],
        }
        for config in loaded
    ]
    if rows:
        output.show(fitted(output, partial(table, None), rows, ("hash", "instrument")))
    for config in loaded:
        for note in config.notes:
            output.show(f"{escaped(config.name)}: {escaped(note)}")
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
    texts = _strategy_problems(loaded)
    return (
        [config for config in loaded if config.name not in texts],
        [*problems, *(line for lines in texts.values() for line in lines)],
    )


def _strategy_problems(configs: "Sequence[LoadedConfig]") -> dict[str, list[str]]:
    """Return why strategies cannot be run, by configuration: class, parameters."""
    from odum_assets.backtest.strategies.checking import config_problems

    return {
        loaded.name: [f"{loaded.path}: {line.strip()}" for line in text.splitlines()]
        for loaded, text in zip(configs, config_problems(configs), strict=True)
        if text
    }


@app.command()
def show(config: ConfigArgument, as_json: JsonOption = False) -> None:
    """Show one configuration with its defaults, its hash and the paths of its data.

    [dim]Example:[/]
      odum config show binance_futures_btcusdt_l2_trades_config
    """
    from odum_assets.cli.rendering import Output, display_path, escaped, instrument_row
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
            "instruments": list(map(str, loaded.keys)),
            "nautilus_id": loaded.key.nautilus_id,
            **locations,
            "notes": list(loaded.notes),
            "config": content,
        }
    )
    output.facts(
        loaded.name,
        [
            ("file", escaped(display_path(loaded.path))),
            ("hash", loaded.content_hash),
            *instrument_row(list(map(str, loaded.keys))),
            ("Nautilus id", ", ".join(key.nautilus_id for key in loaded.keys)),
            ("catalog", escaped(display_path(locations["catalog"]))),
            *((f"raw {kind}", escaped(path)) for kind, path in locations["raw"].items()),
            *(("note", escaped(note)) for note in loaded.notes),
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
def migrate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A configuration file.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Write to this file instead; FILE stays as it is.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a configuration of the earlier system in today's spelling.

    The new file has the same meaning and the same hash, and says what the old one leaves open.

    [dim]Examples:[/]
      odum config migrate configs/my_config.json
      odum config migrate old/my_config.json --out configs/my_config.json
    """
    from odum_assets.cli.errors import UsageError
    from odum_assets.cli.rendering import Output, display_path, escaped
    from odum_assets.config.loading import migrated
    from odum_assets.errors import ConfigError
    from odum_assets.storage.files import replace_text

    output = Output(as_json)
    if not file.is_file():
        raise UsageError(f"FILE: no such file {file}")
    text, translations = migrated(file)
    target = out or file
    is_written = bool(translations) or out is not None
    if is_written:
        try:
            replace_text(target, text)
        except OSError as error:
            raise ConfigError(f"{target}: cannot be written: {error.strerror}") from None
    output.data(
        {
            "path": str(target),
            "written": is_written,
            "changes": [
                {"key": translation.path, "text": translation.text} for translation in translations
            ],
        }
    )
    output.facts(
        None, [(translation.path, escaped(translation.text)) for translation in translations]
    )
    if is_written:
        output.show(f"Written: {escaped(display_path(target))}")
    else:
        output.show(f"{escaped(display_path(target))} has today's spelling; nothing was changed.")


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
