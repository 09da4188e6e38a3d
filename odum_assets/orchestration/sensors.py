"""The sensors: new and changed day folders, and runs that ended without a row in the registry."""

import math
import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import dagster as dg

from odum_assets.config import read_folder
from odum_assets.errors import ConfigError, OdumError
from odum_assets.orchestration.assets.raw import unreported
from odum_assets.orchestration.discovery import Cursor, DayRun, discover
from odum_assets.orchestration.ended_runs import register_ended
from odum_assets.orchestration.finished import finished_result
from odum_assets.orchestration.names import day_job_name
from odum_assets.orchestration.planned_checks import report_not_evaluated
from odum_assets.orchestration.project import Project
from odum_assets.orchestration.registration import reconcile_pending
from odum_assets.orchestration.run_config import ResultConfig
from odum_assets.raw.layout import MARKER

STABLE_SECS: Final = "ODUM_STABLE_SECS"
"""Variable: seconds without a change after which a day folder without marker is complete."""

_STABLE_DEFAULT: Final = 30.0


def raw_days_sensor(project: Project, jobs: Sequence[dg.JobDefinition]) -> dg.SensorDefinition:
    """Return the sensor.

    It is off until a person turns it on: its first tick requests a run for every configuration and
    day on disk, which is a decision and not a side effect of opening the UI.
    """

    @dg.sensor(
        name="raw_days",
        jobs=list(jobs),
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description=(
            "Reports raw day files that are new or changed (their fingerprint is the data version) "
            "and requests one run per configuration and day, for configurations with auto_discover "
            "whose time_window covers the day, once all files that they name are there. A day "
            f"folder is taken when it holds a file {MARKER}, or after {_STABLE_DEFAULT:g} s "
            f"without a change ({STABLE_SECS}). Turning it on runs every day on disk that has no "
            "result yet (in mode fast or report), or one of other data or another configuration; "
            "resetting its cursor is harmless. Never turn it on together with on_new_data."
        ),
    )
    def raw_days(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        discovery = discover(
            project,
            Cursor.parse(context.cursor),
            now=time.time(),
            today=datetime.now(UTC).date(),
            stable_secs=stable_secs(os.environ.get(STABLE_SECS)),
            unusable=_unusable(project),
        )
        for note in discovery.notes:
            context.log.info(note)
        events = list(unreported(context.instance, discovery.files))
        due = [run for run in discovery.runs if not _is_finished(project, run)]
        requests = [_request(run) for run in due]
        notes = list(discovery.notes)
        if finished := len(discovery.runs) - len(due):
            notes.append(f"{finished} runs are not requested: their results are there already")
            context.log.info(notes[-1])
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else "; ".join(notes) or "nothing new",
            asset_events=events,
            cursor=discovery.cursor.dump(),
        )

    return raw_days


def ended_runs_sensor(project: Project) -> dg.SensorDefinition:
    """Return the sensor that closes runs of the registry whose process could not do it.

    It checks the runs that are active in the registry and asks what became of them, so
    nothing is missed while it is off. It is on from the start: it only tells what is so.
    """

    @dg.sensor(
        name="registry_ended_runs",
        minimum_interval_seconds=10,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Finalizes active runs of the registry whose Dagster run has ended: canceled while "
            "queued, stopped by a failed conversion, or killed. Each gets a record of its failure "
            "beside the results."
        ),
    )
    def registry_ended_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        try:
            closed = reconcile_pending(context.instance, project.settings)
        except OdumError as error:
            return dg.SkipReason(str(error))
        return dg.SkipReason(f"finalized {', '.join(closed)}" if closed else "nothing to finalize")

    return registry_ended_runs


def ended_run_sensors(project: Project) -> list[dg.SensorDefinition]:
    """Return the sensors that register runs which failed or were canceled before their step.

    They are on from the start: they only tell what is so. Dagster hands each such run of this code
    location over once, whoever asked for it.
    """
    return [
        _status_sensor(project, "failed", dg.DagsterRunStatus.FAILURE),
        _status_sensor(project, "canceled", dg.DagsterRunStatus.CANCELED),
    ]


def _status_sensor(project: Project, word: str, status: dg.DagsterRunStatus) -> dg.SensorDefinition:
    @dg.run_status_sensor(
        status,
        name=f"registry_{word}_runs",
        minimum_interval_seconds=5,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            f"Registers backtests whose run {word} before their step could: each gets a row, and a "
            "record with the reason beside the results."
        ),
    )
    def register(context: dg.RunStatusSensorContext) -> None:
        report_not_evaluated(context.instance, context.dagster_run)
        register_ended(context.instance, project, context.dagster_run)

    return register


def _unusable(project: Project) -> dict[str, str]:
    """Return the configurations that no run can be started of now, with the reason.

    A run reads its configuration again: one whose file was damaged or removed since the graph was
    loaded would fail, and one that has come since is not in the graph yet.
    """
    loaded = {config.name: config.path for config in project.configs}
    folder = read_folder(project.settings)
    usable = {config.name: config.path for config in folder.configs}
    reasons = {name: f"{path}: the file is gone" for name, path in loaded.items()}
    reasons |= {
        name: f"{path}: not in the graph yet; reload the code location"
        for name, path in usable.items()
    }
    reasons |= {refused.name: str(refused) for refused in folder.refused}
    return {name: why for name, why in reasons.items() if not (name in loaded and name in usable)}


def stable_secs(text: str | None) -> float:
    """Return the seconds of `STABLE_SECS`.

    Raises
    ------
    ConfigError
        If the text is no number of seconds.
    """
    if text is None or not text.strip():
        return _STABLE_DEFAULT
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise ConfigError(f"{STABLE_SECS}: found {text!r}, allowed seconds such as 30")
    return seconds


def _is_finished(project: Project, run: DayRun) -> bool:
    """Return whether a run would only repeat a result that is there, whoever asked for it.

    One in mode fast is a result as well: the sensor asks for days, not for reports.
    """
    request = ResultConfig(mode="fast").day_request(run.config, run.day)
    return finished_result(project, request) is not None


def _request(run: DayRun) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=run.run_key,
        job_name=day_job_name(run.config.name),
        partition_key=run.day.isoformat(),
        tags={"odum/config": run.config.name, "odum/started_by": "raw_days"},
    )
