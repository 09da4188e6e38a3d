"""How many runs have which value, and how they did: chips of a filter, and groups of runs."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from odum_assets.api.replies import json_reply
from odum_assets.api.routes.results import KNOWN
from odum_assets.api.run_selection import RunSelection
from odum_assets.api.service import ServiceHere
from odum_assets.registry import queries
from odum_assets.results.annotations import Annotations

router = APIRouter(prefix="/api/v1", tags=["runs"])


class FacetValue(BaseModel):
    """A value that runs have, and how many of them."""

    value: str
    runs: int


class RunFacets(BaseModel):
    """How many runs of a selection have which value; of each facet as if it were not chosen."""

    total: int = Field(description="Runs of the whole selection.")
    status: list[FacetValue]
    config_name: list[FacetValue]
    instrument: list[FacetValue]
    detail: list[FacetValue]
    tag: list[FacetValue]
    flagged: int = Field(description="Runs with warnings.")
    star: int
    verified: int = Field(description="Runs whose latest verification was equal.")
    not_equal: int = Field(description="Runs whose latest verification was not.")


type GroupedBy = Literal["config_name", "instrument", "partition", "status", "sweep_id"]


class RunGroup(BaseModel):
    """Runs that have a value in common; figures are null where none of them has one."""

    value: str | None = Field(description="Null: they have none.")
    runs: int
    failed: int
    flagged: int = Field(description="Runs with warnings.")
    executed_at: datetime = Field(description="The latest.")
    best_return: float | None
    mean_return: float | None
    worst_return: float | None
    best_sharpe: float | None
    worst_drawdown: float | None = Field(description="A fraction, zero or negative.")


class RunGroups(BaseModel):
    """Runs of a selection by what they have in common, those with most runs first."""

    by: GroupedBy
    groups: list[RunGroup]


_CHOSEN = ("status", "config_name", "instrument", "detail", "flagged")
"""Columns whose values are counted, each as if it were not chosen."""

_MOST_VALUES = 500
_MOST_TAGS = 50


@router.get("/runs/facets", response_model=RunFacets, responses=KNOWN)
async def get_run_facets(
    service: ServiceHere, request: Request, selection: Annotated[RunSelection, Query()]
) -> Response:
    """Count runs by status, configuration, instrument, detail, tag: for chips of a filter."""
    annotated = await to_thread.run_sync(service.annotations.now)
    key = ("facets", selection.model_dump_json(), annotated.version)

    def ask(connection: Connection) -> bytes:
        return _facets(connection, selection, annotated.by_run).model_dump_json().encode()

    def work() -> bytes:
        return service.registry.answer(key, ask)

    return json_reply(request, await service.single_flight.get(key, work))


class GroupQuery(RunSelection):
    """Which runs, and what they are grouped by."""

    by: GroupedBy = "config_name"


@router.get("/runs/groups", response_model=RunGroups, responses=KNOWN)
async def get_run_groups(
    service: ServiceHere, request: Request, selection: Annotated[GroupQuery, Query()]
) -> Response:
    """Group runs by configuration, instrument, day, status or sweep: how many, best and worst."""
    annotated = await to_thread.run_sync(service.annotations.now)
    key = ("groups", selection.model_dump_json(), annotated.version)

    def ask(connection: Connection) -> bytes:
        where = selection.where(annotated.by_run)
        groups = queries.group_runs(connection, where, selection.by, _MOST_VALUES)
        answer = RunGroups(
            by=selection.by, groups=[RunGroup.model_validate(group) for group in groups]
        )
        return answer.model_dump_json().encode()

    def work() -> bytes:
        return service.registry.answer(key, ask)

    return json_reply(request, await service.single_flight.get(key, work), is_packable=True)


def _facets(
    connection: Connection, selection: RunSelection, annotated: Mapping[str, Annotations]
) -> RunFacets:
    chosen = {name: getattr(selection, name) for name in _CHOSEN}
    where = selection.model_copy(update=dict.fromkeys(_CHOSEN)).where(annotated)
    # One pass over the runs: the few combinations that there are follow each other from here.
    groups = queries.count_groups(connection, where, _CHOSEN)

    def counted(name: str) -> Counter[Any]:
        counts: Counter[Any] = Counter()
        for values, count in groups:
            row = dict(zip(_CHOSEN, values, strict=True))
            if all(_fits(row[other], chosen[other]) for other in _CHOSEN if other != name):
                counts[row[name]] += count
        return counts

    def count(**changes: Any) -> int:  # noqa: ANN401 - fields of a selection
        changed = selection.model_copy(update=changes).where(annotated)
        return queries.count_runs(connection, changed)

    tags = {tag for annotations in annotated.values() for tag in annotations.tags}
    return RunFacets(
        total=sum(
            count for value, count in counted("flagged").items() if _fits(value, chosen["flagged"])
        ),
        **{name: _listed(counted(name)) for name in _CHOSEN[:-1]},
        tag=_listed(Counter({tag: count(tag=tag) for tag in sorted(tags)[:_MOST_TAGS]})),
        flagged=counted("flagged")[True],
        star=count(star=True),
        verified=count(verified=True),
        not_equal=count(verified=False),
    )


def _fits(value: object, chosen: object) -> bool:
    if chosen is None:
        return True
    return value in chosen if isinstance(chosen, list) else bool(value == chosen)


def _listed(counts: Counter[Any]) -> list[FacetValue]:
    most = sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))[:_MOST_VALUES]
    return [FacetValue(value=str(value), runs=runs) for value, runs in most]
