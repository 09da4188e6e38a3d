"""Catalog partitions: one raw day file becomes one file of the NautilusTrader catalog."""

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from odum_assets.config import effective_settings, instrument_spec
from odum_assets.errors import DataError
from odum_assets.orchestration.assets.raw import stage_tags
from odum_assets.orchestration.automation import on_new_data
from odum_assets.orchestration.checks import (
    CATALOG_CHECKS,
    check_result,
    check_specs,
    evaluate_partition,
)
from odum_assets.orchestration.failures import failing
from odum_assets.orchestration.metadata import (
    Materialized,
    StepContext,
    gaps_table,
    rejects_table,
    timestamp,
    to_metadata,
)
from odum_assets.orchestration.names import (
    OLDER_DAYS,
    OWNERS,
    POOL_CONVERSION,
    catalog_code_version,
)
from odum_assets.orchestration.partition_plots import partition_plots
from odum_assets.orchestration.partition_state import (
    State,
    conversion_rules,
    describe_partition,
    sources_for,
)
from odum_assets.orchestration.progress import row_progress
from odum_assets.orchestration.project import Project, RawInput, Source, find_raw, missing_raw
from odum_assets.orchestration.run_config import ConvertConfig
from odum_assets.orchestration.steps import pool_slot, report_materialization, report_raw
from odum_assets.raw.layout import DataType, require_inside
from odum_assets.storage.addresses import location_of

if TYPE_CHECKING:
    from odum_assets.backtest.request import RunRequest
    from odum_assets.catalog import PartitionManifest

_LATENCIES: Final = ("median_ms", "p99_ms", "min_ms", "max_ms")


def catalog_asset(project: Project, source: Source) -> dg.AssetsDefinition:
    """Return the asset that converts one instrument's raw files of one type."""
    names = ", ".join(loaded.name for loaded in source.named_by)
    partitions = project.partitions_of(source.data_type)

    @dg.asset(
        key=source.catalog_key,
        deps=[source.raw_key],
        partitions_def=partitions,
        group_name=source.key.slug,
        kinds={"parquet", "nautilus"},
        owners=OWNERS,
        tags=stage_tags("catalog", source),
        code_version=source_code_version(source),
        pool=POOL_CONVERSION,
        check_specs=check_specs(
            source.catalog_key,
            CATALOG_CHECKS[source.data_type],
            partitions,
        ),
        automation_condition=on_new_data(),
        metadata={"instrument": str(source.key), "nautilus_id": source.key.nautilus_id},
        description=(
            f"Catalog: {source.data_type.value} of {source.key} as NautilusTrader partitions "
            f"(`{source.key.nautilus_id}`). Every raw row is written or counted as rejected; an "
            "unchanged raw file is not converted again. The data version is a hash of the rows.\n"
            f"\n{OLDER_DAYS}\n\nRead by: {names}."
        ),
    )
    def catalog_partition(context: dg.AssetExecutionContext, config: ConvertConfig) -> Materialized:
        day = date.fromisoformat(context.partition_key)
        with failing({"partition": day}):
            return convert(context, project, source, day, force=config.force)

    return catalog_partition


def source_code_version(source: Source) -> str:
    """Return what, besides the raw file, decides the content of a source's partitions."""
    return catalog_code_version(source.loaded, source.key, source.data_type)


def convert(
    context: StepContext, project: Project, source: Source, day: date, *, force: bool = False
) -> Materialized:
    """Convert one raw file, report that it is there, and return what the catalog asset reports.

    Raises
    ------
    OdumError
        If there is no raw file, or it cannot be converted.
    """
    from odum_assets.catalog import convert_partition
    from odum_assets.catalog.definition import definition_changes

    raw = require_raw(source, day, project)
    if source.upstream is None:
        report_raw(context, source, day, raw)
    spec = instrument_spec(source.loaded, source.key)
    root = project.catalog_root(source.loaded)
    changes = definition_changes(root, spec)
    if changes:
        context.log.warning(
            f"{root}: the definition of {spec.key} changes: {', '.join(changes)}. Another "
            "configuration wrote it, or this one has changed; programs that use the catalog "
            "directly see the new one. Days with other precisions must be converted again."
        )
    manifest = convert_partition(
        raw.path,
        source.key,
        spec,
        source.data_type,
        day,
        root,
        bars=conversion_rules(source),
        force=force,
        progress=row_progress(context, f"{source.data_type.value} rows"),
    )
    # First: it says so where the figures of a manifest cannot be used.
    evaluations = evaluate_partition(manifest, source.named_by)
    return Materialized(
        metadata=partition_metadata(manifest, project, source),
        data_version=dg.DataVersion(manifest.digest),
        check_results=[
            check_result(evaluation.check, evaluation.verdict) for evaluation in evaluations
        ],
    )


