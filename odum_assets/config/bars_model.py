"""The configuration of a backtest on bars as one pydantic model.

What belongs here: which sections there are, and what follows from all of them together. What does
not: the sections (``sections``), files (``loading``), tick configurations (``model``).
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from odum_assets.config.bar_rules import BAR_CROSS_CHECKED, bar_problems
from odum_assets.config.problems import Problem
from odum_assets.config.sections.bars import (
    BarCatalogConfig,
    BarExecutionConfig,
    BarInstrumentConfig,
    BarMetricsConfig,
    BarQualityConfig,
    BarsSection,
    BarStrategyConfig,
    BarVenueConfig,
)
from odum_assets.config.sections.data import EnvironmentConfig, TimeWindow
from odum_assets.config.sections.section import WholeConfig
from odum_assets.config.sections.session import SessionConfig
from odum_assets.config.value_types import Text
from odum_assets.instruments.keys import InstrumentKey
from odum_assets.instruments.specs import InstrumentSpec, contract_multiplier


class BarsConfig(WholeConfig):
    """Configuration of one backtest on bars: one or several instruments in one account."""

    cross_checked: ClassVar = BAR_CROSS_CHECKED

    schema_url: Text | None = Field(
        default=None, alias="$schema", exclude=True, examples=["./run_config.schema.json"]
    )
    """JSON Schema of this file, for editors; without meaning."""
    kind: Literal["bars"]
    """bars: this configuration is for bars; without kind it is for ticks."""
    instruments: Annotated[tuple[BarInstrumentConfig, ...], Field(min_length=1, max_length=100)] = (
        Field(examples=[[{"id": "ARCA:EQUITY:SPY", "tick_size": "0.01"}]])
    )
    """What is traded. At equal times the order of this list decides."""
    bars: BarsSection
    """Which bars are read."""
    session: SessionConfig = SessionConfig()
    """Which hours are traded; without it every UTC date."""
    venue: BarVenueConfig
    """The account."""
    strategy: BarStrategyConfig
    """Which strategy trades."""
    execution: BarExecutionConfig = BarExecutionConfig()
    """How orders fill."""
    time_window: TimeWindow = TimeWindow(start=None, end=None)
    """Which time is simulated; without it what a request asks for."""
    data_catalog: BarCatalogConfig = BarCatalogConfig()
    """Where the data are."""
    environment: EnvironmentConfig = EnvironmentConfig()
    """Variables for this configuration."""
    data_source: Literal["local", "gcs", "auto"] = "auto"
    """Where raw files are: local, gcs (the bucket of UNIFIED_CLOUD_SERVICES_GCS_BUCKET), or auto
    (the raw root; the bucket with UNIFIED_CLOUD_SERVICES_USE_DIRECT_GCS)."""
    quality: BarQualityConfig = BarQualityConfig()
    """Thresholds of the data quality checks."""
    metrics: BarMetricsConfig = BarMetricsConfig()
    """How figures are computed."""

    @staticmethod
    def cross_problems(sections: dict[str, Any]) -> list[Problem]:
        """Return what is wrong between sections that are valid by themselves."""
        return bar_problems(sections)

    @property
    def key(self) -> InstrumentKey:
        """Return the key of the first instrument, which names runs."""
        return self.instruments[0].key

    @property
    def keys(self) -> tuple[InstrumentKey, ...]:
        """Return the instruments, in the order of the list."""
        return tuple(item.key for item in self.instruments)

    @property
    def ids(self) -> dict[InstrumentKey, str]:
        """Return how the file spells each instrument."""
        return {item.key: item.id for item in self.instruments}

    @property
    def raw_types(self) -> tuple[str, ...]:
        """Return the raw data types that are read, as their folders are named."""
        return (self.bars.data_type if self.bars.source == "raw" else "trades",)

    @property
    def annualization_days(self) -> int:
        """Return the trading days of a year."""
        given = self.metrics.annualization_days
        return (365 if self.session.mode == "full" else 252) if given is None else given

    def template(self, data_type: str, key: InstrumentKey) -> str | None:
        """Return the path of a raw file below the raw root, None if it is not read.

        ``day-*`` or, for daily bars, ``year-*`` stands for the time.
        """
        return self.data_catalog.template(data_type, key) if data_type in self.raw_types else None

    def spec(self, key: InstrumentKey) -> InstrumentSpec:
        """Return the spec of one of the instruments, defaults filled in.

        Raises
        ------
        KeyError
            If it is none of them.
        """
        item = {item.key: item for item in self.instruments}[key]
        increment = item.tick_size.scaleb(item.price_precision)
        return InstrumentSpec(
            key=key,
            price_precision=item.price_precision,
            size_precision=item.size_precision,
            multiplier=contract_multiplier(key) if item.multiplier is None else item.multiplier,
            margin_init=item.margin_init,
            margin_maint=item.margin_maint,
            settlement_currency=item.settlement_currency,
            tick_size=None if increment == 1 else item.tick_size,
            lot_size=None if item.lot_size.scaleb(item.size_precision) == 1 else item.lot_size,
            expiry=item.expiry,
        )

    def document(self) -> dict[str, Any]:
        """Return the configuration as a JSON document from which it can be read again unchanged.

        Returns
        -------
        dict[str, Any]
            Defaults filled in; numbers of the strategy's parameters are Decimals.
        """
        document = self.model_dump(mode="json", by_alias=True)
        document["strategy"]["params"] = self.strategy.params
        document["strategy"]["per_instrument"] = self.strategy.per_instrument
        return document
