"""The sections of a configuration for bars: instruments, bars, venue, strategy, execution."""

from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_serializer, model_validator

from odum_assets.config.exact_json import count_decimals, map_json
from odum_assets.config.problems import Problem, raise_problems
from odum_assets.config.raw_paths import DEFAULT_PATTERN, path_template
from odum_assets.config.sections.quality import QualityConfig
from odum_assets.config.sections.section import Section
from odum_assets.config.sections.session import Day
from odum_assets.config.sections.strategy import as_float, param_problems
from odum_assets.config.value_types import (
    Amount,
    Currency,
    Fee,
    Folder,
    InstrumentId,
    Margin,
    Number,
    Ratio,
    Switch,
    Text,
    VenueName,
    Whole,
)
from odum_assets.instruments.keys import InstrumentKey, parse_instrument_id

STEPS_NS = {
    "1m": 60_000_000_000,
    "5m": 300_000_000_000,
    "15m": 900_000_000_000,
    "1h": 3_600_000_000_000,
    "1d": 86_400_000_000_000,
}
"""Lengths of a bar in nanoseconds. A daily bar lasts as long as its session, at most this long."""

Step = Literal["1m", "5m", "15m", "1h", "1d"]


class BarInstrumentConfig(Section):
    """One instrument."""

    id: InstrumentId = Field(
        examples=["ARCA:EQUITY:SPY", "CME:FUTURE:ESZ5", "COINBASE:SPOT_PAIR:BTC-USD"]
    )
    """VENUE:TYPE:SYMBOL. One contract is one instrument: nothing rolls or adjusts prices."""
    tick_size: Amount = Field(decimal_places=16, examples=["0.01", "0.25"])
    """Smallest step between prices; a row whose price is off it is rejected."""
    lot_size: Amount = Field(default=Decimal(1), decimal_places=16)
    """Smallest size that is traded; a row whose volume has more decimals is rejected."""
    multiplier: Number | None = Field(
        default=None, gt=0, le=1_000_000_000, decimal_places=16, examples=[50]
    )
    """Money per point of price and unit of size. Required for listed futures; null: 1, or the
    venue's own contract size."""
    currency: Currency | None = Field(default=None, examples=["USD"])
    """Currency of prices, profits and fees. null: what the symbol says, USD where it says none."""
    expiry: Day | None = Field(default=None, examples=["2025-12-19"])
    """Day on which a listed future expires (UTC)."""
    margin_init: Margin = Decimal("0.01")
    """Initial margin as a fraction of the notional value."""
    margin_maint: Margin = Decimal("0.005")
    """Maintenance margin as a fraction of the notional value."""

    @property
    def key(self) -> InstrumentKey:
        """Return the instrument key."""
        return parse_instrument_id(self.id)

    @property
    def price_precision(self) -> int:
        """Return the decimals of a price."""
        return count_decimals(self.tick_size)

    @property
    def size_precision(self) -> int:
        """Return the decimals of a size."""
        return count_decimals(self.lot_size)

    @property
    def settlement_currency(self) -> str:
        """Return the currency of profits and fees."""
        key = self.key
        return (self.currency or "USD") if key.is_listed else key.settlement_currency


