"""The processes of `dagster dev`, with a webserver that listens on a Unix socket only.

Dagster's own command puts its webserver on a TCP port, where every user of the machine and every
web page in a browser reaches it, and where `/graphql` executes a mutation that the query string of
a GET names. Here it listens on a socket in a folder that only this user may enter, and takes
nothing that a page can send without asking before: no GraphQL by GET, no POST that is not JSON.
``odum_assets.api.dagster_proxy`` is its only client besides the service; the guard stands before
both. It is run as `python -m odum_assets.cli.dagster_services LEVEL MODULE SOCKET`, where an empty
MODULE stands for the workspace.yaml of the current folder.
"""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from odum_assets.api.options import DAGSTER_PREFIX
from odum_assets.cli.config_changes import ConfigChanges
from odum_assets.cli.rendering import print_error
from odum_assets.errors import OdumError

if TYPE_CHECKING:
    import uvicorn
    from dagster import DagsterInstance
    from dagster._core.workspace.load_target import WorkspaceLoadTarget
    from starlette.applications import Starlette
    from starlette.types import ASGIApp, Receive, Scope, Send

_STATEMENT_TIMEOUT_MS: Final = 15_000
_POOL_RECYCLE_S: Final = 3_600
_POOL_OVERFLOW: Final = 20
"""Limits of the webserver's database connections: the defaults of Dagster's own command."""

_POLL_RATE_MS: Final = 2_000
_GRACE_S: Final = 5
_DAEMON_ENDS_WITHIN_S: Final = 60
_LOG: Final = logging.getLogger("dagster")


