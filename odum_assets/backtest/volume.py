"""The volume curve of the days before a run, for VWAP."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.backtest.algorithms.schedule import curve_from_volumes
from odum_assets.catalog import PartitionManifest, scan_manifests
from odum_assets.instruments import InstrumentKey
from odum_assets.raw.layout import DataType

_BUCKET_NS = 60 * 1_000_000_000
_BUCKETS = 24 * 60
_DAY_NS = _BUCKETS * _BUCKET_NS


def days_before(
    catalog_root: Path, key: InstrumentKey, first_day: date, lookback_days: int
) -> list[PartitionManifest]:
    """Return the manifests of the last days with trades before a day, oldest first.

    Only days strictly before `first_day` count, so that nothing looks ahead.

    Raises
    ------
    DataError
        If the manifest of one of these days cannot be used: without it the curve would be another.
    """
    found = scan_manifests(catalog_root, key, DataType.TRADES)
    days = [day for day in found.days if day < first_day][-lookback_days:]
    found.require(days)
    return [each for each in found.manifests if each.day in days]


def volume_curve(
    catalog_root: Path, manifests: Sequence[PartitionManifest]
) -> tuple[float, ...] | None:
    """Return the running share of volume by minute of the day (1,441 values), None without any.

    Parameters
    ----------
    catalog_root : Path
        The catalog.
    manifests : sequence of PartitionManifest
        Trades partitions; every day counts with its own volume.
    """
    volumes = np.zeros(_BUCKETS)
    for manifest in manifests:
        with pq.ParquetFile(manifest.data_path(catalog_root)) as file:
            for batch in file.iter_batches(columns=["ts_init", "size"]):
                times = batch["ts_init"].cast(pa.int64()).to_numpy(zero_copy_only=False)
                sizes = batch["size"].cast(pa.float64()).to_numpy(zero_copy_only=False)
                buckets = (times % _DAY_NS) // _BUCKET_NS
                volumes += np.bincount(buckets, weights=sizes, minlength=_BUCKETS)
    curve = curve_from_volumes(volumes.tolist())
    return None if curve is None else curve.cumulative
