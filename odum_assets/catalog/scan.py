"""The first pass over a raw file: its time units and whether it is in order of arrival.

Reads the time columns only, batch by batch, so that the conversion knows before it starts whether
it can stream.
"""

from dataclasses import dataclass

import numpy as np

from odum_assets.catalog.times import (
    MISSING,
    NS_PER_UNIT,
    DayWindow,
    Int64s,
    arrivals_in_ns,
    fixed_unit,
    raw_integers,
    wide_window,
)
from odum_assets.errors import DataError
from odum_assets.raw.reading import RawReader


@dataclass(frozen=True, slots=True)
class Scan:
    """What the first pass says of the whole file.

    Parameters
    ----------
    units : dict[str, str]
        Unit (s, ms, us, ns) by time column.
    sorted : bool
        Whether the rows inside the day are in order of ``ts_init``.
    out_of_order : int
        Rows whose ``ts_init`` is before that of the row before.
    """

    units: dict[str, str]
    sorted: bool
    out_of_order: int


def scan_times(reader: RawReader, source: str, window: DayWindow, batch_rows: int) -> Scan:
    """Read the time columns of a raw file.

    Raises
    ------
    DataError
        If a column's values fit the day in no unit.
    """
    schema = reader.schema
    columns = [schema.ts_event] + ([schema.ts_init] if schema.ts_init is not None else [])
    units = {name: _unit_of(reader, name, source, window, batch_rows) for name in columns}
    if "next_funding" in schema.named:
        name = schema.named["next_funding"]
        units[name] = _unit_of(reader, name, source, wide_window(window), batch_rows)
    arrival = schema.ts_init or schema.ts_event
    last: int | None = None
    backwards = 0
    for batch in reader.batches(batch_rows, [arrival]):
        times, outside = arrivals_in_ns(raw_integers(batch.column(0)), units[arrival], window)
        if outside is not None:
            times = times[~outside]
        if len(times) == 0:
            continue
        if last is not None and int(times[0]) < last:
            backwards += 1
        backwards += int(np.count_nonzero(times[1:] < times[:-1]))
        last = int(times[-1])
    return Scan(units=units, sorted=backwards == 0, out_of_order=backwards)


def _unit_of(
    reader: RawReader, column: str, source: str, window: DayWindow, batch_rows: int
) -> str:
    """Return the unit in which most values of the column fall into the day.

    Only as much is read as decides: a batch of which more than half fits one unit does. Values fit
    at most one unit, since a day in one lies decades away from it in the next.
    """
    stated = fixed_unit(reader.arrow_type(column))
    sample: int | None = None
    totals = dict.fromkeys(NS_PER_UNIT, 0)
    values = 0
    for batch in reader.batches(batch_rows, [column]):
        raw = raw_integers(batch.column(0))
        raw = raw[raw != MISSING]
        if len(raw) == 0:
            continue
        values += len(raw)
        sample = int(raw[len(raw) // 2]) if sample is None else sample
        counts = window.counts(raw)
        if stated is not None:
            counts = {unit: n if unit == stated else 0 for unit, n in counts.items()}
        for unit, count in counts.items():
            totals[unit] += count
        best = max(totals, key=lambda unit: totals[unit])
        if 2 * totals[best] > values:
            return best
    if sample is None:
        # No values at all: every row is rejected for it, in whatever unit.
        return stated or "us"
    raise DataError(_no_unit_message(column, source, window, sample, totals, values))


def _no_unit_message(
    column: str, source: str, window: DayWindow, sample: int, totals: dict[str, int], values: int
) -> str:
    return (
        f"{source}: column {column} does not hold times of {window.day.isoformat()} in s, ms, us "
        f"or ns (for example {sample}; {max(totals.values())} of {values} values fit). "
        "Check that the file is in the folder of its day."
    )


def order_by_arrival(ts_init: Int64s) -> Int64s:
    """Return the row numbers that bring times into order; equal times stay as they are."""
    return np.argsort(ts_init, kind="stable")
