"""Debugging a strategy by commands: its output, its level, and a debugger in the terminal."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from commands import BTC, Odum

STRATEGY = """
from pydantic import BaseModel

from odum_assets.backtest.strategies.base import OdumStrategy


class Params(BaseModel):
    ends: str = ""


class Watched(OdumStrategy):
    Params = Params

    def on_start(self):
        self.count = 0
        self.subscribe_trades(self.setup.instrument_id)
        self.log.debug("a detail [0] :boom:")

    def on_trade(self, trade):
        self.count += 1
        print("trade", self.count)
        if self.count == 3:
            if self.params.ends == "break":
                breakpoint()
            if self.params.ends == "raise":
                raise ValueError("broken")
"""
CONFIG = "watched"


@pytest.fixture
def strategy(project: Path) -> Path:
    (project / "watched_strategy.py").write_text(STRATEGY)
    _configure(project, "")
    return project


def _configure(project: Path, ends: str) -> None:
    config = json.loads((project / f"configs/{BTC}.json").read_text())
    params = {"ends": ends}
    config["strategy"] = {"name": "Watched", "path": "watched_strategy:Watched", "params": params}
    (project / f"configs/{CONFIG}.json").write_text(json.dumps(config))


def test_the_output_is_shown_and_can_be_asked_for(strategy: Path, odum: Odum) -> None:
    ran = odum("backtest", CONFIG, "--day", "2024-01-01", "--fast", "--log-level", "debug")
    assert ran.code == 0, ran.err
    trades = json.loads(odum("results", "list", "--json").out)["results"][0]
    shown = ran.out.partition("Output, last 20 of ")[2]
    assert "  trade 300\n" in shown or shown.rstrip()
    run_id = trades["run_id"]
    log = odum("results", "log", run_id).out.splitlines()
    assert log[0].endswith("[DEBUG] Watched: a detail [0] :boom:")
    assert log[1] == "trade 1"
    assert odum("results", "log", run_id, "--lines", "2").out.splitlines() == log[-2:]
    assert odum("results", "log", run_id, "--json").json["log"] == log
    assert trades["files"]["output"] == str(strategy / f"data/results/logs/{run_id}.log")


def test_a_run_that_failed_has_its_output(strategy: Path, odum: Odum) -> None:
    _configure(strategy, "raise")
    ran = odum("backtest", CONFIG, "--day", "2024-01-01", "--fast")
    assert ran.code == 1
    assert "Watched raised ValueError in on_trade: broken" in ran.err
    tail = ran.err.partition("The last output of ")[2]
    run_id = tail.split(" ")[0]
    assert f"odum results log {run_id}" in tail
    log = odum("results", "log", run_id).out.splitlines()
    assert log[:3] == ["trade 1", "trade 2", "trade 3"]
    assert "ValueError: broken" in log


@pytest.mark.usefixtures("strategy")
def test_what_printed_nothing_says_so(odum: Odum) -> None:
    silent = next(
        each["run_id"]
        for each in odum("results", "list", "--json").json["results"]
        if each["config"] == BTC
    )
    ran = odum("results", "log", silent)
    assert (ran.code, ran.out) == (0, "")
    assert "printed nothing" in ran.err
    assert odum("results", "log", "BNF_BTC_20240101_00000000_ffffff_ffffff").code == 2


def test_a_breakpoint_stops_in_the_foreground(strategy: Path) -> None:
    _configure(strategy, "break")
    command = [sys.executable, "-m", "odum_assets.cli.main", "backtest", CONFIG]
    ran = subprocess.run(
        [*command, "--day", "2024-01-01", "--fast", "--foreground"],
        input="p 'count is', self.count\nc\n",
        capture_output=True,
        text=True,
        cwd=strategy,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "watched_strategy.py" in ran.stdout
    assert "('count is', 3)" in ran.stdout
    assert "trade 4" in ran.stdout.partition("count is")[2]


def test_a_breakpoint_elsewhere_says_how_to_reach_it(strategy: Path, odum: Odum) -> None:
    _configure(strategy, "break")
    ran = odum("backtest", CONFIG, "--day", "2024-01-01", "--fast")
    assert ran.code == 1
    assert "--foreground" in ran.err
