"""Vectorized sweeps of bars on the results page, in a browser."""

import re
from typing import Any

import pytest
from barservice import NAME
from live import Live
from pagetab import Tab, axe_faults, browser, has_axe, pytestmark

__all__ = ["browser", "pytestmark"]

FORM = f"/sweeps/new?config={NAME}&kind=vectorized"


def test_a_grid_is_started_on_the_page_and_read_there(browser: Any, bars_live: Live) -> None:
    found = Tab(browser, bars_live.url)
    page = found.page
    page.goto(f"/sweeps/new?config={NAME}")
    page.get_by_label("Vectorized over bars").check()
    found.wait_for_address("kind=vectorized")
    found.see("Give both lengths: whole numbers as first:last:step, or a list.")
    start = page.get_by_role("button", name="Start", exact=True)
    assert start.is_disabled()
    page.get_by_label("Bars of the fast average").fill("5:15:5")
    page.get_by_label("Bars of the slow average").fill("10, 30, x")
    # What is wrong stands at its field.
    page.get_by_text(re.compile("✕ slow: found 10,30,x, allowed whole numbers")).wait_for()
    assert page.get_by_label("Bars of the slow average").get_attribute("aria-invalid") == "true"
    page.get_by_label("Bars of the slow average").fill("10,30")
    plan = page.get_by_test_id("grid-plan")
    plan.get_by_text(re.compile("^4 variants: 3 of fast . 2 of slow, without pairs")).wait_for()
    page.get_by_label("Side").select_option("long,long_short")
    page.get_by_label("First session").fill("2021-03-01")
    page.get_by_label("Last session").fill("2021-12-30")
    page.get_by_label("Verify best and random").fill("1")
    plan.get_by_text(re.compile("^8 variants")).wait_for()
    command = (
        f"odum vsweep {NAME} --fast 5:15:5 --slow 10,30 --side long,long_short "
        "--from 2021-03-01 --to 2021-12-30 --verify 1"
    )
    found.see(command)
    # The address is the form.
    page.reload()
    plan.get_by_text(re.compile("^8 variants")).wait_for()
    assert page.get_by_label("Side").input_value() == "long,long_short"
    page.get_by_role("button", name="Start 8 variants").click()
    page.wait_for_url(re.compile("/sweeps/SWP_"), timeout=120_000)
    found.see(re.compile("The sweep (waits|is starting|is running)"))
    # It becomes the result in place.
    page.get_by_text("8 of 8 variants done").wait_for(timeout=180_000)
    found.see(re.compile("2 verified, [1-9][0-9,]* fills equal"))
    page.get_by_test_id("parallel").or_(page.get_by_test_id("heat-map")).first.wait_for()
    again = page.get_by_role("link", name="Sweep again")
    again.click()
    found.wait_for_address("kind=vectorized")
    assert page.get_by_label("Bars of the fast average").input_value() == "5,10,15"
    plan.get_by_text(re.compile("^8 variants")).wait_for()
    found.problems = [text for text in found.problems if "422" not in text]
    found.close()


def test_a_grid_that_is_refused_says_why_and_starts_nothing(browser: Any, bars_live: Live) -> None:
    found = Tab(browser, bars_live.url)
    page = found.page
    # Values that exclude each other are refused before any bars are read.
    page.goto(f"{FORM}&fast=5&slow=20&fixed_size=1&percent_size=0.5")
    page.get_by_role("alert").get_by_text(re.compile("percent_size")).first.wait_for()
    page.goto(f"{FORM}&fast=5&slow=20&first=2010-01-04&last=2010-01-29")
    refusal = page.get_by_role("alert")
    refusal.get_by_text(re.compile("from 2010-01-04 to 2010-01-29 there are neither")).wait_for()
    page.get_by_role("button", name="Start", exact=True).click()
    refusal.nth(1).wait_for()
    assert "/sweeps/new" in page.url
    found.problems = [text for text in found.problems if not re.search("409|422", text)]
    found.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_form_of_a_grid_has_no_fault_that_axe_finds(
    browser: Any, bars_live: Live, theme: str
) -> None:
    if not has_axe():
        pytest.skip("axe-core is missing: `make page` installs it")
    found = Tab(browser, bars_live.url, color_scheme=theme)
    screens = (f"{FORM}&fast=5:50:5&slow=20:200:10", f"{FORM}&fast=x&slow=20")
    faults = {screen: axe_faults(found.page, screen) for screen in screens}
    found.problems = [text for text in found.problems if "422" not in text]
    found.close()
    assert {screen: fault for screen, fault in faults.items() if fault} == {}
