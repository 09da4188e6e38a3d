"""Signals of a model over a grid of thresholds: predictions are made once, before any variant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from odum_assets.errors import DataError
from odum_assets.vectorized.grid import SignalGrid

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from odum_assets.bars.series import BarSeries
    from odum_assets.vectorized.terms import Terms

_MOST_BYTES: Final = 1 << 26
"""Signals that are held at a time."""


class ThresholdGrid(SignalGrid[float]):
    """Run a model's signals; a variant is a threshold.

    Parameters
    ----------
    series, sessions, first, terms, annualization_days
        As of `SignalGrid`.
    signals : callable
        Return the signal of each bar of `series` (1, -1 or 0, int8, shape ``(n,)``) for a
        threshold.
    """

    def __init__(
        self,
        series: BarSeries,
        sessions: NDArray[Any],
        first: int,
        terms: Terms,
        annualization_days: int,
        signals: Callable[[float], NDArray[np.int8]],
    ) -> None:
        super().__init__(series, sessions, first, terms, annualization_days)
        self._signals, self._count = signals, len(series)

    def axes(self, variants: Sequence[float]) -> dict[str, NDArray[np.float64]]:
        """Return the thresholds."""
        return {"threshold": np.array(variants, np.float64)}

    def signals(self, variant: float) -> NDArray[np.int8]:
        """Return what the predictions mean with a threshold."""
        signals = self._signals(variant)
        if signals.shape != (self._count,):
            raise DataError("the predictions are of other bars")
        return np.ascontiguousarray(signals, np.int8)

    def _run(
        self, variants: Sequence[float], counts: NDArray[np.int64], rates: NDArray[np.float64]
    ) -> None:
        from odum_assets.vectorized.signal_kernel import run_signals

        step = max(_MOST_BYTES // self._count, 1)
        for start in range(0, len(variants), step):
            rows = slice(start, start + step)
            signals = np.stack([self.signals(variant) for variant in variants[rows]])
            run_signals(self._bars, self._first, signals, self._terms, counts[rows], rates[rows])
