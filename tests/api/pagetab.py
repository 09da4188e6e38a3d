"""A tab of a real browser on the results page, for the page's stories.

Skipped where Playwright or Chromium is missing, unless ODUM_TEST_BROWSER=1 says that they are not.
Any console error, breach of the page's policy or request to another host fails a story.
"""

import os
import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from service import REPOSITORY, Service

_MUST_RUN = os.environ.get("ODUM_TEST_BROWSER") == "1"
_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
_QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_AXE = REPOSITORY / "web" / "node_modules" / "axe-core" / "axe.min.js"
_WAIT_MS = 60_000
"""A limit, which nothing waits for: on a busy machine a check of the service takes its time."""

playwright: Any
if _MUST_RUN:
    import playwright.sync_api as playwright
else:
    playwright = pytest.importorskip("playwright.sync_api")

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not _CHROMIUM and not _MUST_RUN, reason="there is no Chromium"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        options = {"executable_path": _CHROMIUM} if _CHROMIUM else {}
        found = running.chromium.launch(args=list(_QUIET), **options)
        yield found
        found.close()


class Tab:
    """A page in a browser, and what went wrong on it."""

    def __init__(self, browser: Any, url: str, **options: Any) -> None:
        self.url = url
        self.context = browser.new_context(
            viewport={"width": 1280, "height": 900}, base_url=url, **options
        )
        self.context.set_default_timeout(_WAIT_MS)
        self.page = self.context.new_page()
        self.problems: list[str] = []
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", self._asked)

    def close(self) -> None:
        self.context.close()
        assert self.problems == []

    def see(self, text: str | re.Pattern[str]) -> None:
        self.page.get_by_text(text).first.wait_for()

    def wait_for_address(self, pattern: str) -> None:
        self.page.wait_for_url(re.compile(pattern))

    def _said(self, message: Any) -> None:
        if message.type == "error":
            self.problems.append(f"{message.text} {message.location.get('url', '')}")

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.url, "data:", "blob:")):
            self.problems.append(f"asks {request.url}")


@pytest.fixture
def tab(browser: Any, service: Service) -> Iterator[Tab]:
    found = Tab(browser, service.url)
    yield found
    found.close()


def has_axe() -> bool:
    """Return whether axe is there; it must be where the stories must run."""
    assert _AXE.is_file() or not _MUST_RUN, "axe-core is missing: run `make page`"
    return _AXE.is_file()


def axe_faults(page: Any, screen: str) -> list[str]:
    """Return what axe finds on a screen against WCAG 2.2 AA."""
    page.goto(screen)
    page.wait_for_load_state("networkidle")
    page.locator("h1").first.wait_for()
    page.evaluate(_AXE.read_text())
    result = page.evaluate(
        "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']})"
    )
    return [
        f"{violation['id']}: {violation['nodes'][0]['html'][:200]}"
        for violation in result["violations"]
    ]
