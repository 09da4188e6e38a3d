"""How an order is worked: ``strategy.exec_algorithm``."""

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from odum_assets.config.problems import Problem, raise_problems
from odum_assets.config.sections.section import Section
from odum_assets.config.value_types import Number, Seconds, Whole


class NoParams(Section):
    """No parameters."""


class NormalAlgorithm(Section):
    """Send every order as it is."""

    type: Literal["NORMAL"]
    """Send every order as it is."""
    params: NoParams = NoParams()
    """None."""


ChildOrderType = Literal["MARKET", "LIMIT"]
"""Type of the orders by which an order is worked over time."""


class TwapParams(Section):
    """Parameters of TWAP."""

    horizon_secs: Seconds = Decimal(10)
    """Time over which an order is spread."""
    interval_secs: Seconds = Decimal(1)
    """Time between two parts of an order."""
    child_order_type: ChildOrderType = "MARKET"
    """MARKET: each part takes what the book has. LIMIT: a limit order's parts have its price."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.interval_secs > self.horizon_secs:
            text = f"found {self.interval_secs}, allowed up to horizon_secs ({self.horizon_secs})"
            raise_problems(Problem("interval_secs", text))
        return self


class TwapAlgorithm(Section):
    """Spread every order evenly over time."""

    type: Literal["TWAP"]
    """Spread every order evenly over time."""
    params: TwapParams = TwapParams()
    """Horizon and interval."""


class VwapParams(Section):
    """Parameters of VWAP."""

    horizon_secs: Seconds = Decimal(10)
    """Time over which an order is spread."""
    intervals: Whole = Field(default=10, ge=1, le=10_000)
    """Number of parts of an order."""
    lookback_days: Whole = Field(default=5, ge=1, le=365)
    """Days before the window whose volume curve is followed."""
    child_order_type: ChildOrderType = "MARKET"
    """MARKET: each part takes what the book has. LIMIT: a limit order's parts have its price."""


class VwapAlgorithm(Section):
    """Spread every order over time by the volume curve of the days before."""

    type: Literal["VWAP"]
    """Spread every order over time by the volume curve of the days before."""
    params: VwapParams = VwapParams()
    """Horizon, number of parts and days looked back."""


class IcebergParams(Section):
    """Parameters of ICEBERG."""

    visible_pct: Number = Field(default=Decimal("0.1"), gt=0, le=1)
    """Visible part of an order, as a fraction."""


class IcebergAlgorithm(Section):
    """Show a part of every order and replenish it."""

    type: Literal["ICEBERG"]
    """Show a part of every order and replenish it when it has filled."""
    params: IcebergParams = IcebergParams()
    """Visible part."""


ExecAlgorithm = Annotated[
    NormalAlgorithm | TwapAlgorithm | VwapAlgorithm | IcebergAlgorithm,
    Field(discriminator="type"),
]
