"""When orders on their way arrive: with rows, and with the timers of a run in NautilusTrader.

What belongs here: the times of these timers. What does not: orders (``vectorized.ticks``).
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from odum_assets.backtest.plan import SETTLE_NS, RunPlan, timer_steps_ns
from odum_assets.catalog.paths import FOLDERS
from odum_assets.utc import NS_PER_SECOND

type Ints = NDArray[np.int64]

_PURGE_NS = 60 * NS_PER_SECOND


def wake_ups(plan: RunPlan) -> Ints:
    """Return the times (ns) at which orders of a run arrive beside those of rows, ascending.

    NautilusTrader looks for arrivals after each row and after each timer: those of progress, of
    writing events and of funding (``monitor``), the purges of closed orders, and the last ones.
    """
    first, last, end = plan.first_trade_ns, plan.close_at_ns, plan.ends_at_ns - 1
    parts = [np.array([last, end], np.int64)]
    if plan.config.execution.latency.insert_ns:
        starts = [times[:1] for times in _times_of_rows(plan)]
        start = int(np.concatenate(starts).min())
        parts += [np.arange(first + step, last + 1, step) for step in timer_steps_ns(first, last)]
        parts += [np.arange(start + _PURGE_NS, end + 1, _PURGE_NS), *_funding(plan)]
    moments = np.unique(np.concatenate(parts))
    return moments[moments <= end]


def closing_steps(plan: RunPlan, wakeups: Ints, underway: Ints) -> Ints:
    """Return what happens as positions are closed, rows of `kernel.close_positions`.

    Orders on their way, cancels and the orders that close arrive in the order of their times, those
    of one time in the order in which they were sent; each at the first of the times `wakeups`.
    """
    from odum_assets.vectorized.ticks.kernel import ARRIVES, CANCELS, CLOSES

    latency, close_at = plan.config.execution.latency, plan.close_at_ns
    late = [close_at + latency.cancel_ns, close_at + latency.insert_ns]
    arrival = np.concatenate([underway, np.array(late, np.int64)])
    what = np.append(np.full(len(underway), ARRIVES), [CANCELS, CLOSES])
    order = np.argsort(arrival, kind="stable")
    seen = wakeups[np.searchsorted(wakeups, np.maximum(arrival, close_at))]
    return np.stack([seen[order], what[order]])


def _times_of_rows(plan: RunPlan) -> list[Ints]:
    """Return the times of all rows of a run, by file."""
    parts = []
    start, end = plan.bounds
    for kind in plan.data_types:
        folder = plan.catalog / "data" / FOLDERS[kind] / plan.config.key.nautilus_id
        for path in sorted(folder.glob("*.parquet")):
            times = _column(path, "ts_init")
            low = 0 if start is None else int(np.searchsorted(times, start))
            high = len(times) if end is None else int(np.searchsorted(times, end))
            parts.append(times[low:high])
    return parts


def _funding(plan: RunPlan) -> list[Ints]:
    """Return times of rates, and times at, before and after which funding is due."""
    start, end = plan.bounds
    moments = []
    for path in plan.funding_files:
        times, due = _column(path, "ts_init"), _column(path, "next_funding_ns")
        inside = (times >= (start or 0)) & (times < (2**62 if end is None else end))
        moments += [times[inside], due[inside]]
        watched = due[(due > plan.first_trade_ns) & (due <= plan.ends_at_ns + SETTLE_NS)]
        moments += [watched - 1, watched + 1]
    return moments


def _column(path: Path, name: str) -> Ints:
    column: Any = pq.read_table(path, columns=[name])[name]
    times: Ints = column.cast("int64").drop_null().to_numpy()
    return times
