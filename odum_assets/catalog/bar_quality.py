"""Quality figures of bars: what is odd about them, counted and never repaired.

Which bars are missing depends on which hours are traded, and configurations may differ about that.
The figures therefore say when there are bars; `missing_bars` counts what a session lacks.
"""

from typing import Any

import numpy as np
import pyarrow as pa

from odum_assets.bars.calendar import BarCalendar
from odum_assets.catalog.manifest import PartitionManifest
from odum_assets.catalog.quality import Quality, longest_gaps
from odum_assets.catalog.spread import exact_sum
from odum_assets.catalog.times import DayWindow, Int64s
from odum_assets.instruments import InstrumentSpec
from odum_assets.utc import DAY_NS, day_of_ns, day_start_ns

_JUMP = 0.3
"""Change from one close to the next open from which on a split is suspected, as a fraction."""

_RATES = ("median_per_second", "p99_per_second", "max_per_second", "mean_per_second")


class BarsQuality(Quality):
    """Collect what the figures of bars need."""

    def __init__(self, window: DayWindow, spec: InstrumentSpec, *, has_arrivals: bool) -> None:
        super().__init__(window, spec, has_arrivals=has_arrivals)
        self._batches: list[pa.RecordBatch] = []

    def _update(self, batch: pa.RecordBatch) -> None:
        self._batches.append(batch)

    def figures(self) -> dict[str, Any]:
        """Return the figures, ready for JSON; there must be a row."""
        table = pa.Table.from_batches(self._batches)
        closes = table["ts_init"].to_numpy()
        volume = table["volume"].to_numpy()
        ticks_per_unit = 10**self._spec.price_precision
        return {
            "covered": self._coverage(),
            "latency": None,
            "gaps": longest_gaps(closes),
            "rate": dict.fromkeys(_RATES),
            "price_min": int(table["low"].to_numpy().min()) / ticks_per_unit,
            "price_max": int(table["high"].to_numpy().max()) / ticks_per_unit,
            "volume": exact_sum(volume) / 10**self._spec.size_precision,
            "zero_volume_bars": int(np.count_nonzero(volume == 0)),
            "split_suspected": _jumps(closes, table["open"].to_numpy(), table["close"].to_numpy()),
            "times": _spans(closes),
        }


def _jumps(closes: Int64s, opened: Int64s, closed: Int64s) -> list[str]:
    """Return when bars close (ns as text) that open far from the close before."""
    change = np.abs(opened[1:] / closed[:-1] - 1)
    return [str(time) for time in closes[1:][change > _JUMP].tolist()]


def _spans(closes: Int64s) -> dict[str, Any]:
    """Return when there are bars: spans of equal steps, by first and last close (ns as text)."""
    steps = np.diff(closes)
    step = int(steps.min()) if len(steps) else 1
    breaks = np.flatnonzero(steps != step)
    firsts = closes[np.append(0, breaks + 1)].tolist()
    lasts = closes[np.append(breaks, len(closes) - 1)].tolist()
    spans = [[str(first), str(last)] for first, last in zip(firsts, lasts, strict=True)]
    return {"step_ns": str(step), "spans": spans}


def missing_bars(manifest: PartitionManifest, calendar: BarCalendar) -> tuple[int, int]:
    """Return how many bars of the sessions of a partition are missing, and how many it could have.

    Parameters
    ----------
    manifest : PartitionManifest
        A partition of bars.
    calendar : BarCalendar
        Which hours are traded. Of daily bars sessions count from the first to the last one there.
    """
    expected = _expected(manifest, calendar)
    times = manifest.quality["times"]
    firsts, lasts = np.array(times["spans"], np.int64).T
    # The span that begins last before or at a time holds it, if it has not ended.
    index = np.searchsorted(firsts, expected, side="right") - 1
    is_there = (index >= 0) & (expected <= lasts[index])
    is_there &= (expected - firsts[index]) % int(times["step_ns"]) == 0
    return int(np.count_nonzero(~is_there)), len(expected)


def _expected(manifest: PartitionManifest, calendar: BarCalendar) -> Int64s:
    """Return when the bars of all sessions of a partition close, ns."""
    step = int(manifest.rules["step_ns"])
    if calendar.is_daily:
        first, last = day_of_ns(manifest.first_ts_init), day_of_ns(manifest.last_ts_init)
        spans = [calendar.rules.bounds(day) for day in calendar.dates(manifest.day)]
        closes = np.array([span[1] for span in spans if span is not None], np.int64)
        inside = (closes >= day_start_ns(first)) & (closes < day_start_ns(last) + DAY_NS)
        return closes[inside]
    start = day_start_ns(manifest.day)
    parts = [np.zeros(0, np.int64)]
    for day in calendar.dates_between(start, start + DAY_NS):
        span = calendar.rules.bounds(day)
        if span is not None:
            # Hours of a session may begin at half past; its bars do, too.
            closes = np.arange(span[0] + step, span[1] + 1, step)
            parts.append(closes[(closes - step >= start) & (closes - step < start + DAY_NS)])
    return np.concatenate(parts)
