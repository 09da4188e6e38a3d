"""The results page in a browser: zooming by drag, a walk by keyboard, and verifying a run."""

import re
from datetime import date
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from live import KEY, Live
from pagetab import Tab, browser, pytestmark, tab
from service import BTC, Service

from odum_assets.catalog import convert_partition
from odum_assets.config import instrument_spec, load_config, raw_path
from odum_assets.raw.layout import DataType
from odum_assets.raw.sample import SampleSpec, write_sample

__all__ = ["browser", "pytestmark", "tab"]

OWN_DAY = date(2024, 1, 17)
"""A day that no other module of this folder uses."""


def _report(service: Service) -> dict[str, Any]:
    runs: list[dict[str, Any]] = service.get("/api/v1/runs").json["runs"]
    return next(run for run in runs if run["detail"] == "report" and run["config_name"] == BTC)


def _window(url: str) -> tuple[int, int]:
    """Return the window that an address of a run names, ns."""
    query = parse_qs(urlsplit(url).query)
    return int(query["t0"][0]), int(query["t1"][0])


def test_a_range_is_zoomed_to_and_asked_for_anew(tab: Tab, service: Service) -> None:
    page, run = tab.page, _report(service)
    page.goto(f"/runs/{run['run_id']}")
    with page.expect_response(re.compile(r"/curve\?")):
        chart = page.get_by_role("application")
        chart.wait_for()
    page.get_by_text(re.compile("one bar")).wait_for()
    box = chart.bounding_box()
    y = box["y"] + 60

    def drag(first: float, last: float) -> None:
        page.mouse.move(box["x"] + box["width"] * first, y)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * (first + last) / 2, y)
        page.mouse.move(box["x"] + box["width"] * last, y)
        page.mouse.up()

    with page.expect_response(re.compile(r"/bars\?.*start=")) as bars:
        drag(0.86, 0.9)
    assert bars.value.ok
    tab.wait_for_address(r"t0=\d{19}")
    near = _window(page.url)
    assert 0 < near[1] - near[0] < 86_400_000_000_000 // 20
    page.wait_for_load_state("networkidle")
    page.get_by_text("loading…").wait_for(state="hidden")
    # The same by keyboard: a marked range, then all of the run.
    chart.focus()
    for _ in range(4):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: _window(url) != near)
    nearer = _window(page.url)
    assert 0 < nearer[1] - nearer[0] < near[1] - near[0]
    page.keyboard.press("0")
    page.wait_for_url(lambda url: "t0=" not in url)


def test_from_the_list_to_a_raw_row_by_keyboard_alone(tab: Tab, service: Service) -> None:
    page, run = tab.page, _report(service)
    keyboard = page.keyboard
    page.goto(f"/?group=config&q={BTC}")
    tab.see(re.compile("groups? by config"))
    # A group opens as its runs.
    page.locator(".grid-table tr[aria-rowindex='2']").wait_for()
    keyboard.press("j")
    keyboard.press("Enter")
    tab.wait_for_address("config=")
    page.get_by_label("Select").first.wait_for()
    # One of them, by its id.
    keyboard.press("/")
    keyboard.press("Control+a")
    keyboard.type(run["run_id"])
    tab.wait_for_address(f"q={run['run_id']}&")
    keyboard.press("Escape")
    # The list before has a link to it, too.
    page.get_by_role("status").filter(has_text=re.compile("^1 run$")).wait_for()
    keyboard.press("j")
    keyboard.press("Enter")
    tab.wait_for_address(f"/runs/{run['run_id']}")
    page.get_by_role("tab", name="Chart").wait_for()
    keyboard.press("]")
    keyboard.press("]")
    tab.wait_for_address("tab=fills")
    page.locator(".grid-table tr[aria-rowindex='2'] .mono").first.wait_for()
    keyboard.press("j")
    tab.wait_for_address("row=")
    keyboard.press("Enter")
    tab.wait_for_address(r"moment=\d{19}")
    moment = page.get_by_test_id("moment")
    moment.get_by_text(re.compile("^fill")).first.wait_for()
    # The rows of the raw file around it, by their own ids.
    at = parse_qs(urlsplit(page.url).query)["moment"][0]
    around = service.get(f"/api/v1/runs/{run['run_id']}/moment?at_ns={at}").json
    moment.get_by_text(around["trades"]["trade_id"][0]).first.wait_for()
    keyboard.press("Escape")
    moment.wait_for(state="detached")
    # Chart is open again: five tabs on.
    page.get_by_role("application").wait_for()
    for name in ("trades", "fills", "orders", "breakdown", "lineage"):
        keyboard.press("]")
        tab.wait_for_address(f"tab={name}")
    tab.see(re.compile(r"data_type-trades.*\.parquet"))


@pytest.mark.timeout(900)
def test_a_run_is_verified_equal_then_changed(browser: Any, live: Live) -> None:
    _write_day(live, 300)
    run_id = live.launch(config=BTC, day=str(OWN_DAY))
    assert live.wait_ended(run_id, 300)["status"] == "succeeded"
    found = Tab(browser, live.url)
    page = found.page
    page.goto(f"/runs/{run_id}")
    page.get_by_role("button", name="Verify", exact=True).click()
    page.get_by_text("Equal in every order, fill and balance").wait_for(timeout=240_000)
    page.keyboard.press("Escape")
    _write_day(live, 350)
    loaded, settings = load_config(live.folder / f"configs/{BTC}.json"), live.settings
    source = raw_path(loaded, DataType.TRADES, OWN_DAY, settings)
    spec = instrument_spec(loaded)
    convert_partition(source, loaded.key, spec, DataType.TRADES, OWN_DAY, settings.catalog_path)
    page.get_by_role("button", name="Verify", exact=True).click()
    page.get_by_text("The second run is not equal").wait_for(timeout=240_000)
    page.get_by_text(f"trades {OWN_DAY}").first.wait_for()
    found.close()


def _write_day(live: Live, trades: int) -> None:
    spec = SampleSpec(
        keys=(KEY,), start=OWN_DAY, days=1, trades_per_day=trades, books_per_day=300, hours=(12, 13)
    )
    write_sample(live.folder / "data", spec)
