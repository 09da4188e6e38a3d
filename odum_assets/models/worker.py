"""The process that runs one model: reads it, is confined, predicts, and answers.

Run as ``python -m odum_assets.models.worker``. Standard input is a line of JSON, the model's bytes
and the features as 64-bit floats; standard output is a line of JSON and the predictions. Everything
that a model may need is imported before it is confined, since nothing can be opened afterwards.
"""

import codecs
import importlib
import io
import json
import os
import pickle
import sys
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from odum_assets.models.formats import ModelFormat
from odum_assets.models.sandbox import Limits, SandboxError, confine, is_supported
from odum_assets.models.signals import PredictionKind

type Floats = NDArray[np.float64]

EXIT_REFUSED: Final = 3
"""Exit code of a model that was refused; standard error says why."""

_SKLEARN_MODULES: Final = (
    "calibration", "compose", "decomposition", "discriminant_analysis", "dummy", "ensemble",
    "feature_selection", "gaussian_process", "impute", "isotonic", "kernel_ridge", "linear_model",
    "naive_bayes", "neighbors", "neural_network", "pipeline", "preprocessing", "svm", "tree",
)  # fmt: skip
"""What scikit-learn loads when a type is named, and could not any more once confined."""

_TRUSTED: Final = frozenset(
    {
        "sklearn._loss.link.Interval",
        "sklearn._loss.link.LogitLink",
        "sklearn._loss.loss.HalfBinomialLoss",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
    }
)
"""Types that skops does not trust by itself: parts of scikit-learn's own estimators."""


class RefusedModelError(Exception):
    """Report a model that cannot be used, in words for its owner."""


def main() -> int:
    """Predict and return the exit code."""
    header = json.loads(sys.stdin.buffer.readline())
    content = sys.stdin.buffer.read(header["size"])
    rows, width = header["rows"], header["width"]
    features = np.frombuffer(sys.stdin.buffer.read(rows * width * 8)).reshape(rows, width)
    kind = ModelFormat(header["format"])
    out, log = sys.stdout.buffer, sys.stderr
    # What a model prints is not an answer.
    sys.stdout = log
    try:
        _import(kind)
        if is_supported():
            confine(Limits(**header["limits"]))
        elif kind is ModelFormat.PICKLE:
            raise SandboxError("pickled models are run only where the sandbox holds")
        meaning, predictions = _predict(kind, content, features)
    except (RefusedModelError, SandboxError) as error:
        log.write(str(error))
        return EXIT_REFUSED
    except MemoryError:
        log.write("the model needs more memory than it is given")
        return EXIT_REFUSED
    except Exception as error:  # noqa: BLE001 - a model can raise anything
        log.write(f"the model failed: {type(error).__name__}: {str(error)[:500]}")
        return EXIT_REFUSED
    out.write(json.dumps({"kind": meaning}).encode() + b"\n")
    out.write(np.ascontiguousarray(predictions, np.float64).tobytes())
    out.flush()
    return 0


