"""Calls of `run_backtest` against a bare `BacktestNode` script with the same orders.

Days from a quarter of a busy one to a whole one, one order per trade: the ratios, and how time and
memory grow. The bare script streams and purges like ours, so it is as fast as Nautilus gets.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from marketday import BUSY_TRADES, FIRST_DAY, KINDS, MarketDay, market_day
from measuring import Measurements

from odum_assets.backtest.plan import Progress
from odum_assets.backtest.request import RunRequest
from odum_assets.catalog import catalog_view
from odum_assets.catalog.view import PartitionRequest
from odum_assets.config import instrument_spec
from odum_assets.instruments.definitions import nautilus_instrument
from odum_assets.results.run import RunResult, run_backtest

BARE = Path(__file__).parent / "bare_backtest.py"
SIZES = [BUSY_TRADES // 8, BUSY_TRADES // 4, BUSY_TRADES // 2, BUSY_TRADES]
LIMITS = {"fast": 1.15, "report": 1.5}
PEAK_LIMIT_MIB = 3 * 1024
_HOUR_NS = 3_600 * 10**9
_HOURS = (1, 3, 6, 12, 18, 23)


@pytest.mark.timeout(3_600)
def test_backtest_against_a_bare_node(
    benchmark: Any, tmp_path: Path, measurements: Measurements
) -> None:
    seconds: dict[str, list[float]] = {"bare": [], "fast": [], "report": []}
    orders: list[int] = []
    peaks: list[int] = []
    curve: dict[int, int] = {}
    for trades in SIZES:
        day = market_day(tmp_path / str(trades), trades)
        day.convert()
        took, balance = _timed(_bare(day))
        seconds["bare"].append(took)
        results: dict[str, RunResult] = {}
        for mode in ("fast", "report"):
            curve = {}
            request = RunRequest(
                day.loaded, (FIRST_DAY,), FIRST_DAY.isoformat(), mode=mode, snapshot_mode="both"
            )
            took, results[mode] = _timed(
                lambda request=request, day=day, curve=curve: run_backtest(
                    request, day.settings, lambda progress: _remember(curve, progress)
                )
            )
            seconds[mode].append(took)
        assert results["fast"].digest == results["report"].digest
        engine = results["fast"].metadata["reconciliation"]["engine_final_balance"]
        assert float(balance) == float(engine)
        orders.append(results["report"].summary["orders"])
        peaks.append(results["report"].metadata["resources"]["peak_memory_mib"])
        fast, report = (seconds[mode][-1] / seconds["bare"][-1] for mode in ("fast", "report"))
        measurements.add(
            "Backtest, one order per trade: a call of run_backtest in a warm process (it starts "
            "the process that replays), against a bare BacktestNode script as a whole process",
            trades=f"{trades:,}",
            books=f"{day.books:,}",
            orders=f"{orders[-1]:,}",
            bare=f"{seconds['bare'][-1]:.1f} s",
            fast_mode=f"{fast:.2f} x",
            report_mode=f"{report:.2f} x",
            report_time=f"{seconds['report'][-1]:.1f} s",
            peak_memory=f"{peaks[-1]:,} MiB",
        )
    for name, per, values in (
        ("time in report mode", "s", seconds["report"]),
        ("peak memory", "MiB", peaks),
    ):
        slope, start = np.polyfit(np.array(orders) / 1e6, values, 1)
        line = slope * np.array(orders) / 1e6 + start
        measurements.add(
            "Growth of these times and peaks with the size of the day: a straight line through "
            "them",
            what=name,
            per_million_orders=f"{slope:,.0f} {per}",
            at_zero=f"{start:,.1f} {per}",
            largest_distance_from_the_line=f"{max(abs(line / values - 1)):.0%}",
        )
    measurements.add(
        "Resident memory of the process that replays, by hour of market time, "
        f"{orders[-1]:,} orders",
        **{f"hour {hour}": f"{curve[hour]:,} MiB" for hour in _HOURS},
    )
    benchmark.pedantic(lambda: None, rounds=1)
    assert peaks[-1] <= PEAK_LIMIT_MIB
    for mode, limit in LIMITS.items():
        assert seconds[mode][-1] / seconds["bare"][-1] <= limit


def _bare(day: MarketDay) -> Callable[[], str]:
    from nautilus_trader.persistence import ParquetDataCatalog

    view = day.root / "view"
    manifests = catalog_view(
        day.settings.catalog_path,
        [PartitionRequest(day.loaded.key, kind, (FIRST_DAY,)) for kind in KINDS],
        view,
    )
    ParquetDataCatalog(str(view)).write_instruments(
        [nautilus_instrument(instrument_spec(day.loaded))]
    )
    close_at = max(each.last_ts_init for each in manifests) + 1
    command = [sys.executable, str(BARE), str(view), day.loaded.key.nautilus_id, str(close_at)]

    def run() -> str:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    return run


def _remember(curve: dict[int, int], progress: Progress) -> None:
    """Note the resident memory of the child at every hour of market time."""
    if progress.market_time_ns is None:
        return
    hour = progress.market_time_ns // _HOUR_NS % 24
    for task in Path("/proc/self/task").iterdir():
        for child in (task / "children").read_text().split():
            status = Path(f"/proc/{child}/status")
            lines = status.read_text().splitlines() if status.exists() else []
            size = [int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS")]
            curve[hour] = max([curve.get(hour, 0), *size])


def _timed[T](work: Callable[[], T]) -> tuple[float, T]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result
