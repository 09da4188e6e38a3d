"""``odum prune``: removes what old runs have left behind."""

from typing import Annotated, Any

import typer

from odum_assets.cli.options import JsonOption


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
    as_json: JsonOption = False,
) -> None:
    """Remove what old runs have left: event logs, failed records, superseded results, caches.

    A partition's current result, results with tags or a note, and what a run that goes on uses
    stay, and so do Dagster runs that hold the latest materialization of a partition.

    [dim]Examples:[/]
      odum prune
      odum prune --what runs --older-than 90 --keep-last 1000 --yes
    """
    from odum_assets.cli.errors import UsageError
    from odum_assets.cli.rendering import Output, plural, size, table
    from odum_assets.orchestration.launch import open_instance
    from odum_assets.orchestration.pruning import KINDS, Limits, prunable, remove
    from odum_assets.settings import load_settings

    output, settings = Output(as_json), load_settings()
    kinds = {kind for kind in KINDS if not what or kind in what}
    unknown = sorted({*(what or ())} - {*KINDS})
    if unknown:
        raise UsageError(f"--what: found {', '.join(unknown)}; allowed {', '.join(KINDS)}")
    problems, rows = [], []
    with open_instance(settings) as instance:
        items = list(prunable(instance, settings, kinds, Limits.of(older_than, keep_last)))
        for item in items:
            problem = remove(item) if yes else None
            rows.append(_row(item, problem))
            problems += [] if problem is None else [problem]
    done = [row for row in rows if row["problem"] is None]
    total = sum(row["size_bytes"] for row in done)
    output.data({"removed": yes, "size_bytes": total, "found": rows})
    lines = table(None, ["what", "number", "size"], right=["number", "size"])
    for kind in sorted(kinds):
        of_kind = [row for row in done if row["kind"] == kind]
        total_of_kind = sum(row["size_bytes"] for row in of_kind)
        lines.add_row(kind, f"{len(of_kind):,}", size(total_of_kind))
    output.show(lines)
    if yes:
        output.show(f"{plural(len(done), 'item')} removed, {size(total)} freed.")
    else:
        output.show(f"{plural(len(done), 'item')}, {size(total)}; nothing was removed.")
        output.info("Repeat the command with --yes to remove them, with --json to see each.")
    for text in problems:
        output.warn(text)
    if problems:
        raise typer.Exit(1)


def _row(item: Any, problem: str | None) -> dict[str, Any]:  # noqa: ANN401 - imported later
    return {
        "kind": item.kind,
        "name": item.name,
        "size_bytes": item.size,
        "problem": problem,
    }
