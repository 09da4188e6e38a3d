"""Why a run failed, read from the events of Dagster."""

import sys

import dagster as dg
from dagster._core.events import EngineEventData
from dagster._utils.error import serializable_error_info_from_exc_info

from odum_assets.orchestration.failures import failure_text


def test_a_run_that_was_failed_from_outside_says_what_the_engine_said() -> None:
    """Dagster's daemon and code server give the reason in an event of their own."""
    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(dg.GraphDefinition("anything").to_job())
        assert failure_text(instance, run) == "the run failed"
        instance.report_run_failed(run)
        assert "marked as failed from outside" in failure_text(instance, run)
        try:
            try:
                raise OSError("the server is gone")
            except OSError as cause:
                raise RuntimeError("not launched") from cause
        except RuntimeError:
            error = serializable_error_info_from_exc_info(sys.exc_info())
        instance.report_engine_event("Not launched", run, EngineEventData.engine_error(error))
        instance.report_run_failed(run)
        assert failure_text(instance, run) == "Not launched\nOSError: the server is gone"
        # What a failure says itself is better.
        instance.report_run_failed(run, "the process is gone")
        assert failure_text(instance, run) == "the process is gone"
