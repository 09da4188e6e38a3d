"""Signals of a trained model on bars: a stored result, its fills, files and provenance."""

import hashlib
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import skops.io
from barmarket import BarMarket, bars_config, table_of
from sklearn.linear_model import LinearRegression, LogisticRegression

from odum_assets.backtest.strategies.ml_signals import PREDICTIONS
from odum_assets.bars.series import BarSeries
from odum_assets.errors import OdumError
from odum_assets.models.store import ModelStore
from odum_assets.results.verify import verify_result

SPY = "ARCA:EQUITY:SPY"
DAYS = ("2024-03-04", "2024-03-05")
OPEN = 1709562600 * 10**9
"""2024-03-04 09:30 in New York."""
MINUTE = 60 * 10**9


def model_of_returns() -> bytes:
    """A model whose value is the change of the close over one bar."""
    model = LinearRegression().fit(np.array([[0.0], [1.0]]), [0.0, 1.0])
    content: bytes = skops.io.dumps(model)
    return content


def market_bars(seed: int = 3) -> BarSeries:
    random = np.random.default_rng(seed)
    times = np.concatenate([OPEN + day * 86_400 * 10**9 + np.arange(1, 391) * MINUTE
                            for day in (0, 1)])  # fmt: skip
    close = 40_000 + np.cumsum(random.integers(-30, 31, len(times)))
    opened = close + random.integers(-9, 10, len(times))
    high, low = np.maximum(opened, close) + 3, np.minimum(opened, close) - 3
    volume = random.integers(1, 900, len(times))
    return BarSeries(SPY, MINUTE, Decimal("0.01"), 0, times, opened, high, low, close, volume)


@pytest.fixture
def market(tmp_path: Path) -> BarMarket:
    return BarMarket(tmp_path)


def config_of(model: dict[str, Any], **params: Any) -> Any:
    return bars_config(SPY, name="ML_SIGNALS", params={"model": model, **params})


@pytest.mark.parametrize("side", ["long", "long_short"])
def test_fills_follow_the_predictions(market: BarMarket, tmp_path: Path, side: str) -> None:
    bars = market_bars()
    path = tmp_path / "returns.skops"
    path.write_bytes(model_of_returns())
    config = config_of(
        {"path": str(path)}, features=["Returns"], threshold=0.0002, side=side, fixed_size=10
    )
    market.add(config, [bars])
    result = market.run(config, *DAYS, close_positions=False)
    returns = bars.close[1:] / bars.close[:-1] - 1.0
    signs = np.concatenate([[0], np.where(returns > 0.0002, 1, np.where(returns < -0.0002, -1, 0))])
    expected, position = [], 0
    for bar, sign in enumerate(signs[:-1].tolist()):
        if not sign or sign * position > 0:
            continue
        price = Decimal(int(bars.open[bar + 1])) / 100
        if position:
            expected.append(("buy" if sign > 0 else "sell", price))
        position = 0
        if sign > 0 or side == "long_short":
            expected.append(("buy" if sign > 0 else "sell", price))
            position = sign
    fills = table_of(result, "fills")
    assert [(row["side"], row["price"]) for row in fills] == expected
    assert len(expected) > 100
    signals = table_of(result, "signals")
    assert [row["signal"] for row in signals] == signs.tolist()
    assert [row["time"] for row in signals] == bars.close_time.tolist()
    # A change needs a bar before: unknown is null.
    assert signals[0]["prediction"] is None
    assert signals[1]["prediction"] == pytest.approx(returns[0])
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert result.metadata["strategy_inputs"] == {f"model {path}": sha256}


