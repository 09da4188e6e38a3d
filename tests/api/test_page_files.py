"""The results page over sockets: its files, its shell, and what is not its own."""

import gzip
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr
from service import Service, free_port, lay_out, settings_of

from odum_assets.api.app import build_app
from odum_assets.api.options import ServiceOptions
from odum_assets.api.page_files import PageFiles

TOKEN = "a-token-nobody-guesses-9012"  # noqa: S105 - of a test
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src "
    "'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types default"
)
SCRIPT = "export const figures = [0.1, 0.2];\n" * 100
HTML = {"Accept": "text/html,application/xhtml+xml"}


def _served(folder: Path, app: FastAPI) -> Iterator[Service]:
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield Service(f"http://127.0.0.1:{port}", folder, folder / "log")
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    """The real service with a token, and a build of a page in a folder of its own."""
    folder = tmp_path_factory.mktemp("page")
    lay_out(folder)
    options = ServiceOptions(token=SecretStr(TOKEN), dagster_url="http://127.0.0.1:9")
    app = build_app(settings_of(folder), options)
    build = folder / "build"
    (build / "assets").mkdir(parents=True)
    (build / "index.html").write_text("<!doctype html><title>Runs</title>" + " " * 2_000)
    (build / "assets/index-1a2b3c.js").write_text(SCRIPT)
    (build / "build.json").write_text("{}")
    (folder / "secret.txt").write_text("not for you")
    (build / "out.txt").symlink_to(folder / "secret.txt")
    app.router.default = PageFiles(build)
    app.state.folder = folder
    return app


@pytest.fixture(scope="module")
def page(app: FastAPI) -> Iterator[Service]:
    yield from _served(app.state.folder, app)


def test_the_shell_is_sent_to_browsers_for_every_screen(page: Service) -> None:
    for path in ("/", "/runs/BNF_BTC_20240101_00000000_99a518_9542fa?tab=fills", "/no/such"):
        reply = page.get(path, **HTML)
        assert (reply.status, reply.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert reply.headers["Content-Security-Policy"] == POLICY
        assert reply.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert reply.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert reply.headers["Referrer-Policy"] == "no-referrer"
        assert reply.headers["Cache-Control"] == "no-cache"
        assert page.get(path, If_None_Match=reply.headers["ETag"], **HTML).status == 304
    assert page.ask("HEAD", "/", **HTML).data == b""
    for old, new in (("/run?config=a", "/launch?config=a"), ("/definitions", "/configs")):
        reply = page.pool.request("GET", page.url + old, redirect=False)
        assert (reply.status, reply.headers["Location"]) == (307, new)


def test_hashed_files_are_kept_for_good_and_packed(page: Service) -> None:
    reply = page.get("/assets/index-1a2b3c.js", Accept_Encoding="gzip")
    raw = page.pool.request(
        "GET",
        f"{page.url}/assets/index-1a2b3c.js",
        headers={"Accept-Encoding": "gzip"},
        decode_content=False,
    )
    assert reply.data.decode() == SCRIPT == gzip.decompress(raw.data).decode()
    assert reply.headers["Content-Encoding"] == "gzip"
    assert reply.headers["Content-Type"].startswith("text/javascript")
    assert reply.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert "Content-Encoding" not in page.get("/assets/index-1a2b3c.js").headers
    assert page.get("/build.json").headers["Cache-Control"] == "no-cache"


def test_what_is_not_the_page_is_answered_as_before(page: Service) -> None:
    missing = page.get("/assets/index-gone.js", Accept="*/*")
    assert (missing.status, missing.json["type"]) == (404, "urn:odum:problem:not-found")
    # Neither a link nor dots lead out of the build.
    for path in ("/out.txt", "/../secret.txt", "/assets/../../secret.txt", "/%2e%2e/secret.txt"):
        reply = page.pool.request("GET", page.url + path, headers={"Accept": "*/*"})
        assert reply.status == 404, path
        assert b"not for you" not in reply.data
    assert page.ask("POST", "/runs", {}).status == 401
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert page.ask("POST", "/runs", {}, **bearer).status == 404
    # Data are not public, whoever asks; nor has a route lost the methods that it refuses.
    assert page.get("/api/v1/runs").status == 401
    assert page.get("/api/v1/no-such", **HTML, **bearer).status == 404
    assert page.get("/api/backtest/check-data", **bearer).status == 405
    login = page.pool.request("GET", f"{page.url}/docs", headers=HTML, redirect=False)
    assert (login.status, login.headers["Location"]) == (303, "/login?next=%2Fdocs")


def test_without_a_build_the_page_says_how_to_make_it(page: Service, app: FastAPI) -> None:
    built, app.router.default = app.router.default, PageFiles(app.state.folder / "no-build")
    try:
        reply = page.get("/", **HTML)
        assert reply.status == 503
        assert b"make page" in reply.data
        assert reply.headers["Content-Security-Policy"] == POLICY
        assert page.get("/", Accept="application/json").status == 404
    finally:
        app.router.default = built


def test_the_token_is_typed_once(page: Service) -> None:
    asked = "/api/session"
    assert page.get(asked).json == {"token_needed": True, "open": False, "expires_at": None}
    wrong = page.post(asked, {"token": "x" * 20})
    assert (wrong.status, "Set-Cookie" in wrong.headers) == (401, False)
    foreign = page.post(asked, {"token": TOKEN}, Origin="http://evil.example")
    assert (foreign.status, "Set-Cookie" in foreign.headers) == (403, False)
    begun = page.post(asked, {"token": TOKEN}, Origin=page.url)
    assert (begun.status, begun.json["open"]) == (200, True)
    cookie = begun.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Max-Age=43200" in cookie
    assert TOKEN not in cookie
    own = {"Cookie": cookie.partition(";")[0]}
    assert page.get(asked, **own).json["open"] is True
    assert page.get("/api/v1/runs", **own).status == 200
    # A cookie changes something for our own pages only, which say where they are from.
    config = {"name": "Bad name", "config": {}}
    assert page.post("/api/configs", config, **own).status == 403
    assert page.post("/api/configs", config, Origin="http://a.example", **own).status == 403
    assert page.post("/api/configs", config, Origin=page.url, **own).status == 422
    # Neither another end nor a longer life can be written into it.
    name, _, value = own["Cookie"].partition("=")
    expiry, _, rest = value.partition(".")
    forged = {"Cookie": f"{name}={int(expiry) + 9}.{rest}"}
    assert page.get("/api/v1/runs", **forged).status == 401
    assert page.ask("DELETE", asked, Origin=page.url, **own).status == 204
    assert page.get("/api/v1/runs", **own).status == 401
    assert page.get(asked, **own).json["open"] is False
