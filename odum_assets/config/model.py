"""The run configuration as one pydantic model.

What belongs here: which sections there are, and what follows from all of them together. What does
not: the sections (``sections``), files (``loading``), settings of a machine.
"""

from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from odum_assets.config.problems import Problem
from odum_assets.config.rules import CROSS_CHECKED, cross_problems, resolve_key
from odum_assets.config.sections.data import DataCatalogConfig, EnvironmentConfig, TimeWindow
from odum_assets.config.sections.execution import ExecutionConfig, RiskConfig
from odum_assets.config.sections.market import InstrumentConfig, VenueConfig
from odum_assets.config.sections.quality import MetricsConfig, QualityConfig
from odum_assets.config.sections.section import WholeConfig
from odum_assets.config.sections.strategy import StrategyConfig
from odum_assets.config.value_types import Amount, CurrencyPair, Text
from odum_assets.instruments.keys import InstrumentKey
from odum_assets.instruments.specs import InstrumentSpec, contract_multiplier


class RunConfig(WholeConfig):
    """Configuration of one backtest: what, where, from which data, when, how."""

    cross_checked: ClassVar = CROSS_CHECKED

    schema_url: Text | None = Field(
        default=None, alias="$schema", exclude=True, examples=["./run_config.schema.json"]
    )
    """JSON Schema of this file, for editors; without meaning."""
    instrument: InstrumentConfig
    """What is traded."""
    venue: VenueConfig
    """Where it is traded, account and fees."""
    data_catalog: DataCatalogConfig
    """Where the raw files are."""
    time_window: TimeWindow
    """Which time is simulated."""
    strategy: StrategyConfig
    """What orders are sent."""
    execution: ExecutionConfig = ExecutionConfig()
    """How the venue fills orders."""
    risk: RiskConfig = RiskConfig()
    """Limits on orders."""
    environment: EnvironmentConfig = EnvironmentConfig()
    """Variables for this configuration."""
    fx_stub: Annotated[dict[CurrencyPair, Amount], Field(min_length=1, max_length=1)] | None = (
        Field(default=None, examples=[{"USDT_USD": 1.0}])
    )
    """One fixed rate FROM_TO that values results in another currency; FROM is
    venue.base_currency."""
    data_source: Literal["local", "gcs", "auto"] = "auto"
    """Where raw files are: local, gcs (the bucket of UNIFIED_CLOUD_SERVICES_GCS_BUCKET), or auto
    (the raw root; the bucket with UNIFIED_CLOUD_SERVICES_USE_DIRECT_GCS)."""
    quality: QualityConfig = QualityConfig()
    """Thresholds of the data quality checks."""
    metrics: MetricsConfig = MetricsConfig()
    """How figures are computed."""

    @staticmethod
    def cross_problems(sections: dict[str, Any]) -> list[Problem]:
        """Return what is wrong between sections that are valid by themselves."""
        return cross_problems(sections)

    @property
    def key(self) -> InstrumentKey:
        """Return the instrument key: the raw file's when a path names one, else the id's."""
        return resolve_key(self.instrument, self.data_catalog)

    @property
    def keys(self) -> tuple[InstrumentKey, ...]:
        """Return the instruments: one."""
        return (self.key,)

    @property
    def ids(self) -> dict[InstrumentKey, str]:
        """Return how the file spells each instrument."""
        return {self.key: self.instrument.id}

    @property
    def raw_types(self) -> tuple[str, ...]:
        """Return the raw data types that are read, as their folders are named."""
        return tuple(self.data_catalog.paths())

    def template(self, data_type: str, key: InstrumentKey) -> str | None:
        """Return the path of a raw file below the raw root, None if the type has no path."""
        return self.data_catalog.template(data_type, key)

    def spec(self, key: InstrumentKey | None = None) -> InstrumentSpec:
        """Return the spec of the instrument, defaults filled in."""
        key = self.key if key is None else key
        return InstrumentSpec(
            key=key,
            price_precision=self.instrument.price_precision,
            size_precision=self.instrument.size_precision,
            multiplier=self.multiplier,
            margin_init=self.instrument.margin_init,
            margin_maint=self.instrument.margin_maint,
            settlement_currency=key.settlement_currency,
        )

    @property
    def multiplier(self) -> Decimal:
        """Return the size of one contract: the configured one, else the venue's."""
        configured = self.instrument.multiplier
        return contract_multiplier(self.key) if configured is None else configured

    def document(self) -> dict[str, Any]:
        """Return the configuration as a JSON document from which it can be read again unchanged.

        Returns
        -------
        dict[str, Any]
            Defaults filled in. Numbers of ``strategy.params`` are Decimals with all their digits:
            `odum_assets.config.exact_json.write_json` writes them, `read_json` reads them.
        """
        document = self.model_dump(mode="json", by_alias=True)
        if self.strategy.path is not None:
            document["strategy"]["params"] = self.strategy.params
        return document
