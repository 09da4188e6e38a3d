"""Exporting the ticks that a run replayed: for charts a JSON array, for programs a table.

Both are written as streams.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.backtest.pandas_types import computable
from odum_assets.catalog import (
    PartitionManifest,
    PartitionRequest,
    catalog_view,
    read_manifest,
)
from odum_assets.catalog.arrow import arrow
from odum_assets.catalog.arrow import kernels as pc
from odum_assets.catalog.fixed_point import DECIMAL
from odum_assets.catalog.repeats import drop_repeats
from odum_assets.instruments import InstrumentKey, parse_instrument_key
from odum_assets.raw.layout import DataType
from odum_assets.results.documents import SMALL_PAGES
from odum_assets.results.json_rows import json_objects, quoted_integers, write_array
from odum_assets.results.store import ResultEntry, ResultError, ResultStore
from odum_assets.settings import Settings
from odum_assets.storage.files import sync
from odum_assets.storage.scratch import scratch_folder

_BATCH_ROWS = 100_000
_TIME = pa.timestamp("ns", tz="UTC")
TICKS: pa.Schema = arrow.schema(
    [
        ("ts_event", _TIME),
        ("ts_init", _TIME),
        ("instrument_id", pa.string()),
        ("price", DECIMAL),
        ("size", DECIMAL),
        ("aggressor_side", pa.string()),
        ("trade_id", pa.string()),
    ]
)
"""Columns of exported ticks."""


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
    """Write ``tickdata/<run_id>.json`` and ``.parquet``: the trades in the order of replay.

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
        total = sum(manifest.rows_written for manifest in manifests)
        if "rows_repeated" in entry.metadata():
            # Runs of earlier versions went over such rows twice.
            total -= sum(drop_repeats(view, manifests))
        rows = _write(work, _ticks(entry, manifests, view, total, progress))
        # The document last: who finds it, finds the table.
        for suffix in (".parquet", ".json"):
            sync(work / f"ticks{suffix}")
            store.put(work / f"ticks{suffix}", target.with_suffix(suffix))
    return TickExport(target, rows)


def tick_objects(batch: pa.RecordBatch) -> "pa.Array[Any]":
    """Return ticks as JSON objects; times are texts, for JavaScript has no such integers."""
    times = ("ts_event", "ts_init")
    return json_objects(
        [
            (name, quoted_integers(batch[name].cast(pa.int64())) if name in times else batch[name])
            for name in TICKS.names
        ]
    )


def _write(folder: Path, batches: Iterator[pa.RecordBatch]) -> int:
    """Write ticks as a table and as a document, and return their number."""
    path = folder / "ticks.parquet"
    with pq.ParquetWriter(path, computable(TICKS), **SMALL_PAGES) as table:

        def documents() -> Iterator["pa.Array[Any]"]:
            for batch in batches:
                table.write_batch(batch)
                yield tick_objects(batch)

        return write_array(folder / "ticks.json", documents())


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
    manifests = catalog_view(catalog, [PartitionRequest(key, DataType.TRADES, tuple(wanted))], view)
    for manifest in manifests:
        if manifest.digest != wanted[manifest.day]:
            raise ResultError(_changed(entry, key, manifest.day, is_gone=False))
    return manifests


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
) -> Iterator[pa.RecordBatch]:
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
        name = pa.repeat(instrument_id, kept.num_rows)
        columns = [name if column == "instrument_id" else kept[column] for column in TICKS.names]
        yield pa.record_batch(
            [column.cast(kind) for column, kind in zip(columns, TICKS.types, strict=True)],
            schema=TICKS,
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
    table = pa.concat_tables(pq.read_table(manifest.data_path(catalog)) for manifest in manifests)
    yield from table.sort_by("ts_init").to_batches(max_chunksize=_BATCH_ROWS)
