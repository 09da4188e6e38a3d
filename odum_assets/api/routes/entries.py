"""Datasets and strategies of the registry, created before any run uses them."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Response
from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from sqlalchemy import Table

from odum_assets.api.exact_bodies import ExactRoute
from odum_assets.api.problems import InvalidField, ProblemError
from odum_assets.api.routes.registry import Dataset, Strategy
from odum_assets.api.runs_by_ids import EntryId, entry_of
from odum_assets.api.service import Service, ServiceHere
from odum_assets.config import LoadedConfig, catalog_root
from odum_assets.config.exact_json import write_json
from odum_assets.config.instrument_names import names_instrument
from odum_assets.config.problems import find_problems
from odum_assets.config.reach import orders_file_problem, reach_of, strategy_problem
from odum_assets.config.sections.strategy import StrategyConfig
from odum_assets.registry.created import create
from odum_assets.registry.models import DATASETS, STRATEGIES
from odum_assets.registry.records import Row, dataset_row, strategy_row
from odum_assets.registry.register import opened
from odum_assets.results.provenance import partition_record

router = APIRouter(prefix="/api/v1", tags=["runs"], route_class=ExactRoute)

_MOST_DAYS = 10_000
_NAMED = 5

_Id = Annotated[EntryId, Path(description="Its id or its UUID.")]


class DatasetCreate(BaseModel):
    """Days of an instrument that runs are to read."""

    model_config = ConfigDict(extra="forbid")

    instrument: str = Field(
        validation_alias=AliasChoices("instrument", "symbols"),
        max_length=128,
        description="Any spelling. Also taken as symbols, a list of one.",
        examples=["BINANCE-FUTURES:PERPETUAL:BTC-USDT"],
    )
    timeframe: Literal["tick"] = "tick"
    start_date: date = Field(description="First day (UTC).", examples=["2024-01-01"])
    end_date: date = Field(description="Day after the last one.", examples=["2024-01-02"])
    data_types: list[Literal["trades", "book_snapshot_5", "derivative_ticker"]] | None = Field(
        default=None,
        min_length=1,
        description="Kinds of data, trades among them. Null: all that the configuration names.",
    )
    config: str | None = Field(
        default=None,
        max_length=255,
        description="Configuration that says where the data are. Null: the first of the instrument "
        "by name.",
    )
    content_hash: str | None = Field(
        default=None,
        pattern="^[0-9a-f]{64}$",
        description="Refused where the partitions have another one (409). Null: computed.",
    )
    name: str | None = Field(default=None, min_length=1, max_length=255)
    description: str | None = Field(default=None, max_length=10_000)

    @field_validator("instrument", mode="before")
    @classmethod
    def _only_one(cls, value: object) -> object:
        if isinstance(value, list):
            if len(value) != 1:
                raise ValueError("a dataset has one instrument; create one for each symbol")
            return value[0]
        return value

    @model_validator(mode="after")
    def _check(self) -> "DatasetCreate":
        if not 0 < (self.end_date - self.start_date).days <= _MOST_DAYS:
            raise ValueError(f"start_date must be before end_date, by {_MOST_DAYS:,} days at most")
        if self.data_types is not None and "trades" not in self.data_types:
            raise ValueError("data_types: a run always reads trades; name them, too")
        return self


class StrategyCreate(BaseModel):
    """A strategy at a version, with its parameters."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=64, examples=["Momentum"])
    version: str = Field(max_length=64, examples=["1.0.0"])
    description: str | None = Field(default=None, max_length=10_000)
    params: dict[str, Any] = Field(
        default={},
        description="The section `strategy` of a configuration without name and version: path and "
        "params of a class of your own, or order_type, orders, ... of the built-in strategy.",
        examples=[{"path": "momentum:Momentum", "params": {"window": 100}}],
    )


@router.post("/datasets", status_code=201, responses={200: {"model": Dataset}})
def create_dataset(service: ServiceHere, new: DatasetCreate, response: Response) -> Dataset:
    """Create a dataset of converted days; what is there already is returned (200)."""
    loaded = _config_of(service, new)
    row = dataset_row(str(loaded.key), _partitions(service, new, loaded), datetime.now(UTC))
    if new.content_hash not in (None, row["content_hash"]):
        raise ProblemError(
            409, "other-content", f"content_hash: the partitions have {row['content_hash']}"
        )
    return Dataset.model_validate(_created(service, DATASETS, row, new, response))


@router.post("/strategies", status_code=201, responses={200: {"model": Strategy}})
def create_strategy(service: ServiceHere, new: StrategyCreate, response: Response) -> Strategy:
    """Create a strategy; what is there already gets this description and is returned (200)."""
    section = _section(new)
    _check_reach(service, section)
    row = strategy_row(
        _as_stored(section.model_dump(mode="json")),
        _as_stored(section.exec_algorithm.model_dump(mode="json")),
        None,
        datetime.now(UTC),
    )
    return Strategy.model_validate(_created(service, STRATEGIES, row, new, response))


