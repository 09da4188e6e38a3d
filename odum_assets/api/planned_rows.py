"""How many rows a planned run reads: of a part of a day those in it.

What belongs here: which window each partition of a plan is read in, and its rows there. What does
not: seconds that follow from them (``routes.planning``).
"""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Final

import pyarrow as pa

from odum_assets.catalog.row_counts import rows_between
from odum_assets.config import LoadedConfig
from odum_assets.errors import DataError
from odum_assets.orchestration.partition_state import Partition
from odum_assets.orchestration.planner import Plan
from odum_assets.utc import day_start_ns

type Window = tuple[int | None, int | None]

_MOST_OPENED: Final = 100
"""Data files that are opened for one plan; of others the share of their time is taken."""

_TIME_OF_DAY: Final = re.compile(r"[\d:.]+")


class PlannedRows:
    """Count rows of partitions in the time that a plan runs.

    Parameters
    ----------
    plan : Plan
        The plan.
    root_of : callable
        Return the catalog that a source's partitions are in.

    Attributes
    ----------
    is_estimated : bool
        Whether any count so far follows from a share of time.
    """

    def __init__(self, plan: Plan, root_of: Callable[[LoadedConfig], Path]) -> None:
        self.is_estimated = False
        self._root_of = root_of
        self._window = _windows(plan)
        self._left = _MOST_OPENED

    def of(self, part: Partition) -> int | None:
        """Return how many rows of a partition are read, None while it is not converted."""
        manifest = part.manifest
        if manifest is None:
            return None
        start, end = self._window(part.day)
        first, last = manifest.first_ts_init, manifest.last_ts_init
        if (start is None or start <= first) and (end is None or end > last):
            return manifest.rows_written
        if (start is not None and start > last) or (end is not None and end <= first):
            return 0
        if self._left > 0:
            self._left -= 1
            try:
                path = manifest.data_path(self._root_of(part.source.loaded))
                return rows_between(path, start, end)
            except (OSError, DataError, pa.ArrowInvalid):
                # In a bucket, or damaged: the run fetches it, or says so.
                pass
        self.is_estimated = True
        low, high = max(first, start or first), min(last, end or last)
        return round(manifest.rows_written * (high - low) / max(last - first, 1))


def _windows(plan: Plan) -> Callable[[date], Window]:
    """Return the window (ns, end exclusive) in which the rows of a day are read."""
    request = plan.request
    if request.calendar is not None:
        # Bars belong to sessions, and earlier ones warm up: whole partitions are counted.
        return lambda _day: (None, None)
    if not plan.days:
        window = request.bounds() if request.days else request.window()
        return lambda _day: window
    first = date.fromisoformat(plan.days[0])
    moves = {
        name: _TIME_OF_DAY.fullmatch(str(plan.config.get(name) or "")) is not None
        for name in ("start", "end")
    }

    def of_day(day: date) -> Window:
        later = day_start_ns(day) - day_start_ns(first)
        start, end = (
            bound + later if bound is not None and moves[name] else bound
            for name, bound in (("start", request.start_ns), ("end", request.end_ns))
        )
        return replace(request, days=(day,), start_ns=start, end_ns=end).bounds()

    return of_day
