"""What assets of one configuration have in common: keys, partitions, tags, pools, owners.

What belongs here: their declaration. What does not: what they do (``backtest``, ``sweep``,
``export``).
"""

from collections.abc import Callable, Sequence
from typing import Any

import dagster as dg

from odum_assets.config import LoadedConfig
from odum_assets.orchestration.automation import ON_NEW_DATA
from odum_assets.orchestration.checks import Check, check_specs
from odum_assets.orchestration.names import (
    OWNERS,
    POOL_BACKTEST,
    backtest_code_version,
    backtest_key,
)
from odum_assets.orchestration.project import Project

type Declaration = Callable[[Callable[..., Any]], dg.AssetsDefinition]
"""A decorator that makes an asset of a function."""


def backtest_asset(
    project: Project,
    loaded: LoadedConfig,
    name: str,
    *,
    checks: Sequence[Check],
    description: str,
    daily: bool = True,
    automated: bool = False,
) -> Declaration:
    """Declare an asset that runs backtests of one configuration on its catalog partitions.

    Parameters
    ----------
    project : Project
        Where the data come from.
    loaded : LoadedConfig
        The configuration.
    name : str
        Last part of the asset key.
    checks : sequence of Check
        What is judged of it.
    description : str
        What a person reads of it.
    daily : bool, optional
        Whether it has a partition per day; else it depends on all days at once.
    automated : bool, optional
        Whether new data make it anew where automation is on.
    """
    key = backtest_key(loaded.name, name)
    partitions = project.partitions if daily else None
    every_day = None if daily else dg.AllPartitionMapping()
    return dg.asset(
        key=key,
        deps=[
            dg.AssetDep(source.catalog_key, partition_mapping=every_day)
            for source in project.sources_of(loaded)
        ],
        partitions_def=partitions,
        group_name="backtest",
        kinds={"nautilus", "json"},
        owners=OWNERS,
        tags=_tags("backtest", loaded),
        code_version=backtest_code_version(loaded),
        pool=POOL_BACKTEST,
        check_specs=check_specs(key, checks, partitions),
        automation_condition=ON_NEW_DATA if automated else None,
        metadata={
            "config_file": dg.MetadataValue.path(str(loaded.path)),
            "config_hash": loaded.content_hash,
            "instrument": str(loaded.key),
        },
        description=description,
    )


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
        partitions_def=project.partitions,
        group_name="export",
        kinds=kinds,
        owners=OWNERS,
        tags=_tags("export", loaded),
        code_version=backtest_code_version(loaded),
        automation_condition=ON_NEW_DATA,
        description=description,
    )


def _tags(stage: str, loaded: LoadedConfig) -> dict[str, str]:
    # The UI selects across configurations by them.
    return {
        "stage": stage,
        "config": loaded.name[:63],
        "venue": loaded.key.venue,
        "symbol": loaded.key.symbol,
    }
