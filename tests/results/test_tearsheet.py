"""The tearsheet of a stored result: what it says, whose figures it shows, and how it looks."""

import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from browser import Page, browsing, needs_chromium
from earlier import LOSING, WINDOW, lay_out_version_1
from hypothesis import given
from hypothesis import strategies as st
from sheets import Sheet
from tinydays import DAY, INVERSE, NOON, Market, Outcome, moment, variant

from odum_assets.backtest.positions import POSITIONS
from odum_assets.backtest.tables import EQUITY, FILLS
from odum_assets.results.store import ResultError, ResultStore
from odum_assets.results.tearsheet import formats, write_tearsheet
from odum_assets.results.tearsheet.buckets import rows_to_draw, value_ranges
from odum_assets.results.tearsheet.tables import read_fills
from odum_assets.settings import Settings

MINUS = "\N{MINUS SIGN}"


def sheet(run: Outcome, market: Market) -> Sheet:
    return Sheet(write_tearsheet(run.result.run_id, market.settings))


@pytest.fixture(scope="module")
def drawn(shared: Market, report: Outcome) -> Sheet:
    return sheet(report, shared)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return settings with the results of version 1."""
    lay_out_version_1(tmp_path)
    return Settings(results_path=tmp_path)


def test_it_lies_beside_the_tables_and_replaces_an_older_one(
    shared: Market, report: Outcome
) -> None:
    page = write_tearsheet(report.result.run_id, shared.settings)
    assert page == report.result.report_path / "tearsheet.html"  # type: ignore[operator]
    before = page.read_bytes()
    assert write_tearsheet(report.result.run_id, shared.settings).read_bytes() == before
    assert not list(page.parent.glob(".*"))


def test_what_a_reader_must_know_comes_first(drawn: Sheet, report: Outcome) -> None:
    order = [
        report.metadata["config_name"].partition("_")[0],
        report.result.run_id,
        report.result.digest[:16],
        "Warnings",
        *report.summary["flags"],
        "Assumptions",
        *(each["detail"] for each in report.summary["simulated"]),
        "Net PnL",
        "Price, USDT",
        "Position, BTC",
        "Equity, USDT",
        "Drawdown, % of peak equity",
        "Round trips",
        report.result.digest,
    ]
    places = [drawn.text.index(each) for each in order]
    assert places[:-1] == sorted(places[:-1])
    assert len(report.summary["flags"]) > 1


FIGURES = {
    "pnl": "Net PnL",
    "pnl_breakdown.realized": "Realized PnL",
    "pnl_breakdown.commissions": "Commissions paid",
    "pnl_breakdown.funding": "Funding",
    "pnl_breakdown.unrealized": "Unrealized PnL",
    "returns.total_return_pct": "Total return",
    "account.starting_balance": "Starting balance",
    "account.final_equity": "Final equity",
    "account.lowest_equity": "Lowest equity",
    "drawdown.max_drawdown_pct": "Max drawdown",
    "drawdown.max_drawdown_amount": "Max drawdown, amount",
    "drawdown.max_drawdown_duration_secs": "Longest drawdown",
    "returns.volatility_pct": "Volatility, annualized",
    "ratios.sharpe": "Sharpe ratio, annualized",
    "ratios.sortino": "Sortino ratio, annualized",
    "ratios.calmar": "Calmar ratio",
    "returns.cagr_pct": "CAGR",
    "trades.total_trades": "Round trips",
    "trades.win_rate": "Win rate",
    "trades.profit_factor": "Profit factor",
    "trades.expectancy": "Expectancy",
    "trades.largest_win": "Largest win",
    "trades.largest_loss": "Largest loss",
    "orders": "Orders",
    "fills": "Fills",
    "position_stats.buy_quantity": "Bought",
    "position.quantity": "Quantity",
    "position.entry_price": "Entry price",
    "position.current_price": "Last price",
}


def _at(summary: dict[str, Any], path: str) -> Any:
    for name in path.split("."):
        summary = summary[name]
    return summary


@pytest.mark.parametrize("path", FIGURES)
def test_every_figure_is_the_summarys(path: str, drawn: Sheet, report: Outcome) -> None:
    stored = json.loads((report.result.report_path / "summary.json").read_text())  # type: ignore[operator]
    wanted, name = _at(stored["summary"], path), FIGURES[path]
    assert drawn.value(name) == wanted
    text = drawn.shown(name)
    if wanted is None:
        assert re.fullmatch(r"unknown\w.+", text), text
    elif not path.endswith("_secs"):
        number = re.match(rf"[+{MINUS}]?[\d,]+(\.\d+)?(e[+{MINUS}]?\d+)?", text)
        assert number is not None
        plain = Decimal(number[0].replace(MINUS, "-").replace(",", ""))
        last = Decimal(1).scaleb(int(plain.as_tuple().exponent))
        assert abs(plain - Decimal(str(wanted))) <= last / 2


def test_figures_have_units_and_say_what_they_rest_on(drawn: Sheet, report: Outcome) -> None:
    assert report.summary["trades"]["total_trades"] == 1
    returns = report.summary["ratios"]["returns"]
    assert f"({returns} returns of 10 s)" in drawn.shown("Sharpe ratio")
    assert "Less than 30 days say nothing about a year." in drawn.text
    assert "rest on 1 round trip." in drawn.text
    assert "from 1 round trip only" in drawn.shown("Win rate")
    assert drawn.shown("Net PnL").startswith(f"{MINUS}")
    assert " USDT" in drawn.shown("Net PnL")
    assert "less than 30 days of data" in drawn.shown("CAGR")
    assert drawn.shown("Bought").endswith(" BTC")
    assert drawn.shown("Rate") == "0.5 USDfx_stub.USDT_USD"


def test_every_axis_has_its_unit_and_utc(drawn: Sheet) -> None:
    charts = re.findall(r"<figure>(.*?)</figure>", drawn.html, re.DOTALL)
    heads = [re.findall(r"<h3>(.*?)</h3>", each) for each in charts]
    assert heads == [
        ["Price, USDT"], ["Position, BTC"], ["Equity, USDT"], ["Drawdown, % of peak equity"]
    ]  # fmt: skip
    for each in charts:
        assert len(re.findall(r'<span class="y"', each)) >= 3
        assert len(re.findall(r'<span class="x', each)) >= 3
        assert f"time, UTC: {DAY} 12:00:00 to 12:02:10" in each


def test_round_trips_are_those_of_the_table(drawn: Sheet, report: Outcome) -> None:
    body = drawn.html.partition("<tbody>")[2].partition("</tbody>")[0]
    rows = [
        [float(each) for each in re.findall(r'<data value="([^"]+)"', row)]
        for row in re.findall(r"<tr>(.*?)</tr>", body)
    ]
    wanted = [
        [
            each["opened"],
            *(
                float(each[name])
                for name in (
                    "peak_quantity",
                    "avg_entry_price",
                    "avg_exit_price",
                    "net_pnl",
                    "commissions",
                    "fills",
                )
            ),
        ]
        for each in report.positions
    ]
    assert rows == wanted
    assert len(rows) == 2
    assert "1 round trip and 1 still open." in drawn.text


def test_nothing_runs_and_nothing_is_asked_for(drawn: Sheet) -> None:
    tags = {tag for tag, _ in drawn.tags}
    assert not tags & {"script", "link", "img", "iframe", "object", "a", "base", "form", "video"}
    attributes = {name for _, each in drawn.tags for name in each}
    assert not {each for each in attributes if each.startswith("on")}
    assert not attributes & {"src", "href", "srcset", "action"}
    assert re.findall(r"https?:|//[a-z]|url\(|@import", drawn.html) == []
    policy = dict(drawn.tags[[each[0] for each in drawn.tags].index("meta") + 1][1])
    assert policy["http-equiv"] == "Content-Security-Policy"
    assert (policy["content"] or "").startswith("default-src 'none'")


def test_what_names_hold_is_text(shared: Market, report: Outcome, tmp_path: Path) -> None:
    store = _copied(report, shared, tmp_path)
    path = store.fast_path(report.result.run_id)
    document = json.loads(path.read_text())
    document["summary"]["flags"] = ["<script>alert(1)</script>"]
    document["summary"]["refusals"] = {"<img src=x>": 3}
    document["metadata"]["exec_algorithm"]["type"] = '"><b>'
    path.write_text(json.dumps(document))
    found = Sheet(write_tearsheet(report.result.run_id, Settings(results_path=store.root)))
    assert not {tag for tag, _ in found.tags} & {"script", "img"}
    assert "<script>alert(1)</script>" in found.text
    assert found.value("Refused: <img src=x>") == 3


def test_what_a_summary_lacks_is_unknown_and_stops_nothing(
    shared: Market, report: Outcome, tmp_path: Path
) -> None:
    store = _copied(report, shared, tmp_path)
    path = store.fast_path(report.result.run_id)
    whole = path.read_text()
    for part in ("summary", "metadata"):
        for name in json.loads(whole)[part]:
            document = json.loads(whole)
            del document[part][name]
            path.write_text(json.dumps(document))
            try:
                store.entry(report.result.run_id)
            except ResultError:
                assert name in ("config_name", "partition", "digest", "created")
                continue
            page = write_tearsheet(report.result.run_id, Settings(results_path=store.root))
            assert page.read_text().endswith("</html>\n")
    document = json.loads(whole)
    del document["summary"]["account"]["lowest_equity"]
    document["summary"]["returns"]["volatility_pct"] = "much"
    document["summary"]["drawdown"]["max_drawdown_duration_secs"] = float("inf")
    path.write_text(json.dumps(document).replace("Infinity", "1e999"))
    found = Sheet(write_tearsheet(report.result.run_id, Settings(results_path=store.root)))
    assert found.shown("Lowest equity") == "unknownnot in the summary"
    assert found.shown("Volatility, annualized") == "unknownnot a number in the summary"
    assert found.shown("Longest drawdown") == "unknownnot a number in the summary"


def test_a_run_without_fills_has_no_position_and_says_so(market: Market) -> None:
    none = market.run(
        variant(venue={"starting_balance": 1}), end_ns=moment(NOON + 2), close_positions=False
    )
    assert none.summary["fills"] == 0
    found = sheet(none, market)
    assert "Position: none, no order was filled." in found.text
    assert "None: no position was opened." in found.text
    assert "unknownno round trip" in found.shown("Profit factor")
    assert [each for each in found.text.split() if each in ("None", "nan", "null", "inf")] == []
    assert not re.search(rf"[-{MINUS}]0(\.0*)?(?![\d.])", found.text)


def test_an_open_position_is_told_with_every_figure_that_leaves_it_out(market: Market) -> None:
    run = market.run(close_positions=False)
    unrealized = run.summary["pnl_breakdown"]["unrealized"]
    assert unrealized
    found = sheet(run, market)
    text = formats.money(unrealized, "USDT", sign=True)
    assert f"without {text} unrealized" in found.shown("Net PnL")
    assert f"with {text} unrealized" in found.shown("Total return")
    assert "and 1 still open" in found.text
    assert "A position of" in found.text.partition("Assumptions")[0]


def test_an_inverse_contract_has_prices_in_dollars_and_money_in_coins(tmp_path: Path) -> None:
    market, config = Market(tmp_path), variant(INVERSE)
    market.trades([(NOON, "buy", "64000", "10"), (NOON + 9, "sell", "64010", "10")], config)
    found = sheet(market.run(config), market)
    assert {"Price, USD", "Position, USD", "Equity, BTC"} <= set(found.words)
    assert re.search(r"\.\d{8} BTC", found.shown("Final balance"))


@pytest.mark.parametrize("run_id", [WINDOW, LOSING])
def test_results_of_the_first_version_have_a_page(run_id: str, settings: Settings) -> None:
    found = Sheet(write_tearsheet(run_id, settings))
    assert "Figures follow the rules of version 1, now 2" in found.text
    assert "not computed by the rules of version 1" in found.shown("Calmar ratio")
    entry = ResultStore(settings.results_path).entry(run_id)
    assert found.value("Net PnL") == entry.summary()["pnl"]


def test_a_run_without_a_page_says_why(market: Market) -> None:
    run = market.run(mode="fast")
    with pytest.raises(ResultError, match="run it again in report mode"):
        write_tearsheet(run.result.run_id, market.settings)
    with pytest.raises(ResultError, match="no result"):
        write_tearsheet(run.result.run_id[:-6] + "000000", market.settings)


@pytest.mark.parametrize("table", ["fills", "equity", "positions"])
@pytest.mark.parametrize("damage", ["gone", "cut", "other", "empty"])
def test_a_damaged_table_is_named(
    table: str, damage: str, shared: Market, report: Outcome, tmp_path: Path
) -> None:
    store = _copied(report, shared, tmp_path)
    path = store.report_path(report.result.run_id) / f"{table}.parquet"
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-9])
    elif damage == "other":
        pq.write_table(pa.table({"x": [1]}), path)
    else:
        path.write_bytes(b"")
    with pytest.raises(ResultError, match=f"{table}.parquet: "):
        write_tearsheet(report.result.run_id, Settings(results_path=store.root))
    assert not (path.parent / "tearsheet.html").exists()


def test_many_fills_round_trips_and_samples_stay_small(
    shared: Market, report: Outcome, tmp_path: Path
) -> None:
    store, count = _copied(report, shared, tmp_path), 300_000
    rng = np.random.default_rng(1)
    walk = np.cumsum(rng.normal(size=count))
    times = pa.array(moment(0) + np.sort(rng.integers(0, 86_400 * 10**9, count)))
    amounts = pa.array(walk.round(8)).cast(pa.decimal128(38, 16), safe=False)
    columns: dict[str, Any] = {
        "side": pa.array(np.where(rng.random(count) < 0.5, "buy", "sell")),
        "fills": pa.array(np.ones(count, np.int64)),
    }
    folder = store.report_path(report.result.run_id)
    for name, schema in (("fills", FILLS), ("equity", EQUITY), ("positions", POSITIONS)):
        arrays = [
            times.cast(field.type) if pa.types.is_timestamp(field.type)
            else amounts if pa.types.is_decimal(field.type)
            else columns.get(field.name, pa.array([""]).take(pa.array(np.zeros(count, np.int8))))
            for field in schema
        ]  # fmt: skip
        pq.write_table(pa.Table.from_arrays(arrays, schema=schema), folder / f"{name}.parquet")
    page = write_tearsheet(report.result.run_id, Settings(results_path=store.root))
    assert page.stat().st_size < 200_000
    found = Sheet(page)
    assert len([tag for tag, _ in found.tags if tag == "tr"]) == 41
    best, worst = walk.round(8).argmax(), walk.round(8).argmin()
    listed = {float(each["value"] or 0) for tag, each in found.tags if tag == "data"}
    assert {float(walk[best].round(8)), float(walk[worst].round(8))} <= listed
    assert "the 20 best and the 20 worst by net PnL are listed" in found.text


def test_amounts_are_read_with_all_digits_of_a_float(
    shared: Market, report: Outcome, tmp_path: Path
) -> None:
    store = _copied(report, shared, tmp_path)
    path = store.report_path(report.result.run_id) / "fills.parquet"
    amounts = [
        Decimal(each)
        for each in (
            "0", "-0.5", "1e-16", "-1e-16", "1844.6744073709551616", "-1844.6744073709551616",
            "-3312.16", "999999.90408415", "123456789012345678901.5", "-123456789012345678901.5",
        )
    ]  # fmt: skip
    table = pq.read_table(path)
    rows = table.take([0] * len(amounts))
    place = table.schema.get_field_index("position_quantity")
    rows = rows.set_column(place, table.schema.field(place), pa.array(amounts, FILLS[place].type))
    pq.write_table(rows, path)
    found = read_fills(store.entry(report.result.run_id)).position
    assert found == pytest.approx([float(each) for each in amounts], rel=3e-16, abs=0)


# --- buckets ------------------------------------------------------------------------------------


@st.composite
def series(draw: st.DrawFn) -> tuple[list[int], list[float], tuple[int, int], int]:
    first = draw(st.integers(-(10**18), 10**18))
    gaps = draw(st.lists(st.integers(0, 10**14), max_size=120))
    times = np.cumsum(gaps, dtype=np.int64) + first if gaps else np.empty(0, np.int64)
    values = draw(
        st.lists(
            st.sampled_from([0.0, 1.0, -1.0]) | st.floats(-1e9, 1e9),
            min_size=len(gaps),
            max_size=len(gaps),
        )
    )
    last = int(times[-1]) if gaps else first
    span = (first - draw(st.integers(0, 10**13)), last + draw(st.integers(0, 10**13)))
    return times.tolist(), values, span, draw(st.integers(1, 12))


def _by_bucket(
    times: list[int], span: tuple[int, int], buckets: int
) -> Iterator[tuple[int, list[int]]]:
    """Yield start and rows of every bucket that has some, by a loop over the rows."""
    step = (span[1] - span[0]) // buckets + 1
    found: dict[int, list[int]] = {}
    for row, time in enumerate(times):
        found.setdefault((time - span[0]) // step, []).append(row)
    for number, rows in found.items():
        yield span[0] + number * step, rows


@given(series())
def test_first_lowest_highest_and_last_of_every_bucket_are_kept(
    given_: tuple[list[int], list[float], tuple[int, int], int],
) -> None:
    times, values, span, buckets = given_
    wanted: set[int] = set()
    for _, rows in _by_bucket(times, span, buckets):
        wanted |= {rows[0], rows[-1], min(rows, key=values.__getitem__)}
        wanted.add(max(rows, key=values.__getitem__))
    found = rows_to_draw(np.array(times, np.int64), np.array(values), span, buckets).tolist()
    assert len(found) <= max(4 * buckets, 0)
    assert found == (sorted(wanted) if len(times) > 4 * buckets else list(range(len(times))))


@given(series())
def test_ranges_hold_every_price_of_their_bucket(
    given_: tuple[list[int], list[float], tuple[int, int], int],
) -> None:
    times, values, span, buckets = given_
    if not times:
        return
    step = (span[1] - span[0]) // buckets + 1
    wanted = [
        (start + step // 2, min(values[row] for row in rows), max(values[row] for row in rows))
        for start, rows in _by_bucket(times, span, buckets)
    ]
    found = value_ranges(np.array(times, np.int64), np.array(values), span, buckets)
    assert list(zip(*(each.tolist() for each in found), strict=True)) == wanted


# --- figures as text ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (formats.money(-0.0, "USDT"), "0.00 USDT"),
        (formats.money(0.0, "USDT", sign=True), "0.00 USDT"),
        (formats.money(-0.0012, "USDT"), f"{MINUS}0.0012 USDT"),
        (formats.money(1e-9, "BTC"), f"1e{MINUS}09 BTC"),
        (formats.money(1234567.895, "USDT", sign=True), "+1,234,567.90 USDT"),
        (formats.money(-1.5e18, "USDT"), f"{MINUS}1.5e+18 USDT"),
        (formats.digits_of(-0.0), "0"),
        (formats.digits_of(1e-8), "0.00000001"),
        (formats.digits_of(63947.4648436378, 9), "63,947.4648"),
        (formats.digits_of(2e20), "2e+20"),
        (formats.duration(0), "0 s"),
        (formats.duration(0.0776), "77.6 ms"),
        (formats.duration(59.96), "60 s"),
        (formats.duration(177.03), "2 min 57 s"),
        (formats.duration(7200), "2 h"),
        (formats.duration(86_400 * 400 + 60), "400 d"),
        (formats.utc(-1), "1969-12-31 23:59:59"),
    ],
)
def test_figures_read_well(text: str, wanted: str) -> None:
    assert text == wanted


# --- in a browser -------------------------------------------------------------------------------

LAYOUT = """(() => {
  const box = each => each.getBoundingClientRect();
  const wide = document.documentElement.clientWidth;
  const shown = [...document.querySelectorAll('data, dd, li, .plot span, h1, h2, h3, figcaption')]
    .filter(each => getComputedStyle(each).display !== 'none');
  const marks = [...document.querySelectorAll('.plot')].map(plot => {
    const labels = [...plot.querySelectorAll('.x')].map(box).filter(each => each.width);
    return labels.some((each, number) => number && each.left < labels[number - 1].right + 2);
  });
  return {
    overflow: document.documentElement.scrollWidth - wide,
    outside: shown.filter(each => box(each).left < 0 || box(each).right > wide + 1)
      .map(each => each.textContent),
    unseen: shown.filter(each => !box(each).width || !box(each).height)
      .map(each => each.outerHTML),
    touching: marks.filter(Boolean).length,
    charts: marks.length,
    paper: getComputedStyle(document.body).backgroundColor,
  };
})()"""


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    with browsing(tmp_path / "profile") as found:
        yield found


@pytest.mark.e2e
@needs_chromium
def test_it_is_readable_on_a_desk_a_phone_and_paper(
    market: Market, page: Page, settings: Settings, run: Callable[..., Outcome]
) -> None:
    config = variant(metrics={"equity_interval_secs": 10})
    pages = [
        write_tearsheet(run(config=config).result.run_id, market.settings),
        write_tearsheet(LOSING, settings),
        write_tearsheet(WINDOW, settings),
    ]
    for each in pages:
        papers = set()
        page.open(each.as_uri())
        page.wait("document.readyState === 'complete' && document.title !== ''")
        for width, theme in ((1280, "light"), (1280, "dark"), (390, "light"), (700, "dark")):
            page.call(
                "Emulation.setDeviceMetricsOverride",
                width=width, height=900, deviceScaleFactor=1, mobile=width == 390,
            )  # fmt: skip
            feature = {"name": "prefers-color-scheme", "value": theme}
            page.call("Emulation.setEmulatedMedia", features=[feature])
            found = page.run(LAYOUT)
            papers.add((theme, found.pop("paper")))
            charts = found.pop("charts")
            assert found == {"overflow": 0, "outside": [], "unseen": [], "touching": 0}
            assert charts == 4
        assert papers == {("light", "rgb(255, 255, 255)"), ("dark", "rgb(20, 23, 26)")}
        assert len(page.call("Page.printToPDF", printBackground=True)["data"]) > 20_000
    sent = [
        event["params"]["request"]["url"]
        for event in page.events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert {each.partition(":")[0] for each in sent} <= {"file", "about"}
    assert len(sent) == len(pages)
    complaints = ("Log.entryAdded", "Runtime.exceptionThrown")
    assert [event for event in page.events if event["method"] in complaints] == []


def _copied(report: Outcome, market: Market, root: Path) -> ResultStore:
    """Return a store with the files of one result alone."""
    run_id = report.result.run_id
    for name in (f"fast/{run_id}.json", *(f"report/{run_id}/{each}.parquet" for each in _TABLES)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes((market.settings.results_path / name).read_bytes())
    return ResultStore(root)


_TABLES = ("orders", "fills", "positions", "equity")
