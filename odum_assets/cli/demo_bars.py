"""The studies on bars of ``odum demo``: an opening-range breakout and a crossover."""

from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from odum_assets.cli.rendering import Output
    from odum_assets.cli.session import Session
    from odum_assets.settings import Settings

BREAKOUT = "spy_qqq_1m_orb_config"
CROSSOVER = "spy_1m_ma_cross_config"

STUDIES = (BREAKOUT, CROSSOVER)
"""Configurations for bars that the demo runs, each as one account."""

KEYS = ("ARCA:EQUITY:SPY", "NASDAQ:EQUITY:QQQ")
WARMUP_DAY, FIRST_DAY, LAST_DAY = date(2024, 1, 2), date(2024, 1, 9), date(2024, 1, 12)
"""First date of the generated bars, first and last date that is traded."""

_GRID = {"fast": "5:50:5", "slow": "20:200:10", "verify": 1}


def bar_days() -> list[date]:
    """Return the dates of the generated bars: weekdays, none of them a holiday."""
    days = (WARMUP_DAY + timedelta(days=index) for index in range((LAST_DAY - WARMUP_DAY).days + 1))
    return [day for day in days if day.isoweekday() <= 5]


def missing_bars(settings: "Settings") -> "Iterator[tuple[str, date]]":
    """Yield instrument key and date of the generated bars whose file is not there."""
    from odum_assets.raw.layout import DataType, raw_file_path

    for key in KEYS:
        for day in bar_days():
            if not Path(raw_file_path(settings.raw_root, day, DataType.BARS_1M, key)).is_file():
                yield key, day


def write_bars(settings: "Settings", missing: "list[tuple[str, date]]") -> None:
    """Write generated bars; their times are ends of bars."""
    import pyarrow as pa

    from odum_assets.bars.sessions import SessionRules
    from odum_assets.config.sections.session import SessionConfig
    from odum_assets.raw.imports.run import ImportRequest, import_bars
    from odum_assets.raw.imports.source import TableBars
    from odum_assets.raw.sample.sessions import SessionSpec, make_sessions

    rules = SessionRules.of(SessionConfig.model_validate({"preset": "us_equity"}))
    for key in dict.fromkeys(key for key, _ in missing):
        symbol, days = key.rpartition(":")[2], [day for of, day in missing if of == key]
        tables = [make_sessions(SessionSpec(), symbol, day, day, rules.bounds) for day in days]
        source = TableBars("generated bars", [pa.concat_tables(tables)])
        import_bars(source, ImportRequest(key, "end", step="1m"), settings.raw_root)


def sweep(session: "Session") -> dict[str, Any] | None:
    """Return the metadata of the vectorized sweep, which is run unless it was before.

    None where its compiler is not installed; it says so.
    """
    from odum_assets.cli.vsweep import sweep_bars
    from odum_assets.vectorized.grid import NoNumbaError, require_numba

    try:
        require_numba()
    except NoNumbaError as error:
        session.output.warn(f"left out: {error}")
        return None
    return sweep_bars(session, CROSSOVER, _GRID, "Sweep of the crossover")


def last_sweep(session: "Session") -> dict[str, Any] | None:
    """Return the metadata of the latest vectorized sweep whose file is there."""
    from odum_assets.orchestration.names import backtest_key

    event = session.instance.get_latest_materialization_event(backtest_key(CROSSOVER, "vsweep"))
    latest = None if event is None else event.asset_materialization
    if latest is None:
        return None
    metadata = {name: value.value for name, value in latest.metadata.items()}
    return metadata if Path(str(metadata["file"])).is_file() else None


def show_sweep(output: "Output", metadata: dict[str, Any]) -> None:
    """Print the best variants of a vectorized sweep."""
    from odum_assets.cli.vsweep import show_variants
    from odum_assets.results.bar_sweep import best_first, read_variants

    path = Path(str(metadata["file"]))
    table, facts = read_variants(path)
    best = table.take(best_first(table, "return")[:3]).to_pylist()
    show_variants(output, facts, best, path, metadata.get("verified"))
