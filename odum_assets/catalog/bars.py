"""Bars: raw rows to Nautilus bars, column by column.

Prices become whole ticks here, once; nothing downstream compares floats. Nautilus takes any bar
from Arrow, also one whose high is below its low, so every row is checked here.
"""

from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from odum_assets.catalog.arrow import Column
from odum_assets.catalog.bar_rules import BarRules
from odum_assets.catalog.fixed_point import MAX_PRICE, MAX_SIZE, to_decimals, to_ticks
from odum_assets.catalog.rejects import PRICE_PROBLEMS, VOLUME_PROBLEMS, Reject, RowErrors
from odum_assets.catalog.scan import Scan
from odum_assets.catalog.times import (
    MISSING,
    NS_PER_UNIT,
    DayWindow,
    Int64s,
    fixed_unit,
    raw_integers,
    to_timestamps,
)
from odum_assets.catalog.trade_bars import TradeBars
from odum_assets.catalog.transform import Transform, TransformInput
from odum_assets.errors import DataError
from odum_assets.raw.layout import DataType
from odum_assets.raw.reading import RawReader
from odum_assets.raw.schemas import BAR_COLUMNS
from odum_assets.utc import DAY_NS, NS_PER_SECOND, day_start_ns

type Flags = npt.NDArray[np.bool_]

MOST_ROWS = 100_000
"""Rows of one raw file of bars: a day has 1,440 minutes."""

_SURE_ROWS = 30
"""Rows from which on the distances between them tell the step."""


class YearWindow(DayWindow):
    """The nanoseconds of a partition that holds a year."""

    @property
    def day_end(self) -> int:
        """The first moment of the next year, ns."""
        return day_start_ns(date(self.day.year + 1, 1, 1))


def bar_window(data_type: DataType, day: date) -> DayWindow:
    """Return the times that the bars of a partition may have: a day and its end, or a year."""
    return YearWindow(day, DAY_NS) if data_type.is_yearly else DayWindow(day)


def scan_bars(
    reader: RawReader | TradeBars, source: str, window: DayWindow, rules: BarRules
) -> Scan:
    """Read the times of a raw file of bars.

    Raises
    ------
    DataError
        If there are too many rows, the times fit the partition in no unit, or have another step.
    """
    column = reader.schema.ts_event
    if reader.rows > MOST_ROWS:
        raise DataError(
            f"{source}: {reader.rows:,} rows; a file of bars has up to {MOST_ROWS:,}. Import it "
            "with `odum data import-bars`, which splits it."
        )
    parts = [raw_integers(batch.column(0)) for batch in reader.batches(MOST_ROWS, [column])]
    raw = np.concatenate(parts) if parts else np.zeros(0, np.int64)
    there = raw[raw != MISSING]
    unit = _unit(there, fixed_unit(reader.arrow_type(column)), window)
    if unit is None:
        raise DataError(
            f"{source}: column {column} does not hold times of {_name(window)} in s, ms, us or ns "
            f"(for example {there[len(there) // 2]}). Check that the file is in the right folder."
        )
    if rules.sessions is None and rules.label is not None:
        _check_step(there * np.int64(NS_PER_UNIT[unit]), rules.step, source)
    backwards = int(np.count_nonzero(there[1:] < there[:-1]))
    return Scan(units={column: unit}, sorted=backwards == 0, out_of_order=backwards)


def _name(window: DayWindow) -> str:
    return str(window.day.year) if isinstance(window, YearWindow) else window.day.isoformat()


def _unit(values: Int64s, stated: str | None, window: DayWindow) -> str | None:
    """Return the unit in which most values fit the window; None if there is none."""
    if len(values) == 0:
        return stated or "us"
    counts = window.counts(values)
    best = stated or max(counts, key=lambda unit: counts[unit])
    return best if 2 * counts[best] > len(values) else None


def _check_step(times: Int64s, step: int, source: str) -> None:
    """Refuse a file whose times are another step's: its rows would be rejected one by one."""
    ordered: Int64s = np.unique(times)
    steps = ordered[1:] - ordered[:-1]
    if len(steps) < _SURE_ROWS:
        return
    shorter = int(np.count_nonzero(steps % step != 0))
    if 2 * shorter > len(steps):
        median_secs = int(np.median(steps)) / NS_PER_SECOND
        raise DataError(
            f"{source}: {shorter:,} of {len(steps):,} distances between bars are no multiple of "
            f"{step // NS_PER_SECOND} s (the median is {median_secs:g} s): the file has "
            "another step, or several. Deliver it in the folder of its step."
        )
    common = int(np.gcd.reduce(steps))
    if common > step and common % step == 0:
        raise DataError(
            f"{source}: all bars are {common // NS_PER_SECOND} s apart or more, and the folder "
            f"says {step // NS_PER_SECOND} s. Deliver it in the folder of its step."
        )


