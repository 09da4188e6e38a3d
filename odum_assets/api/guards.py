"""What every request passes: an id, host and origin, the token, its body's limit, bugs caught.

Everything that listens on a TCP port stands behind it: the service, `/docs`, and the Dagster UI
with its GraphQL and WebSockets. What it keeps out, and what it does not:

- **Other machines**: without a token everything listens on loopback only.
- **Pages in a browser**: names made up for this machine (DNS rebinding) are refused by Host, what
  other pages start or connect to by Origin. Replies cannot be embedded by them.
- **Who has no token**, where one is set: with it in a header (Bearer, or as the password of Basic),
  or with the cookie that it was traded for (``session``). A cookie counts for what our own pages
  ask for only.
- **Other users of this machine** are kept out by a token only: without one the ports on loopback
  are open to them. Dagster's webserver and code servers listen on Unix sockets that only this user
  can reach (``odum_assets.cli.dagster_process``).
- Not: this user's other processes, root, who reads the network (use TLS in front), and what a
  person who has the token runs: strategies are code.
"""

import asyncio
import base64
import binascii
import json
import logging
import re
import uuid
from typing import Final, Literal

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from odum_assets.api.options import LOOPBACK, ServiceOptions
from odum_assets.api.page_files import is_page_request
from odum_assets.api.problems import MEDIA_TYPE, ProblemError, problem_body
from odum_assets.api.session import PATHS, SESSION_PATH, Sessions, login_address, sessions_of
from odum_assets.models.store import MAX_MODEL_BYTES

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_OPEN: Final = ("/api/health", "/health", SESSION_PATH, *PATHS)
"""Paths that need no token, so that a supervisor can ask, and a person can give it."""

_UPLOADS: Final = ("/api/models/upload", "/api/models/backtest/ml", "/graphql")
"""Paths whose body may be a model."""
_FORM_BYTES: Final = 64 * 1024

