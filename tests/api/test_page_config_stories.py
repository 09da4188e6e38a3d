"""Editing configurations, calendar, login and launch on the results page, in a browser.

Each story has a folder of its own: it changes configurations, data and the service itself.
"""

import json
import re
import signal
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow.parquet as pq
import pytest
from live import DAYS, SLOW, Live
from pagetab import Tab, axe_faults, browser, has_axe, pytestmark
from service import (
    BTC,
    DAY,
    Service,
    free_port,
    lay_out,
    make_results,
    serving,
    settings_of,
)

from odum_assets.config import load_config, raw_path
from odum_assets.orchestration.requests import RunOptions
from odum_assets.raw.layout import DataType, local_path
from odum_assets.results.run import run_backtest

__all__ = ["browser", "pytestmark"]

NOWHERE = "http://127.0.0.1:9"
TOKEN = "a-token-nobody-guesses-9012"  # noqa: S105 - of a test
KEY = "BINANCE-FUTURES:PERPETUAL:BTC-USDT"
FEE = "0.000123456789012345678"
"""More digits than a float has."""


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a day that a run has read."""
    place = tmp_path_factory.mktemp("pagestories")
    lay_out(place)
    make_results(place, (BTC, "report"))
    return place


@pytest.fixture(scope="module")
def here(data_folder: Path) -> Iterator[Service]:
    with serving(data_folder, ODUM_DAGSTER_URL=NOWHERE) as found:
        yield found


@pytest.fixture
def page(browser: Any, here: Service) -> Iterator[Any]:
    found = Tab(browser, here.url)
    yield found.page
    # The browser itself says which replies were refusals.
    found.problems = [text for text in found.problems if "Failed to load resource" not in text]
    found.close()


def _write(here: Service, name: str, **sections: Any) -> Path:
    """Store a configuration as a person does it with an editor, and return its file."""
    content = json.loads((here.folder / f"configs/{BTC}.json").read_text())
    for section, values in sections.items():
        content[section] |= values
    path = here.folder / f"configs/{name}.json"
    path.write_text(json.dumps(content, indent=2))
    return path


def _checked(page: Any, text: str) -> None:
    """Wait for what the service says of the document as it is now."""
    page.locator("[data-testid=validity][data-checked=true]", has_text=text).wait_for()


def _save(page: Any) -> None:
    page.get_by_role("button", name="Save…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Save", exact=True).click()
    dialog.wait_for(state="hidden")


def test_an_invalid_configuration_shows_its_problems_at_their_fields(
    page: Any, here: Service
) -> None:
    path = _write(here, "broken", venue={"oms_type": "NETING", "leverag": 2})
    page.goto("/configs")
    row = page.get_by_role("row", name=re.compile("broken"))
    row.get_by_role("link", name="Fix…").click()
    page.wait_for_url(re.compile("/configs/broken"))
    _checked(page, "2 problems")
    page.get_by_role("button", name="venue.oms_type", exact=True).click()
    kind = page.get_by_label("oms type")
    assert kind.evaluate("element => element === document.activeElement")
    assert kind.get_attribute("aria-invalid") == "true"
    kind.select_option("NETTING")
    page.get_by_role("button", name="Use leverage").first.click()
    _checked(page, "valid")
    assert page.get_by_label("leverage").input_value() == "2"
    # The same document as text, in every digit.
    page.get_by_label("maker fee").fill(FEE)
    text = page.get_by_label("Configuration as JSON")
    assert f'"maker_fee": {FEE}' in text.input_value()
    text.fill(text.input_value().replace('"taker_fee": 0.0005', '"taker_fee": 0.00050'))
    assert page.get_by_label("taker fee").input_value() == "0.00050"
    whole = text.input_value()
    text.fill(whole.replace("{", "{,", 1))
    page.get_by_text("line 1, column 2").first.wait_for()
    assert page.get_by_label("maker fee").is_disabled()
    text.fill(whole)
    # What is not saved is not lost by accident.
    page.get_by_role("link", name="Runs", exact=True).click()
    page.get_by_role("button", name="Stay").click()
    _checked(page, "valid")
    _save(page)
    stored = path.read_text()
    assert f'"maker_fee": {FEE},' in stored
    assert '"taker_fee": 0.00050,' in stored
    assert json.loads(stored)["venue"]["leverage"] == 2


def test_two_people_save_and_nothing_is_lost(page: Any, here: Service) -> None:
    path = _write(here, "shared")
    page.goto("/configs/shared")
    page.get_by_label("maker fee").fill("0.0009")
    page.get_by_label("price precision").fill("2")
    other = json.loads(path.read_text())
    other["venue"] |= {"maker_fee": 0.0003, "taker_fee": 0.0007}
    tag = here.get("/api/configs/shared").headers["ETag"]
    body = {"name": "shared", "config": other}
    assert here.post("/api/configs", body, If_Match=tag).status == 200
    page.get_by_label("price precision").fill("1")
    page.get_by_label("leverage").fill("3")
    _checked(page, "valid")
    page.get_by_role("button", name="Save…").click()
    page.get_by_role("dialog").get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Somebody else has saved this configuration").wait_for()
    assert json.loads(path.read_text())["venue"]["maker_fee"] == 0.0003
    page.get_by_label("venue.maker_fee: theirs").check()
    page.get_by_role("button", name="Merge into what I edit").click()
    assert page.get_by_label("maker fee").input_value() == "0.0003"
    assert page.get_by_label("taker fee").input_value() == "0.0007"
    page.get_by_role("button", name="Undo").first.click()
    assert page.get_by_label("maker fee").input_value() == "0.0009"
    page.get_by_role("button", name="Redo").first.click()
    _checked(page, "valid")
    _save(page)
    venue = json.loads(path.read_text())["venue"]
    assert (venue["maker_fee"], venue["taker_fee"], venue["leverage"]) == (0.0003, 0.0007, 3)


def test_a_configuration_is_made_of_the_schema_and_deleted(page: Any, here: Service) -> None:
    path = here.folder / "configs/of_schema.json"
    page.goto("/configs")
    page.get_by_role("link", name=BTC).first.wait_for()
    page.keyboard.press("a")
    page.get_by_role("textbox", name="Name").fill("shared name")
    page.get_by_text("Small letters, digits").wait_for()
    page.get_by_role("textbox", name="Name").fill("of_schema")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="+ order").click()
    page.get_by_label("order 1: price").fill("27000.1")
    _checked(page, "valid")
    _save(page)
    page.wait_for_url(re.compile("/configs/of_schema$"))
    stored = json.loads(path.read_text())
    assert stored["strategy"]["orders"] == [{"side": "buy", "amount": 0.5, "price": 27000.1}]
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    page.wait_for_url(re.compile("/configs$"))
    assert not path.exists()


def test_the_token_opens_the_page_and_logging_out_closes_it(
    browser: Any,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "guarded"
    lay_out(folder)
    with serving(folder, ODUM_DAGSTER_URL=NOWHERE, ODUM_API_TOKEN=TOKEN) as guarded:
        found = Tab(browser, guarded.url)
        page = found.page
        page.goto(f"/configs/{BTC}")
        login = page.get_by_role("dialog", name="Log in")
        for token in ("wrong" * 4, TOKEN):
            login.get_by_label("Token of the service").fill(token)
            login.get_by_role("button", name="Log in").click()
            if token != TOKEN:
                login.get_by_text("This is not the token").wait_for()
        login.wait_for(state="hidden")
        fee = page.get_by_label("maker fee")
        fee.fill(FEE)
        # A session that ends meanwhile takes nothing with it.
        found.context.clear_cookies()
        page.get_by_label("leverage").fill("2")
        login.get_by_label("Token of the service").fill(TOKEN)
        login.get_by_role("button", name="Log in").click()
        login.wait_for(state="hidden")
        assert fee.input_value() == FEE
        _checked(page, "valid")
        _save(page)
        assert FEE in (folder / f"configs/{BTC}.json").read_text()
        page.get_by_role("button", name="Log out").click()
        login.wait_for()
        assert page.get_by_text(BTC).count() == 0
        assert page.evaluate("Object.keys(localStorage).length + document.cookie.length") == 0
        found.problems = [text for text in found.problems if "401" not in text]
        found.close()


def test_a_service_that_comes_back_finds_what_was_typed(
    browser: Any,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "restarted"
    lay_out(folder)
    live = Live(folder, free_port(), ODUM_DAGSTER_URL=NOWHERE)

    def start() -> None:
        live.start()
        live.wait("service", lambda: live.get("/api/health").status == 200)

    start()
    try:
        found = Tab(browser, live.url)
        page = found.page
        page.goto(f"/configs/{BTC}")
        page.get_by_label("maker fee").wait_for()
        live.stop(signal.SIGKILL)
        page.get_by_label("maker fee").fill(FEE)
        banner = page.get_by_text("What you see is from before")
        banner.wait_for()
        start()
        banner.wait_for(state="hidden", timeout=60_000)
        page.get_by_label("leverage").fill("2")
        _checked(page, "valid")
        assert page.get_by_label("maker fee").input_value() == FEE
        _save(page)
        assert FEE in (folder / f"configs/{BTC}.json").read_text()
        found.problems = [text for text in found.problems if "ERR_CONNECTION" not in text]
        found.close()
    finally:
        if live.process is not None:
            live.stop()


def test_a_changed_raw_file_makes_its_day_stale_wherever_it_is_seen(
    page: Any, here: Service
) -> None:
    loaded = load_config(here.folder / f"configs/{BTC}.json")
    path = local_path(raw_path(loaded, DataType.TRADES, DAY, here.settings))
    table = pq.read_table(path)
    pq.write_table(table.slice(0, table.num_rows - 7), path)
    (run,) = here.get("/api/v1/runs").json["runs"]
    page.goto(f"/data?month={DAY:%Y-%m}")
    first = page.get_by_label(re.compile(f"trades {DAY}: stale"))
    first.click()
    day = page.get_by_test_id("day")
    day.get_by_text("have changed since").wait_for()
    day.get_by_text(str(path)).wait_for()
    # By keyboard: the days beside it, as one range, which a launch takes over.
    first.focus()
    page.keyboard.press("Shift+ArrowRight")
    page.wait_for_url(re.compile("last=2024-01-02"))
    range_ = page.get_by_test_id("range")
    range_.get_by_text("◪ 1 stale").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").last.click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert lines[0] == "instrument,data_type,day,state,rows,rejected,checks"
    assert lines[1].startswith(f"{KEY},trades,{DAY},stale,{table.num_rows},")
    # By pointer: the same days, drawn over.
    cells = [page.get_by_label(re.compile(f"trades 2024-01-0{number}")) for number in (1, 3)]
    cells[0].drag_to(cells[1])
    page.wait_for_url(re.compile("last=2024-01-03"))
    range_.get_by_label("Configuration").select_option(BTC)
    range_.get_by_role("link", name="Launch each day…").click()
    plan = page.get_by_test_id("plan")
    plan.get_by_text("converted first").first.wait_for()
    plan.get_by_text("2 days are left out").wait_for()
    for word in ("odum backtest", "--from 2024-01-01 --to 2024-01-03"):
        page.get_by_text(re.compile(word)).first.wait_for()
    page.goto(f"/runs/{run['run_id']}?tab=lineage")
    page.get_by_text("changed").first.wait_for()


def test_a_damaged_raw_file_is_marked_with_its_reason(browser: Any, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    lay_out(folder)
    make_results(folder, (BTC, "fast"))
    with serving(folder, ODUM_DAGSTER_URL=NOWHERE) as here:
        loaded = load_config(folder / f"configs/{BTC}.json")
        path = local_path(raw_path(loaded, DataType.TRADES, DAY, here.settings))
        path.write_bytes(path.read_bytes()[:-100])
        found = Tab(browser, here.url)
        page = found.page
        page.goto(f"/data?month={DAY:%Y-%m}")
        page.get_by_label(re.compile(f"trades {DAY}: raw file unreadable")).click()
        page.get_by_test_id("day").get_by_text(f"{path}: cannot be read as parquet").wait_for()
        found.close()


def test_a_run_replaces_values_of_its_configuration(page: Any) -> None:
    page.goto(f"/launch?config={BTC}&day={DAY}")
    page.get_by_role("button", name="+ Replace a value").click()
    path = page.get_by_label("Path 1")
    path.fill("venue.oms_type")
    # The schema knows what is allowed, and the file what is there now.
    kind = page.get_by_label("Value of venue.oms_type")
    assert kind.locator("option").all_inner_texts() == ["as configured", "NETTING", "HEDGING"]
    page.get_by_text(re.compile("^now NETTING")).wait_for()
    path.fill("venue.maker_fee")
    fee = page.get_by_label("Value of venue.maker_fee")
    fee.fill("much")
    page.get_by_text(re.compile('✕ found "much", should be')).wait_for()
    assert fee.get_attribute("aria-invalid") == "true"
    fee.fill(FEE)
    plan = page.get_by_test_id("plan")
    plan.get_by_text(f"venue.maker_fee={FEE}").wait_for()
    # The address is the form, and the request has every digit.
    page.wait_for_url(re.compile(f"set=venue.maker_fee%3D{FEE}"))
    page.reload()
    plan.get_by_text(f"venue.maker_fee={FEE}").wait_for()
    page.get_by_text(f'"overrides":{{"venue.maker_fee":{{"$number":"{FEE}"}}}}').wait_for()
    page.get_by_role("button", name="+ Replace another value").click()
    page.get_by_label("Path 2").fill("data_catalog.catalog_root")
    page.get_by_label("Value of data_catalog.catalog_root").fill("elsewhere")
    page.get_by_text(re.compile("✕ may not vary: it decides which data")).wait_for()
    page.get_by_role("button", name="Remove data_catalog.catalog_root").click()
    plan.get_by_text(f"venue.maker_fee={FEE}").wait_for()


def test_a_run_again_replaces_the_same_values(browser: Any, tmp_path: Path) -> None:
    lay_out(tmp_path)
    make_results(tmp_path, (BTC, "fast"))
    loaded = load_config(tmp_path / f"configs/{BTC}.json")
    options = RunOptions(mode="fast", overrides={"venue.maker_fee": {"$number": FEE}})
    run_id = run_backtest(options.day_request(loaded, DAY), settings_of(tmp_path)).run_id
    with serving(tmp_path, ODUM_DAGSTER_URL=NOWHERE) as here:
        found = Tab(browser, here.url)
        page = found.page
        page.goto(f"/runs/{run_id}")
        page.get_by_role("link", name="Run again…").click()
        page.wait_for_url(re.compile(f"config={BTC}.*set=venue.maker_fee%3D{FEE}"))
        assert page.get_by_label("Value of venue.maker_fee").input_value() == FEE
        assert page.get_by_label("Keep").input_value() == "fast"
        page.get_by_test_id("plan").get_by_text(f"venue.maker_fee={FEE}").wait_for()
        # What fast mode left out is one click away.
        page.goto(f"/runs/{run_id}")
        page.get_by_role("link", name="Run again with a report…").click()
        page.wait_for_url(re.compile(f"config={BTC}.*set=venue.maker_fee%3D{FEE}"))
        assert page.get_by_label("Keep").input_value() == "report"
        found.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_replaced_values_have_no_fault_that_axe_finds(
    browser: Any, here: Service, theme: str
) -> None:
    if not has_axe():
        pytest.skip("axe-core is missing: `make page` installs it")
    found = Tab(browser, here.url, color_scheme=theme)
    rows = (
        "",
        f"venue.maker_fee={FEE};venue.oms_type=HEDGING;strategy.params.unknown=5",
        "venue.maker_fee=much;data_catalog.catalog_root=elsewhere;venue.maker_fee=0",
    )
    screens = [f"/launch?config={BTC}&day={DAY}&set={quote(row)}" for row in rows]
    faults = {screen: axe_faults(found.page, screen) for screen in screens}
    found.problems = [text for text in found.problems if not re.search("409|422", text)]
    found.close()
    assert {screen: fault for screen, fault in faults.items() if fault} == {}


def test_a_refused_launch_says_so_at_its_fields(page: Any) -> None:
    page.goto(f"/launch?config={BTC}&day={DAY}")
    page.get_by_label("Execution algorithm").select_option("TWAP")
    page.get_by_label("horizon (s)").fill("1.5")
    page.get_by_label("interval (s)").fill("5")
    page.get_by_text("✕ exec_algorithm.params.interval_secs: found 5, allowed up to").wait_for()
    assert page.get_by_label("interval (s)").get_attribute("aria-invalid") == "true"
    page.get_by_label("interval (s)").fill("0.5")
    page.get_by_label("Start, optional").fill("25:00")
    page.get_by_text("✕ start: found '25:00'").wait_for()
    page.get_by_label("Start, optional").fill("12:00")
    page.get_by_label("Also export the replayed trades").check()
    plan = page.get_by_test_id("plan")
    plan.get_by_text("algorithm params horizon_secs=1.5, interval_secs=0.5").wait_for()
    plan.get_by_text("start 12:00").wait_for()
    page.get_by_text(
        """--exec-algorithm-params '{"horizon_secs":1.5,"interval_secs":0.5}' --export-ticks"""
    ).first.wait_for()


def test_days_are_converted_from_the_calendar(browser: Any, live: Live) -> None:
    loaded = load_config(live.folder / f"configs/{BTC}.json")
    day = date.fromisoformat(DAYS[1])
    path = local_path(raw_path(loaded, DataType.TRADES, day, live.settings))
    path.touch()
    found = Tab(browser, live.url)
    page = found.page
    page.goto(f"/data?month={day:%Y-%m}")
    page.get_by_label(re.compile(f"trades {day}: (stale|not converted)")).click()
    page.get_by_role("button", name="Convert 1 day").click()
    found.wait_for_address("conversion=")
    page.get_by_text("Converted: 1 of 1 day").wait_for(timeout=120_000)
    page.get_by_label(re.compile(f"trades {day}: up to date")).wait_for()
    found.close()
    body = {"instrument": KEY, "data_type": "trades", "first_day": DAYS[1], "last_day": DAYS[1]}
    refused = live.post("/api/v1/conversions", body)
    assert (refused.status, refused.json["type"]) == (409, "urn:odum:problem:nothing-to-convert")
    assert "(up to date)" in refused.json["detail"]
    assert live.post("/api/v1/conversions", body | {"last_day": DAYS[0]}).status == 422


def test_a_launched_run_is_canceled_where_it_is_followed(
    browser: Any,
    live: Live,
) -> None:
    found = Tab(browser, live.url)
    page = found.page
    page.goto(f"/launch?config={SLOW}&day=2024-01-01&engine=kernel")
    # An engine that does not cover the run: said before it starts, or by the run's refusal.
    page.get_by_label("Engine").select_option("nautilus")
    page.get_by_text(re.compile("--day 2024-01-01")).first.wait_for()
    page.get_by_test_id("plan").get_by_text("day", exact=True).wait_for()
    page.keyboard.press("Control+Enter")
    page.wait_for_url(re.compile("/runs/BNF_BTC_20240101"), timeout=90_000)
    run_id = Path(page.url.partition("?")[0]).name
    live.wait_replaying(run_id)
    page.get_by_role("button", name="Cancel run").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel run").click()
    assert live.wait_ended(run_id)["status"] == "canceled"
    page.get_by_text("canceled").first.wait_for()
    found.problems = [text for text in found.problems if "Failed to load resource" not in text]
    found.close()
