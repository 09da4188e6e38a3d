"""Runs of a tiny day in a store of their own."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from resultday import BOOKS, ROWS
from tinydays import Market, Outcome, variant


@pytest.fixture(scope="module", autouse=True)
def _warm(warm_replays: None) -> None:
    """Have replays begin with NautilusTrader loaded."""


@pytest.fixture
def market(tmp_path: Path) -> Market:
    """Return a market with a tiny day, converted."""
    found = Market(tmp_path)
    found.trades(ROWS)
    found.books(BOOKS)
    return found


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Market:
    """Return a market with a tiny day, for tests that change nothing in it."""
    found = Market(tmp_path_factory.mktemp("shared"))
    found.trades(ROWS)
    found.books(BOOKS)
    return found


@pytest.fixture(scope="module")
def report(shared: Market) -> Outcome:
    """Return a run in report mode, with orders filled, canceled and denied."""
    config = variant(
        risk={"throttling_per_sec": 1},
        strategy={"orders": [{"side": "buy", "amount": "0.1"}, {"side": "buy", "amount": "0.1"}]},
        fx_stub={"USDT_USD": 0.5},
        metrics={"equity_interval_secs": 10},
    )
    # The throttle denies the closing order, too: a position stays open.
    return shared.run(config, snapshot_mode="book", closing="book")


@pytest.fixture
def run(market: Market) -> Callable[..., Outcome]:
    def start(**options: Any) -> Outcome:
        return market.run(snapshot_mode="book", **options)

    return start


@pytest.fixture(scope="session")
def real_data() -> Path:
    place = os.environ.get("ODUM_TEST_DATA")
    if not place:
        pytest.skip("ODUM_TEST_DATA names no folder with real market data")
    return Path(place)
