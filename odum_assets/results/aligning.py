"""Equity curves of several runs in the same buckets: no extreme of any is lost."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from odum_assets.results.buckets import grid_over
from odum_assets.results.curve import CurveBuckets, CurveFile
from odum_assets.results.store import ResultEntry


def aligned_curves(
    entries: Sequence[ResultEntry], align: Literal["time", "start"], points: int
) -> dict[str, Any]:
    """Return curves in the same buckets, JSON-ready.

    Parameters
    ----------
    entries : sequence of ResultEntry
        Results with reports.
    align : {"time", "start"}
        Whether buckets are of the same time, or of the same time since each run's first sample.
    points : int
        Buckets, about.

    Returns
    -------
    dict
        ``t0_ns``, ``step_ns``, ``runs`` (the columns of `CurveBuckets` by run id, without runs that
        have no samples) and ``ends`` (the last sample of each, ns).
    """
    files = {entry.run_id: CurveFile.of(entry, None) for entry in entries}
    spans = {name: span for name, file in files.items() if (span := file.span()) is not None}
    shifts = {name: first if align == "start" else 0 for name, (first, _) in spans.items()}
    ends = {name: last - shifts[name] for name, (_, last) in spans.items()}
    begin = min((first - shifts[name] for name, (first, _) in spans.items()), default=0)
    grid = grid_over(begin, max(ends.values(), default=-1) + 1, points)
    runs = {
        name: {
            "run_id": name,
            "instrument": None,
            **CurveBuckets(grid, shifts[name]).read(files[name]).columns(),
        }
        for name in spans
    }
    return {"t0_ns": str(grid.t0), "step_ns": str(grid.step), "runs": runs, "ends": ends}


def last_values(curves: dict[str, Any]) -> dict[str, Any]:
    """Return the last value of each bucket of `aligned_curves`, at the same moments for all runs.

    A bucket without samples has the value from before; null is before a run's begin and after its
    end.
    """
    t0, step, ends = int(curves["t0_ns"]), int(curves["step_ns"]), curves["ends"]
    count = max((run["i"][-1] + 1 for run in curves["runs"].values()), default=0)
    # The last moment of a bucket: that of the last one is the last sample.
    last = max(ends.values(), default=0)
    moments = [min(t0 + step * (number + 1) - 1, last) for number in range(count)]
    equity = {}
    for name, run in curves["runs"].items():
        at = np.searchsorted(run["i"], np.arange(count), side="right") - 1
        values = run["equity"]["last"]
        equity[name] = [
            None if place < 0 or moment > ends[name] else values[place]
            for place, moment in zip(at.tolist(), moments, strict=True)
        ]
    return {"times_ns": [str(moment) for moment in moments], "equity": equity}
