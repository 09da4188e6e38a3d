"""A run that Dagster has given up while its process was frozen leaves no result in a folder."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest
from graphtools import BTC, BTC_KEY, FIRST_DAY

from odum_assets.orchestration.instance import instance_ref
from odum_assets.raw.sample import SampleSpec, write_sample
from odum_assets.results.store import ResultStore
from odum_assets.settings import Settings

DAY = FIRST_DAY.isoformat()
COMMAND = [sys.executable, "-m", "odum_assets.cli.main", "backtest", BTC, "--day", DAY]
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def _started(instance: dg.DagsterInstance) -> dg.DagsterRun:
    """Return the run that has started, once there is one."""
    going = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
    deadline = time.monotonic() + 120
    while not (found := instance.get_runs(going)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (run,) = found
    return run


def _freeze(process: "subprocess.Popen[str]") -> None:
    """Freeze a command and its replay, where it waits for that and holds no lock of a database."""
    deadline = time.monotonic() + 60
    while not (replays := _children(process.pid)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    for replay in replays:
        os.kill(replay, signal.SIGSTOP)
    used = -1
    while used != (used := _ticks(process.pid)):
        assert time.monotonic() < deadline
        time.sleep(2)
    os.killpg(process.pid, signal.SIGSTOP)


def _children(pid: int) -> list[int]:
    return [*map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def _ticks(pid: int) -> int:
    """Return the processor time of a process, in twentieths of a second."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) // 5


def test_a_frozen_run_that_goes_on_stores_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is frozen, given up, and goes on when another run has taken its day."""
    spec = SampleSpec(
        keys=(BTC_KEY,), start=FIRST_DAY, days=1, trades_per_day=300, books_per_day=300
    )
    write_sample(folder / "data", spec)
    home = folder / "home"
    home.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    store = ResultStore(Settings(raw_root=str(folder / "data")).results_path)

    def run() -> None:
        done = subprocess.run(COMMAND, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    run()  # it converts the day, too
    (first,) = store.entries()
    frozen = subprocess.Popen(
        COMMAND, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        with dg.DagsterInstance.from_ref(instance_ref()) as instance:
            given_up = _started(instance)
            _freeze(frozen)
            assert [each.run_id for each in store.entries()] == [first.run_id]
            # As the daemon does it when a run's worker is silent.
            instance.report_run_failed(given_up, "The run's worker gave no sign of life for 60 s.")
            run()
            second = store.current(BTC, DAY)
            assert second is not None
            assert second.run_id != first.run_id
            os.killpg(frozen.pid, signal.SIGCONT)
            printed, _ = frozen.communicate(timeout=120)
            status = instance.get_run_by_id(given_up.run_id)
    finally:
        if frozen.poll() is None:
            os.killpg(frozen.pid, signal.SIGKILL)
            frozen.wait()
    assert frozen.returncode != 0
    assert "Dagster ended this run meanwhile (FAILURE)" in printed
    assert "its result was not stored" in printed
    assert "Traceback" not in printed
    assert status is not None
    assert status.status is dg.DagsterRunStatus.FAILURE
    assert {each.run_id for each in store.entries()} == {first.run_id, second.run_id}
    assert first.digest == second.digest
    current = store.current(BTC, DAY)
    assert current is not None
    assert current.run_id == second.run_id
