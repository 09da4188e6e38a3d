"""Charts of a run as inline SVG: price with fills, position, equity, drawdown.

The drawing is stretched to the width of the page and its lines keep their thickness; the labels are
HTML beside it, so that they keep their size on a phone and on paper.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from odum_assets.results.tearsheet.buckets import Times, Values, rows_to_draw, value_ranges
from odum_assets.results.tearsheet.formats import decimals, duration, plural, utc

type Span = tuple[int, int]

LINE_BUCKETS = 400
FILL_BUCKETS = 160
READINGS = 96
"""Buckets of time whose values a pointer shows."""
SINGLE_FILLS = 150
"""Up to so many fills are marks of their own; of more, each bucket shows its range."""

_WIDTH, _HEIGHT = 10_000, 1_000
_MARGIN = 0.05
_MS, _S, _DAY = 10**6, 10**9, 86_400 * 10**9
_TIME_STEPS = (
    *(step * _MS for step in (1, 2, 5, 10, 20, 50, 100, 200, 500)),
    *(step * _S for step in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800)),
    *(step * 3_600 * _S for step in (1, 2, 3, 4, 6, 12)),
    *(step * _DAY for step in (1, 2, 7, 14, 28, 91, 182, 364, 728, 1_456, 3_640)),
)
_TICKS = 7


@dataclass(frozen=True, slots=True)
class Line:
    """A series to draw.

    Parameters
    ----------
    times, values : arrays, length n
        Nanoseconds, ascending, and finite numbers.
    kind : str
        Its class in the style sheet.
    label : str
        What the legend calls it.
    is_step : bool
        Whether a value holds until the next one.
    is_filled : bool
        Whether the surface between it and zero is filled.
    """

    times: Times
    values: Values
    kind: str
    label: str
    is_step: bool = False
    is_filled: bool = False


@dataclass(frozen=True, slots=True)
class Marks:
    """Fills of one side: times, prices, and ``buy`` or ``sell``."""

    times: Times
    values: Values
    kind: str


@dataclass(frozen=True, slots=True)
class Axis:
    """The values that a chart shows: from, to, and the distance of its labels."""

    low: float
    high: float
    step: float

    @classmethod
    def of(cls, series: Iterable[Values]) -> "Axis":
        """Return an axis that holds all values with a margin."""
        present = [line for line in series if len(line)]
        low = min((float(values.min()) for values in present), default=0.0)
        high = max((float(values.max()) for values in present), default=0.0)
        # Below this distance floats have no digits left to label.
        if high - low <= 1e-12 * max(abs(low), abs(high)):
            pad = abs(low) * 1e-3 or 1.0
            low, high = low - pad, high + pad
        pad = _MARGIN * (high - low)
        low, high = low - pad, high + pad
        rough = (high - low) / 5
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(step * power for step in (1, 2, 5, 10) if step * power >= rough)
        return cls(low, high, step)

    def labels(self) -> list[tuple[float, str]]:
        """Return values at round distances with their texts."""
        digits = max(0, -math.floor(math.log10(self.step) + 1e-9))
        first, last = math.ceil(self.low / self.step), math.floor(self.high / self.step)
        values = [number * self.step for number in range(first, last + 1)]
        return [(value, decimals(value, min(digits, 12))) for value in values]

    def y(self, values: Values) -> NDArray[np.int64]:
        """Return the values as heights of the drawing, from its top."""
        share = (self.high - values) / (self.high - self.low)
        return np.rint(_HEIGHT * share).astype(np.int64)


def span_of(series: Sequence[Times]) -> Span:
    """Return the first and the last of all times; a second if they are one."""
    present = [line for line in series if len(line)]
    first = min((int(values[0]) for values in present), default=0)
    last = max((int(values[-1]) for values in present), default=0)
    return first, max(last, first + _S)


def draw_chart(
    title: str,
    unit: str,
    span: Span,
    lines: Sequence[Line],
    marks: Sequence[Marks] = (),
    gaps: Sequence[Span] = (),
    *,
    has_readings: bool = False,
    is_elapsed: bool = False,
) -> str:
    """Return a chart as HTML.

    Parameters
    ----------
    title, unit : str
        Heading, and the unit of the values.
    span : tuple[int, int]
        First and last nanosecond; all times are inside.
    lines : sequence of Line
        Series, the first one on top.
    marks : sequence of Marks
        Fills.
    gaps : sequence of tuple[int, int]
        Times without data, which are shaded (ns).
    has_readings : bool, default False
        Whether a pointer on the chart shows the values of the lines there.
    is_elapsed : bool, default False
        Whether times count from zero, and not from 1970.
    """
    axis = Axis.of([*(line.values for line in lines), *(mark.values for mark in marks)])
    parts = [_gap(gap, span) for gap in gaps]
    parts.append(f'<path class="grid" d="{_grid(axis, span)}"/>')
    if axis.low < 0 < axis.high:
        parts.append(f'<path class="zero" d="M0 {axis.y(np.zeros(1))[0]}H{_WIDTH}"/>')
    parts += [_draw_line(line, axis, span) for line in reversed(lines)]
    is_bars = sum(len(mark.times) for mark in marks) > SINGLE_FILLS
    parts += [_draw_bars(mark, axis, span) for mark in marks if is_bars and len(mark.times)]
    bars = _bars_text(span) if is_bars else ""
    glyphs = "" if is_bars else "".join(_draw_glyphs(mark, axis, span) for mark in marks)
    if has_readings:
        parts.append(_draw_readings(lines, span, is_elapsed))
    return (
        f"<figure><figcaption><h3>{escape(title)}, {escape(unit)}</h3>"
        f"{_legend(lines, marks, bars)}</figcaption>"
        f'<div class="plot"><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" '
        f'role="img" aria-label="{escape(_described(title, unit, lines[0], span, is_elapsed))}">'
        f"{''.join(parts)}</svg>{glyphs}{_labels(axis, span, is_elapsed)}</div>"
        f'<p class="axis">{_when(span, is_elapsed)}</p></figure>'
    )


def _x(times: Times, span: Span) -> NDArray[np.int64]:
    return np.rint((times - span[0]) / (span[1] - span[0]) * _WIDTH).astype(np.int64)


def _gap(gap: Span, span: Span) -> str:
    first, last = _x(np.clip(np.array(gap), *span), span).tolist()
    return f'<path class="gap" d="M{first} 0H{last}V{_HEIGHT}H{first}Z"/>'


def _draw_line(line: Line, axis: Axis, span: Span) -> str:
    if not len(line.times):
        return ""
    rows = rows_to_draw(line.times, line.values, span, LINE_BUCKETS)
    x, y = _x(line.times[rows], span), axis.y(line.values[rows])
    is_new = np.ones(len(rows), dtype=bool)
    is_new[1:] = (np.diff(x) != 0) | (np.diff(y) != 0)
    points = list(zip(x[is_new].tolist(), y[is_new].tolist(), strict=True))
    rest = (f"H{across}V{down}" if line.is_step else f"L{across} {down}"
            for across, down in points[1:])  # fmt: skip
    path = f"M{points[0][0]} {points[0][1]}{''.join(rest)}"
    # A line of one point has a length, else it would not be seen.
    path += f"H{_WIDTH}" if line.is_step or len(points) == 1 else ""
    area = ""
    if line.is_filled:
        zero = axis.y(np.zeros(1))[0]
        area = f'<path class="area {line.kind}" d="{path}V{zero}H{points[0][0]}Z"/>'
    return f'{area}<path class="line {line.kind}" d="{path}"/>'


def _draw_bars(marks: Marks, axis: Axis, span: Span) -> str:
    """Draw the range of prices of every bucket, those of the two sides beside each other."""
    middles, low, high = value_ranges(marks.times, marks.values, span, FILL_BUCKETS)
    shift = _WIDTH // FILL_BUCKETS // 5 * (-1 if marks.kind == "buy" else 1)
    x, top, bottom = _x(middles, span) + shift, axis.y(high), axis.y(low)
    bars = zip(x.tolist(), top.tolist(), bottom.tolist(), strict=True)
    path = "".join(f"M{across} {first}V{last}" for across, first, last in bars)
    return f'<path class="bars {marks.kind}" d="{path}"/>'


def _draw_glyphs(marks: Marks, axis: Axis, span: Span) -> str:
    left = (_x(marks.times, span) / (_WIDTH / 100)).tolist()
    top = (axis.y(marks.values) / (_HEIGHT / 100)).tolist()
    return "".join(
        f'<i class="{marks.kind}" style="left:{across:.2f}%;top:{down:.1f}%"></i>'
        for across, down in zip(left, top, strict=True)
    )


def _grid(axis: Axis, span: Span) -> str:
    heights = axis.y(np.array([value for value, _ in axis.labels()]))
    across = "".join(f"M0 {height}H{_WIDTH}" for height in heights.tolist())
    moments = np.array([ns for ns, _ in _time_labels(span)], dtype=np.int64)
    return across + "".join(f"M{place} 0V{_HEIGHT}" for place in _x(moments, span).tolist())


def _draw_readings(lines: Sequence[Line], span: Span, is_elapsed: bool) -> str:
    """Draw a column over each bucket of time, whose title has the values of the lines there."""
    texts: dict[int, list[str]] = {}
    step = (span[1] - span[0]) // READINGS + 1
    for line in lines:
        for middle, low, high in zip(
            *(column.tolist() for column in value_ranges(line.times, line.values, span, READINGS)),
            strict=True,
        ):
            value = f"{low:,.9g}" if low == high else f"{low:,.9g} to {high:,.9g}"
            texts.setdefault((middle - span[0]) // step, []).append(f"{line.label}: {value}")
    width = _WIDTH / READINGS
    return "".join(
        f'<rect class="reading" x="{number * width:.0f}" y="0" width="{width:.0f}" '
        f'height="{_HEIGHT}"><title>'
        f"{escape(_moment(span[0] + number * step, is_elapsed))}\n{escape(chr(10).join(values))}"
        f"</title></rect>"
        for number, values in sorted(texts.items())
    )


def _moment(ns: int, is_elapsed: bool) -> str:
    return f"after {duration(ns / _S)}" if is_elapsed else f"{utc(ns)} UTC"


def _when(span: Span, is_elapsed: bool) -> str:
    if is_elapsed:
        return f"time since the begin of each run, up to {duration(span[1] / _S)}"
    return f"time, UTC: {_from_to(span)}"


def _labels(axis: Axis, span: Span, is_elapsed: bool) -> str:
    values = [(axis.y(np.array([value]))[0] / (_HEIGHT / 100), text)
              for value, text in axis.labels()]  # fmt: skip
    labels = [f'<span class="y" style="top:{top:.1f}%">{text}</span>' for top, text in values]
    for number, (ns, text) in enumerate(_time_labels(span, is_elapsed)):
        left = 100 * (ns - span[0]) / (span[1] - span[0])
        # On a phone there is space for every other one.
        kind = "x odd" if number % 2 else "x"
        labels.append(f'<span class="{kind}" style="left:{left:.2f}%">{text}</span>')
    return "".join(labels)


def _time_labels(span: Span, is_elapsed: bool = False) -> list[tuple[int, str]]:
    """Return moments at round distances with their texts; midnight has its date."""
    length = span[1] - span[0]
    step = next((step for step in _TIME_STEPS if length / step <= _TICKS), _TIME_STEPS[-1])
    moments = range(-(-span[0] // step) * step, span[1], step)
    return [(ns, duration(ns / _S) if is_elapsed else _time_text(ns, step)) for ns in moments]


def _time_text(ns: int, step: int) -> str:
    day, time = utc(ns).split(" ")
    if step >= _DAY:
        return day
    if ns % _DAY == 0:
        return day[5:]
    if step < _S:
        return f"{time}.{ns % _S // _MS:03}"
    return time if step % (60 * _S) else time[:5]


def _legend(lines: Sequence[Line], marks: Sequence[Marks], bars: str) -> str:
    """Return the legend; `bars` says what bars of fills are, empty where each has its mark."""
    items = [f'<li class="{line.kind}">{escape(line.label)}</li>' for line in lines]
    for mark in marks:
        glyph = "" if bars else f'<i class="{mark.kind}"></i>'
        count = plural(len(mark.times), f"{mark.kind} fill")
        items.append(f'<li class="{mark.kind}">{glyph}{count}</li>')
    return f"<ul>{''.join(items)}{bars}</ul>"


def _bars_text(span: Span) -> str:
    width = duration((span[1] - span[0]) / FILL_BUCKETS / _S)
    return f"<li>bars: lowest to highest price of the fills of {width}</li>"


def _from_to(span: Span) -> str:
    first, last = utc(span[0]), utc(span[1])
    return f"{first} to {last[11:] if first[:10] == last[:10] else last}"


def _described(title: str, unit: str, line: Line, span: Span, is_elapsed: bool) -> str:
    """Return a chart in words."""
    when = _when(span, is_elapsed) if is_elapsed else f"{_from_to(span)} UTC"
    if not len(line.values):
        return f"{title}, {when}: no values"
    low, high, last = line.values.min(), line.values.max(), line.values[-1]
    ends = f"lowest {low:,.6g}, highest {high:,.6g}, last {last:,.6g}"
    return f"{title} in {unit}, {when}: {ends}"
