"""Equity, drawdown and position of a run by bucket; every row of the curve counts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.catalog.arrow import kernels as pc
from odum_assets.catalog.fixed_point import Float64s, Int64s
from odum_assets.results.buckets import Extremes, Grid, nearest_floats
from odum_assets.results.scanning import scan, times_of
from odum_assets.results.store import ResultEntry
from odum_assets.results.tables import TableFile


@dataclass(frozen=True, slots=True)
class CurveFile:
    """The curve of a run: of the whole account, or of one instrument as if it alone had traded it.

    Parameters
    ----------
    file : TableFile
        ``equity.parquet``, or ``symbols.parquet`` for one instrument.
    instrument : str or None
        Whose; None for the account.
    start : float
        Equity at the start, to which an instrument's profit is added.
    """

    file: TableFile
    instrument: str | None = None
    start: float = 0.0

    @classmethod
    def of(cls, entry: ResultEntry, instrument: str | None) -> "CurveFile":
        """Return the curve of a stored run in report mode."""
        if instrument is None or len(entry.metadata().get("instrument_keys", ())) < 2:
            return cls(entry.report_file("equity.parquet"))
        start = entry.summary()["account"]["starting_balance"]
        return cls(entry.report_file("symbols.parquet"), instrument, float(start))

    def rows(self, end_ns: int | None = None) -> Iterator[tuple[Int64s, Float64s, Float64s]]:
        """Yield times, equity and position of the samples before an end, in order of time."""
        if self.instrument is None:
            names = ("portfolio_value", "position")
            for times, batch in scan(self.file, "timestamp", names, None, end_ns):
                equity, position = (nearest_floats(batch[name]) for name in names)
                yield times, equity, position
            return
        with self.file.opened() as path:
            # One instrument after the other: not in order of time as a whole.
            table = pq.read_table(path, filters=[("instrument", "=", self.instrument)])
        for batch in table.combine_chunks().to_batches():
            times = times_of(batch["timestamp"])
            last = len(times) if end_ns is None else int(times.searchsorted(end_ns))
            values = (nearest_floats(batch[name])[:last] for name in ("profit", "position"))
            profit, position = values
            yield times[:last], profit + self.start, position

    def span(self) -> tuple[int, int] | None:
        """Return the first and the last sample, ns; None without any."""
        with self.file.opened() as path, pq.ParquetFile(path) as file:
            bounds = [
                pc.min_max(batch["timestamp"].cast(pa.int64())).as_py()
                for group in {0, file.num_row_groups - 1} - {-1}
                for batch in file.iter_batches(row_groups=[group], columns=["timestamp"])
            ]
        if not bounds:
            return None
        return min(bound["min"] for bound in bounds), max(bound["max"] for bound in bounds)


class CurveBuckets:
    """A curve by bucket.

    Parameters
    ----------
    grid : Grid
        The buckets; times of the curve are shifted by `shift`.
    shift : int
        Subtracted from times, ns.
    """

    def __init__(self, grid: Grid, shift: int = 0) -> None:
        self.grid = grid
        self._shift = shift
        self._peak = -np.inf
        self._extremes = tuple(Extremes(grid.count) for _ in range(3))
        self._before: tuple[int, tuple[float, float, float]] | None = None
        self._times = np.zeros(grid.count, np.int64)
        self._lasts = np.full((3, grid.count), np.nan)

    def read(self, curve: CurveFile) -> "CurveBuckets":
        """Take the samples of a curve: from the begin, for the peaks before the window count."""
        for times, equity, position in curve.rows(self.grid.end + self._shift):
            if not len(times):
                continue
            peaks = np.fmax(np.fmax.accumulate(equity), self._peak)
            self._peak = float(peaks[-1])
            with np.errstate(divide="ignore", invalid="ignore"):
                drawdown = np.where(peaks > 0, (equity - peaks) / peaks, np.nan)
            shifted = times - self._shift
            first = int(shifted.searchsorted(self.grid.t0))
            if first:
                at = first - 1
                self._before = int(shifted[at]), (equity[at], drawdown[at], position[at])
            shifted = shifted[first:]
            groups = self.grid.groups(shifted)
            last = groups.starts + groups.counts - 1
            self._times[groups.buckets] = shifted[last]
            for number, values in enumerate((equity, drawdown, position)):
                self._extremes[number].update(groups, values[first:])
                self._lasts[number, groups.buckets] = values[first:][last]
        return self

    def coarser(self, grid: Grid) -> "CurveBuckets":
        """Return the buckets of a grid whose step is a multiple of this one's.

        These must begin with the curve.
        """
        coarser = CurveBuckets(grid)
        for extremes, finer in zip(coarser._extremes, self._extremes, strict=True):
            extremes.add(finer, *grid.inside(self.grid, finer.rows))
        at = np.flatnonzero(self._times)
        earlier = at[: self._times[at].searchsorted(grid.t0)]
        if len(earlier):
            equity, drawdown, position = self._lasts[:, earlier[-1]].tolist()
            coarser._before = int(self._times[earlier[-1]]), (equity, drawdown, position)
        return coarser

    @property
    def nbytes(self) -> int:
        """Return about how many bytes they take."""
        return self.grid.count * 8 * (3 * 5 + 4)

    def columns(self) -> dict[str, Any]:
        """Return the columns of the buckets that have samples, JSON-ready."""
        equity, drawdown, position = self._extremes
        at = np.flatnonzero(equity.rows)
        extremes = {name: getattr(equity, name)[at].tolist() for name in _EXTREMES}
        return {
            "t0_ns": str(self.grid.t0),
            "step_ns": str(self.grid.step),
            "i": at.tolist(),
            "equity": extremes,
            "drawdown": {"min": known(drawdown.min[at])},
            "position": {"last": known(position.last[at])},
            "before": self._point(),
        }

    def _point(self) -> dict[str, Any] | None:
        if self._before is None:
            return None
        ts, values = self._before
        equity, drawdown, position = known(np.array(values))
        return {"ts_ns": str(ts), "equity": equity, "drawdown": drawdown, "position": position}


_EXTREMES = ("first", "min", "max", "last")


def known(values: Float64s) -> list[float | None]:
    """Return values as JSON has them: nan is null."""
    return [None if value != value else value for value in values.tolist()]
