"""Raw data: which days there are, and whether they are enough for a run."""

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Annotated, Literal

import anyio.to_thread
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from odum_assets.api import models
from odum_assets.api.capacity import Capacity, go_on
from odum_assets.api.problems import ProblemError
from odum_assets.api.routes.results import Offset
from odum_assets.api.service import Service, ServiceHere
from odum_assets.config import LoadedConfig, effective_settings
from odum_assets.config.instrument_names import names_instrument
from odum_assets.errors import OdumError
from odum_assets.orchestration.checks import evaluate_partition
from odum_assets.orchestration.days import days_of, require_time
from odum_assets.orchestration.project import Project, Source, find_raw
from odum_assets.raw.layout import DataType, is_url, list_days, list_raw_files

if TYPE_CHECKING:
    from odum_assets.catalog import PartitionManifest

router = APIRouter(prefix="/api", tags=["data"])


class Dataset(BaseModel):
    """A day of raw data."""

    name: str = Field(examples=["day-2024-07-18"])
    day: str
    files: int
    size: int = Field(description="Bytes.")
    instruments: list[str]
    data_types: list[str]
    problems: list[str] = Field(default=[], description="Files of the day that cannot be read.")


class Datasets(models.Paged):
    """Days of raw data, newest first."""

    datasets: list[Dataset]


class DataCheck(BaseModel):
    """Whether there are the data for a run."""

    valid: bool
    has_trades: bool
    has_book: bool
    date: str | None
    dataset: str | None
    source: str
    messages: list[str]
    errors: list[str]
    warnings: list[str]


class DataQuestion(BaseModel):
    """A run that there may be data for."""

    instrument_id: str | None = Field(
        default=None, description="Instrument, any spelling.", examples=["BTC-USDT.BINANCE"]
    )
    config: str | None = Field(default=None, description="Configuration, if several have it.")
    start: str = Field(examples=["2024-07-18T00:00:00Z"])
    end: str = Field(examples=["2024-07-18T00:05:00Z"])
    snapshot_mode: Literal["trades", "book", "both", "auto"] = "both"
    data_source: Literal["local", "gcs", "auto"] = "auto"


@router.get("/datasets")
async def list_raw_days(
    service: ServiceHere,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    offset: Offset = 0,
) -> Datasets:
    """List days of raw data, newest first."""
    root = service.settings.raw_root
    return await service.storage.of([root]).run(_list, root, limit, offset)


def _list(root: str, limit: int, offset: int) -> Datasets:
    days = sorted(list_days(root), reverse=True)
    listed = days[offset : offset + limit]
    return Datasets(
        datasets=[_dataset(root, day) for day in listed],
        total=len(days),
        limit=limit,
        offset=offset,
        has_more=offset + len(listed) < len(days),
    )


def _dataset(root: str, day: date) -> Dataset:
    go_on()
    problems: list[str] = []
    files = list_raw_files(root, day=day, problems=problems)
    return Dataset(
        name=f"day-{day}",
        day=day.isoformat(),
        files=len(files),
        size=sum(file.size for file in files),
        instruments=sorted({file.key_text for file in files}),
        data_types=sorted({file.data_type.value for file in files}),
        problems=problems,
    )


@router.post("/backtest/check-data")
async def check_data(service: ServiceHere, question: DataQuestion) -> DataCheck:
    """Say whether there are the data for a run; what is wrong is in the reply, not an error."""
    storage = await anyio.to_thread.run_sync(_storage, service, question)
    return await storage.run(_checked, service, question)


def _storage(service: Service, question: DataQuestion) -> Capacity:
    try:
        _, fitting = _configs(service, question)
        return service.storage_of(fitting[0].name)
    except (OdumError, ProblemError):
        # The reply will say what is wrong.
        return service.storage.local


def _checked(service: Service, question: DataQuestion) -> DataCheck:
    reply = DataCheck(
        valid=False,
        has_trades=False,
        has_book=False,
        date=None,
        dataset=None,
        source="local" if question.data_source == "auto" else question.data_source,
        messages=[],
        errors=[],
        warnings=[],
    )
    try:
        _fill(service, question, reply)
    except (OdumError, ProblemError) as error:
        reply.errors += str(error).splitlines()
    reply.valid = not reply.errors
    return reply


