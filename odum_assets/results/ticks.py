"""Exporting the ticks that a run replayed, for charts: one JSON array, written as a stream."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.catalog import (
    PartitionManifest,
    PartitionRequest,
    catalog_view,
    read_manifest,
)
from odum_assets.catalog.arrow import kernels as pc
from odum_assets.catalog.repeats import drop_repeats
from odum_assets.instruments import InstrumentKey, parse_instrument_key
from odum_assets.raw.layout import DataType
from odum_assets.results.json_rows import json_objects, quoted_integers, write_array
from odum_assets.results.store import ResultEntry, ResultError, ResultStore
from odum_assets.settings import Settings
from odum_assets.storage.files import sync
from odum_assets.storage.scratch import scratch_folder

_BATCH_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class TickExport:
    """An exported tick file and its number of ticks."""

    path: Path
    rows: int


def export_ticks(
    run_id: str,
    settings: Settings,
    catalog: Path,
    progress: Callable[[int, int], None] | None = None,
) -> TickExport:
    """Write ``tickdata/<run_id>.json``: the trades of the run's window in the order of replay.

    Parameters
    ----------
    run_id : str
        A stored run.
    settings : Settings
        Where results lie.
    catalog : Path
        The catalog that the run read.
    progress : callable, optional
        Called with ticks written and ticks in the partitions.

    Returns
    -------
    TickExport
        The file and its number of ticks. Nanosecond times in it are strings.

    Raises
    ------
    ResultError
        If there is no such run, or the catalog has changed since.
    """
    store = ResultStore(settings.results_path)
    entry = store.entry(run_id)
    target = store.ticks_path(run_id)
    with (
        store.explained(),
        # A conversion may replace the catalog's files meanwhile; the view stays as it is.
        scratch_folder(catalog / ".views") as view,
        store.scratch() as work,
    ):
        manifests = _manifests(entry, catalog, view)
        total = sum(each.rows_written for each in manifests)
        if "rows_repeated" in entry.metadata():
            # Runs of earlier versions went over such rows twice.
            total -= sum(drop_repeats(view, manifests))
        rows = write_array(work / "ticks", _ticks(entry, manifests, view, total, progress))
        sync(work / "ticks")
        target.parent.mkdir(parents=True, exist_ok=True)
        (work / "ticks").replace(target)
    return TickExport(target, rows)


def _manifests(entry: ResultEntry, catalog: Path, view: Path) -> list[PartitionManifest]:
    """Bring the trades that the run went over into a view, and return their manifests."""
    metadata = entry.metadata()
    key = parse_instrument_key(metadata["instrument_key"])
    wanted = {
        date.fromisoformat(partition["day"]): partition["digest"]
        for partition in metadata["catalog"]
        if partition["data_type"] == DataType.TRADES
    }
    for day in wanted:
        if read_manifest(catalog, key, DataType.TRADES, day) is None:
            raise ResultError(_changed(entry, key, day, is_gone=True))
    found = catalog_view(catalog, [PartitionRequest(key, DataType.TRADES, tuple(wanted))], view)
    for manifest in found:
        if manifest.digest != wanted[manifest.day]:
            raise ResultError(_changed(entry, key, manifest.day, is_gone=False))
    return found


def _changed(entry: ResultEntry, key: InstrumentKey, day: date, *, is_gone: bool) -> str:
    what = "is gone from" if is_gone else "has changed in"
    return (
        f"{entry.run_id}: the trades of {key} {day} {what} the catalog since the run; "
        f"run {entry.config_name} {entry.partition} again and export that"
    )


def _ticks(
    entry: ResultEntry,
    manifests: list[PartitionManifest],
    catalog: Path,
    total: int,
    progress: Callable[[int, int], None] | None,
) -> Iterator["pa.Array[Any]"]:
    window = entry.metadata()["window"]
    start, end = (None if window[name] is None else int(window[name]) for name in _BOUNDS)
    instrument_id = entry.metadata()["instrument_id"]
    done = 0
    for batch in _in_order(manifests, catalog):
        done += batch.num_rows
        times = batch["ts_init"].cast(pa.int64())
        keep = pc.and_(
            pc.greater_equal(times, start if start is not None else -(2**63)),
            pc.less(times, end if end is not None else 2**63 - 1),
        )
        kept = batch.filter(keep)
        yield json_objects(
            [
                ("ts_event", quoted_integers(kept["ts_event"].cast(pa.int64()))),
                ("ts_init", quoted_integers(kept["ts_init"].cast(pa.int64()))),
                ("instrument_id", pa.array([instrument_id] * kept.num_rows, pa.string())),
                ("price", kept["price"]),
                ("size", kept["size"]),
                ("aggressor_side", kept["aggressor_side"]),
                ("trade_id", kept["trade_id"]),
            ]
        )
        if progress is not None:
            progress(done, total)


_BOUNDS = ("start_ns", "end_ns")


def _in_order(manifests: list[PartitionManifest], catalog: Path) -> Iterator[pa.RecordBatch]:
    """Yield rows by arrival; days whose rows overlap around midnight are merged."""
    pairs = pairwise(manifests)
    if all(earlier.last_ts_init <= later.first_ts_init for earlier, later in pairs):
        for manifest in manifests:
            with pq.ParquetFile(manifest.data_path(catalog)) as file:
                yield from file.iter_batches(batch_size=_BATCH_ROWS)
        return
    table = pa.concat_tables(pq.read_table(each.data_path(catalog)) for each in manifests)
    yield from table.sort_by("ts_init").to_batches(max_chunksize=_BATCH_ROWS)
