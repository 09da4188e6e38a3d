"""Conversions over HTTP: days of one instrument and data type, without a run."""

from datetime import date
from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from odum_assets.api.capacity import go_on
from odum_assets.api.dagster_client import DagsterBackfill
from odum_assets.api.launching import repeat_tags
from odum_assets.api.planned_runs import counted_launch
from odum_assets.api.problems import ProblemError
from odum_assets.api.routes.coverage import source_of
from odum_assets.api.routes.runs import Backfill, IdempotencyKey, backfill_reply, started_once
from odum_assets.api.service import Service, ServiceHere
from odum_assets.config import effective_settings
from odum_assets.orchestration.days import days_between
from odum_assets.orchestration.names import op_name
from odum_assets.orchestration.partition_state import State
from odum_assets.orchestration.project import Project, Source
from odum_assets.raw.layout import DataType

router = APIRouter(prefix="/api/v1", tags=["data"])

_DUE = frozenset({State.NEW, State.STALE})
_TAGS = {"odum/source": "api", "dagster/max_retries": "0"}


class NewConversion(BaseModel):
    """Days to convert."""

    model_config = ConfigDict(extra="forbid")

    instrument: str = Field(
        max_length=128, description="Any spelling.", examples=["BTC-USDT.BINANCE"]
    )
    data_type: DataType
    first_day: date = Field(description="First day (UTC).")
    last_day: date = Field(description="Last day, included.")
    force: bool = Field(default=False, description="Convert again what is up to date, too.")


@router.post("/conversions", status_code=202)
async def start_conversions(
    service: ServiceHere,
    new: NewConversion,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> Backfill:
    """Convert raw days that are not up to date; Location is the address of their state."""
    most = service.options.max_days
    if not 0 <= (new.last_day - new.first_day).days < most:
        raise ProblemError(
            422,
            "invalid-window",
            f"{new.first_day} to {new.last_day}: allowed 1 to {most:,} days, first_day first "
            "(ODUM_API_MAX_DAYS)",
        )
    project = await to_thread.run_sync(service.project)
    source = source_of(project, new.instrument, new.data_type)
    tags = repeat_tags(idempotency_key, new.model_dump_json())
    skipped: dict[str, str] = {}

    async def start() -> DagsterBackfill:
        with counted_launch(service):
            root = effective_settings(source.loaded, service.settings).raw_root
            days, left_out = await service.storage.of([root]).run(
                _due, service, project, source, new
            )
        skipped.update(left_out)
        dagster = service.dagster
        backfill_id = await dagster.ranges.run(
            dagster.launch_conversions, source, days, _run_config(source, new), _TAGS | tags
        )
        backfill = await dagster.ask(dagster.backfill, backfill_id)
        assert backfill is not None  # noqa: S101 - Dagster has just started it
        return backfill

    backfill = await started_once(service, service.dagster.find_backfill, start, tags)
    response.headers["Location"] = f"/api/v1/backfills/{backfill.id}"
    return await backfill_reply(service, backfill, skipped)


def _due(
    service: Service, project: Project, source: Source, new: NewConversion
) -> tuple[list[str], dict[str, str]]:
    """Return the partitions to convert, and why others are left out.

    Raises
    ------
    ProblemError
        If there is none (409).
    """
    days = list(
        dict.fromkeys(source.partition_of(day) for day in days_between(new.first_day, new.last_day))
    )
    (cells,) = service.coverage.read(project, [source], days, go_on)
    wanted = _DUE | {State.CURRENT} if new.force else _DUE
    due, skipped = [], {}
    for day, cell in zip(days, cells, strict=True):
        if cell.state in wanted:
            due.append(day.isoformat())
        else:
            skipped[day.isoformat()] = cell.problem or cell.state.value
    if not due:
        reasons = ", ".join(sorted({cell.state.value for cell in cells}))
        raise ProblemError(
            409,
            "nothing-to-convert",
            f"{source.key} {source.data_type}, {new.first_day} to {new.last_day}: there is "
            f"nothing to convert ({reasons})",
        )
    return due, skipped


def _run_config(source: Source, new: NewConversion) -> dict[str, Any]:
    if not new.force:
        return {}
    return {"ops": {op_name(source.catalog_key): {"config": {"force": True}}}}
