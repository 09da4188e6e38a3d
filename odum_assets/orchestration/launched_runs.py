"""The server of a run launcher: ``python -m odum_assets.orchestration.launched_runs FD``.

Runs of the UI, the service and the sensors are forked off it (``run_launcher``). FD is the end of a
pipe on which it receives what its runs have in common (`Shared`), and then tasks.
"""

import importlib
import os
import signal
import sys
from multiprocessing.connection import Connection

import dagster as dg

from odum_assets.backtest.child import forked_ahead
from odum_assets.orchestration.ended_runs import register_ended_or_log
from odum_assets.orchestration.interrupts import discarded_interrupts_repeated, end_with_parent
from odum_assets.orchestration.launch import Graph, fail_run
from odum_assets.orchestration.run_process import WORKER_TAG, process_tags
from odum_assets.orchestration.run_server import (
    PRELOADED,
    PRELOADED_FOR_REPLAYS,
    REPLAY_WORKER,
    Shared,
    serve,
)


def main(file_descriptor: int) -> None:
    """Serve until the launcher is gone."""
    # Ctrl-C in a terminal is for who launches the runs; a run is interrupted by itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = Connection(file_descriptor)
    try:
        shared: Shared = connection.recv()
        for name in (*PRELOADED, *PRELOADED_FOR_REPLAYS):
            importlib.import_module(name)
        serve(connection, shared, run_launched)
    except (EOFError, BrokenPipeError):
        return


def run_launched(
    instance: dg.DagsterInstance, graph: Graph, run_id: str, _sender: Connection
) -> None:
    """Carry out a run that Dagster has stored and launched."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with forked_ahead(sys.modules[REPLAY_WORKER].main):
        end_with_parent()
        instance.add_run_tags(run_id, process_tags(run_id, WORKER_TAG))
        run = instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return
        if run.status is dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run)
        else:
            _carry_out(instance, graph, run)
    # A failure that no step has registered waits for no sensor.
    register_ended_or_log(instance, graph.project, run_id)


def _carry_out(instance: dg.DagsterInstance, graph: Graph, run: dg.DagsterRun) -> None:
    """Run all steps; whatever is raised outside them fails the run."""
    from dagster._core.definitions.job_base import InMemoryJob
    from dagster._core.errors import DagsterExecutionInterruptedError
    from dagster._core.events import EngineEventData
    from dagster._core.execution.api import execute_run_iterator
    from dagster._utils.error import serializable_error_info_from_exc_info

    pid = os.getpid()
    instance.report_engine_event(f"Started process for run (pid: {pid}).", run)
    try:
        with discarded_interrupts_repeated():
            job = InMemoryJob(graph.definitions.resolve_job_def(run.job_name))
            for _ in execute_run_iterator(job, run, instance):
                pass
    except (KeyboardInterrupt, DagsterExecutionInterruptedError):
        _fail(instance, run.run_id, "The run was interrupted.")
    except Exception:  # noqa: BLE001 - whatever it was, the run says it
        error = EngineEventData.engine_error(serializable_error_info_from_exc_info(sys.exc_info()))
        instance.report_engine_event("The run failed outside its steps.", run, error)
        _fail(instance, run.run_id, None)


def _fail(instance: dg.DagsterInstance, run_id: str, text: str | None) -> None:
    """End a run that has not ended as failed, or as canceled where that was asked for."""
    run = instance.get_run_by_id(run_id)
    if run is not None and not run.is_finished:
        fail_run(instance, run, text)


if __name__ == "__main__":
    main(int(sys.argv[1]))
