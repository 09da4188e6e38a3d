"""The token in a browser: a page to type it once, and the cookie that stands for it afterwards.

A browser cannot send `Authorization: Bearer` when it opens `/docs` or the Dagster UI, or upgrades
to a WebSocket. The cookie is sent to this host only, never with what another site asks for, and is
out of reach of scripts (HttpOnly, SameSite=Strict). Cookies do not tell ports apart: what a page
asks for must come from this very origin as well, which the guard checks.
"""

import hashlib
import hmac
import html
import re
import secrets
import time
from base64 import b64encode
from collections import OrderedDict, deque
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qs, quote

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Scope

from odum_assets.api.options import ServiceOptions
from odum_assets.api.problems import ProblemError

PATHS: Final = ("/login", "/logout")
"""Where to come in and go; they need no token."""

SESSION_PATH: Final = "/api/session"
"""Where the page trades the token for the cookie; it checks the token itself."""

_LASTS_S: Final = 12 * 3_600
_MOST_FAILED: Final = 200
_FAILED_S: Final = 60.0
_MOST_ADDRESSES: Final = 1_000
"""Addresses whose wrong tokens are remembered; the one that came longest ago is forgotten."""
_LOCAL: Final = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]*", re.ASCII)
"""A path of this host; a browser takes `//x` and `/\\x` for another host."""

_STYLE: Final = (
    "body{font:16px system-ui;max-width:24rem;margin:15vh auto;padding:0 1rem}"
    "label,input,button{display:block;font:inherit;margin:.5rem 0}"
    "input{width:100%;box-sizing:border-box;padding:.4rem}"
)
_POLICY: Final = (
    "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; style-src "
    f"'sha256-{b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'"
)
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": _POLICY,
    # Without a referrer a browser would send "Origin: null" with the form.
    "Referrer-Policy": "same-origin",
}
_FORM: Final = """<form method="post" action="/login">
<label for="token">Token (ODUM_API_TOKEN)</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<input name="next" type="hidden" value="{next}">
<button>Log in</button></form>"""
_LINKS: Final = """<p>You are logged in. <a href="/dagster/">Dagster UI</a></p>
<form method="post" action="/logout"><button>Log out</button></form>"""


