"""Workers of Celery: their heartbeats, and what the launcher makes of them."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

pytest.importorskip("dagster_celery", reason="the extra cluster is not installed")

from dagster._core.launcher import WorkerStatus

from odum_assets.orchestration.workers import launcher as module
from odum_assets.orchestration.workers.launcher import HeartbeatRunLauncher, heartbeat_key

WORKERS_YAML = Path(__file__).parents[2] / "docker/dagster-workers.yaml"
TASK = "a-task"
MEMORY = {"broker": "memory://", "backend": "cache+memory://"}


class Clock:
    """The clock of the launcher, set by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        monkeypatch.setattr(module.time, "monotonic", lambda: self.now)


@pytest.fixture
def launcher() -> HeartbeatRunLauncher:
    return HeartbeatRunLauncher(silent_after_seconds=60, default_queue="dagster", **MEMORY)


def _health(launcher: HeartbeatRunLauncher) -> WorkerStatus:
    run = dg.DagsterRun(
        "job", tags={"dagster-celery/task_id": TASK}, status=dg.DagsterRunStatus.STARTED
    )
    return launcher.check_run_worker_health(run).status


@pytest.mark.parametrize("state", ["STARTED", "PENDING"])
def test_a_run_lives_as_long_as_its_heartbeat_changes(
    launcher: HeartbeatRunLauncher, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """Whatever Celery says: PENDING is what it says of a task that Redis has lost."""
    revoked: list[str] = []
    monkeypatch.setattr(launcher.celery.control, "revoke", lambda task, **_: revoked.append(task))
    clock, backend = Clock(monkeypatch), launcher.celery.backend
    if state != "PENDING":
        backend.store_result(TASK, {"hostname": "celery@one"}, state)
    for beat in range(5):
        backend.set(heartbeat_key(TASK), str(beat))
        clock.now += 59
        assert _health(launcher) is WorkerStatus.RUNNING
    clock.now += 59
    assert _health(launcher) is WorkerStatus.RUNNING
    assert revoked == []
    clock.now += 2
    assert _health(launcher) is WorkerStatus.FAILED
    # A worker that was only frozen is told to end it.
    assert revoked == [TASK]


def test_a_worker_without_any_heartbeat_has_its_time(
    launcher: HeartbeatRunLauncher, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    monkeypatch.setattr(launcher.celery.control, "revoke", lambda *_, **__: None)
    assert _health(launcher) is WorkerStatus.RUNNING
    clock.now += 61
    assert _health(launcher) is WorkerStatus.FAILED


@pytest.mark.parametrize("state", ["SUCCESS", "FAILURE", "REVOKED"])
def test_a_run_whose_process_ended_silently_has_failed(
    launcher: HeartbeatRunLauncher, state: str
) -> None:
    launcher.celery.backend.store_result(f"{TASK}-{state}", None, state)
    run = dg.DagsterRun("job", tags={"dagster-celery/task_id": f"{TASK}-{state}"})
    assert launcher.check_run_worker_health(run).status is WorkerStatus.FAILED


def test_the_file_of_the_workers_is_one_that_dagster_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dagster._core.instance.ref import InstanceRef

    for name, value in {
        "CELERY_BROKER_URL": MEMORY["broker"],
        "CELERY_RESULT_BACKEND": MEMORY["backend"],
        "DAGSTER_PG_URL": "postgresql+psycopg2://dagster@host/dagster",
        "ODUM_LOG_BUCKET": "logs",
        "ODUM_LOG_FOLDER": str(tmp_path),
    }.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "dagster.yaml").write_bytes(WORKERS_YAML.read_bytes())
    ref = InstanceRef.from_dir(str(tmp_path))
    assert ref.run_launcher_data is not None
    launcher = ref.run_launcher_data.rehydrate()
    assert isinstance(launcher, HeartbeatRunLauncher)
    assert (launcher.silent_after_seconds, launcher.broker) == (60, MEMORY["broker"])
    concurrency = ref.settings["concurrency"]
    assert concurrency["runs"]["max_concurrent_runs"] == 3
    assert ref.settings["run_monitoring"]["enabled"]
    assert ref.compute_logs_data.class_name == "GCSComputeLogManager"


WORKER = """
import sys, time
from odum_assets.orchestration.workers import app
from odum_assets.orchestration.workers.launcher import heartbeat_key
backend, seen = app.app.backend, set()
with app._heartbeats("a-task"):
    while len(seen) < 3:
        seen.add(backend.get(heartbeat_key("a-task")))
assert app.app.conf.worker_max_tasks_per_child == 1
assert "execute_job" in app.app.tasks
from dagster import DagsterInstance
with DagsterInstance.get() as instance:  # as Dagster's task does
    assert type(instance.run_launcher).__name__ == "HeartbeatRunLauncher"
print(len(seen))
"""


@pytest.mark.parametrize("is_home", [True, False])
def test_a_worker_takes_everything_from_the_dagster_yaml(tmp_path: Path, is_home: bool) -> None:
    content: dict[str, Any] = yaml.safe_load(WORKERS_YAML.read_text("utf-8"))
    config = content["run_launcher"]["config"] | MEMORY | {"silent_after_seconds": 1}
    yaml_text = yaml.safe_dump({"run_launcher": content["run_launcher"] | {"config": config}})
    (tmp_path / "dagster.yaml").write_text(yaml_text)

    environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}

    def started(home: Path) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-c", WORKER],
            env=environment | {"DAGSTER_HOME": str(home)} if is_home else environment,
            cwd=home, capture_output=True, text=True, check=False,
        )  # fmt: skip

    done = started(tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, "3"), done.stderr
    (tmp_path / "other").mkdir()
    refused = started(tmp_path / "other")
    assert "begin with docker/dagster-workers.yaml" in refused.stderr
