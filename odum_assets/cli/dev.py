"""``odum dev``: the Dagster UI on the instance that the commands use."""

from typing import Annotated

import typer


def dev(
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port of the UI.")] = 3000,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than loopback need ODUM_API_TOKEN.")
    ] = "127.0.0.1",
) -> None:
    """Open the Dagster UI on what the commands have made, with sensors and schedules running.

    With ODUM_API_TOKEN it asks for the token, once per browser. Ctrl-C ends it and everything that
    it started.

    [dim]Example:[/]
      odum dev --port 3001
    """
    from odum_assets.api.options import DAGSTER_PREFIX, load_options
    from odum_assets.cli.dagster_process import DagsterProcess, pidfile_path, running_here
    from odum_assets.cli.errors import WorkError
    from odum_assets.cli.rendering import Output
    from odum_assets.cli.selection import require_project
    from odum_assets.cli.servers import host_and_port, listen, on_stop, require_token, serve_with
    from odum_assets.settings import load_settings

    options = load_options()
    require_project(load_settings())
    require_token(host, options)
    running = running_here()
    if running is not None:
        raise WorkError(
            f"Dagster already runs in this folder: {running.url}; open it, or stop it first"
        )
    with listen(host, port) as listening:
        import uvicorn

        from odum_assets.api.dagster_front import build_front
        from odum_assets.api.server import server_config

        url = f"http://{host_and_port(host, port)}{DAGSTER_PREFIX}"
        Output().info(f"Dagster UI: {url} (Ctrl-C ends it)")
        server = uvicorn.Server(server_config(build_front(options, pidfile_path()), options))

        def stop() -> None:
            server.should_exit = True

        with on_stop(stop), DagsterProcess(url) as dagster:
            serve_with(server, listening, dagster)
