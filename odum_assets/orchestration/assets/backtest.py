"""Backtest results: of one day, and of a window that runs as one continuous account."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from itertools import product
from typing import TYPE_CHECKING, Any

import dagster as dg

from odum_assets.config import LoadedConfig
from odum_assets.errors import DataError, OdumError
from odum_assets.orchestration.assets.catalog import convert_due
from odum_assets.orchestration.assets.configured import Action, action, backtest_asset
from odum_assets.orchestration.checks import (
    RESULT_CHECKS,
    WHOLE_DAY,
    WINDOW_CHECKS,
    check_result,
    evaluate_partition,
)
from odum_assets.orchestration.failures import failing
from odum_assets.orchestration.metadata import (
    Materialized,
    StepContext,
    bullet_list,
    code_block,
    rounded,
    tearsheet_link,
    to_metadata,
)
from odum_assets.orchestration.names import OLDER_DAYS, day_job_name
from odum_assets.orchestration.overrides import refuse_overrides
from odum_assets.orchestration.planner import catalog_days, result_days
from odum_assets.orchestration.plot import equity_plot
from odum_assets.orchestration.progress import run_progress
from odum_assets.orchestration.project import Project
from odum_assets.orchestration.registration import (
    Registration,
    exports_ticks,
    register_result,
    require_alive,
    run_registration,
)
from odum_assets.orchestration.run_config import ResultConfig, WindowConfig
from odum_assets.orchestration.steps import report_materialization, require_passed
from odum_assets.raw.layout import DataType
from odum_assets.settings import Settings
from odum_assets.storage.addresses import location_of

if TYPE_CHECKING:
    from odum_assets.backtest.request import RunRequest
    from odum_assets.results.run import RunResult


def result_asset(project: Project, loaded: LoadedConfig) -> dg.AssetsDefinition:
    """Return the asset that runs one configuration over one day."""

    @backtest_asset(
        project,
        loaded,
        checks=(*RESULT_CHECKS, WHOLE_DAY),
        description=(
            f"Day: backtest of `{loaded.name}` ({loaded.config.strategy.name} on "
            f"{', '.join(map(str, loaded.keys))}) over one {_partition_name(loaded)}, from the "
            "configured starting balance. It needs the day in the catalog: the job "
            f"`{day_job_name(loaded.name)}` converts, runs and exports a day in one run. The data "
            "version is a hash of orders, fills, positions and balances: equal inputs give an "
            f"equal one.\n\n{OLDER_DAYS}"
        ),
    )
    def result(context: dg.AssetExecutionContext, config: ResultConfig) -> Materialized:
        from odum_assets.backtest.request import NotConvertedError

        with failing({"partition": context.partition_key, "config": loaded.name}):
            request = replace(
                config.day_request(loaded, date.fromisoformat(context.partition_key)),
                export_ticks=exports_ticks(context.run, loaded.name),
            )
            with run_registration(context, request, project.settings) as entry:
                convert_optional(context.op_execution_context, project, request)
                convert_sessions(context.op_execution_context, project, request)
                try:
                    return run(context, request, project, entry)
                except NotConvertedError as error:
                    raise DataError(
                        f"{error}\nThe job {day_job_name(loaded.name)} converts, runs and exports "
                        f"a day in one run: launch it for {context.partition_key}."
                    ) from error

    return result


def window_action(project: Project, loaded: LoadedConfig) -> Action:
    """Return the job that runs one configuration over all of its window at once, and its asset."""

    def compute(spec: dg.AssetSpec) -> Callable[..., None]:
        def window(context: dg.OpExecutionContext, config: WindowConfig) -> None:
            with failing({"config": loaded.name}):
                bounds = config.bounds(loaded)
                requested = config.request(loaded, (), "window", bounds)
                with run_registration(context, requested, project.settings) as entry:
                    partitions = catalog_days(loaded, result_days(loaded, *bounds))
                    convert_due(context, project, requested, partitions, needs_all=False)
                    days, missing = window_days(project, loaded, bounds)
                    if missing:
                        kind = "trades" if loaded.bars is None else "bars"
                        context.log.warning(
                            f"days without {kind} in the catalog: {', '.join(missing)}"
                        )
                    request = replace(requested, days=days)
                    convert_warmup(context, project, request)
                    facts: dict[str, object] = {"days": len(days), "days_missing": missing}
                    if config.mode == "report":
                        facts["tearsheet"] = tearsheet_link(entry.run_id)
                    materialized = run(context, request, project, entry, facts)
                # The result is good whatever becomes of what is made of it.
                export_window(context, request, project, entry.run_id, ticks=config.export_ticks)
                report_materialization(
                    context,
                    spec,
                    materialized,
                    None,
                    [day.isoformat() for day in request.catalog_days],
                )
                require_passed(materialized)

        return window

    def check_inputs(metadata: Mapping[str, dg.MetadataValue[Any]]) -> tuple[Any, ...]:
        from odum_assets.results.store import ResultStore

        entry = ResultStore(project.settings.results_path).entry(str(metadata["run_id"].value))
        return entry.summary(), entry.metadata()

    return action(
        project,
        loaded,
        "window",
        description=(
            f"Window: backtest of `{loaded.name}` over its whole time_window (or start and end of "
            "the run config) as one continuous account, across midnight. Converts the days of the "
            "window that have raw files and are not in the catalog yet; the result names those "
            f"that it lacks (or missing_days refuses them). The job `{loaded.name}_window` runs it."
        ),
        daily=False,
        checks=WINDOW_CHECKS,
        check_inputs=check_inputs,
        compute=compute,
    )


def convert_sessions(
    context: dg.OpExecutionContext, project: Project, request: "RunRequest"
) -> None:
    """Convert the bars that sessions and their warm-up touch: other partitions than the result's.

    Raises
    ------
    OdumError
        If a raw file of a session itself is missing, or cannot be converted.
    """
    convert_warmup(context, project, request)
    if request.calendar is not None and request.sessions:
        convert_due(context, project, request, request.catalog_days, needs_all=True)


def convert_optional(
    context: dg.OpExecutionContext, project: Project, request: "RunRequest"
) -> None:
    """Convert what the day may lack and has a raw file: no step of its job does."""
    optional = [
        source
        for source in project.sources_of(request.config)
        if not source.is_required(request.config)
    ]
    convert_due(context, project, request, request.days, needs_all=False, sources=optional)


def convert_warmup(context: dg.OpExecutionContext, project: Project, request: "RunRequest") -> None:
    """Convert the bars of the sessions that warm indicators up, as far as they have raw files."""
    calendar, bars = request.calendar, request.config.bars
    if calendar is None or bars is None or not request.sessions:
        return
    before = calendar.rules.before(request.sessions[0], bars.bars.warmup_sessions)
    touched = set(request.catalog_days)
    early = [day for day in calendar.catalog_days(before) if day not in touched]
    convert_due(context, project, request, early, needs_all=False)


def export_window(
    context: dg.OpExecutionContext,
    request: "RunRequest",
    project: Project,
    run_id: str,
    *,
    ticks: bool,
) -> None:
    """Write tearsheet and ticks of a window's result, which are assets of their own for a day.

    Raises
    ------
    OdumError
        If they cannot be written; the message says that the result is there.
    """
    from odum_assets.results.tearsheet import write_tearsheet
    from odum_assets.results.ticks import export_ticks

    try:
        if request.mode == "report":
            write_tearsheet(run_id, project.settings)
        if ticks:
            export_ticks(run_id, project.settings, project.catalog_root(request.config))
    except OdumError as error:
        raise OdumError(f"{error}\nThe result is stored: {run_id}") from error
    register_result(context, project.settings, run_id)


def _partition_name(loaded: LoadedConfig) -> str:
    if loaded.bars is None:
        return "UTC day"
    return "year" if loaded.bars.bars.is_daily else "session"


def window_days(
    project: Project, loaded: LoadedConfig, bounds: tuple[int, int]
) -> tuple[tuple[date, ...], list[str]]:
    """Return the days of a window that the catalog holds, and the ones that it lacks.

    Raises
    ------
    DataError
        If it holds none of them, or the manifest of one cannot be used.
    """
    from odum_assets.catalog import scan_manifests

    root = project.catalog_root(loaded)
    partitions = result_days(loaded, *bounds)
    data_type = DataType.TRADES if loaded.bars is None else DataType(loaded.bars.bars.data_type)
    scans = [scan_manifests(root, key, data_type) for key in loaded.keys]
    available = set.intersection(*({item.day for item in scan.manifests} for scan in scans))
    for scan in scans:
        scan.require(catalog_days(loaded, partitions))
    days = tuple(day for day in partitions if available.issuperset(catalog_days(loaded, [day])))
    if not days:
        names = ", ".join(map(str, loaded.keys))
        raise DataError(
            f"{loaded.name} window: {root} holds no {data_type} of {names} from {partitions[0]} to "
            f"{partitions[-1]}, and there are no raw files of these days to convert. See which "
            "days there are: odum data list"
        )
    return days, [day.isoformat() for day in partitions if day not in available]


def run(
    context: StepContext,
    request: "RunRequest",
    project: Project,
    entry: Registration,
    facts: Mapping[str, object] | None = None,
) -> Materialized:
    """Check the inputs of a request, run it and report the result.

    Raises
    ------
    OdumError
        If it cannot be run, or not to a trustworthy end.
    """
    from odum_assets.backtest.request import WINDOW, check_request
    from odum_assets.results.run import run_backtest

    refuse_overrides(project, request)
    check_request(request, project.settings)
    refuse_unusable(project, request)
    with noting_output(project.settings, entry.run_id):
        result = run_backtest(
            request,
            project.settings,
            run_progress(context, entry.progress),
            context.run.run_id,
            entry.run_id,
            lambda: require_alive(context.instance, context.run.run_id),
        )
    register_result(context, project.settings, result.run_id)
    for flag in result.flags:
        context.log.warning(flag)
    is_window = request.partition == WINDOW
    verdicts = [
        check_result(check, check.evaluate(result.summary, result.metadata))
        for check in (WINDOW_CHECKS if is_window else RESULT_CHECKS)
    ]
    if not is_window:
        verdicts.append(check_result(WHOLE_DAY, WHOLE_DAY.evaluate(request.is_whole)))
    return Materialized(
        metadata=result_metadata(result, request)
        | to_metadata(facts or {})
        | output_metadata(project.settings, result.run_id),
        data_version=dg.DataVersion(result.digest),
        check_results=verdicts,
    )


def refuse_unusable(
    project: Project, request: "RunRequest", days: Sequence[date] | None = None
) -> None:
    """Refuse partitions that are not good enough for the configuration of a request.

    Whatever other configurations think of them, and whether this run or another converted them.

    Parameters
    ----------
    project : Project
        Where the catalog lies.
    request : RunRequest
        What reads the partitions.
    days : sequence of date, optional
        The partitions; those of the request by default.

    Raises
    ------
    DataError
        If there are any; the message names each with the figures.
    """
    from odum_assets.catalog import read_manifest

    root = project.catalog_root(request.config)
    lines = []
    for key, data_type, day in product(
        request.config.keys,
        request.data_types,
        request.catalog_days if days is None else days,
    ):
        manifest = read_manifest(root, key, data_type, day)
        if manifest is None:
            continue
        lines += [
            f"  {data_type} {day}: {evaluation.check.name}: {evaluation.verdict.text}"
            for evaluation in evaluate_partition(manifest, [request.config])
            if evaluation.refused
        ]
    if lines:
        raise DataError(
            f"{request.config.name} {request.partition}: the catalog is not good enough for a "
            "backtest:\n" + "\n".join(lines) + "\nRepair the raw file and convert the day again, "
            f"or raise the threshold in {request.config.path}."
        )


_PART = "This run covers a part of the day; the day's current result is another one, if any."


@contextmanager
def noting_output(settings: Settings, run_id: str) -> Iterator[None]:
    """Give an error of a run what its strategy printed last, for the metadata of the failure."""
    try:
        yield
    except OdumError as error:
        error.facts = {**error.facts, **output_metadata(settings, run_id)}
        raise


def output_metadata(settings: Settings, run_id: str) -> dict[str, dg.MetadataValue[Any]]:
    """Return the last lines that a run's strategy printed, and their file; nothing without any."""
    from odum_assets.results.logs import last_lines, read_log
    from odum_assets.results.store import ResultStore

    store = ResultStore(settings.results_path)
    lines = last_lines(read_log(store, run_id))
    if not lines:
        return {}
    path = dg.MetadataValue.path(location_of(store.log_path(run_id)))
    return to_metadata({"output": code_block(lines), "output_file": path})


