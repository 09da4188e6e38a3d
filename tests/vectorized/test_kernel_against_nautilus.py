"""The kernel against event-driven strategies on NautilusTrader, to the last fill."""

import json
import os
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bar_replay import BarFeeModel, replayed
from barseries import random_series
from nautilus_trader.model import Currency, CurrencyPair, InstrumentId, Price, Quantity, Symbol
from real_bars import EVERY_DATE, US_EQUITY, btcusd_daily, in_sessions, orcl_2001, spy_2011

from odum_assets.backtest.strategies.ma_cross import CrossoverParams, MovingAverageCrossover
from odum_assets.backtest.strategies.ml_signals import (
    ModelParams,
    ModelReference,
    ModelSignals,
    PredictionsFile,
)
from odum_assets.bars.broker import Fill
from odum_assets.bars.fees import FeeRule
from odum_assets.bars.series import BarSeries
from odum_assets.bars.sessions import SessionRules
from odum_assets.bars.strategy import BarSetup
from odum_assets.models.signals import PredictionKind
from odum_assets.utc import DAY_NS
from odum_assets.vectorized.crossover import CrossoverGrid
from odum_assets.vectorized.terms import Terms
from odum_assets.vectorized.thresholds import ThresholdGrid

CASES = 200
ACCOUNT_CASES = int(os.environ.get("ODUM_TEST_ACCOUNT_CASES", "60"))
MODEL_CASES = int(os.environ.get("ODUM_TEST_MODEL_CASES", "20"))
"""For each kind of prediction."""


class _Recorded:
    """Keep the fills of the event-driven strategy."""

    def __init__(self, handler: Any) -> None:
        self.handler = handler
        self.bar = -1
        self.fills: list[tuple[int, int, int]] = []

    def on_bar(self, index: int) -> None:
        self.bar = index
        self.handler.on_bar(index)

    def on_fill(self, fill: Fill) -> None:
        # Between the close of a bar and that of the next one, a market order fills at its open.
        self.fills.append((self.bar + 1, fill.side * fill.quantity, fill.price))
        self.handler.on_fill(fill)


def _event_driven(
    series: BarSeries, terms: Terms, variant: Any, rules: SessionRules, prepared: Path | None = None
) -> tuple[list[tuple[int, int, int]], Decimal]:
    recorded: list[_Recorded] = []
    sizing: dict[str, Any] = {
        "side": terms.side,
        "fixed_size": terms.fixed_size,
        "percent_size": terms.percent_size,
    }
    kind: Any
    if prepared is None:
        kind, params = MovingAverageCrossover, _lengths(variant, sizing)
    else:
        model = ModelReference(path="model.onnx")
        kind, params = ModelSignals, ModelParams(model=model, threshold=variant, **sizing)

    def factory(broker: Any) -> _Recorded:
        setup = BarSetup(
            instrument=series.instrument,
            broker=broker,
            account=broker.account,
            series=series,
            first=0,
            sessions=np.zeros(len(series), np.int32),
            rules=rules,
            path="conservative",
            tick_value=terms.tick_size.scaleb(-terms.size_precision),
            lot=terms.lot,
            fees=terms.fees,
            params=params,
            prepared=prepared,
        )
        recorded.append(_Recorded(kind([setup]).handlers[0]))
        return recorded[0]

    host = replayed(
        series,
        factory,
        instruments=[_pair(terms)],
        fees=BarFeeModel(terms.fees, "USD"),
        balance=int(terms.starting_balance),
        slippage=str(terms.slippage),
    )
    return recorded[0].fills, host.equity


def _lengths(variant: tuple[int, int], sizing: dict[str, Any]) -> Any:
    return CrossoverParams(fast=variant[0], slow=variant[1], **sizing)


def _pair(terms: Terms) -> CurrencyPair:
    name = InstrumentId.from_str("BTC-USD.ARCA")
    lot = Decimal(1).scaleb(-terms.size_precision)
    size = Quantity.from_decimal_dp(lot, terms.size_precision)
    digits = -int(terms.tick_size.as_tuple().exponent)
    return CurrencyPair(
        name,
        Symbol("BTC-USD"),
        Currency.from_str("BTC"),
        Currency.from_str("USD"),
        digits,
        terms.size_precision,
        Price.from_decimal_dp(terms.tick_size, digits),
        size,
        0,
        0,
        margin_init=Decimal(terms.margin.numerator) / terms.margin.denominator,
        margin_maint=Decimal(terms.margin.numerator) / terms.margin.denominator / 2,
    )


def _compare(
    series: BarSeries, terms: Terms, fast: int, slow: int, rules: SessionRules = EVERY_DATE
) -> int:
    grid = CrossoverGrid(series, np.arange(len(series)), 0, terms, 252)
    return _compare_grid(grid, (fast, slow), _event_driven(series, terms, (fast, slow), rules))


def _compare_grid(
    grid: Any, variant: Any, other: tuple[list[tuple[int, int, int]], Decimal]
) -> int:
    replayed_fills, equity = other
    assert [(f.bar, f.quantity, f.price) for f in grid.fills(variant)] == replayed_fills
    (final,) = grid.figures([variant])["final_equity"].to_pylist()
    assert final == pytest.approx(float(equity), rel=1e-12)
    return len(replayed_fills)


