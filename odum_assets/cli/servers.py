"""What `odum dev` and `odum serve` share: a port of their own, and an orderly end on a signal."""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING

from odum_assets.cli.errors import UsageError, WorkError

if TYPE_CHECKING:
    from types import FrameType

    import uvicorn

    from odum_assets.api.options import ServiceOptions
    from odum_assets.cli.dagster_process import DagsterProcess


class LogLevel(StrEnum):
    """What of a log is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


def listen(host: str, port: int, option: str = "--port") -> socket.socket:
    """Return a socket that listens.

    Parameters
    ----------
    host : str
        Address or name.
    port : int
        Port.
    option : str
        How a person chooses another port.

    Raises
    ------
    WorkError
        If the port is taken or the address is not of this machine; it says which.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        address = host_and_port(host, port)
        hint = f"; choose another with {option}" if port else ""
        raise WorkError(f"cannot listen on {address} ({error.strerror}){hint}") from None


def host_and_port(host: str, port: int) -> str:
    """Return an address as an URL has it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@contextmanager
def on_stop(stop: Callable[[], None]) -> Iterator[None]:
    """Call something on Ctrl-C and SIGTERM, in place of ending at once."""

    def handle(_number: int, _frame: "FrameType | None") -> None:
        stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def require_token(host: str, options: "ServiceOptions") -> None:
    """Refuse to listen where other machines reach it, without a token.

    Raises
    ------
    UsageError
        If it would.
    """
    from odum_assets.api.options import LOOPBACK

    if options.token is None and host not in LOOPBACK:
        raise UsageError(
            f"--host {host}: without a token the service listens on loopback only; set "
            "ODUM_API_TOKEN, or use --host 127.0.0.1"
        )


def serve_with(
    server: "uvicorn.Server", listening: socket.socket, dagster: "DagsterProcess"
) -> None:
    """Run a web server until it is stopped, or until Dagster ends.

    Raises
    ------
    WorkError
        If Dagster ended by itself.
    """
    codes: list[int] = []

    def watch() -> None:
        codes.append(dagster.wait())
        server.should_exit = True

    threading.Thread(target=watch, daemon=True).start()
    server.run([listening])
    if codes:
        raise WorkError(dagster.death(codes[0]))
