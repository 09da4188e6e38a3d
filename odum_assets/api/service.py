"""What the routes share, made once for an application."""

import json
from pathlib import Path
from typing import Annotated, Any, Final

from anyio import to_thread
from fastapi import Depends, Request

from odum_assets.api import config_files, models
from odum_assets.api.annotated_runs import AnnotationIndex
from odum_assets.api.cache import Cache, file_validator
from odum_assets.api.capacity import Capacity, StorageCapacity
from odum_assets.api.config_files import ConfigFile
from odum_assets.api.dagster_client import DagsterClient
from odum_assets.api.following import Following
from odum_assets.api.launching import KeyLocks, LaunchLimit
from odum_assets.api.options import ServiceOptions
from odum_assets.api.problems import ProblemError
from odum_assets.api.run_registry import RunRegistry
from odum_assets.api.single_flight import SingleFlight
from odum_assets.config import LoadedConfig, effective_settings
from odum_assets.orchestration.coverage import CoverageReader
from odum_assets.orchestration.project import Project, load_project
from odum_assets.registry.database import RegistryError, result_store
from odum_assets.results.listing import algorithm, overrides, time_range
from odum_assets.results.run_id import is_run_id
from odum_assets.results.store import ResultEntry, ResultError
from odum_assets.settings import Settings

AGGREGATIONS: Final = 2
"""Results whose tables are aggregated at once: each takes a processor."""

AGGREGATION_S: Final = 120.0


class Service:
    """Settings and what is built on them.

    Parameters
    ----------
    settings : Settings
        All paths.
    options : ServiceOptions
        Token, limits, Dagster.
    """

    def __init__(self, settings: Settings, options: ServiceOptions) -> None:
        self.settings = settings
        self.options = options
        self.store = result_store(settings)
        self.cache = Cache()
        self.registry = RunRegistry(settings, self.cache)
        self.annotations = AnnotationIndex(self.store)
        self.dagster = DagsterClient(options.dagster_url)
        self.launches = LaunchLimit(options.launches_per_minute)
        self.repeats = KeyLocks()
        """Held while a request with an Idempotency-Key is looked up and started."""
        self.following = Following(self.dagster)
        self.storage = StorageCapacity()
        self.single_flight = SingleFlight()
        self.coverage = CoverageReader()
        self.aggregations = Capacity("aggregation of a result", AGGREGATIONS, AGGREGATION_S)

    def result(self, run_id: str) -> ResultEntry:
        """Return a result, by its id, the begin or end of its id, or ``last``.

        Raises
        ------
        ProblemError
            If there is none (404), or several fit (409).
        """
        name = self.name_of(run_id)
        entry = self._stored(name) if is_run_id(name) else None
        if entry is None:
            raise ProblemError(
                404,
                "unknown-result",
                f"there is no result {run_id[:80]}; see GET /api/backtest/results",
            )
        return entry

    def result_of_run(self, run_id: str) -> ResultEntry:
        """Return the result of a run that is named by its id or its id in Dagster.

        Raises
        ------
        ProblemError
            If there is no such run (404), or it has no result (409).
        """
        entry = self._stored(run_id) if is_run_id(run_id) else None
        if entry is not None:
            return entry
        run = self.registry.run(run_id)
        if run["status"] != "succeeded":
            raise ProblemError(
                409, "no-result", f"run {run_id} has no result: it is {run['status']}"
            )
        return self.result(run["run_id"])

    def full_document(self, entry: ResultEntry) -> dict[str, Any]:
        """Return what is stored of a result, and where its ticks are."""
        exported = self.store.file("tickdata", f"{entry.run_id}.json").is_there()
        ticks = f"/api/backtest/results/{entry.run_id}/ticks" if exported else None
        return {**entry.document, "ticks_path": ticks}

    def document(self, run_id: str) -> bytes:
        """Return the full document of a result as JSON.

        Raises
        ------
        ProblemError
            If there is none of this id.
        """

        def make() -> bytes:
            return json.dumps(self.full_document(self.result(run_id))).encode()

        if not is_run_id(run_id):
            return make()
        paths = [self._file(name, run_id) for name in ("fast", "tickdata")]
        return self.cache.get(("document", run_id), file_validator(*paths), make)

    def listed(self, run_id: str) -> bytes | None:
        """Return what lists show of a result as JSON; None if its file is gone or damaged."""

        def make() -> bytes:
            return listed_model(self.result(run_id)).model_dump_json().encode()

        try:
            paths = [self._file(name, run_id) for name in ("fast", "annotations")]
            validator = file_validator(*paths)
            return self.cache.get(("listed", run_id), validator, make)
        except (ProblemError, ResultError, KeyError, ValueError):
            return None

    def name_of(self, text: str) -> str:
        """Return the run id that a text means; itself where the registry cannot be asked."""
        try:
            return self.registry.name_of(text)
        except RegistryError:
            return text

    def _stored(self, run_id: str) -> ResultEntry | None:
        """Return a result by what is a run id, None if there is none."""

        def make() -> ResultEntry | None:
            is_there = self.store.fast_path(run_id).exists()
            return self.store.entry(run_id) if is_there else None

        validator = file_validator(self._file("fast", run_id))
        return self.cache.get(("result", run_id), validator, make)

    def _file(self, folder: str, run_id: str) -> Path:
        """Return a file to look whether it has changed; to read it, the store is asked."""
        return self.store.root / folder / f"{run_id}.json"

    def project(self) -> Project:
        """Return the configurations as they are now.

        Raises
        ------
        ConfigError
            If their folder cannot be read.
        """
        files = config_files.paths_in(self.settings.configs_path)
        validator = (*files, file_validator(*files))
        return self.cache.get("project", validator, lambda: load_project(self.settings))

    def configs(self) -> tuple[list[ConfigFile], list[str]]:
        """Return the files of configurations, valid or not, and how they contradict each other."""
        folder = self.settings.configs_path

        def make() -> tuple[list[ConfigFile], list[str]]:
            files = config_files.list_files(self.settings)
            return files, config_files.contradictions(files, self.settings)

        paths = config_files.paths_in(folder)
        return self.cache.get("configs", (*paths, file_validator(*paths)), make)

    def config(self, name: str) -> tuple[Project, LoadedConfig]:
        """Return a configuration, by its name or file name.

        Raises
        ------
        ProblemError
            If there is none of this name.
        ConfigError
            If its file cannot be used.
        """
        project = self.project()
        plain = name.removesuffix(".json")
        known = {config.name for config in project.configs} | {
            refused.name for refused in project.refused
        }
        if plain in known:
            return project, project.config(plain)
        raise ProblemError(
            404, "unknown-config", f"there is no configuration {plain[:80]!r}; see GET /api/configs"
        )

    def storage_of(self, name: str) -> Capacity:
        """Return the capacity for the raw data of a configuration.

        Raises
        ------
        ProblemError
            If there is none of this name.
        """
        project, loaded = self.config(name)
        sources = project.sources_of(loaded)
        return self.storage.of(
            effective_settings(source.loaded, self.settings).raw_root for source in sources
        )


