"""Sweeps, comparison and export on the results page, in a browser."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from live import DAYS, Live
from pagetab import Tab, axe_faults, browser, has_axe, pytestmark
from service import BTC, clean_environment

__all__ = ["browser", "pytestmark"]

CONFIG = "sized"
_STRATEGY = """
from nautilus_trader.model import OrderSide, Quantity
from pydantic import BaseModel

from odum_assets.backtest.strategies.base import OdumStrategy


class Params(BaseModel):
    size: int


class Sized(OdumStrategy):
    Params = Params

    def __init__(self, setup, params):
        super().__init__(setup, params)
        self.size, self.seen = params.size, 0

    def on_start(self):
        if self.size == 13:
            raise ValueError("13 is <no> size")
        self.subscribe_trades(self.setup.instrument_id)

    def on_trade(self, trade):
        self.seen += 1
        if self.seen % 10 == 0:
            side = OrderSide.BUY if self.seen % 20 else OrderSide.SELL
            size = Quantity.from_str(f"{self.size / 1000:.3f}")
            self.submit_order(self.order_factory.market(self.setup.instrument_id, side, size))
"""
"""Trades as much as its size says; one size fails."""

_PATHS = ("strategy.params.size", "execution.latency.insert_ms")
_VARY = "strategy.params.size=1,2,13;execution.latency.insert_ms=0:200:200"


@pytest.fixture(scope="module")
def swept(browser: Any, live: Live) -> dict[str, Any]:
    """A sweep that was started on the page and watched to its end, as the service has it."""
    content = json.loads((live.folder / f"configs/{BTC}.json").read_text())
    content["strategy"] = {"name": "Sized", "path": "sized:Sized", "params": {"size": 1}}
    (live.folder / "sized.py").write_text(_STRATEGY)
    (live.folder / f"configs/{CONFIG}.json").write_text(json.dumps(content))
    found = Tab(browser, live.url)
    page = found.page
    page.goto(f"/sweeps/new?config={CONFIG}&day={DAYS[0]}&start=12:00&end=12:30&vary={_VARY}")
    found.see(re.compile("3 of strategy.params.size . 2 of execution.latency.insert_ms"))
    found.see(re.compile(r"^odum sweep sized --day 2024-01-01 --vary strategy.params.size=1,2,13"))
    page.get_by_role("button", name="Start 6 variants").click()
    # Dagster loads the new configuration first.
    page.wait_for_url(re.compile("/sweeps/SWP_"), timeout=120_000)
    # Cells are there before their variants have run, and fill in without a reload.
    page.get_by_test_id("heat-map").wait_for(timeout=120_000)
    page.get_by_text(re.compile("6 of 6 variants done · 2 failed")).wait_for(timeout=180_000)
    sweep: dict[str, Any] = live.get(f"/api/v1/sweeps/{Path(page.url).name}").json
    found.close()
    return sweep


def test_a_variant_is_read_on_the_map_and_its_run_opens(
    swept: dict[str, Any], browser: Any, live: Live
) -> None:
    found = Tab(browser, live.url)
    page = found.page
    page.goto(f"/sweeps/{swept['id']}?x=size&y=insert_ms")
    heat, picked = page.get_by_test_id("heat-map"), page.get_by_test_id("picked")
    heat.wait_for()
    # One path per color, whatever the number of cells.
    assert heat.locator("svg > path").count() <= 12
    by_value = {tuple(row["varied"][path] for path in _PATHS): row for row in swept["rows"]}
    heat.focus()
    for key, where in (("Home", (1, 0)), ("ArrowRight", (2, 0)), ("ArrowUp", (2, 200))):
        page.keyboard.press(key)
        row = by_value[where]
        picked.get_by_text(f"#{row['number']}", exact=True).wait_for()
        assert str(row["figures"]["pnl"]) in picked.inner_text()
    page.keyboard.press("End")
    picked.get_by_text(re.compile("13 is <no> size")).wait_for()
    found.see(re.compile("2 failed"))
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    found.wait_for_address(f"/runs/{by_value[2, 200]['run_id']}")
    page.go_back()
    # Another figure over one axis, and the same for somebody else.
    page.get_by_label("Figure").select_option("commissions")
    page.get_by_role("button", name="Lines").click()
    found.wait_for_address("figure=commissions.*view=lines")
    page.get_by_test_id("axis-lines").wait_for()
    # The service sorts and filters.
    page.get_by_label(re.compile("^Conditions")).fill("size<13,insert_ms:200")
    page.keyboard.press("Enter")
    found.see("2 of 6 variants")
    page.get_by_role("button", name="fills", exact=True).click()
    found.wait_for_address("sort=-fills")
    page.get_by_label(re.compile("^Conditions")).fill("none>1")
    page.keyboard.press("Enter")
    found.see(re.compile("there is no column 'none'"))
    found.problems = [text for text in found.problems if "422" not in text]
    found.close()


def test_variants_are_compared_down_to_the_first_fill_that_differs(
    swept: dict[str, Any], browser: Any, live: Live
) -> None:
    found = Tab(browser, live.url)
    page = found.page
    page.goto(f"/sweeps/{swept['id']}")
    heat = page.get_by_test_id("heat-map")
    heat.focus()
    page.keyboard.press("Home")
    page.keyboard.press("x")
    found.wait_for_address("sel=")
    row = page.get_by_role("region", name="Variants").get_by_role("row").nth(3)
    row.click(modifiers=["Shift"], position={"x": 130, "y": 10})
    found.wait_for_address("sel=.+,.+")
    page.keyboard.press("c")
    found.wait_for_address("/compare.*ids=")
    first = page.get_by_test_id("first-difference")
    first.wait_for()
    assert "fills" in first.inner_text()
    page.get_by_label("Group by").select_option("config")
    page.get_by_role("columnheader", name=CONFIG, exact=True).wait_for()
    page.get_by_role("button", name="drawdown %").click()
    found.wait_for_address("unit=drawdown")
    first.get_by_role("link", name="microscope").first.click()
    page.get_by_test_id("moment").wait_for()
    found.close()


def test_an_export_opens_without_a_service(
    swept: dict[str, Any], browser: Any, live: Live, tmp_path: Path
) -> None:
    done = [row["run_id"] for row in swept["rows"] if row["status"] == "succeeded"]
    found = Tab(browser, live.url)
    files = []
    for address, button in (
        (f"/runs/{done[0]}", "Export"),
        (f"/compare?ids={','.join(done)}", "Export HTML"),
    ):
        found.page.goto(address)
        link = found.page.get_by_role("link", name=button, exact=True)
        with found.page.expect_download() as download:
            link.click()
        files.append(tmp_path / download.value.suggested_filename)
        download.value.save_as(files[-1])
    found.close()
    assert [file.name for file in files] == [f"{done[0]}.html", "4_runs.html"]
    # The command writes the same bytes.
    command = [sys.executable, "-m", "odum_assets.cli.main", "results", "export", *done]
    written = tmp_path / "command.html"
    subprocess.run(
        [*command, "--html", str(written)], cwd=live.folder, env=clean_environment(), check=True
    )
    assert written.read_bytes() == files[1].read_bytes()

    for theme in ("light", "dark"):
        offline = Tab(browser, "file://", color_scheme=theme, offline=True)
        for file, name in zip(files, ("Over time", "Differences"), strict=True):
            assert file.stat().st_size < 1_500_000
            faults = axe_faults(offline.page, file.as_uri()) if has_axe() else []
            assert faults == []
            offline.see(name)
            assert done[0] in offline.page.inner_text("body")
        if theme == "light":
            shown = offline.page.evaluate(
                "[...document.querySelectorAll('.figures-table data')].map(each => each.value)"
            )
            pnl = [row["figures"]["pnl"] for row in swept["rows"] if row["run_id"] in done]
            assert {repr(float(value)) for value in pnl} <= {repr(float(value)) for value in shown}
        offline.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_sweep_screen_has_a_fault_that_axe_finds(
    swept: dict[str, Any], browser: Any, live: Live, theme: str
) -> None:
    if not has_axe():
        pytest.skip("axe-core is missing: `make page` installs it")
    done = [row["run_id"] for row in swept["rows"] if row["status"] == "succeeded"]
    found = Tab(browser, live.url, color_scheme=theme)
    screens = (
        "/sweeps",
        f"/sweeps/new?config={CONFIG}&day={DAYS[0]}&vary=strategy.params.size=1,1",
        *(f"/sweeps/{swept['id']}?view={view}" for view in ("map", "lines", "parallel")),
        f"/compare?ids={','.join(done)}&group=period",
    )
    faults = {screen: axe_faults(found.page, screen) for screen in screens}
    found.close()
    assert {screen: fault for screen, fault in faults.items() if fault} == {}
