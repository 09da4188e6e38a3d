"""A folder with bars as raw files, their catalog and results, and runs on them."""

from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.backtest.request import RunRequest
from odum_assets.bars.calendar import BarCalendar
from odum_assets.bars.series import BarSeries
from odum_assets.bars.sessions import SessionRules
from odum_assets.catalog import convert_partition
from odum_assets.catalog.bar_rules import BarRules
from odum_assets.config import BarsConfig, LoadedConfig, raw_path
from odum_assets.config.hashing import content_hash
from odum_assets.raw.layout import DataType
from odum_assets.results.run import RunResult, run_backtest
from odum_assets.settings import Settings

FIRST_DAY = date(1970, 1, 1)


def bars_config(
    *ids: str, step: str = "1m", name: str = "MA_CROSS", params: Any = None, **sections: Any
) -> LoadedConfig:
    """Return a configuration of shares in one account, with sections changed."""
    document: dict[str, Any] = {
        "kind": "bars",
        "instruments": [{"id": item, "tick_size": "0.01"} for item in ids],
        "bars": {"step": step, "label": "end" if step != "1d" else "start", "warmup_sessions": 0},
        "session": {"preset": "us_equity"},
        "venue": {
            "name": ids[0].split(":")[0],
            "base_currency": "USD",
            "starting_balance": 1_000_000,
        },
        "strategy": {"name": name, "params": params or {"fast": 3, "slow": 8}},
    }
    for section, values in sections.items():
        document[section] = {**document.get(section, {}), **values}
    config = BarsConfig.model_validate(document)
    return LoadedConfig("study", Path("study.json"), config, content_hash(config), config.key)


class BarMarket:
    """A folder with raw files, a catalog and results."""

    def __init__(self, root: Path) -> None:
        self.settings = Settings(
            raw_root=str(root / "raw"),
            catalog_path=root / "catalog",
            results_path=root / "results",
            configs_path=root / "configs",
        )

    def add(self, config: LoadedConfig, every: Iterable[BarSeries]) -> None:
        """Write the bars of each instrument as raw files and convert them."""
        bars = config.bars
        assert bars is not None
        kind = DataType(bars.bars.data_type)
        sessions = SessionRules.of(bars.session) if bars.bars.is_daily else None
        rules = BarRules(bars.bars.step_ns, bars.bars.label, sessions)
        for key, series in zip(config.keys, every, strict=True):
            for day, table in _files(series, bars):
                path = raw_path(config, kind, day, self.settings, key)
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                pq.write_table(table, path)
                manifest = convert_partition(
                    path, key, bars.spec(key), kind, day, self.settings.catalog_path, bars=rules
                )
                assert manifest.rows_rejected == 0

    def request(self, config: LoadedConfig, first: str, last: str, **options: Any) -> RunRequest:
        """Return the request for a window of dates, those that have a session."""
        assert config.bars is not None
        calendar = BarCalendar.of(config.bars)
        dates = calendar.rules.dates(date.fromisoformat(first), date.fromisoformat(last))
        return RunRequest(config, tuple(calendar.partitions(dates)), "window", **options)

    def run(self, config: LoadedConfig, first: str, last: str, **options: Any) -> RunResult:
        """Run a window of dates."""
        return run_backtest(self.request(config, first, last, **options), self.settings)


def table_of(result: RunResult, name: str) -> list[dict[str, Any]]:
    """Return the rows of a table of a report, times as ns."""
    assert result.report_path is not None
    table = pq.read_table(result.report_path / f"{name}.parquet")
    for index, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            table = table.set_column(index, field.name, table.column(index).cast(pa.int64()))
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _files(series: BarSeries, bars: BarsConfig) -> Iterable[tuple[date, pa.Table]]:
    """Yield the raw files of a series: by UTC day of the open, of daily bars by year."""
    scale = float(series.tick_size)
    columns: dict[str, Any] = {
        name: np.round(getattr(series, name) * scale, 2)
        for name in ("open", "high", "low", "close")
    }
    columns["volume"] = series.volume
    if bars.bars.is_daily:
        sessions = SessionRules.of(bars.session).assign(series.close_time)
        days = [FIRST_DAY + timedelta(days=int(day)) for day in sessions]
        table = pa.table({"Date": pa.array(days), **columns})
        years = np.array([day.year for day in days])
        for year in np.unique(years):
            yield date(int(year), 1, 1), table.filter(pa.array(years == year))
        return
    table = pa.table(
        {"timestamp": pa.array(series.close_time, pa.timestamp("ns", "UTC")), **columns}
    )
    opened = (series.close_time - series.step) // 86_400_000_000_000
    for day in np.unique(opened):
        yield FIRST_DAY + timedelta(days=int(day)), table.filter(pa.array(opened == day))
