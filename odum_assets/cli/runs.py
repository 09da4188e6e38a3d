"""Planned runs in this process: carrying them out, and finding the stored result."""

from typing import TYPE_CHECKING, Any

from odum_assets.cli.errors import WorkError
from odum_assets.cli.session import Session, failure_text

if TYPE_CHECKING:
    from odum_assets.cli.rendering import Output
    from odum_assets.orchestration.launch import LaunchResult
    from odum_assets.orchestration.planner import Plan
    from odum_assets.results.store import ResultEntry


def carry_out(session: Session, plan: "Plan", title: str | None = None) -> "LaunchResult":
    """Run what is planned; print what warned."""
    result = session.run(
        title or plan.partition or "window",
        plan.keys,
        plan.partition,
        {plan.target: plan.config},
        job=plan.job,
        tags=plan.tags,
    )
    print_warnings(session.output, result)
    return result


def print_warnings(output: "Output", result: "LaunchResult") -> None:
    """Print the checks of catalog partitions that warned; a result says its own in its flags."""
    for key, text in result.warnings:
        if key.startswith("catalog/"):
            output.warn(f"{key}: {text}")


def metadata_of(plan: "Plan", result: "LaunchResult") -> dict[str, Any]:
    """Return the metadata of what a plan's run made.

    Raises
    ------
    WorkError
        If it made nothing.
    """
    metadata = result.materializations.get("/".join(plan.target))
    if metadata is None:
        raise WorkError(failure_text(result))
    return metadata


def run_plan(session: Session, plan: "Plan") -> "ResultEntry":
    """Run a day or a window and return its stored result.

    Raises
    ------
    WorkError
        If anything of it failed.
    """
    from odum_assets.results.logs import last_lines, read_log
    from odum_assets.results.store import ResultStore

    result, store = carry_out(session, plan), ResultStore(session.settings.results_path)
    try:
        run_id = str(metadata_of(plan, result)["run_id"])
    except WorkError as error:
        lines = [] if plan.run_id is None else last_lines(read_log(store, plan.run_id))
        if not lines:
            raise
        indented = "\n".join(f"  {line}" for line in lines)
        raise WorkError(
            f"{error}\nThe last output of {plan.run_id} (all: odum results log {plan.run_id}):\n"
            f"{indented}"
        ) from None
    entry = store.entry(run_id)
    if not result.success:
        raise WorkError(f"{failure_text(result)}\nThe result is stored: {entry.run_id}")
    return entry
