"""Sweeps as the service tells of them: from the registry, from files, from Dagster.

What belongs here: lists, and one sweep with its axes and variants. What does not: starting one
(``routes.sweeps``).
"""

import math
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from odum_assets.api import models
from odum_assets.api.cache import file_validator
from odum_assets.api.dagster_client import DagsterRun
from odum_assets.api.plan_warnings import MOST_WARNINGS, plan_warnings
from odum_assets.api.problems import ProblemError
from odum_assets.api.service import Service
from odum_assets.config.variants import as_run_config, grid, short_names, value_text
from odum_assets.orchestration.names import action_job_name
from odum_assets.orchestration.partition_state import State
from odum_assets.orchestration.planner import Plan
from odum_assets.orchestration.registration import CONFIG_TAG, SWEEP_ID_TAG
from odum_assets.orchestration.requests import SweepOptions
from odum_assets.orchestration.vsweep_requests import VsweepOptions
from odum_assets.registry import queries
from odum_assets.registry.models import PENDING
from odum_assets.registry.records import Row, summary_figures
from odum_assets.registry.types import RunStatus
from odum_assets.results.figures_file import KIND, read_figures
from odum_assets.results.run_id import is_sweep_id
from odum_assets.results.stored_file import ResultError
from odum_assets.results.variant_files import (
    FIGURES,
    VariantFile,
    axis_values,
    read_variant_file,
    read_variants,
    variant_files,
)

type SweepStatus = Literal["queued", "running", "succeeded", "failed", "canceled"]
type Value = str | float | int | bool | None

MOST_VARIANTS = 10_000


class NewSweep(SweepOptions):
    """A sweep to start: variants of a configuration over one day."""

    model_config = ConfigDict(extra="forbid")

    config: str = Field(description="Configuration.", examples=["my_config"])
    day: date = Field(description="Day (UTC).")
    vary: dict[str, list[Any | None]] = Field(
        default={},
        description="Values by dotted path; every combination runs.",
        examples=[{"strategy.params.window": [50, 100]}],
    )
    variants: list[dict[str, Any | None]] = Field(
        default=[],
        max_length=MOST_VARIANTS,
        description="Instead of vary: one {path: value} object per variant.",
    )


class NewVsweep(VsweepOptions):
    """A vectorized sweep to start: a grid of parameters over the bars of a configuration."""

    config: str = Field(max_length=255, description="Configuration.", examples=["my_config"])


class PlannedVsweep(BaseModel):
    """What a vectorized sweep comes to; nothing is started."""

    config: str
    config_hash: str
    instrument: str
    variants: int
    axes: dict[str, int] = Field(
        description="Values by parameter; a pair whose fast one is not below its slow one is left "
        "out of the variants."
    )
    days: int = Field(description="Partitions that are read: UTC days, of daily bars years.")
    first_day: str
    last_day: str
    converts: int = Field(description="Partitions that are converted first.")
    rows: int | None = Field(description="Bars of these; null where some are not known yet.")
    warnings: list[str]


class ListedSweep(BaseModel):
    """A sweep in a list."""

    id: str
    kind: Literal["runs", "vectorized"] = Field(
        description="runs: each variant is a run with a result. vectorized: the Numba kernel ran "
        "them, and a file has their figures."
    )
    config: str
    partition: str | None = Field(description="Day; null for a vectorized sweep over sessions.")
    instrument: str
    status: SweepStatus = Field(description="failed: every variant did.")
    variants: int
    by_status: dict[str, int] = Field(description="Variants by status.")
    created_at: datetime | None
    dagster_run_id: str | None = Field(description="What runs it; DELETE runs/{it} cancels.")


class Sweeps(models.Paged):
    """Sweeps, newest first."""

    sweeps: list[ListedSweep]


class Axis(BaseModel):
    """What varies: a path of the configuration and its values, in order."""

    path: str
    name: str = Field(description="Shortest name that tells it from the others.")
    values: list[Value]


class SweepVariant(BaseModel):
    """A variant: what is varied, and what became of it."""

    number: int = Field(description="From 1, in the order given.")
    varied: dict[str, Value] = Field(description="Values by path.")
    run_id: str | None = Field(description="Its run; null in a vectorized sweep.")
    status: SweepStatus
    figures: dict[str, float | None] = Field(
        description="As in a list of runs (fractions); of a vectorized sweep those of its file, "
        "with percentages as fractions, too."
    )
    flags: list[str]
    error: str | None


