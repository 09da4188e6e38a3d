"""The base class of every strategy that a run configuration can name.

What belongs here: how a strategy gets its instrument and its parameters. What does not: recording
(every strategy is recorded from outside, see ``recorder``) and any trading rule.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Self

from nautilus_trader.model import InstrumentId
from nautilus_trader.trading import Strategy
from pydantic import BaseModel, ConfigDict

from odum_assets.backtest.request import SnapshotMode


class NoParams(BaseModel):
    """Accept no parameters."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class StrategySetup:
    """Tell a strategy what it trades.

    Parameters
    ----------
    instrument_id : InstrumentId
        The instrument.
    price_precision, size_precision : int
        Decimals of its prices and sizes.
    multiplier : Decimal
        Size of one contract.
    snapshot_mode : {"trades", "book", "both"}
        Which data the run has; without ``book`` or ``both`` there are no book updates.
    """

    instrument_id: InstrumentId
    price_precision: int
    size_precision: int
    multiplier: Decimal
    snapshot_mode: SnapshotMode


class OdumStrategy(Strategy):
    """Base of strategies: a NautilusTrader strategy that is built from validated parameters.

    Subclass it, give the parameters as a nested pydantic model `Params`, and write the callbacks of
    `nautilus_trader.trading.Strategy` (``on_start``, ``on_trade``, ``on_book_depth``, ...). Open
    positions are closed by the run at the end of the window, not by the strategy.

    Parameters
    ----------
    setup : StrategySetup
        What is traded.
    params : BaseModel
        Parameters, validated by `Params`.
    """

    Params: ClassVar[type[BaseModel]] = NoParams

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self:  # noqa: ANN401
        """Make the Rust part, which takes no arguments of ours."""
        return super().__new__(cls)

    def __init__(self, setup: StrategySetup, params: Any) -> None:  # noqa: ANN401
        super().__init__()
        self.setup = setup
        self.params = params
