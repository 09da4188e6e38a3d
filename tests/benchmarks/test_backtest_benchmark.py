"""Backtests against a bare `BacktestNode` script with the same orders.

Calls of `run_backtest` over days from an eighth of a busy one to a whole one, one order per trade:
the ratios, and how time and memory grow. Then what a person waits for: ``odum backtest --fast`` as
a whole command. The bare script streams and purges like ours, so it is as fast as Nautilus gets.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from marketday import BUSY_TRADES, CONFIG, FIRST_DAY, KINDS, MarketDay, market_day
from measuring import Measurements

from odum_assets.backtest.plan import Progress
from odum_assets.backtest.request import RunRequest
from odum_assets.catalog import catalog_view
from odum_assets.catalog.view import PartitionRequest
from odum_assets.config import instrument_spec, raw_path
from odum_assets.instruments.definitions import nautilus_instrument
from odum_assets.raw.layout import DataType
from odum_assets.results.run import RunResult, run_backtest

BARE = Path(__file__).parent / "bare_backtest.py"
SIZES = [BUSY_TRADES // 8, BUSY_TRADES // 4, BUSY_TRADES // 2, BUSY_TRADES]
LIMITS = {"fast": 1.15, "report": 1.5}
ODUM = Path(sys.executable).parent / "odum"
COMMAND_TRADES, COMMAND_ROUNDS = 500_000, 3
# Whether orders are sent, whether half of the trades change sides, and the limit of the command.
COMMAND_LIMITS = {
    "a strategy that never trades": (False, False, 1.6),
    "one order per trade, half of them canceled unfilled": (True, True, 1.2),
    "one order per trade, nearly all filled": (True, False, 1.15),
}
_QUIET_STRATEGY = """
from odum_assets.backtest.strategies.base import OdumStrategy


class Quiet(OdumStrategy):
    def on_start(self):
        self.subscribe_trades(self.setup.instrument_id)

    def on_trade(self, trade):
        pass
"""
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


@pytest.mark.timeout(3_600)
def test_a_whole_command_against_a_whole_script(
    benchmark: Any, tmp_path: Path, measurements: Measurements
) -> None:
    ratios = {}
    for kind, (has_orders, is_mixed, limit) in COMMAND_LIMITS.items():
        day = market_day(tmp_path / kind, COMMAND_TRADES)
        # The command would convert it, and the script pays no funding.
        Path(raw_path(day.loaded, DataType.FUNDING, FIRST_DAY, day.settings)).unlink()
        if is_mixed:
            _change_sides(day)
        if not has_orders:
            _send_nothing(day)
        day.convert()
        bare, command = _bare(day, *(() if has_orders else ("none",))), _command(day)
        rounds = [(*_timed(bare), *_timed(command)) for _ in range(COMMAND_ROUNDS)]
        for _, balance, _, result in rounds:
            engine = result["metadata"]["reconciliation"]["engine_final_balance"]
            assert float(balance) == float(engine)
        bare_secs, command_secs = (min(each[at] for each in rounds) for at in (0, 2))
        ratios[kind] = command_secs / bare_secs
        summary = rounds[-1][3]["summary"]
        measurements.add(
            "odum backtest --fast as a whole command over a converted day, against a bare "
            f"BacktestNode script as a whole process, the fastest of {COMMAND_ROUNDS} each",
            strategy=kind,
            trades=f"{day.trades:,}",
            books=f"{day.books:,}",
            orders=f"{summary['orders']:,}",
            fills=f"{summary['fills']:,}",
            bare=f"{bare_secs:.1f} s",
            command=f"{command_secs:.1f} s",
            ratio=f"{ratios[kind]:.2f} x",
            limit=f"{limit} x",
        )
    benchmark.pedantic(lambda: None, rounds=1)
    for kind, (*_, limit) in COMMAND_LIMITS.items():
        assert ratios[kind] <= limit, kind


def _change_sides(day: MarketDay) -> None:
    """Let every second trade have the other side: an order at its price meets no order there."""
    path = raw_path(day.loaded, DataType.TRADES, FIRST_DAY, day.settings)
    table = pq.read_table(path)
    sides = table["side"].to_pylist()
    sides[::2] = ["sell" if side == "buy" else "buy" for side in sides[::2]]
    at = table.column_names.index("side")
    pq.write_table(table.set_column(at, "side", pa.array(sides, table["side"].type)), path)


def _send_nothing(day: MarketDay) -> None:
    """Replace the strategy by one that never trades."""
    (day.root / "quiet.py").write_text(_QUIET_STRATEGY)
    path = day.settings.configs_path / f"{CONFIG}.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values | {"strategy": {"name": "Quiet", "path": "quiet:Quiet"}}))


def _command(day: MarketDay) -> Callable[[], dict[str, Any]]:
    """Return what runs ``odum backtest --fast`` and returns the document of its result."""
    options = ("--fast", "--json")
    arguments = ("backtest", CONFIG, "--day", FIRST_DAY.isoformat(), *options)

    def run() -> dict[str, Any]:
        done = subprocess.run(
            [str(ODUM), *arguments],
            env=os.environ | day.environment(),
            cwd=day.root,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        (result,) = json.loads(done.stdout)["results"]
        document: dict[str, Any] = json.loads(Path(result["files"]["summary"]).read_text())
        return document

    return run


def _bare(day: MarketDay, *arguments: str) -> Callable[[], str]:
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
    command += arguments

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
