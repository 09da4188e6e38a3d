"""What is traded, and where: the sections ``instrument`` and ``venue``."""

from decimal import Decimal
from typing import Literal, Self

from pydantic import Field, model_validator

from odum_assets.config.problems import Problem, raise_problems
from odum_assets.config.sections.section import Section
from odum_assets.config.value_types import (
    Amount,
    Currency,
    Fee,
    InstrumentId,
    Margin,
    Number,
    VenueName,
    Whole,
)


class InstrumentConfig(Section):
    """What is traded."""

    id: InstrumentId = Field(
        examples=["BINANCE-FUTURES:PERPETUAL:BTC-USDT", "BTC-USDT.BINANCE-FUTURES"]
    )
    """VENUE:TYPE:SYMBOL, the same with @LIN or @INV, or BASE-QUOTE.VENUE (the name of the file in
    data_catalog.trades_path then says which product)."""
    price_precision: Whole = Field(ge=0, le=16, examples=[1])
    """Decimals of a price; a row with more is rejected."""
    size_precision: Whole = Field(ge=0, le=16, examples=[3])
    """Decimals of a size; a row with more is rejected."""
    multiplier: Number | None = Field(
        default=None, gt=0, le=1_000_000_000, decimal_places=16, examples=[0.01]
    )
    """Size of one contract: sizes times multiplier are base units (linear) or quote units
    (inverse). null: the venue's own contract size."""
    margin_init: Margin = Decimal("0.01")
    """Initial margin as a fraction of the notional value."""
    margin_maint: Margin = Decimal("0.005")
    """Maintenance margin as a fraction of the notional value."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.margin_maint > self.margin_init:
            text = f"found {self.margin_maint}, allowed up to margin_init ({self.margin_init})"
            raise_problems(Problem("margin_maint", text))
        return self


class VenueConfig(Section):
    """Where it is traded, with which account and at what fees."""

    name: VenueName = Field(examples=["BINANCE-FUTURES"])
    """Venue; the one in instrument.id. Hyphen or underscore."""
    oms_type: Literal["NETTING", "HEDGING"]
    """NETTING keeps one position, HEDGING one per order."""
    account_type: Literal["CASH", "MARGIN"] = Field(examples=["MARGIN"])
    """MARGIN, or CASH for spot: a cash account cannot sell what it does not hold."""
    base_currency: Currency = Field(examples=["USDT"])
    """Currency of the account: the quote currency for spot and linear contracts, the base currency
    for inverse ones."""
    starting_balance: Amount = Field(decimal_places=8, examples=[1000000])
    """Balance at the start of every run, in base_currency."""
    book_type: Literal["L1_MBP", "L2_MBP"] = "L2_MBP"
    """L2_MBP needs book snapshots; L1_MBP holds best bid and ask only."""
    maker_fee: Fee = Field(examples=[0.0002])
    """Fee of resting orders as a fraction of the notional value; negative: rebate."""
    taker_fee: Fee = Field(examples=[0.0005])
    """Fee of crossing orders as a fraction of the notional value."""
    leverage: Number = Field(default=Decimal(1), ge=1, le=1000, decimal_places=24)
    """Leverage that the venue grants; margins are divided by it."""
