"""Equity curves of several runs at the same moments."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from odum_assets.api.origins import Align, AlignedEquity
from odum_assets.api.tables import equity_of
from odum_assets.results.store import ResultEntry
from odum_assets.results.tables import StoredTable


def align_equity(entries: Sequence[ResultEntry], align: Align, points: int) -> AlignedEquity:
    """Return the equity of results at evenly spaced moments.

    Parameters
    ----------
    entries : sequence of ResultEntry
        The results.
    align : {"time", "start"}
        Whether moments are the same time, or the same time since each run's begin.
    points : int
        Number of moments, at least two.
    """
    curves = {entry.run_id: equity_of(entry) for entry in entries if entry.report_path is not None}
    spans = {name: _span(table) for name, table in curves.items() if table.count()}
    missing = [entry.run_id for entry in entries if entry.run_id not in spans]
    if not spans:
        return AlignedEquity(align=align, times_ns=[], equity={}, missing=missing)
    shifts = {name: first if align == "start" else 0 for name, (first, _) in spans.items()}
    begin = min(first - shifts[name] for name, (first, _) in spans.items())
    end = max(last - shifts[name] for name, (_, last) in spans.items())
    # Whole numbers: ns since 1970 do not fit a float.
    grid = np.array([begin + (end - begin) * at // (points - 1) for at in range(points)], np.int64)
    return AlignedEquity(
        align=align,
        times_ns=[str(moment) for moment in grid.tolist()],
        equity={
            name: _at(curves[name], grid + shifts[name], last) for name, (_, last) in spans.items()
        },
        missing=missing,
    )


def _span(table: StoredTable) -> tuple[int, int]:
    """Return the first and the last moment of a curve."""
    first, last = (int(_times(next(table.arrow(at, 1)))[0]) for at in (0, table.count() - 1))
    return first, last


def _at(table: StoredTable, grid: npt.NDArray[np.int64], end: int) -> list[float | None]:
    """Return the last value at or before each moment, None outside the curve."""
    aligned = np.full(len(grid), np.nan)
    for batch in table.batches(columns=["timestamp", "portfolio_value"]):
        times, values = _times(batch), batch["portfolio_value"].cast(pa.float64()).to_numpy()
        # Later batches say what was later.
        reached = grid >= times[0]
        aligned[reached] = values[np.searchsorted(times, grid[reached], side="right") - 1]
    aligned[grid > end] = np.nan
    return [None if np.isnan(value) else float(value) for value in aligned]


def _times(batch: pa.RecordBatch) -> npt.NDArray[np.int64]:
    times: npt.NDArray[np.int64] = batch["timestamp"].cast(pa.int64()).to_numpy()
    return times
