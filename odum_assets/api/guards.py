"""What every request passes first: an id, the host, the token, and the limit of its body."""

import hmac
import json
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

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent = MutableHeaders(scope=message)
                sent["X-Request-Id"] = request_id
                sent["X-Content-Type-Options"] = "nosniff"
            await send(message)

        try:
            self._check_host(headers)
            if scope["path"] not in _OPEN and scope["method"] != "OPTIONS":
                self._check_token(headers)
            limited = self._limited(headers, receive)
        except ProblemError as error:
            await _refuse(scope, answer, error)
            return
        await self._app(scope, limited, answer)

    def _check_host(self, headers: Headers) -> None:
        """Refuse names that a page in a browser made up for this machine (DNS rebinding)."""
        if self._token is not None:
            return
        name = re.sub(r":\d+$", "", headers.get("host", "")).strip("[]").lower()
        if name not in LOOPBACK:
            raise ProblemError(
                421,
                "misdirected-request",
                "without ODUM_API_TOKEN the service answers to 127.0.0.1 and localhost only",
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


async def _refuse(scope: Scope, send: Send, error: ProblemError) -> None:
    content = problem_body(
        scope["path"], scope["odum_request_id"], error.status, error.kind, error.detail
    )
    body = json.dumps(content).encode()
    headers = {**error.headers, "content-type": MEDIA_TYPE, "content-length": str(len(body))}
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