def _fill(service: Service, question: DataQuestion, reply: DataCheck) -> None:
    bounds = require_time("start", question.start), require_time("end", question.end)
    days = days_of(*bounds)
    reply.date, reply.dataset = days[0].isoformat(), f"day-{days[0]}"
    project, fitting = _configs(service, question)
    root = effective_settings(fitting[0], service.settings).raw_root
    scheme = root.partition("://")[0] if is_url(root) else "local"
    present = "gcs" if scheme == "gs" else scheme
    if question.data_source not in ("auto", present):
        raise OdumError(f"data_source: found {question.data_source}, but raw files are in {root}")
    reply.source = present
    key, names = fitting[0].key, ", ".join(loaded.name for loaded in fitting)
    if question.config is not None:
        reply.messages.append(f"configuration {names}, instrument {key}")
        sources = project.sources_of(fitting[0])
    else:
        reply.messages.append(f"instrument {key}, configurations {names}")
        sources = tuple(source for source in project.sources if source.key == key)
    available = {
        source.data_type: _available_days(project, source, fitting, days, reply)
        for source in sources
    }
    reply.has_trades = available.get(DataType.TRADES) == len(days)
    reply.has_book = available.get(DataType.BOOK) == len(days)
    if not reply.has_trades:
        reply.errors.append(_missing("trades", available.get(DataType.TRADES), len(days)))
    if not reply.has_book and question.snapshot_mode != "trades":
        text = _missing("book snapshots", available.get(DataType.BOOK), len(days))
        optional = question.snapshot_mode == "auto" and DataType.BOOK not in available
        (reply.warnings if optional else reply.errors).append(text)


def _missing(what: str, available: int | None, wanted: int) -> str:
    if available is None:
        return f"the configuration has no {what}"
    return f"{what}: available for {available} of {wanted} days"


def _configs(service: Service, question: DataQuestion) -> tuple[Project, list[LoadedConfig]]:
    """Return the configuration that a question names, or all of the instrument that it names."""
    if question.config is not None:
        project, loaded = service.config(question.config)
        if question.instrument_id and not names_instrument(question.instrument_id, loaded):
            raise OdumError(
                f"instrument_id: {question.instrument_id!r} does not match {loaded.name}, "
                f"which has {loaded.key}"
            )
        return project, [loaded]
    if question.instrument_id is None:
        raise OdumError("give instrument_id, config, or both")
    project = service.project()
    fitting = [
        config for config in project.configs if names_instrument(question.instrument_id, config)
    ]
    if not fitting:
        raise OdumError(f"instrument_id: no configuration has {question.instrument_id!r}")
    if len({config.key for config in fitting}) > 1:
        names = ", ".join(config.name for config in fitting)
        raise OdumError(
            f"instrument_id: {question.instrument_id!r} fits several instruments; give config, "
            f"one of {names}"
        )
    return project, fitting


def _available_days(
    project: Project,
    source: Source,
    configs: Sequence[LoadedConfig],
    days: Sequence[date],
    reply: DataCheck,
) -> int:
    """Return for how many days there are data, and say what there is of each."""
    from odum_assets.catalog import read_manifest

    root, available = project.catalog_root(source.loaded), 0
    for day in days:
        go_on()
        raw = find_raw(source, day, project.settings)
        manifest = read_manifest(root, source.key, source.data_type, day)
        if raw is None and manifest is None:
            reply.warnings.append(f"{source.data_type} {day}: no raw file, not in the catalog")
            continue
        available += 1
        state = "not converted yet" if manifest is None else "in the catalog"
        if manifest is not None:
            state += f", {manifest.rows_written:,} rows"
            _judge(manifest, configs, day, reply)
        reply.messages.append(f"{source.data_type} {day}: {state}")
    return available


def _judge(
    manifest: "PartitionManifest", configs: Sequence[LoadedConfig], day: date, reply: DataCheck
) -> None:
    # By the thresholds of the run that is asked about, as the run itself does it.
    for evaluation in evaluate_partition(manifest, configs):
        if not evaluation.verdict.passed:
            messages = reply.errors if evaluation.refused else reply.warnings
            messages.append(
                f"{manifest.data_type} {day}: {evaluation.check.name}: {evaluation.verdict.text}"
            )
