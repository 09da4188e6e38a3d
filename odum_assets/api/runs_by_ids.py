"""Runs that are asked for by a dataset and a strategy of the registry.

The run goes the way of all others, by a configuration: one of the dataset's instrument with the
strategy in place of its own. Where the folder has none that means the same, it is stored.
"""

import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Self
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator
from sqlalchemy import Table

from odum_assets.api import config_files
from odum_assets.api.preconditions import Preconditions
from odum_assets.api.problems import ProblemError
from odum_assets.api.service import Service
from odum_assets.config import LoadedConfig, catalog_root
from odum_assets.config.exact_json import read_json, write_json
from odum_assets.config.loading import parse_config
from odum_assets.errors import ConfigError
from odum_assets.orchestration.requests import NewRun
from odum_assets.raw.layout import DataType
from odum_assets.registry import queries
from odum_assets.registry.models import DATASETS, STRATEGIES
from odum_assets.registry.records import UNVERSIONED, Row
from odum_assets.registry.types import RunMode

type EntryId = int | UUID
"""A dataset or strategy, by its id or its UUID."""

_LARGEST = 2**63 - 1
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PATHS = {
    DataType.BOOK.value: "book_snapshot_5_path",
    DataType.FUNDING.value: "derivative_ticker_path",
}


class RunCreate(NewRun):
    """A run to start: by a configuration, or by a dataset and a strategy of the registry.

    A configuration needs a day, a window, or every day of a range by itself (a backfill). A dataset
    says which days: several are one account.
    """

    model_config = ConfigDict(extra="forbid")

    config: str = Field(default="", description="Configuration.", examples=["my_config"])
    dataset_id: EntryId | None = Field(default=None, description="Dataset: id or UUID.")
    strategy_id: EntryId | None = Field(default=None, description="Strategy: id or UUID.")
    initial_capital: Decimal | None = Field(
        default=None,
        gt=0,
        max_digits=38,
        decimal_places=12,
        description="Starting balance in the account's currency. Null: the configuration's.",
    )
    run_mode: Literal[RunMode.BACKTEST] = Field(default=RunMode.BACKTEST)

    @model_validator(mode="after")
    def _check_ids(self) -> Self:
        if self.dataset_id is None and self.strategy_id is None:
            if not self.config:
                raise ValueError("give a config, or dataset_id and strategy_id")
            if self.initial_capital is not None:
                raise ValueError("initial_capital: only with dataset_id and strategy_id")
            return self
        if self.dataset_id is None or self.strategy_id is None:
            raise ValueError("give both dataset_id and strategy_id")
        for name in ("day", "first_day", "window", "snapshot_mode"):
            if name in self.model_fields_set:
                raise ValueError(f"{name}: not with dataset_id, which says what is read")
        return self


def entry_of(service: Service, table: Table, name: EntryId) -> Row:
    """Return a dataset or strategy.

    Raises
    ------
    ProblemError
        If there is none.
    """
    row = None
    if isinstance(name, UUID) or 0 < name <= _LARGEST:
        with service.registry.reading() as connection:
            row = queries.get_entry(connection, table, name)
    if row is None:
        kind = "dataset" if table is DATASETS else "strategy"
        raise ProblemError(
            404, f"unknown-{kind}", f"there is no {kind} {name}; see GET /api/v1/{table.name}"
        )
    return row


def resolved(service: Service, new: RunCreate) -> NewRun:
    """Return the request that a dataset and a strategy make, and store its configuration.

    Raises
    ------
    ProblemError
        If one of them is not known, cannot be run, or the data have changed since.
    """
    options = new.model_dump(exclude=set(RunCreate.model_fields) - set(NewRun.model_fields))
    if new.dataset_id is None or new.strategy_id is None:
        return NewRun.model_validate(options)
    dataset = entry_of(service, DATASETS, new.dataset_id)
    strategy = entry_of(service, STRATEGIES, new.strategy_id)
    kinds = {part["data_type"] for part in dataset["partitions"]}
    base = _base(service, dataset, kinds, new.config)
    _check_unchanged(service, dataset, base)
    content = _content(base, strategy, kinds, new.initial_capital)
    options |= {
        "config": _stored(service, content, strategy, base),
        "snapshot_mode": "both" if DataType.BOOK.value in kinds else "trades",
    }
    days = sorted({date.fromisoformat(part["day"]) for part in dataset["partitions"]})
    if len(days) == 1:
        return NewRun.model_validate({**options, "day": days[0]})
    span = {"first_day": days[0], "last_day": days[-1], "window": True}
    return NewRun.model_validate({**options, **span})


