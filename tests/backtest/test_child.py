"""Processes that replay, started before it is known what they are to replay."""

import os
import signal
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from odum_assets.backtest import child
from odum_assets.backtest.child import Child, await_task, forked_ahead, start_child, started_ahead
from odum_assets.backtest.strategies.checking import strategy_problems


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


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    """Leave processes to begin as those of commands do: they are what is tested here."""


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


@pytest.fixture
def strategies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """Return strategies of the current folder, of which the first one can be run."""
    monkeypatch.chdir(tmp_path)
    base = "odum_assets.backtest.strategies.base"
    good = (
        f"from {base} import OdumStrategy\nprint('imported')\nclass Own(OdumStrategy):\n    pass\n"
    )
    Path("good.py").write_text(good)
    Path("leaves.py").write_text("raise SystemExit(7)\n")
    Path("dies.py").write_text("import os\nprint('so far', flush=True)\nos._exit(3)\n")
    Path("killed.py").write_text("import os\nos.kill(os.getpid(), 9)\n")
    Path("hangs.py").write_text("import time\ntime.sleep(3600)\n")
    names = ("good", "leaves", "dies", "killed", "absent")
    return [(f"{name}:Own", {"window": Decimal("1.10")}) for name in names]


def test_the_process_that_waits_says_the_same_of_strategies(
    strategies: list[tuple[str, dict[str, Any]]], plans: Path, tmp_path: Path
) -> None:
    alone = [strategy_problems([strategy]) for strategy in strategies]
    assert "window" in alone[0][0]
    with started_ahead():
        (waiting,) = child._waiting
        assert [strategy_problems([strategy]) for strategy in strategies] == alone
        # It imported none of them itself, and takes its run.
        started = start_child("worker", plans, tmp_path / "log", own_group=False)
        assert started is waiting
        _ended(started)


def test_a_strategy_that_hangs_ends_the_process_that_waits(
    strategies: list[tuple[str, dict[str, Any]]],
) -> None:
    with started_ahead():
        (waiting,) = child._waiting
        assert waiting.ask("[]", 60) is not None
        (text,) = strategy_problems([("hangs:Own", {})], timeout_s=1)
        assert text == "strategy.path hangs:Own: importing it took longer than 1 s"
        assert not child._waiting
        assert waiting.process.returncode == -signal.SIGKILL
        # The next one is asked of a process of its own.
        assert "window" in strategy_problems(strategies[:1])[0]
