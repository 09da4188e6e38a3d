"""``odum registry``: upgrade, check and rebuild the database that indexes the results."""

from typing import TYPE_CHECKING

import typer

from odum_assets.cli.options import JsonOption

if TYPE_CHECKING:
    from odum_assets.cli.rendering import Output
    from odum_assets.registry.register import RebuildReport
    from odum_assets.settings import Settings

app = typer.Typer(
    no_args_is_help=True, help="The run registry, an index of the results: rebuild, check."
)


@app.command()
def upgrade(as_json: JsonOption = False) -> None:
    """Create the tables, or upgrade them to this version; new ones are filled from the results.

    Only a PostgreSQL database (DATABASE_URL) needs this command; SQLite is upgraded automatically.

    [dim]Example:[/]
      odum registry upgrade
    """
    from odum_assets.cli.rendering import Output, display_path, escaped
    from odum_assets.registry import schema
    from odum_assets.registry.database import (
        RegistryError,
        create_engine,
        display_url,
        registry_url,
        result_store,
    )
    from odum_assets.registry.register import upgrade_registry
    from odum_assets.registry.repair import find_damage, remedy

    output, settings = Output(as_json), _settings()
    url = registry_url(settings)
    if url.drivername == "sqlite":
        settings.results_path.mkdir(parents=True, exist_ok=True)
    if (damage := find_damage(settings)) is not None:
        raise RegistryError(f"registry {display_url(url)}: {damage}; {remedy(url)}")
    engine = create_engine(url)
    try:
        with output.waiting("Upgrading the registry"):
            filled = upgrade_registry(engine, result_store(settings))
    finally:
        engine.dispose()
    version = schema.VERSION
    output.data({"registry": display_url(url), "version": version, "filled": _as_json(filled)})
    output.facts(
        None, [("database", escaped(display_path(display_url(url)))), ("version", version)]
    )
    if filled is not None:
        _tell(output, filled)


@app.command()
def rebuild(as_json: JsonOption = False) -> None:
    """Rebuild the whole registry from the result files; active runs stay in it.

    A damaged SQLite file is renamed, and a new one is built. The exit code is 1 when a file of a
    result cannot be read; the others are registered.

    [dim]Example:[/]
      odum registry rebuild
    """
    from odum_assets.cli.rendering import Output
    from odum_assets.registry.repair import rebuild_registry

    output, settings = Output(as_json), _settings()
    with output.waiting("Reading the results"):
        done = rebuild_registry(settings)
    output.data(_as_json(done))
    _tell(output, done)


@app.command()
def check(as_json: JsonOption = False) -> None:
    """Check that the tables are those of this version and hold every run that has a file.

    Nothing is changed. The exit code is 1 when something is wrong; each problem says what to do.

    [dim]Example:[/]
      odum registry check
    """
    from odum_assets.cli.rendering import Output, escaped, local_path
    from odum_assets.registry.checking import check_registry

    output = Output(as_json)
    report = check_registry(_settings())
    output.data(
        {
            "registry": report.registry,
            "version": report.version,
            "runs": report.runs,
            "pending": report.pending,
            "problems": report.problems,
        }
    )
    verdict = "[bold red]has problems[/]" if report.problems else "[green]good[/]"
    output.facts(
        f"registry: {verdict}",
        [
            ("database", escaped(local_path(report.registry))),
            ("version", report.version or "none"),
            ("runs", f"{report.runs:,}"),
            ("active", f"{report.pending:,}"),
        ],
    )
    for text in report.problems:
        output.warn(text)
    if report.problems:
        raise typer.Exit(1)


def _settings() -> "Settings":
    """Return the settings; a folder with neither results nor configurations is the wrong one."""
    from odum_assets.cli.selection import require_project
    from odum_assets.settings import load_settings

    settings = load_settings()
    if settings.database_url is None and not settings.results_path.is_dir():
        require_project(settings)
    return settings


def _tell(output: "Output", done: "RebuildReport") -> None:
    from odum_assets.cli.rendering import plural

    if done.set_aside is not None:
        output.warn(f"the database was damaged; it was renamed to {done.set_aside}")
    for text in done.notes:
        output.warn(text)
    output.show(f"{plural(done.runs, 'run')} registered.")
    for text in done.problems:
        output.warn(text)
    if done.problems:
        raise typer.Exit(1)


def _as_json(done: "RebuildReport | None") -> dict[str, object] | None:
    if done is None:
        return None
    return {
        "runs": done.runs,
        "pending": done.pending,
        "problems": done.problems,
        "set_aside": None if done.set_aside is None else str(done.set_aside),
    }
