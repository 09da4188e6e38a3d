from collections.abc import Iterator
from pathlib import Path

import pytest
from dagsterdev import Dagster, running


@pytest.fixture
def dagster(tmp_path: Path) -> Iterator[Dagster]:
    """`dagster dev` in a project folder of its own, up and with its code location loaded."""
    with running(tmp_path) as found:
        found.wait("code location", found.is_loaded)
        yield found
