"""The run configuration: model, loading, content hash, JSON schema.

What belongs here: everything that reads or checks a ``configs/*.json``, and the instrument spec and
raw paths that follow from it. What does not: reading data, running anything, Nautilus or Dagster.

Imports run one way: ``value_types`` and ``problems`` -> ``raw_paths`` -> ``sections`` -> ``rules``
and ``bar_rules`` -> ``model`` and ``bars_model`` -> ``hashing`` -> ``earlier_spellings`` ->
``loading`` -> ``agreement`` -> ``folder`` and ``resolve``. The public names are re-exported here on
first use, so that importing one module stays cheap.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from odum_assets.config.bars_model import BarsConfig
    from odum_assets.config.folder import (
        ConfigFolder,
        RefusedConfig,
        load_configs,
        read_folder,
        stats_of_configs,
    )
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
    "stats_of_configs",
]

_MODULES = {
    "BarsConfig": "bars_model",
    "LoadedConfig": "loading",
    "RunConfig": "model",
    "json_schema": "schema",
    "load_config": "loading",
} | dict.fromkeys(
    ("ConfigFolder", "RefusedConfig", "load_configs", "read_folder", "stats_of_configs"), "folder"
)
"""Where what is not in `resolve` is defined."""


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = import_module(f"{__name__}.{_MODULES.get(name, 'resolve')}")
    value: object = getattr(module, name)
    return value
