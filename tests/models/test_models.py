"""Models: features without look-ahead, formats, store, and what a hostile model can do."""

import json
import pickle
import socket
from collections.abc import Iterator
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from odum_assets.bars.series import BarSeries
from odum_assets.errors import ConfigError, DataError
from odum_assets.models import sandbox, store
from odum_assets.models.features import FEATURES, bar_features
from odum_assets.models.formats import ModelFormat, UnsupportedModelError, model_format
from odum_assets.models.prediction import predict
from odum_assets.models.sandbox import Limits
from odum_assets.models.signals import PredictionKind, signals_of
from odum_assets.models.store import ModelStore, ModelTooLargeError

needs_sandbox = pytest.mark.skipif(not sandbox.is_supported(), reason="no sandbox here")
SMALL = Limits(memory_bytes=256 << 20, cpu_seconds=3)


def series(rows: int = 120, seed: int = 1) -> BarSeries:
    random = np.random.default_rng(seed)
    close = 10_000 + np.cumsum(random.integers(-50, 51, rows))
    opened = close + random.integers(-20, 21, rows)
    high = np.maximum(opened, close) + random.integers(0, 20, rows)
    low = np.minimum(opened, close) - random.integers(0, 20, rows)
    return BarSeries(
        "ARCA:EQUITY:SPY",
        60 * 10**9,
        Decimal("0.01"),
        0,
        np.arange(1, rows + 1) * 60 * 10**9,
        opened,
        high,
        low,
        close,
        random.integers(0, 1000, rows),
    )


@pytest.fixture(scope="module")
def rows() -> np.ndarray[Any, np.dtype[np.float64]]:
    return bar_features(series())


@pytest.fixture(scope="module")
def trained(rows: np.ndarray[Any, np.dtype[np.float64]]) -> Any:
    known = rows[np.isfinite(rows).all(axis=1)]
    model = make_pipeline(StandardScaler(), LogisticRegression())
    return model.fit(known, np.arange(len(known)) % 3 == 0)


