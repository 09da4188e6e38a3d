"""Telling the registry about runs: a result that is stored stays good whatever the registry says.

What belongs here: when a step registers, and what is said when it cannot. What does not: how rows
are made (``registry``).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg

from odum_assets.settings import Settings

if TYPE_CHECKING:
    from odum_assets.backtest.request import RunRequest
    from odum_assets.orchestration.project import Project


def register(context: dg.AssetExecutionContext, settings: Settings, run_id: str) -> None:
    """Register a stored run; when that fails, log an error that says what to do."""
    from odum_assets.registry.register import register_run

    try:
        register_run(settings, run_id)
    except Exception as error:  # noqa: BLE001 - an index must not fail what it indexes
        context.log.error(
            f"{run_id} is stored, but it could not be registered: {error}\n"
            "Once that is mended: odum registry rebuild"
        )


@contextmanager
def registering_failure(
    context: dg.AssetExecutionContext, request: "RunRequest", project: "Project"
) -> Iterator[None]:
    """Keep and register why a run inside failed or was stopped; the error goes on unchanged."""
    try:
        yield
    except BaseException as error:
        from odum_assets.results.failures import store_failure

        try:
            run_id = store_failure(request, project.settings, error, context.run.run_id)
        except Exception as other:  # noqa: BLE001 - the first error matters more
            context.log.error(f"why this run failed could not be kept for the registry: {other}")
        else:
            register(context, project.settings, run_id)
        raise