class BarsTransform(Transform):
    """Turn raw bars into normalized ones (times of the close, prices and volume in ticks)."""

    whole_file = True

    def __init__(self, inputs: TransformInput) -> None:
        assert inputs.bars is not None  # noqa: S101 - the conversion of bars gives them
        super().__init__(inputs)
        self._rules: BarRules = inputs.bars
        self.repeated = 0

    def _normalized_schema(self) -> pa.Schema:
        names = ("ts_init", "ts_event", *BAR_COLUMNS)
        return pa.schema([(name, pa.int64()) for name in names])

    def _times(self, batch: pa.RecordBatch, errors: RowErrors) -> tuple[Int64s, Int64s]:
        """Return twice when bars close, ns; a bar belongs to the partition in which it opens."""
        window, column = self._inputs.window, self._inputs.schema.ts_event
        raw = raw_integers(batch.column(column))
        factor = np.int64(NS_PER_UNIT[self._inputs.units[column]])
        is_missing = raw == MISSING
        errors.mark(is_missing, Reject.TIMESTAMP_MISSING)
        # Beyond the window in any unit: what wraps around must not come back into it.
        far = np.abs(raw // 2) > 2**61 // factor
        label = np.where(is_missing | far, 0, raw) * factor
        opens = label
        if self._rules.sessions is None and self._rules.label == "end":
            opens = label - self._rules.step
        start, end = window.day_start, window.day_end
        if not isinstance(window, YearWindow):
            errors.mark((opens >= start - DAY_NS) & (opens < start), Reject.PREVIOUS_DAY)
            errors.mark((opens >= end) & (opens < end + DAY_NS), Reject.NEXT_DAY)
        errors.mark((opens < start) | (opens >= end), Reject.TIMESTAMP_OUTSIDE_DAY)
        closes = self._closes(opens, errors)
        return closes, closes

    def _closes(self, opens: Int64s, errors: RowErrors) -> Int64s:
        sessions, step = self._rules.sessions, self._rules.step
        if sessions is None:
            # Of hours the most usual offset is the grid: exchanges open at half past.
            offsets = opens % step
            grid = (
                np.bincount(offsets // NS_PER_SECOND).argmax() * NS_PER_SECOND if len(opens) else 0
            )
            is_hourly = step > 15 * 60 * NS_PER_SECOND
            errors.mark(offsets != (grid if is_hourly else 0), Reject.OFF_GRID)
            return opens + step
        errors.mark(opens % DAY_NS != 0, Reject.OFF_GRID)
        days, rows = np.unique(opens // DAY_NS, return_inverse=True)
        bounds = [sessions.bounds(date(1970, 1, 1) + timedelta(days=day)) for day in days.tolist()]
        closes = np.array([0 if span is None else span[1] for span in bounds], np.int64)[rows]
        errors.mark(closes == 0, Reject.NO_SESSION)
        return closes

    def _columns(self, batch: pa.RecordBatch, errors: RowErrors) -> list[Column]:
        spec, named = self._inputs.spec, self._inputs.schema.named
        prices = [
            to_ticks(batch.column(named[name]), spec.price_precision, MAX_PRICE)
            for name in BAR_COLUMNS[:4]
        ]
        errors.mark_problems(PRICE_PROBLEMS, *(price.problems for price in prices))
        volume = to_ticks(batch.column(named["volume"]), spec.size_precision, MAX_SIZE)
        errors.mark_problems(VOLUME_PROBLEMS, volume.problems)
        if spec.tick_size is not None:
            units = int(spec.tick_size.scaleb(spec.price_precision))
            for price in prices:
                errors.mark(price.values % units != 0, Reject.PRICE_OFF_TICK)
        opened, high, low, closed = (price.values for price in prices)
        errors.mark(
            (high < np.maximum(opened, closed)) | (low > np.minimum(opened, closed)),
            Reject.RANGE_NOT_ENCLOSING,
        )
        return [pa.array(column) for column in (opened, high, low, closed, volume.values)]

    def apply(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, npt.NDArray[np.uint8] | None]:
        """Turn the raw rows of a file into a normalized batch of its accepted rows.

        Of rows that share a time and differ, none can be trusted: all are rejected.
        """
        normalized, codes = super().apply(batch)
        order, starts = _groups(normalized["ts_init"].to_numpy())
        differs = np.zeros(len(order), np.bool_)
        for name in BAR_COLUMNS:
            values = normalized[name].to_numpy()[order]
            # Compared with the first of the group, which all equal when it has no conflict.
            differs |= values != values[starts]
        if not differs.any():
            return normalized, codes
        bad = np.zeros(len(order), np.bool_)
        bad[order] = np.isin(starts, starts[differs])
        errors = RowErrors(batch.num_rows)
        accepted = np.arange(batch.num_rows) if codes is None else np.flatnonzero(codes == 0)
        flags = np.zeros(batch.num_rows, np.bool_)
        flags[accepted[bad]] = True
        errors.mark(flags, Reject.TIME_REPEATED)
        marked = errors.codes
        assert marked is not None  # noqa: S101 - rows have just been marked
        return normalized.filter(pa.array(~bad)), marked if codes is None else np.maximum(
            codes, marked
        )

    def drop_unchanged(self, normalized: pa.RecordBatch) -> pa.RecordBatch:
        """Return the bars of an ordered batch without exact repetitions."""
        times = normalized["ts_init"].to_numpy()
        if len(times) == 0:
            return normalized
        return normalized.filter(pa.array(np.append(True, times[1:] != times[:-1])))

    def encode(self, normalized: pa.RecordBatch) -> pa.RecordBatch:
        """Return bars in the catalog's schema, n rows to n rows."""
        spec = self._inputs.spec
        columns = [
            *(
                to_decimals(normalized[name].to_numpy(), spec.price_precision)
                for name in BAR_COLUMNS[:4]
            ),
            to_decimals(normalized["volume"].to_numpy(), spec.size_precision),
            to_timestamps(normalized["ts_event"].to_numpy()),
            to_timestamps(normalized["ts_init"].to_numpy()),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)


def _groups(times: Int64s) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the rows ordered by time, and for each in that order where its time begins."""
    order = np.argsort(times, kind="stable")
    ordered = times[order]
    is_first = np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]
    starts = np.maximum.accumulate(np.where(is_first, np.arange(len(ordered)), 0))
    return order, starts
