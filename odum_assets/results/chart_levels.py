"""What the chart of a run is drawn from, by fine buckets of all of it: coarser ones follow at once.

Going over all rows of a large run takes most of a second of processor time, whatever the buckets.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from odum_assets.results.buckets import LADDER, Grid, grid_over
from odum_assets.results.candles import (
    Candles,
    Fills,
    Refusals,
    exported_candles,
    market_candles,
    market_partitions,
)
from odum_assets.results.market import PartitionNow, replayed
from odum_assets.results.store import ResultEntry
from odum_assets.results.tables import TableFile

_MOST_BUCKETS: Final = 20_000
_STEPS: Final = tuple(
    step
    for number, step in enumerate(LADDER)
    if not any(longer % step for longer in LADDER[number:])
)
"""Lengths of buckets that divide every longer one."""

_REFUSED: Final = ("denied", "rejected")


@dataclass(frozen=True, slots=True)
class ChartSource:
    """Where the rows of a chart come from.

    Parameters
    ----------
    entry : ResultEntry
        The run.
    partitions : sequence of PartitionNow
        What it read of one instrument, all of it the same as at the run; empty if it is not.
    ticks : TableFile or None
        The run's own export, to be read in their place.
    instrument : str or None
        What a row's instrument must be.
    """

    entry: ResultEntry
    partitions: Sequence[PartitionNow]
    ticks: TableFile | None
    instrument: str | None


@dataclass(frozen=True, slots=True)
class ChartBuckets:
    """Candles, fills and refusals of a run by bucket."""

    grid: Grid
    candles: Candles
    fills: Fills
    refusals: Refusals

    @classmethod
    def empty(cls, grid: Grid) -> "ChartBuckets":
        """Return buckets without anything in them."""
        return cls(grid, Candles(grid), Fills(grid), Refusals(grid))

    @classmethod
    def read(cls, source: ChartSource, grid: Grid) -> "ChartBuckets":
        """Go over the rows of a window."""
        entry = source.entry
        buckets = cls.empty(grid)
        if source.ticks is not None:
            candles = exported_candles(source.ticks, grid)
        else:
            parts = market_partitions(source.partitions)
            candles = market_candles(parts, grid, *replayed(entry))
        buckets.fills.read(entry.report_file("fills.parquet"), source.instrument)
        if any(entry.summary()["orders_by_status"].get(status) for status in _REFUSED):
            buckets.refusals.read(entry.report_file("orders.parquet"), source.instrument)
        return cls(grid, candles, buckets.fills, buckets.refusals)

    def coarser(self, grid: Grid) -> "ChartBuckets":
        """Return those of a grid whose step is a multiple of this one's."""
        coarser = ChartBuckets.empty(grid)
        coarser.candles.add(self.candles)
        coarser.fills.add(self.fills)
        coarser.refusals.add(self.refusals)
        return coarser

    def columns(self) -> dict[str, Any]:
        """Return the columns of the buckets that have anything in them."""
        return {
            **self.candles.columns(),
            **self.fills.columns(),
            "refused": self.refusals.columns(),
        }

    @property
    def nbytes(self) -> int:
        """Return about how many bytes they take."""
        sums = [self.candles.volume, *(side.quantity for side in self.fills.sides.values())]
        # Four extremes of five columns; rows of each kind; values of two sides.
        return sum(array.nbytes for array in sums) + self.grid.count * 8 * 26


def level_of(start_ns: int, end_ns: int, least_step: int) -> Grid | None:
    """Return the fine buckets over all of a run; None if even days are too many.

    Parameters
    ----------
    start_ns, end_ns : int
        The run, its end excluded.
    least_step : int
        Shortest length, ns.
    """
    for step in _STEPS:
        grid = grid_over(start_ns, end_ns, _MOST_BUCKETS, least_step=max(step, least_step))
        if grid.step in _STEPS and grid.count <= _MOST_BUCKETS:
            return grid
    return None


def serves(level: Grid, grid: Grid) -> bool:
    """Return whether buckets follow from finer ones, and are of so much that these are worth it."""
    shared = min(level.end, grid.end) - max(level.t0, grid.t0)
    return grid.step % level.step == 0 and 2 * shared >= level.end - level.t0
