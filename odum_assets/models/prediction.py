"""Predict with a model in a process of its own, which is confined and bounded."""

import hashlib
import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from odum_assets.errors import DataError
from odum_assets.models.formats import ModelFormat
from odum_assets.models.sandbox import Limits
from odum_assets.models.signals import PredictionKind
from odum_assets.models.worker import EXIT_REFUSED

__all__ = ["Prediction", "predict"]

_START_SECONDS: Final = 60
_TAIL: Final = 2000


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model predicts for rows of features.

    Parameters
    ----------
    model_sha256 : str
        Hash of the model's content.
    kind : PredictionKind
        What the numbers are.
    values : ndarray
        Shape (rows,), NaN for rows that have a feature that is not known.
    """

    model_sha256: str
    kind: PredictionKind
    values: NDArray[np.float64]


def predict(
    content: bytes,
    model_format: ModelFormat,
    features: NDArray[np.float64],
    limits: Limits | None = None,
) -> Prediction:
    """Run a model over the rows whose features are all known.

    Parameters
    ----------
    content : bytes
        The model.
    model_format : ModelFormat
        As `formats.model_format` tells it.
    features : ndarray
        Shape (rows, features).
    limits : Limits, optional
        What it may use.

    Returns
    -------
    Prediction
        One number per row.

    Raises
    ------
    DataError
        If the model is refused, fails, or takes more than its limits.
    """
    limits = limits or Limits()
    known = np.isfinite(features).all(axis=1)
    rows = np.ascontiguousarray(features[known], np.float64)
    header = {
        "format": model_format.value,
        "size": len(content),
        "rows": rows.shape[0],
        "width": rows.shape[1],
        "limits": asdict(limits),
    }
    answer = _answer(json.dumps(header).encode() + b"\n" + content + rows.tobytes(), limits)
    head, _, data = answer.partition(b"\n")
    if len(data) != rows.shape[0] * 8:
        raise DataError("the model's process answered with another number of predictions than rows")
    values = np.full(len(features), np.nan)
    values[known] = np.frombuffer(data)
    kind = PredictionKind(json.loads(head)["kind"])
    return Prediction(hashlib.sha256(content).hexdigest(), kind, values)


def _answer(request: bytes, limits: Limits) -> bytes:
    # Nothing of this process' environment, files or folder; one thread per library.
    environment = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    seconds = limits.cpu_seconds + _START_SECONDS
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "odum_assets.models.worker"],
            input=request,
            capture_output=True,
            env=environment,
            timeout=seconds,
            check=False,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired as error:
        raise DataError(f"the model did not end within {seconds} s and was stopped") from error
    if done.returncode == 0:
        return done.stdout
    text = done.stderr[-_TAIL:].decode(errors="replace").strip()
    if done.returncode == EXIT_REFUSED:
        raise DataError(f"the model cannot be used: {text}")
    if done.returncode < 0:
        raise DataError(
            f"the model's process was stopped by signal {-done.returncode}; it may use "
            f"{limits.cpu_seconds} s of processor time and {limits.memory_bytes >> 20} MiB"
        )
    raise DataError(f"the model's process failed with exit code {done.returncode}: {text}")
