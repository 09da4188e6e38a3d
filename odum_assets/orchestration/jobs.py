"""Jobs: everything of one configuration for one day."""

from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    # Dagster exports the function that makes it, not the type.
    from dagster._core.definitions.unresolved_asset_job_definition import (
        UnresolvedAssetJobDefinition,
    )

DAY_STEPS = ("result", "ticks", "report")
"""Daily assets of a configuration besides its catalog partitions; those of bars have no ticks,
those of a model have signals, too."""


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


def day_job(project: Project, loaded: LoadedConfig) -> "UnresolvedAssetJobDefinition":
    """Return the job that makes a configuration's catalog partitions, result, ticks and report."""
    return dg.define_asset_job(
        day_job_name(loaded.name),
        selection=dg.AssetSelection.assets(*day_assets(project, loaded)),
        tags={"odum/config": loaded.name},
        description=(
            f"Convert, run and export one day of {loaded.name} ({loaded.key}). {OLDER_DAYS}"
        ),
    )