def test_features_are_those_of_pandas(rows: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    bars = series()
    close, volume = pd.Series(bars.close / 100), pd.Series(bars.volume.astype(float))
    expected = pd.DataFrame(
        {
            "Open": bars.open / 100,
            "High": bars.high / 100,
            "Low": bars.low / 100,
            "Close": close,
            "Volume": volume,
            **{f"SMA_{n}": close.rolling(n).mean() for n in (5, 10, 20)},
            "Returns": close.pct_change(),
            "Returns_5": close.pct_change(5),
            **{f"Volatility_{n}": close.rolling(n).std() for n in (5, 10)},
            "Volume_SMA_5": volume.rolling(5).mean(),
            "Volume_Ratio": volume / volume.rolling(5).mean(),
        }
    )
    assert tuple(expected) == FEATURES
    np.testing.assert_allclose(rows, expected.to_numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("cut", [1, 19, 20, 60, 119])
def test_later_and_dropped_earlier_bars_change_nothing(cut: int) -> None:
    bars, whole = series(), bar_features(series())
    assert np.array_equal(
        bar_features(bars.between(0, int(bars.close_time[cut - 1]))), whole[:cut], equal_nan=True
    )
    later = bar_features(bars.between(int(bars.close_time[cut - 1]), 2**62))
    full = later[19:]
    assert np.array_equal(full, whole[cut + 19 :], equal_nan=True)


def test_an_unknown_feature_is_named() -> None:
    with pytest.raises(ConfigError, match="'RSI_14'"):
        bar_features(series(), ["Close", "RSI_14"])


@pytest.mark.parametrize(
    ("kind", "threshold", "expected"),
    [
        (PredictionKind.PROBABILITY, 0.6, [1, 0, 0, -1, 0]),
        (PredictionKind.PROBABILITY, 0.4, [1, 1, 1, -1, 0]),
        (PredictionKind.LABEL, 0.5, [0, 0, 0, 0, 0]),
        (PredictionKind.VALUE, 0.45, [1, 1, 1, 0, 0]),
    ],
)
def test_signals(kind: PredictionKind, threshold: float, expected: list[int]) -> None:
    values = np.array([0.7, 0.5, 0.6, 0.1, np.nan])
    if kind is PredictionKind.PROBABILITY and threshold == 0.4:
        # Above 0.4 enters, below 0.6 exits: both are true of 0.5, and entry wins.
        assert signals_of(values, kind, threshold).tolist() == expected
    else:
        assert signals_of(values, kind, threshold).tolist() == expected
    assert signals_of(np.array([1.0, 0.0]), PredictionKind.LABEL, 0.5).tolist() == [1, -1]


@needs_sandbox
def test_every_format_predicts_what_the_model_predicts(
    trained: Any, rows: np.ndarray[Any, np.dtype[np.float64]]
) -> None:
    known = np.isfinite(rows).all(axis=1)
    expected = trained.predict_proba(rows[known])[:, 1]
    compressed = BytesIO()
    joblib.dump(trained, compressed, compress=3)
    for name, content, apart in (
        ("m.skops", skops.io.dumps(trained), 0.0),
        ("m.onnx", to_onnx(trained, rows[:1].astype(np.float32)).SerializeToString(), 1e-5),
        ("m.pkl", pickle.dumps(trained), 0.0),
        ("m.joblib", compressed.getvalue(), 0.0),
    ):
        found = model_format(content, name, allow_pickle=True)
        prediction = predict(content, found, rows)
        assert prediction.kind is PredictionKind.PROBABILITY
        assert np.array_equal(np.isfinite(prediction.values), known)
        assert np.abs(prediction.values[known] - expected).max() <= apart


@needs_sandbox
def test_values_forests_and_classes(rows: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    known = rows[np.isfinite(rows).all(axis=1)]
    regression = LinearRegression().fit(known, np.arange(len(known)))
    assert predict(skops.io.dumps(regression), ModelFormat.SKOPS, rows).kind is PredictionKind.VALUE
    forest = RandomForestClassifier(5, random_state=0).fit(known, np.arange(len(known)) % 2)
    assert (
        predict(skops.io.dumps(forest), ModelFormat.SKOPS, rows).kind is PredictionKind.PROBABILITY
    )
    others = LogisticRegression().fit(known, np.arange(len(known)) % 2 + 5)
    with pytest.raises(DataError, match="none of the model's classes is 1: 5, 6"):
        predict(skops.io.dumps(others), ModelFormat.SKOPS, rows)
    with pytest.raises(DataError, match="takes 14 features, the configuration gives 3"):
        predict(skops.io.dumps(forest), ModelFormat.SKOPS, rows[:, :3])


class Hostile:
    """Run a program when it is unpickled."""

    def __init__(self, program: str) -> None:
        self.program = program

    def __reduce__(self) -> Any:
        return exec, (self.program,)


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    assert not list(tmp_path.iterdir())


@needs_sandbox
@pytest.mark.parametrize(
    ("program", "outcome"),
    [
        ("open('/etc/passwd').read()", "Permission denied"),
        ("open('{folder}/x', 'w')", "Permission denied"),
        ("import os; os.mkdir('{folder}/x')", "Permission denied"),
        ("import socket; socket.socket()", "Operation not permitted"),
        ("import socket; socket.create_connection(('127.0.0.1', {port}))", "denied|permitted"),
        ("import os; os.fork()", "Operation not permitted"),
        ("import os; os.execv('/bin/sh', ['sh', '-c', 'echo x > {folder}/x'])", "denied|permitted"),
        ("import os; os.system('touch {folder}/x')", "neither predict_proba nor predict"),
        ("import os; os.kill(os.getppid(), 9)", "Operation not permitted"),
        ("bytearray(3 << 30)", "more memory"),
        ("x = []\nwhile True: x.append(bytearray(1 << 20))", "more memory"),
        ("while True: pass", "signal 24; it may use 3 s"),
        ("import os; os._exit(0)", "another number of predictions"),
        ("import os; os.write(1, b'x' * 5000)", "neither predict_proba nor predict"),
        ("import resource; resource.setrlimit(resource.RLIMIT_CPU, (99, 99))", "not|exceed"),
    ],
)
def test_a_hostile_model_is_contained(
    program: str, outcome: str, victim: Path, rows: np.ndarray[Any, np.dtype[np.float64]]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        text = program.replace("{folder}", str(victim))
        text = text.replace("{port}", str(server.getsockname()[1]))
        with pytest.raises(DataError, match=outcome):
            predict(pickle.dumps(Hostile(text)), ModelFormat.PICKLE, rows, SMALL)


@needs_sandbox
def test_a_sandbox_that_does_not_hold_is_noticed() -> None:
    with pytest.raises(sandbox.SandboxError, match="reading a file succeeded"):
        sandbox._prove(SMALL)


def test_formats_are_told_by_content(trained: Any) -> None:
    onnx, dumped, pickled = b"\x08\x09" + b"x" * 20, skops.io.dumps(trained), pickle.dumps(trained)
    for content, name in (
        (pickled, "m.onnx"),
        (pickled, "m.skops"),
        (onnx, "m.skops"),
        (dumped, "m.onnx"),
        (dumped, "m.pkl"),
        (b"", "m.onnx"),
        (b"hello", "m.onnx"),
        (b"PK\x03\x04 broken", "m.skops"),
        (onnx, "model"),
    ):
        with pytest.raises(UnsupportedModelError, match="content is"):
            model_format(content, name, allow_pickle=True)
    with pytest.raises(UnsupportedModelError, match="ODUM_ALLOW_PICKLE=1"):
        model_format(pickled, "m.pkl", allow_pickle=False)
    for name in ("m.h5", "m.pb", "m.pt", "m.pth"):
        with pytest.raises(UnsupportedModelError, match="convert it to ONNX"):
            model_format(pickled, name, allow_pickle=True)


@needs_sandbox
def test_a_skops_type_that_is_not_listed_is_named(
    rows: np.ndarray[Any, np.dtype[np.float64]],
) -> None:
    known = rows[np.isfinite(rows).all(axis=1)]
    model = make_pipeline(FunctionTransformer(json.dumps), LogisticRegression())
    model.steps[1][1].fit(known, np.arange(len(known)) % 2)
    with pytest.raises(DataError, match=r"not on the list of trusted ones: json\.dumps"):
        predict(skops.io.dumps(model), ModelFormat.SKOPS, rows)


@needs_sandbox
def test_a_damaged_onnx_file_is_refused(rows: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    with pytest.raises(DataError, match="ONNX Runtime refuses the model"):
        predict(b"\x08\x09" + b"x" * 100, ModelFormat.ONNX, rows)


def test_the_store_keeps_a_content_once_and_by_user(tmp_path: Path, trained: Any) -> None:
    models = ModelStore(tmp_path, allow_pickle=False)
    content = skops.io.dumps(trained)
    first = models.add("ann", "../../my model.skops", content)
    assert models.add("ann", "again.skops", content, "other") == first
    assert first.filename == f"my_model_{first.sha256[:12]}.skops"
    assert models.read(first) == content
    assert models.models_of("ben") == []
    assert models.find("ann", first.sha256[:8]) == models.find("ann", "my_model") == first
    with pytest.raises(DataError, match="ben has no model"):
        models.find("ben", first.filename)
    models.path(first).write_bytes(content[:-1])
    with pytest.raises(DataError, match="not what was uploaded"):
        models.read(first)
    models.delete(first)
    assert models.models_of("ann") == []
    assert [path.name for path in (tmp_path / "ann").iterdir()] == [".lock"]


@pytest.mark.parametrize("user", ["", "..", "a/b", "a b", "x" * 65, "ä"])
def test_a_user_that_is_no_name_is_refused(tmp_path: Path, user: str) -> None:
    with pytest.raises(ConfigError, match="is not valid"):
        ModelStore(tmp_path, allow_pickle=False).models_of(user)


def test_sizes_are_bounded(tmp_path: Path, trained: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    models, content = ModelStore(tmp_path, allow_pickle=False), skops.io.dumps(trained)
    monkeypatch.setattr(store, "MAX_USER_BYTES", len(content) + 10)
    models.add("ann", "a.skops", content)
    with pytest.raises(ModelTooLargeError, match="Delete some first"):
        models.add("ann", "b.onnx", b"\x08\x09" + b"x" * 20)
    monkeypatch.setattr(store, "MAX_MODEL_BYTES", 10)
    with pytest.raises(ModelTooLargeError, match="a model may have"):
        models.add("ann", "c.skops", content)
