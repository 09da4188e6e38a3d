"""Parameter sweeps: variants of one configuration over one day, side by side."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg

from odum_assets.config import BarsConfig, LoadedConfig, RunConfig
from odum_assets.config.reach import (
    Reach,
    orders_file_problem,
    reach_of,
    reach_problems,
    strategy_problem,
)
from odum_assets.errors import BacktestError, ConfigError
from odum_assets.orchestration.assets.backtest import refuse_unusable
from odum_assets.orchestration.assets.catalog import convert_due
from odum_assets.orchestration.assets.configured import Action, action
from odum_assets.orchestration.canceled_runs import end_if_canceled
from odum_assets.orchestration.checks import SWEEP_CHECKS, check_result
from odum_assets.orchestration.failures import failing
from odum_assets.orchestration.metadata import Materialized, to_metadata, variants_table
from odum_assets.orchestration.names import POOL_BACKTEST, backtest_key, op_name
from odum_assets.orchestration.pool_slots import claimed_slots
from odum_assets.orchestration.progress import run_progress
from odum_assets.orchestration.project import Project
from odum_assets.orchestration.registration import requested_sweep_id, variants_registration
from odum_assets.orchestration.run_config import SweepConfig
from odum_assets.orchestration.steps import report_materialization

if TYPE_CHECKING:
    from odum_assets.config.variants import Variant


def sweep_action(project: Project, loaded: LoadedConfig) -> Action:
    """Return the job that runs variants of one configuration over one day, and its asset."""

    def compute(spec: dg.AssetSpec) -> Callable[..., None]:
        def sweep(context: dg.OpExecutionContext, config: SweepConfig) -> None:
            day = context.partition_key
            with failing({"partition": day, "config": loaded.name}):
                materialized = _sweep(context, config, project, loaded)
                report_materialization(context, spec, materialized, day, [day])

        return sweep

    def check_inputs(metadata: Mapping[str, dg.MetadataValue[Any]]) -> tuple[Any, ...]:
        table = metadata["variants"]
        assert isinstance(table, dg.TableMetadataValue)  # noqa: S101 - as `_sweep` writes it
        return ([record.data["error"] or None for record in table.records],)

    return action(
        project,
        loaded,
        "sweep",
        description=(
            f"Sweep: variants of `{loaded.name}` over one UTC day whose data are read "
            "once (and converted first where they are not), each with a result of its own. The job "
            f"`{loaded.name}_sweep` runs it; its run config says what varies (`vary` or "
            "`variants`). The table of the latest sweep is its metadata."
        ),
        daily=True,
        checks=SWEEP_CHECKS,
        check_inputs=check_inputs,
        compute=compute,
    )


def _refuse_strategies(project: Project, variants: "Sequence[Variant]") -> None:
    """Refuse variants whose strategy or model nobody approved: a run config comes over HTTP.

    Raises
    ------
    ConfigError
        If there are any; the message says what is allowed.
    """
    present = [config.config for config in project.configs]
    reach = reach_of(project.settings)
    # Of what may vary these alone lead out of a configuration; a strategy that is named may have
    # other parameters here.
    named = {config.ticks.strategy.path for config in project.configs if config.bars is None}
    for variant in variants:
        if variant.config.bars is not None:
            problems = reach_problems(variant.config.config, reach, present)
            problem = str(problems[0]) if problems else None
        else:
            path = variant.config.ticks.strategy.path
            problem = None if path in named else strategy_problem(path, reach)
            problem = problem and f"strategy.path: {problem}"
            problem = problem or _orders_problem(variant.config.ticks, present, reach)
        if problem is not None:
            raise ConfigError(f"{variant.label}: {problem}")


def _orders_problem(
    config: RunConfig, present: Sequence[RunConfig | BarsConfig], reach: Reach
) -> str | None:
    named = {values.strategy.orders_file for values in present if isinstance(values, RunConfig)}
    file = config.strategy.orders_file
    problem = None if file in named else orders_file_problem(file, reach)
    return problem and f"strategy.orders_file: {problem}"


def _sweep(
    context: dg.OpExecutionContext, config: SweepConfig, project: Project, loaded: LoadedConfig
) -> Materialized:
    from odum_assets.backtest.request import check_options, check_request
    from odum_assets.results.sweep import Kept, check_sweep, run_sweep

    end_if_canceled(context)
    request = config.day_request(loaded, date.fromisoformat(context.partition_key))
    variants = config.configured_variants(loaded)
    if not project.is_local:
        _refuse_strategies(project, variants)
    kept = Kept(config.figures_only, config.verify, config.sort)
    check_options(request)
    check_sweep(request, variants, kept)
    convert_due(context, project, request, request.days, needs_all=True)
    check_request(request, project.settings)
    refuse_unusable(project, request)
    name = op_name(backtest_key(loaded.name, "sweep"))
    with (
        variants_registration(context, project.settings) as entries,
        claimed_slots(context.instance, context.run, POOL_BACKTEST, name, config.slots) as slots,
    ):
        result = run_sweep(
            request,
            variants,
            project.settings,
            slots=slots,
            progress=run_progress(context),
            dagster_run_id=context.run.run_id,
            sweep_id=requested_sweep_id(context.run),
            begun=entries.begin,
            ended=entries.end,
            kept=kept,
        )
    errors = [variant.error for variant in result.variants]
    for variant in result.variants:
        if variant.error is not None:
            context.log.error(f"{variant.label}: {variant.error}")
    if all(errors):
        first = {variant.error: variant.label for variant in reversed(result.variants)}
        lines = [f"{label}: {text}" for text, label in first.items()]
        raise BacktestError("every variant failed:\n" + "\n".join(lines))
    digests = "".join(variant.digest or "failed" for variant in result.variants)
    return Materialized(
        metadata=to_metadata(
            {
                "variants": variants_table(result),
                "currency": loaded.config.venue.base_currency,
                "sweep_id": result.sweep_id,
                "variants_run": len(errors),
                "variants_failed": sum(error is not None for error in errors),
                "mode": config.mode,
                "engine": config.engine,
                "file": result.file,
                "proof": None if result.proof is None else asdict(result.proof),
            }
        ),
        data_version=dg.DataVersion(hashlib.sha256(digests.encode()).hexdigest()),
        check_results=[check_result(check, check.evaluate(errors)) for check in SWEEP_CHECKS],
    )
