"""Planning for the service: in a thread for the raw data it looks at, by the one planner.

What belongs here: what the service adds to a plan (who asks, how long it may take, how many
launches there may be). What does not: what a request comes to (``orchestration.planner``).
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from anyio import to_thread

from odum_assets.api.capacity import go_on
from odum_assets.api.problems import ProblemError
from odum_assets.api.runs_by_ids import RunCreate, resolved
from odum_assets.api.service import Service
from odum_assets.api.sweeps import NewVsweep
from odum_assets.api.unix_http import pidfile_of
from odum_assets.config import LoadedConfig
from odum_assets.errors import InvalidRequestError
from odum_assets.orchestration.planner import Plan, Planner
from odum_assets.orchestration.requests import LegacyRun, NewRun

_TAGS = {
    "odum/source": "api",
    # The client gets a reply about a failure, and starts it again or not.
    "dagster/max_retries": "0",
}


@contextmanager
def counted_launch(service: Service) -> Iterator[None]:
    """Take a turn among the launches of a minute, and give it back where no data was looked for.

    Raises
    ------
    ProblemError
        If there were too many (429).
    """
    service.launches.take()
    try:
        yield
    except (InvalidRequestError, ProblemError) as problem:
        if isinstance(problem, InvalidRequestError) or problem.status == 404:
            service.launches.give_back()
        raise


async def planned(
    service: Service,
    config: str,
    tags: Mapping[str, str],
    work: Callable[[Planner, LoadedConfig], Plan],
) -> Plan:
    """Return a plan: what it reads may lie on another host.

    Parameters
    ----------
    service : Service
        The service.
    config : str
        Configuration whose data are looked at.
    tags : mapping
        Further tags of the run.
    work : callable
        Plans, given a planner and the configuration.
    """

    def plan() -> Plan:
        project, loaded = service.config(config)
        # A Dagster elsewhere may have strategies of its own.
        is_here = pidfile_of(service.options.dagster_url) is not None
        planner = Planner(project, {**_TAGS, **tags}, proceed=go_on, checks_strategies=is_here)
        return work(planner, loaded)

    storage = await to_thread.run_sync(service.storage_of, config)
    return await storage.run(plan)


async def planned_run(
    service: Service, request: NewRun | LegacyRun, tags: Mapping[str, str]
) -> Plan:
    """Return the plan of a run that was asked for in any of the forms."""
    if isinstance(request, RunCreate):
        request = await to_thread.run_sync(resolved, service, request)

    def work(planner: Planner, loaded: LoadedConfig) -> Plan:
        new = (
            request.new_run(loaded, service.settings) if isinstance(request, LegacyRun) else request
        )
        return planner.plan(new)

    return await planned(service, request.config, tags, work)


async def planned_vsweep(service: Service, new: NewVsweep, tags: Mapping[str, str]) -> Plan:
    """Return the plan of a vectorized sweep."""
    return await planned(
        service,
        new.config,
        tags,
        lambda planner, loaded: planner.plan_vsweep(loaded.name, new),
    )


def check_length(service: Service, new: NewRun) -> None:
    """Refuse a range that is too long for one request.

    Raises
    ------
    ProblemError
        If it is (422).
    """
    most = service.options.max_days
    if new.first_day and new.last_day and (new.last_day - new.first_day).days >= most:
        raise ProblemError(
            422,
            "invalid-window",
            f"{new.first_day} to {new.last_day}: allowed up to {most:,} days in one request "
            "(ODUM_API_MAX_DAYS); start it in parts",
        )
