"""Settings of all tests, and the process that replays of most of them are forked off."""

import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from warmreplays import WarmReplays

# Other work on the machine makes a single example slow; no test of a property measures time.
settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")

# Folders whose files take minutes: the first ones, so that no worker is alone with one at the end.
_LONG = ("e2e", "api", "cli", "orchestration", "buckets", "hostile", "results", "backtest")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with long files, those that share a service one after the other."""
    tests = Path(__file__).parent
    services: dict[Path, set[str]] = defaultdict(set)
    for item in items:
        services[item.path] |= {"live", "bars_live"} & set(getattr(item, "fixturenames", ()))

    def place(item: pytest.Item) -> tuple[int, list[str], Path]:
        folder = item.path.relative_to(tests).parts[0]
        position = _LONG.index(folder) if folder in _LONG else len(_LONG)
        return position, sorted(services[item.path]) or ["none"], item.path

    items.sort(key=place)


@pytest.fixture(scope="session")
def replays() -> Iterator[WarmReplays | None]:
    """Return the process with NautilusTrader loaded; it runs on Linux only."""
    if sys.platform != "linux":
        yield None
        return
    found = WarmReplays()
    yield found
    found.close()


@pytest.fixture(scope="module")
def warm_replays(replays: WarmReplays | None) -> Iterator[None]:
    """Have replays of a module begin with NautilusTrader loaded."""
    if replays is None:
        yield
        return
    with replays.used():
        yield