class Sweep(ListedSweep):
    """A sweep with its variants."""

    currency: str | None
    axes: list[Axis]
    figures: list[str] = Field(description="Names of the figures that variants have.")
    facts: dict[str, Any] = Field(description="What a vectorized sweep is of; else empty.")
    total: int = Field(description="Variants that are chosen, of all pages.")
    limit: int
    offset: int
    rows: list[SweepVariant] = Field(description="Variants of this page.")


class StartedSweep(BaseModel):
    """A sweep that was asked for."""

    kind: Literal["sweep"] = "sweep"
    id: str
    dagster_run_id: str
    status: SweepStatus
    variants: int


_OF_RUNS = (
    "pnl",
    "total_return",
    "max_drawdown",
    "drawdown_amount",
    "sharpe_ratio",
    "sortino_ratio",
    "calmar_ratio",
    "profit_factor",
    "win_rate",
    "expectancy",
    "realized",
    "commissions",
    "funding",
    "final_value",
    "orders",
    "fills",
    "total_trades",
    "flag_count",
)
"""Figures of variants that are runs."""


def requested_variants(new: NewSweep) -> list[dict[str, Any]]:
    """Return the variants that a request means, as run config holds them.

    Raises
    ------
    ProblemError
        If there are none or too many.
    """
    if bool(new.vary) == bool(new.variants):
        raise ProblemError(422, "invalid-request", "give vary or variants: what varies")
    if math.prod(map(len, new.vary.values())) > MOST_VARIANTS:
        raise ProblemError(
            422, "invalid-request", f"vary: more than {MOST_VARIANTS:,} variants; take fewer"
        )
    chosen = grid(new.vary) if new.vary else new.variants
    return [{path: as_run_config(value) for path, value in variant.items()} for variant in chosen]


def planned_reply(service: Service, new: NewVsweep, plan: Plan) -> PlannedVsweep:
    """Return what a plan of a vectorized sweep says."""
    loaded, parts = plan.loaded, service.coverage.opened(plan.partitions)
    request = new.sweep_request(loaded)
    days = sorted({part.day for part in parts})
    # Without days the catalog is taken as it is.
    converted = [
        part
        for part in parts
        if request.days is not None and part.state in (State.NEW, State.STALE)
    ]
    old = sum(part.state is State.STALE for part in parts) if request.days is None else 0
    stale = [
        f"{old:,} stale partitions are read as they are; give first_day and last_day to have them "
        "converted first"
    ][:old]
    rows = [None if part.manifest is None else part.manifest.rows_written for part in parts]
    known = [count for count in rows if count is not None]
    return PlannedVsweep(
        config=loaded.name,
        config_hash=loaded.content_hash,
        instrument=str(parts[0].source.key),
        variants=len(request.variants),
        axes={
            axis: len({variant[at] for variant in request.variants})
            for at, axis in enumerate(request.axes)
        },
        days=len(days),
        first_day=days[0].isoformat(),
        last_day=days[-1].isoformat(),
        converts=len(converted),
        rows=sum(known) if len(known) == len(rows) and not converted else None,
        warnings=[*stale, *islice(plan_warnings(loaded, parts), MOST_WARNINGS)],
    )


def listed_sweeps(
    service: Service, config: str | None, going_on: Sequence[DagsterRun] = ()
) -> list[ListedSweep]:
    """Return all sweeps, newest first, without the Dagster runs that carried them out.

    Parameters
    ----------
    service : Service
        Knows what is stored.
    config : str or None
        Only those of one configuration.
    going_on : sequence of DagsterRun
        What carries out sweeps now: of one without a variant yet, Dagster alone knows.
    """

    def ask(connection: Any) -> tuple[ListedSweep, ...]:  # noqa: ANN401 - SQLAlchemy's
        return tuple(
            ListedSweep(
                id=row["sweep_id"],
                kind="runs",
                config=row["config_name"],
                status=_status(row["by_status"]),
                variants=sum(row["by_status"].values()),
                dagster_run_id=None,
                **{name: row[name] for name in _FACTS},
            )
            for row in queries.list_sweeps(connection, config)
        )

    of_runs = service.registry.answer(("listed sweeps", config), ask)
    vectorized = [
        _listed(file)
        for file in _variant_files(service)
        if config is None or file.facts.get("config") == config
    ]
    # What is kept is not to be changed.
    sweeps = [*(sweep.model_copy() for sweep in of_runs), *vectorized]
    known = {sweep.id for sweep in sweeps}
    sweeps += [
        ListedSweep(**{name: getattr(sweep, name) for name in ListedSweep.model_fields})
        for run in going_on
        if config in (None, run.tags.get(CONFIG_TAG)) and run.tags[SWEEP_ID_TAG] not in known
        for sweep in [started_only(service, run.tags[SWEEP_ID_TAG], run)]
    ]
    earliest = datetime.min.replace(tzinfo=UTC)
    return sorted(sweeps, key=lambda sweep: sweep.created_at or earliest, reverse=True)


