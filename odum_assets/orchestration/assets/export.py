"""What is made of a finished result: the tick export and the tearsheet."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import dagster as dg

from odum_assets.config import LoadedConfig
from odum_assets.errors import DataError
from odum_assets.orchestration.assets.configured import export_asset
from odum_assets.orchestration.failures import failing
from odum_assets.orchestration.metadata import Materialized, tearsheet_link, to_metadata
from odum_assets.orchestration.names import backtest_key, day_job_name
from odum_assets.orchestration.project import Project
from odum_assets.orchestration.registration import register_result
from odum_assets.storage.addresses import location_of

if TYPE_CHECKING:
    from odum_assets.results.store import ResultEntry


_FAST: Final = "Left out: this run is in mode fast, which keeps the summary only."


def ticks_asset(project: Project, loaded: LoadedConfig) -> dg.AssetsDefinition:
    """Return the asset that exports the ticks of a day's result."""

    @export_asset(
        project,
        loaded,
        "ticks",
        kinds={"json"},
        description=(
            f"Ticks: the trades that the day's result of `{loaded.name}` ran over, as "
            "`tickdata/<run_id>.json` for charts."
        ),
    )
    def ticks(context: dg.AssetExecutionContext) -> Iterator[Materialized]:
        from odum_assets.results.ticks import export_ticks

        with failing({"partition": context.partition_key, "config": loaded.name}):
            entry, is_of_run = require_result(context, project, loaded)
            if is_of_run and entry.mode == "fast":
                context.log.info(_FAST)
                return
            export = export_ticks(entry.run_id, project.settings, project.catalog_root(loaded))
            register_result(context, project.settings, entry.run_id)
        figures = {
            "dagster/row_count": export.rows,
            "run_id": entry.run_id,
            "file": dg.MetadataValue.path(location_of(export.path)),
            "size_bytes": export.path.stat().st_size,
        }
        yield Materialized(metadata=to_metadata(figures), data_version=dg.DataVersion(entry.digest))

    return ticks


def report_asset(project: Project, loaded: LoadedConfig) -> dg.AssetsDefinition:
    """Return the asset that writes the tearsheet of a day's result."""

    @export_asset(
        project,
        loaded,
        "report",
        kinds={"html"},
        description=(
            f"Tearsheet: the day's result of `{loaded.name}` as one HTML file to send. Needs a "
            "result of mode report; a run in mode fast leaves it out."
        ),
    )
    def report(context: dg.AssetExecutionContext) -> Iterator[Materialized]:
        from odum_assets.results.tearsheet import write_tearsheet

        with failing({"partition": context.partition_key, "config": loaded.name}):
            entry, is_of_run = require_result(context, project, loaded)
            if is_of_run and entry.mode == "fast":
                context.log.info(_FAST)
                return
            path = write_tearsheet(entry.run_id, project.settings)
            register_result(context, project.settings, entry.run_id)
        figures = {
            "run_id": entry.run_id,
            "tearsheet": tearsheet_link(entry.run_id),
            "file": dg.MetadataValue.path(location_of(path)),
            "size_bytes": path.stat().st_size,
        }
        yield Materialized(metadata=to_metadata(figures), data_version=dg.DataVersion(entry.digest))

    return report


def require_result(
    context: dg.AssetExecutionContext, project: Project, loaded: LoadedConfig
) -> "tuple[ResultEntry, bool]":
    """Return the result that this run has made, a part of a day perhaps, else the partition's.

    The second value says whether this run has made it.

    Raises
    ------
    DataError
        If there is none.
    """
    from odum_assets.results.store import ResultStore

    store, partition = ResultStore(project.settings.results_path), context.partition_key
    where = dg.AssetRecordsFilter(
        asset_key=backtest_key(loaded.name, "result"), asset_partitions=[partition]
    )
    for record in context.instance.fetch_materializations(where, limit=1).records:
        latest = record.asset_materialization
        if record.run_id == context.run.run_id and latest is not None:
            return store.entry(str(latest.metadata["run_id"].value)), True
    entry = store.current(loaded.name, partition)
    if entry is None:
        raise DataError(
            f"{loaded.name} {partition}: there is no result in {project.settings.results_path} to "
            f"export. Materialize backtest/{loaded.name}/result for this partition first, or "
            f"launch the job {day_job_name(loaded.name)}, which does all of a day."
        )
    return entry, False