def _random_case(seed: int) -> tuple[BarSeries, Terms, int, int]:
    rng = np.random.default_rng([12, seed])
    fast = int(rng.integers(1, 8))
    slow = fast + int(rng.integers(1, 15))
    precision = int(rng.choice([0, 2, 4, 8]))
    lot = int(rng.choice([1, 1, 3, 100]))
    is_share = bool(rng.integers(0, 2))
    units = Decimal(lot * int(rng.integers(1, 50))).scaleb(-precision)
    terms = Terms(
        tick_size=Decimal(str(rng.choice(["0.01", "0.05"]))),
        size_precision=precision,
        lot=lot,
        multiplier=Decimal(1),
        starting_balance=Decimal(int(rng.integers(1_000, 500_000))),
        fees=FeeRule(
            "per_contract" if seed % 5 == 0 else "rate",
            Decimal(str(rng.choice(["0", "0.0005", "0.001", "0.00035", "0.0125"]))),
            2,
        ),
        side="long_short" if seed % 2 else "long",
        fixed_size=None if is_share else units,
        percent_size=Decimal(int(rng.integers(1, 100))) / 100 if is_share else None,
        slippage=Decimal(str(rng.choice(["0", "0", "0.0001", "0.003"]))),
    )
    series = replace(
        random_series(seed, 160),
        instrument="COINBASE:SPOT_PAIR:BTC-USD",
        tick_size=terms.tick_size,
        size_precision=precision,
    )
    return series, terms, fast, slow


def test_random_configurations_fill_alike() -> None:
    counts = [_compare(*_random_case(seed)) for seed in range(CASES)]
    assert sum(count > 2 for count in counts) > CASES / 2


def _small_account(seed: int) -> tuple[BarSeries, Terms, int, int]:
    """Return a case whose balance is about the margin of an entry: some entries are denied."""
    series, terms, fast, slow = _random_case(seed)
    rng = np.random.default_rng([14, seed])
    margin = Fraction(str(rng.choice(["0", "0.01", "1", "0.3"])))
    is_share = terms.percent_size is not None
    size = Decimal(terms.lot * int(rng.integers(1, 50))).scaleb(-terms.size_precision)
    notional = (terms.fixed_size or size) * series.price(int(series.open[0]))
    balance = notional * Decimal(str(rng.choice(["0.005", "0.011", "0.1", "0.302", "1", "1.01"])))
    return (
        series,
        replace(
            terms,
            margin=margin,
            starting_balance=Decimal(max(int(balance), 1)),
            percent_size=Decimal(str(rng.choice(["1", "0.99"]))) if is_share else None,
        ),
        fast,
        slow,
    )


def test_small_accounts_are_denied_the_same_entries() -> None:
    counts = [_compare(*_small_account(seed)) for seed in range(ACCOUNT_CASES)]
    assert sum(count > 2 for count in counts) > ACCOUNT_CASES / 4


@pytest.mark.parametrize("kind", PredictionKind)
def test_random_predictions_fill_alike(kind: PredictionKind, tmp_path: Path) -> None:
    counts = [_compare_model(kind, seed, tmp_path) for seed in range(MODEL_CASES)]
    assert sum(count > 2 for count in counts) > MODEL_CASES / 2


@pytest.mark.parametrize(("side", "fills"), [("long", 20), ("long_short", 141)])
def test_a_ruined_account_fills_alike(side: Any, fills: int, tmp_path: Path) -> None:
    # Fees take more than the balance. From then on entries are denied, those of a reversal are not.
    case = replace(_random_case(58)[1], side=side)
    assert _compare_model(PredictionKind.LABEL, 58, tmp_path, case) == fills


def _compare_model(
    kind: PredictionKind, seed: int, folder: Path, changed: Terms | None = None
) -> int:
    series, terms, _, _ = _random_case(seed)
    terms = changed or terms
    rng = np.random.default_rng([13, seed])
    values = rng.normal(size=len(series))
    if kind is PredictionKind.PROBABILITY:
        values = rng.random(len(series))
    elif kind is PredictionKind.LABEL:
        values = rng.integers(0, 2, len(series)).astype(float)
    # Warm-up, and a bar whose features are not known.
    values[:19] = values[60] = np.nan
    file = folder / f"{kind}-{seed}.parquet"
    facts = json.dumps({"model_sha256": "", "kind": kind}).encode()
    table = pa.table({"prediction": pa.array(values)})
    pq.write_table(table.replace_schema_metadata({"odum.prediction": facts}), file)
    threshold = float(rng.choice([0.3, 0.5, 0.6, 0.9, round(float(rng.random()), 3)]))
    days = np.arange(len(series)) // 40
    grid = ThresholdGrid(series, days, 0, terms, 252, PredictionsFile(file, {}).signals)
    return _compare_grid(grid, threshold, _event_driven(series, terms, threshold, EVERY_DATE, file))


@pytest.mark.real_data
@pytest.mark.parametrize("size", ["fixed", "percent"])
@pytest.mark.parametrize("side", ["long", "long_short"])
def test_real_files_fill_alike(real_data: Path, side: Any, size: str) -> None:
    is_fixed = size == "fixed"
    terms = Terms(
        tick_size=Decimal("0.01"),
        size_precision=0,
        lot=1,
        multiplier=Decimal(1),
        starting_balance=Decimal(100_000),
        fees=FeeRule("rate", Decimal("0.0005"), 2),
        side=side,
        fixed_size=Decimal(100) if is_fixed else None,
        percent_size=None if is_fixed else Decimal("0.95"),
    )
    spy = in_sessions(spy_2011(real_data), US_EQUITY)
    assert _compare(spy, terms, 20, 50, US_EQUITY) > 150
    assert _compare(orcl_2001(real_data), terms, 10, 25, US_EQUITY) > 5
    btc = btcusd_daily(real_data)
    assert btc.step == DAY_NS
    coin = replace(terms, size_precision=8, fixed_size=Decimal(1) if is_fixed else None)
    assert _compare(btc, coin, 20, 50) > 20