@router.get("/datasets/{dataset_id}")
def get_dataset(service: ServiceHere, dataset_id: _Id) -> Dataset:
    """Return a dataset."""
    return Dataset.model_validate(entry_of(service, DATASETS, dataset_id))


@router.get("/strategies/{strategy_id}")
def get_strategy(service: ServiceHere, strategy_id: _Id) -> Strategy:
    """Return a strategy."""
    return Strategy.model_validate(entry_of(service, STRATEGIES, strategy_id))


def _created(
    service: Service,
    table: Table,
    row: Row,
    new: DatasetCreate | StrategyCreate,
    response: Response,
) -> Row:
    given = new.model_dump(include={"name", "description"}, exclude_none=True)
    with opened(service.settings) as engine:
        key, is_new = create(engine, service.store, table, row, given)
    response.status_code = 201 if is_new else 200
    response.headers["Location"] = f"/api/v1/{table.name}/{key}"
    return entry_of(service, table, key)


def _config_of(service: Service, new: DatasetCreate) -> LoadedConfig:
    if new.config is not None:
        loaded = service.config(new.config)[1]
        if loaded.bars is not None:
            raise ProblemError(
                422, "invalid-request", f"config: {loaded.name} is for bars; name one for ticks"
            )
        if not names_instrument(new.instrument, loaded):
            raise ProblemError(
                422, "invalid-request", f"instrument: {loaded.name} has {loaded.key}"
            )
        return loaded
    for loaded in service.project().configs:
        if loaded.bars is None and names_instrument(new.instrument, loaded):
            return loaded
    raise ProblemError(
        404,
        "unknown-instrument",
        f"no configuration has the instrument {new.instrument!r}; see GET /api/configs",
    )


def _partitions(service: Service, new: DatasetCreate, loaded: LoadedConfig) -> list[Row]:
    """Return what the catalog holds of the days."""
    from odum_assets.catalog import read_manifest

    root = catalog_root(loaded, service.settings)
    days = [
        new.start_date + timedelta(days=number)
        for number in range((new.end_date - new.start_date).days)
    ]
    named = [source.data_type for source in service.project().sources_of(loaded)]
    lacking = {*(new.data_types or ())} - {kind.value for kind in named}
    if lacking:
        raise ProblemError(
            422, "invalid-request", f"data_types: {loaded.name} names no {', '.join(lacking)}"
        )
    wanted = [kind for kind in named if new.data_types is None or kind.value in new.data_types]
    existing, missing = [], []
    for kind in wanted:
        for day in days:
            manifest = read_manifest(root, loaded.key, kind, day)
            if manifest is None:
                missing.append(f"{kind.value} {day}")
            else:
                existing.append(partition_record(manifest))
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise ProblemError(
            409,
            "not-converted",
            f"the catalog lacks {', '.join(missing[:_NAMED])}{more}; convert them first: odum "
            f"convert {loaded.name} --from {days[0]} --to {days[-1]}",
        )
    return existing


def _section(new: StrategyCreate) -> StrategyConfig:
    given = {"name": new.name, "version": new.version}
    doubled = sorted(given.keys() & new.params.keys())
    if doubled:
        raise ProblemError(
            422, "invalid-request", f"params.{doubled[0]}: give it beside params, not in it"
        )
    try:
        return StrategyConfig.model_validate({**given, **new.params})
    except ValidationError as error:
        problems = find_problems(error, StrategyConfig)
        fields = [
            InvalidField(
                place="body." + ("" if problem.path in given else "params.") + problem.path,
                detail=problem.text,
            )
            for problem in problems
        ]
        detail = "\n".join(f"{field.place}: {field.detail}" for field in fields)
        raise ProblemError(422, "invalid-strategy", detail, errors=fields) from None


def _as_stored(section: Row) -> Row:
    """Return a section as the registry reads it from a result."""
    stored: Row = json.loads(write_json(section))
    return stored


def _check_reach(service: Service, section: StrategyConfig) -> None:
    """Refuse a class or a file that its sender may not use (see `odum_assets.config.reach`)."""
    sections = [loaded.config.strategy for loaded in service.project().configs]
    known = [section for section in sections if isinstance(section, StrategyConfig)]
    given = (section.path, section.params, section.orders_file)
    if any((strategy.path, strategy.params, strategy.orders_file) == given for strategy in known):
        return
    reach = reach_of(service.settings)
    for name, problem in (
        ("path", strategy_problem(section.path, reach)),
        ("orders_file", orders_file_problem(section.orders_file, reach)),
    ):
        if problem is not None:
            raise ProblemError(422, "beyond-reach", f"params.{name}: {problem}")