class BarsSection(Section):
    """Which bars are read."""

    step: Step = Field(examples=["1m"])
    """Length of a bar."""
    source: Literal["raw", "trades"] = "raw"
    """raw: files of bars; trades: aggregated from the trades in the catalog, not for 1d."""
    label: Literal["start", "end"] | None = Field(default=None, examples=["end"])
    """Which end of a bar its time in the raw file names; nothing in the file tells it. Required for
    source raw. A daily bar's label is the date of its session: start."""
    warmup_sessions: Whole = Field(default=20, ge=0, le=10_000)
    """Sessions before the first one, for indicators only; nothing is traded in them."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        problems = []
        if self.source == "raw" and self.label is None:
            text = "missing; start or end: which end of a bar its time in the raw file names"
            problems.append(Problem("label", text))
        if self.source == "trades" and self.label is not None:
            text = "not allowed with source trades: aggregated bars need none; remove it"
            problems.append(Problem("label", text))
        if self.source == "trades" and self.step == "1d":
            text = "not allowed for step 1d; allowed raw"
            problems.append(Problem("source", text))
        raise_problems(*problems)
        return self

    @property
    def step_ns(self) -> int:
        """Return the length of a bar in nanoseconds."""
        return STEPS_NS[self.step]

    @property
    def data_type(self) -> str:
        """Return the name of the raw data type, such as ``bars_1m``."""
        return f"bars_{self.step}"

    @property
    def is_daily(self) -> bool:
        """Return whether a bar is a session."""
        return self.step == "1d"


class RateFees(Section):
    """A fraction of what is traded."""

    model: Literal["rate"]
    """A fraction of the notional value."""
    rate: Fee = Field(examples=[0.0005])
    """Fee of every fill as a fraction of the notional value."""


class ContractFees(Section):
    """An amount per unit."""

    model: Literal["per_contract"]
    """An amount per unit of size."""
    amount: Number = Field(ge=0, le=1_000_000, decimal_places=8, examples=[2.25])
    """Fee of every fill per unit of size, in base_currency."""


class BarVenueConfig(Section):
    """The account, in which all instruments are traded."""

    name: VenueName = Field(examples=["ARCA"])
    """Venue of the account: that of at least one of the instruments."""
    account_type: Literal["CASH", "MARGIN"] = "MARGIN"
    """MARGIN, or CASH: a cash account cannot sell what it does not hold."""
    base_currency: Currency = Field(examples=["USD"])
    """Currency of the account; all instruments settle in it."""
    starting_balance: Amount = Field(decimal_places=8, examples=[100000])
    """Balance at the start of every run, in base_currency."""
    fees: Annotated[RateFees | ContractFees, Field(discriminator="model")] = Field(
        default=RateFees(model="rate", rate=Decimal(0)),
        examples=[{"model": "rate", "rate": 0.0005}],
    )
    """Fees of fills."""
    leverage: Number = Field(default=Decimal(1), ge=1, le=1000, decimal_places=24)
    """Leverage that the venue grants; margins are divided by it."""


class BarStrategyConfig(Section):
    """Which strategy trades, with which parameters."""

    name: Text = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$", examples=["ORB"])
    """Name of a strategy for bars."""
    params: dict[str, Any] = Field(default={}, examples=[{"fast": 20, "slow": 50}])
    """Its parameters."""
    per_instrument: dict[InstrumentId, dict[str, Any]] = Field(
        default={}, examples=[{"ARCA:EQUITY:SPY": {"fast": 10}}]
    )
    """Parameters of single instruments, by id; they take precedence over params, key by key."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        raise_problems(
            *param_problems(self.params, "params"),
            *param_problems(self.per_instrument, "per_instrument"),
        )
        return self

    @field_serializer("params", "per_instrument", when_used="json")
    def _params_as_json(self, params: dict[str, Any]) -> dict[str, Any]:
        # Pydantic would write a Decimal of an untyped field as text.
        values: dict[str, Any] = map_json(as_float, params)
        return values

    def params_of(self, instrument: str) -> dict[str, Any]:
        """Return the parameters of an instrument, by its ``id`` in the configuration."""
        return _merged(self.params, self.per_instrument.get(instrument, {}))


def _merged(values: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    """Return values with those of others in their place; objects are merged key by key."""
    both = {
        name: _merged(values[name], other)
        for name, other in others.items()
        if isinstance(other, dict) and isinstance(values.get(name), dict)
    }
    return {**values, **others, **both}


class BarExecutionConfig(Section):
    """How orders fill on bars."""

    path: Literal["conservative", "adaptive"] = "conservative"
    """The way of the price within a bar. conservative: a bar that touches stop and target fills the
    stop; adaptive: the extreme nearer the open comes first."""
    slippage: Ratio = Decimal(0)
    """Fraction of the price by which market and stop orders fill worse, rounded to the tick."""


class BarCatalogConfig(Section):
    """Where the data are."""

    auto_discover: Switch = True
    """true: the sensor reports new raw files and requests their runs."""
    parquet_root: Folder | None = Field(default=None, examples=["data/catalog"])
    """Folder of the converted catalog; DATA_CATALOG_PATH takes precedence over it."""

    def template(self, data_type: str, key: InstrumentKey) -> str:
        """Return the path of a raw file below the raw root, ``day-*`` or ``year-*`` for its time.

        Parameters
        ----------
        data_type : str
            ``bars_1m`` and so on, or ``trades``.
        key : InstrumentKey
            The instrument.
        """
        folder = "by_year/year-*" if data_type == "bars_1d" else "by_date/day-*"
        path = f"raw_tick_data/{folder}/data_type-{data_type}/"
        return path_template(path, DEFAULT_PATTERN, key)


class BarQualityConfig(QualityConfig):
    """Thresholds of the data quality checks; those of trades count for source trades."""

    max_missing_ratio: Ratio = Decimal("0.1")
    """Bars missing within sessions, as a fraction of all that could be there."""
    max_zero_volume_ratio: Ratio = Decimal("0.5")
    """Bars without volume, as a fraction of all."""
    max_split_suspects: Whole = Field(default=0, ge=0, le=1_000_000)
    """Bars that open more than 30 % away from the close before, as a split would make them."""


class BarMetricsConfig(Section):
    """How figures are computed. Equity is marked at every close of a bar."""

    annualization_days: Whole | None = Field(default=None, ge=1, le=366)
    """Trading days of a year, for annualized figures. null: 365 for sessions on every date (mode
    full), else 252."""
