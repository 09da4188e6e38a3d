"""The page: identity, warnings and assumptions, then figures, charts, trades and provenance."""

import json
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from odum_assets.errors import ConfigError
from odum_assets.instruments import parse_instrument_key
from odum_assets.results.store import ResultEntry, ResultError, ResultStore
from odum_assets.results.tearsheet import formats
from odum_assets.results.tearsheet.charts import Line, Marks, draw_chart, span_of
from odum_assets.results.tearsheet.figures import (
    Figure,
    Units,
    caveats,
    figure_sections,
    headline,
    value_at,
)
from odum_assets.results.tearsheet.gaps import gaps_of
from odum_assets.results.tearsheet.html import html_page
from odum_assets.results.tearsheet.tables import (
    EquitySeries,
    FillSeries,
    Trades,
    read_equity,
    read_fills,
    read_trades,
)
from odum_assets.settings import Settings

_PARTITIONS = 40
"""At most so many partitions of the catalog are listed."""


def write_tearsheet(run_id: str, settings: Settings) -> Path:
    """Draw ``report/<run_id>/tearsheet.html`` and return its path.

    Raises
    ------
    ResultError
        If there is no such run, it was made in fast mode and has no tables, a table cannot be read,
        or the file cannot be written.
    """
    store = ResultStore(settings.results_path)
    entry = store.entry(run_id)
    if entry.report_path is None:
        raise ResultError(
            f"{run_id} was run in fast mode and keeps no tables; run it again in report mode"
        )
    target = entry.report_path / "tearsheet.html"
    with store.explained(), store.scratch() as work:
        drawn = work / target.name
        drawn.write_text(tearsheet_html(entry), encoding="utf-8")
        store.put(drawn, target)
    return target


def tearsheet_html(
    entry: ResultEntry, extra: Sequence[str] = (), *, is_export: bool = False
) -> str:
    """Return the page of a result.

    Parameters
    ----------
    entry : ResultEntry
        The result; without a report only an export has a page.
    extra : sequence of str
        Further sections, before where the result comes from.
    is_export : bool, default False
        Whether a pointer on a chart shows its values, which takes three times the space.
    """
    summary, units = entry.summary(), units_of(entry)
    has_report = entry.report_path is not None
    return html_page(
        f"{entry.config_name} {entry.partition}",
        [
            _header(entry),
            warnings_section([*(summary.get("flags") or []), *caveats(summary)]),
            assumptions_section(entry),
            _cards(headline(summary, units)),
            *(_charts(entry, units, has_readings=is_export) if has_report else [_WITHOUT_REPORT]),
            _sections(figure_sections(summary, units)),
            _symbols(summary, units),
            _trades(read_trades(entry), units) if has_report else "",
            *extra,
            _provenance(entry),
        ],
    )


_WITHOUT_REPORT = (
    "<section><h2>Over time</h2><p>This run was in fast mode and keeps its figures only: no "
    "charts and no round trips.</p></section>"
)


def units_of(entry: ResultEntry) -> Units:
    """Return the units of a result's figures and charts; empty ones where they are not known."""
    currency = str(value_at(entry.summary(), "account.currency") or "")
    try:
        key = parse_instrument_key(entry.document["instrument"])
    except (ConfigError, KeyError):
        return Units(currency, "", "")
    if key.is_listed:
        return Units(currency, currency, "shares" if key.product == "EQUITY" else "contracts")
    multiplier = value_at(entry.metadata(), "config.instrument.multiplier")
    size = key.quote if key.is_inverse else key.base
    return Units(currency, key.quote, size if multiplier is None else "contracts")


# --- what the run is ----------------------------------------------------------------------------


def _header(entry: ResultEntry) -> str:
    document, metadata = entry.document, entry.metadata()
    rows = [
        ("Run", entry.run_id),
        ("Instrument", document.get("instrument")),
        ("Window, UTC", _window(document)),
        ("Strategy", _strategy(metadata)),
        ("Sweep", _sweep(entry)),
        ("Digest", entry.digest[:16]),
        ("Created, UTC", _second(entry.created_at)),
    ]
    return (
        f"<header><p>Backtest</p><h1>{_breakable(entry.config_name)} "
        f"<span>{escape(entry.partition)}</span></h1>{facts_list(rows)}</header>"
    )


def _window(document: dict[str, Any]) -> str:
    return " to ".join(_second(document.get(end) or formats.UNKNOWN) for end in ("start", "end"))


