"""Days built to hurt: equal times, crossed and locked books, empty sides, gaps, odd sizes."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tinydays import DAY, NOON, Market, moment

from odum_assets.backtest.inputs import plan_of, run_inputs
from odum_assets.backtest.outcome import ReplayOutcome
from odum_assets.backtest.plan import RunPlan
from odum_assets.backtest.process import ReplayEnd, run_plans
from odum_assets.backtest.request import RunRequest
from odum_assets.backtest.witness import NOT_COVERED, Verdict, Witness
from odum_assets.config import LoadedConfig
from odum_assets.errors import OdumError
from odum_assets.raw.layout import DataType
from odum_assets.storage.scratch import scratch_folder

MIDDLE = 640_000
TICKER = {
    "derivative_ticker_path": "raw_tick_data/by_date/day-*/data_type-derivative_ticker/"
    "BINANCE-FUTURES:PERPETUAL:BTC-USDT.parquet"
}
"""Section ``data_catalog`` of configurations with funding."""

MILLION = 10**9
"""Lots of a size of a million."""


def write_hostile_day(market: Market, config: LoadedConfig, seed: int) -> None:
    """Write and convert trades and books; the seed decides how many and how odd they are."""
    draw = np.random.default_rng(seed)
    trades, books = int(draw.integers(1, 250)), int(draw.integers(1, 250))
    wild = float(draw.choice([0.0, 0.1, 1.0]))
    span = max(trades // 2, 5)

    def times(count: int) -> Any:
        return moment(NOON) // 1000 + np.sort(draw.integers(0, span, count)) * 1000 * int(
            draw.integers(1, 50)
        )

    def events(times: Any) -> Any:
        late = draw.integers(0, 3, len(times)) * 1000
        return times - late if draw.random() < 0.5 else times

    def sizes(count: int) -> Any:
        size = np.where(draw.random(count) < 0.1, 1, draw.integers(1, 5_000, count))
        return np.where(draw.random(count) < 0.02, MILLION, size)

    walk = MIDDLE + np.cumsum(draw.integers(-3, 4, trades))
    far = draw.random(trades) < 0.03 * wild
    walk = np.where(far, walk + draw.integers(-5_000, 5_000, trades), walk)
    when = times(trades)
    table: dict[str, Any] = {
        "timestamp": pa.array(events(when), pa.int64()),
        "local_timestamp": pa.array(when, pa.int64()),
        "id": [str(index) for index in range(trades)],
        "side": pa.array(list(draw.choice(["buy", "sell", None], trades, p=[0.45, 0.45, 0.1]))),
        "price": np.round(walk * 0.1, 10),
        "amount": np.round(sizes(trades) * 0.001, 10),
    }
    _write(market, config, DataType.TRADES, pa.table(table))
    seen = times(books)
    table = {
        "timestamp": pa.array(events(seen), pa.int64()),
        "local_timestamp": pa.array(seen, pa.int64()),
    }
    middle = np.interp(seen, when, walk).astype(int) + draw.integers(-3, 4, books)
    spread = draw.choice([1, 2, 5, 0, -2], books, p=[0.6, 0.2, 0.1, 0.06, 0.04])
    for side, sign in (("asks", 1), ("bids", -1)):
        price = middle + (spread if sign > 0 else 0)
        depth = draw.choice(6, books, p=[0.04, 0.06, 0.1, 0.1, 0.1, 0.6])
        for level in range(5):
            is_there = level < depth
            for part, values in (("price", price * 0.1), ("amount", sizes(books) * 0.001)):
                cells = [
                    round(float(value), 10) if there else None
                    for value, there in zip(values, is_there, strict=True)
                ]
                table[f"{side}[{level}].{part}"] = pa.array(cells, pa.float64())
            price = price + sign * draw.integers(1, 4, books)
    _write(market, config, DataType.BOOK, pa.table(table))


def write_hostile_funding(market: Market, config: LoadedConfig, seed: int) -> None:
    """Write and convert funding rates, due many times among the rows of a hostile day, too late."""
    draw = np.random.default_rng(seed)
    trades = pq.read_table(market.raw_file(DataType.TRADES, config, DAY))
    moments = trades["local_timestamp"].to_numpy()
    count = int(draw.integers(1, 12))
    when = np.sort(draw.choice(moments, count) + draw.integers(-2, 3, count) * 1000)
    due = when + draw.integers(0, 40, count) * int(draw.choice([1000, 10_000]))
    if draw.random() < 0.1:
        due[-1] -= 50_000
    table = {
        "timestamp": pa.array(when, pa.int64()),
        "local_timestamp": pa.array(when, pa.int64()),
        "funding_rate": np.round(draw.normal(0, 0.001, count), int(draw.integers(3, 13))),
        "funding_timestamp": pa.array(due, pa.int64()),
    }
    _write(market, config, DataType.FUNDING, pa.table(table))


def _write(market: Market, config: LoadedConfig, kind: DataType, table: pa.Table) -> None:
    path = market.raw_file(kind, config, DAY)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    # A book without any level is rejected.
    market.convert(config, kind, DAY)


def verdicts(
    market: Market,
    work: Path,
    configs: Sequence[LoadedConfig],
    judge: Callable[[RunPlan, ReplayOutcome], Verdict] | None = None,
    **options: Any,
) -> list[tuple[LoadedConfig, Verdict]]:
    """Replay configurations over one day and ask the kernel of each; `judge` says how."""
    options = {"days": (DAY,), "partition": DAY.isoformat(), **options}
    request = RunRequest(configs[0], **options)
    with run_inputs(request, market.settings, scratch_folder(work)) as inputs:
        plans: list[RunPlan] = []
        for index, config in enumerate(configs):
            own = inputs.work / str(index)
            own.mkdir()
            plans.append(plan_of(replace(inputs.request, config=config), inputs, own)[0])
        labels = [str(index) for index in range(len(plans))]
        ends: dict[int, ReplayEnd] = dict(
            run_plans(labels, plans, inputs.work, 2, lambda _index, _progress: None)
        )
        found = []
        for index, plan in enumerate(plans):
            end = ends[index]
            if isinstance(end, OdumError) and "unding" in str(end):
                # Rates that come too late and books without a price end NautilusTrader's run.
                (plan.work / "witness").mkdir(exist_ok=True)
                verdict = ask_kernel(plan, cast("ReplayOutcome", None))
                assert verdict.verdict == NOT_COVERED, end
                found.append((configs[index], verdict))
                continue
            if isinstance(end, OdumError):
                raise end
            found.append((configs[index], (judge or ask_kernel)(plan, end)))
        return found


def ask_kernel(plan: RunPlan, outcome: ReplayOutcome) -> Verdict:
    """Ask the kernel of a replay."""
    shutil.rmtree(plan.work / "witness", ignore_errors=True)
    witness = Witness(plan)
    witness.match()
    return witness.verdict(outcome)
