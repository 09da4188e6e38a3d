"""The launcher of ``dagster.yaml``: runs are forked off a server, and what becomes of them."""

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.launcher import LaunchRunContext, WorkerStatus
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from graphtools import BTC, FIRST_DAY, REPO

from odum_assets.orchestration.launch import job_origin, load_graph
from odum_assets.orchestration.run_launcher import ForkingRunLauncher
from odum_assets.orchestration.run_process import RunProcess, worker_of
from odum_assets.registry.database import reading
from odum_assets.registry.queries import list_runs
from odum_assets.registry.register import opened
from odum_assets.settings import Settings

DAY = FIRST_DAY.isoformat()
JOB = f"{BTC}_day"
Status = dg.DagsterRunStatus
_WAITS_S = 90.0
_SLEEPER = """
import time

from odum_assets.backtest.strategies.base import OdumStrategy


class Sleeper(OdumStrategy):
    def on_start(self):
        self.subscribe_trades(self.setup.instrument_id)

    def on_trade(self, trade):
        time.sleep(0.5)
"""


_SECRETS = """
secrets:
  custom:
    module: dagster._core.secrets.env_file
    class: PerProjectEnvFileLoader
    config:
      location_paths: {odum_assets: .}
"""


@pytest.fixture
def project(folder: Path, sample: Path) -> Path:
    """The project folder with Dagster's file, sample days and a strategy that takes minutes."""
    assert folder == sample
    shutil.copy(REPO / "dagster.yaml", folder)
    (folder / "sleeper.py").write_text(_SLEEPER)
    _add_config(folder, "sleeper", strategy={"name": "Sleeper", "path": "sleeper:Sleeper"})
    return folder


def _add_config(folder: Path, name: str, **changes: object) -> None:
    config = json.loads((folder / f"configs/{BTC}.json").read_text())
    (folder / f"configs/{name}.json").write_text(json.dumps(config | changes))


