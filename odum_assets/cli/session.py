"""Running assets from a command: the Dagster instance, the graph, and one run after the other."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Any

from odum_assets.backtest.child import in_the_foreground, started_ahead
from odum_assets.cli.progress import Display
from odum_assets.cli.rendering import Output
from odum_assets.settings import Settings

if TYPE_CHECKING:
    from odum_assets.config import LoadedConfig
    from odum_assets.orchestration.launch import Graph, LaunchResult
    from odum_assets.orchestration.planner import Plan, Planner
    from odum_assets.orchestration.project import Project, Source

type Key = tuple[str, ...]

TAGS = {"odum/source": "cli"}


class Session:
    """An open Dagster instance and the graph of one folder of configurations.

    Parameters
    ----------
    instance : dagster.DagsterInstance
        Open as long as the session is.
    graph : Graph
        Project and definitions.
    output : Output
        Where to show what goes on.
    """

    def __init__(self, instance: Any, graph: "Graph", output: Output) -> None:  # noqa: ANN401
        self.instance = instance
        self.graph = graph
        self.output = output

    @property
    def settings(self) -> Settings:
        """Return the settings of the graph."""
        return self.graph.project.settings

    def config(self, name: str) -> "LoadedConfig":
        """Return a configuration of the graph by name.

        Raises
        ------
        ConfigError
            If its file cannot be used.
        """
        return self.graph.project.config(name)

    def run(
        self,
        title: str,
        keys: Sequence[Key],
        partition: str | None,
        config: Mapping[Key, Mapping[str, object]] | None = None,
        *,
        job: str | None = None,
        tags: Mapping[str, str] = TAGS,
    ) -> "LaunchResult":
        """Make assets in one run of this process and show how far it is.

        Parameters
        ----------
        title : str
            What is being done.
        keys : sequence of tuple of str
            Assets.
        partition : str or None
            Day, None for assets without partitions.
        config : mapping, optional
            Run config by asset.
        job : str, optional
            Job of the run.
        tags : mapping, optional
            Tags of the run.

        Returns
        -------
        LaunchResult
            What became of it; failures are in it, not raised.

        Raises
        ------
        KeyboardInterrupt
            If it was stopped by Ctrl-C.
        """
        from odum_assets.orchestration.launch import materialize

        with Display(self.output, title) as display:

            def follow(event: Any) -> None:  # noqa: ANN401 - a Dagster event
                if event.event_type_value == "STEP_START":
                    display.step(last_part(event.step_key))

            result = materialize(
                self.instance,
                self.graph,
                keys,
                partition,
                config=config or {},
                job=job,
                tags=tags,
                on_event=follow,
                on_progress=display.progress,
            )
        if result.canceled:
            raise KeyboardInterrupt
        return result

    def is_recorded(self, source: "Source", day: date) -> bool:
        """Return whether Dagster knows a catalog partition as made."""
        return day.isoformat() in self.instance.get_materialized_partitions(source.catalog_key)

    def has_run(self, plan: "Plan") -> bool:
        """Return whether Dagster knows a run of a plan's job."""
        from dagster import RunsFilter

        return bool(self.instance.get_runs_count(RunsFilter(job_name=plan.job)))

    def planner(self) -> "Planner":
        """Return what plans runs; what Dagster has recorded so far counts."""
        from odum_assets.orchestration.planner import Planner

        recorded = cache(self.instance.get_materialized_partitions)
        project = self.graph.project
        return Planner(project, TAGS, lambda source: recorded(source.catalog_key))


@contextmanager
def open_session(
    settings: Settings, output: Output, *, replays: bool = False, in_foreground: bool = False
) -> Iterator[Session]:
    """Load the graph and open the Dagster instance that ``odum dev`` shows.

    Configurations that cannot be used are named; the others can be run.

    Parameters
    ----------
    settings : Settings
        Where everything lies.
    output : Output
        Where to show what goes on.
    replays : bool, default False
        Whether a backtest is going to run: its process loads NautilusTrader while this one loads
        Dagster.
    in_foreground : bool, default False
        Whether the process of a backtest has the terminal; nothing else is shown there then.

    Raises
    ------
    ConfigError
        If the folder of configurations cannot be used.
    """
    # No usage statistics, also where no dagster.yaml says so.
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
    ahead = started_ahead() if replays and not in_foreground else nullcontext()
    if in_foreground:
        output.is_shared = True
    with ahead, in_the_foreground() if in_foreground else nullcontext():
        with output.waiting("Loading the asset graph"):
            from odum_assets.orchestration.launch import load_graph, open_instance

            graph = load_graph(settings)
        warn_refused(output, graph.project)
        with open_instance(settings) as instance:
            yield Session(instance, graph, output)


def warn_refused(output: Output, project: "Project") -> None:
    """Name the configurations that cannot be used, each with the first thing that is wrong."""
    for refused in project.refused:
        first, *more = refused.problems
        rest = f" (and {len(more)} more: odum config validate)" if more else ""
        output.warn(f"left out of the graph: {first}{rest}")


def last_part(step_key: str | None) -> str:
    """Return the part of an asset's name that a person tells steps by."""
    name = step_key or ""
    # The name of a configuration's signals ends with the configuration.
    return (
        "signals" if name.startswith("signals__") else name.rsplit("__", 1)[-1].rsplit("/", 1)[-1]
    )


def failure_text(result: "LaunchResult") -> str:
    """Return what failed in a run, asset by asset, and where to look."""
    lines = [text if key == "run" else f"{key}: {text}" for key, text in result.failures]
    lines = lines or ["the run did not finish"]
    return "\n".join([*lines, f"(Dagster run {result.dagster_run_id})"])
