"""Odd but valid days: NautilusTrader reads them, and a backtest ends in a result or an error."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hostilefile import HostileFile, check, examples
from hypothesis import given
from nautilus_trader.model import NautilusDataType
from nautilus_trader.persistence import ParquetDataCatalog
from rawbooks import catalog_books, hostile_books
from rawfunding import catalog_funding, hostile_funding
from rawtrades import catalog_trades, hostile_trades

from odum_assets.backtest.request import RunRequest
from odum_assets.catalog import convert_partition
from odum_assets.config import LoadedConfig, instrument_spec, load_config, raw_path
from odum_assets.errors import OdumError
from odum_assets.raw.layout import DataType
from odum_assets.results.run import RunResult, run_backtest
from odum_assets.settings import Settings
from odum_assets.utc import day_start_ns

SHIPPED = Path(__file__).parents[2] / "configs/binance_futures_btcusdt_l2_trades_config.json"
DAY = date(2024, 3, 5)
NOON_US = day_start_ns(DAY) // 1000 + 12 * 3600 * 10**6


# --- NautilusTrader reads what was written ------------------------------------------------------


def _ticks_agree(catalog: Path, made: HostileFile) -> None:
    ticks = ParquetDataCatalog(str(catalog)).query_trade_ticks([made.spec.key.nautilus_id])
    found = [
        (
            tick.price.as_decimal(),
            tick.size.as_decimal(),
            tick.aggressor_side.name,
            str(tick.trade_id),
            tick.ts_event,
            tick.ts_init,
        )
        for tick in ticks
    ]
    names = ("price", "size", "aggressor_side", "trade_id", "ts_event", "ts_init")
    assert found == [tuple(row[name] for name in names) for row in made.rows]


def _depths_agree(catalog: Path, made: HostileFile) -> None:
    depths = ParquetDataCatalog(str(catalog)).query_order_book_depths([made.spec.key.nautilus_id])
    found = [
        (
            depth.ts_init,
            depth.ts_event,
            {
                side: [(each.price.as_decimal(), each.size.as_decimal()) for each in levels]
                for side, levels in (("bid", depth.bids), ("ask", depth.asks))
            },
        )
        for depth in depths
    ]
    assert found == made.rows


def _rates_agree(catalog: Path, made: HostileFile) -> None:
    kind = NautilusDataType.FundingRateUpdate
    updates = ParquetDataCatalog(str(catalog)).query(kind, [made.spec.key.nautilus_id])
    found = [(each.ts_init, each.ts_event, each.rate, each.next_funding_ns) for each in updates]
    assert found == made.rows


@examples(12)
@given(made=hostile_trades(spoiled=False))
def test_nautilus_reads_the_trades_that_are_left(made: HostileFile) -> None:
    check(made, catalog_trades, _ticks_agree)


@examples(8)
@given(made=hostile_books())
def test_nautilus_reads_the_books_that_are_left(made: HostileFile) -> None:
    check(made, catalog_books, _depths_agree)


@examples(8)
@given(made=hostile_funding())
def test_nautilus_reads_the_funding_rates_that_are_left(made: HostileFile) -> None:
    check(made, catalog_funding, _rates_agree)


@pytest.mark.torture
@pytest.mark.timeout(3000)
@examples(1500)
@given(made=hostile_trades(spoiled=False))
def test_nautilus_reads_many_hostile_trades_files(made: HostileFile) -> None:
    check(made, catalog_trades, _ticks_agree)


@pytest.mark.torture
@pytest.mark.timeout(3000)
@examples(1000)
@given(made=hostile_books())
def test_nautilus_reads_many_hostile_book_files(made: HostileFile) -> None:
    check(made, catalog_books, _depths_agree)


# --- backtests ----------------------------------------------------------------------------------


class Odd:
    """A folder with one odd day."""

    def __init__(self, root: Path, price_precision: int, size_precision: int) -> None:
        document = json.loads(SHIPPED.read_text())
        document["instrument"] |= {
            "price_precision": price_precision,
            "size_precision": size_precision,
        }
        # Rich enough for giant orders.
        document["venue"] |= {"starting_balance": 10**12, "leverage": 1000}
        root.mkdir(exist_ok=True)
        path = root / "odd.json"
        path.write_text(json.dumps(document))
        self.config: LoadedConfig = load_config(path)
        self.settings = Settings(
            raw_root=str(root / "raw"),
            catalog_path=root / "catalog",
            results_path=root / "results",
            configs_path=root,
        )

    def convert(self, data_type: DataType, columns: dict[str, Any]) -> None:
        """Write and convert a raw file."""
        path = Path(raw_path(self.config, data_type.value, DAY, self.settings))
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), path)
        spec = instrument_spec(self.config)
        catalog = self.settings.catalog_path
        convert_partition(str(path), self.config.key, spec, data_type, DAY, catalog)

    def trades(self, rows: list[tuple[int, str, Decimal, Decimal]]) -> None:
        """Write trades: microseconds after noon, side, price, size."""
        exact = pa.decimal128(38, 16)
        times = pa.array([NOON_US + row[0] for row in rows], pa.int64())
        self.convert(
            DataType.TRADES,
            {
                "timestamp": times,
                "local_timestamp": times,
                "id": [str(number) for number in range(len(rows))],
                "side": [row[1] for row in rows],
                "price": pa.array([row[2] for row in rows], exact),
                "amount": pa.array([row[3] for row in rows], exact),
            },
        )

    def run(self, snapshot_mode: Any = "trades") -> RunResult:
        """Run the day in report mode."""
        name = DAY.isoformat()
        request = RunRequest(self.config, (DAY,), name, snapshot_mode=snapshot_mode)
        return run_backtest(request, self.settings)


ONE = Decimal(1)
MAX_PRICE, MAX_SIZE = Decimal(17_014_118_346_046), Decimal(34_028_236_692_093)
ODD_DAYS: dict[str, tuple[int, int, list[tuple[int, str, Decimal, Decimal]]]] = {
    "one row": (1, 3, [(0, "buy", Decimal(64000), ONE)]),
    "one moment": (1, 3, [(0, "buy", Decimal(64000 + row % 3), ONE) for row in range(50)]),
    "no aggressor": (1, 3, [(row, "", Decimal(64000 + row % 3), ONE) for row in range(50)]),
    "finest": (
        16,
        16,
        [
            (row, side, price, Decimal("1e-16"))
            for row, (side, price) in enumerate(
                [("buy", Decimal("1e-16")), ("sell", Decimal("921.0000000000000001"))] * 5
            )
        ],
    ),
    "giant prices": (
        1,
        3,
        [(row, ("buy", "sell")[row % 2], MAX_PRICE - row % 2, ONE / 1000) for row in range(20)],
    ),
    "giant sizes": (
        1,
        3,
        [(row, ("buy", "sell")[row % 2], Decimal(64000), MAX_SIZE) for row in range(20)],
    ),
    "giant sizes at low prices": (
        1,
        3,
        [(row, ("buy", "sell")[row % 3 == 0], ONE / 10, MAX_SIZE) for row in range(40)],
    ),
    "giant both": (0, 0, [(row, "buy", MAX_PRICE, MAX_SIZE) for row in range(20)]),
}


@pytest.mark.parametrize("name", list(ODD_DAYS))
def test_a_backtest_of_an_odd_day_ends_in_a_result_or_a_clear_error(
    tmp_path: Path, name: str
) -> None:
    price_precision, size_precision, rows = ODD_DAYS[name]
    odd = Odd(tmp_path, price_precision, size_precision)
    odd.trades(rows)
    stored = tmp_path / "results"
    try:
        result = odd.run()
    except OdumError as error:
        text = str(error)
        assert text.strip()
        assert "Traceback" not in text
        assert name.startswith("giant"), text
        assert not list(stored.rglob("*.json"))
        return
    assert result.summary["orders"] >= len([row for row in rows if row[1]])
    assert result.fast_path.is_file()
    json.loads(result.fast_path.read_text(), parse_constant=pytest.fail)


def test_a_day_of_crossed_short_and_giant_books_runs(tmp_path: Path) -> None:
    odd = Odd(tmp_path, 1, 3)
    odd.trades([(row * 10, ("buy", "sell")[row % 2], Decimal(64000), ONE) for row in range(20)])
    times = pa.array([NOON_US + row * 10 - 5 for row in range(20)], pa.int64())
    odd.convert(
        DataType.BOOK,
        {
            "timestamp": times,
            # Crossed, locked, one-sided, empty on one level, giant.
            "bids[0].price": [64000.5, 64000.0, None, 63999.9] * 5,
            "bids[0].amount": [1.0, 1.0, 1.0, float(MAX_SIZE)] * 5,
            "bids[1].price": [63999.0, None, None, 0.1] * 5,
            "bids[1].amount": [1.0, 1.0, 1.0, 1.0] * 5,
            "asks[0].price": [64000.0, 64000.0, 64000.1, float(MAX_PRICE)] * 5,
            "asks[0].amount": [1.0, 0.0, 1.0, 1.0] * 5,
        },
    )
    result = odd.run("both")
    assert result.summary["orders"] >= 20
