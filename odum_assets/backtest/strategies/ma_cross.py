"""The moving-average crossover, event-driven."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from odum_assets.bars.broker import BarHandler, Fill, Side, Size
from odum_assets.bars.strategy import BarSetup, BarStrategy
from odum_assets.errors import BacktestError

_WHOLE_BITS = 62


class CrossoverParams(BaseModel):
    """Parameters of the crossover.

    Attributes
    ----------
    fast, slow : int
        Lengths of the averages, in bars.
    side : {"long", "long_short"}
        Whether a crossing down sells short, beside closing a long position.
    fixed_size : Decimal or None
        Size of an entry. Without any size it is 1.
    percent_size : Decimal or None
        Fraction of the account's equity at the filling open that an entry may cost, fee included.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    fast: int = Field(ge=1)
    slow: int = Field(ge=2)
    side: Literal["long", "long_short"] = "long"
    fixed_size: Decimal | None = Field(default=None, gt=0)
    percent_size: Decimal | None = Field(default=None, gt=0, le=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.fast >= self.slow:
            raise ValueError(f"fast {self.fast} is not below slow {self.slow}")
        if self.fixed_size is not None and self.percent_size is not None:
            raise ValueError("fixed_size and percent_size are both given; give one of them")
        return self


class MovingAverageCrossover(BarStrategy):
    """Enter when the fast average crosses above the slow one, leave when it crosses below."""

    Params = CrossoverParams

    def __init__(self, setups: Sequence[BarSetup]) -> None:
        self._handlers = [_Handler(setup) for setup in setups]

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


class _Handler:
    """Trade the crossings of one instrument."""

    def __init__(self, setup: BarSetup) -> None:
        params: CrossoverParams = setup.params
        signs = crossings(setup.series.close, params.fast, params.slow)
        self._signs: list[int] = signs[setup.first :].tolist()
        self._setup = setup
        self._shorts = params.side == "long_short"
        self._size: Size = self._affordable
        if params.percent_size is None:
            size = Decimal(1) if params.fixed_size is None else params.fixed_size
            self._size = whole_units(size, setup)

    def on_bar(self, index: int) -> None:
        sign, broker = self._signs[index], self._setup.broker
        position = broker.position
        if not sign or position * sign > 0:
            return
        side: Side = 1 if sign > 0 else -1
        if position:
            broker.market(side, abs(position), "exit")
        if side > 0 or self._shorts:
            broker.market(side, self._size, "entry")

    def on_fill(self, fill: Fill) -> None:
        """Nothing follows from a fill."""

    def _affordable(self, price: int) -> int:
        share = self._setup.params.percent_size
        return self._setup.affordable(share * self._setup.account.equity, price)


def whole_units(size: Decimal, setup: BarSetup) -> int:
    """Return a size in units; one that is no whole number of lots is refused."""
    units = Fraction(size) * 10**setup.series.size_precision
    if units % setup.lot:
        lot = Decimal(setup.lot).scaleb(-setup.series.size_precision)
        raise BacktestError(
            f"strategy.params.fixed_size: {size} is no whole number of lots of {lot}"
        )
    return int(units)