def _second(moment: str) -> str:
    """Return an ISO 8601 time in UTC to the second."""
    return moment.replace("T", " ").rstrip("Z").partition(".")[0]


def _strategy(metadata: dict[str, Any]) -> str:
    strategy = value_at(metadata, "config.strategy") or {}
    name = strategy.get("name") or strategy.get("path") or formats.UNKNOWN
    words = [str(strategy[key]) for key in ("order_type", "time_in_force") if strategy.get(key)]
    if strategy.get("params"):
        words.append(json.dumps(strategy["params"], ensure_ascii=False))
    return f"{name} ({', '.join(words)})" if words else str(name)


def _execution(metadata: dict[str, Any]) -> str:
    algorithm = metadata.get("exec_algorithm") or {}
    params = algorithm.get("params")
    return f"{algorithm.get('type') or ''} {json.dumps(params) if params else ''}".strip()


def _sweep(entry: ResultEntry) -> str | None:
    if entry.sweep is None:
        return None
    varied = json.dumps(entry.sweep["varied"], ensure_ascii=False)
    return f"{entry.sweep['id']}, variant {entry.sweep['variant']}: {varied}"


def warnings_section(texts: Sequence[str]) -> str:
    """Return warnings as HTML."""
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    body = f"<ul>{items}</ul>" if texts else "<p>None.</p>"
    kind = "warnings" if texts else "warnings none"
    return f'<section class="{kind}"><h2>Warnings</h2>{body}</section>'


def assumptions_section(entry: ResultEntry) -> str:
    """Return what a result rests on as HTML: account, execution, what was simulated."""
    metadata, summary = entry.metadata(), entry.summary()
    venue = value_at(metadata, "config.venue") or {}
    account = [str(venue[key]) for key in ("account_type", "oms_type") if venue.get(key)]
    if venue.get("leverage") is not None:
        account.append(f"leverage {venue['leverage']}")
    is_bars = value_at(metadata, "config.kind") == "bars"
    rows = [
        ("", "account", ", ".join(account)),
        ("", "snapshot mode", "" if is_bars else str(metadata.get("snapshot_mode") or "")),
        ("", "execution", _execution(metadata)),
        ("", "closing", _closing(metadata)),
    ]
    rows += [("", "configuration", note) for note in metadata.get("config_notes") or []]
    rows += [
        (
            "yes" if aspect["simulated"] else "no",
            aspect["aspect"].replace("_", " "),
            aspect["detail"],
        )
        for aspect in summary.get("simulated") or []
    ]
    marks = {"yes": "simulated", "no": "not simulated", "": ""}
    items = "".join(
        f'<div class="{mark}"><dt>{escape(name)}</dt><dd>'
        f"{f'<b>{marks[mark]}</b> ' if mark else ''}{escape(detail)}</dd></div>"
        for mark, name, detail in rows
        if detail
    )
    return f'<section class="assumptions"><h2>Assumptions</h2><dl>{items}</dl></section>'


def _closing(metadata: dict[str, Any]) -> str:
    if not metadata.get("close_positions", True):
        return "positions are left open"
    if value_at(metadata, "config.kind") == "bars":
        return "by market orders at the end"
    closing = metadata.get("closing") or {"method": "book"}
    return {
        "book": "by market orders into the last book",
        "last_price": "by market orders into the last book, the rest at the last trade's price",
        "work": f"through the books of the last {closing.get('work_secs')} s",
    }[closing["method"]]


# --- figures ------------------------------------------------------------------------------------


def _cards(figures: Iterable[Figure]) -> str:
    return f'<section><h2>Result</h2><dl class="cards">{_figures(figures)}</dl></section>'


def _sections(sections: dict[str, list[Figure]]) -> str:
    html = "".join(
        f"<div><h3>{escape(title)}</h3><dl>{_figures(figures)}</dl></div>"
        for title, figures in sections.items()
        if figures
    )
    return f'<section class="figures"><h2>Figures</h2><div class="columns">{html}</div></section>'


def _figures(figures: Iterable[Figure]) -> str:
    return "".join(
        f"<div{' class=unknown' if figure.value is None else ''}>"
        f"<dt>{_breakable(figure.name)}</dt><dd>"
        f"{formats.figure(figure.value, figure.text, is_colored=figure.is_result)}"
        f"{f'<small>{escape(figure.note)}</small>' if figure.note else ''}</dd></div>"
        for figure in figures
    )


