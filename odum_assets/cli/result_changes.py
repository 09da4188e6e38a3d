"""``odum results delete``, ``tag`` and ``note``: what changes about stored results."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from odum_assets.cli.options import JsonOption

if TYPE_CHECKING:
    from odum_assets.results.annotations import Annotations

RunReference = Annotated[
    str,
    typer.Argument(
        metavar="RUN_ID",
        help="A run id, its first or last characters, or 'last' for the newest result.",
        show_default=False,
    ),
]


def delete(
    run_ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN_ID...]",
            help="Run ids, their first or last characters, or 'last'.",
            show_default=False,
        ),
    ] = None,
    sweep: Annotated[
        str | None, typer.Option(metavar="SWEEP_ID", help="All variants of this sweep.")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="All runs that left no result.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Delete; without it only what would be deleted is shown.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete runs: their files, tags and notes, and their rows in the registry.

    Without --yes nothing is deleted. Dagster keeps the history of its own runs.

    [dim]Examples:[/]
      odum results delete 6fbef1 f35e18
      odum results delete --sweep SWP_BNF_BTC_20240101_00000000_99a518_0aa52e --yes
    """
    from odum_assets.cli.errors import UsageError
    from odum_assets.cli.rendering import Output, plural, size, table
    from odum_assets.registry.deletion import delete_run, files_of_runs
    from odum_assets.settings import load_settings

    output, settings = Output(as_json), load_settings()
    chosen = _chosen(run_ids or [], sweep, failed=failed)
    if not chosen:
        raise UsageError("give what to delete: run ids, --sweep SWEEP_ID or --failed")
    runs = files_of_runs(settings, chosen)
    for run in runs if yes else ():
        delete_run(settings, run.run_id)
    total = sum(run.size for run in runs)
    output.data(
        {
            "deleted": yes,
            "size_bytes": total,
            "runs": [
                {"run_id": run.run_id, "size_bytes": run.size, "files": list(map(str, run.paths))}
                for run in runs
            ],
        }
    )
    rows = table(None, ["run id", "size"], right=["size"])
    for run in runs:
        rows.add_row(run.run_id, size(run.size))
    output.show(rows)
    if yes:
        output.show(f"{plural(len(runs), 'run')} deleted, {size(total)} freed.")
    else:
        output.show(f"{plural(len(runs), 'run')}, {size(total)}; nothing was deleted.")
        output.info("Repeat the command with --yes to delete them.")


def _chosen(texts: list[str], sweep: str | None, *, failed: bool) -> list[str]:
    from odum_assets.cli.errors import UsageError
    from odum_assets.cli.selection import choose_run, open_store
    from odum_assets.results.references import stored_run_ids

    store = open_store()
    chosen = [choose_run(store, text, failed=True) for text in texts]
    if sweep is not None:
        entries = store.entries([])
        variants = [entry.run_id for entry in entries if (entry.sweep or {}).get("id") == sweep]
        if not variants:
            raise UsageError(f"--sweep: there are no results of the sweep {sweep!r}")
        chosen += variants
    if failed:
        chosen += sorted(stored_run_ids(store, failed=True) - stored_run_ids(store))
    return list(dict.fromkeys(chosen))


def tag(
    run_id: RunReference,
    tags: Annotated[
        list[str] | None, typer.Argument(metavar="[TAG...]", help="Tags to add.")
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", metavar="TAG", help="Tag to remove.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Add tags to a run, or remove some; without any, print those that it has.

    odum results list --tag TAG lists the results that have it.

    [dim]Examples:[/]
      odum results tag last baseline
      odum results tag 6fbef1 paper --remove draft
    """
    from odum_assets.cli.selection import choose_run, open_store
    from odum_assets.results.annotating import annotate
    from odum_assets.results.annotations import Annotations

    store = open_store()
    name = choose_run(store, run_id, failed=True)

    def change(before: Annotations) -> Annotations:
        kept = {*before.tags} - {*(remove or ())}
        return replace(before, tags=tuple(kept | {*(tags or ())}))

    _tell(name, annotate(store, name, change), as_json)


def note(
    run_id: RunReference,
    text: Annotated[
        str | None,
        typer.Argument(metavar="[TEXT]", help="The note; '' removes it.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a note to a run, in place of an earlier one; without text, print it.

    [dim]Example:[/]
      odum results note last "first run with queue position"
    """
    from odum_assets.cli.selection import choose_run, open_store
    from odum_assets.results.annotating import annotate
    from odum_assets.results.annotations import Annotations

    store = open_store()
    name = choose_run(store, run_id, failed=True)

    def change(before: Annotations) -> Annotations:
        return before if text is None else replace(before, note=text)

    _tell(name, annotate(store, name, change), as_json)


def _tell(run_id: str, annotations: "Annotations", as_json: bool) -> None:
    from odum_assets.cli.rendering import Output, escaped

    output = Output(as_json)
    output.data({"run_id": run_id, **annotations.as_json()})
    output.facts(
        run_id,
        [
            ("tags", escaped(", ".join(annotations.tags)) or "none"),
            ("note", escaped(annotations.note) or "none"),
        ],
    )
