"""A small line plot as Markdown, for the materialization page.

The picture is an SVG in a data URI: the event log keeps it for good, and the UI shows ``data:``
images (its Markdown sanitizer allows that scheme for ``src``). The UI shows Markdown of less than
1,000 characters in place and hides a longer one behind a link, so the picture stays below that.
"""

import base64
import datetime as dt
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

_STEP: Final = 5
_POINTS: Final = 78
_WIDTH: Final = _STEP * (_POINTS - 1)
_TOP: Final = 20
_BOTTOM: Final = 99
_HEIGHT: Final = 120


def equity_plot(points: Sequence[tuple[int, float]], currency: str) -> str | None:
    """Return an image of the equity over time.

    Parameters
    ----------
    points : sequence of (int, float)
        Nanoseconds since 1970 (UTC) and equity, in order of time.
    currency : str
        Unit of the equity.

    Returns
    -------
    str or None
        Markdown of less than 1,000 characters, None when there are fewer than two points. The line
        has a value per equal part of the time: the latest one known at its end.
    """
    if len(points) < 2:
        return None
    values = [value for _, value in points]
    low, high = min(values), max(values)
    heights = [_height(value, low, high) for value in _even(points)]
    steps = [after - before for before, after in pairwise(heights)]
    # A minus sign separates the two numbers of a step by itself; every character counts.
    line = " ".join(f"{_STEP}{step}" if step < 0 else f"{_STEP} {step}" for step in steps)
    first, last = points[0], points[-1]
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
        f'font-family="Arial" font-size="12" fill="#667">'
        f'<path d="M0 {heights[0]}l{line}" fill="none" stroke="#37d"/>'
        f'<text y="11">{low:,.2f} to {high:,.2f}, last {last[1]:,.2f} {currency}</text>'
        f'<text y="{_HEIGHT - 4}">{_utc(first[0])} to {_utc(last[0])} UTC</text></svg>'
    )
    encoded = base64.b64encode(svg.encode()).decode()
    return f"![Equity in {currency}](data:image/svg+xml;base64,{encoded})"


def _even(points: Sequence[tuple[int, float]]) -> list[float]:
    """Return `_POINTS` values at equal steps of time, each the latest that is known then."""
    start, end = points[0][0], points[-1][0]
    values, index = [], 0
    for step in range(_POINTS):
        moment = start + (end - start) * step // (_POINTS - 1)
        while index + 1 < len(points) and points[index + 1][0] <= moment:
            index += 1
        values.append(points[index][1])
    return values


def _height(value: float, low: float, high: float) -> int:
    share = (value - low) / (high - low) if high > low else 0.5
    return round(_BOTTOM + share * (_TOP - _BOTTOM))


def _utc(ns: int) -> str:
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=ns // 1_000_000_000)
    return moment.strftime("%Y-%m-%d %H:%M")
