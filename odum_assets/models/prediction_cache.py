"""Predictions kept by content: a model runs once over the same bars, whoever asks again.

``<folder>/<hash>.parquet`` holds time and prediction of every bar. The hash covers the model, its
format, the features, the bars and the library that runs it, so that a file never becomes wrong.
"""

import hashlib
import json
import uuid
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.bars.series import BarSeries
from odum_assets.errors import DataError
from odum_assets.models.features import bar_features
from odum_assets.models.formats import ModelFormat
from odum_assets.models.prediction import Prediction, predict
from odum_assets.models.signals import PredictionKind
from odum_assets.storage.files import sync

__all__ = ["cached_prediction", "read_prediction"]

_RULES: Final = 1
"""Version of what features and predictions mean."""
_LIBRARIES: Final = {ModelFormat.ONNX: ("onnxruntime",)}
_OTHERWISE: Final = ("scikit-learn", "skops")
_COLUMNS: Final = ("close_time", "open", "high", "low", "close", "volume")
_METADATA: Final = b"odum.prediction"


def cached_prediction(
    content: bytes, kind: ModelFormat, series: BarSeries, features: Sequence[str], folder: Path
) -> Path:
    """Return the file of a model's predictions on bars; the model runs where there is none.

    Parameters
    ----------
    content : bytes
        The model.
    kind : ModelFormat
        Its format.
    series : BarSeries
        The bars.
    features : sequence of str
        Names of `odum_assets.models.features.FEATURES`, in the order in which the model takes them.
    folder : Path
        Where predictions are kept.

    Raises
    ------
    DataError
        If no bar has all features, or the model is refused, fails or takes too much.
    """
    sha256 = hashlib.sha256(content).hexdigest()
    path = folder / f"{_key(sha256, kind, series, features)}.parquet"
    if _is_readable(path):
        return path
    rows = bar_features(series, features)
    if not np.isfinite(rows).all(axis=1).any():
        raise DataError(
            f"{series.instrument}: none of {len(series)} bars has all features of the model, which "
            "look back over up to 20 bars; choose a longer window or more bars.warmup_sessions"
        )
    _write(path, series, predict(content, kind, rows))
    return path


def read_prediction(path: Path) -> Prediction:
    """Return what a file of `cached_prediction` holds."""
    table = pq.read_table(path)
    facts = json.loads(table.schema.metadata[_METADATA])
    values = table["prediction"].to_numpy()
    return Prediction(facts["model_sha256"], PredictionKind(facts["kind"]), values)


def _key(sha256: str, kind: ModelFormat, series: BarSeries, features: Sequence[str]) -> str:
    libraries = [f"{name} {_version(name)}" for name in _LIBRARIES.get(kind, _OTHERWISE)]
    facts = [
        _RULES, sha256, kind, list(features), libraries, str(series.tick_size),
        series.size_precision,
    ]  # fmt: skip
    digest = hashlib.sha256(json.dumps(facts).encode())
    for name in _COLUMNS:
        digest.update(np.ascontiguousarray(getattr(series, name), np.int64).tobytes())
    return digest.hexdigest()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def _is_readable(path: Path) -> bool:
    """Return whether there is a file that can be used; one that is damaged is written again."""
    try:
        return pq.read_metadata(path).num_rows > 0
    except (OSError, pa.ArrowException):
        return False


def _write(path: Path, series: BarSeries, prediction: Prediction) -> None:
    table = pa.table(
        {
            "time": pa.array(series.close_time, pa.timestamp("ns", "UTC")),
            "prediction": pa.array(prediction.values),
        }
    ).replace_schema_metadata(
        {
            _METADATA: json.dumps(
                {"model_sha256": prediction.model_sha256, "kind": prediction.kind}
            ).encode()
        }
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.stem}.{uuid.uuid4().hex}")
    try:
        pq.write_table(table, unfinished)
        sync(unfinished)
        # Whole or not at all: others may ask for the same one.
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
