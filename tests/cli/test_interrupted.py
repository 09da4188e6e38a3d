"""Ctrl-C in a terminal: every process of the command gets it, and what is canceled says so."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest
from commands import BTC, Odum, processes_in

from odum_assets.orchestration.instance import instance_ref

_STARTS_WITHIN_S = 90.0


@pytest.mark.parametrize("until", ["process", "replay"])
def test_days_that_are_interrupted_are_canceled_without_a_traceback(
    folder: Path, odum: Odum, until: str
) -> None:
    sample = ["--instrument", "BINANCE-FUTURES:PERPETUAL:BTC-USDT", "--days", "2"]
    many = ["--trades-per-day", "60000", "--books-per-day", "3600", "--hours", "12-16"]
    assert odum("data", "generate", *sample, *many).code == 0
    command = [sys.executable, "-m", "odum_assets.cli.main", "backfill", BTC]
    with (folder / "err").open("wb") as printed:
        process = subprocess.Popen(
            [*command, "--from", "2024-01-01", "--to", "2024-01-02"],
            cwd=folder,
            stderr=printed,
            stdout=printed,
            start_new_session=True,
        )
        wanted = "spawn_main" if until == "process" else "backtest.worker"
        deadline = time.monotonic() + _STARTS_WITHIN_S
        while not any(wanted in line or "forkserver" in line for line in processes_in(folder)) or (
            until == "replay" and not any(wanted in line for line in processes_in(folder))
        ):
            assert process.poll() is None, (folder / "err").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        # The terminal sends it to the group of the command.
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) == 130
    text = (folder / "err").read_text()
    assert "Traceback" not in text
    assert "stopped" in text
    deadline = time.monotonic() + 10
    while processes_in(folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes_in(folder) == []
    with dg.DagsterInstance.from_ref(instance_ref()) as instance:
        runs = instance.get_runs()
        assert {run.status for run in runs} <= {dg.DagsterRunStatus.CANCELED}
        assert runs or until == "process"
    assert odum("results", "list", "--json").json["results"] == []
    failed = odum("results", "list", "--failed", "--json").json["runs"]
    assert {each["status"] for each in failed} <= {"canceled"}
    assert odum("registry", "check").code in ((0, 1) if until == "process" else (0,))
