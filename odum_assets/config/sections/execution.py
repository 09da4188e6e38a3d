"""How the venue fills orders, and how many it takes: the sections ``execution`` and ``risk``."""

from decimal import Decimal
from typing import Literal

from pydantic import Field

from odum_assets.config.sections.section import Section
from odum_assets.config.value_types import Milliseconds, Ratio, Seconds, Switch, Whole

_NS_PER_MS = 1_000_000

ClosingMethod = Literal["last_price", "book", "work"]
"""How open positions are closed at the end of the window."""


class FillModel(Section):
    """Chances of fills."""

    prob_fill_on_limit: Ratio = Decimal(1)
    """Chance that a resting limit order fills when the market touches its price."""
    prob_slippage: Ratio = Decimal(0)
    """Chance that a crossing order slips by one price increment; without effect on an L2 book, from
    whose levels orders fill."""
    random_seed: Whole | None = Field(default=42, ge=0, le=2**63 - 1)
    """Seed of these chances; null: other draws on every run."""


class Latency(Section):
    """Time that orders take to reach the venue."""

    insert_ms: Milliseconds = Field(default=Decimal(0), examples=[5])
    """Milliseconds until a new order arrives."""
    update_ms: Milliseconds = Field(default=Decimal(0), examples=[5])
    """Milliseconds until a change arrives."""
    cancel_ms: Milliseconds = Field(default=Decimal(0), examples=[5])
    """Milliseconds until a cancel arrives."""

    @property
    def insert_ns(self) -> int:
        """Return the insert latency in whole nanoseconds."""
        return int(self.insert_ms * _NS_PER_MS)

    @property
    def update_ns(self) -> int:
        """Return the update latency in whole nanoseconds."""
        return int(self.update_ms * _NS_PER_MS)

    @property
    def cancel_ns(self) -> int:
        """Return the cancel latency in whole nanoseconds."""
        return int(self.cancel_ms * _NS_PER_MS)


class Closing(Section):
    """How open positions are closed at the end of the window."""

    method: ClosingMethod = "last_price"
    """book: by market orders into the last book; what it does not take stays open. last_price: the
    same, and what the book does not take is closed at the last trade's price, with the taker fee,
    by fills that are marked as simulated. work: the strategy stops work_secs before the end, and
    the position is worked through successive books until it is flat."""
    work_secs: Seconds = Decimal(60)
    """Time before the end at which method work begins, in seconds."""


class ExecutionConfig(Section):
    """How the venue fills orders."""

    fill_model: FillModel = FillModel()
    """Chances of fills."""
    latency: Latency = Latency()
    """Time that orders take to reach the venue."""
    queue_position: Switch = False
    """Resting orders wait behind what the book showed before them."""
    liquidity_consumption: Switch = False
    """Fills use up the book's sizes until the next snapshot."""
    closing: Closing = Closing()
    """How open positions are closed at the end of the window."""


class RiskConfig(Section):
    """Limits on orders."""

    throttling_per_sec: Whole | None = Field(default=None, gt=0, le=1_000_000_000)
    """Orders allowed per second; more are denied. null: unlimited."""