def test_a_model_predicts_once_over_the_same_bars(market: BarMarket, tmp_path: Path) -> None:
    bars = market_bars()
    path = tmp_path / "model.skops"
    rows = np.random.default_rng(1).normal(size=(60, 14))
    path.write_bytes(skops.io.dumps(LogisticRegression().fit(rows, rows[:, 0] > 0)))
    config = config_of({"path": str(path)})
    market.add(config, [bars])
    first = market.run(config, *DAYS)
    kept = list((market.settings.results_path / PREDICTIONS).iterdir())
    assert len(kept) == 1
    assert pq.read_table(kept[0]).column_names == ["time", "prediction"]
    at = kept[0].stat().st_mtime_ns
    again = market.run(config_of({"path": str(path)}, threshold=0.5), *DAYS)
    assert again.digest == first.digest
    other = market.run(config_of({"path": str(path)}, threshold=0.9), *DAYS)
    assert list((market.settings.results_path / PREDICTIONS).iterdir()) == kept
    assert kept[0].stat().st_mtime_ns == at
    signals = table_of(other, "signals")
    # 19 bars before the longest window is full.
    assert [row["prediction"] for row in signals[:19]] == [None] * 19
    assert signals[19]["prediction"] is not None
    assert verify_result(first.run_id, market.settings).equal
    # A file that is damaged is written again; another model is named as what changed.
    kept[0].write_bytes(b"damaged")
    assert market.run(config, *DAYS).digest == first.digest
    path.write_bytes(skops.io.dumps(LogisticRegression().fit(rows, rows[:, 0] < 0)))
    assert verify_result(first.run_id, market.settings).changed_inputs == (f"model {path}",)


def test_an_uploaded_model_is_named_by_user_and_name(tmp_path: Path) -> None:
    market = BarMarket(tmp_path)
    market.settings = market.settings.model_copy(update={"models_path": tmp_path / "models"})
    store = ModelStore(tmp_path / "models", allow_pickle=False)
    stored = store.add("ann", "returns.skops", model_of_returns(), "Returns")
    config = config_of({"user": "ann", "name": "Returns"}, features=["Returns"], threshold=0)
    market.add(config, [market_bars()])
    result = market.run(config, *DAYS)
    assert result.metadata["strategy_inputs"] == {"model ann/Returns": stored.sha256}
    assert result.summary["fills"] > 0
    with pytest.raises(OdumError, match="user ann has no model 'Other'"):
        market.run(config_of({"user": "ann", "name": "Other"}), *DAYS)


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"model": {}}, "give the path of a file, or user and name"),
        ({"model": {"path": "m.onnx", "user": "ann"}}, "give the path of a file"),
        ({}, "strategy.params.model: "),
        ({"model": {"path": "m.onnx"}, "features": ["RSI"]}, "there is no RSI"),
        ({"model": {"path": "m.onnx"}, "features": ["Open", "Open"]}, "named twice"),
        ({"model": {"path": "m.onnx"}, "fixed_size": 1, "percent_size": 1}, "give one of them"),
        ({"model": {"path": "no/such.onnx"}}, "cannot be read"),
    ],
)
def test_parameters_that_cannot_be_used(
    market: BarMarket, params: dict[str, Any], text: str
) -> None:
    config = bars_config(SPY, name="ML_SIGNALS", params={"threshold": 0.5, **params})
    market.add(config, [market_bars()])
    with pytest.raises(OdumError, match=text):
        market.run(config, *DAYS)


def test_bars_that_are_too_few_are_refused(market: BarMarket, tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    path.write_bytes(skops.io.dumps(LogisticRegression().fit(np.eye(14), [0, 1] * 7)))
    config = config_of({"path": str(path)})
    market.add(config, [market_bars().after(390).where(slice(0, 15))])
    with pytest.raises(OdumError, match="none of 15 bars has all features"):
        market.run(config, DAYS[1], DAYS[1])


def test_the_width_of_the_model_must_match(market: BarMarket, tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    path.write_bytes(model_of_returns())
    config = config_of({"path": str(path)}, features=["Open", "Close"])
    market.add(config, [market_bars()])
    with pytest.raises(OdumError, match="the model takes 1 features, the configuration gives 2"):
        market.run(config, *DAYS)
