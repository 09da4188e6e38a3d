"""A vectorized sweep of a model: the same predictions, the same fills as NautilusTrader."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from barmarket import BarMarket, bars_config, table_of
from sklearn.linear_model import LinearRegression
from skops.io import dumps

from odum_assets.backtest.strategies.ml_signals import PREDICTIONS
from odum_assets.bars.series import BarSeries
from odum_assets.config import LoadedConfig
from odum_assets.errors import BacktestError, ConfigError
from odum_assets.results import bar_sweep as sweeps
from odum_assets.results.sweep_axes import variants_of
from odum_assets.results.variant_files import read_variant_file, read_variants

SPY = "ARCA:EQUITY:SPY"
DAYS = ("2024-03-04", "2024-03-05")
OPEN, MINUTE, DAY = 1709562600 * 10**9, 60 * 10**9, 86_400 * 10**9
GRID = {
    "threshold": "0:0.0004:0.0001",
    "side": "long,long_short",
    "percent_size": "0.5,0.9",
}


def _bars() -> BarSeries:
    random = np.random.default_rng(5)
    minutes = np.arange(1, 391) * MINUTE
    times = np.concatenate([OPEN + minutes, OPEN + DAY + minutes])
    close = 40_000 + np.cumsum(random.integers(-30, 31, len(times)))
    opened = close + random.integers(-9, 10, len(times))
    high, low = np.maximum(opened, close) + 3, np.minimum(opened, close) - 3
    volume = random.integers(1, 900, len(times))
    made = bars_config(SPY).required_bars.instruments[0]
    return BarSeries(SPY, MINUTE, made.tick_size, 0, times, opened, high, low, close, volume)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[BarMarket, LoadedConfig]:
    """Return bars of two sessions, and a model whose value is the change of the last close."""
    root = tmp_path_factory.mktemp("models")
    path = root / "returns.skops"
    path.write_bytes(dumps(LinearRegression().fit(np.array([[0.0], [1.0]]), [0.0, 1.0])))
    params = {"model": {"path": str(path)}, "features": ["Returns"], "threshold": 0.0002}
    market, config = BarMarket(root), bars_config(SPY, name="ML_SIGNALS", params=params)
    market.add(config, [_bars()])
    return market, config


def _request(config: LoadedConfig, verify: int = 0, **texts: str) -> sweeps.SweepRequest:
    axes, variants = variants_of(config, texts)
    return sweeps.SweepRequest(variants, axes, verify)


def test_variants_are_stored_and_proven(study: tuple[BarMarket, LoadedConfig]) -> None:
    market, config = study
    done = sweeps.run_bar_sweep(config, market.settings, _request(config, verify=1, **GRID))
    assert len(done.verified) == 2
    assert done.fills > 100
    assert pq.read_table(done.path).equals(done.table)
    assert done.table.column_names[:3] == ["threshold", "side", "percent_size"]
    file = read_variant_file(done.facts["id"], done.path)
    rows = read_variants(file)
    assert len(rows) == 5 * 2 * 2
    assert rows[3]["varied"] == {"threshold": 0.0, "side": "long_short", "percent_size": 0.9}
    assert len(list((market.settings.results_path / PREDICTIONS).iterdir())) == 1
    again = sweeps.run_bar_sweep(config, market.settings, _request(config, **GRID))
    assert (again.path, again.digest) == (done.path, done.digest)
    # The figures of a variant are those of a run by itself.
    result = market.run(config, *DAYS, close_positions=False)
    alone = sweeps.open_sweep(config, market.settings, _request(config)).figures([(0.0002,)])
    (row,) = alone.to_pylist()
    assert row["fills"] == result.summary["fills"] == len(table_of(result, "fills"))
    assert row["return_pct"] == pytest.approx(result.summary["returns"]["total_return_pct"])
    assert row["max_drawdown_pct"] == pytest.approx(result.summary["drawdown"]["max_drawdown_pct"])


def test_a_wrong_kernel_fails_the_proof(
    study: tuple[BarMarket, LoadedConfig], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    market, config = study
    sweep = sweeps.open_sweep(config, market.settings, _request(config))
    grid = sweep._grid((0.0002,))
    close, _, _, ends, opens = grid._bars
    monkeypatch.setattr(grid, "_bars", (close, close, close, ends, opens))
    with pytest.raises(BacktestError, match=r"variant 0.0002: fill 1 is buy .* in the sweep"):
        sweeps.verify_variants(sweep, [(0.0002,)], tmp_path)


def test_later_bars_change_no_fill_before_them(
    study: tuple[BarMarket, LoadedConfig], tmp_path: Path
) -> None:
    market, config = study
    whole = sweeps.open_sweep(config, market.settings, _request(config)).fills((0.0002,))
    bars = _bars()
    for cut in (100, 391, 700):
        after = np.arange(len(bars)) >= cut
        other = replace(
            bars,
            **{name: np.where(after, getattr(bars, name)[::-1] * 2, getattr(bars, name))
               for name in ("open", "high", "low", "close")},
        )  # fmt: skip
        corrupted = BarMarket(tmp_path / str(cut))
        corrupted.add(config, [other])
        fills = sweeps.open_sweep(config, corrupted.settings, _request(config)).fills((0.0002,))
        kept = [fill for fill in whole if fill.bar < cut]
        assert [fill for fill in fills if fill.bar < cut] == kept
        assert len(kept) > 10


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"fast": "5"}, "--fast: not a parameter of ML_SIGNALS, which has --threshold"),
        ({"threshold": "x"}, "--threshold: found x"),
        ({"threshold": "0.5:0.7"}, "--threshold: found 0.5:0.7"),
        ({"threshold": "nan"}, "--threshold: found nan"),
        ({"side": "short"}, "--side: found short"),
        ({"threshold": "0:1:0.001", "fixed_size": "1:2000:1"}, "more than 1,000,000 variants"),
    ],
)
def test_what_is_no_grid_is_refused(
    study: tuple[BarMarket, LoadedConfig], texts: dict[str, Any], message: str
) -> None:
    def option(name: str) -> str:
        return f"--{name}"

    with pytest.raises(ConfigError, match=message):
        variants_of(study[1], texts, None, option)