class Sessions:
    """Cookies that stand for the token, until they expire or the service ends.

    A cookie is its expiry (seconds since 1970), a random name and the HMAC-SHA-256 of both under a
    key that only this process knows. Only those that were logged out are kept in memory.

    Parameters
    ----------
    token : bytes
        Token of the service.
    """

    def __init__(self, token: bytes) -> None:
        self._token = token
        self._key = secrets.token_bytes(32)
        self._ended: dict[str, int] = {}
        self._failed: OrderedDict[str, deque[float]] = OrderedDict()

    def is_token(self, given: bytes, scope: Scope) -> bool:
        """Return whether a text is the token, in a time that does not tell how much of it fits.

        Raises
        ------
        ProblemError
            If too many that were not came from the same address in the last minute. What is given
            then is not looked at, right or wrong.
        """
        address, now = (scope.get("client") or ("",))[0], time.monotonic()
        failed = self._failed.setdefault(address, deque(maxlen=_MOST_FAILED))
        self._failed.move_to_end(address)
        if len(failed) == _MOST_FAILED and now - failed[0] < _FAILED_S:
            wait = int(_FAILED_S - (now - failed[0])) + 1
            raise ProblemError(
                429,
                "too-many-logins",
                f"{_MOST_FAILED} wrong tokens came from this address within a minute; try again in "
                f"{wait} s",
                {"Retry-After": str(wait)},
            )
        is_right = hmac.compare_digest(given, self._token)
        if not is_right:
            failed.append(now)
        elif not failed:
            del self._failed[address]
        if len(self._failed) > _MOST_ADDRESSES:
            self._failed.popitem(last=False)
        return is_right

    def open(self) -> str:
        """Return a new cookie."""
        text = f"{int(time.time()) + _LASTS_S}.{secrets.token_urlsafe(16)}"
        return f"{text}.{self._signature(text)}"

    def is_open(self, cookie: str) -> bool:
        """Return whether a cookie was given out here and counts still."""
        text, _, signature = cookie.rpartition(".")
        given = signature.encode("latin-1", "replace")
        if not hmac.compare_digest(given, self._signature(text).encode()):
            return False
        return int(text.partition(".")[0]) > time.time() and text not in self._ended

    def close(self, cookie: str) -> None:
        """Let a cookie count no longer."""
        if not self.is_open(cookie):
            return
        text = cookie.rpartition(".")[0]
        now = time.time()
        self._ended = {cookie: until for cookie, until in self._ended.items() if until > now}
        self._ended[text] = int(text.partition(".")[0])

    def begin(self, request: Request, reply: Response) -> str:
        """Give a new cookie with a reply, and return it."""
        cookie = self.open()
        reply.set_cookie(
            _cookie_name(request.scope),
            cookie,
            max_age=_LASTS_S,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return cookie

    def end(self, request: Request, reply: Response) -> None:
        """Let the cookie of a request count no longer, and have the browser forget it."""
        cookie = self.cookie_of(request.scope)
        if cookie is not None:
            self.close(cookie)
        reply.delete_cookie(_cookie_name(request.scope), httponly=True, samesite="strict")

    def _signature(self, text: str) -> str:
        return hmac.new(self._key, text.encode("utf-8", "replace"), "sha256").hexdigest()

    def cookie_of(self, scope: Scope) -> str | None:
        """Return the cookie of a request that counts, None without one."""
        cookie = _cookie(Headers(scope=scope).get("cookie", ""), _cookie_name(scope))
        return cookie if cookie is not None and self.is_open(cookie) else None


def expiry_of(cookie: str) -> datetime:
    """Return when a cookie ends that counts."""
    return datetime.fromtimestamp(int(cookie.partition(".")[0]), UTC)


def sessions_of(options: ServiceOptions) -> Sessions | None:
    """Return the sessions of a service, None where it has no token."""
    token = options.token
    return None if token is None else Sessions(token.get_secret_value().encode())


def login_routes(sessions: Sessions) -> list[Route]:
    """Return the pages to log in and out."""

    async def page(request: Request) -> Response:
        target = _local(request.query_params.get("next"))
        if sessions.cookie_of(request.scope) is not None:
            return _page(_LINKS) if target is None else RedirectResponse(target, 303)
        if request.headers.get("sec-fetch-site") == "cross-site":
            # Behind a link of another site the browser holds the cookie back; not behind our own.
            return _page("<p>One moment.</p>", refresh=True)
        return _page(_FORM.format(next=html.escape(target or "")))

    async def log_in(request: Request) -> Response:
        try:
            fields = parse_qs((await request.body()).decode("latin-1"), max_num_fields=10)
        except ValueError:
            fields = {}
        target = _local(fields.get("next", [""])[-1])
        given = fields.get("token", [""])[-1].strip()
        if not sessions.is_token(given.encode("utf-8", "replace"), request.scope):
            form = _FORM.format(next=html.escape(target or ""))
            return _page(f"<p role='alert'>This is not the token of the service.</p>{form}", 401)
        reply = RedirectResponse(target or "/login", 303)
        sessions.begin(request, reply)
        return reply

    async def log_out(request: Request) -> Response:
        reply = RedirectResponse("/login", 303)
        sessions.end(request, reply)
        return reply

    return [
        Route("/login", page, methods=["GET"]),
        Route("/login", log_in, methods=["POST"]),
        Route("/logout", log_out, methods=["POST"]),
    ]


def login_address(scope: Scope) -> str | None:
    """Return where a browser logs in that opens a page without a cookie, None for others."""
    headers = Headers(scope=scope)
    if scope["type"] != "http" or scope["method"] != "GET":
        return None
    if "text/html" not in headers.get("accept", ""):
        return None
    target = HTTPConnection(scope).url
    address = target.path + (f"?{target.query}" if target.query else "")
    return f"/login?next={quote(address, safe='')}"


def _local(target: str | None) -> str | None:
    return target if target and _LOCAL.fullmatch(target) else None


def _page(content: str, status: int = 200, *, refresh: bool = False) -> HTMLResponse:
    again = '<meta http-equiv="refresh" content="0">' if refresh else ""
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Odum Assets</title>'
        f"{again}<style>{_STYLE}</style></head><body><h1>Odum Assets</h1>{content}</body></html>"
    )
    return HTMLResponse(text, status, headers=_HEADERS)


def _cookie_name(scope: Scope) -> str:
    """Return a name of its own for each port: a browser keeps them under one host."""
    server = scope.get("server") or ("", 0)
    return f"odum_session_{server[1]}"


def _cookie(header: str, name: str) -> str | None:
    for part in header.split(";"):
        key, _, value = part.strip().partition("=")
        if key == name:
            return value
    return None
