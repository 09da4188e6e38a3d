"""Parameter sweeps: variants of one configuration over one day, side by side."""

import hashlib
from datetime import date

import dagster as dg

from odum_assets.config import LoadedConfig
from odum_assets.errors import BacktestError
from odum_assets.orchestration.assets.backtest import (
    config_metadata,
    config_tags,
    refuse_unusable,
)
from odum_assets.orchestration.checks import SWEEP_CHECKS, check_result, check_specs
from odum_assets.orchestration.failures import failing
from odum_assets.orchestration.metadata import Materialized, to_metadata, variants_table
from odum_assets.orchestration.names import (
    OWNERS,
    POOL_BACKTEST,
    backtest_code_version,
    backtest_key,
)
from odum_assets.orchestration.progress import run_progress
from odum_assets.orchestration.project import Project
from odum_assets.orchestration.registration import register
from odum_assets.orchestration.run_config import SweepConfig


def sweep_asset(project: Project, loaded: LoadedConfig) -> dg.AssetsDefinition:
    """Return the asset that runs variants of one configuration over one day."""
    key = backtest_key(loaded.name, "sweep")

    @dg.asset(
        key=key,
        deps=[source.catalog_key for source in project.sources_of(loaded)],
        partitions_def=project.partitions,
        group_name="backtest",
        kinds={"nautilus", "json"},
        owners=OWNERS,
        tags=config_tags("backtest", loaded),
        code_version=backtest_code_version(loaded),
        pool=POOL_BACKTEST,
        check_specs=check_specs(key, SWEEP_CHECKS, project.partitions),
        metadata=config_metadata(loaded),
        description=(
            f"Parameter sweep: variants of `{loaded.name}` over one UTC day whose data are read "
            "once, each with a result of its own. The run config says what varies (`vary` or "
            "`variants`). Runs on request only; the table of the latest sweep is its metadata."
        ),
    )
    def sweep(context: dg.AssetExecutionContext, config: SweepConfig) -> Materialized:
        with failing({"partition": context.partition_key, "config": loaded.name}):
            return _sweep(context, config, project, loaded)

    return sweep


def _sweep(
    context: dg.AssetExecutionContext, config: SweepConfig, project: Project, loaded: LoadedConfig
) -> Materialized:
    from odum_assets.backtest.request import check_request
    from odum_assets.results.sweep import run_sweep

    request = config.day_request(loaded, date.fromisoformat(context.partition_key))
    variants = config.made_variants(loaded)
    check_request(request, project.settings)
    refuse_unusable(project, request)
    result = run_sweep(
        request,
        variants,
        project.settings,
        slots=config.slots,
        progress=run_progress(context),
        dagster_run_id=context.run.run_id,
        stored=lambda run_id: register(context, project.settings, run_id),
    )
    errors = [each.error for each in result.variants]
    for each in result.variants:
        if each.error is not None:
            context.log.error(f"{each.label}: {each.error}")
    if all(errors):
        first = {each.error: each.label for each in reversed(result.variants)}
        lines = [f"{label}: {text}" for text, label in first.items()]
        raise BacktestError("every variant failed:\n" + "\n".join(lines))
    digests = "".join(each.digest or "failed" for each in result.variants)
    return Materialized(
        metadata=to_metadata(
            {
                "variants": variants_table(result),
                "currency": loaded.config.venue.base_currency,
                "sweep_id": result.sweep_id,
                "variants_run": len(errors),
                "variants_failed": sum(each is not None for each in errors),
                "mode": config.mode,
            }
        ),
        data_version=dg.DataVersion(hashlib.sha256(digests.encode()).hexdigest()),
        check_results=[check_result(check, check.evaluate(errors)) for check in SWEEP_CHECKS],
    )
