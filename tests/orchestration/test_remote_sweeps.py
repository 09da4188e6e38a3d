"""A run config comes over HTTP, unless a command makes it: which strategies a sweep may take."""

import dataclasses
from pathlib import Path

import dagster as dg
import pytest
from graphtools import BTC, FIRST_DAY

from odum_assets.orchestration.launch import Graph, LaunchResult, materialize
from odum_assets.orchestration.project import Project, load_project
from odum_assets.settings import Settings

SWEEP = ("backtest", BTC, "sweep")
QUIET = """
import pathlib

from odum_assets.backtest.strategies.base import OdumStrategy

pathlib.Path("imported").touch()


class Quiet(OdumStrategy):
    pass
"""


@pytest.fixture
def own(sample: Path) -> Path:
    """The operator's folder of strategies, and a module beside it."""
    (sample / "shelf").mkdir()
    (sample / "shelf/quiet.py").write_text(QUIET)
    (sample / "stray.py").write_text(QUIET)
    return sample


def sweep(project: Project, instance: dg.DagsterInstance, path: str) -> LaunchResult:
    graph = Graph(project)
    params = {"name": "Own", "path": path, "params": {}}
    config = {SWEEP: {"mode": "fast", "variants": [{"strategy": params}]}}
    return materialize(instance, graph, [SWEEP], FIRST_DAY.isoformat(), config=config)


def test_a_strategy_that_nobody_approved_is_not_imported(
    own: Path, settings: Settings, instance: dg.DagsterInstance
) -> None:
    project = load_project(settings)
    for path in ("stray:Quiet", "antigravity:X"):
        done = sweep(project, instance, path)
        (error,) = [text for key, text in done.failures if key == "/".join(SWEEP)]
        assert path in error
        assert "ODUM_REMOTE_STRATEGIES" in error
    assert not (own / "imported").exists()


def test_who_is_allowed_may(own: Path, settings: Settings, instance: dg.DagsterInstance) -> None:
    allowed = settings.model_copy(update={"remote_strategies": (own / "shelf",)})
    done = sweep(load_project(allowed), instance, "shelf.quiet:Quiet")
    assert done.success, done.failures
    # A command is the operator's own.
    local = dataclasses.replace(load_project(settings), is_local=True)
    done = sweep(local, instance, "stray:Quiet")
    assert done.success, done.failures
