"""The page of the API's documentation, with all of its files: no request leaves the machine.

Swagger UI comes with the package ``fastapi_offline``, of which nothing but these files is used. The
page has no script of its own in it, so that its policy can allow files of this service alone.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

_FILES: Final = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon.png": "image/png",
}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)
_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Odum Assets</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" href="/docs/favicon.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START: Final = """SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
});
"""


def docs_routes() -> list[Route]:
    """Return the page and its files."""
    return [
        Route("/docs", _page, include_in_schema=False),
        Route("/docs/start.js", _start, include_in_schema=False),
        *(Route(f"/docs/{name}", _file, include_in_schema=False) for name in _FILES),
    ]


async def _page(_: Request) -> Response:
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})


async def _start(_: Request) -> Response:
    return Response(_START, media_type="text/javascript")


async def _file(request: Request) -> Response:
    name = request.url.path.rpartition("/")[2]
    headers = {"Cache-Control": "max-age=3600"}
    return FileResponse(_folder() / name, media_type=_FILES[name], headers=headers)


def _folder() -> Path:
    """Return the folder of the files; the package itself is not imported."""
    spec = find_spec("fastapi_offline")
    assert spec is not None  # noqa: S101 - this package requires it
    assert spec.origin is not None  # noqa: S101
    return Path(spec.origin).parent / "static"
