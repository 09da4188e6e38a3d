"""Days of a few rows, written as raw files, converted and run; and what a run left behind."""

import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.backtest.request import RunRequest
from odum_assets.catalog import PartitionManifest, convert_partition
from odum_assets.config import LoadedConfig, RunConfig, instrument_spec, load_config, raw_path
from odum_assets.config.hashing import content_hash
from odum_assets.raw.layout import DataType
from odum_assets.results.run import RunResult, run_backtest
from odum_assets.settings import Settings
from odum_assets.utc import day_start_ns

CONFIGS = Path(__file__).parents[2] / "configs"
LINEAR = "binance_futures_btcusdt_l2_trades_config"
SPOT = "binance_btcusdt_l2_trades_config"
INVERSE = "deribit_btcusd_l2_trades_config"
CONTRACTS = "okx_btcusdt_l2_trades_config"
DAY = date(2024, 3, 5)
NS = 1_000_000_000
NOON = 12 * 3600

LOCKS = (".staging/.lock", ".staging/.publish")

Level = tuple[str, str]
TradeRow = tuple[float, str | None, str, str]
"""Second of the day, side, price, size."""
BookRow = tuple[float, Sequence[Level], Sequence[Level]]
"""Second of the day, bids and asks as price and size, best first."""
FundingRow = tuple[float, str, float]
"""Second of the day, rate, second of the day at which it is settled."""


def variant(name: str = LINEAR, **sections: Any) -> LoadedConfig:
    """Return a shipped configuration with some keys changed; it reads funding only where asked."""
    base = load_config(CONFIGS / f"{name}.json")
    values = base.config.model_dump(mode="json", by_alias=True)
    values["data_catalog"]["derivative_ticker_path"] = None
    for section, changed in sections.items():
        if isinstance(changed, dict):
            values[section] = {**(values.get(section) or {}), **changed}
        else:
            values[section] = changed
    config = RunConfig.model_validate(values)
    return LoadedConfig(name, base.path, config, content_hash(config), config.key)


def kinds(name: str, *, venue: dict[str, Any] | None = None, **sections: Any) -> list[LoadedConfig]:
    """Return a configuration for each order type, time in force and book."""
    return [
        variant(
            name,
            strategy={"order_type": order, "time_in_force": lifetime},
            venue={"book_type": book, "starting_balance": 1e12, **(venue or {})},
            **sections,
        )
        for order, lifetime, book in itertools.product(
            ("LIMIT", "MARKET"), ("IOC", "FOK", "GTC"), ("L1_MBP", "L2_MBP")
        )
    ]


def own_strategy(path: str, **params: Any) -> dict[str, Any]:
    """Return the strategy section that names a class by its import path."""
    return {"name": "Own", "path": path, "params": params}


def with_strategy(section: dict[str, Any], name: str = LINEAR, **sections: Any) -> LoadedConfig:
    """Return a shipped configuration with another strategy section as a whole."""
    base = load_config(CONFIGS / f"{name}.json")
    values = base.config.model_dump(mode="json", by_alias=True)
    values["strategy"] = section
    for each, changed in sections.items():
        values[each] = {**(values.get(each) or {}), **changed}
    config = RunConfig.model_validate(values)
    return LoadedConfig(name, base.path, config, content_hash(config), config.key)


def moment(second: float, day: date = DAY) -> int:
    """Return a second of a day as ns since 1970."""
    return day_start_ns(day) + round(second * NS)


@dataclass(frozen=True)
class Outcome:
    """A stored run, read back from its files."""

    result: RunResult
    day: date

    @property
    def summary(self) -> dict[str, Any]:
        return self.result.summary

    @property
    def metadata(self) -> dict[str, Any]:
        return self.result.metadata

    @cached_property
    def orders(self) -> list[dict[str, Any]]:
        return self.rows("orders")

    @cached_property
    def fills(self) -> list[dict[str, Any]]:
        return self.rows("fills")

    @cached_property
    def equity(self) -> list[dict[str, Any]]:
        return self.rows("equity")

    @cached_property
    def positions(self) -> list[dict[str, Any]]:
        return self.rows("positions")

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return a table's rows; times as ns, decimals without trailing zeros."""
        assert self.result.report_path is not None
        return read_rows(self.result.report_path / f"{table}.parquet")

    def brief_fills(self) -> list[tuple[float, str, str, str, str, str]]:
        """Return fills as second, side, price, quantity, commission, liquidity."""
        return [
            (
                (each["timestamp"] - day_start_ns(self.day)) / NS,
                each["side"],
                text(each["price"]),
                text(each["quantity"]),
                text(each["commission"]),
                each["liquidity"],
            )
            for each in self.fills
        ]

    def statuses(self) -> list[str]:
        return [each["status"] for each in self.orders]


