"""Raw rows become NautilusTrader catalog partitions: transform, quality figures, writer, manifest.

One file per instrument, data type and day in Nautilus' own layout and schema, and next to it a
manifest. A partition without a manifest does not exist. Raw files are only read here; backtests and
Dagster are elsewhere.

The public names live in :mod:`odum_assets.catalog.convert`, :mod:`odum_assets.catalog.manifest` and
:mod:`odum_assets.catalog.view`; they are re-exported here on first use, so that importing the
package alone stays cheap.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from odum_assets.catalog.convert import convert_partition
    from odum_assets.catalog.manifest import (
        ManifestScan,
        PartitionManifest,
        list_manifests,
        read_manifest,
        scan_manifests,
    )
    from odum_assets.catalog.rejects import Reject
    from odum_assets.catalog.view import PartitionRequest, catalog_view

__all__ = [
    "ManifestScan",
    "PartitionManifest",
    "PartitionRequest",
    "Reject",
    "catalog_view",
    "convert_partition",
    "list_manifests",
    "read_manifest",
    "scan_manifests",
]

_MODULES = {"convert_partition": "convert", "Reject": "rejects"} | dict.fromkeys(
    ("PartitionRequest", "catalog_view"), "view"
)
"""Where what is not in `manifest` is defined."""


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = import_module(f"{__name__}.{_MODULES.get(name, 'manifest')}")
    value: object = getattr(module, name)
    return value
