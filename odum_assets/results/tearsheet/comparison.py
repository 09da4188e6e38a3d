"""Several results side by side as a page: what differs first, equity over each other, figures."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np

from odum_assets.results.aligning import aligned_curves
from odum_assets.results.compare import ComparisonRow, Origin, compare_results, origins, simulated
from odum_assets.results.differing import first_difference
from odum_assets.results.store import ResultEntry
from odum_assets.results.tearsheet import formats
from odum_assets.results.tearsheet.charts import Line, draw_chart, span_of
from odum_assets.results.tearsheet.figures import ComparedFigure, caveats, compared_sections
from odum_assets.results.tearsheet.html import html_page
from odum_assets.results.tearsheet.page import assumptions_section, units_of, warnings_section

_POINTS = 480
"""Buckets of all curves of a chart together, about, beyond `_FEWEST_POINTS` of each."""

_FEWEST_POINTS = 120
_DIFFERENCES = 300
"""At most so many settings and inputs that differ are listed."""

_CHARACTERS = 200


def comparison_html(entries: Sequence[ResultEntry], base: int) -> str:
    """Return the page of two results or more; `base` is the number of the baseline."""
    summaries = [entry.summary() for entry in entries]
    units = [units_of(entry) for entry in entries]
    return html_page(
        f"{len(entries)} backtests",
        [
            _header(entries, base),
            _warnings(entries),
            _differences(entries),
            _firsts(entries, base),
            *_charts(entries, {unit.currency for unit in units}),
            _figures(compared_sections(summaries, units, base), len(entries), base),
            f"<h2>Of the baseline, {_letter(base)}</h2>{assumptions_section(entries[base])}",
            _provenance(entries),
        ],
    )


def _letter(number: int) -> str:
    return chr(ord("A") + number)


def _name(number: int) -> str:
    return f'<b class="c{number} key">{_letter(number)}</b>'


def _header(entries: Sequence[ResultEntry], base: int) -> str:
    rows = "".join(
        f"<tr><td>{_name(number)}{' baseline' if number == base else ''}</td>"
        f'<td class="id">{escape(entry.run_id)}</td><td>{escape(entry.config_name)}</td>'
        f"<td>{escape(entry.partition)}</td>"
        f"<td>{escape(str(entry.document.get('instrument') or ''))}</td>"
        f"<td>{escape(_varied(entry))}</td></tr>"
        for number, entry in enumerate(entries)
    )
    heads = ("", "Run", "Configuration", "Day or window", "Instrument", "Varied")
    return (
        f"<header><p>Backtests side by side</p><h1>{len(entries)} backtests</h1>"
        f"{_table(heads, rows)}</header>"
    )


def _varied(entry: ResultEntry) -> str:
    from odum_assets.config.variants import label_of

    return "" if entry.sweep is None else label_of(entry.sweep["varied"])


def _warnings(entries: Sequence[ResultEntry]) -> str:
    """Return what a reader must know, once each, with the results that it is about."""
    about: dict[str, list[str]] = {}
    for number, entry in enumerate(entries):
        summary = entry.summary()
        for text in [*(summary.get("flags") or []), *caveats(summary)]:
            about.setdefault(text, []).append(_letter(number))
    everyone = len(entries)
    return warnings_section(
        [
            f"{'all' if len(who) == everyone else ', '.join(who)}: {text}"
            for text, who in about.items()
        ]
    )


def _differences(entries: Sequence[ResultEntry]) -> str:
    comparison = compare_results(entries)
    groups: list[tuple[str, Iterable[ComparisonRow]]] = [
        ("Configuration", comparison.config),
        ("Options and data", comparison.inputs),
        ("Simulated", (row for row in simulated(entries) if row.differs)),
        *((kind, [row]) for kind, row in origins(entries) if row.differs),
    ]
    rows_of_groups = [(title, row) for title, rows in groups for row in rows]
    if not rows_of_groups:
        return "<section><h2>Differences</h2><p>Same settings, data and versions.</p></section>"
    rows = "".join(
        f"<tr><td>{escape(title.capitalize())}</td><td>{escape(row.name)}</td>"
        + "".join(
            f"<td{' class=other' if value != row.values[0] else ''}>{escape(_setting(value))}</td>"
            for value in row.values
        )
        + "</tr>"
        for title, row in rows_of_groups[:_DIFFERENCES]
    )
    more = len(rows_of_groups) - _DIFFERENCES
    note = f"<p>and {more:,} more: odum results compare lists them</p>" if more > 0 else ""
    heads = ("", "What", *(_letter(number) for number in range(len(entries))))
    return f"<section><h2>Differences</h2>{_table(heads, rows)}{note}</section>"


def _setting(value: Any) -> str:  # noqa: ANN401 - any JSON value
    if value is None:
        return "not set"
    if isinstance(value, Origin):
        parts = [(value.sha256 or "used")[:12]]
        parts += [f"{value.rows:,} rows"] if value.rows is not None else []
        parts += [f"{value.rejected:,} rejected"] if value.rejected else []
        return ", ".join(parts)
    if isinstance(value, dict) and "simulated" in value:
        return f"{'yes' if value['simulated'] else 'no'}: {value['detail']}"[:_CHARACTERS]
    return str(value)[:_CHARACTERS]


def _firsts(entries: Sequence[ResultEntry], base: int) -> str:
    """Return of each result the first row that is not the baseline's."""
    lines = []
    for number, entry in enumerate(entries):
        if number == base:
            continue
        lines.append(f"<h3>{_name(number)} and {_name(base)}</h3>{_first(entries[base], entry)}")
    return f"<section><h2>First difference in orders and fills</h2>{''.join(lines)}</section>"


