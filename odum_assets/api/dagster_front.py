"""What `odum dev` serves behind the guard of the service: the Dagster UI, and tearsheets."""

from pathlib import Path
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from odum_assets.api.dagster_proxy import DagsterProxy, proxy_routes
from odum_assets.api.guards import Guard
from odum_assets.api.options import DAGSTER_PREFIX, ServiceOptions
from odum_assets.api.session import login_routes, sessions_of
from odum_assets.api.tearsheets import tearsheet_route


def build_front(options: ServiceOptions, pidfile: Path) -> Starlette:
    """Return the application.

    Parameters
    ----------
    options : ServiceOptions
        Token, origins, limit of a body.
    pidfile : Path
        File that says which socket Dagster listens on.
    """
    sessions = sessions_of(options)
    routes = [] if sessions is None else login_routes(sessions)
    return Starlette(
        routes=[
            *routes,
            *proxy_routes(pidfile),
            tearsheet_route(),
            Route("/{path:path}", _Root(DagsterProxy(pidfile))),
        ],
        middleware=[Middleware(Guard, options=options, sessions=sessions)],
    )


class _Root:
    """Addresses without the prefix, as Dagster's own webserver has them.

    Bookmarks are led to the UI; programs (`dagster-graphql`, ODUM_DAGSTER_URL) do not follow, what
    they post is passed on.
    """

    def __init__(self, proxy: DagsterProxy) -> None:
        self._proxy = proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] in ("GET", "HEAD"):
            url = Request(scope).url
            query = f"?{url.query}" if url.query else ""
            moved = RedirectResponse(f"{DAGSTER_PREFIX}{quote(scope['path'])}{query}")
            await moved(scope, receive, send)
            return
        raw: bytes = scope["raw_path"]
        below = {"path": DAGSTER_PREFIX + scope["path"], "raw_path": DAGSTER_PREFIX.encode() + raw}
        await self._proxy({**scope, **below}, receive, send)
