"""The volume curve of the days before a run, for VWAP."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.backtest.algorithms.schedule import curve_from_volumes
from odum_assets.catalog import (
    PartitionManifest,
    PartitionRequest,
    catalog_view,
    scan_manifests,
)
from odum_assets.instruments import InstrumentKey
from odum_assets.raw.layout import DataType
from odum_assets.utc import DAY_NS

_BUCKETS = 24 * 60
_BUCKET_NS = DAY_NS // _BUCKETS


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
    manifests = scan_manifests(catalog_root, key, DataType.TRADES)
    days = [day for day in manifests.days if day < first_day][-lookback_days:]
    manifests.require(days)
    return [manifest for manifest in manifests.manifests if manifest.day in days]


class VolumeDays:
    """Volume by time of day of the days before a run; a day is checked and read once.

    Parameters
    ----------
    catalog_root : Path
        The catalog.
    work : Path
        Folder for views of the days; made when one is needed.
    """

    def __init__(self, catalog_root: Path, work: Path) -> None:
        self._catalog_root = catalog_root
        self._work = work
        self._days: dict[date, _Day] = {}

    def curve(
        self, key: InstrumentKey, first_day: date, lookback_days: int
    ) -> tuple[list[PartitionManifest], tuple[float, ...] | None]:
        """Return the days before a day, and the running share of volume by minute of the day.

        Parameters
        ----------
        key : InstrumentKey
            The instrument; always the same one.
        first_day : date
            Only days before it count.
        lookback_days : int
            How many of them at most.

        Returns
        -------
        tuple[list[PartitionManifest], tuple[float, ...] or None]
            Every day counts with its own volume. The curve has 1,441 values; it is None if the days
            have no volume, or there are none.

        Raises
        ------
        DataError
            If a day's file is damaged.
        """
        volumes = np.zeros(_BUCKETS)
        manifests = []
        for manifest in days_before(self._catalog_root, key, first_day, lookback_days):
            day = self._day(key, manifest.day)
            manifests.append(day.manifest)
            for first, part in day.volumes:
                volumes[first : first + len(part)] += part
        curve = curve_from_volumes(volumes.tolist())
        return manifests, None if curve is None else curve.cumulative

    def _day(self, key: InstrumentKey, day: date) -> "_Day":
        if day not in self._days:
            view = self._work / day.isoformat()
            wanted = [PartitionRequest(key, DataType.TRADES, (day,))]
            (manifest,) = catalog_view(self._catalog_root, wanted, view)
            self._days[day] = _Day(manifest, list(_volumes(manifest.data_path(view))))
        return self._days[day]


@dataclass(frozen=True, slots=True)
class _Day:
    """A day's volumes: of each batch of its trades, a first minute and the volumes from there."""

    manifest: PartitionManifest
    volumes: list[tuple[int, npt.NDArray[np.float64]]]


def _volumes(path: Path) -> Iterator[tuple[int, npt.NDArray[np.float64]]]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=["ts_init", "size"]):
            times = batch["ts_init"].cast(pa.int64()).to_numpy(zero_copy_only=False)
            sizes = batch["size"].cast(pa.float64()).to_numpy(zero_copy_only=False)
            buckets = (times % DAY_NS) // _BUCKET_NS
            first = int(buckets.min())
            yield first, np.bincount(buckets - first, weights=sizes)
