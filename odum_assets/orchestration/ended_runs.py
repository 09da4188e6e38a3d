"""Runs of Dagster that ended before a step could register them, whoever asked for them.

What belongs here: what a Dagster run was asked for, read from its partition and run config, and its
row and record in the registry. What does not: runs that are queued or running in
the registry (``registration``).
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import dagster as dg
from pydantic import ValidationError

from odum_assets.config import LoadedConfig
from odum_assets.errors import ConfigError, OdumError
from odum_assets.orchestration.names import backtest_key, day_job_name, op_name
from odum_assets.orchestration.planned_checks import report_not_evaluated
from odum_assets.orchestration.project import Project
from odum_assets.orchestration.registration import (
    NEXT_TRY_TAG,
    RUN_ID_TAG,
    choose_run_id,
    ending_of,
    exports_ticks,
)
from odum_assets.orchestration.requests import RunOptions, WindowOptions
from odum_assets.orchestration.run_config import (
    ResultConfig,
    SweepConfig,
    WindowConfig,
)

if TYPE_CHECKING:
    from odum_assets.backtest.request import RunRequest

_CONFIGS: Final[dict[str, type[RunOptions]]] = {
    "result": ResultConfig,
    "window": WindowConfig,
    "sweep": SweepConfig,
}
"""Run config of each asset that runs backtests, by the last part of its key."""


def register_ended(instance: dg.DagsterInstance, project: Project, run: dg.DagsterRun) -> list[str]:
    """Register what a Dagster run was asked for and did not come to; return the run ids.

    A run that a step has registered is closed at most, one that has a row already stays as it is:
    a sensor and the command that ran it may both call this.

    Parameters
    ----------
    instance : dg.DagsterInstance
        Where the run is.
    project : Project
        Configurations, and where results and registry lie.
    run : dg.DagsterRun
        A run; only a failed or canceled one is looked at, and none that Dagster tries again under
        the same run id.

    Raises
    ------
    RegistryError, ResultError
        If the registry or a record cannot be written.
    """
    from odum_assets.registry.pending import attach_dagster_run, finalize_pending, register_ending
    from odum_assets.results.requested import request_record
    from odum_assets.results.run_id import run_id_of

    ending, given = ending_of(instance, run), run.tags.get(RUN_ID_TAG)
    if ending is None or (given is not None and _is_tried_again(run)):
        return []
    requests = list(requests_of(project, run))
    if not requests:
        return []
    settings = project.settings
    if given is not None and run.parent_run_id is None:
        attach_dagster_run(settings, given, run.run_id)
    ids = finalize_pending(settings, run.run_id, *ending)
    for request in requests:
        try:
            run_id = choose_run_id(run, request, settings)
        except ConfigError:
            # That is why it failed.
            run_id = run_id_of(request, run.run_id)
        record = request_record(request, run_id, run.run_id)
        if register_ending(settings, record, *ending):
            ids.append(run_id)
    return ids


def requests_of(project: Project, run: dg.DagsterRun) -> "Iterator[RunRequest]":
    """Yield the backtests that a Dagster run was asked for; a sweep counts as one."""
    ops: Any = run.run_config.get("ops", {})
    for loaded in project.configs:
        for step, model in _CONFIGS.items():
            name = op_name(backtest_key(loaded.name, step))
            if _is_selected(run, loaded, step, name):
                chosen = ops.get(name, {}).get("config") or {}
                request = _request(loaded, model, dict(chosen), run.tags.get("dagster/partition"))
                if request is not None:
                    is_asked = request.export_ticks or exports_ticks(run, loaded.name)
                    yield replace(request, export_ticks=is_asked)


def _is_selected(run: dg.DagsterRun, loaded: LoadedConfig, step: str, name: str) -> bool:
    """Return whether a run was to carry out an asset's op."""
    if run.step_keys_to_execute:
        return name in run.step_keys_to_execute
    if run.asset_selection or run.asset_check_selection:
        return backtest_key(loaded.name, step) in (run.asset_selection or ())
    job = day_job_name(loaded.name) if step == "result" else f"{loaded.name}_{step}"
    return run.job_name == job


def _request(
    loaded: LoadedConfig, model: type[RunOptions], chosen: dict[str, Any], day: str | None
) -> "RunRequest | None":
    """Return a request; what of its run config cannot be used is left out."""
    for values in (chosen, {}):
        try:
            config = model.model_validate(values)
            if isinstance(config, WindowOptions):
                return config.request(loaded, (), "window", config.bounds(loaded))
            if day is not None:
                return config.day_request(loaded, date.fromisoformat(day))
        except (ConfigError, ValidationError, ValueError):
            continue
    return None


def _is_tried_again(run: dg.DagsterRun) -> bool:
    return run.is_complete_and_waiting_to_retry or NEXT_TRY_TAG in run.tags


def register_ended_or_log(
    instance: dg.DagsterInstance, project: Project, dagster_run_id: str
) -> None:
    """Register a run like `register_ended`; say in the run's log why that cannot be done."""
    run = instance.get_run_by_id(dagster_run_id)
    if run is None:
        return
    report_not_evaluated(instance, run)
    try:
        register_ended(instance, project, run)
    except OdumError as error:
        instance.report_engine_event(f"This run could not be registered: {error}", run)