def result_metadata(result: "RunResult", request: "RunRequest") -> dict[str, dg.MetadataValue[Any]]:
    """Return what a person wants to know of a result: PnL, orders, fills, drawdown, files, plot."""
    summary = result.summary
    account, parts = summary["account"], summary["pnl_breakdown"]
    trades, drawdown, ratios = summary["trades"], summary["drawdown"], summary["ratios"]
    currency = account.get("currency")
    plot = equity_plot(result.equity_preview, currency or "")
    return to_metadata(
        {
            # The UI keeps this order: what a person looks for first comes first.
            "warnings": bullet_list(result.flags) if result.flags else None,
            "notes": bullet_list(request.config.notes) if request.config.notes else None,
            "equity": None if plot is None else dg.MetadataValue.md(plot),
            "currency": currency,
            "pnl": summary["pnl"],
            "realized_pnl": parts["realized"],
            "unrealized_pnl": parts["unrealized"],
            "pnl_includes": "realized PnL, commissions and funding; no position is open"
            if summary["closing"]["is_flat"]
            else "realized PnL, commissions and funding; not the open position",
            "commissions": parts["commissions"],
            "funding": parts["funding"],
            "balance_change": account["balance_change"],
            "final_balance": account["final_balance"],
            "max_drawdown_pct": rounded(drawdown["max_drawdown_pct"]),
            "max_drawdown_amount": drawdown["max_drawdown_amount"],
            "max_drawdown_duration_secs": drawdown["max_drawdown_duration_secs"],
            "orders": summary["orders"],
            "fills": summary["fills"],
            "orders_by_status": summary["orders_by_status"],
            "round_trips": trades["total_trades"],
            "win_rate_pct": rounded(trades["win_rate"]),
            "profit_factor": rounded(trades["profit_factor"]),
            "sharpe": rounded(ratios["sharpe"]),
            "sortino": rounded(ratios["sortino"]),
            "calmar": rounded(ratios["calmar"]),
            "cagr_pct": rounded(summary["returns"]["cagr_pct"]),
            "volatility_pct": rounded(summary["returns"]["volatility_pct"]),
            "returns": ratios["returns"],
            "figures_version": summary["figures_version"],
            "run_id": result.run_id,
            "part_of_the_day": None if request.is_whole else _PART,
            "mode": request.mode,
            "snapshot_mode": request.snapshot_mode,
            "summary_file": dg.MetadataValue.path(location_of(result.fast_path)),
            "report_folder": None
            if result.report_path is None
            else dg.MetadataValue.path(location_of(result.report_path)),
            "digest": result.digest,
        }
    )
