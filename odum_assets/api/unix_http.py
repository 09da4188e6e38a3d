"""HTTP over the Unix socket of this folder's Dagster, for urllib3.

The socket has another name after every start. A file in the folder of Dagster's state says which,
and is read for every connection: the service outlives a Dagster that is started again.
"""

import json
import os
import socket
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import NewConnectionError

_SCHEME = "http+unix"


class _UnixConnection(HTTPConnection):
    def __init__(self, *args: Any, pidfile: Path, **kwargs: Any) -> None:  # noqa: ANN401 - of urllib3
        super().__init__(*args, **kwargs)
        self._pidfile = pidfile

    def _new_conn(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # urllib3 has put the time limit of connecting here.
            if isinstance(self.timeout, int | float):
                connection.settimeout(self.timeout)
            connection.connect(socket_path(self._pidfile))
        except OSError as error:
            connection.close()
            raise NewConnectionError(self, str(error)) from error
        return connection


class UnixPool(HTTPConnectionPool):
    """Connections to a Unix socket; requests name paths only.

    Parameters
    ----------
    pidfile : Path
        File that says which socket.
    maxsize : int
        Connections that are kept.
    timeout : urllib3.Timeout
        Limits of connecting and reading.
    """

    ConnectionCls = _UnixConnection

    def __init__(self, pidfile: Path, maxsize: int, timeout: urllib3.Timeout) -> None:
        super().__init__(
            "localhost", maxsize=maxsize, timeout=timeout, retries=False, pidfile=pidfile
        )


def socket_path(pidfile: Path) -> str:
    """Return the socket that a file names.

    Raises
    ------
    OSError
        If there is none, or it is in a folder of another user.
    """
    try:
        path = str(json.loads(pidfile.read_text(encoding="utf-8"))["socket"])
    except (ValueError, TypeError, KeyError):
        raise FileNotFoundError(f"{pidfile} names no socket") from None
    if Path(path).parent.stat().st_uid != os.geteuid():
        raise PermissionError(f"{path} is in a folder of another user")
    return path


def unix_address(pidfile: Path, prefix: str) -> str:
    """Return the address of what is served below a prefix on the socket that a file names."""
    return f"{_SCHEME}://{quote(str(pidfile), safe='')}{prefix}"


def pidfile_of(address: str) -> tuple[Path, str] | None:
    """Return file and prefix of such an address, None for another one."""
    parts = urlsplit(address)
    return (Path(unquote(parts.netloc)), parts.path) if parts.scheme == _SCHEME else None