class JsonOnly:
    """Refuse every request that a page can make a browser send without a preflight request.

    Forms and plain text are such requests: Dagster takes their GraphQL from the query string.

    Parameters
    ----------
    app : ASGIApp
        The application behind it.
    """

    def __init__(self, app: "ASGIApp") -> None:
        self._app = app

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass a request on, or answer it."""
        from starlette.datastructures import Headers
        from starlette.responses import PlainTextResponse

        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        kind = Headers(scope=scope).get("content-type", "").partition(";")[0].strip().lower()
        if kind == "application/json":
            await self._app(scope, receive, send)
            return
        refusal = PlainTextResponse("The body must be application/json.", status_code=415)
        await refusal(scope, receive, send)


def run(log_level: str, module: str, path: str) -> int:
    """Run code servers, daemon and webserver until a signal, or until the daemon ends.

    Parameters
    ----------
    log_level : str
        What of their log is shown.
    module : str
        Module of the code location; empty for the workspace.yaml of the current folder.
    path : str
        Unix socket to listen on; its folder is there.

    Returns
    -------
    int
        Exit code: 0 after a signal, 1 when the daemon ended by itself.
    """
    from dagster._cli.proxy_server_manager import ProxyServerManager
    from dagster._cli.utils import get_possibly_temporary_instance_for_cli
    from dagster._utils.log import configure_loggers

    from odum_assets.orchestration.instance import instance_problems, instance_ref

    # Messages about code that fails to load are those of a local deployment.
    os.environ["DAGSTER_IS_DEV_CLI"] = "1"
    configure_loggers(formatter="colored", log_level=log_level.upper())
    changes = ConfigChanges()
    with (
        instance_problems(),
        # Named, because Dagster would tell of a temporary instance although dagster.yaml has none.
        get_possibly_temporary_instance_for_cli("odum dev", instance_ref(), _LOG) as instance,
        ProxyServerManager(instance, _target(module), "warning") as servers,
        TemporaryDirectory() as folder,
    ):
        workspace = Path(folder) / "workspace.yaml"
        # JSON is YAML, too.
        workspace.write_text(json.dumps({"load_from": servers.get_code_server_specs()}))
        with _daemon(instance, workspace, log_level) as daemon:
            return _serve(instance, workspace, path, daemon, changes)


def _target(module: str) -> "WorkspaceLoadTarget":
    """Return what is to be loaded, as `dagster dev` finds it."""
    from dagster._cli.workspace.cli_target import workspace_opts_to_load_target
    from dagster_shared.cli import WorkspaceOpts

    return workspace_opts_to_load_target(WorkspaceOpts(module_name=(module,) if module else None))


@contextmanager
def _daemon(
    instance: "DagsterInstance", workspace: Path, log_level: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the daemon until the context ends."""
    from dagster._serdes import serialize_value

    words = ["--log-level", log_level, "--workspace", str(workspace)]
    words += ["--instance-ref", serialize_value(instance.get_ref())]
    daemon = subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "dagster._daemon", "run", *words]
    )
    try:
        yield daemon
    finally:
        if daemon.poll() is None:
            daemon.send_signal(signal.SIGINT)
        try:
            daemon.wait(_DAEMON_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()


def _serve(
    instance: "DagsterInstance",
    workspace: Path,
    path: str,
    daemon: subprocess.Popen[bytes],
    changes: ConfigChanges,
) -> int:
    """Serve the UI and GraphQL until a signal, or until the daemon ends."""
    import uvicorn
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import WorkspaceFileTarget

    instance.optimize_for_webserver(_STATEMENT_TIMEOUT_MS, _POOL_RECYCLE_S, _POOL_OVERFLOW)
    target = WorkspaceFileTarget(paths=[str(workspace)])
    with (
        WorkspaceProcessContext(instance, target, code_server_log_level="warning") as context,
        socket.socket(socket.AF_UNIX) as listening,
    ):
        listening.bind(path)
        listening.listen(2048)
        config = uvicorn.Config(
            _app(context),
            log_level="warning",
            access_log=False,
            # Its only clients are our own: what they say of who asked is not needed.
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE_S,
        )
        server = uvicorn.Server(config)
        watch = threading.Thread(target=_end_with, args=(daemon, server), daemon=True)
        watch.start()
        stop = threading.Event()
        reloading = threading.Thread(
            target=changes.reload_on_change, args=(lambda: _reload(context), stop), daemon=True
        )
        reloading.start()
        try:
            # After a signal it ends in order, and raises the signal once more.
            server.run([listening])
        finally:
            stop.set()
    _LOG.error("the Dagster daemon ended with exit code %s", daemon.poll())
    return 1


def _end_with(daemon: subprocess.Popen[bytes], server: "uvicorn.Server") -> None:
    daemon.wait()
    server.should_exit = True


def _reload(context: Any) -> None:  # noqa: ANN401 - WorkspaceProcessContext is not exported
    for name in context.create_request_context().code_location_names:
        context.reload_code_location(name)


def _app(context: Any) -> "Starlette":  # noqa: ANN401 - WorkspaceProcessContext is not exported
    """Return Dagster's web application, below ``DAGSTER_PREFIX``."""
    from dagster_webserver.webserver import DagsterWebserver
    from starlette.middleware import Middleware
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse, Response

    class Webserver(DagsterWebserver[Any, Any]):
        def build_middleware(self) -> list[Middleware]:
            return [Middleware(JsonOnly), *super().build_middleware()]

        async def graphql_http_endpoint(self, request: Request) -> Response:
            """Answer a query; a GET gets the page to write queries on, and executes none."""
            is_page = "text/html" in request.headers.get("Accept", "")
            if request.method == "POST" or (request.method == "GET" and is_page):
                answer: Response = await super().graphql_http_endpoint(request)
                return answer
            allow = {"Allow": "POST"}
            return PlainTextResponse("GraphQL is taken by POST only.", 405, headers=allow)

    return Webserver(context, DAGSTER_PREFIX, _POLL_RATE_MS).create_asgi_app()


if __name__ == "__main__":
    try:
        sys.exit(run(*sys.argv[1:]))
    except OdumError as error:
        print_error(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(0)
