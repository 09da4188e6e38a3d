"""Checks that a failed run planned and never evaluated: Dagster shows them as failed by an error.

Dagster has no public way to take a plan back, so that they are given a verdict that says what they
are: a warning, since nothing was found.
"""

import dagster as dg


def report_not_evaluated(
    instance: dg.DagsterInstance, run: dg.DagsterRun
) -> list[dg.AssetCheckKey]:
    """Say of the checks that a failed run did not come to that they were not evaluated.

    A sensor and the command that ran it may both call this: it is said once. What a later run has
    planned or evaluated stays as it is.

    Parameters
    ----------
    instance : dg.DagsterInstance
        Where the run is.
    run : dg.DagsterRun
        A run; nothing is said of one that has not failed.

    Returns
    -------
    list of dg.AssetCheckKey
        The checks.
    """
    from dagster._core.event_api import PartitionKeyFilter
    from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

    if run.status is not dg.DagsterRunStatus.FAILURE:
        return []
    planned = instance.all_logs(run.run_id, dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED)
    keys = [
        log.dagster_event.asset_check_planned_data.asset_check_key
        for log in planned
        if log.dagster_event is not None
    ]
    partition = run.tags.get("dagster/partition")
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(
        keys, PartitionKeyFilter(key=partition)
    )
    is_open = AssetCheckExecutionRecordStatus.PLANNED
    left = [
        key
        for key, record in latest.items()
        if record.run_id == run.run_id and record.status is is_open
    ]
    for key in left:
        text = f"Not evaluated: run {run.run_id} failed before."
        evaluation = dg.AssetCheckEvaluation(
            asset_key=key.asset_key,
            check_name=key.name,
            passed=False,
            severity=dg.AssetCheckSeverity.WARN,
            description=text,
            partition=partition,
        )
        # As an event of the run: of those without a run, which are public, Dagster keeps one only
        # for each check and partition.
        event = dg.DagsterEvent(
            event_type_value=dg.DagsterEventType.ASSET_CHECK_EVALUATION.value,
            job_name=run.job_name,
            event_specific_data=evaluation,
            message=text,
        )
        instance.report_dagster_event(event, run.run_id)
    return left
