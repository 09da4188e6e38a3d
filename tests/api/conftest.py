from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest
from barservice import serving_bars
from live import Live, living
from service import BTC, THROTTLED, Service, lay_out, make_results, serving


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sample day and three results: report, fast, and one with denied orders."""
    place = tmp_path_factory.mktemp("served")
    lay_out(place)
    make_results(place, (BTC, "report"), (BTC, "fast"), (THROTTLED, "report"))
    return place


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Live:
    """`odum serve` as a person starts it: service, Dagster webserver and daemon."""
    return _kept("live", lambda: living(tmp_path_factory.mktemp("live")))


@pytest.fixture(scope="module")
def bars_live(tmp_path_factory: pytest.TempPathFactory) -> Live:
    """`odum serve` over daily bars, with Dagster; it takes pickled models."""
    folder = tmp_path_factory.mktemp("bars")
    return _kept("bars_live", lambda: serving_bars(folder, ODUM_ALLOW_PICKLE="1"))


# Services with a Dagster, which takes a tenth of a core even when nobody asks it for anything.
_running: dict[str, tuple[ExitStack, Live]] = {}


def _kept(name: str, start: Callable[[], AbstractContextManager[Live]]) -> Live:
    """Return the service of the files before, or a new one."""
    if name not in _running:
        stack = ExitStack()
        found = stack.enter_context(start())
        _running[name] = stack, found
        found.wait_for_dagster()
    return _running[name][1]


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """End services for which the next file does not ask."""
    if nextitem is not None and nextitem.path == item.path:
        return
    asked: set[str] = set()
    if nextitem is not None:
        for other in item.session.items:
            if other.path == nextitem.path:
                asked |= set(getattr(other, "fixturenames", ()))
    for name in _running.keys() - asked:
        _running.pop(name)[0].close()


@pytest.fixture(scope="session")
def service(project: Path) -> Iterator[Service]:
    """A service without a token, and without Dagster behind it."""
    nowhere = "http://someone:hidden@127.0.0.1:9"
    with serving(project, ODUM_DAGSTER_URL=nowhere) as found:
        yield found
