"""A moving-average crossover over a grid of lengths.

Both averages exist one bar before the crossing. They are compared as whole numbers:
``sum_fast * n_slow`` against ``sum_slow * n_fast``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from odum_assets.errors import ConfigError
from odum_assets.vectorized.grid import SignalGrid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from odum_assets.bars.series import BarSeries
    from odum_assets.vectorized.terms import Terms

    type Pair = tuple[int, int]


class CrossoverGrid(SignalGrid["Pair"]):
    """Run crossovers; a variant is the lengths of the fast and of the slow average, in bars.

    Parameters are those of `SignalGrid`.
    """

    def __init__(
        self,
        series: BarSeries,
        sessions: NDArray[Any],
        first: int,
        terms: Terms,
        annualization_days: int,
    ) -> None:
        super().__init__(series, sessions, first, terms, annualization_days)
        if self._terms.highest * len(series) >= 2**62:
            raise ConfigError("the closes sum up to more than 64 bits; use a coarser tick_size")
        self._sums = np.concatenate(([0], np.cumsum(series.close))).astype(np.int64)

    def axes(self, variants: Sequence[Pair]) -> dict[str, NDArray[np.int64]]:
        """Return the lengths of the fast and of the slow average."""
        fast, slow = _lengths(variants).T
        return {"fast": fast, "slow": slow}

    def signals(self, variant: Pair) -> NDArray[np.int8]:
        """Return where the fast average crosses the slow one."""
        from odum_assets.vectorized.signal_kernel import cross

        self._refuse([variant])
        signals = np.empty(len(self._sums) - 1, np.int8)
        cross(self._sums, *variant, signals)
        return signals

    def _run(
        self, variants: Sequence[Pair], counts: NDArray[np.int64], rates: NDArray[np.float64]
    ) -> None:
        from odum_assets.vectorized.signal_kernel import run_crossings

        self._refuse(variants)
        pairs = _lengths(variants)
        run_crossings(self._bars, self._first, self._sums, pairs, self._terms, counts, rates)

    def _refuse(self, pairs: Sequence[Pair]) -> None:
        for fast, slow in pairs:
            if not 1 <= fast < slow:
                raise ConfigError(f"found {fast}/{slow}, needs 1 <= fast < slow")
            if self._terms.highest * fast * slow >= 2**62:
                raise ConfigError(
                    f"variant {fast}/{slow}: sums of closes times lengths exceed 64 bits; use a "
                    "coarser tick_size or shorter averages"
                )


def _lengths(pairs: Sequence[Pair]) -> NDArray[np.int64]:
    return np.array(pairs, np.int64).reshape(-1, 2)
