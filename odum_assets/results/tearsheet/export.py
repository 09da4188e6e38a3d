"""Stored results as one HTML file to send: a run, or several side by side.

What belongs here: what the export of a run has beyond its tearsheet. What does not: how several are
put side by side (``comparison``), charts and figures.
"""

import json
from collections.abc import Sequence
from decimal import Decimal
from html import escape
from typing import Any, Final

import numpy as np

from odum_assets.config.exact_json import read_json
from odum_assets.results.lineage import account_of
from odum_assets.results.store import ResultEntry
from odum_assets.results.tearsheet import formats
from odum_assets.results.tearsheet.buckets import value_ranges
from odum_assets.results.tearsheet.charts import READINGS, span_of
from odum_assets.results.tearsheet.comparison import comparison_html
from odum_assets.results.tearsheet.page import tearsheet_html
from odum_assets.results.tearsheet.tables import read_equity

MOST_RUNS: Final = 20
"""At most so many results are compared in one file."""

_SETTINGS: Final = 400
"""At most so many settings are listed."""

_SUM: Final = (
    ("", "start", "Start"),
    ("+", "realized", "Realized"),
    (formats.MINUS, "commissions", "Commissions"),
    ("+", "funding", "Funding"),
)


def export_html(entries: Sequence[ResultEntry], base: int = 0) -> str:
    """Return a page that holds all it needs and asks for nothing.

    Parameters
    ----------
    entries : sequence of ResultEntry
        One result, or up to `MOST_RUNS` to compare.
    base : int, default 0
        Number of the result that the others are compared with.

    Raises
    ------
    ResultError
        If a table cannot be read.
    """
    if len(entries) > 1:
        return comparison_html(entries, base)
    (entry,) = entries
    return tearsheet_html(entry, [_sum(entry), _values(entry), _settings(entry)], is_export=True)


def _sum(entry: ResultEntry) -> str:
    """Return how the final balance adds up, in every digit."""
    account = account_of(read_json(entry.fast_path.read_text(encoding="utf-8")))
    parts = [account[name] for _, name, _ in _SUM]
    final = account["final"]
    rows = [(sign, label, account[name]) for sign, name, label in _SUM]
    rows.append(("=", "Final balance", final))
    body = "".join(
        f"<tr><td>{sign}</td><th>{label}</th><td>{_exact(text)}</td></tr>"
        for sign, label, text in rows
    )
    verdict = "Not all parts are known."
    if final is not None and all(part is not None for part in parts):
        start, realized, commissions, funding = (Decimal(str(part)) for part in parts)
        rest = Decimal(final) - (start + realized - commissions + funding)
        verdict = "It adds up in every digit." if not rest else f"The sum is {rest:f} away from it."
    return (
        f'<section class="sum"><h2>How the balance adds up, {escape(account["currency"] or "")}'
        f"</h2><table><tbody>{body}</tbody></table><p>{verdict}</p></section>"
    )


def _exact(text: str | None) -> str:
    return formats.UNKNOWN if text is None else f'<data value="{text}">{Decimal(text):,f}</data>'


def _values(entry: ResultEntry) -> str:
    """Return the charts as a table: lowest and highest values by bucket of time."""
    if entry.report_path is None:
        return ""
    equity = read_equity(entry)
    span = span_of([equity.times])
    peak = np.maximum.accumulate(equity.equity)
    with np.errstate(divide="ignore", invalid="ignore"):
        fall = np.where(peak > 0, 100 * (equity.equity / peak - 1), np.nan)
    columns = (("Price", equity.price), ("Equity", equity.equity), ("Drawdown, %", fall))
    texts: dict[int, dict[str, str]] = {}
    for name, values in columns:
        known = np.isfinite(values)
        ranges = value_ranges(equity.times[known], values[known], span, READINGS)
        for middle, low, high in zip(*(item.tolist() for item in ranges), strict=True):
            texts.setdefault(middle, {})[name] = _range(low, high)
    heads = ["Time, UTC", *(name for name, _ in columns)]
    rows = "".join(
        f"<tr><td>{formats.utc(time)}</td>"
        + "".join(f"<td>{ranges.get(name, '')}</td>" for name in heads[1:])
        + "</tr>"
        for time, ranges in sorted(texts.items())
    )
    return _folded("The charts as a table", _table(heads, rows))


def _range(low: float, high: float) -> str:
    texts = dict.fromkeys(formats.digits_of(value, 9) for value in (low, high))
    return " to ".join(texts)


def _settings(entry: ResultEntry) -> str:
    flat = [*_flat(entry.metadata().get("config") or {})]
    rows = "".join(
        f"<tr><td>{escape(path)}</td><td>{escape(text)}</td></tr>"
        for path, text in flat[:_SETTINGS]
    )
    if len(flat) > _SETTINGS:
        rows += f"<tr><td>and {len(flat) - _SETTINGS:,} more: see metadata.json</td></tr>"
    return _folded("Configuration", _table(["Setting", "Value"], rows))


def _flat(value: Any, path: str = "") -> list[tuple[str, str]]:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict) and value:
        return [
            row
            for name, inner in value.items()
            for row in _flat(inner, f"{path}.{name}" if path else str(name))
        ]
    return [(path, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))]


def _table(heads: Sequence[str], rows: str) -> str:
    cells = "".join(f"<th>{escape(head)}</th>" for head in heads)
    return (
        f'<div class="wide" tabindex="0"><table><thead><tr>{cells}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _folded(title: str, body: str) -> str:
    return (
        f"<section><details><summary><h2>{escape(title)}</h2></summary>{body}</details></section>"
    )
