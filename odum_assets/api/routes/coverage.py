"""Which data there are, by day: raw files and catalog partitions, and what is in one of them."""

import json
from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from odum_assets.api.capacity import go_on
from odum_assets.api.problems import ProblemError
from odum_assets.api.replies import json_reply
from odum_assets.api.routes.results import KNOWN
from odum_assets.api.service import ServiceHere
from odum_assets.config import effective_settings
from odum_assets.errors import DataError
from odum_assets.instruments.keys import InstrumentKey
from odum_assets.orchestration.checks import evaluate_partition
from odum_assets.orchestration.coverage import Cell
from odum_assets.orchestration.days import days_between
from odum_assets.orchestration.partition_state import (
    Partition,
    describe_partition,
)
from odum_assets.orchestration.project import Project, Source
from odum_assets.raw.layout import DataType
from odum_assets.registry import queries
from odum_assets.registry.records import Row

router = APIRouter(prefix="/api/v1", tags=["data"])

_MOST_DAYS = 3_660
_MOST_PROBLEMS = 100
_MOST_RUNS = 50


class CoverageRow(BaseModel):
    """The partitions of one instrument and data type, one for each of the days."""

    instrument: str
    data_type: str
    configs: list[str] = Field(description="Configurations that read it.")
    state: str = Field(
        description="A character per day: ■ up to date, ◪ stale, □ not converted, ▨ raw file "
        "gone, · no raw file, ! raw file unreadable. Of yearly data each day has its year's."
    )
    rows: list[int | None] = Field(description="Rows in the catalog; null without a partition.")
    rejected: list[int | None] = Field(description="Rows that were rejected.")
    checks: list[str | None] = Field(
        description="What the checks say: passed, warned or refused; null without a partition."
    )


class Coverage(BaseModel):
    """A calendar of all data."""

    days: list[str]
    rows: list[CoverageRow]
    problems: list[str] = Field(description="What could not be read.")


class PartitionVerdict(BaseModel):
    """What a check says of a partition."""

    check: str
    passed: bool
    refused_by: list[str] = Field(
        description="Configurations whose runs refuse the partition because of it."
    )
    text: str = Field(description="What was found against what is allowed.")


class PartitionRun(BaseModel):
    """A run that read a partition."""

    run_id: str
    config_name: str
    executed_at: datetime
    digest: str = Field(description="Digest of the partition then.")
    current: bool = Field(description="Whether the partition is the same now.")


class CatalogPartition(BaseModel):
    """One day (or year) of one instrument and data type."""

    instrument: str
    data_type: str
    day: str
    state: str = Field(description="One of the characters of the calendar.")
    state_text: str
    raw: dict[str, Any] | None = Field(description="Raw file: path, size, mtime_ns (text).")
    manifest: dict[str, Any] | None = Field(description="Null while it is not converted.")
    verdicts: list[PartitionVerdict]
    runs: list[PartitionRun] = Field(description="The latest runs that read it.")
    problems: list[str]


@router.get("/coverage", response_model=Coverage, responses=KNOWN)
async def get_coverage(
    service: ServiceHere,
    request: Request,
    first_day: Annotated[date, Query(description="First day (UTC).")],
    last_day: Annotated[date, Query(description="Last day, included; up to 3,660 days.")],
    instrument: Annotated[str | None, Query(max_length=128)] = None,
    data_type: DataType | None = None,
) -> Response:
    """Return the state of every partition, by instrument, data type and day."""
    if not 0 <= (last_day - first_day).days < _MOST_DAYS:
        raise ProblemError(
            422,
            "invalid-window",
            f"{first_day} to {last_day}: allowed 1 to {_MOST_DAYS:,} days, first_day first",
        )
    project = await to_thread.run_sync(service.project)
    sources = [
        source
        for source in project.sources
        if data_type in (None, source.data_type)
        and (instrument is None or instrument in _names(source.key))
    ]
    roots = {effective_settings(source.loaded, service.settings).raw_root for source in sources}
    days = days_between(first_day, last_day)

    def work() -> bytes:
        cells = service.coverage.read(project, sources, days, go_on)
        return _calendar(sources, days, cells).model_dump_json().encode()

    key = ("coverage", first_day, last_day, instrument, data_type)
    storage = service.storage.of(roots)
    return json_reply(request, await service.single_flight.get(key, work, storage.run))


