"""Bars of the catalog's trades: against a plain loop, and against NautilusTrader's aggregation."""

import os
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nautilus_trader.backtest import (
    BacktestDataConfig,
    BacktestEngineConfig,
    BacktestNode,
    BacktestRunConfig,
    BacktestVenueConfig,
)
from nautilus_trader.execution import MakerTakerFeeModel
from nautilus_trader.model import Bar, BarType, InstrumentId, NautilusDataType
from nautilus_trader.trading import Strategy, StrategyConfig
from rawfiles import DAY, KEY, MIDNIGHT_NS, SPEC, some_trades, trades_table, write_raw

from odum_assets.bars.aggregation import aggregate
from odum_assets.catalog import PartitionManifest, convert_partition
from odum_assets.catalog.bar_reader import read_bars
from odum_assets.catalog.bar_rules import BarRules
from odum_assets.errors import DataError
from odum_assets.instruments import InstrumentSpec
from odum_assets.raw.layout import DataType, raw_file_path

SECOND, MINUTE = 10**9, 60 * 10**9


def bars_of(
    trades: PartitionManifest, catalog: Path, spec: InstrumentSpec = SPEC, step: int = MINUTE
) -> PartitionManifest:
    """Aggregate a partition of trades."""
    return convert_partition(
        str(trades.data_path(catalog)),
        spec.key,
        spec,
        DataType.BARS_1M,
        trades.day,
        catalog,
        bars=BarRules(step, None),
    )


def some_bars(root: Path, count: int = 500) -> tuple[PartitionManifest, PartitionManifest]:
    """Convert made-up trades, two a second, and aggregate them."""
    source = write_raw(trades_table(some_trades(count)), root / "trades.parquet")
    catalog = root / "catalog"
    trades = convert_partition(source, KEY, SPEC, DataType.TRADES, DAY, catalog)
    return trades, bars_of(trades, catalog)


def test_bars_equal_a_plain_loop(tmp_path: Path) -> None:
    trades, bars = some_bars(tmp_path)
    expected: dict[int, list[Decimal]] = {}
    for trade in some_trades(500):
        # (t, t + 60 s]: a trade of second 60 belongs to the first minute.
        close = -(-trade.second // 60)
        low_high = expected.setdefault(close, [trade.price] * 4 + [Decimal(0)])
        low_high[1] = max(low_high[1], trade.price)
        low_high[2] = min(low_high[2], trade.price)
        low_high[3] = trade.price
        low_high[4] += trade.size
    series = read_bars(tmp_path / "catalog", KEY, "1m", 0, 2**62)
    found = {
        (close - MIDNIGHT_NS) // MINUTE: [
            *(series.price(column[index]) for column in (series.open, series.high, series.low)),
            series.price(series.close[index]),
            Decimal(int(series.volume[index])).scaleb(-3),
        ]
        for index, close in enumerate(series.close_time.tolist())
    }
    assert found == expected
    assert bars.rows_written == len(expected) == 5
    assert bars.source.sha256 == trades.file.sha256
    assert bars.rules["label"] is None


def test_a_bar_holds_what_comes_after_its_open_up_to_its_close() -> None:
    times = np.array([0, 1, 60, 61, 120, 121, 300]) * SECOND
    ones = np.ones(7, np.int64)
    bars = aggregate(times, np.arange(1, 8), ones, MINUTE, 0)
    # The one at the first open belongs to the first bar; the empty minutes have none.
    assert (bars.open_time // MINUTE).tolist() == [0, 1, 2, 4]
    assert bars.volume.tolist() == [3, 2, 1, 1]
    assert (bars.open.tolist(), bars.close.tolist()) == ([1, 4, 6, 7], [3, 5, 6, 7])
    assert len(aggregate(times[:0], ones[:0], ones[:0], MINUTE, 0).open) == 0


def test_bars_follow_their_trades(tmp_path: Path) -> None:
    _, first = some_bars(tmp_path)
    trades, again = some_bars(tmp_path)
    assert again == first
    trades, longer = some_bars(tmp_path, 700)
    assert longer.digest != first.digest
    coarse = replace(SPEC, tick_size=Decimal(1000))
    with pytest.raises(DataError, match=r"none of its 6 rows can be used \(price_off_tick 6\)"):
        bars_of(trades, tmp_path / "catalog", coarse)


def test_damaged_trades_are_named(tmp_path: Path) -> None:
    trades, _ = some_bars(tmp_path)
    trades.data_path(tmp_path / "catalog").write_bytes(b"no parquet")
    with pytest.raises(DataError, match="its trades cannot be aggregated"):
        bars_of(trades, tmp_path / "catalog")


class Listener(Strategy):
    """Take the bars that NautilusTrader aggregates itself."""

    def on_start(self) -> None:
        self.subscribe_bars(BarType.from_str(f"{KEY.nautilus_id}-1-MINUTE-LAST-INTERNAL"))

    def on_bar(self, bar: Bar) -> None:
        HEARD.append(bar)


HEARD: list[Any] = []


@pytest.mark.skipif("ODUM_TEST_DATA" not in os.environ, reason="ODUM_TEST_DATA names no folder")
def test_real_trades_give_the_bars_that_nautilus_aggregates(tmp_path: Path) -> None:
    day = date(2024, 7, 19)
    raw = raw_file_path(os.environ["ODUM_TEST_DATA"], day, DataType.TRADES, str(KEY))
    catalog = tmp_path / "catalog"
    bars_of(convert_partition(raw, KEY, SPEC, DataType.TRADES, day, catalog), catalog)
    venue = BacktestVenueConfig(
        "BINANCE_FUTURES",
        "NETTING",
        "MARGIN",
        ["1000000 USDT"],
        "L1_MBP",
        fee_model=MakerTakerFeeModel(Decimal(0), Decimal(0)),
    )
    identity = InstrumentId.from_str(KEY.nautilus_id)
    data = [BacktestDataConfig(NautilusDataType.TradeTick, str(catalog), instrument_id=identity)]
    run = BacktestRunConfig([venue], data, engine=BacktestEngineConfig(bypass_logging=True))
    node = BacktestNode([run])
    node.build()
    node.add_strategy(run.id, Listener(StrategyConfig()))
    HEARD.clear()
    node.run()
    series = read_bars(catalog, KEY, "1m", 0, 2**62)
    theirs = {
        bar.ts_event: [
            *(int(Decimal(str(price)) * 10) for price in (bar.open, bar.high, bar.low, bar.close)),
            int(Decimal(str(bar.volume)) * 1000),
        ]
        for bar in HEARD
        if Decimal(str(bar.volume))
    }
    columns = (series.open, series.high, series.low, series.close, series.volume)
    ours = {
        close: [int(column[index]) for column in columns]
        for index, close in enumerate(series.close_time.tolist())
    }
    # The last interval is still open when the trades end: Nautilus never gives it.
    assert len(theirs) >= 4
    assert theirs == {close: ours[close] for close in theirs}
    assert set(ours) - set(theirs) <= {max(ours)}
