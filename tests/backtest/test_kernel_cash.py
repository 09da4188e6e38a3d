"""Cash accounts by the kernel: what is held and paid, and what might be denied."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hostiledays import verdicts, write_hostile_day
from tinydays import DAY, NOON, SPOT, BookRow, Market, moment, variant, with_strategy

from odum_assets.backtest import witness
from odum_assets.backtest.coverage import NotCoveredError
from odum_assets.config import LoadedConfig
from odum_assets.raw.layout import DataType

BOOKS: list[BookRow] = [(NOON, [("64000.0", "9")], [("64000.1", "9")])]

Sent = tuple[float, str, float, float | None, str]
"""Second of the day, side, size, price, time in force."""


def _cash(file: Path, orders: list[Sent], balance: float = 1e6) -> LoadedConfig:
    times, sides, sizes, prices, lifetimes = zip(*orders, strict=True)
    table = {
        "time": [moment(each) for each in times],
        "side": sides,
        "size": sizes,
        "price": pa.array(prices, pa.float64()),
        "time_in_force": lifetimes,
    }
    pq.write_table(pa.table(table), file)
    return _config(file, starting_balance=balance)


def _config(file: Path, **venue: Any) -> LoadedConfig:
    strategy = {"name": "File", "orders_file": str(file)}
    return with_strategy(strategy, SPOT, venue={"account_type": "CASH", **venue})


def _day(market: Market) -> None:
    config = variant(SPOT)
    market.books(BOOKS, config)
    market.trades([(NOON + each, "buy", "64000.1", "1") for each in (1, 9)], config)


BOUGHT: list[Sent] = [
    (NOON + 2, "buy", 3.0, None, "IOC"),
    (NOON + 3, "sell", 1.5, 64000.0, "FOK"),
    (NOON + 4, "sell", 1.0, None, "IOC"),
    (NOON + 5, "buy", 0.25, 64000.1, "IOC"),
]


@pytest.mark.parametrize("mode", ["report", "fast"])
def test_a_cash_account_is_equal_to_the_last_decimal(
    market: Market, tmp_path: Path, mode: str
) -> None:
    _day(market)
    config = _cash(tmp_path / "orders.parquet", BOUGHT)
    for closes in (True, False):
        theirs, ours = (
            market.run(
                config, snapshot_mode="book", mode=mode, engine=engine, close_positions=closes
            )
            for engine in ("nautilus", "kernel")
        )
        assert theirs.metadata["witness"] == {"verdict": "equal", "detail": None}
        assert theirs.result.digest == ours.result.digest
        assert theirs.summary == ours.summary
        assert theirs.summary["orders_by_status"]["filled"] == 4 + closes


DENIED: dict[str, tuple[list[Sent], float]] = {
    "sold before it is bought": ([(NOON + 2, "sell", 1.0, None, "IOC"), *BOUGHT], 1e6),
    "more than is held": ([*BOUGHT, (NOON + 6, "sell", 0.8, None, "IOC")], 1e6),
    # Orders of one time are judged before the first of them fills.
    "bought at the same time": (
        [(NOON + 2, "buy", 3.0, None, "IOC"), (NOON + 2, "sell", 1.0, None, "IOC")],
        1e6,
    ),
    "more than it can pay": ([(NOON + 2, "buy", 3.0, None, "IOC")], 192_000),
}


@pytest.mark.parametrize("case", DENIED.values(), ids=DENIED)
def test_what_is_denied_is_refused(market: Market, tmp_path: Path, case: Any) -> None:
    _day(market)
    config = _cash(tmp_path / "orders.parquet", *case)
    run = market.run(config, snapshot_mode="book")
    assert run.summary["orders_by_status"]["denied"] == 1
    assert "might exceed the free balance" in run.metadata["witness"]["detail"]
    with pytest.raises(NotCoveredError, match="free balance"):
        market.run(config, snapshot_mode="book", engine="kernel")


def test_orders_that_may_rest_are_refused(market: Market, tmp_path: Path) -> None:
    _day(market)
    config = _cash(tmp_path / "orders.parquet", [(NOON + 2, "buy", 1.0, 64000.0, "GTC")])
    with pytest.raises(NotCoveredError, match="GTC on a CASH account"):
        market.run(config, snapshot_mode="book", engine="kernel")


def _random(market: Market, seed: int) -> pa.Table:
    """Return orders at and beside the times of rows: many small sales, each of what is held."""
    draw = np.random.default_rng(seed)
    trades = pq.read_table(market.raw_file(DataType.TRADES, variant(SPOT), DAY))
    seen = trades["local_timestamp"].to_numpy()
    count = 80
    when = np.sort(draw.choice(seen, count) * 1_000 + draw.integers(0, 3, count))
    around = np.interp(when / 1_000, seen, np.clip(trades["price"].to_numpy(), 63_000, 65_000))
    price = np.round(around + draw.integers(-10, 11, count) * 0.1, 1)
    is_sale = (draw.random(count) < 0.1) & (np.arange(count) > 20)
    size = np.where(is_sale, 0.001, np.round(draw.integers(1, 5_000, count) * 0.001, 3))
    return pa.table(
        {
            "time": when,
            "side": np.where(is_sale, "sell", "buy"),
            "size": size,
            "price": pa.array(price, mask=draw.random(count) < 0.4),
            "time_in_force": draw.choice(["IOC", "FOK"], count),
        }
    )


def _is_equal_on(market: Market, folder: Path, seed: int) -> int:
    """Return how many of 12 runs were equal; in others an order might be denied."""
    write_hostile_day(market, variant(SPOT), seed)
    file = folder / f"{seed}.parquet"
    pq.write_table(_random(market, seed), file)
    configs = [
        _config(file, book_type=book, taker_fee=fee, starting_balance=1e10)
        for book in ("L1_MBP", "L2_MBP")
        for fee in (0.001, -0.0001)
    ]
    equal = 0
    for mode in ("trades", "book", "both"):
        for config, found in verdicts(market, folder / "work", configs, snapshot_mode=mode):
            assert found.verdict != witness.DIFFERS, (seed, mode, config.config, found.detail)
            equal += found.verdict == witness.EQUAL
    return equal


def test_cash_accounts_are_equal_on_hostile_days(market: Market, tmp_path: Path) -> None:
    assert _is_equal_on(market, tmp_path, 501) == 12


@pytest.mark.torture
@pytest.mark.timeout(7_200)
def test_cash_accounts_are_equal_on_many_hostile_days(tmp_path: Path) -> None:
    found = 0
    for seed in range(1_000, 1_040):
        folder = tmp_path / str(seed)
        folder.mkdir()
        found += _is_equal_on(Market(folder), folder, seed)
    assert found > 200
