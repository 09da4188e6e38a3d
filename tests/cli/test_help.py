"""Help answers at once, for every command, and loads nothing heavy."""

import subprocess
import sys

import pytest
from commands import Odum

from odum_assets.cli import run_backtest

HEAVY = ("dagster", "nautilus_trader", "pyarrow", "pandas", "numpy", "pydantic", "sqlalchemy")
COMMANDS = [
    [],
    ["data"],
    ["data", "generate"],
    ["data", "list"],
    ["data", "check"],
    ["convert"],
    ["backtest"],
    ["backfill"],
    ["results"],
    ["results", "list"],
    ["results", "show"],
    ["results", "compare"],
    ["results", "verify"],
    ["registry"],
    ["registry", "upgrade"],
    ["registry", "rebuild"],
    ["registry", "check"],
    ["config"],
    ["config", "validate"],
    ["config", "show"],
    ["config", "schema"],
    ["demo"],
    ["dev"],
]


@pytest.mark.parametrize("program", ["main", "run_backtest"])
def test_help_loads_nothing_heavy(program: str) -> None:
    code = (
        f"import sys; from odum_assets.cli.{program} import main; code = main(['--help']);"
        f"print('loaded:', [name for name in {HEAVY!r} if name in sys.modules]); sys.exit(code)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "loaded: []" in ran.stdout
    assert "Usage:" in ran.stdout


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help(command: list[str], odum: Odum) -> None:
    ran = odum(*command, "--help")
    assert ran.code == 0
    assert "Usage: odum" in ran.out


def test_version(odum: Odum) -> None:
    ran = odum("--version")
    assert (ran.code, ran.out) == (0, "odum 0.1.0\n")


def test_run_backtest_takes_the_flags_of_the_earlier_system(
    odum: Odum, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    text = odum("--help", program=run_backtest.main).out
    flags = "instrument dataset config start end fast report export_ticks snapshot_mode data_source"
    more = "no_close_positions exec_algorithm exec_algorithm_params"
    assert [name for name in f"{flags} {more}".split() if f"--{name} " not in text] == []
