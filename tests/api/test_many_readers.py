"""Two hundred readers while a backtest runs: how long lists and summaries take."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

# The server's helper lives with the registry's tests.
sys.path.append(str(Path(__file__).parents[1] / "registry"))

from postgresserver import server
from readers import Taken, read_all
from service import BTC, Service, lay_out, make_results, serving, settings_of

from odum_assets.registry.database import create_engine, registry_url
from odum_assets.registry.register import upgrade_registry
from odum_assets.results.store import ResultStore

RESULTS = 500
READERS = 200
_BACKTESTS = """
import sys
from pathlib import Path
from service import BTC, DAY, settings_of
from odum_assets.backtest.request import RunRequest
from odum_assets.config import load_config
from odum_assets.results.run import run_backtest

folder = Path(sys.argv[1])
settings = settings_of(folder)
request = RunRequest(load_config(folder / "configs" / f"{BTC}.json"), (DAY,), str(DAY))
while True:
    print(run_backtest(request, settings).run_id, flush=True)
"""


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with hundreds of results."""
    folder = tmp_path_factory.mktemp("crowded")
    lay_out(folder)
    (made,) = make_results(folder, (BTC, "fast"))
    fast = folder / "data/results/fast"
    document = json.loads((fast / f"{made}.json").read_text())
    for number in range(RESULTS):
        run_id = f"{made[:-6]}{number:06x}"
        time = f"2024-02-{1 + number % 28:02d}T00:{number % 60:02d}:00.000Z"
        changed = {"run_id": run_id, "created": time}
        copy = {**document, "run_id": run_id, "execution_time": time}
        copy["metadata"] = {**document["metadata"], **changed}
        copy["summary"] = {**document["summary"], "pnl": float(number)}
        (fast / f"{run_id}.json").write_text(json.dumps(copy))
    return folder


@contextmanager
def _backtests(folder: Path) -> Iterator[None]:
    """Run one backtest after the other, in a process of its own."""
    script = f"import sys; sys.path.append({str(Path(__file__).parent)!r})\n{_BACKTESTS}"
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline().startswith("BNF_")
        yield
        assert process.poll() is None
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()


def _paths(service: Service) -> dict[str, list[str]]:
    found = service.get(f"/api/backtest/results?limit={RESULTS}").json
    names = [each["run_id"] for each in found]
    assert len(names) == RESULTS
    pages = ["/api/backtest/results?limit=50", "/api/backtest/results/fast?limit=50"]
    pages += ["/api/runs?limit=50", "/api/v1/runs?limit=50", "/api/v1/runs?limit=50&sort=-pnl"]
    summaries = ["/api/backtest/results/{}", "/api/v1/runs/{}/metrics", "/api/v1/runs/{}"]
    return {
        "list": pages,
        "summary": [each.format(name) for each in summaries for name in names],
    }


def _measured(folder: Path, pause: float, **environment: str) -> list[Taken]:
    """Return three rounds; what else a machine does in one of them is not the service's doing."""
    with (
        serving(folder, ODUM_DAGSTER_URL="http://127.0.0.1:9", **environment) as service,
        _backtests(folder),
    ):
        paths = _paths(service)
        read_all(service.url, paths, READERS, 3, 1.0)
        return [read_all(service.url, paths, READERS, 6, pause) for _ in range(3)]


@pytest.mark.torture
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_two_hundred_readers_wait_for_nobody(crowded: Path, database: str) -> None:
    """Each asks once a second, as a page that refreshes itself does."""
    with ExitStack() as stack:
        where = {}
        if database == "postgresql":
            where["DATABASE_URL"] = stack.enter_context(server())
            settings = settings_of(crowded, where["DATABASE_URL"])
            engine = create_engine(registry_url(settings))
            upgrade_registry(engine, ResultStore(settings.results_path))
            engine.dispose()
        rounds = _measured(crowded, 1.0, **where)
    for taken in rounds:
        print(f"\n{READERS} readers, one request a second each, {database}:", taken.told())
        assert taken.wrong == []
    assert min(max(taken.p99(kind) for kind in taken.times) for taken in rounds) < 100


@pytest.mark.torture
def test_two_hundred_readers_who_never_rest_are_all_answered(crowded: Path) -> None:
    """The service is asked as fast as it can answer: waiting is as long as the queue."""
    for taken in _measured(crowded, 0.0):
        print(f"\n{READERS} readers without rest:", taken.told())
        assert taken.wrong == []
        assert taken.rate > 200
