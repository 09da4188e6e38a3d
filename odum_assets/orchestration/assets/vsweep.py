"""Vectorized sweeps: a crossover or a model over a grid of parameters, in one file of figures."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from odum_assets.backtest.bar_strategies import SWEPT
from odum_assets.bars.calendar import BarCalendar
from odum_assets.config import LoadedConfig
from odum_assets.orchestration.assets.backtest import refuse_unusable
from odum_assets.orchestration.assets.catalog import convert_due
from odum_assets.orchestration.assets.configured import Action, action
from odum_assets.orchestration.checks import VSWEEP_CHECKS, check_result
from odum_assets.orchestration.failures import failing
from odum_assets.orchestration.metadata import Materialized, grid_table, to_metadata
from odum_assets.orchestration.progress import row_progress
from odum_assets.orchestration.project import Project
from odum_assets.orchestration.registration import requested_sweep_id
from odum_assets.orchestration.run_config import VsweepConfig
from odum_assets.orchestration.steps import report_materialization
from odum_assets.raw.layout import DataType

if TYPE_CHECKING:
    from odum_assets.results.bar_sweep import StoredSweep, SweepRequest

_FACTS: Final = ("instrument", "currency", "side", "bars", "sessions", "first_close", "last_close")
_MOST_SHOWN: Final = 20


def can_be_swept(loaded: LoadedConfig) -> bool:
    """Return whether a configuration has the strategy that a vectorized sweep runs."""
    return loaded.bars is not None and loaded.bars.strategy.name in SWEPT


def vsweep_action(project: Project, loaded: LoadedConfig) -> Action:
    """Return the job that runs a grid of parameters over all of a configuration's bars."""

    def compute(spec: dg.AssetSpec) -> Callable[..., None]:
        def vsweep(context: dg.OpExecutionContext, config: VsweepConfig) -> None:
            with failing({"config": loaded.name}):
                from odum_assets.results.bar_sweep import run_bar_sweep

                request = config.sweep_request(loaded)
                days = _convert(context, project, loaded, request)
                context.log.info(f"0 of {len(request.variants):,} variants run")
                progress = row_progress(context, "variants replayed")
                sweep_id = requested_sweep_id(context.run)
                stored = run_bar_sweep(
                    loaded,
                    project.settings,
                    request,
                    progress,
                    sweep_id,
                    # Files whose name follows from their content have the same bytes each time.
                    None if sweep_id is None else context.run.run_id,
                )
                report_materialization(
                    context,
                    spec,
                    _materialized(stored, config.sort),
                    None,
                    [day.isoformat() for day in days],
                )

        return vsweep

    def check_inputs(metadata: Mapping[str, dg.MetadataValue[Any]]) -> tuple[Any, ...]:
        return (metadata["variants_run"].value, metadata["variants_without_trades"].value)

    return action(
        project,
        loaded,
        "vsweep",
        description=(
            f"Vectorized sweep: the strategy of `{loaded.name}` with every combination of values "
            "over the bars of the catalog (or the sessions from first_day to last_day, which are "
            "converted first where they are not). All variants go into one parquet file, none "
            "becomes a result; verify replays some of them in NautilusTrader, and a fill that "
            f"differs fails the run. The job `{loaded.name}_vsweep` runs it."
        ),
        daily=False,
        checks=VSWEEP_CHECKS,
        check_inputs=check_inputs,
        compute=compute,
    )


def _convert(
    context: dg.OpExecutionContext, project: Project, loaded: LoadedConfig, sweep: "SweepRequest"
) -> list[date]:
    """Convert the bars of the days that are asked for; return the partitions of the catalog.

    Raises
    ------
    DataError
        If partitions are not good enough, or a raw file cannot be converted.
    """
    from odum_assets.backtest.request import RunRequest
    from odum_assets.catalog import scan_manifests

    bars, first, last = loaded.required_bars, date.min, date.max
    request = RunRequest(loaded, (), "vsweep", snapshot_mode="bars")
    if sweep.days is not None:
        calendar = BarCalendar.of(bars)
        early = calendar.rules.before(sweep.days[0], bars.bars.warmup_sessions)
        wanted = calendar.catalog_days([*early, *calendar.rules.dates(*sweep.days)])
        first, last = min(wanted, default=last), max(wanted, default=first)
        convert_due(context, project, request, wanted, needs_all=False)
    scans = [
        scan_manifests(project.catalog_root(loaded), key, DataType(bars.bars.data_type))
        for key in loaded.keys
    ]
    days = {item.day for scan in scans for item in scan.manifests if first <= item.day <= last}
    refuse_unusable(project, request, sorted(days))
    return sorted(days)


def _materialized(stored: "StoredSweep", sort: str) -> Materialized:
    facts, table = stored.facts, stored.table
    idle = table["trades"].to_pylist().count(0)
    return Materialized(
        metadata=to_metadata(
            {
                "best": grid_table(table.take(stored.order[:_MOST_SHOWN])),
                "sorted_by": sort,
                **{name: facts[name] for name in _FACTS},
                "models": facts.get("strategy_inputs"),
                "variants_run": facts["variants"],
                "variants_without_trades": idle,
                "verified": {"variants": stored.verified, "fills": stored.fills}
                if stored.verified
                else None,
                "sweep_id": facts["id"],
                "file": stored.path,
                "digest": stored.digest,
            }
        ),
        data_version=dg.DataVersion(stored.digest),
        check_results=[
            check_result(check, check.evaluate(facts["variants"], idle)) for check in VSWEEP_CHECKS
        ],
    )
