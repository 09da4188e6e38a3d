"""Rows of a raw file that did not become rows of the catalog, and why."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from odum_assets.api import models
from odum_assets.api.problems import ProblemError
from odum_assets.api.replies import json_reply
from odum_assets.api.routes.coverage import source_of
from odum_assets.api.routes.results import KNOWN, Offset
from odum_assets.api.service import ServiceHere
from odum_assets.config import effective_settings
from odum_assets.raw.layout import DataType

if TYPE_CHECKING:
    import pyarrow.parquet as pq

router = APIRouter(prefix="/api/v1", tags=["data"])

_RAW = "raw."


class RejectedRow(BaseModel):
    """A rejected row."""

    row: int = Field(description="Its number in the raw file, from 0.")
    reason: str
    raw: dict[str, str | None] = Field(description="What it holds, as text.")


class RejectedRows(models.Paged):
    """Rejected rows of a partition, in the order of the raw file."""

    rejected: list[RejectedRow]


@router.get(
    "/catalog/{instrument}/{data_type}/{day}/rejects", response_model=RejectedRows, responses=KNOWN
)
async def get_rejected_rows(
    service: ServiceHere,
    request: Request,
    instrument: str,
    data_type: DataType,
    day: date,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    offset: Offset = 0,
) -> Response:
    """Return the rows that the conversion of a day rejected, each with its reason."""
    project = await to_thread.run_sync(service.project)
    source = source_of(project, instrument, data_type)

    def work() -> bytes:
        from odum_assets.catalog.paths import PartitionPaths

        root = project.catalog_root(source.loaded)
        paths = PartitionPaths(root, source.key, source.data_type, source.partition_of(day))
        return _rejected(paths.rejects, limit, offset).model_dump_json().encode()

    root = effective_settings(source.loaded, service.settings).raw_root
    return json_reply(request, await service.storage.of([root]).run(work))


def _rejected(path: Path, limit: int, offset: int) -> RejectedRows:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        return RejectedRows(rejected=[], total=0, limit=limit, offset=offset, has_more=False)
    try:
        with pq.ParquetFile(path) as file:
            total = file.metadata.num_rows
            rows = _page(file, limit, offset)
    except (OSError, pa.ArrowException) as error:
        raise ProblemError(
            409, "damaged-rejects", f"{path.name}: cannot be read ({str(error)[:200]})"
        ) from error
    return RejectedRows(
        rejected=rows, total=total, limit=limit, offset=offset, has_more=offset + len(rows) < total
    )


def _page(file: "pq.ParquetFile", limit: int, offset: int) -> list[RejectedRow]:
    """Return some rows, without reading the groups before and after them."""
    rows: list[RejectedRow] = []
    before = 0
    for group in range(file.num_row_groups):
        held = file.metadata.row_group(group).num_rows
        start = max(0, offset - before)
        if start < held and len(rows) < limit:
            part = file.read_row_group(group).slice(start, limit - len(rows))
            rows += [_row(values) for values in part.to_pylist()]
        before += held
    return rows


def _row(values: dict[str, object]) -> RejectedRow:
    return RejectedRow(
        row=values["row"],
        reason=values["reason"],
        raw={
            name.removeprefix(_RAW): None if value is None else str(value)
            for name, value in values.items()
            if name.startswith(_RAW)
        },
    )
