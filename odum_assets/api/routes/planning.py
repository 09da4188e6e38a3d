"""What a run would come to, before it is started."""

from itertools import islice
from typing import Literal

from anyio import to_thread
from fastapi import APIRouter
from pydantic import BaseModel, Field

from odum_assets.api.plan_warnings import MOST_WARNINGS, plan_warnings
from odum_assets.api.planned_rows import PlannedRows
from odum_assets.api.planned_runs import check_length, planned_run
from odum_assets.api.runs_by_ids import RunCreate
from odum_assets.api.service import Service, ServiceHere
from odum_assets.orchestration.partition_state import State
from odum_assets.orchestration.planner import Plan
from odum_assets.registry import queries
from odum_assets.registry.database import RegistryError
from odum_assets.registry.queries import RunFilter
from odum_assets.registry.types import RunStatus

router = APIRouter(prefix="/api/v1", tags=["runs"])

_MOST_PARTITIONS = 5_000
_EARLIER_RUNS = 20
_CONVERTED = (State.NEW, State.STALE)


class PlannedPartition(BaseModel):
    """A catalog partition that the runs read."""

    instrument: str
    data_type: str
    day: str
    state: str = Field(description="As in the coverage calendar: ■ ◪ □ ▨ · !")
    state_text: str
    rows: int | None = Field(description="Rows in the catalog; null while not converted.")
    rows_read: int | None = Field(
        description="Those of them in the time that is run; null while not converted."
    )
    converts: bool = Field(description="Whether it is converted first.")


class PlannedRun(BaseModel):
    """What a request for a run comes to; nothing is started."""

    kind: Literal["day", "days", "window"]
    config: str
    config_hash: str
    instruments: list[str]
    runs: int = Field(description="Number of backtests.")
    days: list[str]
    skipped: dict[str, str] = Field(description="Days of a range that are left out, and why.")
    steps: list[str] = Field(description="Assets of the configuration that are made.")
    partitions: list[PlannedPartition]
    partitions_total: int = Field(description="Partitions of the plan; the list ends at 5,000.")
    converts: int = Field(description="Partitions that are converted first.")
    rows: int | None = Field(
        description="Rows that are read, of a part of a day those in it; null where some are not "
        "known yet."
    )
    rows_estimated: bool = Field(
        description="Whether rows of parts of days follow from their share of time: files in a "
        "bucket, and those after the first 100, are not opened."
    )
    seconds: float | None = Field(
        description="Time that the runs take one after the other, by earlier runs of the "
        "configuration; null without any. Conversions are not in it."
    )
    seconds_from: int = Field(description="Earlier runs that `seconds` follows from.")
    warnings: list[str]


@router.post("/plan")
async def plan_run(service: ServiceHere, new: RunCreate) -> PlannedRun:
    """Return what a run would come to: the body is that of POST runs, and so are the refusals."""
    check_length(service, new)
    plan = await planned_run(service, new, {})
    # Raw files are opened, which may lie on another host.
    storage = await to_thread.run_sync(service.storage_of, plan.loaded.name)
    return await storage.run(_described, service, plan)


def _described(service: Service, plan: Plan) -> PlannedRun:
    parts, loaded = service.coverage.opened(plan.partitions), plan.request.config
    counter = PlannedRows(plan, service.project().catalog_root)
    converted = [part for part in parts if part.raw is not None and part.state in _CONVERTED]
    rows = [counter.of(part) for part in parts]
    known = [count for count in rows if count is not None]
    runs = max(len(plan.days), 1)
    earlier = _earlier(service, loaded.name, plan.request.mode)
    is_whole = len(known) == len(rows) and not converted
    return PlannedRun(
        kind="window" if plan.kind == "window" else "days" if plan.days else "day",
        config=loaded.name,
        config_hash=loaded.content_hash,
        instruments=[str(key) for key in loaded.keys],
        runs=runs,
        days=_days(plan),
        skipped=plan.skipped,
        steps=list(plan.steps),
        partitions=[
            PlannedPartition(
                instrument=str(part.source.key),
                data_type=part.source.data_type.value,
                day=part.day.isoformat(),
                state=part.state.symbol,
                state_text=part.state.value,
                rows=None if part.manifest is None else part.manifest.rows_written,
                rows_read=count,
                converts=part in converted,
            )
            for part, count in zip(parts[:_MOST_PARTITIONS], rows, strict=False)
        ],
        partitions_total=len(parts),
        converts=len(converted),
        rows=sum(known) if is_whole else None,
        rows_estimated=counter.is_estimated,
        seconds=_seconds(earlier, runs, sum(known) if is_whole else None),
        seconds_from=len(earlier),
        warnings=list(islice(plan_warnings(loaded, parts), MOST_WARNINGS)),
    )


def _days(plan: Plan) -> list[str]:
    if plan.partition is not None:
        return [plan.partition]
    moving = {part.day.isoformat() for part in plan.partitions if part.state is not State.MISSING}
    return list(plan.days) or sorted(moving)


def _earlier(service: Service, config: str, mode: str) -> list[tuple[float, int]]:
    """Return seconds and replayed rows of the latest runs of a configuration in a mode."""
    where = RunFilter(config_name=config, detail=mode, status=RunStatus.SUCCEEDED)
    try:
        with service.registry.reading() as connection:
            costs = queries.get_costs(connection, where, _EARLIER_RUNS)
    except RegistryError:
        # A plan is worth having without it.
        return []
    return [item for item in costs if item[1] > 0]


def _seconds(earlier: list[tuple[float, int]], runs: int, rows: int | None) -> float | None:
    """Return the seconds of some runs: by their rows, or as earlier ones took where unknown."""
    if not earlier:
        return None
    seconds = sum(run[0] for run in earlier)
    if rows is None:
        return round(runs * seconds / len(earlier), 1)
    return round(rows * seconds / sum(run[1] for run in earlier), 1)
