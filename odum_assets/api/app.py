"""The application: its routes, guards and errors, and the OpenAPI document of all that."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import numpy as np
import pyarrow as pa
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.routing import APIRoute

from odum_assets.api import problems
from odum_assets.api.dagster_proxy import proxy_routes
from odum_assets.api.docs_page import docs_routes
from odum_assets.api.document import TAGS, completed
from odum_assets.api.graphql.serving import graphql_routes
from odum_assets.api.guards import Guard
from odum_assets.api.options import ServiceOptions
from odum_assets.api.page_files import PageFiles
from odum_assets.api.routes import (
    annotations,
    catalog,
    charts,
    comparing,
    configs,
    conversions,
    coverage,
    data,
    entries,
    exports,
    facets,
    model_backtests,
    notes,
    orb,
    origins,
    planning,
    registry,
    rejects,
    results,
    run_tables,
    runs,
    sessions,
    status,
    sweeps,
    trained_models,
    verifying,
)
from odum_assets.api.sending import LargeBodies
from odum_assets.api.service import Service
from odum_assets.api.session import login_routes, sessions_of
from odum_assets.api.unix_http import pidfile_of
from odum_assets.settings import Settings

_EXPOSED_HEADERS = ["ETag", "Link", "Location", "Retry-After", "X-Request-Id", "X-Total-Count"]
_TAKEN_HEADERS = [
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Last-Event-ID",
]
_SWITCH_S = 0.0005
_ROUTERS = (
    status.router,
    sessions.router,
    status.alias,
    results.router,
    annotations.router,
    notes.router,
    facets.router,
    registry.router,
    entries.router,
    run_tables.router,
    charts.router,
    origins.router,
    orb.router,
    comparing.router,
    exports.router,
    runs.router,
    planning.router,
    verifying.router,
    sweeps.router,
    data.router,
    coverage.router,
    rejects.router,
    configs.router,
    conversions.router,
    catalog.router,
    trained_models.router,
    model_backtests.router,
)


def _load_libraries() -> None:
    """Load what Arrow imports with its first arrays: the first chart would wait for it."""
    pa.array([0])
    np.ma  # noqa: B018


def build_app(settings: Settings, options: ServiceOptions) -> FastAPI:
    """Return the service.

    Parameters
    ----------
    settings : Settings
        All paths.
    options : ServiceOptions
        Token, limits, Dagster.
    """
    service = Service(settings, options)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        before = sys.getswitchinterval()
        # Threads that make a long reply let the event loop wait: for a tenth of the usual time.
        sys.setswitchinterval(_SWITCH_S)
        # Arrow's own allocator keeps memory for each thread that ever read a table.
        pa.set_memory_pool(pa.system_memory_pool())
        _load_libraries()
        yield
        sys.setswitchinterval(before)
        service.registry.close()

    app = FastAPI(
        title="Odum Assets",
        version=version("odum-assets"),
        description="Backtests and their results, over the same Dagster assets as everything else.",
        openapi_tags=TAGS,
        generate_unique_id_function=_operation_id,
        lifespan=lifespan,
        # A redirect would repeat whatever host the request names.
        redirect_slashes=False,
        # Their pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    problems.install(app, _ROUTERS)
    for router in _ROUTERS:
        app.include_router(router)
    app.router.routes += docs_routes()
    app.router.routes += graphql_routes(service)
    open_sessions = app.state.sessions = sessions_of(options)
    if open_sessions is not None:
        app.router.routes += login_routes(open_sessions)
    dagster = pidfile_of(options.dagster_url)
    if dagster is not None:
        app.router.routes += proxy_routes(dagster[0])
    # What no route does; a route would take from others the methods that they do not have.
    app.router.default = PageFiles()
    app.add_middleware(Guard, options=options, sessions=open_sessions, has_page=True)
    if options.cors:
        # Outermost: a page must be able to read a refusal, too.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(options.cors),
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=_TAKEN_HEADERS,
            expose_headers=_EXPOSED_HEADERS,
        )
    app.add_middleware(LargeBodies)
    app.openapi = _document(app, options, app.openapi)  # type: ignore[method-assign]
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name


def _document(
    app: FastAPI, options: ServiceOptions, build: Callable[[], dict[str, Any]]
) -> Callable[[], dict[str, Any]]:
    """Return what makes the document, once."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is not None:
            return app.openapi_schema
        return completed(build(), with_token=options.token is not None)

    return document
