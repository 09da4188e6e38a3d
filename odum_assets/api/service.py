"""What the routes share, made once for an application."""

from typing import Annotated

from anyio import to_thread
from fastapi import Depends, Request

from odum_assets.api.dagster_client import DagsterClient
from odum_assets.api.files import FileCache
from odum_assets.api.launching import LaunchLimit
from odum_assets.api.options import ServiceOptions
from odum_assets.api.problems import ProblemError
from odum_assets.api.registered import Registered
from odum_assets.api.sharing import Sharing
from odum_assets.config import LoadedConfig
from odum_assets.orchestration.project import Project, load_project
from odum_assets.results.run_id import is_run_id
from odum_assets.results.store import ResultEntry, ResultStore
from odum_assets.settings import Settings


class Service:
    """Settings and what is built on them.

    Parameters
    ----------
    settings : Settings
        Where everything lies.
    options : ServiceOptions
        Token, limits, Dagster.
    """

    def __init__(self, settings: Settings, options: ServiceOptions) -> None:
        self.settings = settings
        self.options = options
        self.store = ResultStore(settings.results_path)
        self.registered = Registered(settings)
        self.dagster = DagsterClient(options.dagster_url)
        self.launches = LaunchLimit(options.launches_per_minute)
        self.sharing = Sharing()
        self.listed = FileCache[bytes](most=5_000)
        """What lists show of a result: some kilobytes each."""
        self._projects = FileCache[Project](most=2)

    def result(self, run_id: str) -> ResultEntry:
        """Return a result.

        Raises
        ------
        ProblemError
            If there is none of this id.
        """
        if not is_run_id(run_id) or not self.store.fast_path(run_id).is_file():
            raise ProblemError(
                404,
                "unknown-result",
                f"there is no result {run_id[:80]}; see GET /api/backtest/results",
            )
        return self.store.entry(run_id)

    def result_of_run(self, run_id: str) -> ResultEntry:
        """Return the result of a run that is named by its id or its id in Dagster.

        Raises
        ------
        ProblemError
            If there is no such run (404), or it has no result (409).
        """
        if is_run_id(run_id) and self.store.fast_path(run_id).is_file():
            return self.store.entry(run_id)
        run = self.registered.run(run_id)
        if run["status"] != "succeeded":
            raise ProblemError(
                409, "no-result", f"run {run_id} has no result: it is {run['status']}"
            )
        return self.result(run["run_id"])

    def project(self) -> Project:
        """Return the configurations as they are now.

        Raises
        ------
        ConfigError
            If any cannot be used: the graph does not load then either.
        """
        files = sorted(self.settings.configs_path.glob("*.json"))
        return self._projects.get(files, lambda: load_project(self.settings))

    def config(self, name: str) -> tuple[Project, LoadedConfig]:
        """Return a configuration, by its name or file name.

        Raises
        ------
        ProblemError
            If there is none of this name.
        """
        project = self.project()
        plain = name.removesuffix(".json")
        for loaded in project.configs:
            if loaded.name == plain:
                return project, loaded
        raise ProblemError(
            404, "unknown-config", f"there is no configuration {plain[:80]!r}; see GET /api/configs"
        )


async def _service_of(request: Request) -> Service:
    # Not a plain function: such a one would cost every request a thread.
    found: Service = request.app.state.service
    return found


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
