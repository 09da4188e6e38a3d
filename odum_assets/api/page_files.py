"""The results page: the files of a committed build, and the shell for the addresses of its screens.

What belongs here: which file an address gets, with which headers. What does not: the data, which
the page asks the routes for, and the token, which the guard asks for there.
"""

import gzip
import mimetypes
from pathlib import Path
from typing import Final, NamedTuple

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketClose

from odum_assets.api.cache import Cache, file_validator
from odum_assets.api.media_types import takes_gzip
from odum_assets.api.preconditions import Preconditions, tag_of
from odum_assets.settings import is_inside

FOLDER: Final = Path(__file__).parent / "page"
"""Where the build is committed; `make page` writes it."""

_HASHED: Final = "assets/"
"""Files below it have a hash of their content in their names."""

_SHELL: Final = "index.html"
_MOVED: Final = {"/run": "/launch", "/definitions": "/configs"}
"""Addresses of earlier designs."""

_SERVED_ELSEWHERE: Final = (
    "/api",
    "/graphql",
    "/docs",
    "/openapi.json",
    "/dagster",
    "/login",
    "/logout",
)
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types default"
)
_DOCUMENT_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
_NO_BUILD: Final = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Odum Assets</title></head>'
    "<body><h1>Odum Assets</h1><p>The results page is not built in this checkout. "
    "<code>make page</code> builds it; the service itself works: see <a href=/docs>/docs</a>.</p>"
    "</body></html>"
)
_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_PACKED_FROM: Final = 1_000
"""Bytes from which a file is sent packed."""


class _File(NamedTuple):
    content: bytes
    packed: bytes
    tag: str


def is_page_request(scope: Scope) -> bool:
    """Return whether a request is for the page: its files hold no data and need no token."""
    if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
        return False
    path = scope["path"]
    return not any(path == name or path.startswith(f"{name}/") for name in _SERVED_ELSEWHERE)


class PageFiles:
    """Answer what no route does: with a file of the page, or with its shell.

    Parameters
    ----------
    folder : Path
        The build.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._cache = Cache()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request.

        Raises
        ------
        HTTPException
            If it is for something else (404).
        """
        if scope["type"] == "websocket":
            await WebSocketClose()(scope, receive, send)
            return
        if not is_page_request(scope):
            raise HTTPException(404)
        await self._reply(scope)(scope, receive, send)

    def _reply(self, scope: Scope) -> Response:
        path, headers = scope["path"], Headers(scope=scope)
        if path in _MOVED:
            query = scope["query_string"].decode("latin-1")
            return RedirectResponse(_MOVED[path] + (f"?{query}" if query else ""))
        name = path.removeprefix("/")
        if name and (file := self._folder / name).is_file() and is_inside(file, self._folder):
            return self._file(file, name, headers)
        if "text/html" not in headers.get("accept", ""):
            raise HTTPException(404)
        shell = self._folder / _SHELL
        if shell.is_file():
            return self._file(shell, _SHELL, headers)
        return HTMLResponse(_NO_BUILD, 503, headers={**_DOCUMENT_HEADERS, "Retry-After": "60"})

    def _file(self, path: Path, name: str, headers: Headers) -> Response:
        file = self._cache.get(name, file_validator(path), lambda: _read(path))
        is_hashed = name.startswith(_HASHED)
        sent = {
            "ETag": file.tag,
            "Cache-Control": "public, max-age=31536000, immutable" if is_hashed else "no-cache",
            "Vary": "Accept-Encoding",
        }
        if name.endswith(".html"):
            sent |= _DOCUMENT_HEADERS
        if Preconditions.of(headers, is_reading=True).answers_known(file.tag):
            return Response(status_code=304, headers=sent)
        content = file.content
        if file.packed and takes_gzip(headers.get("accept-encoding")):
            content, sent["Content-Encoding"] = file.packed, "gzip"
        return Response(content, headers=sent, media_type=_type_of(path))


def _read(path: Path) -> _File:
    content = path.read_bytes()
    packed = gzip.compress(content, 9, mtime=0) if len(content) >= _PACKED_FROM else b""
    is_smaller = len(packed) < 0.9 * len(content)
    # Weak: both forms of a file share it.
    return _File(content, packed if is_smaller else b"", f"W/{tag_of(content)}")


def _type_of(path: Path) -> str:
    # What the system has registered differs between machines.
    known = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    return known or "application/octet-stream"
