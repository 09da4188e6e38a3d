"""The Dagster UI behind the guard: requests and WebSockets are passed on to its Unix socket.

What belongs here: how a request gets there and its reply back. What does not: who may ask
(``guards``), and what Dagster takes (``odum_assets.cli.dagster_services``).

Nothing is kept between requests, bodies are as large as the guard lets them be, and of a reply one
chunk at a time is in memory. Of the headers only those that the UI needs are passed on: neither
token nor cookie, nor who is said to have asked (X-Forwarded-*).
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import h11
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Receive, Scope, Send

from odum_assets.api.options import DAGSTER_PREFIX
from odum_assets.api.problems import ProblemError
from odum_assets.api.unix_http import socket_path

_TAKEN: Final = {
    b"accept",
    b"accept-language",
    b"content-type",
    b"idempotency-key",
    b"if-modified-since",
    b"if-none-match",
    b"if-range",
    b"range",
    b"user-agent",
}
_HOP_BY_HOP: Final = {
    b"connection",
    b"date",
    b"keep-alive",
    b"proxy-authenticate",
    b"server",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
    # Counts for Dagster's own developers; they grow with the reply.
    b"x-dagster-call-counts",
}
_CHUNK: Final = 65_536
_HEAD_LIMIT: Final = 262_144
_CONNECTS_WITHIN_S: Final = 5.0
_ANSWERS_WITHIN_S: Final = 60.0
_AT_ONCE: Final = 100
"""Requests, and as many WebSockets, that are passed on side by side."""

_MESSAGE_LIMIT: Final = 1_000_000
_REPLY_LIMIT: Final = 64_000_000
"""Largest WebSocket messages of a browser and of Dagster, in bytes."""

_SENDABLE: Final = (1000, 1001, 1008, 1009, 1011, 1012)
"""Close codes that may be sent; others say how a connection broke."""

_LATER: Final = {"Retry-After": "5", "Refresh": "3"}
"""A browser asks again by itself."""


class DagsterProxy:
    """Pass requests on to Dagster's webserver.

    Parameters
    ----------
    pidfile : Path
        File that says which Unix socket it listens on.
    """

    def __init__(self, pidfile: Path) -> None:
        self._pidfile = pidfile
        self._under_way = {"http": 0, "websocket": 0}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or a WebSocket.

        Raises
        ------
        ProblemError
            If Dagster does not answer, or too many wait for it; the guard tells so.
        """
        if ".." in scope["path"].split("/"):
            raise ProblemError(400, "invalid-address", "the path contains ..")
        with self._counted(scope["type"]):
            if scope["type"] == "websocket":
                await self._connect(scope, receive, send)
            else:
                await self._request(scope, receive, send)

    @contextmanager
    def _counted(self, kind: str) -> Iterator[None]:
        if self._under_way[kind] >= _AT_ONCE:
            raise ProblemError(
                503, "too-many-requests", f"{_AT_ONCE} requests already wait for Dagster", _LATER
            )
        self._under_way[kind] += 1
        try:
            yield
        finally:
            self._under_way[kind] -= 1

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        # Not "Connection: close": a refusal that comes before the body was read would be lost.
        headers = [(b"host", b"localhost")]
        headers += [(name, value) for name, value in scope["headers"] if name in _TAKEN]
        if scope["method"] not in ("GET", "HEAD"):
            headers.append((b"content-length", str(len(body)).encode()))
        target = _target(scope)
        async with self._open() as (reader, writer):
            wire = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_LIMIT)
            try:
                request = h11.Request(method=scope["method"], target=target, headers=headers)
                events = [request, h11.Data(data=body), h11.EndOfMessage()]
                writer.write(b"".join(wire.send(event) or b"" for event in events))
            except h11.LocalProtocolError:
                raise ProblemError(400, "invalid-request", "not an HTTP request") from None
            await _pass_reply(wire, reader, send)

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        try:
            async with asyncio.timeout(_CONNECTS_WITHIN_S):
                reader, writer = await asyncio.open_unix_connection(
                    socket_path(self._pidfile), limit=_CHUNK
                )
        except (OSError, TimeoutError):
            raise _unreachable() from None
        try:
            yield reader, writer
        finally:
            writer.close()

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Join a WebSocket of a browser to one of Dagster, until either ends."""
        from websockets.asyncio.client import unix_connect
        from websockets.exceptions import WebSocketException
        from websockets.typing import Subprotocol

        await receive()
        try:
            upstream = await unix_connect(
                socket_path(self._pidfile),
                f"ws://localhost{_target(scope).decode()}",
                subprotocols=[Subprotocol(name) for name in scope["subprotocols"]] or None,
                compression=None,
                open_timeout=_CONNECTS_WITHIN_S,
                max_size=_REPLY_LIMIT,
            )
        except (OSError, TimeoutError):
            raise _unreachable() from None
        except WebSocketException:
            detail = "Dagster takes WebSockets at /dagster/graphql, with the protocol graphql-ws"
            raise ProblemError(502, "dagster-failed", detail) from None
        try:
            await send({"type": "websocket.accept", "subprotocol": upstream.subprotocol})
            await _join(upstream, receive, send)
        finally:
            await upstream.close()


def proxy_routes(pidfile: Path) -> list[BaseRoute]:
    """Return the routes of the Dagster UI below ``DAGSTER_PREFIX``."""

    async def enter(_: object) -> RedirectResponse:
        return RedirectResponse(f"{DAGSTER_PREFIX}/")

    async def icon(request: Request) -> RedirectResponse:
        return RedirectResponse(f"{DAGSTER_PREFIX}{request.url.path}")

    proxy = DagsterProxy(pidfile)
    return [
        # The pages of runs name their icon without the prefix.
        Route("/favicon-run-{status:str}.svg", icon, methods=["GET"]),
        Route(DAGSTER_PREFIX, enter, methods=["GET"]),
        Mount(DAGSTER_PREFIX, proxy),
    ]


def _unreachable() -> ProblemError:
    detail = "Dagster is still starting, or has ended; the page tries again by itself"
    return ProblemError(503, "dagster-unreachable", detail, _LATER)


def _target(scope: Scope) -> bytes:
    """Return path and query as they were sent: Dagster decodes them once, too."""
    path: bytes = scope["raw_path"]
    query: bytes = scope["query_string"]
    return path + (b"?" + query if query else b"")


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionAbortedError("the client has gone")
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


async def _pass_reply(wire: h11.Connection, reader: asyncio.StreamReader, send: Send) -> None:
    """Pass a reply on, chunk by chunk, as fast as the client takes it.

    Raises
    ------
    ProblemError
        If there is none in time, or none that can be understood.
    """
    begun = False
    try:
        while True:
            event = await _next_event(wire, reader)
            if isinstance(event, h11.Response):
                headers = [header for header in event.headers if header[0] not in _HOP_BY_HOP]
                start = {"type": "http.response.start", "status": event.status_code}
                await send({**start, "headers": headers})
                begun = True
            elif isinstance(event, h11.Data):
                content = {"type": "http.response.body", "body": bytes(event.data)}
                await send({**content, "more_body": True})
            elif isinstance(event, h11.EndOfMessage):
                await send({"type": "http.response.body", "body": b""})
                return
    except (h11.RemoteProtocolError, OSError, TimeoutError) as error:
        if begun:
            # The connection is cut: half a reply must not look like a whole one.
            raise
        if isinstance(error, TimeoutError):
            detail = f"Dagster did not answer within {_ANSWERS_WITHIN_S:g} s"
            raise ProblemError(504, "dagster-silent", detail) from None
        raise _unreachable() from None


async def _next_event(wire: h11.Connection, reader: asyncio.StreamReader) -> Any:  # noqa: ANN401
    while True:
        event = wire.next_event()
        if event is not h11.NEED_DATA:
            return event
        async with asyncio.timeout(_ANSWERS_WITHIN_S):
            wire.receive_data(await reader.read(_CHUNK))


async def _join(upstream: Any, receive: Receive, send: Send) -> None:  # noqa: ANN401 - a client
    """Pass messages on in both directions until either side ends."""
    from websockets.exceptions import ConnectionClosed

    async def from_browser() -> None:
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            content = message.get("text")
            content = message.get("bytes", b"") if content is None else content
            if len(content) > _MESSAGE_LIMIT:
                await send({"type": "websocket.close", "code": 1009})
                return
            await upstream.send(content)

    async def from_dagster() -> None:
        try:
            async for content in upstream:
                kind = "text" if isinstance(content, str) else "bytes"
                await send({"type": "websocket.send", kind: content})
        except ConnectionClosed:
            pass
        code = upstream.close_code
        await send({"type": "websocket.close", "code": code if code in _SENDABLE else 1011})

    tasks = [asyncio.create_task(from_browser()), asyncio.create_task(from_dagster())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
