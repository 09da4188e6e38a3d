"""The kernel against a plain simulator, and against answers that are known."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from barseries import random_series, series_of
from plain_crossover import PlainCrossover
from real_bars import US_EQUITY, btcusd_daily, in_sessions, ns, orcl_2001, spy_2011

from odum_assets.backtest.metrics import EquitySeries, equity_figures
from odum_assets.bars.fees import FeeRule
from odum_assets.bars.series import BarSeries
from odum_assets.errors import ConfigError
from odum_assets.utc import DAY_NS
from odum_assets.vectorized.crossover import CrossoverGrid
from odum_assets.vectorized.terms import Terms

LONG = Terms(
    tick_size=Decimal("0.01"),
    size_precision=0,
    lot=1,
    multiplier=Decimal(1),
    starting_balance=Decimal(100_000),
    fees=FeeRule("rate", Decimal(0), 2),
    side="long",
    fixed_size=Decimal(100),
    percent_size=None,
)


def _rate(text: str) -> FeeRule:
    return FeeRule("rate", Decimal(text), 2)


def _grid(
    series: BarSeries, terms: Terms, sessions: np.ndarray | None = None, first: int = 0
) -> CrossoverGrid:
    days = np.arange(len(series)) if sessions is None else sessions
    return CrossoverGrid(series, days, first, terms, 252)


def _row(grid: CrossoverGrid, fast: int, slow: int) -> dict[str, Any]:
    return grid.figures([(fast, slow)]).to_pylist()[0]


# --- known answers ------------------------------------------------------------------------------


@pytest.mark.real_data
def test_orcl_of_2001_ends_where_pyalgotrade_and_ninjatrader_do(real_data: Path) -> None:
    terms = replace(
        LONG, side="long_short", fixed_size=Decimal(10), starting_balance=Decimal(1_000)
    )
    row = _row(_grid(orcl_2001(real_data), terms), 10, 25)
    assert row["final_equity"] == pytest.approx(977.30, abs=1e-9)


@pytest.mark.real_data
def test_spy_of_january_2011_has_175_fills_and_loses_seven_dollars(real_data: Path) -> None:
    series = in_sessions(spy_2011(real_data), US_EQUITY)
    sessions = US_EQUITY.assign(series.close_time)
    grid = _grid(series, LONG, sessions)
    row = _row(grid, 20, 50)
    assert row["fills"] == len(grid.fills((20, 50))) == 175
    assert row["final_equity"] - 100_000 == pytest.approx(-7.00, abs=1e-9)


@pytest.mark.real_data
def test_btcusd_has_27_fills_and_gains_5996_78(real_data: Path) -> None:
    coin = replace(LONG, size_precision=8, fixed_size=Decimal(1))
    row = _row(_grid(btcusd_daily(real_data), coin), 20, 50)
    assert row["fills"] == 27
    assert row["final_equity"] - 100_000 == pytest.approx(5_996.78, abs=1e-9)


@pytest.mark.real_data
def test_spy_opens_after_four_decisions(real_data: Path) -> None:
    series = in_sessions(spy_2011(real_data), US_EQUITY)
    decided = [ns(f"2011-01-03 {minute}") for minute in ("15:00", "15:16", "15:30", "15:31")]
    following = np.searchsorted(series.close_time, decided, side="right")
    assert series.open[following].tolist() == [12714, 12716, 12720, 12716]


# --- the plain simulator ------------------------------------------------------------------------


def _random_case(seed: int) -> tuple[BarSeries, Terms, int, int, int]:
    rng = np.random.default_rng([7, seed])
    fast = int(rng.integers(1, 12))
    slow = fast + int(rng.integers(1, 25))
    tick = ("0.01", "0.25", "0.00001")[seed % 3]
    multiplier = str(rng.choice(["1", "50", "0.01"]))
    # What one tick of one unit is worth has 10 decimals at most: more do not fit beside a balance.
    most = 10 - len(tick.partition(".")[2]) - 2 * (multiplier == "0.01")
    precision = int(rng.integers(0, most + 1))
    share = Decimal(int(rng.integers(1, 100))) / 100
    is_share = bool(rng.integers(0, 2))
    lot = int(rng.choice([1, 1, 5, 100]))
    units = Decimal(lot * int(rng.integers(1, 50))).scaleb(-precision)
    terms = Terms(
        tick_size=Decimal(tick),
        size_precision=precision,
        lot=lot,
        multiplier=Decimal(multiplier),
        starting_balance=Decimal(int(rng.integers(500, 2_000_000))) / 4,
        fees=FeeRule(
            "per_contract" if seed % 5 == 0 else "rate",
            Decimal(str(rng.choice(["0", "0.0005", "0.001", "-0.0001", "0.00035"]))),
            int(rng.choice([0, 2, 2, 8])),
        ),
        side="long_short" if seed % 2 else "long",
        fixed_size=None if is_share else units,
        percent_size=share if is_share else None,
        slippage=Decimal(str(rng.choice(["0", "0", "0.0001", "0.003"]))),
    )
    return random_series(seed, 400, tick=tick), terms, fast, slow, int(rng.choice([0, 0, 5, 60]))


@pytest.mark.parametrize("seed", range(240))
def test_every_fill_is_that_of_the_plain_simulator(seed: int) -> None:
    series, terms, fast, slow, first = _random_case(seed)
    plain = PlainCrossover(series, terms, fast, slow, first)
    grid = _grid(series, terms, first=first)
    assert [(f.bar, f.quantity, f.price, f.fee) for f in grid.fills((fast, slow))] == [
        (f.bar, f.quantity, f.price, f.fee) for f in plain.fills
    ]
    row = _row(grid, fast, slow)
    wins = [result for result in plain.results if result > 0]
    lost = -sum(result for result in plain.results if result < 0)
    assert row["fills"] == len(plain.fills)
    assert row["trades"] == len(plain.results)
    assert row["fees"] == pytest.approx(float(sum(fill.fee for fill in plain.fills)))
    assert row["final_equity"] == pytest.approx(float(plain.equity[-1]))
    assert row["win_rate"] == (
        pytest.approx(100 * len(wins) / len(plain.results)) if plain.results else None
    )
    assert row["profit_factor"] == (pytest.approx(float(sum(wins) / lost)) if lost else None)


def test_the_random_cases_trade() -> None:
    counts = []
    for seed in range(240):
        series, terms, fast, slow, _ = _random_case(seed)
        counts.append(len(_grid(series, terms).fills((fast, slow))))
    assert sum(count > 4 for count in counts) > 150


@pytest.mark.parametrize("side", ["long", "long_short"])
def test_rates_are_those_of_a_backtest(side: Any) -> None:
    series = random_series(11, 3_000)
    terms = replace(LONG, side=side, fees=_rate("0.0001"), starting_balance=Decimal(12_000))
    sessions = np.arange(3_000) // 60
    row = _row(_grid(series, terms, sessions), 5, 13)
    marked = [Fraction(12_000), *PlainCrossover(series, terms, 5, 13).equity]
    ends = [0, *range(60, 3_001, 60)]
    equity = [Decimal(float(marked[end])) for end in ends]
    daily = equity_figures(EquitySeries(range(len(ends)), equity, 86_400, 252))
    every = [Decimal(float(value)) for value in marked]
    falls = equity_figures(EquitySeries(range(len(every)), every, 86_400, 252)).drawdown
    assert row["sharpe"] == pytest.approx(daily.ratios.sharpe, rel=1e-9)
    assert row["cagr_pct"] == pytest.approx(daily.returns.cagr_pct, rel=1e-9)
    assert row["max_drawdown_pct"] == pytest.approx(falls.max_drawdown_pct, rel=1e-12)
    assert row["return_pct"] == pytest.approx(100 * (float(equity[-1]) / 12_000 - 1))


def test_a_grid_gives_each_variant_what_it_gets_alone() -> None:
    grid = _grid(random_series(3, 2_000), replace(LONG, fees=_rate("0.0005")))
    pairs = [(fast, slow) for fast in range(2, 10) for slow in range(10, 40, 3)]
    rows = grid.figures(pairs).to_pylist()
    assert rows == [_row(grid, *pair) for pair in pairs]


# --- what nothing after a bar may change --------------------------------------------------------


def test_later_bars_change_no_fill_before_them() -> None:
    series = random_series(5, 600)
    terms = replace(LONG, side="long_short", fixed_size=None, percent_size=Decimal("0.9"))
    whole = _grid(series, terms).fills((4, 11))
    for cut in (100, 250, 431):
        columns = [
            np.concatenate((column[:cut], column[cut:][::-1] * 3))
            for column in (series.open, series.high, series.low, series.close)
        ]
        other = series_of(series.close_time, np.stack(columns))
        changed = _grid(other, terms).fills((4, 11))
        assert [f for f in changed if f.bar < cut] == [f for f in whole if f.bar < cut]


def test_no_fill_comes_before_its_crossing_is_closed() -> None:
    series = random_series(9, 500)
    close = series.close
    for fill in _grid(series, LONG).fills((3, 8)):
        decided = fill.bar - 1
        now, earlier = (
            close[end - 3 : end].sum() * 8 - close[end - 8 : end].sum() * 3
            for end in (decided + 1, decided)
        )
        assert fill.price == series.open[fill.bar]
        assert (earlier <= 0 < now) if fill.quantity > 0 else (earlier >= 0 > now)


def test_equal_averages_are_no_crossing() -> None:
    close = np.array([10, 10, 10, 10, 11, 10, 10, 10, 10, 9, 10, 10, 10, 10])
    series = series_of(DAY_NS * np.arange(1, 15), np.stack([close] * 4))
    fills = _grid(series, LONG).fills((1, 3))
    # Up at bar 4, back to the average, and out when the close is below it at bar 5.
    assert [(fill.bar, fill.quantity) for fill in fills][:2] == [(5, 100), (6, -100)]


def test_the_last_decision_has_no_open_to_fill_at() -> None:
    close = np.array([10, 10, 10, 10, 12])
    series = series_of(DAY_NS * np.arange(1, 6), np.stack([close] * 4))
    assert _grid(series, LONG).fills((1, 3)) == []


def test_half_cents_are_rounded_to_even() -> None:
    # 10 units at 0.10 and 0.30: fees of 0.5 and 1.5 cents are 0 and 2.
    close = np.array([10, 10, 10, 11, 10, 30, 10, 10, 10])
    opens = np.array([10, 10, 10, 10, 10, 30, 30, 10, 10])
    series = series_of(DAY_NS * np.arange(1, 10), np.stack([opens, close, close, close]))
    terms = replace(LONG, fixed_size=Decimal(10), fees=_rate("0.005"))
    fees = {f.price: f.fee for f in _grid(series, terms).fills((1, 3))}
    assert fees[10] == 0
    assert fees[30] == Fraction(2, 100)


# --- refusals -----------------------------------------------------------------------------------


def test_numbers_beyond_64_bits_are_refused() -> None:
    series = random_series(1, 300, price=10**12)
    with pytest.raises(ConfigError, match="exceed 64 bits"):
        _grid(series, LONG).figures([(100_000, 200_000)])
    huge = replace(LONG, fixed_size=Decimal(10**12))
    with pytest.raises(ConfigError, match="variant 3/9"):
        _grid(series, huge).figures([(3, 9)])


def test_lengths_that_are_no_pair_are_refused() -> None:
    with pytest.raises(ConfigError, match="1 <= fast < slow"):
        _grid(random_series(1, 50), LONG).figures([(9, 9)])


def test_a_size_between_lots_is_refused() -> None:
    with pytest.raises(ConfigError, match="lots of 5"):
        _grid(random_series(1, 50), replace(LONG, lot=5, fixed_size=Decimal(7)))
