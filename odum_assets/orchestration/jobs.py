"""Jobs: everything of one configuration for one day."""

import dagster as dg

from odum_assets.config import LoadedConfig
from odum_assets.orchestration.names import (
    OLDER_DAYS,
    backtest_key,
    day_job_name,
    model_labels,
    signals_key,
)
from odum_assets.orchestration.project import Project

DAY_STEPS = ("result", "ticks", "report")
"""Daily assets of a configuration besides its catalog partitions; those of bars have no ticks,
those of a model have signals, too."""


type Assets = dict[dg.AssetKey, dg.AssetsDefinition | dg.AssetSpec]
"""Assets by their keys."""


def day_assets(project: Project, loaded: LoadedConfig) -> list[dg.AssetKey]:
    """Return the assets of a configuration's day job, in the order of the graph.

    What a day may lack is not among them: a step that makes nothing would have all that follows
    skipped. The step of the result converts it.
    """
    catalog = [
        source.catalog_key for source in project.sources_of(loaded) if source.is_required(loaded)
    ]
    signals = [signals_key(loaded.name)] if model_labels(loaded) else []
    steps = [step for step in DAY_STEPS if loaded.bars is None or step != "ticks"]
    return [*catalog, *signals, *(backtest_key(loaded.name, step) for step in steps)]


def day_job(project: Project, loaded: LoadedConfig, assets: Assets) -> dg.JobDefinition:
    """Return the job that makes a configuration's catalog partitions, result, ticks and report.

    Parameters
    ----------
    project : Project
        Where the data come from.
    loaded : LoadedConfig
        The configuration.
    assets : Assets
        All of the graph.
    """
    name, keys = day_job_name(loaded.name), day_assets(project, loaded)
    job = dg.define_asset_job(
        name,
        selection=dg.AssetSelection.assets(*keys),
        tags={"odum/config": loaded.name},
        description=(
            f"Convert, run and export one day of {loaded.name} ({loaded.key}). {OLDER_DAYS}"
        ),
    )
    definitions = [assets[key] for key in keys]
    needed = {
        key
        for definition in definitions
        if isinstance(definition, dg.AssetsDefinition)
        for above in definition.asset_deps.values()
        for key in above
    }
    # Among all assets Dagster would look at each of them for each job: seconds for 200 jobs.
    around = [assets[key] for key in needed.difference(keys)]
    return dg.Definitions(
        assets=[*definitions, *around], jobs=[job], executor=dg.in_process_executor
    ).resolve_job_def(name)
