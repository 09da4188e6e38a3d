"""Exports of results as one HTML file: exact figures, what differs, and nothing from elsewhere."""

import json
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sheets import Sheet
from tinydays import Market, Outcome, variant

from odum_assets.config.exact_json import read_json
from odum_assets.results.store import ResultEntry, ResultStore
from odum_assets.results.tearsheet.export import export_html
from odum_assets.results.tearsheet.figures import Units, compared_sections, figure_sections

MOST_BYTES = 1_500_000
_NUMBERS = re.compile(
    r'<td>(?:<data value="([^"]+)"[^>]*>[^<]*</data>|([^<]*))<small>([^<]*)</small>'
)


def _saved(folder: Path, entries: list[ResultEntry], base: int = 0) -> Sheet:
    page = folder / "export.html"
    page.write_text(export_html(entries, base), encoding="utf-8")
    assert page.stat().st_size < MOST_BYTES
    return Sheet(page)


def _is_alone(sheet: Sheet) -> None:
    """Nothing runs, and nothing is asked for."""
    tags = {tag for tag, _ in sheet.tags}
    assert not tags & {"script", "link", "img", "iframe", "object", "a", "base", "form", "video"}
    attributes = {name for _, each in sheet.tags for name in each}
    assert not {each for each in attributes if each.startswith("on")}
    assert not attributes & {"src", "href", "srcset", "action"}
    assert re.findall(r"https?:|//[a-z]|url\(|@import", sheet.html) == []


def _entry(market: Market, run: Outcome) -> ResultEntry:
    return ResultStore(market.settings.results_path).entry(run.result.run_id)


def test_a_run_has_the_figures_of_its_summary_and_its_exact_sum(
    shared: Market, report: Outcome, tmp_path: Path
) -> None:
    entry = _entry(shared, report)
    found = _saved(tmp_path, [entry])
    _is_alone(found)
    stored = json.loads((report.result.report_path / "summary.json").read_text())["summary"]  # type: ignore[operator]
    sections = figure_sections(stored, Units("USDT", "USDT", "BTC"))
    names = {figure.name for figures in sections.values() for figure in figures}
    shown = {name: value for name, value, _ in found.rows}
    for figures in sections.values():
        for figure in figures:
            if isinstance(figure.value, int | float):
                values = {value for name, value, _ in found.rows if name == figure.name}
                assert figure.value in values, figure.name
    assert len(names & shown.keys()) > 40

    exact = read_json(entry.fast_path.read_text())["summary"]
    body = found.html.partition('<section class="sum">')[2].partition("</section>")[0]
    terms = [Decimal(text) for text in re.findall(r'<data value="([^"]+)"', body)]
    parts, account = exact["pnl_breakdown"], exact["account"]
    assert terms == [
        account["starting_balance"], parts["realized"], parts["commissions"], parts["funding"],
        account["final_balance"],
    ]  # fmt: skip
    start, realized, commissions, funding, final = terms
    assert start + realized - commissions + funding == final
    assert "It adds up in every digit." in body
    assert all(flag in found.text for flag in stored["flags"])
    assert all(each["detail"] in found.text for each in stored["simulated"])
    assert entry.digest in found.text
    # Every setting is in it, and the values under the pointer are those of the curve.
    assert "strategy.orders" in found.text
    lowest = min(Decimal(str(row["portfolio_value"])) for row in _curve(entry))
    assert f"{float(lowest):,.9g}" in found.html


def _curve(entry: ResultEntry) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = pq.read_table(
        entry.report_path / "equity.parquet",  # type: ignore[operator]
    ).to_pylist()
    return rows


def test_results_side_by_side(market: Market, run: Callable[..., Outcome], tmp_path: Path) -> None:
    fast = run(mode="fast")
    larger = variant(strategy={"orders": [{"side": "buy", "amount": "0.2"}]})
    again, cut = run(), market.run(larger, snapshot_mode="book", close_positions=False)
    entries = [_entry(market, each) for each in (again, cut, fast)]
    found = _saved(tmp_path, entries, base=1)
    _is_alone(found)
    for entry in entries:
        assert entry.run_id in found.text
        assert entry.digest in found.text
    # Of every figure the value of each, exactly, and how far it is from the second one's.
    units = [Units("USDT", "USDT", "BTC")] * 3
    wanted = [
        (None if not isinstance(one.value, int | float) else float(one.value), difference or "")
        for rows in compared_sections([each.summary() for each in entries], units, 1).values()
        for row in rows
        if any(each.value is not None for each in row.values)
        for one, difference in zip(row.values, row.differences, strict=True)
    ]
    body = found.html.partition('<div class="figures-table">')[2].partition("</table>")[0]
    shown = [
        (float(value) if value else None, difference)
        for value, _, difference in _NUMBERS.findall(body)
    ]
    assert shown == wanted
    assert len(shown) > 60
    pnl = [entry.summary()["pnl"] for entry in entries]
    assert [value for value, _ in shown[9:12]] == pnl
    assert "close_positions" in found.text
    assert re.search(r"Row [\d,]+ of the (fills|orders|trades) at ", found.text)
    assert "Not compared: a run in fast mode keeps no rows." in found.text
    assert "Without a curve (fast mode): C" in found.text
    charts = re.findall(r"<h3>(.*?), (.*?)</h3>", found.html)
    assert [title for title, _ in charts] == [
        "Equity", "Equity from the start of each run", "Drawdown"
    ]  # fmt: skip
    same = _saved(tmp_path, [entries[0], entries[2]])
    assert "Equal in every order, fill, position and balance." in same.text


def test_a_run_in_fast_mode_says_what_it_lacks(
    market: Market, run: Callable[..., Outcome], tmp_path: Path
) -> None:
    entry = _entry(market, run(mode="fast"))
    found = _saved(tmp_path, [entry])
    assert "keeps its figures only" in found.text
    assert found.value("Final equity") == entry.summary()["account"]["final_equity"]


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "]]><img src=x>"])
def test_what_names_hold_is_text(
    name: str, shared: Market, report: Outcome, tmp_path: Path
) -> None:
    path = _entry(shared, report).fast_path
    before = path.read_text()
    document = json.loads(before)
    document["summary"]["flags"] = [name]
    document["metadata"]["config"]["strategy"]["name"] = name
    try:
        path.write_text(json.dumps(document))
        found = _saved(tmp_path, [_entry(shared, report)])
    finally:
        path.write_text(before)
    assert name in found.text
    _is_alone(found)
