"""The graph as one `dg.Definitions`."""

import logging
from typing import Any

import dagster as dg

from odum_assets.orchestration.assets.backtest import result_asset, window_action
from odum_assets.orchestration.assets.catalog import catalog_asset
from odum_assets.orchestration.assets.export import report_asset, ticks_asset
from odum_assets.orchestration.assets.raw import raw_spec
from odum_assets.orchestration.assets.signals import model_specs, signals_asset
from odum_assets.orchestration.assets.sweep import sweep_action
from odum_assets.orchestration.assets.vsweep import can_be_swept, vsweep_action
from odum_assets.orchestration.automation import automation_sensor
from odum_assets.orchestration.dagster_schemas import shared_schemas
from odum_assets.orchestration.jobs import Assets, day_job
from odum_assets.orchestration.names import model_labels
from odum_assets.orchestration.project import Project, load_project
from odum_assets.orchestration.sensors import (
    ended_run_sensors,
    ended_runs_sensor,
    raw_days_sensor,
)
from odum_assets.orchestration.verification import verification_job
from odum_assets.settings import Settings, load_settings

_LOG = logging.getLogger(__name__)


def build_definitions(*, settings: Settings | None = None) -> dg.Definitions:
    """Return the graph of all configurations that can be used, and log what is wrong with others.

    Parameters
    ----------
    settings : Settings, optional
        All paths; read from the environment by default.

    Raises
    ------
    ConfigError
        If the folder of configurations or an environment variable cannot be used.
    """
    project = load_project(settings or load_settings())
    for refused in project.refused:
        _LOG.warning("Left out of the graph: %s", refused)
    return definitions_of(project)


def definitions_of(project: Project) -> dg.Definitions:
    """Return the graph of a project that is loaded already.

    Steps of a run share one process: starting one per step costs more than most steps take, and
    days run side by side as runs of their own.
    """
    with shared_schemas():
        return _declared(project)


def _declared(project: Project) -> dg.Definitions:
    specs = [raw_spec(project, source) for source in project.sources if source.upstream is None]
    specs += model_specs(project)
    catalog = [catalog_asset(project, source) for source in project.sources]
    daily, actions = [], []
    for loaded in project.configs:
        daily += [
            *([signals_asset(project, loaded)] if model_labels(loaded) else []),
            result_asset(project, loaded),
            *([] if loaded.bars else [ticks_asset(project, loaded)]),
            report_asset(project, loaded),
        ]
        actions += [window_action(project, loaded), sweep_action(project, loaded)]
        if can_be_swept(loaded):
            actions.append(vsweep_action(project, loaded))
    assets: Assets = {spec.key: spec for spec in specs}
    assets |= {key: definition for definition in (*catalog, *daily) for key in definition.keys}
    jobs = [day_job(project, loaded, assets) for loaded in project.configs]
    automated = [asset.key for asset in (*catalog, *daily)]
    sensors: list[dg.SensorDefinition] = [
        raw_days_sensor(project, jobs),
        ended_runs_sensor(project),
        *ended_run_sensors(project),
    ]
    if automated:
        sensors.append(automation_sensor(automated))
    return dg.Definitions(
        assets=[*specs, *catalog, *daily, *(action.spec for action in actions)],
        asset_checks=[action.checks for action in actions],
        jobs=[*jobs, *(action.job for action in actions), verification_job(project)],
        sensors=sensors,
        executor=dg.in_process_executor,
        metadata=_refusals(project),
    )


def _refusals(project: Project) -> dict[str, dg.MetadataValue[Any]]:
    """Return what the UI shows at the code location: files that could not be used, and why."""
    return {
        f"left out of the graph: {refused.path.name}": dg.MetadataValue.text(
            f"{refused}\nAfter mending the file, reload this code location."
        )
        for refused in project.refused
    }
