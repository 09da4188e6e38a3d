"""What the routes share, made once for an application."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from odum_assets.api.dagster_client import DagsterClient
from odum_assets.api.launching import LaunchLimit
from odum_assets.api.options import ServiceOptions
from odum_assets.api.problems import ProblemError
from odum_assets.api.results_index import ResultsIndex
from odum_assets.config import LoadedConfig
from odum_assets.orchestration.project import Project, load_project
from odum_assets.results.run_id import is_run_id
from odum_assets.results.store import ResultEntry
from odum_assets.settings import Settings


@dataclass(frozen=True, slots=True)
class Service:
    """Settings and what is built on them.

    Parameters
    ----------
    settings : Settings
        Where everything lies.
    options : ServiceOptions
        Token, limits, Dagster.
    index : ResultsIndex
        The results.
    dagster : DagsterClient
        What runs them.
    launches : LaunchLimit
        How often that may be asked to.
    """

    settings: Settings
    options: ServiceOptions
    index: ResultsIndex
    dagster: DagsterClient
    launches: LaunchLimit

    def result(self, run_id: str) -> ResultEntry:
        """Return a result.

        Raises
        ------
        ProblemError
            If there is none of this id.
        """
        if not is_run_id(run_id) or not self.index.store.fast_path(run_id).is_file():
            raise ProblemError(
                404, "unknown-result", f"there is no result {run_id}; see GET /api/backtest/results"
            )
        return self.index.entry(run_id)

    def project(self) -> Project:
        """Return the configurations as they are now.

        Raises
        ------
        ConfigError
            If any cannot be used: the graph does not load then either.
        """
        return load_project(self.settings)

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
            404, "unknown-config", f"there is no configuration {plain!r}; see GET /api/configs"
        )


def _service_of(request: Request) -> Service:
    found: Service = request.app.state.service
    return found


ServiceHere = Annotated[Service, Depends(_service_of)]
"""The service, as a parameter of a route."""
