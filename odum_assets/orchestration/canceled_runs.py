"""Runs that were canceled while Dagster's daemon was starting them.

Between its last check of a run's status and the start of the process the daemon does not see that
the run is canceled. It sets the status STARTING, and the run would execute although the request to
cancel it had succeeded. A termination before the process exists is lost in the same way.
"""

from typing import Final

import dagster as dg

from odum_assets.orchestration.metadata import StepContext

_CANCELED: Final = {dg.DagsterEventType.RUN_CANCELING, dg.DagsterEventType.RUN_CANCELED}


def end_if_canceled(context: StepContext) -> None:
    """End a run that was canceled before its step began, as canceled.

    Raises
    ------
    DagsterExecutionInterruptedError
        If Dagster has an event that the run is or was to be canceled.
    """
    # Not exported by Dagster; it ends a run as the termination of one that has begun does.
    from dagster._core.errors import DagsterExecutionInterruptedError

    instance, run = context.instance, context.run
    if instance.all_logs(run.run_id, of_type=_CANCELED):
        instance.report_run_canceling(run, "The run was canceled while it was being started.")
        raise DagsterExecutionInterruptedError("the run was canceled while it was being started")
