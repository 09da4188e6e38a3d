"""The HTTP server: uvicorn, with bounds on what a connection may hold and how long it may take.

Why uvicorn with h11: h11 bounds the head of a request (httptools does not), for 0.05 ms more a
request. Hypercorn and Granian bound heads in size and time, too, but no server of the three has a
time limit for a client that does not read, and Granian runs the application in other processes.
"""

import asyncio
import ctypes
import resource
import socket
from contextlib import suppress
from typing import Any, Final

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from odum_assets.api.options import ServiceOptions

_MAX_HEAD: Final = 32 * 1024
"""Bytes of a request line with its headers, of the framing of a chunk, and of trailers."""

_HEAD_S: Final = 10.0
"""Seconds for the head of a request, from its first byte or from the start of a connection."""

_BODY_S: Final = 60.0
"""Seconds for a whole request."""

_UNWANTED_BODY_S: Final = 2.0
"""Seconds for the rest of a body that was answered before it was read."""

_UNREAD_S: Final = 30.0
"""Seconds without progress after which a client that does not read is disconnected."""

_SENDING: Final = 256 * 1024
"""Bytes that the kernel keeps for a client; by itself it would take megabytes."""

_CHECK_S: Final = 1.0
_TRIM_S: Final = 2.0
_EVICTABLE_S: Final = 2.0
"""Seconds that a client must have been silent to be disconnected in favor of a new one."""

_FILES: Final = 65_536
_FILES_PER_CONNECTION: Final = 3
_OTHER_FILES: Final = 128
_BUSY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nretry-after: 5\r\n"
    b"connection: close\r\n\r\n"
)


class BoundedProtocol(H11Protocol):
    """A connection whose client must send and read in time, and give way where there are too many.

    `limit` is the number of connections, set by `server_config`.
    """

    limit: int = 512

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._check_timer: asyncio.TimerHandle | None = None
        self._head_since: float | None = None
        self._request_since = self._answered_since = self._read_since = 0.0
        self._unread = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, in place of the one whose client was silent longest if need be."""
        super().connection_made(transport)
        if (link := transport.get_extra_info("socket")) is not None:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SENDING)
        self._head_since = self._read_since = self.loop.time()
        self._check_timer = self.loop.call_later(_CHECK_S, self._check)
        if len(self.connections) > self.limit and not self._evict_one():
            transport.write(_BUSY)
            self.connections.discard(self)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        if self._check_timer is not None:
            self._check_timer.cancel()
        if self._unread:
            _trim_soon(self.loop)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; those that begin a request begin its time, too."""
        if self.transport.is_closing():
            return
        is_rest = self.conn.their_state is h11.SEND_BODY
        if self._awaits_head and not is_rest and self._head_since is None:
            self._head_since = self.loop.time()
        super().data_received(data)

    def handle_events(self) -> None:
        """Handle what was received; a new request begins with its head complete."""
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self._request_since, self._head_since = self.loop.time(), None

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection over: the proxy of Dagster's UI bounds number and size of these."""
        if self._check_timer is not None:
            self._check_timer.cancel()
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self._answered_since = self.loop.time()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP; in the middle of a reply there is no place for that."""
        with suppress(h11.LocalProtocolError):
            super().send_400_response(msg)
            return
        self.transport.abort()

    def resume_writing(self) -> None:
        """Go on after the client has read."""
        self._read_since = self.loop.time()
        super().resume_writing()

    @property
    def _awaits_head(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _evict_one(self) -> bool:
        """Disconnect the client that has been silent longest; tell whether there was one."""
        others = [
            connection for connection in self.connections if isinstance(connection, BoundedProtocol)
        ]
        now = self.loop.time()
        silent = {other: since for other in others if (since := other._silent_since()) is not None}
        longest = min(silent, key=silent.__getitem__, default=None)
        if longest is None or now - silent[longest] < longest._undisturbed_s:
            return False
        self.connections.discard(longest)
        longest.transport.abort()
        return True

    @property
    def _undisturbed_s(self) -> float:
        """Return how long the client may be silent; one between two requests costs nobody."""
        is_idle = self.cycle is not None and self._awaits_head and self._head_since is None
        return 0.0 if is_idle else _EVICTABLE_S

    def _silent_since(self) -> float | None:
        """Return since when the client is awaited; None while it awaits the service."""
        if self.transport.get_write_buffer_size():
            return self._read_since
        if not self._awaits_head:
            return self._request_since if self.conn.their_state is h11.SEND_BODY else None
        return self._answered_since if self._head_since is None else self._head_since

    def _check(self) -> None:
        """Disconnect a client that takes too long."""
        now = self.loop.time()
        self._check_timer = self.loop.call_later(_CHECK_S, self._check)
        unread = self.transport.get_write_buffer_size()
        if unread == 0 or unread < self._unread:
            self._read_since = now
        self._unread = unread
        if now - self._read_since > _UNREAD_S or self._is_late(now):
            self.transport.abort()

    def _is_late(self, now: float) -> bool:
        """Return whether a request takes too long to arrive."""
        if self._awaits_head and self._head_since is not None:
            return now - self._head_since > _HEAD_S
        if self.conn.their_state is not h11.SEND_BODY:
            return False
        if self._awaits_head:
            return now - self._answered_since > _UNWANTED_BODY_S
        return now - self._request_since > _BODY_S


class _Trim:
    """Give memory back to the system, once after many clients have gone."""

    def __init__(self) -> None:
        self._is_due = False

    def __call__(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._is_due:
            self._is_due = True
            loop.call_later(_TRIM_S, self._trim)

    def _trim(self) -> None:
        self._is_due = False
        # Only glibc has it; what was held for clients is some milliseconds of work.
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


_trim_soon: Final = _Trim()


def server_config(
    app: Any,  # noqa: ANN401 - ASGI
    options: ServiceOptions,
    log_level: str = "error",
) -> uvicorn.Config:
    """Return how the service is served.

    Parameters
    ----------
    app : ASGI application
        The service.
    options : ServiceOptions
        How many connections there may be.
    log_level : str
        What is logged. Errors of clients are answered; by default they are not logged, since
        clients could fill the log.
    """
    BoundedProtocol.limit = min(options.max_connections, _connections_with_files())
    return uvicorn.Config(
        app,
        http=BoundedProtocol,
        h11_max_incomplete_event_size=_MAX_HEAD,
        log_level=log_level,
        access_log=log_level in ("debug", "info"),
        server_header=False,
        timeout_graceful_shutdown=5,
    )


def _connections_with_files() -> int:
    """Return how many connections there are file descriptors for; raise their number if it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < target:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
            soft = target
    files = _FILES if soft == resource.RLIM_INFINITY else soft
    return max((files - _OTHER_FILES) // _FILES_PER_CONNECTION, 16)
