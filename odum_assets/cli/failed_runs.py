"""Runs that left no result, as a person sees them: why, and what was asked for."""

from functools import partial
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from odum_assets.cli.rendering import Output
    from odum_assets.results.store import ResultStore


def list_failed(output: "Output", store: "ResultStore", config: str | None, limit: int) -> None:
    """Print the runs that left no result, the last one first.

    Parameters
    ----------
    output : Output
        Where to.
    store : ResultStore
        The results.
    config : str or None
        Name of a configuration, for its runs only.
    limit : int
        Runs at most.
    """
    from odum_assets.cli.rendering import escaped, fitted, table
    from odum_assets.results.listing import time_range

    records, problems = _failed(store)
    records = [record for record in records if config in (None, record["metadata"]["config_name"])]
    output.data(
        {
            "total": len(records),
            "runs": [_row(record) for record in records[:limit]],
            "problems": problems,
        }
    )
    cells = [
        {
            "run id": record["run_id"],
            "configuration": escaped(record["metadata"]["config_name"]),
            "time range": time_range(record),
            "status": record["status"],
            "why": escaped(_first_line(record["error"]["message"])),
        }
        for record in records[:limit]
    ]
    if cells:
        order = ("configuration", "why", "time range", "status")
        output.show(fitted(output, partial(table, None), cells, order))
        output.info("odum results show RUN_ID prints the whole reason")
    else:
        output.show("There are no runs without a result.")
    for text in problems:
        output.warn(text)
    if problems:
        raise typer.Exit(1)


def show_failed(output: "Output", store: "ResultStore", run_id: str) -> None:
    """Print what is recorded of a run that left no result."""
    from odum_assets.cli.rendering import display_path, escaped, percent
    from odum_assets.results.annotations import read_annotations
    from odum_assets.results.failures import read_failure
    from odum_assets.results.listing import algorithm, overrides_text, time_range

    record, path = read_failure(store, run_id), store.failed_path(run_id)
    annotations = read_annotations(store.file("annotations", path.name))
    output.data({**record, "annotations": annotations.as_json(), "files": {"record": str(path)}})
    metadata, progress = record["metadata"], record.get("progress")
    output.show(f"[bold]{run_id}[/]  [bold red]{record['status']}[/]")
    output.show(f"[red]{escaped(record['error']['message'])}[/]")
    pairs = [
        ("configuration", escaped(metadata["config_name"])),
        ("time range", time_range(record)),
        ("execution", algorithm(metadata)),
        ("overrides", escaped(overrides_text(metadata)) or "none"),
        ("mode", record["mode"]),
        ("ended", record["execution_time"]),
    ]
    if progress is not None:
        done = percent(100 * progress["done"], sign=False, digits=0)
        pairs.append(("reached", escaped(f"{done} {progress['text']}")))
    if metadata.get("dagster_run_id"):
        pairs.append(("Dagster run", metadata["dagster_run_id"]))
    output.facts("Run", [*pairs, *annotation_rows(annotations.as_json())])
    output.facts("Files", [("record", escaped(display_path(path)))])


def annotation_rows(annotations: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the tags and the note of a run, where it has any."""
    from odum_assets.cli.rendering import escaped

    pairs = [("tags", ", ".join(annotations["tags"])), ("note", annotations["note"])]
    return [(name, escaped(text)) for name, text in pairs if text]


def _failed(store: "ResultStore") -> tuple[list[dict[str, Any]], list[str]]:
    """Return the records of the runs without a result, and what is wrong with unreadable ones."""
    from odum_assets.results.failures import read_failure
    from odum_assets.results.references import stored_run_ids
    from odum_assets.results.store import ResultError

    failed, problems = [], []
    for run_id in sorted(stored_run_ids(store, failed=True) - stored_run_ids(store)):
        try:
            record = read_failure(store, run_id)
            _row(record)
            failed.append(record)
        except ResultError as error:
            problems.append(str(error))
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            what = f"a value is missing or malformed ({type(error).__name__}: {error})"
            problems.append(f"{store.failed_path(run_id)}: {what}; move it away")
    return sorted(failed, key=lambda record: str(record["execution_time"]), reverse=True), problems


def _row(record: dict[str, Any]) -> dict[str, Any]:
    from odum_assets.results.listing import algorithm, overrides, time_range

    metadata = record["metadata"]
    return {
        "run_id": record["run_id"],
        "config": metadata["config_name"],
        "partition": metadata["partition"],
        "time_range": time_range(record),
        "exec_algorithm": algorithm(metadata),
        "overrides": overrides(metadata),
        "status": record["status"],
        "ended": record["execution_time"],
        "error": record["error"]["message"],
        "error_type": record["error"]["type"],
        "dagster_run_id": metadata.get("dagster_run_id"),
    }


def _first_line(text: str) -> str:
    return text.partition("\n")[0]
