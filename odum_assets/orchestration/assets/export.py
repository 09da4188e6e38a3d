"""What is made of a finished result: the tick export and the tearsheet."""

from typing import TYPE_CHECKING

import dagster as dg

from odum_assets.config import LoadedConfig
from odum_assets.errors import DataError
from odum_assets.orchestration.assets.configured import export_asset
from odum_assets.orchestration.failures import failing
from odum_assets.orchestration.metadata import Materialized, tearsheet_link, to_metadata
from odum_assets.orchestration.project import Project
from odum_assets.orchestration.registration import register_result

if TYPE_CHECKING:
    from odum_assets.results.store import ResultEntry


def ticks_asset(project: Project, loaded: LoadedConfig) -> dg.AssetsDefinition:
    """Return the asset that exports the ticks of a day's result."""

    @export_asset(
        project,
        loaded,
        "ticks",
        kinds={"json"},
        description=(
            f"The trades that the day's result of `{loaded.name}` ran over, as "
            "`tickdata/<run_id>.json` for charts."
        ),
    )
    def ticks(context: dg.AssetExecutionContext) -> Materialized:
        from odum_assets.results.ticks import export_ticks

        with failing({"partition": context.partition_key, "config": loaded.name}):
            entry = require_result(project, loaded, context.partition_key)
            export = export_ticks(entry.run_id, project.settings, project.catalog_root(loaded))
            register_result(context, project.settings, entry.run_id)
        figures = {
            "dagster/row_count": export.rows,
            "run_id": entry.run_id,
            "file": dg.MetadataValue.path(str(export.path)),
            "size_bytes": export.path.stat().st_size,
        }
        return Materialized(
            metadata=to_metadata(figures), data_version=dg.DataVersion(entry.digest)
        )

    return ticks


def report_asset(project: Project, loaded: LoadedConfig) -> dg.AssetsDefinition:
    """Return the asset that writes the tearsheet of a day's result."""

    @export_asset(
        project,
        loaded,
        "report",
        kinds={"html"},
        description=(
            f"Tearsheet of the day's result of `{loaded.name}`: one HTML file to send. Needs a "
            "result of mode report; leave it out of a run in mode fast."
        ),
    )
    def report(context: dg.AssetExecutionContext) -> Materialized:
        from odum_assets.results.tearsheet import write_tearsheet

        with failing({"partition": context.partition_key, "config": loaded.name}):
            entry = require_result(project, loaded, context.partition_key)
            path = write_tearsheet(entry.run_id, project.settings)
            register_result(context, project.settings, entry.run_id)
        figures = {
            "run_id": entry.run_id,
            "tearsheet": tearsheet_link(entry.run_id),
            "file": dg.MetadataValue.path(str(path)),
            "size_bytes": path.stat().st_size,
        }
        return Materialized(
            metadata=to_metadata(figures), data_version=dg.DataVersion(entry.digest)
        )

    return report


def require_result(project: Project, loaded: LoadedConfig, partition: str) -> "ResultEntry":
    """Return the latest result of a partition.

    Raises
    ------
    DataError
        If there is none.
    """
    from odum_assets.results.store import ResultStore

    entry = ResultStore(project.settings.results_path).current(loaded.name, partition)
    if entry is None:
        raise DataError(
            f"{loaded.name} {partition}: there is no result in {project.settings.results_path} to "
            f"export. Materialize backtest/{loaded.name}/result for this partition first."
        )
    return entry
