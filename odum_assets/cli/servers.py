"""What `odum dev` and `odum serve` share: a port of their own, and an orderly end on a signal."""

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from odum_assets.cli.errors import WorkError

if TYPE_CHECKING:
    from types import FrameType


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
        place = shown(host, port)
        hint = f"choose another with {option}" if port else ""
        raise WorkError(f"cannot listen on {place} ({error.strerror}); {hint}") from None


def shown(host: str, port: int) -> str:
    """Return an address as an URL has it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@contextmanager
def on_stop(stop: Callable[[], None]) -> Iterator[None]:
    """Call something on Ctrl-C and SIGTERM, in place of ending at once."""

    def handle(_number: int, _frame: "FrameType | None") -> None:
        stop()

    before = {each: signal.signal(each, handle) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
