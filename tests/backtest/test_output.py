"""What strategies print and log: kept, bounded, in order, also when the run fails or dies."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tinydays import DAY, NOON, Market, iso, own_strategy, with_strategy

from odum_assets.backtest.request import LogLevel, RunRequest
from odum_assets.config.variants import grid, make_variants
from odum_assets.errors import BacktestError
from odum_assets.results.logs import last_lines, read_log
from odum_assets.results.run import run_backtest
from odum_assets.results.run_id import run_id_of
from odum_assets.results.store import ResultStore
from odum_assets.results.sweep import VariantRun, run_sweep

MODULE = """
import logging
import os
import sys

from pydantic import BaseModel, ConfigDict

from odum_assets.backtest.strategies.base import OdumStrategy

print("imported")


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    ends: str = ""
    flood: int = 0
    name: str = "one"


class Talker(OdumStrategy):
    Params = Params

    def on_start(self):
        self.subscribe_trades(self.setup.instrument_id)
        self.log.debug("debug")
        self.log.info("info {not formatted}")
        self.log.warning("warning")
        self.log.error("error")
        logging.getLogger("mine").debug("fine")
        logging.getLogger("mine").info("own logger")
        print(f"printed by {self.params.name} \\u20ac")
        print("to stderr", file=sys.stderr)
        os.write(1, b"below Python\\n")

    def on_trade(self, trade):
        for number in range(self.params.flood):
            print("line", number, "x" * 90)
        if self.params.ends == "raise":
            raise ValueError("broken")
        if self.params.ends == "kill":
            print("last words")
            os.kill(os.getpid(), 9)
        if self.params.ends == "long":
            print("y" * 20_000_000)
"""


@pytest.fixture
def place(market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Market:
    (tmp_path / "my_talker.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    market.trades([(NOON + second, "buy", "64000.0", "5") for second in (1, 2)])
    return market


def _request(log_level: LogLevel = "INFO", **params: Any) -> RunRequest:
    config = with_strategy(own_strategy("my_talker:Talker", **params))
    return RunRequest(config, (DAY,), DAY.isoformat(), snapshot_mode="trades", log_level=log_level)


def _log(market: Market, request: RunRequest) -> tuple[str, str]:
    """Return why a run failed, empty if it did not, and what was kept of its output."""
    run_id, error = run_id_of(request), ""
    try:
        run_backtest(request, market.settings, run_id=run_id)
    except BacktestError as raised:
        error = str(raised)
    return error, read_log(ResultStore(market.settings.results_path), run_id)


def test_everything_is_kept_in_order_with_the_market_time(place: Market) -> None:
    _, log = _log(place, _request())
    stamp = log.splitlines()[1].split(" ")[0]
    assert stamp.startswith(iso(NOON + 1)[:19])
    assert log.splitlines() == [
        "imported",
        f"{stamp} [INFO] Talker: info {{not formatted}}",
        f"{stamp} [WARNING] Talker: warning",
        f"{stamp} [ERROR] Talker: error",
        f"{stamp} [INFO] mine: own logger",
        "printed by one €",
        "to stderr",
        "below Python",
    ]


def test_levels_and_digests(place: Market) -> None:
    quiet, verbose = _request("ERROR"), _request("DEBUG")
    assert "warning" not in _log(place, quiet)[1]
    assert {"[DEBUG] Talker: debug", "[DEBUG] mine: fine"} <= {
        line.partition(" ")[2] for line in _log(place, verbose)[1].splitlines()
    }
    digests = {run_backtest(each, place.settings).digest for each in (quiet, verbose)}
    assert len(digests) == 1


@pytest.mark.parametrize("ends", ["raise", "kill"])
def test_a_run_that_fails_or_dies_leaves_what_it_said(place: Market, ends: str) -> None:
    error, log = _log(place, _request(ends=ends))
    assert "printed by one €" in log
    if ends == "raise":
        assert "ValueError: broken" in log
        assert "\x1b" not in log
    else:
        assert log.splitlines()[-1] == "last words"
        assert "last words" in error
    assert [each for each in place.stored() if not each.startswith("logs/")] == []


def test_a_long_output_keeps_its_beginning_and_its_end(place: Market) -> None:
    _, log = _log(place, _request(flood=60_000))
    assert len(log) < 2_000_000
    lines = log.splitlines()
    assert lines[0] == "imported"
    assert last_lines(log, 1)[0].startswith("line 59999 x")
    assert sum("is not kept" in line for line in lines) == 1
    # Lines are whole but for the two at each edge.
    assert sum(not line.startswith("line ") for line in lines) < 20
    _, log = _log(place, _request(ends="long"))
    assert "printed by one" in log
    assert len(log) < 2_000_000


def test_variants_of_a_sweep_have_their_own(place: Market) -> None:
    request = replace(_request(), mode="fast")
    chosen = grid({"strategy.params.name": ["left", "right"], "strategy.params.ends": ["", "kill"]})
    runs: dict[str, str] = {}

    def ended(run: VariantRun, _error: object) -> None:
        varied = run.sweep["varied"]
        runs[f"{varied['strategy.params.name']}{varied['strategy.params.ends']}"] = run.run_id

    run_sweep(request, make_variants(request.config, chosen), place.settings, ended=ended)
    store = ResultStore(place.settings.results_path)
    assert len(runs) == 4
    for name, run_id in runs.items():
        log = read_log(store, run_id)
        assert f"printed by {name.removesuffix('kill')} €" in log
        assert log.endswith("last words\n") == name.endswith("kill")


def test_a_silent_run_leaves_no_file(place: Market) -> None:
    run = place.run()
    assert not (place.settings.results_path / "logs").exists()
    assert read_log(ResultStore(place.settings.results_path), run.result.run_id) == ""