def _base(service: Service, dataset: Row, kinds: set[str], name: str) -> LoadedConfig:
    """Return a configuration that says where the data of a dataset are."""
    known: Sequence[LoadedConfig] = (
        [service.config(name)[1]]
        if name
        else sorted(service.project().configs, key=_is_stored_here)
    )
    for loaded in known:
        if loaded.bars is not None or str(loaded.key) != dataset["instrument"]:
            continue
        if kinds <= loaded.ticks.data_catalog.paths().keys():
            return loaded
    which = f"{name} does not name" if name else "no configuration names"
    raise ProblemError(
        409,
        "no-config",
        f"{which} {', '.join(sorted(kinds))} of {dataset['instrument']}; see GET /api/configs",
    )


def _check_unchanged(service: Service, dataset: Row, base: LoadedConfig) -> None:
    """Refuse a dataset that the catalog does not hold as it was."""
    from odum_assets.catalog import read_manifest

    root = catalog_root(base, service.settings)
    for part in dataset["partitions"]:
        day = date.fromisoformat(part["day"])
        manifest = read_manifest(root, base.key, DataType(part["data_type"]), day)
        if manifest is None or manifest.digest != part["digest"]:
            state = "is not in the catalog" if manifest is None else "has changed since"
            raise ProblemError(
                409,
                "dataset-changed",
                f"dataset {dataset['id']}: {part['data_type']} of {day} {state}; convert the day, "
                "and create the dataset again if its rows differ",
            )


def _content(
    base: LoadedConfig, strategy: Row, kinds: set[str], capital: Decimal | None
) -> dict[str, Any]:
    content: dict[str, Any] = read_json(base.path.read_text(encoding="utf-8-sig"))
    section = {"name": strategy["name"], **strategy["params"]}
    if section.get("path") is not None:
        del section["exec_algorithm"]
    version = strategy["version"]
    if version != UNVERSIONED and not _SHA256.fullmatch(version):
        section["version"] = version
    content["strategy"] = section
    # The days of the dataset say what is run.
    content["time_window"] = {"start": None, "end": None}
    for kind, key in _PATHS.items():
        if kind not in kinds:
            content["data_catalog"].pop(key, None)
    if capital is not None:
        content["venue"]["starting_balance"] = capital
    return content


def _stored(service: Service, content: dict[str, Any], strategy: Row, base: LoadedConfig) -> str:
    """Return the name of the configuration with a content, which is stored unless it is there."""
    try:
        # By its name alone: where the folder is is not the sender's business.
        wanted = parse_config(write_json(content), Path(base.path.name))
    except ConfigError as error:
        raise ProblemError(
            409, "cannot-run", f"strategy {strategy['id']} with {base.name}: {error}"
        ) from None
    for loaded in _others(service.project().configs, base):
        if loaded.content_hash == wanted.content_hash:
            return loaded.name
    words = (strategy["name"], strategy["version"][:12], base.key.symbol, wanted.content_hash[:8])
    name = re.sub(r"[^a-z0-9]+", "_", "_".join(words).lower())
    config_files.write(service.settings, name, content, Preconditions())
    return name


def _is_stored_here(loaded: LoadedConfig) -> bool:
    """Return whether a configuration was stored for a run by ids: its name ends with its hash."""
    return loaded.name.endswith(f"_{loaded.content_hash[:8]}")


def _others(configs: Sequence[LoadedConfig], base: LoadedConfig) -> list[LoadedConfig]:
    """Return configurations, the one that was started from first."""
    return sorted(configs, key=lambda loaded: loaded.name != base.name)