_FACTS = ("partition", "instrument", "by_status", "created_at")


def with_dagster_runs(service: Service, sweeps: Sequence[ListedSweep]) -> None:
    """Say of sweeps which Dagster runs carried them out."""
    missing = [sweep for sweep in sweeps if sweep.kind == "runs" and sweep.dagster_run_id is None]
    with service.registry.reading() as connection:
        dagster_runs = queries.get_dagster_runs(connection, [sweep.id for sweep in missing])
    for sweep in missing:
        if sweep.id in dagster_runs:
            sweep.dagster_run_id = dagster_runs[sweep.id]


def stored_sweep(service: Service, sweep_id: str) -> Sweep | None:
    """Return a sweep that the registry or a file has, with all of its variants; else None."""
    path = variant_files(service.settings.results_path).get(sweep_id)
    if path is not None:
        key = ("variants", path)
        file = _variant_file(service, sweep_id, path)
        read = _of_figures if file.facts.get("kind") == KIND else _of_file
        return service.cache.get(key, file_validator(path), lambda: read(file))
    if not is_sweep_id(sweep_id):
        return None

    def ask(connection: Any) -> tuple[Row, ...]:  # noqa: ANN401 - SQLAlchemy's
        return tuple(queries.get_variants(connection, sweep_id))

    rows = service.registry.answer(("sweep", sweep_id), ask)
    return _of_runs(service, sweep_id, rows) if rows else None


def started_only(service: Service, sweep_id: str, run: DagsterRun) -> Sweep:
    """Return a sweep of which Dagster alone knows: its variants have not begun."""
    name = run.tags.get(CONFIG_TAG, "")
    known = [loaded for loaded in service.project().configs if loaded.name == name]
    return Sweep(
        id=sweep_id,
        kind="vectorized" if run.job == action_job_name(name, "vsweep") else "runs",
        config=name,
        partition=run.tags.get("dagster/partition"),
        instrument=str(known[0].key) if known else "",
        # Without a variant nothing can have succeeded.
        status="failed" if run.status == "succeeded" else run.status,
        variants=0,
        by_status={},
        created_at=datetime.fromisoformat(run.created_at) if run.created_at else None,
        dagster_run_id=run.run_id,
        currency=None,
        axes=[],
        figures=list(_OF_RUNS),
        facts={},
        total=0,
        limit=MOST_VARIANTS,
        offset=0,
        rows=[],
    )


def _of_runs(service: Service, sweep_id: str, rows: Sequence[Row]) -> Sweep:
    variants = [_variant(service, number, row) for number, row in enumerate(rows, 1)]
    paths = list(dict.fromkeys(path for variant in variants for path in variant.varied))
    by_status = dict(Counter(row["status"].value for row in rows))
    first = rows[0]
    return Sweep(
        id=sweep_id,
        kind="runs",
        config=first["config_name"],
        partition=first["partition"],
        instrument=first["instrument"],
        status=_status(by_status),
        variants=len(variants),
        by_status=by_status,
        created_at=min(row["executed_at"] for row in rows),
        dagster_run_id=first["dagster_run_id"],
        currency=next((row["currency"] for row in rows if row["currency"]), None),
        axes=[
            Axis(path=path, name=name, values=_values(variants, path))
            for path, name in zip(paths, short_names(paths), strict=True)
        ],
        figures=list(_OF_RUNS),
        facts={},
        total=len(variants),
        limit=MOST_VARIANTS,
        offset=0,
        rows=sorted(variants, key=lambda row: row.number),
    )


