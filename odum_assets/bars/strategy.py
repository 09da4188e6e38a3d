"""What a strategy on bars receives, and how one is written.

A strategy is a subclass of `BarStrategy`, named in `odum_assets.backtest.bar_strategies`. It makes
one `BarHandler` for each instrument, so that instruments of an account can share limits.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path as FilePath

    import numpy as np
    from numpy.typing import NDArray
    from pydantic import BaseModel

    from odum_assets.bars.broker import BarHandler, Broker
    from odum_assets.bars.fees import FeeRule
    from odum_assets.bars.path import Path
    from odum_assets.bars.series import BarSeries
    from odum_assets.bars.sessions import SessionRules
    from odum_assets.settings import Settings

__all__ = ["BarAccount", "BarSetup", "BarStrategy"]


class BarAccount(Protocol):
    """Tell what the account of all instruments is worth."""

    @property
    def equity(self) -> Decimal:
        """Give cash and open profit, every position at the latest price of its instrument."""
        ...


@dataclass(frozen=True, slots=True)
class BarSetup:
    """Tell a strategy what it trades: one instrument.

    Parameters
    ----------
    instrument
        Its ``id`` in the configuration.
    broker
        Takes its orders.
    account
        The account that it shares with the other instruments.
    series
        Its bars inside of sessions, those of earlier sessions first.
    first
        Index in `series` of the bar that the handler hears of as bar 0.
    sessions
        Date of the session of each bar of `series`, days since 1970, shape ``(n,)``.
    rules
        The sessions.
    path
        The path of price within a bar.
    tick_value
        Money per tick and unit of ``10 ** -size_precision``.
    lot
        Units of one lot; quantities are whole lots.
    fees
        Fees of fills.
    params
        Parameters, validated by the strategy's `Params`.
    prepared
        File that the strategy's `prepare` wrote, None if it wrote none.
    """

    instrument: str
    broker: Broker
    account: BarAccount
    series: BarSeries
    first: int
    sessions: NDArray[np.int32]
    rules: SessionRules
    path: Path
    tick_value: Decimal
    lot: int
    fees: FeeRule
    params: Any
    prepared: FilePath | None = None

    def affordable(self, budget: Decimal, price: int) -> int:
        """Return the units that a budget pays at a price in ticks, fee included: whole lots."""
        size = Decimal(self.lot).scaleb(-self.series.size_precision)
        value = self.tick_value * self.lot * price

        def pays(lots: int) -> bool:
            return value * lots + self.fees.fee(size * lots, value * lots) <= budget

        lots = max(int(budget / (value + self.fees.exact(size, value))), 0)
        # Off by the rounding of the fee.
        while pays(lots + 1):
            lots += 1
        while lots and not pays(lots):
            lots -= 1
        return lots * self.lot


class BarStrategy(ABC):
    """Base of strategies on bars.

    Parameters
    ----------
    setups
        One for each instrument, in the order of the configuration.
    """

    Params: ClassVar[type[BaseModel]]

    @classmethod
    def inputs(cls, params: Any, settings: Settings) -> Mapping[str, str]:  # noqa: ANN401, ARG003
        """Return the SHA-256 of what it reads beside bars, by name; nothing by default."""
        return {}

    @classmethod
    def prepare(
        cls,
        params: Any,  # noqa: ANN401
        series: BarSeries,
        settings: Settings,
        file: FilePath,
    ) -> Mapping[str, str]:
        """Write what a run needs beside bars, before it starts; nothing by default.

        Parameters
        ----------
        params
            Parameters of an instrument.
        series
            Its bars, those that warm up first.
        settings
            Where everything lies.
        file
            File of the run's work folder that may be written; the run has it as
            `BarSetup.prepared`.

        Returns
        -------
        mapping of str to str
            As of `inputs`.
        """
        del series, file
        return cls.inputs(params, settings)

    @abstractmethod
    def __init__(self, setups: Sequence[BarSetup]) -> None:
        """Prepare everything; nothing is traded yet."""

    @property
    @abstractmethod
    def handlers(self) -> Sequence[BarHandler]:
        """Return who decides for each instrument, in the order of the setups."""

    def finish(self, folder: FilePath) -> None:  # noqa: B027 - most strategies have nothing to add
        """Write what the strategy adds to a report into a folder, after the last bar."""
