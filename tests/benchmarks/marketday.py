"""Days the size of a busy one, generated, converted and ready for a backtest."""

import json
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import product
from pathlib import Path

from odum_assets.catalog import convert_partition
from odum_assets.config import LoadedConfig, instrument_spec, load_config, raw_path
from odum_assets.raw.layout import DataType
from odum_assets.raw.sample import SampleSpec, write_sample
from odum_assets.settings import Settings

CONFIGS = Path(__file__).parents[2] / "configs"
CONFIG = "binance_futures_btcusdt_l2_trades_config"
FIRST_DAY = date(2024, 1, 1)
BUSY_TRADES, BUSY_BOOKS = 2_000_000, 864_000
KINDS = (DataType.TRADES, DataType.BOOK)


@dataclass(frozen=True, slots=True)
class MarketDay:
    """A configuration with days of raw data in a folder of its own."""

    root: Path
    loaded: LoadedConfig
    settings: Settings
    trades: int
    books: int

    def convert(self, days: int = 1) -> None:
        """Convert the first days."""
        for number, kind in product(range(days), KINDS):
            day = FIRST_DAY + timedelta(days=number)
            convert_partition(
                raw_path(self.loaded, kind, day, self.settings),
                self.loaded.key,
                instrument_spec(self.loaded),
                kind,
                day,
                self.settings.catalog_path,
            )

    def environment(self) -> dict[str, str]:
        """Return the environment that leads the command line to this folder."""
        return {
            "UNIFIED_CLOUD_LOCAL_PATH": str(self.root),
            "DATA_CATALOG_PATH": str(self.settings.catalog_path),
            "ODUM_RESULTS_PATH": str(self.settings.results_path),
            "ODUM_CONFIGS_PATH": str(self.settings.configs_path),
            "DAGSTER_HOME": str(self.root / "dagster"),
        }


def market_day(root: Path, trades: int, *, days: int = 1) -> MarketDay:
    """Generate days with bursts, equal timestamps and out-of-order arrival in places.

    The account is large enough for every order to be accepted.
    """
    books = BUSY_BOOKS * trades // BUSY_TRADES
    configs = root / "configs"
    configs.mkdir(parents=True)
    (root / "dagster").mkdir()
    values = json.loads((CONFIGS / f"{CONFIG}.json").read_text())
    values["venue"]["starting_balance"] = 1_000_000_000
    (configs / f"{CONFIG}.json").write_text(json.dumps(values))
    loaded = load_config(configs / f"{CONFIG}.json")
    settings = Settings(
        raw_root=str(root),
        catalog_path=root / "catalog",
        results_path=root / "results",
        configs_path=configs,
    )
    write_sample(
        root,
        SampleSpec(
            keys=(str(loaded.key),),
            start=FIRST_DAY,
            days=days,
            trades_per_day=trades,
            books_per_day=books,
            irregularities=True,
        ),
    )
    return MarketDay(root, loaded, settings, trades, books)
