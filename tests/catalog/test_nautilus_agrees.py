"""What Nautilus writes and reads is the measure of what the conversion writes."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from nautilus_trader.backtest import (
    BacktestDataConfig,
    BacktestEngineConfig,
    BacktestNode,
    BacktestRunConfig,
    BacktestVenueConfig,
)
from nautilus_trader.common import LoggerConfig, LogLevel
from nautilus_trader.execution import MakerTakerFeeModel
from nautilus_trader.model import (
    AggressorSide,
    BookOrder,
    BookType,
    InstrumentId,
    NautilusDataType,
    OrderBookDepth,
    OrderSide,
    Price,
    Quantity,
    TradeId,
    TradeTick,
)
from nautilus_trader.persistence import ParquetDataCatalog
from nautilus_trader.trading import Strategy, StrategyConfig
from rawfiles import (
    DAY,
    KEY,
    MIDNIGHT_NS,
    SPEC,
    books_table,
    previous_day,
    some_trades,
    trades_table,
    write_raw,
)

from odum_assets.catalog import (
    PartitionRequest,
    catalog_view,
    convert_partition,
    list_manifests,
)
from odum_assets.instruments.definitions import nautilus_instrument
from odum_assets.raw.layout import DataType

IDENTITY = InstrumentId.from_str(KEY.nautilus_id)


def convert(table: Any, data_type: DataType, tmp_path: Path, day: date = DAY) -> Path:
    source = write_raw(table, tmp_path / f"{day}-{data_type}.parquet")
    catalog = tmp_path / "catalog"
    manifest = convert_partition(source, KEY, SPEC, data_type, day, catalog)
    return manifest.data_path(catalog)


def test_schemas_and_file_names_are_those_of_nautilus(tmp_path: Path) -> None:
    theirs = tmp_path / "nautilus"
    theirs.mkdir()
    writer = ParquetDataCatalog(str(theirs))
    second = 10**9
    trade_times = [MIDNIGHT_NS + (10 + row // 2) * second for row in range(4)]
    writer.write_trade_ticks(
        [
            TradeTick(
                IDENTITY,
                Price.from_str("64000.0"),
                Quantity.from_str("0.001"),
                AggressorSide.BUY,
                TradeId("1"),
                time,
                time,
            )
            for time in trade_times
        ]
    )
    levels: list[Any] = [
        [BookOrder(side, Price.from_str(price), Quantity.from_str("0.001"), 0)]
        for side, price in ((OrderSide.BUY, "64000.0"), (OrderSide.SELL, "64000.1"))
    ]
    writer.write_order_book_depths(
        [
            OrderBookDepth(IDENTITY, levels[0], levels[1], [1], [1], 160, 0, time, time)
            for time in (MIDNIGHT_NS, MIDNIGHT_NS + second)
        ]
    )
    ours = {
        "trades": convert(trades_table(some_trades(4)), DataType.TRADES, tmp_path),
        "order_book_depths": convert(books_table([0, 1]), DataType.BOOK, tmp_path),
    }
    for folder, mine in ours.items():
        (their,) = (theirs / "data" / folder / KEY.nautilus_id).iterdir()
        assert mine.name == their.name
        assert mine.parent.relative_to(tmp_path / "catalog") == their.parent.relative_to(theirs)
        schema = pq.ParquetFile(mine).schema_arrow
        assert schema.equals(pq.ParquetFile(their).schema_arrow, check_metadata=True)


def test_nautilus_reads_the_values_that_were_written(tmp_path: Path) -> None:
    trades = some_trades(50)
    convert(trades_table(trades), DataType.TRADES, tmp_path)
    convert(books_table([3, 5], bid_size_1=[None, 0.25]), DataType.BOOK, tmp_path)
    catalog = ParquetDataCatalog(str(tmp_path / "catalog"))
    ticks = catalog.query_trade_ticks([KEY.nautilus_id])
    assert [(str(tick.price), str(tick.size), str(tick.trade_id)) for tick in ticks] == [
        (f"{trade.price:.1f}", f"{trade.size:.3f}", trade.trade_id) for trade in trades
    ]
    first, last = catalog.query_order_book_depths([KEY.nautilus_id])
    assert [str(order.price) for order in first.bids] == [
        "64000.0",
        "63999.8",
        "63999.7",
        "63999.6",
    ]
    assert str(first.asks[0].price) == "64000.1"
    assert str(last.bids[1].size) == "0.250"
    assert (len(first.bids), len(last.bids), first.flags) == (4, 5, 160)


class Recorder(Strategy):
    """Keep what arrives: arrival times, trade ids, and the best bid after each book."""

    def __new__(cls, config: StrategyConfig, _seen: dict[str, list[Any]]) -> "Recorder":
        return super().__new__(cls, config)  # type: ignore[call-arg]

    def __init__(self, _config: StrategyConfig, seen: dict[str, list[Any]]) -> None:
        super().__init__()
        self.seen = seen

    def on_start(self) -> None:
        self.subscribe_trades(IDENTITY)
        self.subscribe_book_depth(IDENTITY, BookType.L2_MBP)

    def on_trade(self, trade: TradeTick) -> None:
        self.seen["trades"].append((trade.ts_init, str(trade.trade_id)))

    def on_book_depth(self, depth: OrderBookDepth) -> None:
        self.seen["books"].append((depth.ts_init, str(depth.bids[0].price), len(depth.asks)))


@pytest.mark.parametrize("chunk_size", [None, 700])
def test_days_whose_files_overlap_around_midnight_are_replayed_once_and_in_order(
    tmp_path: Path, chunk_size: int | None
) -> None:
    """Both files hold rows of both days; each row is in the partition of its day alone."""
    every = some_trades(6000, day_offset=-1500)
    evening, morning = every[:4800], every[1200:]
    days = (previous_day(), DAY)
    for day, trades in zip(days, (evening, morning), strict=True):
        convert(trades_table(trades), DataType.TRADES, tmp_path, day)
    before = sum(trade.second < 0 for trade in every)
    manifests = list_manifests(tmp_path / "catalog")
    assert [(each.rows_written, each.rejected) for each in manifests] == [
        (before, {"next_day": len(evening) - before}),
        (len(every) - before, {"previous_day": before - 1200}),
    ]
    for day, start in zip(days, (-1500, -900), strict=True):
        convert(books_table(list(range(start, start + 1800))), DataType.BOOK, tmp_path, day)
    view = tmp_path / "view"
    catalog_view(
        tmp_path / "catalog",
        [PartitionRequest(KEY, kind, days) for kind in (DataType.TRADES, DataType.BOOK)],
        view,
    )
    ParquetDataCatalog(str(view)).write_instruments([nautilus_instrument(SPEC)])

    seen: dict[str, list[Any]] = {"trades": [], "books": []}
    replay(view, seen, chunk_size)

    times = [time for time, _ in seen["trades"]]
    assert times == sorted(times)
    ids = [identity for _, identity in seen["trades"]]
    assert ids == [trade.trade_id for trade in every]
    book_times = [time for time, *_ in seen["books"]]
    wanted = range(-1500, 900)
    assert book_times == [MIDNIGHT_NS + second * 10**9 for second in wanted]


def replay(view: Path, seen: dict[str, list[Any]], chunk_size: int | None) -> None:
    venue = BacktestVenueConfig(
        "BINANCE_FUTURES",
        "NETTING",
        "MARGIN",
        ["1000000 USDT"],
        book_type="L2_MBP",
        fee_model=MakerTakerFeeModel(Decimal(0), Decimal(0)),
    )
    data = [
        BacktestDataConfig(kind, str(view), instrument_id=IDENTITY)
        for kind in (NautilusDataType.TradeTick, NautilusDataType.OrderBookDepth)
    ]
    quiet = BacktestEngineConfig(
        bypass_logging=True, run_analysis=False, logging=LoggerConfig(stdout_level=LogLevel.ERROR)
    )
    run = BacktestRunConfig(
        [venue], data, engine=quiet, chunk_size=chunk_size, raise_exception=True
    )
    node = BacktestNode([run])
    node.build()
    node.add_strategy(run.id, Recorder(StrategyConfig(), seen))
    node.run()