def text(value: Decimal) -> str:
    """Return a decimal without exponent and trailing zeros."""
    plain = f"{value:f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a table with times as ns."""
    table = pq.read_table(path)
    for index, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            table = table.set_column(index, field.name, table.column(index).cast(pa.int64()))
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


class Market:
    """A folder with raw files, a catalog and results.

    Parameters
    ----------
    root : Path
        The folder.
    """

    def __init__(self, root: Path) -> None:
        self.settings = Settings(
            raw_root=str(root / "raw"),
            catalog_path=root / "catalog",
            results_path=root / "results",
            configs_path=CONFIGS,
        )

    def trades(
        self, rows: Iterable[TradeRow], config: LoadedConfig | None = None, day: date = DAY
    ) -> PartitionManifest:
        """Write and convert trades; arrival is the exchange's time."""
        found = list(rows)
        table = pa.table(
            {
                **_times([each[0] for each in found], day),
                "id": [str(1000 + index) for index in range(len(found))],
                "side": pa.array([each[1] for each in found], pa.string()),
                "price": [float(each[2]) for each in found],
                "amount": [float(each[3]) for each in found],
            }
        )
        return self._convert(table, config or variant(), DataType.TRADES, day)

    def books(
        self, rows: Iterable[BookRow], config: LoadedConfig | None = None, day: date = DAY
    ) -> PartitionManifest:
        """Write and convert books; levels that are not given are missing."""
        found = list(rows)
        columns: dict[str, Any] = dict(_times([each[0] for each in found], day))
        for side, place in (("asks", 1), ("bids", 0)):
            ladders: list[Sequence[Level]] = [(each[1], each[2])[place] for each in found]
            for level in range(5):
                for part, name in ((0, "price"), (1, "amount")):
                    columns[f"{side}[{level}].{name}"] = pa.array(
                        [
                            float(ladder[level][part]) if level < len(ladder) else None
                            for ladder in ladders
                        ],
                        pa.float64(),
                    )
        return self._convert(pa.table(columns), config or variant(), DataType.BOOK, day)

    def funding(self, rows: Iterable[FundingRow], config: LoadedConfig, day: date = DAY) -> None:
        """Write and convert funding rates."""
        found = list(rows)
        table = pa.table(
            {
                **_times([each[0] for each in found], day),
                "funding_rate": [float(each[1]) for each in found],
                "funding_timestamp": [moment(each[2], day) // 1000 for each in found],
            }
        )
        self._convert(table, config, DataType.FUNDING, day)

    def raw_file(
        self, data_type: DataType, config: LoadedConfig | None = None, day: date = DAY
    ) -> Path:
        """Return where a raw file lies."""
        return Path(raw_path(config or variant(), data_type, day, self.settings))

    def convert(self, config: LoadedConfig, data_type: DataType, day: date) -> PartitionManifest:
        """Convert a raw file that is there."""
        return convert_partition(
            str(self.raw_file(data_type, config, day)),
            config.key,
            instrument_spec(config),
            data_type,
            day,
            self.settings.catalog_path,
        )

    def _convert(
        self, table: pa.Table, config: LoadedConfig, data_type: DataType, day: date
    ) -> PartitionManifest:
        path = self.raw_file(data_type, config, day)
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)
        manifest = self.convert(config, data_type, day)
        assert manifest.rows_rejected == 0
        return manifest

    def run(
        self,
        config: LoadedConfig | None = None,
        days: tuple[date, ...] = (DAY,),
        **options: Any,
    ) -> Outcome:
        """Run a backtest in report mode, driven by trades alone unless told."""
        options = {"snapshot_mode": "trades", **options}
        name = days[0].isoformat() if len(days) == 1 else "window"
        request = RunRequest(config or variant(), days, options.pop("partition", name), **options)
        return Outcome(run_backtest(request, self.settings), days[0])

    def stored(self) -> list[str]:
        """Return every file below the results folder but the two locks, which stay."""
        root = self.settings.results_path
        found = (str(each.relative_to(root)) for each in root.rglob("*") if each.is_file())
        return sorted(name for name in found if name not in LOCKS)


def from_json(path: Path) -> Any:
    """Return a JSON document with numbers as exact decimals."""
    return json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)


def iso(second: float, day: date = DAY) -> str:
    """Return a whole second of a day as ISO 8601 text."""
    seconds = moment(second, day) // NS
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _times(seconds: Sequence[float], day: date) -> dict[str, Any]:
    times = pa.array([moment(each, day) // 1000 for each in seconds], pa.int64())
    return {"timestamp": times, "local_timestamp": times}
