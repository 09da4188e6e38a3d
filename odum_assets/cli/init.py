"""``odum init``: a folder in which every command works, without a clone of the repository.

The files are those of the repository; the wheel carries them (see ``force-include`` in
``pyproject.toml``).
"""

from pathlib import Path
from typing import Annotated, Final

import typer

from odum_assets.cli.options import JsonOption

EXAMPLE: Final = "momentum_btcusdt"
"""The configuration of the example strategy."""

_BASE: Final = "binance_futures_btcusdt_l2_trades_config"


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder of the project; . is this one.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Make a project: configurations, an example strategy, the files of Dagster, a README.

    Files that are there are kept.

    [dim]Example:[/]
      odum init my_project
    """
    from odum_assets.cli.errors import UsageError
    from odum_assets.cli.rendering import Output, display_path, escaped, plural

    output, folder = Output(as_json), folder.expanduser()
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"FOLDER: {folder} is a file; name a folder")
    written, kept = [], []
    try:
        for name, text in project_files().items():
            path = folder / name
            if path.exists():
                kept.append(name)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            written.append(name)
    except OSError as error:
        raise UsageError(
            f"FOLDER: {error.filename or folder} cannot be written ({error.strerror})"
        ) from error
    output.data({"folder": str(folder.absolute()), "written": written, "kept": kept})
    where = escaped(display_path(folder))
    output.show(f"[green]Project[/] in {where}: {plural(len(written), 'file')} written.")
    if kept:
        output.show(f"{plural(len(kept), 'file')} kept as found; --json names them.")
    first = [] if folder.absolute() == Path.cwd() else [(f"cd {where}", "commands run there")]
    output.facts(
        "Next steps",
        [
            *first,
            ("odum demo", "sample data, every asset, a table of results"),
            ("odum dev", "the Dagster UI"),
            (f"odum backtest {EXAMPLE} --day 2024-01-01", "the example strategy"),
        ],
    )


def project_files() -> dict[str, str]:
    """Return the files of a new project, their texts by path."""
    import json

    from odum_assets.config.exact_json import read_json, write_json

    root, template = _source(), Path(__file__).parent / "new_project"
    files = {
        name: (template / source).read_text(encoding="utf-8")
        for name, source in (
            ("README.md", "README.md"),
            ("momentum.py", "momentum.py.txt"),
            (".gitignore", "gitignore"),
        )
    }
    for name in ("dagster.yaml", "workspace.yaml"):
        files[name] = (root / name).read_text(encoding="utf-8")
    for path in sorted((root / "configs").glob("*.json")):
        files[f"configs/{path.name}"] = path.read_text(encoding="utf-8")
    section = json.loads((template / "strategy.json").read_text(encoding="utf-8"))
    example = read_json(files[f"configs/{_BASE}.json"]) | section
    files[f"configs/{EXAMPLE}.json"] = write_json(example, indent=2) + "\n"
    return files


def _source() -> Path:
    """Return where the files come from: a folder of the wheel, or the clone."""
    package = Path(__file__).parents[1]
    in_wheel = package / "new_project"
    return in_wheel if in_wheel.is_dir() else package.parent
