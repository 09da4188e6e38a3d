from collections.abc import Iterator
from pathlib import Path

import pytest
from service import BTC, THROTTLED, Service, clean_environment, lay_out, serving

from odum_assets.cli.main import main


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sample day and three results: report, fast, and one with denied orders."""
    place = tmp_path_factory.mktemp("served")
    lay_out(place)
    with pytest.MonkeyPatch.context() as patch:
        kept = clean_environment()
        for name in ("DAGSTER_HOME", "ODUM_CONFIGS_PATH", "ODUM_RESULTS_PATH"):
            if name not in kept:
                patch.delenv(name, raising=False)
        patch.chdir(place)
        sample = ["--instrument", "BINANCE-FUTURES:PERPETUAL:BTC-USDT", "--days", "1"]
        small = ["--trades-per-day", "2500", "--books-per-day", "3600", "--hours", "12-13"]
        assert main(["data", "generate", *sample, *small]) == 0
        day = ["--day", "2024-01-01"]
        assert main(["backtest", BTC, *day, "--report", "--export-ticks"]) == 0
        assert main(["backtest", BTC, *day, "--fast"]) == 0
        assert main(["backtest", THROTTLED, *day, "--report"]) == 0
    return place


@pytest.fixture(scope="session")
def service(project: Path) -> Iterator[Service]:
    """A service without a token, and without Dagster behind it."""
    nowhere = "http://someone:hidden@127.0.0.1:9"
    with serving(project, ODUM_DAGSTER_URL=nowhere) as found:
        yield found
