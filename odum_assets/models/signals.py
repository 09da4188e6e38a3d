"""What a prediction means: enter, exit, or nothing."""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

__all__ = ["PredictionKind", "signals_of"]


class PredictionKind(StrEnum):
    """What a model's numbers are."""

    PROBABILITY = "probability"
    """Probability of class 1."""
    LABEL = "label"
    """Class: 1 or 0."""
    VALUE = "value"
    """Any number, such as an expected return."""


def signals_of(
    predictions: NDArray[np.float64], kind: PredictionKind, threshold: float
) -> NDArray[np.int8]:
    """Return a signal per prediction: 1 enters, -1 exits, 0 is none; shape (n,).

    A probability enters above the threshold and exits below one less it. A label enters at 1 and
    exits at 0. A value enters above the threshold and exits below its negative. Where a threshold
    makes both true, entry wins. NaN is no signal.
    """
    if kind is PredictionKind.LABEL:
        enter, leave = predictions == 1, predictions == 0
    elif kind is PredictionKind.PROBABILITY:
        enter, leave = predictions > threshold, predictions < 1 - threshold
    else:
        enter, leave = predictions > threshold, predictions < -threshold
    return np.where(enter, 1, np.where(leave, -1, 0)).astype(np.int8)
