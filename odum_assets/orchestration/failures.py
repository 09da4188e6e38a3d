"""Errors for people become Dagster failures that are never retried; bugs stay what they are.

What belongs here: failing a step, and reading from the events of a run why it failed.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import dagster as dg

from odum_assets.errors import OdumError
from odum_assets.orchestration.metadata import to_metadata

if TYPE_CHECKING:
    from dagster_shared.error import SerializableErrorInfo

_FAILED_FROM_OUTSIDE: Final = "marked as failed from outside the execution context"
"""In the message of a failure that was reported without a reason."""


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
    """Return why a run failed: each failed step with its words, else what Dagster says of the run.

    Where Dagster's daemon or code server fails a run, the failure itself names no reason. The last
    event of the engine before it does: a process that ended, or an error of the launch.
    """
    kinds = dg.DagsterEventType
    entries = instance.all_logs(
        run.run_id, of_type={kinds.STEP_FAILURE, kinds.RUN_FAILURE, kinds.ENGINE_EVENT}
    )
    events = [entry.dagster_event for entry in entries if entry.dagster_event is not None]
    steps = [
        f"{step_label(event.step_key)}: {step_failure_text(event)}"
        for event in events
        if event.is_step_failure
    ]
    return "\n".join(steps) or _run_failure_text(events) or "the run failed"


def _run_failure_text(events: Sequence[dg.DagsterEvent]) -> str | None:
    """Return what the last failure of a run says, or the engine's event before it."""
    reason = engine = None
    for event in events:
        if event.is_failure:
            is_unexplained = _FAILED_FROM_OUTSIDE in (event.message or "")
            reason = (engine if is_unexplained else None) or event.message
        elif event.event_type is dg.DagsterEventType.ENGINE_EVENT and event.message:
            error = _root_cause(event.engine_event_data.error)
            engine = "\n".join(dict.fromkeys(filter(None, [event.message, error])))
    return reason


def step_label(step_key: str | None) -> str:
    """Return the asset of a step as a person knows it."""
    return (step_key or "run").replace("__", "/")


def step_failure_text(event: dg.DagsterEvent) -> str:
    """Return why a step failed: a person's words where there are any, else the root cause."""
    data = event.step_failure_data
    if data.user_failure_data is not None and data.user_failure_data.description:
        return str(data.user_failure_data.description)
    return _root_cause(data.error) or "the step failed"


def _root_cause(error: "SerializableErrorInfo | None") -> str | None:
    """Return the message of the error that caused all others."""
    while error is not None and error.cause is not None:
        error = error.cause
    return None if error is None else error.message.strip()
