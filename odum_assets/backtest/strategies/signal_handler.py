"""Trade a sign per bar: what strategies share whose signals are known before the first bar."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from odum_assets.bars.broker import Fill, Side, Size
from odum_assets.bars.strategy import BarSetup
from odum_assets.errors import BacktestError


class SignalParams(BaseModel):
    """Side and size of entries.

    Attributes
    ----------
    side : {"long", "long_short"}
        Whether a signal to sell sells short, beside closing a long position.
    fixed_size : Decimal or None
        Size of an entry. Without any size it is 1.
    percent_size : Decimal or None
        Fraction of the account's equity at the filling open that an entry may cost, fee included.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    side: Literal["long", "long_short"] = "long"
    fixed_size: Decimal | None = Field(default=None, gt=0)
    percent_size: Decimal | None = Field(default=None, gt=0, le=1)

    @model_validator(mode="after")
    def _check_size(self) -> Self:
        if self.fixed_size is not None and self.percent_size is not None:
            raise ValueError("fixed_size and percent_size are both given; give one of them")
        return self


class SignalHandler:
    """Trade the signs of one instrument: 1 buys, -1 sells, 0 does nothing.

    Parameters
    ----------
    setup : BarSetup
        What is traded; its parameters are `SignalParams`.
    signs : sequence of int
        One for each traded bar.
    """

    def __init__(self, setup: BarSetup, signs: Sequence[int]) -> None:
        params: SignalParams = setup.params
        self._signs = signs
        self._setup = setup
        self._shorts = params.side == "long_short"
        self._size: Size = self._affordable
        if params.percent_size is None:
            size = Decimal(1) if params.fixed_size is None else params.fixed_size
            self._size = whole_units(size, setup)

    def on_bar(self, index: int) -> None:
        """Send what a sign asks for, unless the position has it already."""
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
