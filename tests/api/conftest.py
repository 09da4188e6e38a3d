from collections.abc import Iterator
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


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """`odum serve` as a person starts it: service, Dagster webserver and daemon."""
    with living(tmp_path_factory.mktemp("live")) as found:
        found.wait_for_dagster()
        yield found


@pytest.fixture(scope="session")
def bars_live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """`odum serve` over daily bars, with Dagster; it takes pickled models."""
    with serving_bars(tmp_path_factory.mktemp("bars"), ODUM_ALLOW_PICKLE="1") as found:
        yield found


@pytest.fixture(scope="session")
def service(project: Path) -> Iterator[Service]:
    """A service without a token, and without Dagster behind it."""
    nowhere = "http://someone:hidden@127.0.0.1:9"
    with serving(project, ODUM_DAGSTER_URL=nowhere) as found:
        yield found