def _first(base: ResultEntry, other: ResultEntry) -> str:
    if base.digest == other.digest:
        return "<p>Equal in every order, fill, position and balance.</p>"
    if base.report_path is None or other.report_path is None:
        return "<p>Not compared: a run in fast mode keeps no rows.</p>"
    first = first_difference(base, other)
    if first is None:
        return "<p>The same rows; balances or funding differ.</p>"
    when = f" at {_utc_ns(int(first['ts_ns']))} UTC" if first["ts_ns"] else ""
    wanted = ("timestamp", "opened", "side", "price", "quantity", "amount", *first["columns"])
    names = [name for name in (first["a"] or first["b"]) if name in wanted]
    rows = "".join(
        f"<tr><td>{which}</td>"
        + "".join(
            f"<td{' class=other' if name in first['columns'] else ''}>"
            f"{escape(str('' if row is None else row[name]))}</td>"
            for name in names
        )
        + ("<td>has no more rows</td>" if row is None else "")
        + "</tr>"
        for which, row in (("baseline", first["a"]), ("other", first["b"]))
    )
    text = f"Row {first['row'] + 1:,} of the {first['table']}{when}:"
    return f"<p>{text}</p>{_table(['', *names], rows)}"


def _utc_ns(ns: int) -> str:
    return f"{formats.utc(ns)}.{ns % 10**9:09}"


# --- charts -------------------------------------------------------------------------------------


def _charts(entries: Sequence[ResultEntry], currencies: set[str]) -> list[str]:
    known = [entry for entry in entries if entry.report_path is not None]
    numbers = {entry.run_id: number for number, entry in enumerate(entries)}
    if not known:
        return ["<section><h2>Over time</h2><p>Runs in fast mode keep no curve.</p></section>"]
    points = _FEWEST_POINTS + _POINTS // len(known)
    by_time = aligned_curves(known, "time", points)
    from_start = aligned_curves(known, "start", points)
    drawn = []
    # Amounts of different currencies have no common scale.
    if len(currencies) == 1:
        lines = _lines(by_time, numbers, _amounts)
        drawn.append(_chart("Equity", currencies.pop(), lines, is_elapsed=False))
    lines = _lines(from_start, numbers, _shares)
    drawn.append(_chart("Equity from the start of each run", "% of the first", lines, True))
    lines = _lines(by_time, numbers, _falls)
    drawn.append(_chart("Drawdown", "% of peak equity", lines, is_elapsed=False))
    absent = [_letter(numbers[entry.run_id]) for entry in entries if entry.report_path is None]
    note = f"<p>Without a curve (fast mode): {', '.join(absent)}</p>" if absent else ""
    return [f'<section class="charts"><h2>Over time</h2>{note}', *drawn, "</section>"]


