"""The results page in a browser, over the service and results of this folder's other tests."""

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from live import Live
from pagetab import Tab, axe_faults, browser, has_axe, pytestmark, tab
from service import BTC, Service

__all__ = ["browser", "pytestmark", "tab"]


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


def test_columns_fit_the_window_and_views_bring_them_back(tab: Tab, service: Service) -> None:
    page, run = tab.page, _report(service)
    page.goto("/")
    table = page.get_by_role("region", name="Runs")
    flags = table.get_by_role("columnheader", name="Flags")
    for width in (1280, 768, 1920):
        page.set_viewport_size({"width": width, "height": 700})
        flags.wait_for()
        page.wait_for_function(
            "box => box.scrollWidth <= box.clientWidth", arg=table.element_handle()
        )
    page.get_by_role("button", name="Columns").click()
    page.get_by_label("Commissions").check()
    page.get_by_label(re.compile("^Only columns whose values differ")).check()
    page.keyboard.press("Escape")
    # All of them are of one instrument and day: neither tells one from another.
    table.get_by_role("columnheader", name="Day or window").wait_for(state="detached")
    heads = table.get_by_role("columnheader").all_inner_texts()
    assert "Commissions" in heads
    page.get_by_role("link", name=run["run_id"]).click()
    tab.wait_for_address(f"/runs/{run['run_id']}")
    page.go_back()
    table.get_by_role("columnheader", name="Commissions").wait_for()
    assert table.get_by_role("columnheader").all_inner_texts() == heads
    page.get_by_role("button", name="Views").click()
    page.get_by_label("Name of this view").fill("costs")
    page.keyboard.press("Enter")
    page.goto("/")
    page.get_by_role("button", name="Views").click()
    page.get_by_role("button", name="costs", exact=True).click()
    page.get_by_role("button", name="View: costs").wait_for()
    table.get_by_role("columnheader", name="Commissions").wait_for()


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
    if not has_axe():
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
        f"/launch?config={BTC}&day=2024-01-01&algorithm=TWAP",
        "/data",
        "/data?month=2024-01&instrument=BINANCE-FUTURES:PERPETUAL:BTC-USDT&type=trades"
        "&day=2024-01-01&last=2024-01-02",
        "/configs",
        "/configs/binance_futures_btcusdt_l2_trades_config",
        "/sweeps",
    )
    faults = {screen: axe_faults(found.page, screen) for screen in screens}
    found.close()
    assert {screen: fault for screen, fault in faults.items() if fault} == {}


def test_a_launched_run_becomes_its_result_in_place(browser: Any, live: Live) -> None:
    found = Tab(browser, live.url)
    page = found.page
    config = "binance_futures_btcusdt_l2_trades_config"
    watching = found.context.new_page()
    watching.goto("/")
    watching.get_by_role("status").filter(has_text=re.compile("^[0-9,]+ runs?$")).wait_for()
    before = watching.locator("tbody a").all_inner_texts()
    page.goto(f"/launch?config={config}&day=2024-01-01&start=12:00&end=12:30")
    page.get_by_test_id("plan").get_by_text("run", exact=True).wait_for()
    page.get_by_role("button", name="Launch", exact=True).click()
    found.wait_for_address("/runs/BNF_BTC_20240101_12")
    page.get_by_role("log").wait_for()
    page.get_by_test_id("net-pnl").wait_for(timeout=120_000)
    run_id = urlsplit(page.url).path.rpartition("/")[2]
    # Announced where somebody looks at the list, which stays as it is until it is asked for.
    news = watching.get_by_role("button", name=re.compile("^[0-9]+ new$"))
    news.wait_for()
    assert watching.locator("tbody a").all_inner_texts() == before
    news.click()
    watching.get_by_role("link", name=run_id).wait_for()
    found.close()
