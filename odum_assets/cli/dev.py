"""``odum dev``: the Dagster UI on the instance that the commands use."""

from typing import Annotated

import typer


def dev(
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port of the UI.")] = 3000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Open the Dagster UI on what the commands have made, with sensors and schedules running.

    Ctrl-C ends it and everything that it started.

    [dim]Example:[/]
      odum dev --port 3001
    """
    from odum_assets.cli.dagster_process import DagsterProcess, running_here
    from odum_assets.cli.errors import WorkError
    from odum_assets.cli.rendering import Output
    from odum_assets.cli.servers import listen, on_stop, shown

    found = running_here()
    if found is not None:
        raise WorkError(f"the Dagster of this folder runs already: {found.url}")
    listen(host, port).close()
    Output().note(f"Dagster UI: http://{shown(host, port)} (Ctrl-C ends it)")
    with DagsterProcess(host, port) as dagster, on_stop(dagster.stop):
        code = dagster.wait()
        if not dagster.was_stopped:
            raise WorkError(dagster.death(code))
