"""``odum data``: generate, import and fetch raw data, list them, check their quality."""

from collections import Counter
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from odum_assets.cli.bar_import import fetch, import_bars
from odum_assets.cli.options import DayOption, JsonOption
from odum_assets.cli.sample import generate

if TYPE_CHECKING:
    from rich.table import Table

    from odum_assets.cli.rendering import Output
    from odum_assets.orchestration.partition_state import Partition
    from odum_assets.orchestration.project import Project

app = typer.Typer(
    no_args_is_help=True, help="Raw data: generate samples, import, fetch, list, check."
)

ConfigFilter = Annotated[
    str | None,
    typer.Option("--config", metavar="CONFIG", help="Only what this configuration reads."),
]


app.command("generate")(generate)
app.command("import-bars")(import_bars)
app.command("fetch")(fetch)


@app.command("list")
def list_data(
    config: ConfigFilter = None, day: DayOption = None, as_json: JsonOption = False
) -> None:
    """List raw files by day and instrument: size, and whether the catalog holds them.

    [dim]Examples:[/]
      odum data list
      odum data list --day 2024-07-18 --json
    """
    from odum_assets.cli.rendering import Output
    from odum_assets.settings import load_settings

    output, settings = Output(as_json), load_settings()
    project, partitions = _partitions(output, config, day)
    known = {partition.raw.path for partition in partitions if partition.raw is not None}
    records = [_record(partition) for partition in partitions]
    records += _unclaimed(output, settings.raw_root, known, day) if config is None else []
    records.sort(key=lambda record: (record["day"], record["instrument"], record["data_type"]))
    output.data({"raw_root": settings.raw_root, "files": records})
    if not as_json:
        _show(output, settings.raw_root, records)
    if not project.configs and not project.refused:
        output.warn(
            f"there are no configurations in {settings.configs_path}; copy one there, or set "
            "ODUM_CONFIGS_PATH"
        )


_LONG_LIST = 2_000
"""Number of files from which on people see spans of days, not every file."""


def _show(output: "Output", raw_root: str, records: list[dict[str, Any]]) -> None:
    """Show files by instrument; of very many the days that they span."""
    from odum_assets.cli.rendering import display_path, plural
    from odum_assets.raw.layout import is_url

    by_instrument: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        by_instrument.setdefault(record["instrument"], []).append(record)
    is_long = len(records) > _LONG_LIST
    for instrument in sorted(by_instrument):
        output.show((_spans if is_long else _files)(instrument, by_instrument[instrument]))
    days = len({record["day"] for record in records})
    if records:
        place = display_path(raw_root)
        output.show(f"{plural(len(records), 'file')}, {plural(days, 'day')} in {place}")
        if is_long:
            output.show("Every file by itself: --day DAY, or --json")
    elif is_url(raw_root):
        output.show(f"No raw data are seen in {raw_root}.")
    else:
        place = display_path(raw_root)
        output.show(f"There are no raw data in {place}. Generate some: odum data generate")


def _files(instrument: str, records: list[dict[str, Any]]) -> "Table":
    from odum_assets.cli.rendering import size, table

    rows = table(instrument, ["day", "data type", "size", "catalog"], right=["size"])
    for record in records:
        rows.add_row(
            record["day"], record["data_type"], size(record["size"]), _styled(record["state"])
        )
    return rows


def _spans(instrument: str, records: list[dict[str, Any]]) -> "Table":
    """Return a table of the files of each kind and state: how many, of which days."""
    from odum_assets.cli.rendering import size, table

    kinds: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for record in records:
        kinds.setdefault((record["data_type"], record["state"]), []).append(record)
    columns = ["data type", "files", "first day", "last day", "size", "catalog"]
    rows = table(instrument, columns, right=["files", "size"])
    for (kind, state), files in sorted(kinds.items()):
        total = sum(file["size"] or 0 for file in files)
        first, last = files[0]["day"], files[-1]["day"]
        rows.add_row(kind, f"{len(files):,}", first, last, size(total), _styled(state))
    return rows


def _styled(state: str) -> str:
    return f"[{_STYLES.get(state, 'dim')}]{state}[/]"


_STYLES = {
    "up to date": "green",
    "stale": "yellow",
    "not converted": "cyan",
    "raw file unreadable": "bold red",
}