def _import(kind: ModelFormat) -> None:
    """Import what a format needs.

    Raises
    ------
    RefusedModelError
        If the extra is not installed.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    try:
        if kind is ModelFormat.ONNX:
            import onnxruntime

            onnxruntime.set_default_logger_severity(4)
            return
        for name in _SKLEARN_MODULES:
            importlib.import_module(f"sklearn.{name}")
        _rehearse(kind)
    except ImportError as error:
        raise RefusedModelError(
            f"{error.name} is not installed; install the extra: uv pip install 'odum-assets[ml]'"
        ) from error


def _rehearse(kind: ModelFormat) -> None:
    """Load and use a small model: what is imported at first use is there once confined."""
    import joblib
    import skops.io
    from sklearn.linear_model import LogisticRegression

    codecs.lookup("cp437")  # names in a zip archive
    rows = np.eye(4)
    model: Any = LogisticRegression().fit(rows, [0, 1, 0, 1])
    if kind is ModelFormat.SKOPS:
        content = skops.io.dumps(model)
        skops.io.get_untrusted_types(data=content)
        model = skops.io.loads(content)
    else:
        buffer = io.BytesIO()
        joblib.dump(model, buffer, compress=3)
        model = joblib.load(io.BytesIO(buffer.getvalue()))
    model.predict_proba(rows)


def _predict(kind: ModelFormat, content: bytes, features: Floats) -> tuple[PredictionKind, Floats]:
    if kind is ModelFormat.ONNX:
        return _predict_onnx(content, features)
    model = _load_skops(content) if kind is ModelFormat.SKOPS else _load_pickle(content)
    return _predict_sklearn(model, features)


def _load_skops(content: bytes) -> Any:  # noqa: ANN401 - an estimator
    import skops.io

    unknown = sorted(set(skops.io.get_untrusted_types(data=content)) - _TRUSTED)
    if unknown:
        raise RefusedModelError(
            f"the model holds types that are not on the list of trusted ones: {', '.join(unknown)}"
        )
    return skops.io.loads(content, trusted=sorted(_TRUSTED))


def _load_pickle(content: bytes) -> Any:  # noqa: ANN401 - an estimator
    import joblib

    # Only in a process that is confined: a pickle is a program.
    try:
        return pickle.loads(content)  # noqa: S301
    except (pickle.UnpicklingError, ValueError, EOFError, KeyError):
        return joblib.load(io.BytesIO(content))


def _check_width(expected: object, features: Floats) -> None:
    if isinstance(expected, int) and expected != features.shape[1]:
        raise RefusedModelError(
            f"the model takes {expected} features, the configuration gives {features.shape[1]}"
        )


def _predict_sklearn(model: Any, features: Floats) -> tuple[PredictionKind, Floats]:  # noqa: ANN401
    _check_width(getattr(model, "n_features_in_", None), features)
    if hasattr(model, "predict_proba"):
        return PredictionKind.PROBABILITY, _class_one(model.predict_proba(features), model.classes_)
    if not hasattr(model, "predict"):
        raise RefusedModelError("the model has neither predict_proba nor predict")
    return _labels_or_values(model.predict(features), is_classifier=hasattr(model, "classes_"))


def _class_one(probabilities: Any, classes: Any) -> Floats:  # noqa: ANN401
    index = [position for position, label in enumerate(classes) if label == 1]
    if not index:
        raise RefusedModelError(f"none of the model's classes is 1: {', '.join(map(str, classes))}")
    chosen: Floats = np.asarray(probabilities, np.float64)[:, index[0]]
    return chosen


def _labels_or_values(
    predictions: Any,  # noqa: ANN401 - an array of anything
    *,
    is_classifier: bool,
) -> tuple[PredictionKind, Floats]:
    values = np.asarray(predictions, np.float64).reshape(len(predictions))
    if not is_classifier:
        return PredictionKind.VALUE, values
    return PredictionKind.LABEL, values


def _predict_onnx(content: bytes, features: Floats) -> tuple[PredictionKind, Floats]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])
    except Exception as error:
        # External data, custom operators and damaged files end here.
        raise RefusedModelError(f"ONNX Runtime refuses the model: {str(error)[:500]}") from error
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise RefusedModelError(f"the model has {len(inputs)} inputs; one is expected")
    shape = inputs[0].shape
    _check_width(shape[1] if len(shape) == 2 else None, features)
    dtype = np.float64 if inputs[0].type == "tensor(double)" else np.float32
    outputs = session.run(None, {inputs[0].name: features.astype(dtype)})
    return _onnx_outputs(outputs)


def _onnx_outputs(outputs: list[Any]) -> tuple[PredictionKind, Floats]:
    """Tell probabilities, labels and values apart by what skl2onnx writes."""
    if len(outputs) > 1:
        probabilities = outputs[1]
        if isinstance(probabilities, list):  # a map from class to probability per row
            classes = list(probabilities[0]) if probabilities else [1]
            rows = np.array([[row[label] for label in classes] for row in probabilities])
            return PredictionKind.PROBABILITY, _class_one(rows, classes)
        table = np.asarray(probabilities)
        if table.ndim == 2 and table.shape[1] == 2:
            return PredictionKind.PROBABILITY, _class_one(table, [0, 1])
        raise RefusedModelError(
            f"the second output has shape {table.shape}; probabilities of two classes, or a map "
            "from class to probability (zipmap), are expected"
        )
    first = np.asarray(outputs[0])
    return _labels_or_values(first, is_classifier=np.issubdtype(first.dtype, np.integer))


if __name__ == "__main__":
    sys.exit(main())
