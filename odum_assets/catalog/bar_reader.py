"""Bars of the catalog as columns of integers."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.bars.series import BarSeries
from odum_assets.catalog.fixed_point import Int64s, column_ticks
from odum_assets.catalog.manifest import PartitionManifest, scan_manifests
from odum_assets.catalog.paths import manifest_lock
from odum_assets.errors import DataError
from odum_assets.instruments import InstrumentKey
from odum_assets.raw.layout import DataType
from odum_assets.storage.copies import pull
from odum_assets.storage.locks import shared
from odum_assets.utc import day_of_ns

type Step = Literal["1m", "5m", "15m", "1h", "1d"]

_PRICES = ("open", "high", "low", "close")


def read_bars(
    catalog: Path, instrument: InstrumentKey, step: Step, start_ns: int, end_ns: int
) -> BarSeries:
    """Read the bars of one instrument that close in ``(start_ns, end_ns]``.

    Parameters
    ----------
    catalog : Path
        The catalog.
    instrument : InstrumentKey
        Whose bars.
    step : {"1m", "5m", "15m", "1h", "1d"}
        Length of a bar.
    start_ns, end_ns : int
        Nanoseconds since the epoch (UTC).

    Returns
    -------
    BarSeries
        Ordered by time; of all partitions that the catalog holds, whatever is missing between.

    Raises
    ------
    DataError
        If there are none, a manifest or data file cannot be used, or partitions were converted with
        other precisions or ticks.
    """
    data_type = DataType(f"bars_{step}")
    with shared(manifest_lock(catalog, instrument.slug, data_type.value)):
        scan = scan_manifests(catalog, instrument, data_type)
        first, last = day_of_ns(start_ns), day_of_ns(end_ns)
        # The last bar of a partition closes when the next one begins, or a day after its year.
        earliest = first - timedelta(days=367 if data_type.is_yearly else 1)
        scan.require(day for day in scan.days if earliest <= day <= last)
        wanted = [
            manifest
            for manifest in scan.manifests
            if manifest.last_ts_init > start_ns and manifest.first_ts_init <= end_ns
        ]
        if not wanted:
            raise DataError(
                f"{catalog}: there are no {data_type.value} of {instrument} that close after "
                f"{first} and until {last}. Convert them: odum convert --instrument '{instrument}' "
                f"--data-type {data_type.value} --all"
            )
        return bars_of(wanted, catalog).between(start_ns, end_ns)


def bars_of(manifests: Sequence[PartitionManifest], catalog: Path) -> BarSeries:
    """Return the bars of partitions of one instrument, ordered by time.

    Parameters
    ----------
    manifests : sequence of PartitionManifest
        The partitions, at least one, ascending.
    catalog : Path
        The catalog, or a view of it.

    Raises
    ------
    DataError
        If a data file cannot be used, or partitions were converted with other precisions or ticks.
    """
    tick_size = _common(manifests, catalog)
    table = pa.concat_tables([_table(item, catalog) for item in manifests]).combine_chunks()
    times = table["ts_init"].combine_chunks().view(pa.int64()).to_numpy()
    prices_at, sizes_at = manifests[0].price_precision, manifests[0].size_precision
    units = int(tick_size.scaleb(prices_at))
    prices = {name: _ticks(table, name, prices_at) // units for name in _PRICES}
    step_ns = int(manifests[0].rules["step_ns"])
    return BarSeries(
        str(manifests[0].key),
        step_ns,
        tick_size,
        sizes_at,
        times,
        **prices,
        volume=_ticks(table, "volume", sizes_at),
    )


def _common(manifests: Sequence[PartitionManifest], catalog: Path) -> Decimal:
    """Return the tick size of partitions, which must agree about it and about precisions."""
    facts = {
        (item.rules["tick_size"], item.price_precision, item.size_precision): item.day
        for item in manifests
    }
    if len(facts) > 1:
        (one, day), (other, later) = [*facts.items()][:2]
        raise DataError(
            f"{catalog}: {manifests[0].key} was converted with tick and decimals {one} on {day}, "
            f"and {other} on {later}; convert the days again"
        )
    return Decimal(manifests[0].rules["tick_size"])


def _table(manifest: PartitionManifest, catalog: Path) -> pa.Table:
    path = manifest.data_path(catalog)
    pull(path)
    try:
        return pq.read_table(path, columns=[*_PRICES, "volume", "ts_init"], use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"{path}: cannot be read ({error}). Convert it again: odum convert --force"
        ) from error


def _ticks(table: pa.Table, name: str, precision: int) -> Int64s:
    column = table[name].combine_chunks()
    return column_ticks(column, precision) if len(column) else np.zeros(0, np.int64)