def listed_model(entry: ResultEntry) -> models.ListedResult:
    """Return what lists show of a result."""
    document = entry.document
    return models.ListedResult.model_validate(
        {
            **{name: document[name] for name in ("instrument", "dataset", "start", "end")},
            "run_id": entry.run_id,
            "mode": entry.mode,
            "execution_time": entry.created_at,
            "summary": entry.summary(),
            "metadata": {
                "config_name": entry.config_name,
                "partition": entry.partition,
                "snapshot_mode": entry.metadata()["snapshot_mode"],
                "digest": entry.digest,
                "time_range": time_range(document),
                "exec_algorithm": algorithm(entry.metadata()),
                "overrides": overrides(entry.metadata()),
            },
            **entry.annotations().as_json(),
        }
    )


async def _service_of(request: Request) -> Service:
    # Not a plain function: such a one would cost every request a thread.
    service: Service = request.app.state.service
    return service


ServiceHere = Annotated[Service, Depends(_service_of)]
"""The service, as a parameter of a route."""


async def _entry_of(service: ServiceHere, run_id: str) -> ResultEntry:
    return await to_thread.run_sync(service.result, run_id)


async def _entry_of_run(service: ServiceHere, run_id: str) -> ResultEntry:
    return await to_thread.run_sync(service.result_of_run, run_id)


ResultHere = Annotated[ResultEntry, Depends(_entry_of)]
"""The result that the path or query names as ``run_id``."""

RunResultHere = Annotated[ResultEntry, Depends(_entry_of_run)]
"""The result of the run that the path names by its id or its id in Dagster."""
