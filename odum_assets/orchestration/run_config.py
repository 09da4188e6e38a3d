"""The run config of assets, as the launchpad shows it: the options of a run as Dagster reads them.

What belongs here: what only Dagster's run config has. What does not: the options that every
interface has (``requests``), the run configuration files (``config``).
"""

from datetime import date
from typing import TYPE_CHECKING, Any, Literal

import dagster as dg
from pydantic import Field

from odum_assets.config import LoadedConfig
from odum_assets.errors import ConfigError, InvalidRequestError
from odum_assets.orchestration.requests import RunOptions, SweepOptions, WindowOptions

if TYPE_CHECKING:
    from odum_assets.config.variants import Variant
    from odum_assets.results.bar_sweep import SweepRequest


class ConvertConfig(dg.Config):
    """Run config of a catalog asset."""

    force: bool = Field(
        default=False,
        description="Convert again even if the raw file and the converter are unchanged.",
    )


class ResultConfig(RunOptions, dg.Config):
    """Run config of a day's result."""


class WindowConfig(WindowOptions, dg.Config):
    """Run config of a window."""


class SweepConfig(SweepOptions, dg.Config):
    """Run config of a sweep over one day."""

    vary: dict[str, list[Any | None]] = Field(
        default={},
        description="Values by dotted path of the run configuration; every combination runs, such "
        "as {strategy.params.window: [50, 100], execution.latency.insert_ms: [0, 5]}. What decides "
        "the data (instrument, data_catalog, time_window) may not vary. A number with more digits "
        'than a float holds is written {"$number": "0.1234567890123456789"}.',
    )
    variants: list[dict[str, Any | None]] = Field(
        default=[],
        description="Instead of vary: one {path: value} object per variant.",
    )

    def configured_variants(self, loaded: LoadedConfig) -> "list[Variant]":
        """Return the variants of a configuration.

        Raises
        ------
        ConfigError
            If nothing varies, or not like this.
        """
        from odum_assets.config.variants import grid, make_variants

        if self.overrides:
            raise ConfigError("overrides: not for a sweep; write them into its variants")
        if self.vary and self.variants:
            raise ConfigError("vary and variants exclude each other")
        return make_variants(loaded, grid(self.vary) if self.vary else self.variants)


class VsweepConfig(dg.Config):
    """Run config of a vectorized sweep."""

    fast: str | None = Field(
        default=None,
        description="Bars of the fast average: FIRST:LAST:STEP, or a list. A crossover needs them.",
        examples=["5:50:5"],
    )
    slow: str | None = Field(
        default=None,
        description="Bars of the slow average; a pair whose fast one is not below it is left out.",
        examples=["20:200:10"],
    )
    threshold: str | None = Field(
        default=None,
        description="Thresholds of a model; by default the configuration's.",
        examples=["0.5:0.7:0.05"],
    )
    side: str | None = Field(
        default=None, description="Sides; by default the configuration's.", examples=["long"]
    )
    fixed_size: str | None = Field(
        default=None, description="Sizes of an entry; by default the configuration's."
    )
    percent_size: str | None = Field(
        default=None, description="Fractions of the equity that an entry may cost."
    )
    verify: int = Field(
        default=0,
        ge=0,
        le=1_000,
        description="Replay the K best and K random variants in NautilusTrader; the run fails if "
        "any fill differs.",
    )
    sort: Literal["return", "cagr", "sharpe", "drawdown", "profit_factor"] = Field(
        default="return", description="The figure that says which variants are the best."
    )
    instrument: str | None = Field(
        default=None, description="Instrument, where the configuration has several."
    )
    first_day: str | None = Field(
        default=None,
        description="First session. Without days: every session that the catalog holds.",
        examples=["2011-01-03"],
    )
    last_day: str | None = Field(default=None, description="Last session, included.")

    def sweep_request(self, loaded: LoadedConfig) -> "SweepRequest":
        """Return the request for a configuration.

        Raises
        ------
        ConfigError, InvalidRequestError
            If values or days cannot be used.
        """
        from odum_assets.results.bar_sweep import SweepRequest
        from odum_assets.results.sweep_axes import OPTIONS, variants_of

        texts = {option: getattr(self, option) for option in OPTIONS}
        axes, variants = variants_of(loaded, texts, self.instrument)
        return SweepRequest(variants, axes, self.verify, self.sort, self.instrument, self._days())

    def _days(self) -> tuple[date, date] | None:
        if self.first_day is None and self.last_day is None:
            return None
        try:
            first, last = (date.fromisoformat(day or "") for day in (self.first_day, self.last_day))
        except ValueError:
            first, last = date.max, date.min
        if last < first:
            raise InvalidRequestError(
                "invalid-window",
                f"first_day {self.first_day} and last_day {self.last_day}: give both, as dates in "
                "order such as 2011-01-03",
            )
        return first, last