def convert_due(
    context: dg.OpExecutionContext,
    project: Project,
    request: "RunRequest",
    days: Sequence[date],
    *,
    needs_all: bool,
    sources: Sequence[Source] | None = None,
) -> None:
    """Convert what a run reads and is not up to date, as the catalog assets do, and report it.

    Parameters
    ----------
    context : dg.OpExecutionContext
        The op that runs it.
    project : Project
        Where the data come from.
    request : RunRequest
        The run: its configuration and snapshot mode.
    days : sequence of date
        Its days.
    needs_all : bool
        Whether a day without raw file and partition is an error; else it is left out.
    sources : sequence of Source, optional
        Only these of what the run reads.

    Raises
    ------
    OdumError
        If a raw file is missing where it is needed, or cannot be converted.
    """
    if sources is None:
        sources = sources_for(project, request.config, request.snapshot_mode)
    for source in sources:
        needs_day = needs_all and source.is_required(request.config)
        recorded = context.instance.get_materialized_partitions(source.catalog_key)
        partitions = [
            describe_partition(project, source, day)
            for day in dict.fromkeys(map(source.partition_of, days))
        ]
        due = [
            partition.day
            for partition in partitions
            if partition.is_due(recorded) or (needs_day and partition.state is State.MISSING)
        ]
        if not due:
            continue
        spec = dg.AssetSpec(
            source.catalog_key,
            deps=[source.raw_key],
            code_version=source_code_version(source),
        )
        with pool_slot(context, POOL_CONVERSION):
            for day in due:
                context.log.info(f"converting {source.data_type.value} of {day}")
                materialized = convert(context, project, source, day)
                report_materialization(
                    context, spec, materialized, day.isoformat(), [day.isoformat()]
                )


def require_raw(source: Source, day: date, project: Project) -> RawInput:
    """Return the raw file of a day.

    Raises
    ------
    DataError
        If there is none, or a link leads out of the raw root; it names the file and what to do.
    ConfigError
        If the configuration reads from a source that is not supported.
    """
    raw = find_raw(source, day, project.settings)
    if raw is None:
        raise DataError(missing_raw(source, day, project.settings))
    if source.upstream is not None:
        return raw
    require_inside(raw.path, effective_settings(source.loaded, project.settings).raw_root)
    return raw


def partition_metadata(
    manifest: "PartitionManifest", project: Project, source: Source
) -> dict[str, dg.MetadataValue[Any]]:
    """Return what a person wants to know of a partition: rows, rejects, span, quality, files."""
    quality = manifest.quality
    latency, gaps, rate = quality["latency"] or {}, quality["gaps"], quality["rate"]
    data_path = manifest.data_path(project.catalog_root(source.loaded))
    figures = {
        "dagster/row_count": manifest.rows_written,
        "rows_in": manifest.rows_in,
        "rows_rejected": manifest.rows_rejected,
        "rows_unchanged": manifest.unchanged or None,
        **partition_plots(manifest),
        "rejects": rejects_table(manifest.rejected, manifest.rows_in),
        "first": timestamp(manifest.first_ts_init),
        "last": timestamp(manifest.last_ts_init),
        "unknown_sides": manifest.unknown_sides,
        "longest_gap_s": gaps["max_s"],
        "largest_gaps": gaps_table(gaps["largest"]),
        **{f"latency_{name}": latency.get(name) for name in _LATENCIES},
        "rows_before_exchange_time": latency.get("negative_rows"),
        "median_rows_per_second": rate["median_per_second"],
        "max_rows_per_second": rate["max_per_second"],
        "mean_rows_per_second": rate["mean_per_second"],
        "size_bytes": manifest.file.size,
        "raw_file": dg.MetadataValue.path(manifest.source.path),
        "raw_sha256": manifest.source.sha256,
        "catalog_file": dg.MetadataValue.path(location_of(data_path)),
        "digest": manifest.digest,
    }
    for name in ("zero_volume_bars", "split_suspected", "ignored_columns"):
        figures[name] = quality.get(name)
    for name in ("price_min", "price_max", "volume", "duplicate_ids", "id_skips", "ids_missing"):
        figures[name] = quality.get(name)
    for name in ("crossed_books", "locked_books", "one_sided_books", "repeated_books"):
        figures[name] = quality.get(name)
    if manifest.data_type is DataType.BOOK:
        spread = quality["spread"]
        figures |= {
            "spread_median": spread["median"],
            "spread_mean": spread["mean"],
            "spread_median_bps": spread["bps"]["median"],
            "spread_p95_ticks": spread["ticks"]["p95"],
            "spread_max_ticks": spread["ticks"]["max"],
            "spread_mean_ticks_by_time": spread["by_time"]["mean_ticks"],
        }
    return to_metadata(figures)
