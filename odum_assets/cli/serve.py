"""``odum serve``: the REST service, with the Dagster that runs what it is asked for."""

import os
import threading
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import socket

    import uvicorn

    from odum_assets.cli.dagster_process import DagsterProcess
    from odum_assets.cli.rendering import Output


def serve(
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port of the service.")] = 8000,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than loopback need ODUM_API_TOKEN.")
    ] = "127.0.0.1",
    dagster: Annotated[
        bool | None,
        typer.Option(
            "--dagster/--no-dagster",
            help="Start Dagster, too, unless it runs in this folder. Default: unless "
            "ODUM_DAGSTER_URL says where one runs.",
            show_default=False,
        ),
    ] = None,
    dagster_port: Annotated[
        int, typer.Option(min=1, max=65_535, help="Port of that Dagster, on loopback.")
    ] = 3000,
) -> None:
    """Serve results, data and runs over HTTP, with the Dagster webserver and daemon behind it.

    Without ODUM_API_TOKEN it listens on loopback only. Ctrl-C ends all of it. A Dagster that runs
    in this folder already (odum dev) is used, and stays.

    [dim]Examples:[/]
      odum serve --port 8001
      ODUM_DAGSTER_URL=http://127.0.0.1:3000 odum serve
    """
    from odum_assets.api.options import LOOPBACK, load_options
    from odum_assets.cli.dagster_process import DagsterProcess
    from odum_assets.cli.errors import UsageError
    from odum_assets.cli.rendering import Output
    from odum_assets.cli.servers import listen, on_stop, shown
    from odum_assets.settings import load_settings

    settings, options, output = load_settings(), load_options(), Output()
    if options.token is None and host not in LOOPBACK:
        raise UsageError(
            f"--host {host}: without a token the service listens on loopback only; set "
            "ODUM_API_TOKEN, or use --host 127.0.0.1"
        )
    starts = dagster if dagster is not None else not os.environ.get("ODUM_DAGSTER_URL")
    url, is_new = _dagster_of(dagster_port, output) if starts else (options.dagster_url, False)
    with listen(host, port) as listening:
        # What cannot be served is refused before seconds of imports.
        import uvicorn

        from odum_assets.api.app import build_app
        from odum_assets.api.server import server_config

        output.note(f"Service: http://{shown(host, port)}, calls: /docs (Ctrl-C ends it)")
        if options.token is None:
            output.note("ODUM_API_TOKEN is not set: loopback only, no token asked for")
        app = build_app(settings, options.model_copy(update={"dagster_url": url}))
        server = uvicorn.Server(server_config(app, options))

        def stop() -> None:
            server.should_exit = True

        with on_stop(stop):
            if is_new:
                with DagsterProcess("127.0.0.1", dagster_port, log_level="warning") as process:
                    _run_both(server, listening, process)
            else:
                server.run([listening])


def _dagster_of(port: int, output: "Output") -> tuple[str, bool]:
    """Return the address of this folder's Dagster, and whether it is still to be started."""
    from odum_assets.cli.dagster_process import running_here
    from odum_assets.cli.servers import listen, shown

    found = running_here()
    if found is not None:
        output.note(f"Dagster: {found.url} (it runs already, and stays when the service ends)")
        return found.url, False
    listen("127.0.0.1", port, "--dagster-port").close()
    url = f"http://{shown('127.0.0.1', port)}"
    output.note(f"Dagster: {url} (it takes some seconds to start)")
    return url, True


def _run_both(
    server: "uvicorn.Server", listening: "socket.socket", dagster: "DagsterProcess"
) -> None:
    """Run the service until it is stopped, or until Dagster ends.

    Raises
    ------
    WorkError
        If Dagster ended by itself.
    """
    from odum_assets.cli.errors import WorkError

    codes: list[int] = []

    def watch() -> None:
        codes.append(dagster.wait())
        server.should_exit = True

    threading.Thread(target=watch, daemon=True).start()
    server.run([listening])
    if codes:
        raise WorkError(dagster.death(codes[0]))
