"""Processes that replay, started before it is known what they are to replay."""

import os
import signal
import time
from pathlib import Path

import pytest

from odum_assets.backtest import child
from odum_assets.backtest.child import Child, await_task, forked_ahead, start_child, started_ahead


def _is_gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def _ended(started: Child) -> int:
    """Return the exit code; the task is a plan that is no JSON."""
    os.close(started.messages)
    return started.process.wait(60)


@pytest.fixture
def plans(tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    path.write_text("no plan")
    return path


def test_a_process_that_gets_no_task_is_gone_with_the_context() -> None:
    with started_ahead():
        (waiting,) = child._waiting
        assert waiting.process.poll() is None
    assert _is_gone(waiting.process.pid)
    assert child._waiting == []


def test_the_next_run_takes_the_process_and_its_output_goes_to_the_log_of_the_run(
    plans: Path, tmp_path: Path
) -> None:
    log = tmp_path / "worker.log"
    with started_ahead():
        (waiting,) = child._waiting
        taken = start_child("worker", plans, log, own_group=False)
        assert taken is waiting
        assert _ended(taken) == 1
        assert "no plan" in log.read_text() or "JSON" in log.read_text()
        # The one after it has a process of its own.
        other = start_child("worker", plans, log, own_group=False)
        assert other.process.pid != taken.process.pid
        assert _ended(other) == 1


def test_a_process_that_died_while_it_waited_is_replaced(plans: Path, tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    with started_ahead():
        (waiting,) = child._waiting
        os.kill(waiting.process.pid, signal.SIGKILL)
        while waiting.process.poll() is None:
            time.sleep(0.01)
        started = start_child("worker", plans, log, own_group=False)
        assert started.process.pid != waiting.process.pid
        assert _ended(started) == 1
    assert log.read_text() != ""


def test_a_sweep_does_not_take_the_process_of_a_run(plans: Path, tmp_path: Path) -> None:
    with started_ahead():
        (waiting,) = child._waiting
        started = start_child("sweep_worker", plans, tmp_path / "worker.log", own_group=True)
        assert started is not waiting
        assert _ended(started) == 1


def test_a_forked_process_takes_the_next_run_and_is_gone_with_the_context(
    plans: Path, tmp_path: Path
) -> None:
    def run(arguments: list[str]) -> None:
        task, log = await_task(arguments)
        os.write(int(arguments[0]), f"{task} {log} {os.getppid() == int(arguments[1])}".encode())
        raise ValueError("no plan")

    log = tmp_path / "worker.log"
    with forked_ahead(run):
        (waiting,) = child._waiting
        taken = start_child("worker", plans, log, own_group=False)
        assert taken is waiting
        assert os.read(taken.messages, 10_000).decode() == f"{plans} {log} True"
        os.close(taken.messages)
        assert taken.process.wait() == 1
        # What killed a process is its end, and it is asked for once.
        taken.process.kill()
        assert taken.process.wait() == 1
        assert "ValueError: no plan" in log.read_text()
    with forked_ahead(run):
        (waiting,) = child._waiting
    assert _is_gone(waiting.process.pid)
    assert waiting.process.wait() == -signal.SIGKILL
