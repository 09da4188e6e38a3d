"""One raw file to one catalog partition, from the scan of its times to the manifest."""

import platform
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.bars.sessions import timezone_database
from odum_assets.catalog.bar_quality import BarsQuality
from odum_assets.catalog.bar_rules import BarRules
from odum_assets.catalog.bars import BarsTransform, bar_window, scan_bars
from odum_assets.catalog.book import BookTransform
from odum_assets.catalog.definition import write_definition
from odum_assets.catalog.funding import FundingTransform
from odum_assets.catalog.links import require_inside
from odum_assets.catalog.manifest import (
    MANIFEST_VERSION,
    FileRecord,
    PartitionManifest,
    SourceRecord,
    read_manifest,
)
from odum_assets.catalog.partition_writer import ROW_GROUP_ROWS, PartitionWriter
from odum_assets.catalog.paths import PartitionPaths, data_file_name
from odum_assets.catalog.publish import clear_staging, publish, sweep_staging
from odum_assets.catalog.quality import BookQuality, Quality, TradesQuality
from odum_assets.catalog.rejects import RejectLog
from odum_assets.catalog.scan import Scan, order_by_arrival, scan_times
from odum_assets.catalog.times import DayWindow
from odum_assets.catalog.trade_bars import TradeBars
from odum_assets.catalog.trades import TradesTransform
from odum_assets.catalog.transform import Transform, TransformInput
from odum_assets.errors import DataError
from odum_assets.instruments import InstrumentKey, InstrumentSpec
from odum_assets.raw.fingerprint import FileStat, stat_source
from odum_assets.raw.layout import DataType
from odum_assets.raw.reading import RawReader, check_unchanged, fetch_source
from odum_assets.storage.addresses import location_of
from odum_assets.storage.buckets import ObjectChangedError
from odum_assets.storage.copies import generation, push, size_of_file
from odum_assets.storage.files import hash_file, write_synced
from odum_assets.storage.locks import hold_lock

CONVERTER_VERSION = 2
"""Raise it when the same raw rows would become other catalog rows."""

Progress = Callable[[int, int], None]

_TRANSFORMS: dict[DataType, type[Transform]] = {
    DataType.TRADES: TradesTransform,
    DataType.BOOK: BookTransform,
    DataType.FUNDING: FundingTransform,
    **dict.fromkeys((kind for kind in DataType if kind.is_bars), BarsTransform),
}
_QUALITIES: dict[DataType, type[Quality]] = {
    DataType.TRADES: TradesQuality,
    DataType.BOOK: BookQuality,
    DataType.FUNDING: Quality,
    **dict.fromkeys((kind for kind in DataType if kind.is_bars), BarsQuality),
}


