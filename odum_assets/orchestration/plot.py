"""Small pictures as Markdown, for the materialization page.

A picture is an SVG in a data URI: the event log keeps it for good, and the UI shows ``data:``
images (its Markdown sanitizer allows that scheme for ``src``). The UI shows Markdown of less than
1,000 characters in place and hides a longer one behind a link, so every picture stays below that.
Its background is the page's, so its colors are of middle lightness: they show on light and dark.

What is drawn (frame, steps, lines, words) belongs here; what a picture is about comes from callers.
"""

import datetime as dt
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

LIMIT: Final = 1_000
"""Characters from which on the UI hides Markdown behind a link."""

_WIDTH: Final = 385
_TOP: Final = 20
_BOTTOM: Final = 99
_HEIGHT: Final = 120
_LINE_POINTS: Final = 78
_GRAY: Final = "%23848b98"
_BLUE: Final = "%2338d"
_FAINT_BLUE: Final = "%2338d6"
_RED: Final = "%23e55"
_FAINT_RED: Final = "%23e558"


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
    low, high, last = min(values), max(values), values[-1]
    return picture(
        f"Equity in {currency}",
        f"{low:,.2f} to {high:,.2f}, last {last:,.2f} {currency}",
        time_span(points[0][0], points[-1][0]),
        [line(_even(points), low, high)],
    )


def picture(name: str, above: str, below: str, shapes: Sequence[str]) -> str:
    """Return shapes in a frame with a line of words above and one below, as Markdown.

    Parameters
    ----------
    name : str
        What is read out where images are not shown.
    above, below : str
        What the picture says in words; at most about sixty characters.
    shapes : sequence of str
        From `line`, `steps`, `marks` and `rule`.
    """
    # Percent signs stand for the few characters that a link cannot hold; base64 would be longer.
    svg = (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{_WIDTH}' height='{_HEIGHT}' "
        f"style='font:12px Arial' fill='{_GRAY}'>{''.join(shapes)}"
        f"<text y='11'>{above}</text><text y='{_HEIGHT - 4}'>{below}</text></svg>"
    )
    return f"![{name}](<data:image/svg+xml,{svg.replace('<', '%3C').replace('>', '%3E')}>)"


def line(values: Sequence[float], low: float, high: float) -> str:
    """Return a line through values at equal steps, from `low` at the bottom to `high`."""
    heights = [_height(value, low, high) for value in values]
    places = [index * _WIDTH // (len(values) - 1) for index in range(len(values))]
    both = zip(pairwise(places), pairwise(heights), strict=True)
    # A minus sign separates the two numbers of a step by itself; every character counts.
    moves = " ".join(
        f"{right - left}{'' if after < before else ' '}{after - before}"
        for (left, right), (before, after) in both
    )
    return f"<path d='M0 {heights[0]}l{moves}' fill='none' stroke='{_BLUE}'/>"


def steps(values: Sequence[float | None], high: float, *, faint: bool = False) -> str:
    """Return a filled outline of values of equal width over zero; None is left blank.

    Parameters
    ----------
    values : sequence of float or None
        None of them negative.
    high : float
        Value at the top.
    faint : bool, default False
        Whether it lies behind something else.
    """
    path, level, left = "", _BOTTOM, 0
    for index, value in enumerate(values):
        height = _BOTTOM if value is None else _visible(value, high)
        if height != level:
            x = index * _WIDTH // len(values)
            path += f"h{x - left}" * (x > left) + f"v{height - level}"
            level, left = height, x
    color = _FAINT_BLUE if faint else _BLUE
    return f"<path d='M0 {_BOTTOM}{path}H{_WIDTH}V{_BOTTOM}' fill='{color}'/>"


def marks(spans: Sequence[tuple[float, float]]) -> str:
    """Return what sets stretches apart: each from and to, as shares of the width."""
    path = ""
    for start, end in spans:
        left, width = round(start * _WIDTH), max(round((end - start) * _WIDTH), 1)
        path += f"M{left} {_TOP}h{width}V{_BOTTOM}h-{width}z"
    return f"<path d='{path}' fill='{_FAINT_RED}'/>" if path else ""


def rule(share: float) -> str:
    """Return an upright line at a share of the width."""
    return f"<path d='M{round(share * _WIDTH)} {_TOP}V{_BOTTOM}' stroke='{_RED}'/>"


def time_span(first_ns: int, last_ns: int) -> str:
    """Return two moments (ns since 1970) in words; the second's date only where it is another."""
    first, last = _utc(first_ns), _utc(last_ns)
    time_format = "%H:%M" if (last - first).total_seconds() >= 3600 else "%H:%M:%S"
    end = last.strftime(time_format if last.date() == first.date() else f"%Y-%m-%d {time_format}")
    return f"{first.strftime(f'%Y-%m-%d {time_format}')} to {end} UTC"


def _even(points: Sequence[tuple[int, float]]) -> list[float]:
    """Return `_LINE_POINTS` values at equal steps of time, each the latest that is known then."""
    start, end = points[0][0], points[-1][0]
    values, index = [], 0
    for step in range(_LINE_POINTS):
        moment = start + (end - start) * step // (_LINE_POINTS - 1)
        while index + 1 < len(points) and points[index + 1][0] <= moment:
            index += 1
        values.append(points[index][1])
    return values


def _height(value: float, low: float, high: float) -> int:
    share = (value - low) / (high - low) if high > low else 0.5
    return round(_BOTTOM + share * (_TOP - _BOTTOM))


def _visible(value: float, high: float) -> int:
    """Return the height of a bar: what is there shows, however small."""
    height = _height(value, 0, high)
    return min(height, _BOTTOM - 1) if value else _BOTTOM


def _utc(ns: int) -> dt.datetime:
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=ns // 1_000_000_000)
