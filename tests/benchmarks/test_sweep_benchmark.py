"""An extra variant of a sweep against a run by itself, both as a user has them.

A separate run is a fresh process that streams the day, counts and stores; an extra variant is what
a sweep of 20 takes longer than one of 2, by variant. Rounds alternate and the fastest of each
counts. Processor time says the same without what else the machine does; wall time of a sweep with
two variants at a time needs two free cores.
"""

import resource
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from measuring import Measurements

from odum_assets.backtest.request import RunRequest
from odum_assets.catalog import convert_partition
from odum_assets.config import LoadedConfig, RunConfig, instrument_spec, load_config, raw_path
from odum_assets.config.hashing import content_hash
from odum_assets.config.variants import Variant, grid, make_variants
from odum_assets.raw.layout import DataType
from odum_assets.raw.sample import SampleSpec, write_sample
from odum_assets.results.run import run_backtest
from odum_assets.results.sweep import run_sweep
from odum_assets.settings import Settings

CONFIG = Path(__file__).parents[2] / "configs" / "binance_futures_btcusdt_l2_trades_config.json"
DAY = date(2024, 1, 1)
TRADES, BOOKS = 300_000, 200_000
FEW, MANY = 2, 20
LIMIT = 0.4
ROUNDS = 3

AVERAGES = '''
from nautilus_trader.model import OrderSide, Quantity
from pydantic import BaseModel

from odum_assets.backtest.strategies.base import OdumStrategy


class Params(BaseModel):
    fast: int = 500
    slow: int = 5000


class Averages(OdumStrategy):
    """Change sides when a fast average of the price leaves a band around a slow one."""

    Params = Params

    def __init__(self, setup, params):
        super().__init__(setup, params)
        self.fast = self.slow = None
        self.side = OrderSide.NO_ORDER_SIDE
        self.size = Quantity.from_decimal_dp(0, setup.size_precision)

    def on_start(self):
        self.size = Quantity.from_str("0.100")
        self.subscribe_trades(self.setup.instrument_id)

    def on_trade(self, trade):
        price = trade.price.as_double()
        if self.fast is None:
            self.fast = self.slow = price
        self.fast += (price - self.fast) / self.params.fast
        self.slow += (price - self.slow) / self.params.slow
        side = self.side
        if self.fast > self.slow * 1.0002:
            side = OrderSide.BUY
        elif self.fast < self.slow * 0.9998:
            side = OrderSide.SELL
        if side != self.side:
            self.side = side
            self.submit_order(
                self.order_factory.market(self.setup.instrument_id, side, self.size)
            )
'''


class Cost(NamedTuple):
    """Seconds on the clock, and of all processors."""

    wall: float
    cpu: float


@pytest.mark.timeout(3_600)
def test_an_extra_variant_against_a_separate_run(
    benchmark: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    measurements: Measurements,
) -> None:
    settings, base = _prepared(tmp_path, TRADES, BOOKS)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "averages.py").write_text(AVERAGES, encoding="utf-8")
    document = base.config.model_dump(by_alias=True, exclude_unset=True)
    document["strategy"] = {"name": "Averages", "path": "averages:Averages"}
    config = RunConfig.model_validate(document)
    averages = LoadedConfig(base.name, base.path, config, content_hash(config), config.key)
    lengths = [300 + 20 * index for index in range(MANY)]
    modest = make_variants(averages, grid({"strategy.params.fast": lengths}))
    ratio = _compare(measurements, "moving averages", averages, modest, settings, ROUNDS)
    benchmark.pedantic(lambda: None, rounds=1)
    assert ratio <= LIMIT


@pytest.mark.timeout(3_600)
def test_an_extra_variant_of_one_order_per_trade(
    benchmark: Any, tmp_path: Path, measurements: Measurements
) -> None:
    """Report it; there is no limit, since orders and not loading are what takes time."""
    settings, base = _prepared(tmp_path, TRADES // 5, BOOKS // 5)
    fees = [0.0001 * index for index in range(1, 5)]
    variants = make_variants(base, grid({"venue.taker_fee": fees}))
    _compare(measurements, "one order per trade", base, variants, settings, 1)
    benchmark.pedantic(lambda: None, rounds=1)


def _prepared(root: Path, trades: int, books: int) -> tuple[Settings, LoadedConfig]:
    """Return a project with a converted day, and the shipped configuration."""
    loaded = load_config(CONFIG)
    settings = Settings(
        raw_root=str(root),
        catalog_path=root / "catalog",
        results_path=root / "results",
        configs_path=CONFIG.parent,
    )
    key = str(loaded.key)
    write_sample(
        root,
        SampleSpec(keys=(key,), start=DAY, days=1, trades_per_day=trades, books_per_day=books),
    )
    for kind in (DataType.TRADES, DataType.BOOK):
        source = raw_path(loaded, kind, DAY, settings)
        convert_partition(
            source, loaded.key, instrument_spec(loaded), kind, DAY, settings.catalog_path
        )
    return settings, loaded


def _compare(
    measurements: Measurements,
    what: str,
    config: LoadedConfig,
    variants: list[Variant],
    settings: Settings,
    rounds: int,
) -> float:
    """Return the time of an extra variant, two at a time, over that of a separate run."""
    many = len(variants)
    request = RunRequest(config, (DAY,), DAY.isoformat(), mode="fast", snapshot_mode="both")
    last = variants[many - 1]
    alone, few, one, two = [], [], [], []
    digests = set()
    orders = 0
    for _ in range(rounds):
        cost, result = _timed(lambda: run_backtest(replace(request, config=last.config), settings))
        alone.append(cost)
        orders = result.summary["orders"]
        for costs, count, slots in ((few, FEW, 1), (one, many, 1), (two, many, 2)):
            chosen = variants[many - count : many]
            cost, swept = _timed(
                lambda chosen=chosen, slots=slots: run_sweep(request, chosen, settings, slots=slots)
            )
            costs.append(cost)
            digests.add(swept.variants[-1].digest)
        digests.add(result.digest)
    assert len(digests) == 1
    separate, start = _best(alone), _best(few)
    by_one = [(each - base) / (many - FEW) for each, base in zip(_best(one), start, strict=True)]
    # Loading goes first, whatever the slots: what is left is the variants' own.
    loading = start.wall - FEW * by_one[0]
    by_two = (_best(two).wall - loading) / many
    ratio = by_two / separate.wall
    measurements.add(
        "An extra variant of a sweep: its share of a call of run_sweep, against a call of "
        "run_backtest, both in a warm process and in fast mode",
        strategy=what,
        orders=f"{orders:,}",
        variants=many,
        separate_run=f"{separate.wall:.1f} s",
        two_at_a_time=f"{ratio:.2f} x",
        one_at_a_time=f"{by_one[0] / separate.wall:.2f} x",
        processor_time=f"{by_one[1] / separate.cpu:.2f} x",
    )
    return ratio


def _best(costs: list[Cost]) -> Cost:
    return Cost(min(each.wall for each in costs), min(each.cpu for each in costs))


def _timed[T](work: Callable[[], T]) -> tuple[Cost, T]:
    wall, cpu = time.perf_counter(), _cpu()
    result = work()
    return Cost(time.perf_counter() - wall, _cpu() - cpu), result


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
