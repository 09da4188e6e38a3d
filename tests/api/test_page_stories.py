"""The results page in a browser, over the service and results of this folder's other tests.

Skipped where Playwright or Chromium is missing, unless ODUM_TEST_BROWSER=1 says that they are not.
Any console error, breach of the page's policy or request to another host fails a story.
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live import Live
from service import BTC, REPOSITORY, Service

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
_WAIT_MS = 15_000

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


def _report(service: Service) -> dict[str, Any]:
    runs: list[dict[str, Any]] = service.get("/api/v1/runs").json["runs"]
    return next(run for run in runs if run["detail"] == "report" and run["config_name"] == BTC)


def _ids(service: Service, detail: str) -> list[str]:
    runs = service.get("/api/v1/runs").json["runs"]
    return [run["run_id"] for run in runs if run["detail"] == detail]


def test_from_the_list_to_the_ticks_around_a_fill(tab: Tab, service: Service) -> None:
    page, run = tab.page, _report(service)
    page.goto("/")
    page.get_by_role("link", name=run["run_id"]).click()
    tab.wait_for_address(f"/runs/{run['run_id']}")
    net = page.get_by_test_id("net-pnl")
    net.wait_for()
    assert f"{abs(run['pnl']):,.2f}" in net.inner_text()
    tab.see("adds up in every digit")
    tab.see("Queue position")

    # The chart asks anew when it is zoomed, and the address says where it is.
    chart = page.get_by_role("application")
    chart.wait_for()
    with page.expect_response(re.compile(r"/bars\?.*start=")) as bars:
        chart.hover()
        for _ in range(12):
            page.mouse.wheel(0, -240)
    assert bars.value.ok
    tab.wait_for_address(r"t0=\d{19}")

    # A fill, exactly, and what was around it.
    page.get_by_role("tab", name=re.compile("^Fills")).click()
    first = service.get(f"/api/v1/runs/{run['run_id']}/fills?limit=1").json["fills"][0]
    cell = page.get_by_text(first["timestamp"].replace("T", " ").removesuffix("Z")).first
    cell.click()
    page.keyboard.press("Enter")
    moment = page.get_by_test_id("moment")
    moment.get_by_text(re.compile("^fill")).first.wait_for()
    moment.get_by_role("button", name="10 min").click()
    moment.get_by_role("table", name="Book at the chosen time").wait_for()
    tab.wait_for_address(r"moment=\d{19}")

    # The raw file that it is from.
    page.get_by_role("tab", name="Lineage").click()
    tab.see(re.compile(r"data_type-trades.*\.parquet"))
    tab.see("same now")


def test_an_address_shows_the_same_to_somebody_else(tab: Tab, service: Service) -> None:
    name = _report(service)["run_id"]
    where = "tab=fills&where=side:sell&sort=-price&tz=Asia/Tokyo"
    tab.page.goto(f"/runs/{name}?{where}")
    sold = service.get(f"/api/v1/runs/{name}/fills?where=side:sell&sort=-price&limit=1").json
    tab.see(f"{sold['total']:,} fills")
    dearest = f"{sold['fills'][0]['price']:,}"
    assert dearest in tab.page.locator(".grid-table tr[aria-rowindex='2']").inner_text()


def test_compare_leads_to_the_first_fill_that_differs(tab: Tab, service: Service) -> None:
    page, ids = tab.page, _ids(service, "report")
    page.goto("/")
    for name in ids:
        page.get_by_label(f"Select {name}").check()
    page.keyboard.press("c")
    tab.wait_for_address("/compare.*ids=")
    first = page.get_by_test_id("first-difference")
    first.wait_for()
    first.get_by_role("link", name="microscope").first.click()
    page.get_by_test_id("moment").wait_for()


def test_a_run_in_fast_mode_says_what_it_has_not_kept(tab: Tab, service: Service) -> None:
    (name,) = _ids(service, "fast")
    tab.page.goto(f"/runs/{name}")
    tab.see("This run kept its figures only")


def test_an_unknown_run_is_named_with_its_request(browser: Any, service: Service) -> None:
    found = Tab(browser, service.url)
    found.page.goto("/runs/BNF_NONE_20240101_00000000_000000_000000")
    found.see("there is no run")
    found.see(re.compile("404 · request"))
    # The browser itself says that the reply was 404.
    found.problems = [text for text in found.problems if "404" not in text]
    found.close()


def test_everything_by_keyboard(tab: Tab, service: Service) -> None:
    page = tab.page
    page.goto("/")
    page.get_by_role("link", name=_report(service)["run_id"]).wait_for()
    page.keyboard.press("/")
    page.keyboard.type("BNF_BTC")
    tab.wait_for_address("q=BNF_BTC")
    page.keyboard.press("Escape")
    for key in ("j", "x", "j", "x"):
        page.keyboard.press(key)
    tab.wait_for_address("sel=.+,.+")
    page.keyboard.press("Enter")
    tab.wait_for_address("/runs/BNF_BTC")
    page.get_by_role("tab", name="Chart").wait_for()
    page.keyboard.press("]")
    tab.wait_for_address("tab=trades")
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keys of this screen").wait_for()
    page.keyboard.press("Escape")
    for letter, address in (("d", "/data"), ("c", "/configs"), ("s", "/sweeps"), ("r", "/$")):
        page.keyboard.press("g")
        page.keyboard.press(letter)
        tab.wait_for_address(address)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_screen_has_a_fault_that_axe_finds(browser: Any, service: Service, theme: str) -> None:
    if not _AXE.is_file():
        assert not _MUST_RUN, "axe-core is missing: run `make page`"
        pytest.skip("axe-core is missing: `make page` installs it")
    found = Tab(browser, service.url, color_scheme=theme)
    name = _report(service)["run_id"]
    ids = ",".join(_ids(service, "report"))
    screens = (
        "/",
        f"/runs/{name}",
        f"/runs/{name}?tab=trades",
        f"/runs/{name}?tab=breakdown",
        f"/runs/{name}?tab=lineage",
        f"/runs/{name}?tab=config",
        f"/compare?ids={ids}",
        "/launch",
        "/data",
        "/configs",
        "/configs/binance_futures_btcusdt_l2_trades_config",
        "/sweeps",
    )
    faults = {screen: _axe(found.page, screen) for screen in screens}
    found.close()
    assert {screen: fault for screen, fault in faults.items() if fault} == {}


def _axe(page: Any, screen: str) -> list[str]:
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


def test_a_launched_run_becomes_its_result_in_place(browser: Any, live: Live) -> None:
    found = Tab(browser, live.url)
    page = found.page
    config = "binance_futures_btcusdt_l2_trades_config"
    page.goto(f"/launch?config={config}&day=2024-01-01&start=12:00&end=12:30")
    page.get_by_test_id("plan").get_by_text("run", exact=True).wait_for()
    page.get_by_role("button", name="Launch", exact=True).click()
    found.wait_for_address("/runs/BNF_BTC_20240101_12")
    page.get_by_role("log").wait_for()
    page.get_by_test_id("net-pnl").wait_for(timeout=120_000)
    assert Path(page.url).name.startswith("BNF_BTC_20240101_12")
    found.close()
