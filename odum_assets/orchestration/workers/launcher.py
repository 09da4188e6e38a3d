"""A run launcher of Celery tasks that notices dead, frozen and unreachable workers.

Dagster's own launcher believes what Celery said last of a task: a run whose machine died stays
started for ever, one whose state Redis lost is failed while it runs, and one that lost the database
at its end counts as done. Here the process of a run writes a heartbeat (``app``), and a run
without one is failed, so that Dagster tries it again on another worker. The clocks of machines are
never compared: what counts is how long the heartbeat has not changed, seen from here.
"""

import time
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, cast

import dagster as dg
from celery.exceptions import DuplicateTaskNameWarning
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._serdes import ConfigurableClassData
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

if TYPE_CHECKING:
    from dagster._config import UserConfigSchema

# Dagster defines its task again for each run, and Celery says so each time.
warnings.filterwarnings("ignore", category=DuplicateTaskNameWarning)

_SILENT_AFTER_S = 60
_KEPT = 10
_SETTING = "silent_after_seconds"


def heartbeat_key(task_id: str) -> str:
    """Return the key in Celery's result backend under which a task writes its heartbeat."""
    return f"odum-heartbeat-{task_id}"


class HeartbeatRunLauncher(CeleryRunLauncher):
    """Start runs as Celery tasks, and fail those whose worker is silent.

    Parameters
    ----------
    silent_after_seconds : int, default 60
        Time without a new heartbeat after which a run's worker counts as lost.
    **options : Any
        Those of `CeleryRunLauncher`.
    """

    def __init__(self, silent_after_seconds: int = _SILENT_AFTER_S, **options: Any) -> None:  # noqa: ANN401
        super().__init__(**options)
        self.silent_after_seconds = silent_after_seconds
        self._seen: dict[str, tuple[bytes | None, float]] = {}

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Return whether the process of a run gives signs of life."""
        task_id = run.tags[DAGSTER_CELERY_TASK_ID_TAG]
        state = self.celery.AsyncResult(task_id).state
        if state in ("SUCCESS", "FAILURE", "REVOKED"):
            # Dagster asks only about runs that have not ended, and looks once more before it
            # believes this.
            self._seen.pop(task_id, None)
            return CheckRunHealthResult(
                WorkerStatus.FAILED, "The run's process ended without saying how the run ended."
            )
        beat, now = self.celery.backend.get(heartbeat_key(task_id)), time.monotonic()
        before, since = self._seen.get(task_id, (None, now))
        if task_id not in self._seen or beat != before:
            self._forget_ended(now)
            self._seen[task_id] = beat, now
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        if now - since < self.silent_after_seconds:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        del self._seen[task_id]
        # A worker that was only frozen or unreachable reads this when it is back.
        self.celery.control.revoke(task_id, terminate=True, signal="SIGKILL")
        return CheckRunHealthResult(
            WorkerStatus.FAILED,
            f"The run's worker gave no sign of life for {self.silent_after_seconds} s.",
        )

    def _forget_ended(self, now: float) -> None:
        """Drop tasks that nobody has asked about for long: their runs have ended."""
        kept_s = _KEPT * self.silent_after_seconds
        self._seen = {task: seen for task, seen in self._seen.items() if now - seen[1] < kept_s}

    def terminate(self, run_id: str) -> bool:
        """Stop a run; Dagster then says canceled, not failed."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        return super().terminate(run_id)

    @classmethod
    def config_type(cls) -> "UserConfigSchema":
        """Return the settings of `CeleryRunLauncher`, and ours."""
        silent_after = dg.Field(
            int,
            is_required=False,
            default_value=_SILENT_AFTER_S,
            description="Time without a heartbeat after which a run's worker counts as lost, s.",
        )
        return {**cast("dict[str, Any]", super().config_type()), _SETTING: silent_after}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]
    ) -> Self:
        """Return the launcher that a ``dagster.yaml`` describes."""
        return cls(inst_data=inst_data, **config_value)
