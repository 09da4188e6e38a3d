"""The run configuration: model, loading, content hash, JSON schema.

What belongs here: everything that reads or checks a ``configs/*.json``, and the instrument spec and
raw paths that follow from it. What does not: reading data, running anything, Nautilus or Dagster.

Imports run one way: ``value_types`` and ``problems`` -> ``raw_paths`` -> ``sections`` -> ``rules``
and ``bar_rules`` -> ``model`` and ``bars_model`` -> ``hashing`` -> ``earlier_spellings`` ->
``loading`` -> ``agreement`` -> ``folder`` and ``resolve``.
"""

from odum_assets.config.bars_model import BarsConfig
from odum_assets.config.folder import ConfigFolder, RefusedConfig, load_configs, read_folder
from odum_assets.config.loading import LoadedConfig, load_config
from odum_assets.config.model import RunConfig
from odum_assets.config.resolve import (
    catalog_root,
    effective_settings,
    instrument_spec,
    raw_path,
)
from odum_assets.config.schema import json_schema

__all__ = [
    "BarsConfig",
    "ConfigFolder",
    "LoadedConfig",
    "RefusedConfig",
    "RunConfig",
    "catalog_root",
    "effective_settings",
    "instrument_spec",
    "json_schema",
    "load_config",
    "load_configs",
    "raw_path",
    "read_folder",
]
