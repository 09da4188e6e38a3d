"""Backtests against a bare `BacktestNode` script with the same orders, both as whole processes.

Rounds alternate between the three and the fastest of each counts, so that what else the machine
does weighs on all. The bare script streams and purges like ours, so it is as fast as Nautilus gets.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from odum_assets.backtest.request import RunRequest
from odum_assets.catalog import catalog_view, convert_partition
from odum_assets.catalog.view import PartitionRequest
from odum_assets.config import instrument_spec, load_config, raw_path
from odum_assets.instruments.definitions import nautilus_instrument
from odum_assets.raw.layout import DataType
from odum_assets.raw.sample import SampleSpec, write_sample
from odum_assets.results.run import RunResult, run_backtest
from odum_assets.settings import Settings

CONFIG = Path(__file__).parents[2] / "configs" / "binance_futures_btcusdt_l2_trades_config.json"
BARE = Path(__file__).parent / "bare_backtest.py"
DAY = date(2024, 1, 1)
TRADES, BOOKS = 300_000, 200_000
LIMITS = {"fast": 1.25, "report": 1.8}
ROUNDS = 3


@pytest.mark.timeout(1_800)
def test_backtest_against_a_bare_node(benchmark: Any, tmp_path: Path) -> None:
    loaded = load_config(CONFIG)
    settings = Settings(
        raw_root=str(tmp_path),
        catalog_path=tmp_path / "catalog",
        results_path=tmp_path / "results",
        configs_path=CONFIG.parent,
    )
    write_sample(
        tmp_path,
        SampleSpec(
            keys=(str(loaded.key),), start=DAY, days=1, trades_per_day=TRADES, books_per_day=BOOKS
        ),
    )
    kinds = (DataType.TRADES, DataType.BOOK)
    for kind in kinds:
        source = raw_path(loaded, kind, DAY, settings)
        convert_partition(
            source, loaded.key, instrument_spec(loaded), kind, DAY, settings.catalog_path
        )
    bare = _bare(loaded, kinds, settings, tmp_path / "view")
    request = RunRequest(loaded, (DAY,), DAY.isoformat(), mode="fast", snapshot_mode="both")
    best = {"bare": float("inf"), "fast": float("inf"), "report": float("inf")}
    results: dict[str, RunResult] = {}
    balance = ""
    for _ in range(ROUNDS):
        seconds, balance = _timed(bare)
        best["bare"] = min(best["bare"], seconds)
        for mode in ("fast", "report"):
            chosen = replace(request, mode=mode)
            seconds, results[mode] = _timed(lambda chosen=chosen: run_backtest(chosen, settings))
            best[mode] = min(best[mode], seconds)
    orders = results["fast"].summary["orders"]
    engine = results["fast"].metadata["reconciliation"]["engine_final_balance"]
    assert float(balance) == float(engine)
    assert results["fast"].digest == results["report"].digest
    print(f"\nbacktest of {orders:,} orders over {TRADES:,} trades and {BOOKS:,} books")
    print(
        f"  bare BacktestNode script {best['bare']:6.1f} s   {orders / best['bare']:9,.0f} orders/s"
    )
    for mode, limit in LIMITS.items():
        ratio = best[mode] / best["bare"]
        memory = results[mode].metadata["resources"]["peak_memory_mib"]
        print(
            f"  odum, {mode:6} mode        {best[mode]:6.1f} s   ratio {ratio:.2f} (limit {limit})"
            f"   peak {memory} MiB"
        )
        benchmark.extra_info[f"{mode}_ratio"] = round(ratio, 3)
    benchmark.pedantic(lambda: None, rounds=1)
    for mode, limit in LIMITS.items():
        assert best[mode] / best["bare"] <= limit


def _bare(
    loaded: Any, kinds: tuple[DataType, ...], settings: Settings, view: Path
) -> Callable[[], str]:
    from nautilus_trader.persistence import ParquetDataCatalog

    manifests = catalog_view(
        settings.catalog_path,
        [PartitionRequest(loaded.key, kind, (DAY,)) for kind in kinds],
        view,
    )
    ParquetDataCatalog(str(view)).write_instruments([nautilus_instrument(instrument_spec(loaded))])
    close_at = max(each.last_ts_init for each in manifests) + 1
    command = [sys.executable, str(BARE), str(view), loaded.key.nautilus_id, str(close_at)]

    def run() -> str:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    return run


def _timed[T](work: Callable[[], T]) -> tuple[float, T]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result
