"""What assets of one configuration have in common: keys, partitions, tags, pools, owners.

What belongs here: their declaration, as assets of the graph or as actions: jobs that run on request
and report an external asset. What does not: what they do (``backtest``, ``sweep``, ``export``).
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from odum_assets.bars.calendar import BarCalendar
from odum_assets.config import LoadedConfig
from odum_assets.orchestration.automation import on_new_data
from odum_assets.orchestration.checks import (
    Check,
    ResultCheck,
    SweepCheck,
    VsweepCheck,
    check_result,
    check_specs,
)
from odum_assets.orchestration.names import (
    OWNERS,
    POOL_BACKTEST,
    action_job_name,
    backtest_code_version,
    backtest_key,
    model_key,
    model_labels,
    op_name,
    signals_key,
)
from odum_assets.orchestration.project import Project

type Declaration = Callable[[Callable[..., Any]], dg.AssetsDefinition]
"""A decorator that makes an asset of a function."""


@dataclass(frozen=True, slots=True)
class Action:
    """What runs on request: a job, and the external asset whose materialization its op reports.

    "Materialize all" leaves it alone: without the choices of a person it has nothing to run.

    Parameters
    ----------
    spec : dg.AssetSpec
        The asset: where the latest run is seen.
    job : dg.JobDefinition
        What runs it.
    checks : dg.AssetChecksDefinition
        What the op evaluates; run by themselves they evaluate the latest materialization once more.
    """

    spec: dg.AssetSpec
    job: dg.JobDefinition
    checks: dg.AssetChecksDefinition


def action(
    project: Project,
    loaded: LoadedConfig,
    name: str,
    *,
    description: str,
    daily: bool,
    checks: Sequence[ResultCheck] | Sequence[SweepCheck] | Sequence[VsweepCheck],
    check_inputs: Callable[[Mapping[str, dg.MetadataValue[Any]]], tuple[Any, ...]],
    compute: Callable[[dg.AssetSpec], Callable[..., None]],
) -> Action:
    """Declare an action of one configuration.

    Parameters
    ----------
    project : Project
        Where the data come from.
    loaded : LoadedConfig
        The configuration.
    name : str
        Last part of the asset's key and of the job's name, one of `names.ACTIONS`.
    description : str
        What a person reads of it.
    daily : bool
        Whether it has a partition per day; else it depends on all days at once.
    checks : sequence of ResultCheck, SweepCheck or VsweepCheck
        Its checks.
    check_inputs : callable
        Return what the checks evaluate from the metadata of a materialization.
    compute : callable
        Return the function of the op, which reports the asset that it is given.
    """
    spec = dg.AssetSpec(**_attributes(project, loaded, name, daily), description=description)
    run = dg.op(name=op_name(spec.key), pool=POOL_BACKTEST, description=description)(compute(spec))

    @dg.job(
        name=action_job_name(loaded.name, name),
        description=description,
        partitions_def=spec.partitions_def,
        tags={"odum/config": loaded.name},
    )
    def job() -> None:
        run()

    @dg.multi_asset_check(
        name=f"{op_name(spec.key)}__checks",
        specs=check_specs(spec.key, checks, spec.partitions_def),
        can_subset=True,
    )
    def evaluate_checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        where = dg.AssetRecordsFilter(
            asset_key=spec.key, asset_partitions=[context.partition_key] if daily else None
        )
        # Nothing is evaluated where nothing has been run.
        for record in context.instance.fetch_materializations(where, limit=1).records:
            latest = record.asset_materialization
            chosen = {key.name for key in context.selected_asset_check_keys}
            for check in checks if latest is not None else ():
                if check.name in chosen:
                    yield check_result(check, check.evaluate(*check_inputs(latest.metadata)))

    return Action(spec, job, evaluate_checks)


def backtest_asset(
    project: Project, loaded: LoadedConfig, *, checks: Sequence[Check], description: str
) -> Declaration:
    """Declare the asset that runs one configuration over one day of its catalog partitions.

    Parameters
    ----------
    project : Project
        Where the data come from.
    loaded : LoadedConfig
        The configuration.
    checks : sequence of Check
        Its checks.
    description : str
        What a person reads of it.
    """
    attributes = _attributes(project, loaded, "result", daily=True)
    declare: Declaration = dg.asset(
        **attributes,
        pool=POOL_BACKTEST,
        check_specs=check_specs(attributes["key"], checks, attributes["partitions_def"]),
        automation_condition=on_new_data(
            [
                source.catalog_key
                for source in project.sources_of(loaded)
                if not source.is_required(loaded)
            ]
        ),
        description=description,
    )
    return declare


def signals_declaration(project: Project, loaded: LoadedConfig, *, description: str) -> Declaration:
    """Declare the asset of the signals of a configuration's model.

    Parameters
    ----------
    project : Project
        Where the data come from.
    loaded : LoadedConfig
        The configuration.
    description : str
        What a person reads of it.
    """
    attributes = _attributes(project, loaded, "result", daily=True)
    catalog = [dep for dep in attributes["deps"] if isinstance(dep, dg.AssetDep)]
    attributes |= {
        "key": signals_key(loaded.name),
        "deps": [*catalog, *map(model_key, model_labels(loaded))],
        "kinds": {"parquet"},
        "tags": _tags("signals", loaded),
    }
    declare: Declaration = dg.asset(
        **attributes,
        pool=POOL_BACKTEST,
        automation_condition=on_new_data(),
        description=description,
    )
    return declare


def export_asset(
    project: Project, loaded: LoadedConfig, name: str, *, kinds: set[str], description: str
) -> Declaration:
    """Declare an asset that is made of a day's result.

    Parameters
    ----------
    project : Project
        Whose days there are.
    loaded : LoadedConfig
        The configuration.
    name : str
        Last part of the asset key.
    kinds : set of str
        What it is made of and with.
    description : str
        What a person reads of it.
    """
    return dg.asset(
        key=backtest_key(loaded.name, name),
        deps=[backtest_key(loaded.name, "result")],
        partitions_def=project.result_partitions(loaded),
        group_name=loaded.name,
        kinds=kinds,
        owners=OWNERS,
        tags=_tags("export", loaded),
        code_version=backtest_code_version(loaded),
        # A run in mode fast makes none.
        output_required=False,
        automation_condition=on_new_data(),
        description=description,
    )


def _attributes(project: Project, loaded: LoadedConfig, name: str, daily: bool) -> dict[str, Any]:
    return {
        "key": backtest_key(loaded.name, name),
        "deps": [
            *(
                dg.AssetDep(source.catalog_key, partition_mapping=_mapping(loaded, daily))
                for source in project.sources_of(loaded)
            ),
            # What runs on request predicts by itself, over all of its bars.
            *(map(model_key, model_labels(loaded)) if name == "vsweep" else []),
            *([signals_key(loaded.name)] if name == "result" and model_labels(loaded) else []),
        ],
        "partitions_def": project.result_partitions(loaded) if daily else None,
        "group_name": loaded.name,
        "kinds": {"numba", "parquet"} if name == "vsweep" else {"nautilus", "json"},
        "owners": OWNERS,
        "tags": _tags("backtest", loaded),
        "code_version": backtest_code_version(loaded),
        "metadata": {
            "config_file": dg.MetadataValue.path(str(loaded.path)),
            "config_hash": loaded.content_hash,
            "instrument": str(loaded.key),
        },
    }


def _mapping(loaded: LoadedConfig, daily: bool) -> dg.PartitionMapping | None:
    """Return which catalog partitions a result depends on; None: that of its own day."""
    if not daily:
        return dg.AllPartitionMapping()
    if loaded.bars is None or loaded.bars.bars.is_daily:
        return None
    first, last = BarCalendar.of(loaded.bars).day_offsets()
    if (first, last) == (0, 0):
        return None
    with warnings.catch_warnings():
        # A beta in this version of Dagster. Without it the first date, whose session opens on the
        # day before all partitions, could not be shown.
        warnings.filterwarnings("ignore", ".*allow_nonexistent_upstream", dg.BetaWarning)
        return dg.TimeWindowPartitionMapping(
            start_offset=first, end_offset=last, allow_nonexistent_upstream_partitions=True
        )


def _tags(stage: str, loaded: LoadedConfig) -> dict[str, str]:
    # The UI selects across configurations by them.
    return {
        "stage": stage,
        "config": loaded.name[:63],
        "venue": loaded.key.venue,
        "symbol": loaded.key.symbol,
    }
