"""``odum serve``: the REST service, with the Dagster that runs what it is asked for."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import uvicorn

    from odum_assets.cli.rendering import Output

_PATIENCE_S = 20.0


def serve(
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port of the service.")] = 8000,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than loopback need ODUM_API_TOKEN.")
    ] = "127.0.0.1",
    dagster: Annotated[
        bool | None,
        typer.Option(
            "--dagster/--no-dagster",
            help="Start Dagster, too. Default: unless ODUM_DAGSTER_URL says where one runs.",
            show_default=False,
        ),
    ] = None,
    dagster_port: Annotated[
        int, typer.Option(min=1, max=65_535, help="Port of that Dagster, on loopback.")
    ] = 3000,
) -> None:
    """Serve results, data and runs over HTTP, with the Dagster webserver and daemon behind it.

    Without ODUM_API_TOKEN it listens on loopback only. Ctrl-C ends all of it.

    [dim]Examples:[/]
      odum serve --port 8001
      ODUM_DAGSTER_URL=http://127.0.0.1:3000 odum serve
    """
    import uvicorn

    from odum_assets.api.app import build_app
    from odum_assets.api.options import LOOPBACK, load_options
    from odum_assets.cli.dev import is_free
    from odum_assets.cli.errors import UsageError, WorkError
    from odum_assets.cli.rendering import Output
    from odum_assets.settings import load_settings

    starts = dagster if dagster is not None else not os.environ.get("ODUM_DAGSTER_URL")
    here = {"dagster_url": f"http://127.0.0.1:{dagster_port}"} if starts else {}
    settings, options = load_settings(), load_options(**here)
    if options.token is None and host not in LOOPBACK:
        raise UsageError(
            f"--host {host}: without a token the service listens on loopback only; set "
            "ODUM_API_TOKEN, or use --host 127.0.0.1"
        )
    if not is_free(host, port):
        raise WorkError(f"port {port} is taken; choose another with --port")
    if starts and not is_free("127.0.0.1", dagster_port):
        raise WorkError(
            f"port {dagster_port} is taken: if that is Dagster (odum dev), say --no-dagster; else "
            "choose another with --dagster-port"
        )
    output = Output()
    shown = f"[{host}]" if ":" in host else host
    output.note(f"Service: http://{shown}:{port}/docs (Ctrl-C ends it)")
    if options.token is None:
        output.note("ODUM_API_TOKEN is not set: loopback only, no token asked for")
    server = uvicorn.Server(
        uvicorn.Config(
            build_app(settings, options),
            host=host,
            port=port,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=5,
        )
    )
    with _stopped_by_signals(server):
        if not starts:
            server.run()
            return
        code = _run_both(server, dagster_port, output)
    if code is not None:
        raise WorkError(f"dagster dev ended with exit code {code}; its last lines are above")


@contextmanager
def _stopped_by_signals(server: "uvicorn.Server") -> Iterator[None]:
    """Let signals end the server in order, before it listens to them and after."""

    def stop(_number: int, _frame: object) -> None:
        server.should_exit = True

    before = {each: signal.signal(each, stop) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _run_both(server: "uvicorn.Server", port: int, output: "Output") -> int | None:
    """Run Dagster and the service until one of them ends; return Dagster's code if it was first."""
    from odum_assets.cli.dev import dagster_dev, end_group

    command, environment = dagster_dev("127.0.0.1", port)
    output.note(f"Dagster: http://127.0.0.1:{port}")
    child = subprocess.Popen(command, env=environment, start_new_session=True)  # noqa: S603
    died = threading.Event()

    def watch() -> None:
        child.wait()
        died.set()
        server.should_exit = True

    threading.Thread(target=watch, daemon=True).start()
    try:
        server.run()
        return child.returncode if died.is_set() else None
    finally:
        if not died.is_set():
            child.send_signal(signal.SIGINT)
            died.wait(_PATIENCE_S)
        end_group(child.pid)