def _chart(title: str, unit: str, lines: list[Line], is_elapsed: bool) -> str:
    span = span_of([line.times for line in lines])
    return draw_chart(title, unit, span, lines, has_readings=True, is_elapsed=is_elapsed)


def _lines(curves: dict[str, Any], numbers: dict[str, int], values_of: Any) -> list[Line]:  # noqa: ANN401
    """Return a line per result: of each bucket four values, so that no extreme is lost."""
    t0, step = int(curves["t0_ns"]), int(curves["step_ns"])
    lines = []
    for run_id, curve in curves["runs"].items():
        begins = t0 + step * np.array(curve["i"], dtype=np.int64)
        values = values_of(curve)
        parts = np.arange(values.shape[1]) * step // max(1, values.shape[1])
        times = (begins[:, None] + parts[None, :]).ravel()
        flat = values.ravel()
        is_known = np.isfinite(flat)
        number = numbers[run_id]
        lines.append(Line(times[is_known], flat[is_known], f"c{number}", _letter(number)))
    return lines


def _amounts(curve: dict[str, Any]) -> Any:  # noqa: ANN401 - an array, shape (buckets, 4)
    equity = curve["equity"]
    return np.array([equity[name] for name in ("first", "min", "max", "last")], dtype=float).T


def _shares(curve: dict[str, Any]) -> Any:  # noqa: ANN401 - as `_amounts`
    amounts = _amounts(curve)
    first = amounts[0, 0] if len(amounts) else 1.0
    return 100 * (amounts / first - 1) if first > 0 else amounts * np.nan


def _falls(curve: dict[str, Any]) -> Any:  # noqa: ANN401 - an array, shape (buckets, 1)
    return 100 * np.array(curve["drawdown"]["min"], dtype=float)[:, None]


# --- figures ------------------------------------------------------------------------------------


def _figures(sections: dict[str, list[ComparedFigure]], count: int, base: int) -> str:
    rows = []
    for title, figures in sections.items():
        rows.append(f'<tr class="group"><th colspan="{count + 1}">{escape(title)}</th></tr>')
        for figure in figures:
            if all(value.value is None for value in figure.values):
                continue
            cells = "".join(
                f"<td>{formats.figure(value.value, value.text, is_colored=value.is_result)}"
                f"<small>{escape(difference or '')}</small></td>"
                for value, difference in zip(figure.values, figure.differences, strict=True)
            )
            rows.append(f"<tr><td>{escape(figure.name)}</td>{cells}</tr>")
    heads = ["", *(_letter(number) for number in range(count))]
    return (
        f"<section><h2>Figures</h2><p>Below each: the difference to {_letter(base)}.</p>"
        f'<div class="figures-table">{_table(heads, "".join(rows))}</div></section>'
    )


def _provenance(entries: Sequence[ResultEntry]) -> str:
    rows = []
    for number, entry in enumerate(entries):
        metadata = entry.metadata()
        versions = metadata.get("versions") or {}
        rows.append(
            f"<tr><td>{_name(number)}</td><td>{escape(entry.digest)}</td>"
            f"<td>{escape(str(metadata.get('config_hash') or '')[:16])}</td>"
            f"<td>{escape(', '.join(f'{name} {value}' for name, value in versions.items()))}</td>"
            f"<td class='id'>odum results verify {escape(entry.run_id)}</td></tr>"
        )
    heads = ("", "Digest", "Configuration hash", "Versions", "Check it")
    return f"<footer><h2>Provenance</h2>{_table(heads, ''.join(rows))}</footer>"


def _table(heads: Iterable[str], rows: str) -> str:
    cells = "".join(f"<th>{escape(head)}</th>" for head in heads)
    return (
        f'<div class="wide" tabindex="0"><table><thead><tr>{cells}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )
