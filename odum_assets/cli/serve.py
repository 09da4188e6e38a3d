"""``odum serve``: the REST service, with the Dagster that runs what it is asked for."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from odum_assets.cli.running import collect_as_usual
from odum_assets.cli.servers import LogLevel

if TYPE_CHECKING:
    from odum_assets.cli.rendering import Output


def serve(
    port: Annotated[
        int, typer.Option(min=1, max=65_535, envvar="API_PORT", help="Port of the service.")
    ] = 8000,
    host: Annotated[
        str,
        typer.Option(
            envvar="API_HOST",
            help="Address to listen on; others than loopback need ODUM_API_TOKEN.",
        ),
    ] = "127.0.0.1",
    log_level: Annotated[
        LogLevel,
        typer.Option(
            envvar="LOG_LEVEL",
            case_sensitive=False,
            help="What is logged. info: every request. debug: also every statement of the "
            "registry's database.",
        ),
    ] = LogLevel.WARNING,
    dagster: Annotated[
        bool | None,
        typer.Option(
            "--dagster/--no-dagster",
            help="Start Dagster, too, unless it runs in this folder. Default: yes, unless "
            "ODUM_DAGSTER_URL is set.",
            show_default=False,
        ),
    ] = None,
    dagster_port: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Serve results, data and runs over HTTP, with the Dagster UI below /dagster.

    Without ODUM_API_TOKEN it listens on loopback only. Ctrl-C ends all of it. A Dagster that runs
    in this folder already (odum dev) is used, and stays.

    [dim]Examples:[/]
      odum serve --port 8001
      ODUM_DAGSTER_URL=http://127.0.0.1:3000 odum serve
    """
    from odum_assets.api.options import DAGSTER_PREFIX, load_options
    from odum_assets.cli.dagster_process import DagsterProcess
    from odum_assets.cli.rendering import Output
    from odum_assets.cli.selection import require_project
    from odum_assets.cli.servers import host_and_port, listen, on_stop, require_token, serve_with
    from odum_assets.settings import load_settings

    settings, options, output = load_settings(), load_options(), Output()
    require_token(host, options)
    if dagster_port is not None:
        output.info("--dagster-port has no effect: Dagster listens on no port of its own")
    starts = dagster if dagster is not None else not os.environ.get("ODUM_DAGSTER_URL")
    if starts:
        require_project(settings)
    own_url = f"http://{host_and_port(host, port)}{DAGSTER_PREFIX}"
    with listen(host, port) as listening:
        url, is_new = _dagster_of(own_url, output) if starts else (options.dagster_url, False)
        # What cannot be served is refused before seconds of imports.
        import uvicorn

        from odum_assets.api.app import build_app
        from odum_assets.api.server import server_config

        output.info(f"Service: http://{host_and_port(host, port)}, calls: /docs (Ctrl-C ends it)")
        if options.token is None:
            output.info("ODUM_API_TOKEN is not set: loopback only, no token required")
        app = build_app(settings, options.model_copy(update={"dagster_url": url}))
        server = uvicorn.Server(server_config(app, options, _logging(log_level)))

        def stop() -> None:
            server.should_exit = True

        collect_as_usual()
        with on_stop(stop):
            if is_new:
                with DagsterProcess(own_url, log_level=log_level.value) as process:
                    serve_with(server, listening, process)
            else:
                server.run([listening])


def _logging(level: LogLevel) -> str:
    """Set what the service logs, and return what its web server logs."""
    import logging

    if level is LogLevel.WARNING:
        return "error"
    logging.basicConfig(
        level=level.value.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    if level is LogLevel.DEBUG:
        logging.getLogger("sqlalchemy.engine").setLevel(logging.INFO)
    return level.value


def _dagster_of(own_url: str, output: "Output") -> tuple[str, bool]:
    """Return the address of this folder's Dagster, and whether it is still to be started."""
    from odum_assets.api.options import DAGSTER_PREFIX
    from odum_assets.api.unix_http import unix_address
    from odum_assets.cli.dagster_process import pidfile_path, running_here

    address = unix_address(pidfile_path(), DAGSTER_PREFIX)
    running = running_here()
    if running is not None:
        output.info(f"Dagster: {own_url} (already runs at {running.url}; it is left running)")
        return address, False
    output.info(f"Dagster: {own_url} (it takes some seconds to start)")
    return address, True