def _partitions(
    output: "Output", config: str | None, day: date | None
) -> tuple["Project", list["Partition"]]:
    """Return the partitions of which there is a raw file or a catalog file."""
    from odum_assets.cli.selection import choose_config
    from odum_assets.cli.session import warn_refused
    from odum_assets.orchestration.partition_state import State, describe_partitions
    from odum_assets.settings import load_settings

    settings = load_settings()
    choice = None if config is None else choose_config(config, settings, what="--config")
    with output.waiting("Reading raw and catalog files"):
        from odum_assets.orchestration.project import load_project, raw_folder_problem
        from odum_assets.orchestration.raw_folders import RawFolders

        project = load_project(settings if choice is None else choice.settings)
        if choice is not None:
            project.config(choice.name)
        partitions: list[Partition] = []
        problems: list[str] = []
        folders = RawFolders()
        for source in project.sources:
            if choice is None or choice.name in [config.name for config in source.named_by]:
                if (missing := raw_folder_problem(source, project.settings)) is not None:
                    problems.append(missing)
                partitions += describe_partitions(project, source, folders, problems, day)
    warn_refused(output, project)
    problems += [text for partition in partitions for text in partition.problems]
    for text in dict.fromkeys(problems):
        output.warn(text)
    return project, [
        partition
        for partition in partitions
        if partition.state is not State.MISSING or partition.problems
    ]


def _record(partition: "Partition") -> dict[str, Any]:
    raw, manifest = partition.raw, partition.manifest
    return {
        "day": partition.day.isoformat(),
        "instrument": str(partition.source.key),
        "data_type": partition.source.data_type.value,
        "path": None if raw is None else raw.path,
        "size": None if raw is None else raw.stat.size,
        "state": partition.state.value,
        "rows": None if manifest is None else manifest.rows_written,
        "rejected": None if manifest is None else manifest.rows_rejected,
        "configs": [config.name for config in partition.source.named_by],
    }


def _unclaimed(
    output: "Output", raw_root: str, known: set[str], day: date | None
) -> list[dict[str, Any]]:
    """Return raw files that no configuration names."""
    from odum_assets.errors import DataError
    from odum_assets.raw.layout import list_raw_files

    problems: list[str] = []
    try:
        files = list_raw_files(raw_root, day=day, problems=problems, known=known)
    except DataError as error:
        files = []
        problems.append(str(error))
    for text in problems:
        output.warn(text)
    return [
        {
            "day": file.day.isoformat(),
            "instrument": file.key_text,
            "data_type": file.data_type.value,
            "path": file.path,
            "size": file.size,
            "state": "in no config",
            "rows": None,
            "rejected": None,
            "configs": [],
        }
        for file in files
    ]


@app.command()
def check(config: ConfigFilter = None, day: DayOption = None, as_json: JsonOption = False) -> None:
    """Check the quality of converted data against the thresholds of the configurations.

    This converts nothing; raw files that are not in the catalog yet are named. The exit code is 1
    when a check fails.

    [dim]Examples:[/]
      odum data check
      odum data check --config binance_futures_btcusdt_l2_trades_config --day 2024-07-18
    """
    from rich.padding import Padding

    from odum_assets.cli.rendering import Output, escaped, plural

    output = Output(as_json)
    _, partitions = _partitions(output, config, day)
    verdicts = [verdict for partition in partitions for verdict in _verdicts(partition)]
    waiting = [partition for partition in partitions if partition.manifest is None]
    failed = [verdict for verdict in verdicts if not verdict["passed"]]
    output.data(
        {
            "passed": not failed,
            "checks": verdicts,
            "not_converted": [_record(partition) for partition in waiting],
        }
    )
    for instrument in dict.fromkeys(verdict["instrument"] for verdict in failed):
        output.show(f"[bold]{instrument}[/]")
        for verdict in failed:
            if verdict["instrument"] == instrument:
                mark = "[bold red]blocks[/]" if verdict["blocking"] else "[yellow]warns[/]"
                where = f"{verdict['day']}  {verdict['data_type']}"
                output.show(f"  {where}  {verdict['check']} {mark}")
                # Below, and not beside it: a narrow terminal would fold it into a column of words.
                output.show(Padding(f"[dim]{escaped(verdict['text'])}[/]", (0, 0, 0, 4)))
        output.show("")
    checked = len(partitions) - len(waiting)
    passed = len(verdicts) - len(failed)
    output.show(
        f"{plural(checked, 'partition')} checked: {plural(passed, 'check')} passed, "
        f"{len(failed)} failed."
    )
    for name, number in Counter(partition.source.loaded.name for partition in waiting).items():
        output.info(
            f"not converted yet: {plural(number, 'raw file')}; run: odum convert {name} --all"
        )
    if failed:
        raise typer.Exit(1)


def _verdicts(partition: "Partition") -> list[dict[str, Any]]:
    from odum_assets.errors import DataError
    from odum_assets.orchestration.checks import evaluate_partition

    if partition.manifest is None:
        return []
    subject = {
        "day": partition.day.isoformat(),
        "instrument": str(partition.source.key),
        "data_type": partition.source.data_type.value,
    }
    try:
        evaluations = evaluate_partition(partition.manifest, partition.source.named_by)
    except DataError as error:
        failed = {"check": "manifest", "passed": False, "blocking": True, "text": str(error)}
        return [{**subject, **failed}]
    return [
        {
            **subject,
            "check": evaluation.check.name,
            "passed": evaluation.verdict.passed,
            "blocking": bool(evaluation.refused),
            "text": evaluation.verdict.text,
        }
        for evaluation in evaluations
    ]