def _breakable(text: str) -> str:
    """Return a text that breaks between the words of a name before it breaks elsewhere."""
    return escape(text).replace("_", "_<wbr>")


def facts_list(rows: Iterable[tuple[str, Any]]) -> str:
    """Return names with their values as HTML; without values that there are not."""
    items = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(str(value))}</dd></div>"
        for name, value in rows
        if value
    )
    return f'<dl class="facts">{items}</dl>'


def _symbols(summary: dict[str, Any], units: Units) -> str:
    """Return the figures of each instrument of a run on bars, one row each."""
    symbols = summary.get("symbols") or {}
    if not symbols:
        return ""
    heads = (
        "Instrument", f"Net PnL, {units.currency}", "Return, %", "Drawdown, %", "Sharpe",
        "Round trips", "Win rate, %", "Profit factor", "Fills", "Ambiguous exits",
    )  # fmt: skip
    paths = (
        "pnl", "returns.total_return_pct", "drawdown.max_drawdown_pct", "ratios.sharpe",
        "trades.total_trades", "trades.win_rate", "trades.profit_factor", "fills",
        "ambiguous_bars.exits",
    )  # fmt: skip
    rows = []
    for name, figures in symbols.items():
        values = [value_at(figures, path) for path in paths]
        cells = "".join(
            f'<td data-name="{escape(head)}">'
            f"{formats.figure(value, formats.UNKNOWN if value is None else f'{value:,.6g}')}</td>"
            for head, value in zip(heads[1:], values, strict=True)
        )
        rows.append(f'<tr><td data-name="Instrument">{escape(name)}</td>{cells}</tr>')
    cells = "".join(f"<th>{escape(head)}</th>" for head in heads)
    return (
        '<section class="trades"><h2>Instruments</h2>'
        f"<table><thead><tr>{cells}</tr></thead><tbody>{''.join(rows)}</tbody></table></section>"
    )


# --- charts -------------------------------------------------------------------------------------


def _charts(entry: ResultEntry, units: Units, *, has_readings: bool) -> list[str]:
    equity, fills = read_equity(entry), read_fills(entry)
    span = span_of([equity.times, fills.times])
    gaps = gaps_of(entry.metadata(), span)
    symbols = entry.summary().get("symbols")
    interval = value_at(entry.summary(), "ratios.equity_interval_secs")
    every = f", every {formats.duration(interval)}" if interval else ""
    if symbols is not None:
        every = ", at the close of every bar"
    known = np.isfinite(equity.price)
    label = f"last trade at each mark{every}"
    price = Line(equity.times[known], equity.price[known], "price", label)
    money = [Line(equity.times, equity.equity, "equity", f"equity{every}")]
    chart = partial(draw_chart, span=span, gaps=gaps, has_readings=has_readings)
    drawn = []
    # Prices and sizes of several instruments have no common scale.
    is_single = symbols is None or len(symbols) == 1
    if is_single:
        drawn.append(chart("Price", units.price, lines=[price], marks=_marks(fills)))
    if len(fills.times):
        # What was before the first fill is part of the line.
        times = np.insert(fills.times, 0, span[0])
        position = np.insert(fills.position, 0, 0.0)
        start = value_at(entry.summary(), "account.starting_balance")
        balance = np.insert(fills.balance, 0, fills.balance[0] if start is None else start)
        money.append(Line(times, balance, "balance", "balance", is_step=True))
        steps = Line(times, position, "position", "after each fill", is_step=True, is_filled=True)
        if is_single:
            drawn.append(chart("Position", units.size, lines=[steps]))
    else:
        drawn.append("<p>Position: none, no order was filled.</p>")
    drawn += [
        chart("Equity", units.currency, lines=money),
        _drawdown(equity, every, chart),
    ]
    note = "<p>Shaded: no trades in the data.</p>" if gaps else ""
    return [f'<section class="charts"><h2>Over time</h2>{note}', *drawn, "</section>"]


def _marks(fills: FillSeries) -> list[Marks]:
    return [
        Marks(fills.times[chosen], fills.price[chosen], kind)
        for kind, chosen in (("buy", fills.is_buy), ("sell", ~fills.is_buy))
        if chosen.any()
    ]


