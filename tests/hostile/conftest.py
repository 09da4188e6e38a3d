"""A project folder of its own for every test that asks for one."""

import shutil
from pathlib import Path

import pytest
from hostileproject import REPOSITORY, Project
from variables import VARIABLES


@pytest.fixture(scope="module", autouse=True)
def _warm(warm_replays: None) -> None:
    """Have replays begin with NautilusTrader loaded."""


@pytest.fixture
def project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Project:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    root = tmp_path / "project"
    (root / "configs").mkdir(parents=True)
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(REPOSITORY / name, root / name)
    monkeypatch.chdir(root)
    made = Project(root, capsys)
    made.config()
    return made
