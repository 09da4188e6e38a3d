"""The run config of assets, as the launchpad shows it: the options of a run as Dagster reads them.

What belongs here: what only Dagster's run config has. What does not: the options that every
interface has (``requests``), the run configuration files (``config``).
"""

from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from odum_assets.config import LoadedConfig
from odum_assets.errors import ConfigError
from odum_assets.orchestration.requests import RunOptions, SweepOptions, WindowOptions
from odum_assets.orchestration.vsweep_requests import VsweepOptions

if TYPE_CHECKING:
    from odum_assets.config.variants import Variant


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


class VsweepConfig(VsweepOptions, dg.Config):
    """Run config of a vectorized sweep."""
