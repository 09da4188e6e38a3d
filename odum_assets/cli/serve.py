"""``odum serve``: the REST service."""

from typing import Annotated

import typer


def serve(
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port of the service.")] = 8000,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than loopback need ODUM_API_TOKEN.")
    ] = "127.0.0.1",
) -> None:
    """Serve results, data and runs over HTTP.

    Without ODUM_API_TOKEN it listens on loopback only. Ctrl-C ends it.

    [dim]Example:[/]
      odum serve --port 8001
    """
    import uvicorn

    from odum_assets.api.app import build_app
    from odum_assets.api.options import LOOPBACK, load_options
    from odum_assets.cli.dev import is_free
    from odum_assets.cli.errors import UsageError, WorkError
    from odum_assets.cli.rendering import Output
    from odum_assets.settings import load_settings

    settings, options = load_settings(), load_options()
    if options.token is None and host not in LOOPBACK:
        raise UsageError(
            f"--host {host}: without a token the service listens on loopback only; set "
            "ODUM_API_TOKEN, or use --host 127.0.0.1"
        )
    if not is_free(host, port):
        raise WorkError(f"port {port} is taken; choose another with --port")
    output = Output()
    shown = f"[{host}]" if ":" in host else host
    output.note(f"Service: http://{shown}:{port}/docs (Ctrl-C ends it)")
    if options.token is None:
        output.note("ODUM_API_TOKEN is not set: loopback only, no token asked for")
    uvicorn.run(
        build_app(settings, options),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
