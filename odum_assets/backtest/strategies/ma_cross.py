"""The moving-average crossover, event-driven."""

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from odum_assets.backtest.strategies.signal_handler import SignalHandler, SignalParams
from odum_assets.bars.broker import BarHandler
from odum_assets.bars.strategy import BarSetup, BarStrategy
from odum_assets.errors import BacktestError

_WHOLE_BITS = 62


class CrossoverParams(SignalParams):
    """Parameters of the crossover, beside side and size.

    Attributes
    ----------
    fast, slow : int
        Lengths of the averages, in bars.
    """

    fast: int = Field(ge=1)
    slow: int = Field(ge=2)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.fast >= self.slow:
            raise ValueError(f"fast {self.fast} is not below slow {self.slow}")
        return self


class MovingAverageCrossover(BarStrategy):
    """Enter when the fast average crosses above the slow one, leave when it crosses below."""

    Params = CrossoverParams

    def __init__(self, setups: Sequence[BarSetup]) -> None:
        self._handlers = [_handler(setup) for setup in setups]

    @property
    def handlers(self) -> Sequence[BarHandler]:
        """Return one handler for each instrument."""
        return self._handlers


def crossings(close: NDArray[np.int64], fast: int, slow: int) -> NDArray[np.int8]:
    """Return where the fast average crosses the slow one.

    Sums are compared as whole numbers, ``sum_fast * slow`` with ``sum_slow * fast``: at bar *t* the
    fast one crosses above when it was not above at *t - 1*, where both averages exist, and is now.

    Parameters
    ----------
    close
        Closes in ticks, shape ``(n,)``.
    fast, slow
        Lengths.

    Returns
    -------
    NDArray[np.int8]
        1 above, -1 below, else 0, shape ``(n,)``.

    Raises
    ------
    BacktestError
        If sums exceed 64 bits.
    """
    signs = np.zeros(len(close), np.int8)
    if len(close) <= slow:
        return signs
    highest = int(close.max())
    if highest * max(len(close), fast * slow) >= 1 << _WHOLE_BITS:
        raise BacktestError(
            f"averages of {fast} and {slow} closes of up to {highest} ticks exceed 64 bits; use a "
            "coarser tick_size, shorter averages or fewer bars"
        )
    sums = np.concatenate(([0], np.cumsum(close)))
    ends = sums[slow:]
    difference = (ends - sums[slow - fast : -fast]) * slow - (ends - sums[:-slow]) * fast
    before, now = difference[:-1], difference[1:]
    up = (before <= 0) & (now > 0)
    down = (before >= 0) & (now < 0)
    signs[slow:] = up.astype(np.int8) - down.astype(np.int8)
    return signs


def _handler(setup: BarSetup) -> SignalHandler:
    params: CrossoverParams = setup.params
    signs = crossings(setup.series.close, params.fast, params.slow)
    return SignalHandler(setup, signs[setup.first :].tolist())
