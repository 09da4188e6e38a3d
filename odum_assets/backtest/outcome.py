"""What the child process hands back to its parent: one JSON file, written last."""

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from odum_assets.backtest.strategies.sources import fingerprint

OUTCOME = "outcome.json"
"""File of a replay's outcome in its work folder; there when the replay went to its end."""


@dataclass(frozen=True, slots=True)
class Funding:
    """A funding payment: time (ns), amount in the account currency (negative when paid)."""

    ts: int
    amount: Decimal


class ReplayOutcome(BaseModel):
    """What the engine and the strategy said at the end of a replay; events lie in tables beside it.

    Parameters
    ----------
    engine_balance : Decimal
        Final balance of the engine's account.
    engine_quantity : Decimal
        Signed quantity over the engine's open positions at the end, a sum of binary numbers.
    engine_quantities : dict[str, Decimal]
        Signed open quantity of each instrument, by its id, of a run with several.
    currency_precision : int
        Decimals of the account currency.
    funding : list[Funding]
        Payments in order of time.
    closing_at_ns : int or None
        Market time at which closing positions began, None when they stay open.
    flat_at_ns : int or None
        Market time of the last fill, after which no position was open; None if one was.
    skipped_no_aggressor : int or None
        Trades without a side that sent no order, None for a strategy that does not say.
    orders_without_curve : int
        VWAP orders that were sent evenly for want of a volume curve.
    strategy_modules : dict[str, str]
        SHA-256 of the modules that the strategy is made of, by name, as they ran.
    strategy_changed : list[str]
        Those whose files held something else at the end of the replay.
    replay_secs : float
        Wall time of the replay.
    peak_memory_mib : int
        Largest resident size of the process.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    engine_balance: Decimal
    engine_quantity: Decimal
    currency_precision: int
    funding: list[Funding]
    closing_at_ns: int | None
    flat_at_ns: int | None
    skipped_no_aggressor: int | None
    orders_without_curve: int
    engine_quantities: dict[str, Decimal] = {}
    strategy_modules: dict[str, str]
    strategy_changed: list[str]
    replay_secs: float
    peak_memory_mib: int

    @property
    def strategy_sha256(self) -> str | None:
        """Return one SHA-256 for all modules of the strategy."""
        return fingerprint(self.strategy_modules)

    @classmethod
    def read(cls, work: Path) -> "ReplayOutcome":
        """Read the outcome in a work folder."""
        return cls.model_validate_json((work / OUTCOME).read_bytes())

    def write(self, work: Path) -> None:
        """Write the outcome into a work folder."""
        (work / OUTCOME).write_text(self.model_dump_json(), encoding="utf-8")