def _drawdown(equity: EquitySeries, every: str, chart: Callable[..., str]) -> str:
    peak = np.maximum.accumulate(equity.equity)
    known = peak > 0
    if not known.any():
        return "<p>Drawdown: unknown, equity was never positive.</p>"
    fall = 100 * (equity.equity[known] / peak[known] - 1)
    if not fall.any():
        return "<p>Drawdown: none, equity never fell below an earlier value.</p>"
    line = Line(equity.times[known], fall, "drawdown", f"below the peak before{every}",
                is_filled=True)  # fmt: skip
    return chart("Drawdown", "% of peak equity", lines=[line])


# --- round trips --------------------------------------------------------------------------------


def _trades(trades: Trades, units: Units) -> str:
    count, listed = trades.closed + trades.still_open, len(trades.rows)
    if not count:
        return "<section><h2>Round trips</h2><p>None: no position was opened.</p></section>"
    which = formats.plural(trades.closed, "round trip")
    which += f" and {trades.still_open:,} still open" if trades.still_open else ""
    if listed < count:
        which += f"; the {listed // 2} best and the {listed // 2} worst by net PnL are listed"
        which += ", positions.parquet has all"
    heads = (
        "Opened, UTC", "Held", "Side", f"Peak size, {units.size}", f"Entry, {units.price}",
        f"Exit, {units.price}", f"Net PnL, {units.currency}", f"Commissions, {units.currency}",
        "Fills",
    )  # fmt: skip
    rows = "".join(_trade_row(row, heads, units) for row in trades.rows)
    cells = "".join(f"<th>{escape(head.rstrip(', '))}</th>" for head in heads)
    return (
        f'<section class="trades"><h2>Round trips</h2><p>{which}.</p>'
        f"<table><thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table></section>"
    )


def _trade_row(row: dict[str, Any], heads: Sequence[str], units: Units) -> str:
    closed, opened = row["closed"], row["opened"]
    held = "open" if closed is None else formats.duration((closed - opened) / 1e9)
    values = [
        (opened, formats.utc(opened)),
        (None, held),
        (None, row["side"]),
        (row["peak_quantity"], formats.digits_of(row["peak_quantity"])),
        *((row[name], _price(row[name])) for name in ("avg_entry_price", "avg_exit_price")),
        (row["net_pnl"], formats.money(row["net_pnl"], units.currency, sign=True)),
        (row["commissions"], formats.money(row["commissions"], units.currency)),
        (row["fills"], f"{row['fills']:,}"),
    ]
    # The currency is in the head.
    cells = "".join(
        f'<td data-name="{escape(head.rstrip(", "))}">'
        f"{formats.figure(value, text.removesuffix(f' {units.currency}'))}</td>"
        for head, (value, text) in zip(heads, values, strict=True)
    )
    return f"<tr>{cells}</tr>"


def _price(value: float | None) -> str:
    return "open" if value is None else formats.digits_of(value, 9)


# --- provenance ---------------------------------------------------------------------------------


def _provenance(entry: ResultEntry) -> str:
    metadata = entry.metadata()
    versions = metadata.get("versions") or {}
    rows: list[tuple[str, Any]] = [
        ("Digest", entry.digest),
        ("Configuration hash", metadata.get("config_hash")),
        ("Strategy sha256", metadata.get("strategy_sha256")),
        ("Versions", ", ".join(f"{name} {value}" for name, value in versions.items())),
        ("Rows replayed", f"{metadata.get('rows_replayed') or 0:,}"),
        ("Check it", f"odum results verify {entry.run_id}"),
    ]
    partitions = metadata.get("catalog") or []
    items = "".join(_partition(partition) for partition in partitions[:_PARTITIONS])
    if len(partitions) > _PARTITIONS:
        items += f"<li>and {len(partitions) - _PARTITIONS:,} more: see metadata.json</li>"
    return f"<footer><h2>Provenance</h2>{facts_list(rows)}<h3>Data</h3><ul>{items}</ul></footer>"


def _partition(partition: dict[str, Any]) -> str:
    words = [str(partition.get(name) or "") for name in ("data_type", "day")]
    rows, rejected = (partition.get(name) or 0 for name in ("rows", "rejected"))
    digest = str(partition.get("digest") or "")[:12]
    text = f"{' '.join(words)}: {rows:,} rows, {rejected:,} rejected, digest {digest}"
    return f"<li>{escape(text)}</li>"
