"""Errors for people become Dagster failures that are never retried; bugs stay what they are.

What belongs here: failing a step, and reading from the events of a run why it failed.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import dagster as dg

from odum_assets.errors import OdumError
from odum_assets.orchestration.metadata import to_metadata


@contextmanager
def failing(facts: Mapping[str, object] | None = None) -> Iterator[None]:
    """Turn an `OdumError` raised inside into a `dg.Failure` with the same text.

    Anything else propagates with its traceback. A data error stays one however often it is tried,
    so the failure refuses retries; ``dagster.yaml`` retries runs only when their process died.

    Parameters
    ----------
    facts : Mapping[str, object], optional
        What the reader of the failure should see beside the text.
    """
    try:
        yield
    except OdumError as error:
        raise dg.Failure(
            description=str(error),
            metadata={
                "error": type(error).__name__,
                **to_metadata(facts or {}),
                **to_metadata(error.facts),
            },
            allow_retries=False,
        ) from error


def failure_text(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """Return why a run failed: each failed step with its words, else what the run says."""
    entries = instance.all_logs(
        run.run_id, of_type={dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
    )
    events = [entry.dagster_event for entry in entries if entry.dagster_event is not None]
    steps = [
        f"{step_label(event.step_key)}: {step_failure_text(event)}"
        for event in events
        if event.is_step_failure
    ]
    runs = [event.message for event in events if not event.is_step_failure and event.message]
    return "\n".join(steps or runs[-1:]) or "the run failed"


def step_label(step_key: str | None) -> str:
    """Return the asset of a step as a person knows it."""
    return (step_key or "run").replace("__", "/")


def step_failure_text(event: dg.DagsterEvent) -> str:
    """Return why a step failed: a person's words where there are any, else the root cause."""
    data = event.step_failure_data
    if data.user_failure_data is not None and data.user_failure_data.description:
        return str(data.user_failure_data.description)
    error = data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return "the step failed" if error is None else error.message.strip()