class Launched:
    """An instance, and the runs that its launcher has started."""

    def __init__(self, instance: dg.DagsterInstance, settings: Settings) -> None:
        self.instance = instance
        self.settings = settings

    @property
    def launcher(self) -> ForkingRunLauncher:
        found = self.instance.run_launcher
        assert isinstance(found, ForkingRunLauncher)
        return found

    def launch(self, job: str = JOB, module: str = "odum_assets.definitions") -> str:
        """Launch a run as the daemon does after it has taken it from the queue."""
        pointer = ModuleCodePointer(module, "defs")
        origin = RepositoryPythonOrigin(sys.executable, pointer, entry_point=["dagster"])
        run = self.instance.create_run_for_job(
            load_graph(self.settings).definitions.resolve_job_def(job),
            tags={"dagster/partition": DAY},
            status=Status.STARTING,
            job_code_origin=JobPythonOrigin(job, origin),
            remote_job_origin=job_origin(job),
        )
        self.launcher.launch_run(LaunchRunContext(dagster_run=run, workspace=None))
        return run.run_id

    def run(self, run_id: str) -> dg.DagsterRun:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run

    def worker(self, run_id: str) -> RunProcess | None:
        return worker_of(run_id, self.run(run_id).tags)

    def status(self, run_id: str) -> dg.DagsterRunStatus:
        """Wait for the end of a run and return how it ended."""
        self.wait(lambda: self.run(run_id).is_finished)
        return self.run(run_id).status

    def started(self, run_id: str) -> RunProcess:
        """Wait until a run executes, and return its process."""
        self.wait(lambda: self.run(run_id).status is Status.STARTED)
        worker = self.worker(run_id)
        assert worker is not None
        return worker

    def wait(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _WAITS_S
        while not is_so():
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def said(self, run_id: str) -> str:
        return "\n".join(entry.message for entry in self.instance.all_logs(run_id))


@pytest.fixture
def launched(project: Path, settings: Settings) -> Iterator[Launched]:
    with dg.DagsterInstance.from_config(str(project)) as instance:
        yield Launched(instance, settings)


def _parent(worker: RunProcess) -> int:
    text = Path(f"/proc/{worker.pid}/status").read_text()
    return int(text.partition("PPid:\t")[2].partition("\n")[0])


def _statuses(settings: Settings) -> dict[str, str]:
    with opened(settings) as engine, reading(engine) as connection:
        return {row["config_name"]: row["status"] for row in list_runs(connection).rows}


def test_runs_are_processes_of_one_server_until_a_configuration_comes(
    launched: Launched, project: Path, settings: Settings
) -> None:
    first = launched.launch("sleeper_day")
    server = _parent(launched.started(first))
    second = launched.launch()
    assert launched.status(second) is Status.SUCCESS
    done = launched.worker(second)
    assert done is not None
    assert done.pid not in (server, os.getpid())
    launched.wait(lambda: not done.is_alive())

    # The server does not know it. Another one does; the first one ends with its last run.
    _add_config(project, "later")
    third = launched.launch("later_day")
    assert launched.status(third) is Status.SUCCESS
    assert Path(f"/proc/{server}").exists()
    assert launched.run(first).status is Status.STARTED
    # What was there before is there again: a server that is to end takes no more runs.
    (project / "configs/later.json").unlink()
    fourth = launched.launch()
    assert launched.status(fourth) is Status.SUCCESS
    assert launched.launcher.terminate(first)
    assert launched.status(first) is Status.CANCELED
    launched.wait(lambda: not Path(f"/proc/{server}").exists())
    assert _statuses(settings) == {"sleeper": "canceled", BTC: "succeeded", "later": "succeeded"}


def test_a_run_that_is_terminated_before_its_process_is_there_does_nothing(
    launched: Launched, settings: Settings
) -> None:
    run_id = launched.launch()
    assert launched.worker(run_id) is None, "the server is still loading"
    assert launched.launcher.terminate(run_id)
    assert launched.status(run_id) is Status.CANCELED
    assert "STEP_START" not in {
        entry.dagster_event.event_type_value
        for entry in launched.instance.all_logs(run_id)
        if entry.dagster_event is not None
    }
    launched.wait(lambda: _statuses(settings) == {BTC: "canceled"})
    assert not launched.launcher.terminate(run_id), "it has ended"


def test_a_run_whose_process_dies_is_failed_with_the_reason(launched: Launched) -> None:
    run_id = launched.launch("sleeper_day")
    worker = launched.started(run_id)
    health = launched.launcher.check_run_worker_health(launched.run(run_id))
    assert health.status is WorkerStatus.RUNNING
    os.kill(worker.pid, signal.SIGKILL)
    assert launched.status(run_id) is Status.FAILURE
    assert "The process of this run was killed by signal 9." in launched.said(run_id)
    health = launched.launcher.check_run_worker_health(launched.run(run_id))
    assert health.status is WorkerStatus.FAILED
    # The next run has the same server.
    assert launched.status(launched.launch()) is Status.SUCCESS


def test_a_server_that_dies_takes_its_runs_with_it_and_is_replaced(launched: Launched) -> None:
    run_id = launched.launch("sleeper_day")
    worker = launched.started(run_id)
    os.kill(_parent(worker), signal.SIGKILL)
    assert launched.status(run_id) is Status.FAILURE
    launched.wait(lambda: not worker.is_alive())
    assert launched.status(launched.launch()) is Status.SUCCESS


def test_the_end_of_who_launches_fails_what_runs(project: Path, settings: Settings) -> None:
    """It has not been asked for: the run has failed, as when Dagster's own servers end."""
    with dg.DagsterInstance.from_config(str(project)) as instance:
        launched = Launched(instance, settings)
        run_id = launched.launch("sleeper_day")
        worker = launched.started(run_id)
    assert not worker.is_alive()
    with dg.DagsterInstance.from_config(str(project)) as instance:
        run = instance.get_run_by_id(run_id)
        assert run is not None
        assert run.status is Status.FAILURE


def test_a_run_that_cannot_be_built_says_why(launched: Launched, project: Path) -> None:
    _add_config(project, "removed")
    graph = load_graph(launched.settings)
    assert graph.definitions.resolve_job_def("removed_day").name == "removed_day"
    (project / "configs/removed.json").unlink()
    # Its graph was loaded before.
    run = launched.instance.create_run_for_job(
        graph.definitions.resolve_job_def("removed_day"), status=Status.STARTING
    )
    launched.launcher._servers.start(launched.instance, run)
    assert launched.status(run.run_id) is Status.FAILURE
    assert "removed_day" in launched.said(run.run_id)


def test_a_run_has_the_secrets_of_the_instance(
    project: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Dagster's own code servers, also when they have changed since the last run."""
    with (project / "dagster.yaml").open("a") as file:
        file.write(_SECRETS)
    # So that it is removed after the test: the launcher sets it in its process.
    monkeypatch.setenv("ODUM_RESULTS_PATH", str(settings.results_path))
    with dg.DagsterInstance.from_config(str(project)) as instance:
        launched = Launched(instance, settings)
        for name in ("one", "two"):
            (project / ".env").write_text(f"ODUM_RESULTS_PATH={project / name}\n")
            assert launched.status(launched.launch()) is Status.SUCCESS
            assert len([*(project / name).glob("report/*")]) == 1


def test_a_run_of_another_code_location_is_left_to_dagster(launched: Launched) -> None:
    """It needs the code server of that location, which is not there."""
    with pytest.raises(dg.DagsterInvariantViolationError, match="workspace"):
        launched.launch(module="elsewhere.definitions")
