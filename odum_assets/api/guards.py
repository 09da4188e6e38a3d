"""What every request passes: an id, host and origin, the token, its body's limit, bugs caught."""

import hmac
import json
import logging
import re
import uuid
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from odum_assets.api.options import LOOPBACK, ServiceOptions
from odum_assets.api.problems import MEDIA_TYPE, ProblemError, problem_body

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_OPEN: Final = ("/api/health",)
"""Paths that need no token, so that a supervisor can ask."""

_READING: Final = ("GET", "HEAD", "OPTIONS")
_LOG: Final = logging.getLogger("odum_assets.api")


class Guard:
    """Refuse what may not pass, before anything of it is read.

    Parameters
    ----------
    app : ASGIApp
        The application behind it.
    options : ServiceOptions
        Token and limit.
    """

    def __init__(self, app: ASGIApp, options: ServiceOptions) -> None:
        self._app = app
        self._options = options
        token = options.token
        self._token = None if token is None else token.get_secret_value().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        scope["odum_request_id"] = request_id
        begun = False

        async def answer(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                sent = MutableHeaders(scope=message)
                sent["X-Request-Id"] = request_id
                sent["X-Content-Type-Options"] = "nosniff"
            await send(message)

        try:
            _check_address(scope)
            self._check_host(headers)
            self._check_origin(scope["method"], headers)
            if scope["path"] not in _OPEN:
                self._check_token(headers)
            await self._app(scope, self._limited(headers, receive), answer)
        except ProblemError as error:
            await _refuse(scope, answer, error)
        except Exception:
            _LOG.exception("request %s failed", request_id)
            if begun:
                # The connection is cut: half a reply must not look like a whole one.
                raise
            detail = f"the service failed; its log says why under request {request_id}"
            await _refuse(scope, answer, ProblemError(500, "internal-server-error", detail))

    def _check_host(self, headers: Headers) -> None:
        """Refuse names that a page in a browser made up for this machine (DNS rebinding)."""
        if self._token is None and _host_name(headers.get("host", "")) not in LOOPBACK:
            raise ProblemError(
                421,
                "misdirected-request",
                "without ODUM_API_TOKEN the service answers to 127.0.0.1 and localhost only",
            )

    def _check_origin(self, method: str, headers: Headers) -> None:
        """Refuse what a page of somebody else has a browser start or change here.

        With a token there is no need: no browser adds it by itself.
        """
        origin = headers.get("origin")
        if self._token is not None or method in _READING or origin in (None, *self._options.cors):
            return
        if origin is not None and origin.partition("://")[2] != headers.get("host", ""):
            raise ProblemError(
                403,
                "foreign-origin",
                f"pages of {origin[:200]} may change nothing here; ODUM_API_CORS lists who may",
            )

    def _check_token(self, headers: Headers) -> None:
        if self._token is None:
            return
        scheme, _, token = headers.get("authorization", "").partition(" ")
        fits = hmac.compare_digest(token.strip().encode("latin-1", "replace"), self._token)
        if scheme.lower() != "bearer" or not fits:
            raise ProblemError(
                401,
                "unauthorized",
                "this needs the header Authorization: Bearer <token>, with the token of the "
                "service (ODUM_API_TOKEN)",
                {"WWW-Authenticate": "Bearer"},
            )

    def _limited(self, headers: Headers, receive: Receive) -> Receive:
        """Return a body that ends with a refusal where it grows too large."""
        limit = self._options.max_body
        problem = ProblemError(
            413, "body-too-large", f"a body of up to {limit:,} bytes is read (ODUM_API_MAX_BODY)"
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


def _check_address(scope: Scope) -> None:
    """Refuse null characters: nothing has one in its name, databases and files take none."""
    if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
        raise ProblemError(400, "invalid-address", "the address has a null character (%00)")


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
    await send({"type": "http.response.start", "status": error.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
