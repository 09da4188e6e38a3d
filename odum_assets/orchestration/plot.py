"""A small line plot as Markdown, for the materialization page.

The picture is an SVG of a few kilobytes in a data URI: the event log keeps it for good, and the UI
shows ``data:`` images (its Markdown sanitizer allows that scheme for ``src``).
"""

import base64
import datetime as dt
from collections.abc import Sequence
from typing import Final

_WIDTH: Final = 640
_HEIGHT: Final = 160
_LEFT: Final = 8
_TOP: Final = 22
_BOTTOM: Final = 18
_MAX_POINTS: Final = 200


def equity_plot(points: Sequence[tuple[int, float]], currency: str) -> str | None:
    """Return an image of the equity over time.

    Parameters
    ----------
    points : sequence of (int, float)
        Nanoseconds since 1970 (UTC) and equity, in order of time; at most 200 are drawn.
    currency : str
        Unit of the equity.

    Returns
    -------
    str or None
        Markdown of less than 10 kB, None when there are fewer than two points.
    """
    if len(points) < 2:
        return None
    points = _thinned(points)
    times, values = zip(*points, strict=True)
    low, high = min(values), max(values)
    path = " ".join(
        f"{_scale(time, times[0], times[-1], _LEFT, _WIDTH - _LEFT):.1f},"
        f"{_scale(value, low, high, _HEIGHT - _BOTTOM, _TOP):.1f}"
        for time, value in points
    )
    start = _scale(values[0], low, high, _HEIGHT - _BOTTOM, _TOP)
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" '
        f'font-family="sans-serif" font-size="11" fill="#667">'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>'
        f'<line x1="{_LEFT}" x2="{_WIDTH - _LEFT}" y1="{start:.1f}" y2="{start:.1f}" '
        'stroke="#ccd" stroke-dasharray="4 3"/>'
        f'<polyline points="{path}" fill="none" stroke="#2a6fdb" stroke-width="1.5"/>'
        f'<text x="{_LEFT}" y="14">high {high:,.2f} {currency}</text>'
        f'<text x="{_WIDTH - _LEFT}" y="14" text-anchor="end">low {low:,.2f}, '
        f"last {values[-1]:,.2f} {currency}</text>"
        f'<text x="{_LEFT}" y="{_HEIGHT - 4}">{_utc(times[0])} UTC</text>'
        f'<text x="{_WIDTH - _LEFT}" y="{_HEIGHT - 4}" text-anchor="end">{_utc(times[-1])} UTC'
        "</text></svg>"
    )
    encoded = base64.b64encode(svg.encode()).decode()
    return f"![Equity in {currency}](data:image/svg+xml;base64,{encoded})"


def _thinned(points: Sequence[tuple[int, float]]) -> Sequence[tuple[int, float]]:
    """Return at most `_MAX_POINTS` points, the first and the last among them."""
    if len(points) <= _MAX_POINTS:
        return points
    last = len(points) - 1
    return [points[index * last // (_MAX_POINTS - 1)] for index in range(_MAX_POINTS)]


def _scale(value: float, low: float, high: float, first: float, last: float) -> float:
    share = (value - low) / (high - low) if high > low else 0.5
    return first + share * (last - first)


def _utc(ns: int) -> str:
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=ns // 1_000_000_000)
    return moment.strftime("%Y-%m-%d %H:%M:%S")
