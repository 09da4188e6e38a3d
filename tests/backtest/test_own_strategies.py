"""Strategies by import path: what they get, how they are recorded, and how they fail."""

from pathlib import Path
from typing import Any

import pytest
from tinydays import DAY, NOON, Market, Outcome, own_strategy, text, with_strategy

from odum_assets.backtest.plan import Progress
from odum_assets.backtest.request import RunRequest
from odum_assets.errors import BacktestError
from odum_assets.results.run import run_backtest

MODULE = '''
import os

from nautilus_trader.model import OrderSide, Quantity
from pydantic import BaseModel, ConfigDict

from odum_assets.backtest.strategies.base import OdumStrategy


class Params(BaseModel):
    model_config = ConfigDict(extra="forbid")

    amount: str = "1.000"
    count: int = 1
    breaks_in: str = ""


class Buyer(OdumStrategy):
    """Buy at the first trades; hide every event from its base class."""

    Params = Params

    def __init__(self, setup, params):
        super().__init__(setup, params)
        self.left = params.count
        self.break_in("__init__")

    def break_in(self, place):
        if self.params.breaks_in == place:
            raise RuntimeError(f"broken in {place}")

    def on_start(self):
        self.break_in("on_start")
        self.subscribe_trades(self.setup.instrument_id)
        self.clock.set_timer_ns("mine", 500_000_000, None, None, callback=self.tick)

    def tick(self, event):
        self.break_in("tick")

    def on_trade(self, trade):
        self.break_in("on_trade")
        if self.params.breaks_in == "exit":
            os._exit(0)
        if self.params.breaks_in == "abort":
            os.abort()
        if self.params.breaks_in == "kill":
            os.kill(os.getpid(), 9)
        if self.left:
            self.left -= 1
            order = self.order_factory.market(
                self.setup.instrument_id, OrderSide.BUY, Quantity.from_str(self.params.amount)
            )
            self.submit_order(order)

    def on_order_initialized(self, event):
        pass

    def on_order_filled(self, event):
        self.break_in("on_order_filled")

    def on_stop(self):
        self.break_in("on_stop")


class Handles(Buyer):
    """An exception that the strategy handles itself is no failure."""

    def on_trade(self, trade):
        try:
            raise ValueError("handled")
        except ValueError:
            super().on_trade(trade)


class Other:
    pass
'''


@pytest.fixture
def place(market: Market, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Market:
    """Return a market with three trades; the strategy lies in the current folder."""
    (tmp_path / "my_strategies.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "breaks_on_import.py").write_text("raise OSError('no model file')\n")
    monkeypatch.chdir(tmp_path)
    market.trades([(NOON + second, "buy", "64000.0", "5") for second in (1, 2, 3)])
    return market


def _run(market: Market, name: str = "my_strategies:Buyer", **params: Any) -> Outcome:
    return market.run(with_strategy(own_strategy(name, **params)))


def test_a_strategy_in_the_current_folder_runs_and_is_recorded(place: Market) -> None:
    run = _run(place, amount="0.500", count=2)
    # It overrides the callbacks without calling its base class.
    assert [(text(each["amount"]), each["status"]) for each in run.orders] == [
        ("0.5", "filled"),
        ("0.5", "filled"),
        ("1", "filled"),
    ]
    assert run.orders[-1]["purpose"] == "close_positions"
    assert len(run.fills) == 3
    assert run.summary["skipped_no_aggressor"] is None
    assert len(run.metadata["strategy_sha256"]) == 64


def test_an_exception_that_the_strategy_handles_is_none_of_ours(place: Market) -> None:
    assert len(_run(place, "my_strategies:Handles").fills) == 2


def _refused(market: Market, name: str = "my_strategies:Buyer", **params: Any) -> str:
    with pytest.raises(BacktestError) as caught:
        _run(market, name, **params)
    # What it printed is kept, and nothing else.
    assert [each for each in market.stored() if not each.startswith("logs/")] == []
    return str(caught.value)


@pytest.mark.parametrize(
    "where", ["__init__", "on_start", "on_trade", "on_order_filled", "tick", "on_stop"]
)
def test_a_strategy_that_raises_fails_the_run_by_name(place: Market, where: str) -> None:
    message = _refused(place, breaks_in=where)
    assert message.startswith(f"Buyer raised RuntimeError in {where}")
    assert f"broken in {where}" in message
    assert "my_strategies.py, line" in message


def test_progress_ends_where_the_strategy_raised(place: Market) -> None:
    config = with_strategy(own_strategy("my_strategies:Buyer", breaks_in="tick"))
    request = RunRequest(config, (DAY,), DAY.isoformat(), mode="report", snapshot_mode="trades")
    seen: list[Progress] = []
    with pytest.raises(BacktestError, match="broken in tick"):
        run_backtest(request, place.settings, seen.append)
    # The timer calls it half a second after the first of two seconds.
    assert seen[-1].phase == "replay"
    assert seen[-1].done == pytest.approx(0.25, abs=0.15)


def test_parameters_are_validated(place: Market) -> None:
    message = _refused(place, amout="1", count="x")
    assert "strategy.params.amout: Extra inputs are not permitted" in message
    assert "strategy.params.count:" in message


def test_what_cannot_be_imported_is_named(place: Market) -> None:
    missing = _refused(place, "no_such_module:Buyer")
    assert "module no_such_module cannot be imported from" in missing
    broken = _refused(place, "breaks_on_import:Buyer")
    assert "OSError: no model file" in broken


@pytest.mark.parametrize("name", ["Nobody", "Other", "os"])
def test_a_class_that_is_no_strategy_is_refused(place: Market, name: str) -> None:
    message = _refused(place, f"my_strategies:{name}")
    assert f"my_strategies has no class {name} that derives from" in message


@pytest.mark.parametrize(
    ("how", "cause"),
    [
        ("kill", "ended by signal SIGKILL (often: the machine ran out of memory)"),
        ("abort", "ended by signal SIGABRT (a panic in NautilusTrader's core)"),
        ("exit", "ended with exit code 0"),
    ],
)
def test_a_process_that_dies_is_reported_and_leaves_nothing(
    place: Market, how: str, cause: str
) -> None:
    assert cause in _refused(place, breaks_in=how)
    assert not list(place.settings.results_path.glob(".staging/work-*"))
    assert not list(place.settings.catalog_path.glob(".views/work-*"))
