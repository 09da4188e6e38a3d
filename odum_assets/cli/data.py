"""``odum data``: generate sample data, list raw data, check their quality."""

from collections import Counter
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from odum_assets.cli.options import DayOption, JsonOption
from odum_assets.cli.sample import generate

if TYPE_CHECKING:
    from odum_assets.cli.rendering import Output
    from odum_assets.orchestration.partition_state import Partition
    from odum_assets.orchestration.project import Project, Source

app = typer.Typer(no_args_is_help=True, help="Raw data: generate samples, list, check.")

ConfigFilter = Annotated[
    str | None,
    typer.Option("--config", metavar="CONFIG", help="Only what this configuration reads."),
]


app.command("generate")(generate)


@app.command("list")
def list_data(
    config: ConfigFilter = None, day: DayOption = None, as_json: JsonOption = False
) -> None:
    """List raw files by day and instrument: size, and whether the catalog holds them.

    [dim]Examples:[/]
      odum data list
      odum data list --day 2024-07-18 --json
    """
    from odum_assets.cli.rendering import Output, plural, shown_path, size, table
    from odum_assets.settings import load_settings

    output, settings = Output(as_json), load_settings()
    project, partitions = _partitions(output, config, day)
    known = {each.raw.path for each in partitions if each.raw is not None}
    records = [_record(each) for each in partitions]
    records += _unclaimed(output, settings.raw_root, known, day) if config is None else []
    records.sort(key=lambda each: (each["day"], each["instrument"], each["data_type"]))
    output.data({"raw_root": settings.raw_root, "files": records})
    for instrument in sorted({each["instrument"] for each in records}):
        rows = table(instrument, ["day", "data type", "size", "catalog"], right=["size"])
        for each in records:
            if each["instrument"] == instrument:
                state = f"[{_STYLES.get(each['state'], 'dim')}]{each['state']}[/]"
                rows.add_row(each["day"], each["data_type"], size(each["size"]), state)
        output.show(rows)
    days = len({each["day"] for each in records})
    if records:
        raw_root = shown_path(settings.raw_root)
        output.show(f"{plural(len(records), 'file')}, {plural(days, 'day')} in {raw_root}")
    else:
        raw_root = shown_path(settings.raw_root)
        output.show(f"There are no raw data in {raw_root}. Generate some: odum data generate")
    if not project.configs and not project.refused:
        output.warn(
            f"there are no configurations in {settings.configs_path}; copy one there, or set "
            "ODUM_CONFIGS_PATH"
        )


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
    from odum_assets.orchestration.partition_state import State
    from odum_assets.settings import load_settings

    settings = load_settings()
    choice = None if config is None else choose_config(config, settings, what="--config")
    with output.waiting("Reading raw and catalog files"):
        from odum_assets.orchestration.project import load_project

        project = load_project(settings if choice is None else choice.settings)
        if choice is not None:
            project.config(choice.name)
        found: list[Partition] = []
        problems: list[str] = []
        for source in project.sources:
            if choice is None or choice.name in [each.name for each in source.named_by]:
                found += _partitions_of(project, source, day, problems)
    warn_refused(output, project)
    problems += [text for each in found for text in each.problems]
    for text in dict.fromkeys(problems):
        output.warn(text)
    return project, [each for each in found if each.state is not State.MISSING or each.problems]


def _partitions_of(
    project: "Project", source: "Source", day: date | None, problems: list[str]
) -> "list[Partition]":
    """Return the partitions of a source, and name what cannot be read."""
    from odum_assets.catalog import scan_manifests
    from odum_assets.errors import DataError
    from odum_assets.orchestration.partition_state import days_on_disk, look_at
    from odum_assets.orchestration.project import feed_problem

    if (missing := feed_problem(source, project.settings)) is not None:
        problems.append(missing)
    try:
        days = days_on_disk(project, (source,))
    except DataError as error:
        days = []
        problems.append(str(error))
    try:
        converted = scan_manifests(
            project.catalog_root(source.loaded), source.key, source.data_type
        )
    except DataError as error:
        problems.append(str(error))
        return []
    days = sorted({*days, *converted.days})
    return [look_at(project, source, each) for each in days if day in (None, each)]


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
        "configs": [each.name for each in partition.source.named_by],
    }


def _unclaimed(
    output: "Output", raw_root: str, known: set[str], day: date | None
) -> list[dict[str, Any]]:
    """Return raw files that no configuration names."""
    from odum_assets.errors import DataError
    from odum_assets.raw.layout import list_raw_files

    problems: list[str] = []
    try:
        files = list_raw_files(raw_root, day=day, problems=problems)
    except DataError as error:
        files = []
        problems.append(str(error))
    for text in problems:
        output.warn(text)
    return [
        {
            "day": each.day.isoformat(),
            "instrument": each.key_text,
            "data_type": each.data_type.value,
            "path": each.path,
            "size": each.size,
            "state": "in no config",
            "rows": None,
            "rejected": None,
            "configs": [],
        }
        for each in files
        if each.path not in known
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
    from odum_assets.cli.rendering import Output, escaped, plural, table

    output = Output(as_json)
    _, partitions = _partitions(output, config, day)
    verdicts = [verdict for each in partitions for verdict in _verdicts(each)]
    waiting = [each for each in partitions if each.manifest is None]
    failed = [each for each in verdicts if not each["passed"]]
    output.data(
        {
            "passed": not failed,
            "checks": verdicts,
            "not_converted": [_record(each) for each in waiting],
        }
    )
    for instrument in dict.fromkeys(each["instrument"] for each in failed):
        rows = table(instrument, ["", "day", "data type", "check"])
        for each in failed:
            if each["instrument"] == instrument:
                mark = "[bold red]blocks[/]" if each["blocking"] else "[yellow]warns[/]"
                text = f"{each['check']}: [dim]{escaped(each['text'])}[/]"
                rows.add_row(mark, each["day"], each["data_type"], text)
        output.show(rows)
    checked = len(partitions) - len(waiting)
    passed = len(verdicts) - len(failed)
    output.show(
        f"{plural(checked, 'partition')} checked: {plural(passed, 'check')} passed, "
        f"{len(failed)} failed."
    )
    for name, number in Counter(each.source.loaded.name for each in waiting).items():
        output.note(
            f"not converted yet: {plural(number, 'raw file')}; run: odum convert {name} --all"
        )
    if failed:
        raise typer.Exit(1)


def _verdicts(partition: "Partition") -> list[dict[str, Any]]:
    from odum_assets.errors import DataError
    from odum_assets.orchestration.checks import judge_partition

    if partition.manifest is None:
        return []
    subject = {
        "day": partition.day.isoformat(),
        "instrument": str(partition.source.key),
        "data_type": partition.source.data_type.value,
    }
    try:
        judged = judge_partition(partition.manifest, partition.source.named_by)
    except DataError as error:
        failed = {"check": "manifest", "passed": False, "blocking": True, "text": str(error)}
        return [{**subject, **failed}]
    return [
        {
            **subject,
            "check": each.check.name,
            "passed": each.verdict.passed,
            "blocking": bool(each.refused),
            "text": each.verdict.text,
        }
        for each in judged
    ]
