"""Names that the graph, the sensor and callers share: asset keys, jobs, groups, pools, versions.

Only spelling belongs here. A name that a user sees in the UI or types on the command line is made
in one place, so that it cannot come out differently in two.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from odum_assets.config import LoadedConfig
from odum_assets.instruments import InstrumentKey
from odum_assets.raw.layout import DataType

if TYPE_CHECKING:
    import dagster as dg

CODE_LOCATION: Final = "odum_assets"
"""Name of the code location in ``workspace.yaml``."""

CATALOG_NAMES: Final = {
    DataType.TRADES: "trades",
    DataType.BOOK: "book_depths",
    DataType.FUNDING: "funding_rates",
    **{kind: kind.value for kind in DataType if kind.is_bars},
}
"""Last part of a catalog asset's key, by the raw data type it is made of."""

ACTIONS: Final = ("window", "sweep", "vsweep")
"""Last parts of keys of assets that a job of their own makes, on request."""

OWNERS: Final = ["team:research"]

OLDER_DAYS: Final = (
    "Materialize offers the last 90 days at first. For older ones choose Show all partitions, then "
    "type them under Custom, such as [2024-01-01...2024-01-03], or run `odum backfill`."
)
"""What descriptions say of days that the UI does not offer at first."""

POOL_CONVERSION: Final = "conversion"
"""Conversions that run at one time: an unsorted file is held in memory."""

POOL_BACKTEST: Final = "backtest"
"""Backtests that run at one time: a day of two million orders takes up to four gigabytes."""

CONVERTER_VERSION: Final = 2
"""Equal to ``catalog.convert.CONVERTER_VERSION``, which cannot be imported here without pyarrow."""


def _asset_key(parts: list[str]) -> "dg.AssetKey":
    # Commands that only look at files load no Dagster.
    from dagster import AssetKey

    return AssetKey(parts)


def raw_key(key: InstrumentKey, data_type: DataType) -> "dg.AssetKey":
    """Return the key of the external asset of raw files."""
    return _asset_key(["raw", key.slug, data_type.value])


def catalog_key(key: InstrumentKey, data_type: DataType) -> "dg.AssetKey":
    """Return the key of the catalog asset that is made of one raw data type."""
    return _asset_key(["catalog", key.slug, CATALOG_NAMES[data_type]])


def backtest_key(config_name: str, step: str) -> "dg.AssetKey":
    """Return the key of ``result``, ``window``, ``sweep``, ``report`` or another of a config."""
    return _asset_key(["backtest", config_name, step])


def signals_key(config_name: str) -> "dg.AssetKey":
    """Return the key of the signals of a configuration's model."""
    return _asset_key(["signals", config_name])


def model_key(label: str) -> "dg.AssetKey":
    """Return the key of the external asset of a model, by what it is called (`model_labels`)."""
    return _asset_key(["raw", "models", re.sub(r"[^A-Za-z0-9]+", "_", label.partition(" ")[2])])


def model_labels(loaded: LoadedConfig) -> list[str]:
    """Return what the models of a configuration are called; none unless its strategy has any."""
    config, labels = loaded.bars, []
    if config is None or config.strategy.name != "ML_SIGNALS":
        return []
    for item in config.instruments:
        given = config.strategy.params_of(item.id).get("model")
        # What cannot be used is refused when the strategy is prepared.
        if isinstance(given, Mapping):
            labels.append(
                f"model {given.get('path') or f'{given.get("user")}/{given.get("name")}'}"
            )
    return list(dict.fromkeys(labels))


def day_job_name(config_name: str) -> str:
    """Return the name of the job that makes everything of a configuration for one day."""
    return f"{config_name}_day"


def action_job_name(config_name: str, action: str) -> str:
    """Return the name of the job that runs one of `ACTIONS` of a configuration."""
    return f"{config_name}_{action}"


def op_name(key: "dg.AssetKey") -> str:
    """Return the name under which run config for an asset is given."""
    return key.to_python_identifier()


def catalog_code_version(loaded: LoadedConfig, key: InstrumentKey, data_type: DataType) -> str:
    """Return what, besides the raw file, decides a catalog partition's content."""
    spec = loaded.config.spec(key)
    version = (
        f"converter {CONVERTER_VERSION}, precision {spec.price_precision}/{spec.size_precision}"
    )
    bars = loaded.bars
    if bars is None or not data_type.is_bars:
        return version
    version += f", tick {spec.price_increment}, label {bars.bars.label}"
    return f"{version}, session {bars.session.meaning()}" if bars.bars.is_daily else version


def backtest_code_version(loaded: LoadedConfig) -> str:
    """Return what, besides the catalog, decides a result: engine, package and configuration."""
    return f"{_versions()}, config {loaded.content_hash[:12]}"


@cache
def _versions() -> str:
    # Reading a package's metadata takes milliseconds, and every asset asks.
    return f"odum {version('odum-assets')}, nautilus {version('nautilus_trader')}"
