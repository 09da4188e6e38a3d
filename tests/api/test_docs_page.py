"""The page of the API's documentation needs nothing from elsewhere."""

import re

from service import Service


def test_the_documentation_is_served_whole_from_here(service: Service) -> None:
    page = service.get("/docs")
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    text = page.data.decode()
    assert "//" not in text
    # Its policy takes no script of the page itself.
    assert re.findall(r"<script(?![^>]* src=)", text) == []
    files = re.findall(r'(?:src|href)="([^"]+)"', text)
    kinds = {file: service.get(file).headers["Content-Type"] for file in files}
    assert kinds == {
        "/docs/swagger-ui.css": "text/css; charset=utf-8",
        "/docs/favicon.png": "image/png",
        "/docs/swagger-ui-bundle.js": "text/javascript; charset=utf-8",
        "/docs/start.js": "text/javascript; charset=utf-8",
    }
    assert b"SwaggerUIBundle" in service.get("/docs/swagger-ui-bundle.js").data
    start = service.get("/docs/start.js").data.decode()
    assert 'url: "/openapi.json"' in start
    assert "://" not in start
    assert service.get("/openapi.json").json["openapi"].startswith("3.")
    style = service.get("/docs/swagger-ui.css").data.decode()
    assert all(each.startswith("data:") for each in re.findall(r"url\([\"']?([^)]*)", style))


def test_nothing_else_is_served_with_it(service: Service) -> None:
    for path in ("/redoc", "/docs/redoc.standalone.js", "/docs/..%2fcore.py", "/docs/x"):
        assert service.get(path).status in (400, 404), path
