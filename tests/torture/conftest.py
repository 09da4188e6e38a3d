"""Fixtures of the torture: the prepared project, and dice with a printed seed."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# The helper lives with the tests that use it most.
sys.path.append(str(Path(__file__).parents[1] / "cli"))

from ground import Ground, make_ground
from killing import Dice


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return make_ground(tmp_path_factory.mktemp("ground"), trades=20_000, books=5_000)


@pytest.fixture
def dice(request: pytest.FixtureRequest) -> Iterator[Dice]:
    seed = os.environ.get("TORTURE_SEED") or int.from_bytes(os.urandom(4))
    rolled = Dice(int(seed))
    print(f"\n{request.node.name}: TORTURE_SEED={rolled.seed}", flush=True)
    yield rolled
    print(f"{request.node.name}: {rolled.kills} kills, {rolled.late} too late", flush=True)