def _variant(service: Service, number: int, row: Row) -> SweepVariant:
    sweep = row["sweep"]
    if sweep is None and row["status"] is RunStatus.SUCCEEDED:
        # Registered by an earlier version.
        sweep = service.result(row["run_id"]).sweep
    known = sweep or {}
    return SweepVariant(
        number=known.get("variant", number),
        varied={path: _plain(value) for path, value in known.get("varied", {}).items()},
        run_id=row["run_id"],
        status=row["status"].value,
        figures={name: None if row[name] is None else float(row[name]) for name in _OF_RUNS},
        flags=row["flags"],
        error=row["error"],
    )


def _plain(value: Any) -> Value:  # noqa: ANN401 - any JSON value
    """Return a varied value as a cell shows it."""
    if isinstance(value, dict) and value.keys() == {"$number"}:
        return float(value["$number"])
    return value_text(value) if isinstance(value, dict | list) else value


def _values(variants: Sequence[SweepVariant], path: str) -> list[Value]:
    """Return the values of an axis: numbers in order, others as they were given."""
    values = list(dict.fromkeys(variant.varied.get(path) for variant in variants))
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return sorted(values, key=lambda value: float(value or 0))
    return values


def _status(by_status: dict[Any, int]) -> SweepStatus:
    """Return where a sweep stands by its variants."""
    counts = {str(status): count for status, count in by_status.items()}
    if any(counts.get(status.value) for status in PENDING):
        return "running"
    if counts.get("canceled"):
        return "canceled"
    return "succeeded" if counts.get("succeeded") else "failed"


def _variant_files(service: Service) -> list[VariantFile]:
    """Return the stored vectorized sweeps; a file that cannot be read is left out."""
    files = []
    for sweep_id, path in variant_files(service.settings.results_path).items():
        try:
            files.append(_variant_file(service, sweep_id, path))
        except ResultError:
            continue
    return files


def _variant_file(service: Service, sweep_id: str, path: Path) -> VariantFile:
    return service.cache.get(
        ("variant file", path), file_validator(path), lambda: read_variant_file(sweep_id, path)
    )


def _listed(file: VariantFile) -> ListedSweep:
    facts = file.facts
    failed = facts.get("failed", 0)
    by_status = {"succeeded": facts["variants"] - failed, "failed": failed}
    return ListedSweep(
        id=file.id,
        kind="vectorized",
        config=facts["config"],
        partition=facts.get("partition"),
        instrument=facts["instrument"],
        status="succeeded",
        variants=facts["variants"],
        by_status={status: count for status, count in by_status.items() if count},
        created_at=datetime.fromtimestamp(file.path.stat().st_mtime, UTC),
        dagster_run_id=facts.get("dagster_run_id"),
    )


def _of_figures(file: VariantFile) -> Sweep:
    variants = [
        SweepVariant(
            number=row["number"],
            varied=row["varied"],
            run_id=None,
            status="failed" if row["error"] else "succeeded",
            figures={
                name: None if value is None else float(value)
                for name, value in summary_figures(row["summary"]).items()
                if name in _OF_RUNS
            },
            flags=row["flags"],
            error=row["error"],
        )
        for row in read_figures(file)
    ]
    paths = file.facts["axes"]
    return Sweep(
        **_listed(file).model_dump(),
        currency=file.facts["currency"],
        axes=[
            Axis(path=path, name=name, values=_values(variants, path))
            for path, name in zip(paths, short_names(paths), strict=True)
        ],
        figures=list(_OF_RUNS),
        facts=file.facts,
        total=len(variants),
        limit=MOST_VARIANTS,
        offset=0,
        rows=variants,
    )


def _of_file(file: VariantFile) -> Sweep:
    axes = axis_values(file)
    return Sweep(
        **_listed(file).model_dump(),
        currency=file.facts.get("currency"),
        axes=[
            Axis(path=f"strategy.params.{name}", name=name, values=list(values))
            for name, values in axes.items()
        ],
        figures=list(FIGURES),
        facts=file.facts,
        total=file.facts["variants"],
        limit=MOST_VARIANTS,
        offset=0,
        rows=[
            SweepVariant(
                number=row["number"],
                varied={f"strategy.params.{axis}": row["varied"][axis] for axis in file.axes},
                run_id=None,
                status="succeeded",
                figures=row["figures"],
                flags=[],
                error=None,
            )
            for row in read_variants(file)
        ],
    )
