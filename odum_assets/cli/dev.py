"""``odum dev``: the Dagster UI on the instance that the commands use."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from types import FrameType

_PATIENCE_S = 20.0


def dev(
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port of the UI.")] = 3000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Open the Dagster UI on what the commands have made, with sensors and schedules running.

    Ctrl-C ends it and everything that it started.

    [dim]Example:[/]
      odum dev --port 3001
    """
    from odum_assets.cli.errors import WorkError
    from odum_assets.cli.rendering import Output

    if not is_free(host, port):
        raise WorkError(f"port {port} is taken; choose another with --port")
    command, environment = dagster_dev(host, port)
    Output().note(f"Dagster UI: http://{host}:{port} (Ctrl-C ends it)")
    code = _follow(command, environment)
    if code not in (0, -signal.SIGINT, -signal.SIGTERM, 128 + signal.SIGINT):
        raise WorkError(f"dagster dev ended with exit code {code}; its last lines are above")


def dagster_dev(host: str, port: int) -> tuple[list[str], dict[str, str]]:
    """Return the command that runs Dagster on the instance of this folder, and its environment."""
    environment = dict(os.environ)
    # The token of the service is nothing that Dagster or a strategy needs to know.
    environment.pop("ODUM_API_TOKEN", None)
    command = [sys.executable, "-m", "dagster", "dev", "--host", host, "--port", str(port)]
    if not Path("workspace.yaml").is_file():
        command += ["-m", "odum_assets.definitions"]
    if not environment.get("DAGSTER_HOME") and not Path("dagster.yaml").is_file():
        # The state that the other commands use here; Dagster would make a temporary one.
        home = Path(".dagster").absolute()
        home.mkdir(exist_ok=True)
        environment["DAGSTER_HOME"] = str(home)
    return command, environment


def is_free(host: str, port: int) -> bool:
    """Return whether a port can be listened on."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _follow(command: list[str], environment: dict[str, str]) -> int:
    """Run a command in a process group of its own until it ends, and end what is left of it."""
    children: list[subprocess.Popen[bytes]] = []

    def forward(_number: int, _frame: "FrameType | None") -> None:
        for child in children:
            child.send_signal(signal.SIGINT)

    before = {each: signal.signal(each, forward) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        children.append(
            subprocess.Popen(command, env=environment, start_new_session=True)  # noqa: S603
        )
        return children[0].wait()
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        for child in children:
            end_group(child.pid)


def end_group(group: int) -> None:
    """End every process of a group, kindly first."""
    import time

    for sign in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + _PATIENCE_S
        try:
            os.killpg(group, sign)
            while time.monotonic() < deadline:
                os.killpg(group, 0)
                time.sleep(0.1)
        except ProcessLookupError:
            return