def convert_partition(
    source: str,
    key: InstrumentKey,
    instrument: InstrumentSpec,
    data_type: DataType,
    day: date,
    catalog_root: Path,
    *,
    bars: BarRules | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> PartitionManifest:
    """Convert one raw file into one catalog partition, unless that is what the catalog holds.

    Parameters
    ----------
    source : str
        Raw file: local path or URL.
    key : InstrumentKey
        Instrument that its rows must belong to.
    instrument : InstrumentSpec
        Precisions of prices and sizes.
    data_type : DataType
        What the file holds.
    day : date
        UTC day of the partition; of a year its first.
    catalog_root : Path
        The catalog; made if it does not exist.
    bars : BarRules, optional
        How times of bars are read; required for bars.
    force : bool, default False
        Convert even if nothing changed.
    progress : callable, optional
        Called with rows done and rows in all, at the latest after every 131,072 rows.

    Returns
    -------
    PartitionManifest
        Of the new partition, or of the one that was up to date.

    Raises
    ------
    DataError
        If the raw file is missing, damaged, changes while it is read, is not what it should be or
        holds no usable row, or if the catalog cannot be written. An earlier partition stays intact.
    """
    paths = PartitionPaths(catalog_root, key, data_type, day)
    job = _Job(source, instrument, paths, bars)
    require_inside(
        catalog_root,
        paths.data_folder,
        paths.manifest,
        paths.rejects,
        *(paths.staged(kind) for kind in ("data", "manifest", "raw", "rejects")),
        paths.partition_lock,
        paths.publish_lock,
    )
    with _translate_errors(source, catalog_root), hold_lock(paths.partition_lock):
        clear_staging(paths)
        sweep_staging(catalog_root)
        stat = stat_source(source)
        current = None if force else _usable(job)
        if current is not None and current.source == replace(
            current.source, path=source, size=stat.size, mtime_ns=stat.mtime_ns
        ):
            write_definition(paths, instrument)
            return current
        try:
            local = fetch_source(source, paths.staged("raw"))
            try:
                manifest = _convert(job, local, stat, current, progress)
            except ObjectChangedError:
                manifest = _of_other_machine(job, local)
            # After the data: a catalog that is refused as somebody else's stays as it is.
            write_definition(paths, instrument)
            return manifest
        except Exception:
            # Half of one delivery and half of the next looks like damage, or like lost rows.
            check_unchanged(source, stat)
            raise
        finally:
            clear_staging(paths)


@dataclass(frozen=True, slots=True)
class _Job:
    source: str
    instrument: InstrumentSpec
    paths: PartitionPaths
    bars: BarRules | None

    @property
    def rules(self) -> dict[str, Any]:
        """What decides the rows besides the raw file and the precisions; kept in the manifest."""
        if self.bars is None:
            return {}
        return self.bars.document(self.instrument)


def _usable(job: _Job) -> PartitionManifest | None:
    """Return the partition's manifest if nothing but the raw file could have made it outdated."""
    paths, instrument = job.paths, job.instrument
    try:
        manifest = read_manifest(paths.catalog_root, paths.key, paths.data_type, paths.day)
    except DataError:
        return None
    if manifest is None:
        return None
    versions = (manifest.converter_version, manifest.manifest_version)
    if versions != (CONVERTER_VERSION, MANIFEST_VERSION):
        return None
    precisions = (instrument.price_precision, instrument.size_precision)
    if (manifest.price_precision, manifest.size_precision) != precisions:
        return None
    if manifest.rules != job.rules:
        return None
    if size_of_file(paths.data_folder / manifest.file.name) != manifest.file.size:
        return None
    if bool(manifest.rejected) != (size_of_file(paths.rejects) is not None):
        return None
    return manifest


def _of_other_machine(job: _Job, local: Path) -> PartitionManifest:
    """Return the manifest of a machine that converted the same file at the same time.

    Raises
    ------
    ObjectChangedError
        If it converted something else.
    """
    manifest = _usable(job)
    if manifest is None or manifest.source.sha256 != hash_file(local):
        raise ObjectChangedError(
            f"{location_of(job.paths.manifest)}: another machine converted another delivery of "
            f"{job.source} at the same time; run the conversion again"
        )
    return manifest


def _convert(
    job: _Job,
    local: Path,
    stat: FileStat,
    current: PartitionManifest | None,
    progress: Progress | None,
) -> PartitionManifest:
    if current is not None:
        sha256 = hash_file(local)
        if sha256 == current.source.sha256:
            return _retouch(job, current, stat)
    with ThreadPoolExecutor(1, "catalog-figures") as pool:
        return _build(job, local, stat, pool, progress)


def _retouch(job: _Job, current: PartitionManifest, stat: FileStat) -> PartitionManifest:
    """Record where the same bytes lie now; the data stay untouched."""
    source = SourceRecord(job.source, stat.size, stat.mtime_ns, current.source.sha256)
    manifest = replace(current, source=source)
    check_unchanged(job.source, stat)
    expected, target = generation(job.paths.manifest), job.paths.manifest
    if _usable(job) != current:
        raise ObjectChangedError(f"{location_of(target)}: another machine replaced it; try again")
    staged = write_synced(job.paths.staged("manifest"), manifest.to_json())
    push(staged, target, expected)
    staged.replace(target)
    return manifest


def _build(
    job: _Job,
    local: Path,
    stat: FileStat,
    pool: ThreadPoolExecutor,
    progress: Progress | None,
) -> PartitionManifest:
    paths = job.paths
    hashing = pool.submit(hash_file, local)
    reader, window, scan = _opened(job, local)
    inputs = TransformInput(reader.schema, scan.units, window, job.instrument, job.bars)
    transform = _TRANSFORMS[paths.data_type](inputs)
    rejects = RejectLog(paths.staged("rejects"))
    has_arrivals = reader.schema.ts_init is not None
    quality = _QUALITIES[paths.data_type](window, job.instrument, has_arrivals=has_arrivals)
    with PartitionWriter(paths.staged("data"), transform) as writer:
        unchanged_rows = 0
        for ordered in _in_order(_accepted(reader, transform, rejects, progress), scan):
            quality.cover(ordered["ts_init"].to_numpy())
            normalized = transform.drop_unchanged(ordered)
            unchanged_rows += ordered.num_rows - normalized.num_rows
            quality.update(normalized)
            writer.write(normalized)
        has_rejects = rejects.close()
        if writer.rows == 0 or writer.first_ts_init is None or writer.last_ts_init is None:
            raise DataError(_no_rows_message(job, reader.rows, rejects.counts))
        # While the last row groups are written, and the file is read back.
        figures = pool.submit(quality.figures)
        digest = writer.finish()
    if reader.rows != writer.rows + rejects.total + unchanged_rows:
        raise AssertionError(
            f"{job.source}: {reader.rows} rows in, {writer.rows} written, "
            f"{rejects.total} rejected, {unchanged_rows} unchanged"
        )
    data = paths.staged("data")
    _verify(data, transform.schema, writer.rows)
    name = data_file_name(writer.first_ts_init, writer.last_ts_init)
    file = FileRecord(name, data.stat().st_size, hash_file(data))
    first_event, last_event = quality.event_bounds()
    manifest = PartitionManifest(
        key=str(paths.key),
        nautilus_id=paths.key.nautilus_id,
        data_type=paths.data_type,
        day=paths.day,
        source=SourceRecord(job.source, stat.size, stat.mtime_ns, hashing.result()),
        rows_in=reader.rows,
        rows_written=writer.rows,
        rejected=rejects.counts,
        unchanged=unchanged_rows,
        unknown_sides=quality.unknown_sides,
        first_ts_init=writer.first_ts_init,
        last_ts_init=writer.last_ts_init,
        first_ts_event=first_event,
        last_ts_event=last_event,
        sorted_source=scan.sorted,
        time_units=scan.units,
        price_precision=job.instrument.price_precision,
        size_precision=job.instrument.size_precision,
        quality={
            "arrival_times": has_arrivals,
            "out_of_order_rows": scan.out_of_order,
            **figures.result(),
            **({} if job.bars is None else {"ignored_columns": _ignored(reader)}),
        },
        file=file,
        digest=digest,
        converter_version=CONVERTER_VERSION,
        versions=_versions(job.bars),
        rules=job.rules,
    )
    check_unchanged(job.source, stat)
    publish(paths, name, manifest.to_json(), rejects=has_rejects)
    return manifest


def _opened(job: _Job, local: Path) -> tuple[RawReader | TradeBars, DayWindow, Scan]:
    """Open the source, with the times of the partition and what a first pass says of the rows."""
    paths, bars = job.paths, job.bars
    if bars is None:
        reader = RawReader(job.source, local, paths.data_type)
        window = DayWindow(paths.day)
        return reader, window, scan_times(reader, job.source, window, ROW_GROUP_ROWS)
    window = bar_window(paths.data_type, paths.day)
    if bars.label is None:
        rows = TradeBars(local, paths.data_type, job.instrument, window, bars.step)
        return rows, window, scan_bars(rows, job.source, window, bars)
    reader = RawReader(job.source, local, paths.data_type)
    return reader, window, scan_bars(reader, job.source, window, bars)


def _accepted(
    reader: RawReader | TradeBars,
    transform: Transform,
    rejects: RejectLog,
    progress: Progress | None,
) -> Iterator[pa.RecordBatch]:
    """Yield the accepted rows as normalized batches, in the order of the file."""
    done = 0
    batches = reader.batches(ROW_GROUP_ROWS)
    if transform.whole_file and reader.rows:
        batches = iter(pa.Table.from_batches(list(batches)).combine_chunks().to_batches())
    for batch in batches:
        normalized, codes = transform.apply(batch)
        if codes is not None:
            rejects.add(batch, codes, done)
        done += batch.num_rows
        yield normalized
        if progress is not None:
            progress(done, reader.rows)


def _ignored(reader: RawReader | TradeBars) -> list[str]:
    """Return the columns of a raw file that have no role."""
    return [name for name in reader.column_names if name not in reader.schema.columns]


def _in_order(batches: Iterator[pa.RecordBatch], scan: Scan) -> Iterator[pa.RecordBatch]:
    """Yield the rows in order of ``ts_init``; one that is not in order is held in memory."""
    if scan.sorted:
        yield from batches
        return
    table = pa.Table.from_batches(list(batches)).combine_chunks()
    if table.num_rows == 0:
        return
    order = order_by_arrival(table["ts_init"].to_numpy())
    for start in range(0, len(order), ROW_GROUP_ROWS):
        yield table.take(order[start : start + ROW_GROUP_ROWS]).to_batches()[0]


def _verify(data: Path, schema: pa.Schema, rows: int) -> None:
    """Open the finished file again and compare its schema and row count."""
    with pq.ParquetFile(data) as file:
        if file.metadata.num_rows != rows or not file.schema_arrow.equals(schema, True):
            raise DataError(
                f"{data}: the written file reads back differently; the disk may be failing. "
                "Nothing was published."
            )


_FINER = {
    "price_too_many_decimals": "raise instrument.price_precision to the decimals of its prices",
    "size_too_many_decimals": "raise instrument.size_precision to the decimals of its sizes",
}
_FINER_BARS = {
    "price_too_many_decimals": "lower instruments.tick_size to the decimals of its prices",
    "volume_too_many_decimals": "lower instruments.lot_size to the decimals of its volumes",
}


def _no_rows_message(job: _Job, rows: int, rejected: dict[str, int]) -> str:
    if rows == 0:
        return f"{job.source}: the raw file has no rows; there is nothing to make a partition of."
    reasons = ", ".join(f"{reason} {count}" for reason, count in rejected.items())
    finer = _FINER if job.bars is None else _FINER_BARS
    advice = "".join(f", and {text}" for reason, text in finer.items() if reason in rejected)
    return (
        f"{job.source}: none of its {rows} rows can be used ({reasons}). Nothing was written; "
        f"check that the file belongs to this day and instrument{advice}."
    )


def _versions(bars: BarRules | None) -> dict[str, str]:
    clocks = {} if bars is None or bars.sessions is None else {"tzdata": timezone_database()}
    return {
        **clocks,
        "odum_assets": version("odum-assets"),
        "pyarrow": pa.__version__,
        "python": platform.python_version(),
    }


@contextmanager
def _translate_errors(source: str, catalog_root: Path) -> Iterator[None]:
    """Turn a catalog that cannot be written, and a value that Arrow refuses, into a `DataError`."""
    try:
        yield
    except pa.ArrowException as error:
        raise DataError(f"{source}: a column cannot be converted ({error}).") from error
    except OSError as error:
        raise DataError(
            f"{location_of(catalog_root)}: the catalog cannot be written "
            f"({error.strerror or error}). "
            "An earlier partition is untouched; free space or give write permission, "
            "then run the conversion again."
        ) from error