@router.get(
    "/catalog/{instrument}/{data_type}/{day}", response_model=CatalogPartition, responses=KNOWN
)
async def get_partition(
    service: ServiceHere, request: Request, instrument: str, data_type: DataType, day: date
) -> Response:
    """Return what there is of one day: raw file, manifest, verdicts, and the runs that used it."""
    project = await to_thread.run_sync(service.project)
    source = source_of(project, instrument, data_type)

    def work() -> bytes:
        description = describe_partition(project, source, source.partition_of(day))
        (part,) = service.coverage.opened([description])
        with service.registry.reading() as connection:
            used = queries.get_runs_over(
                connection, str(source.key), data_type.value, part.day, _MOST_RUNS
            )
        return _partition(part, used).model_dump_json().encode()

    root = effective_settings(source.loaded, service.settings).raw_root
    return json_reply(request, await service.storage.of([root]).run(work))


def source_of(project: Project, instrument: str, data_type: DataType) -> Source:
    """Return what is read of an instrument, in any spelling.

    Raises
    ------
    ProblemError
        If no configuration reads it (404).
    """
    for source in project.sources:
        if source.data_type is data_type and instrument in _names(source.key):
            return source
    raise ProblemError(
        404,
        "unknown-partition",
        f"no configuration reads {data_type} of {instrument[:128]!r}; see GET /api/v1/coverage",
    )


def _names(key: InstrumentKey) -> tuple[str, ...]:
    """Return how an instrument may be named."""
    return str(key), key.slug, key.nautilus_id


def _calendar(
    sources: Sequence[Source], days: Sequence[date], cells: Sequence[Sequence[Cell]]
) -> Coverage:
    problems = dict.fromkeys(cell.problem for row in cells for cell in row if cell.problem)
    return Coverage(
        days=[day.isoformat() for day in days],
        rows=[
            CoverageRow(
                instrument=str(source.key),
                data_type=source.data_type.value,
                configs=[config.name for config in source.named_by],
                state="".join(cell.state.symbol for cell in row),
                rows=[cell.rows for cell in row],
                rejected=[cell.rejected for cell in row],
                checks=[cell.checked for cell in row],
            )
            for source, row in zip(sources, cells, strict=True)
        ],
        problems=list(problems)[:_MOST_PROBLEMS],
    )


def _partition(part: Partition, used: Sequence[Row]) -> CatalogPartition:
    manifest, problems = part.manifest, list(part.problems)
    verdicts: list[PartitionVerdict] = []
    if manifest is not None:
        try:
            verdicts = [
                PartitionVerdict(
                    check=evaluation.check.name,
                    passed=evaluation.verdict.passed,
                    refused_by=list(evaluation.refused),
                    text=evaluation.verdict.text,
                )
                for evaluation in evaluate_partition(manifest, part.source.named_by)
            ]
        except DataError as error:
            problems.append(str(error))
    raw = part.raw and {
        "path": part.raw.path,
        "size": part.raw.stat.size,
        "mtime_ns": None if part.raw.stat.mtime_ns is None else str(part.raw.stat.mtime_ns),
    }
    return CatalogPartition(
        instrument=str(part.source.key),
        data_type=part.source.data_type.value,
        day=part.day.isoformat(),
        state=part.state.symbol,
        state_text=part.state.value,
        raw=raw,
        manifest=None if manifest is None else json.loads(manifest.to_json()),
        verdicts=verdicts,
        runs=[
            PartitionRun(**row, current=manifest is not None and row["digest"] == manifest.digest)
            for row in used
        ],
        problems=problems,
    )
