import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import BTC, Odum, Ran, lay_out
from variables import VARIABLES

from odum_assets.cli.main import main


@pytest.fixture(scope="module", autouse=True)
def _warm(warm_replays: None) -> None:
    """Have replays begin with NautilusTrader loaded."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path)
    return tmp_path


@pytest.fixture
def odum(capsys: pytest.CaptureFixture[str]) -> Odum:
    def run(*arguments: str, program: Callable[[list[str]], int] = main) -> Ran:
        # A command has its process to itself, and may set variables for those that it starts.
        before = dict(os.environ)
        try:
            code = program(list(arguments))
        finally:
            os.environ.clear()
            os.environ.update(before)
        return Ran(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sample days of BTC, converted and run: the work that reading commands read."""
    place = tmp_path_factory.mktemp("made")
    lay_out(place)
    with pytest.MonkeyPatch.context() as patch:
        for name in VARIABLES:
            patch.delenv(name, raising=False)
        patch.chdir(place)
        sample = ["--instrument", "BINANCE-FUTURES:PERPETUAL:BTC-USDT", "--days", "2"]
        small = ["--trades-per-day", "300", "--books-per-day", "3600", "--hours", "12-13"]
        assert main(["data", "generate", *sample, *small]) == 0
        days = ["--from", "2024-01-01", "--to", "2024-01-02"]
        assert main(["backtest", BTC, *days, "--fast"]) == 0
    return place


@pytest.fixture
def project(made: Path, folder: Path) -> Path:
    """A copy of the work of `made`, as the current folder: no test sees what another one ran."""
    shutil.copytree(made / "data", folder / "data")
    return folder
