"""The catalog as NautilusTrader sees it: a plain program of its own runs on it."""

from dataclasses import replace
from datetime import date, timedelta
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
from nautilus_trader.execution import MakerTakerFeeModel
from nautilus_trader.model import NautilusDataType, OrderSide, Quantity, TradeTick
from nautilus_trader.persistence import ParquetDataCatalog
from nautilus_trader.trading import Strategy, StrategyConfig
from rawfiles import DAY, KEY, SPEC, books_table, some_trades, trades_table, write_raw

from odum_assets.catalog import PartitionRequest, catalog_view, convert_partition, list_manifests
from odum_assets.catalog.definition import (
    definition_changes,
    definition_folder,
    write_definition,
)
from odum_assets.catalog.paths import PartitionPaths
from odum_assets.errors import DataError
from odum_assets.instruments import InstrumentSpec, parse_instrument_key
from odum_assets.instruments.definitions import nautilus_instrument
from odum_assets.raw.layout import DataType

EVE = DAY - timedelta(days=1)


def convert(
    root: Path, spec: InstrumentSpec = SPEC, day: date = DAY, kind: DataType = DataType.TRADES
) -> Any:
    """Convert 100 trades or 60 books of a day."""
    start = 0 if day == DAY else -80_000
    table = (
        books_table(list(range(start, start + 60)))
        if kind is DataType.BOOK
        else trades_table(some_trades(100, day_offset=start))
    )
    for name in ("exchange", "symbol"):
        if name in table.column_names and spec.key != KEY:
            table = table.drop_columns([name])
    source = write_raw(table, root / f"{day}-{kind}-{spec.key.slug}.parquet")
    return convert_partition(source, spec.key, spec, kind, day, root / "catalog")


def files(root: Path, spec: InstrumentSpec = SPEC) -> list[Path]:
    """Return the definition files of an instrument."""
    return sorted(definition_folder(root / "catalog", spec.key).iterdir())


class Buyer(Strategy):
    """Buy once, at the tenth trade."""

    trades = 0
    bought: list[Any]

    def on_start(self) -> None:
        self.subscribe_trades(IDENTITY)
        self.bought = []

    def on_trade(self, trade: TradeTick) -> None:  # noqa: ARG002
        type(self).trades += 1
        if type(self).trades == 10:
            amount = Quantity.from_str("0.010")
            self.submit_order(self.order_factory.market(IDENTITY, OrderSide.BUY, amount))

    def on_order_filled(self, event: Any) -> None:
        FILLED.append(event)


IDENTITY = nautilus_instrument(SPEC).id
FILLED: list[Any] = []


def test_a_plain_backtest_node_runs_on_the_catalog(tmp_path: Path) -> None:
    for day in (EVE, DAY):
        for kind in (DataType.TRADES, DataType.BOOK):
            convert(tmp_path, day=day, kind=kind)
    catalog = str((tmp_path / "catalog").resolve())
    (instrument,) = ParquetDataCatalog(catalog).instruments()
    assert instrument.id == IDENTITY
    fees = MakerTakerFeeModel(Decimal("0.0002"), Decimal("0.0004"))
    venue = BacktestVenueConfig(
        str(IDENTITY.venue), "NETTING", "MARGIN", ["1000000 USDT"], "L2_MBP", fee_model=fees
    )
    kinds = (NautilusDataType.TradeTick, NautilusDataType.OrderBookDepth)
    data = [BacktestDataConfig(kind, catalog, instrument_id=IDENTITY) for kind in kinds]
    run = BacktestRunConfig([venue], data, engine=BacktestEngineConfig(bypass_logging=True))
    node = BacktestNode([run])
    node.build()
    node.add_strategy(run.id, Buyer(StrategyConfig()))
    FILLED.clear()
    (result,) = node.run()
    assert result.iterations == 2 * (100 + 60)
    assert sum(Decimal(str(each.last_qty)) for each in FILLED) == Decimal("0.010")


SPECS = {
    "spot": replace(SPEC, key=parse_instrument_key("BINANCE:SPOT_PAIR:BTC-USDT")),
    "perpetual": SPEC,
    "whole sizes": replace(SPEC, size_precision=0, multiplier=Decimal("0.01"), price_precision=9),
    "future": replace(SPEC, key=parse_instrument_key("BINANCE-FUTURES:FUTURE:BTC-USDT-240927")),
    "inverse": replace(
        SPEC,
        key=parse_instrument_key("DERIBIT:PERPETUAL:BTC-USD@INV"),
        settlement_currency="BTC",
        margin_init=Decimal(1),
        margin_maint=Decimal(0),
    ),
}


