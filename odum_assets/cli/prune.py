"""``odum prune``: removes what old runs have left behind."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from odum_assets.cli.options import JsonOption

if TYPE_CHECKING:
    from rich.table import Table

_WORTH_COMPACTING = 1_000_000


def prune(
    what: Annotated[
        list[str] | None,
        typer.Option(
            "--what",
            metavar="KIND",
            help="runs (Dagster's event logs), failed, results (superseded ones), staging or "
            "cache; may be repeated. All by default.",
            show_default=False,
        ),
    ] = None,
    older_than: Annotated[
        float, typer.Option(min=0, metavar="DAYS", help="Only what is older.")
    ] = 30,
    keep_last: Annotated[
        int,
        typer.Option(
            min=0,
            help="Keep the last N Dagster runs, failed records, and superseded results of a "
            "partition.",
        ),
    ] = 0,
    yes: Annotated[
        bool,
        typer.Option(
            "--yes", "--apply", help="Remove; without it only what would be removed is shown."
        ),
    ] = False,
    compacting: Annotated[
        bool,
        typer.Option(
            "--compact",
            help="Then give the space of removed events in Dagster's SQLite file back to the "
            "disk. Nothing may run meanwhile.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove what old runs have left: event logs, failed records, superseded results, caches.

    A partition's current result, results with tags or a note, and what a run that goes on uses
    stay, and so do Dagster runs that hold the latest materialization of a partition.

    [dim]Examples:[/]
      odum prune
      odum prune --what runs --older-than 90 --keep-last 1000 --yes
      odum prune --yes --compact
    """
    from odum_assets.cli.errors import UsageError
    from odum_assets.cli.progress import StatusLines
    from odum_assets.cli.rendering import Output, plural, size
    from odum_assets.orchestration.launch import open_instance
    from odum_assets.orchestration.pruning import KINDS, Limits, prunable, remove_all
    from odum_assets.orchestration.run_deletion import DagsterStorageError, compact, unused_bytes
    from odum_assets.settings import load_settings

    output, settings = Output(as_json), load_settings()
    kinds = {kind for kind in KINDS if not what or kind in what}
    unknown = sorted({*(what or ())} - {*KINDS})
    if unknown:
        raise UsageError(f"--what: found {', '.join(unknown)}; allowed {', '.join(KINDS)}")
    rows: list[dict[str, Any]] = []
    compacted = 0
    with (
        open_instance(settings) as instance,
        StatusLines(output, lambda: f"{len(rows):,} of {len(items):,} removed" if rows else ""),
    ):
        with output.waiting("reading what old runs left"):
            items = list(prunable(instance, settings, kinds, Limits.of(older_than, keep_last)))
        with output.waiting("removing"):
            done = remove_all(instance, items) if yes else ((item, None) for item in items)
            rows.extend(_row(item, problem) for item, problem in done)
        problems = [row["problem"] for row in rows if row["problem"] is not None]
        if yes and compacting and not problems:
            try:
                with output.waiting("compacting Dagster's database"):
                    compacted = compact(instance)
            except DagsterStorageError as error:
                problems.append(str(error))
        unused = unused_bytes(instance)
    removed = [row for row in rows if row["problem"] is None]
    total = sum(row["size_bytes"] for row in removed)
    output.data(
        {
            "removed": yes,
            "size_bytes": total,
            "compacted_bytes": compacted,
            "unused_bytes": unused,
            "found": rows,
        }
    )
    output.show(_table(kinds, removed))
    if yes:
        output.show(f"{plural(len(removed), 'item')} removed, {size(total)} freed.")
    else:
        output.show(f"{plural(len(removed), 'item')}, {size(total)}; nothing was removed.")
        output.info("Repeat the command with --yes to remove them, with --json to see each.")
    if compacted:
        output.show(f"Dagster's database is {size(compacted)} smaller.")
    if unused >= _WORTH_COMPACTING:
        output.info(
            f"Dagster's database has {size(unused)} that are not in use; later events fill them. "
            "To give them back to the disk: odum prune --compact --yes, while nothing runs."
        )
    for text in problems:
        output.warn(text)
    if problems:
        raise typer.Exit(1)


def _table(kinds: Iterable[str], rows: list[dict[str, Any]]) -> "Table":
    from odum_assets.cli.rendering import size, table

    lines = table(None, ["what", "number", "size"], right=["number", "size"])
    for kind in sorted(kinds):
        sizes = [row["size_bytes"] for row in rows if row["kind"] == kind]
        lines.add_row(kind, f"{len(sizes):,}", size(sum(sizes)))
    return lines


def _row(item: Any, problem: str | None) -> dict[str, Any]:  # noqa: ANN401 - imported later
    return {
        "kind": item.kind,
        "name": item.name,
        "size_bytes": item.size,
        "problem": problem,
    }
