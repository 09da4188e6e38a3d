import os
from pathlib import Path

import pytest


@pytest.fixture
def real_data() -> Path:
    """Return the folder with real market data; skip where there is none."""
    root = os.environ.get("ODUM_TEST_DATA")
    if not root:
        pytest.skip("ODUM_TEST_DATA is not set")
    return Path(root)