@pytest.mark.parametrize("name", list(SPECS))
def test_a_definition_is_what_nautilus_writes(tmp_path: Path, name: str) -> None:
    spec = SPECS[name]
    paths = PartitionPaths(tmp_path / "catalog", spec.key, DataType.TRADES, DAY)
    paths.staging_folder.mkdir(parents=True)
    write_definition(paths, spec)
    (found,) = ParquetDataCatalog(str(tmp_path / "catalog")).instruments()
    instrument = nautilus_instrument(spec)
    assert type(found) is type(instrument)
    assert found.to_dict() == instrument.to_dict()
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    ParquetDataCatalog(str(theirs)).write_instruments([instrument])
    (our_file,), (their_file,) = files(tmp_path, spec), theirs.rglob("*.parquet")
    assert our_file.relative_to(tmp_path / "catalog") == their_file.relative_to(theirs)
    ours, expected = pq.read_table(our_file), pq.read_table(their_file)
    assert ours.schema.equals(expected.schema)
    assert ours.to_pylist() == expected.to_pylist()
    metadata = {**(ours.schema.metadata or {})}
    metadata.pop(b"odum_definition")
    assert metadata == expected.schema.metadata


def test_a_definition_is_written_once_and_comes_back_when_it_is_gone(tmp_path: Path) -> None:
    convert(tmp_path)
    (path,) = files(tmp_path)
    before = path.stat()
    convert(tmp_path)
    convert(tmp_path, kind=DataType.BOOK)
    assert path.stat().st_ino == before.st_ino
    content = path.read_bytes()
    path.unlink()
    # Nothing is converted: the partition is up to date.
    convert(tmp_path)
    assert path.read_bytes() == content
    path.write_bytes(content[: len(content) // 2])
    convert(tmp_path)
    assert path.read_bytes() == content


def test_the_conversion_that_came_last_decides_and_says_what_changes(tmp_path: Path) -> None:
    other = replace(SPEC, margin_init=Decimal("0.02"), multiplier=Decimal(10))
    root = tmp_path / "catalog"
    assert definition_changes(root, SPEC) == []
    convert(tmp_path)
    assert definition_changes(root, SPEC) == []
    assert definition_changes(root, other) == [
        "multiplier from 1 to 10",
        "margin_init from 0.01 to 0.02",
    ]
    digests = [each.digest for each in list_manifests(root)]
    convert(tmp_path, other)
    (found,) = ParquetDataCatalog(str(root)).instruments()
    assert (found.margin_init, str(found.multiplier)) == (Decimal("0.02"), "10")
    assert len(files(tmp_path)) == 1
    assert [each.digest for each in list_manifests(root)] == digests


def test_a_definition_of_somebody_else_stays(tmp_path: Path) -> None:
    convert(tmp_path)
    (path,) = files(tmp_path)
    path.unlink()
    foreign = nautilus_instrument(replace(SPEC, margin_init=Decimal("0.5")))
    ParquetDataCatalog(str(tmp_path / "catalog")).write_instruments([foreign])
    content = path.read_bytes()
    convert(tmp_path, day=EVE)
    assert files(tmp_path) == [path]
    assert path.read_bytes() == content
    assert definition_changes(tmp_path / "catalog", SPEC) == []


def test_a_catalog_of_somebody_else_gets_no_definition(tmp_path: Path) -> None:
    folder = tmp_path / "catalog/data/trades" / KEY.nautilus_id
    folder.mkdir(parents=True)
    pq.write_table(trades_table(some_trades(3)), folder / "theirs.parquet")
    with pytest.raises(DataError, match="not written by a conversion"):
        convert(tmp_path)
    assert not definition_folder(tmp_path / "catalog", KEY).exists()


def test_a_link_out_of_the_catalog_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    folder = definition_folder(tmp_path / "catalog", KEY)
    folder.parent.mkdir(parents=True)
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="outside the catalog"):
        convert(tmp_path)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_view_holds_data_alone_whatever_the_catalog_defines(tmp_path: Path) -> None:
    """Each run adds the definition of its own configuration."""
    convert(tmp_path)
    view = tmp_path / "view"
    catalog_view(tmp_path / "catalog", [PartitionRequest(KEY, DataType.TRADES, (DAY,))], view)
    assert [each.name for each in (view / "data").iterdir()] == ["trades"]


def test_zeros_that_end_a_multiplier_are_no_digits(tmp_path: Path) -> None:
    # NautilusTrader refuses to read a catalog with one definition of more than 18 decimals.
    spec = replace(SPEC, multiplier=Decimal("0.0100000000000000000000"))
    convert(tmp_path, spec)
    (found,) = ParquetDataCatalog(str(tmp_path / "catalog")).instruments()
    assert found.multiplier == nautilus_instrument(spec).multiplier == Quantity.from_str("0.01")