_SESSION_POLL_S: Final = 1.0
_READING: Final = ("GET", "HEAD", "OPTIONS")
_SINGLE: Final = ("Host", "Origin", "Authorization", "Content-Type")
_KEPT_OUT: Final = {
    "X-Content-Type-Options": "nosniff",
    # Pages of others neither show it in a frame nor take it for a script or picture of theirs.
    "X-Frame-Options": "SAMEORIGIN",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_LOG: Final = logging.getLogger("odum_assets.api")

type Credential = Literal["bearer", "basic", "cookie", "none"]
"""How a request showed that it may ask; a browser adds the middle two by itself."""


class Guard:
    """Refuse what may not pass, before anything of it is read.

    Parameters
    ----------
    app : ASGIApp
        The application behind it.
    options : ServiceOptions
        Token and limit.
    sessions : Sessions or None
        Cookies that stand for the token.
    has_page : bool
        Whether the application has the results page, whose files need no token.
    """

    def __init__(
        self,
        app: ASGIApp,
        options: ServiceOptions,
        sessions: Sessions | None = None,
        *,
        has_page: bool = False,
    ) -> None:
        self._app = app
        self._has_page = has_page
        self._options = options
        self._sessions = sessions or sessions_of(options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request or a WebSocket on, or answer it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope["odum_request_id"] = request_id
        begun = False

        async def answer(message: Message) -> None:
            nonlocal begun
            if message["type"] in ("http.response.start", "websocket.accept"):
                begun = True
            if message["type"].endswith("http.response.start"):
                sent = MutableHeaders(scope=message)
                sent["X-Request-Id"] = request_id
                for name, value in _KEPT_OUT.items():
                    sent.setdefault(name, value)
            await send(message)

        try:
            self._check(scope, headers)
            await self._app(scope, self._received(scope, headers, receive, answer), answer)
        except ProblemError as error:
            await _refuse(scope, answer, error)
        except Exception:
            _LOG.exception("request %s failed", request_id)
            if begun:
                # The connection is cut: half a reply must not look like a whole one.
                raise
            detail = f"the service failed; see its log for request {request_id}"
            await _refuse(scope, answer, ProblemError(500, "internal-server-error", detail))

    def _check(self, scope: Scope, headers: Headers) -> None:
        """Raise if a request may not pass."""
        _check_address(scope)
        _check_single(headers)
        self._check_host(headers)
        credential = self._credential(scope, headers)
        if credential is None and self._is_open(scope):
            credential = "none"
        if credential is None:
            raise _unauthorized(scope)
        self._check_origin(scope, headers, credential)

    def _is_open(self, scope: Scope) -> bool:
        """Return whether a request needs no token."""
        return scope["path"] in _OPEN or (self._has_page and is_page_request(scope))

    def _check_host(self, headers: Headers) -> None:
        """Refuse names that a page in a browser made up for this machine (DNS rebinding)."""
        if self._sessions is None and _host_name(headers.get("host", "")) not in LOOPBACK:
            raise ProblemError(
                421,
                "misdirected-request",
                "without ODUM_API_TOKEN the service answers to 127.0.0.1 and localhost only",
            )

    def _check_origin(self, scope: Scope, headers: Headers, credential: Credential) -> None:
        """Refuse what a page of somebody else has a browser start, change or connect to here.

        With a token in the request there is no need: no browser adds it by itself. A cookie is
        added to what any page of this host asks for, whatever its port: it counts for our own
        pages only, which always say where they are from. A WebSocket reads, too: no browser keeps
        its messages from the page that opened it.
        """
        is_reading = scope["type"] == "http" and scope["method"] in _READING
        if credential == "bearer" or is_reading:
            return
        origin = headers.get("origin")
        if credential != "cookie" and origin in (None, *self._options.cors):
            return
        if (origin or "").partition("://")[2] != headers.get("host", ""):
            raise ProblemError(
                403,
                "foreign-origin",
                f"pages of {(origin or 'an unknown origin')[:200]} may not change anything here; "
                "ODUM_API_CORS lists the origins that may",
            )

    def _credential(self, scope: Scope, headers: Headers) -> Credential | None:
        """Return what lets a request pass, None where it has nothing that does."""
        if self._sessions is None:
            return "none"
        scheme, _, given = headers.get("authorization", "").partition(" ")
        scheme, text = scheme.lower(), given.strip().encode("latin-1", "replace")
        if scheme == "bearer" and self._sessions.is_token(text, scope):
            return "bearer"
        if scheme == "basic" and self._sessions.is_token(_password(text), scope):
            return "basic"
        return None if self._sessions.cookie_of(scope) is None else "cookie"

    def _received(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> Receive:
        """Return what is received, within the limits of a body or of a session."""
        if scope["type"] == "http":
            return self._limited(scope["path"], headers, receive)
        cookie = None if self._sessions is None else self._sessions.cookie_of(scope)
        if self._sessions is None or cookie is None:
            return receive
        return _while_open(self._sessions, cookie, receive, send)

    def _limited(self, path: str, headers: Headers, receive: Receive) -> Receive:
        """Return a body that ends with a refusal where it grows too large."""
        limit = self._options.max_body
        if path in _UPLOADS:
            limit = max(limit, MAX_MODEL_BYTES + _FORM_BYTES)
        problem = ProblemError(
            413,
            "body-too-large",
            f"a body of up to {limit:,} bytes is accepted (ODUM_API_MAX_BODY)",
        )
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > limit:
            raise problem
        read = 0

        async def limited() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > limit:
                raise problem
            return message

        return limited


def _while_open(sessions: Sessions, cookie: str, receive: Receive, send: Send) -> Receive:
    """Return the messages of a WebSocket up to the end of the session that it was opened in."""

    async def received() -> Message:
        incoming = asyncio.ensure_future(receive())
        try:
            while not (await asyncio.wait([incoming], timeout=_SESSION_POLL_S))[0]:
                if not sessions.is_open(cookie):
                    await send({"type": "websocket.close", "code": 1008})
                    return {"type": "websocket.disconnect", "code": 1008}
            return incoming.result()
        finally:
            incoming.cancel()

    return received


def _check_address(scope: Scope) -> None:
    """Refuse null characters: nothing has one in its name, databases and files take none."""
    if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
        raise ProblemError(400, "invalid-address", "the address has a null character (%00)")


def _check_single(headers: Headers) -> None:
    """Refuse a request that has two of what decides: others might look at the other one."""
    for name in _SINGLE:
        if len(headers.getlist(name)) > 1:
            raise ProblemError(400, "invalid-request", f"the header {name} is there twice")


def _unauthorized(scope: Scope) -> ProblemError:
    """Return the refusal of a request without the token; a person is led to the page to log in."""
    address = login_address(scope)
    detail = (
        "this needs the header Authorization: Bearer <token>, with the token of the service "
        "(ODUM_API_TOKEN); a browser logs in at /login"
    )
    if address is not None:
        return ProblemError(303, "unauthorized", detail, {"Location": address})
    return ProblemError(401, "unauthorized", detail, {"WWW-Authenticate": "Bearer"})


def _password(credentials: bytes) -> bytes:
    """Return the password of Basic credentials, empty where they are none."""
    try:
        return base64.b64decode(credentials, validate=True).partition(b":")[2]
    except binascii.Error:
        return b""


def _host_name(host: str) -> str:
    return re.sub(r":\d+$", "", host).strip("[]").lower()


async def _refuse(scope: Scope, send: Send, error: ProblemError) -> None:
    content = problem_body(
        scope["path"], scope["odum_request_id"], error.status, error.kind, error.detail
    )
    body = json.dumps(content).encode()
    headers = {
        **(error.headers or {}),
        "content-type": MEDIA_TYPE,
        "content-length": str(len(body)),
    }
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    kind = "http.response"
    if scope["type"] == "websocket":
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008})
            return
        kind = "websocket.http.response"
    await send({"type": f"{kind}.start", "status": error.status, "headers": raw})
    await send({"type": f"{kind}.body", "body": body})
