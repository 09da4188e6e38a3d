"""Runs that were canceled in the queue while Dagster's daemon was starting them.

Between its last check of a run's status and the start of the process the daemon does not see that
the run is canceled. It says that the run starts, over what was said before, and the run would be
carried out although whoever canceled it was told that it is over.
"""

import dagster as dg

from odum_assets.orchestration.metadata import StepContext


def end_if_canceled(context: StepContext) -> None:
    """End a run that was canceled before it began, as canceled.

    Raises
    ------
    DagsterExecutionInterruptedError
        If Dagster has an event that the run was canceled.
    """
    # Not exported by Dagster; it ends a run as the termination of one that has begun does.
    from dagster._core.errors import DagsterExecutionInterruptedError

    instance, run = context.instance, context.run
    if instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_CANCELED):
        instance.report_run_canceling(run, "The run was canceled while it was being started.")
        raise DagsterExecutionInterruptedError("the run was canceled while it was being started")
