"""The price of the last trade at or before a time, read from trades partitions when asked for.

What belongs here: looking prices up in files. What does not: what an account is worth at them
(``equity``). Memory holds one row group at a time, whatever the size of a day.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from odum_assets.catalog.arrow import rows_at, times_of

type _Times = npt.NDArray[np.int64]
type _Bounds = tuple[int | None, int | None]


class LastPrices:
    """Price of the last trade at or before a time.

    Parameters
    ----------
    files : sequence of Path
        Trades partitions, each ascending by ``ts_init``; they must exist as long as prices are
        asked for. Rows of one time count in the order of the files.
    bounds : tuple of int or None
        Window (ns), the end exclusive: other trades do not exist.
    """

    def __init__(self, files: Sequence[Path], bounds: _Bounds) -> None:
        self._files = tuple(files)
        self._bounds = bounds
        self._count = 0
        edges: list[int] = []
        for path in self._files:
            with pq.ParquetFile(path) as file:
                for group in _groups(file, bounds):
                    self._count += group.rows
                    edges += [group.first, group.last]
        self._span = (min(edges), max(edges)) if edges else None

    def __len__(self) -> int:
        """Return the number of trades in the window."""
        return self._count

    @property
    def span(self) -> tuple[int, int]:
        """Return the first and last time (ns).

        Raises
        ------
        ValueError
            If there is no trade.
        """
        if self._span is None:
            raise ValueError("no trade lies in the window")
        return self._span

    @property
    def last(self) -> Decimal:
        """Return the price of the last trade.

        Raises
        ------
        ValueError
            If there is no trade.
        """
        (price,) = self.at([self.span[1]])
        if price is None:
            raise AssertionError("a trade has a price")
        return price

    def at(self, moments: Sequence[int]) -> list[Decimal | None]:
        """Return the price at each moment (ns), None before the first trade.

        Only row groups that hold an answer are read.
        """
        wanted = np.asarray(moments, dtype=np.int64)
        order = np.argsort(wanted, kind="stable")
        times = np.full(len(wanted), np.iinfo(np.int64).min)
        prices: list[Decimal | None] = [None] * len(wanted)
        for path in self._files:
            with pq.ParquetFile(path) as file:
                for places, known, values in _lookup(file, self._bounds, wanted[order]):
                    for place, time, price in zip(order[places], known, values, strict=True):
                        # Of trades at one time the last one counts: that of the later file.
                        if time >= times[place]:
                            times[place], prices[place] = time, price
        return prices


@dataclass(frozen=True, slots=True)
class _Group:
    """The rows of a row group that lie in a window: how many, and their first and last time."""

    index: int
    rows: int
    first: int
    last: int


def _groups(file: pq.ParquetFile, bounds: _Bounds) -> Iterator[_Group]:
    """Yield the row groups that have rows in a window; only those at its edges are read."""
    start, end = bounds
    metadata: Any = file.metadata
    column = file.schema_arrow.names.index("ts_init")
    for index in range(file.num_row_groups):
        statistics = metadata.row_group(index).column(column).statistics
        if statistics is not None and statistics.has_min_max:
            first, last = statistics.min_raw, statistics.max_raw
            if (start is not None and last < start) or (end is not None and first >= end):
                continue
            if (start is None or first >= start) and (end is None or last < end):
                yield _Group(index, metadata.row_group(index).num_rows, first, last)
                continue
        times, _ = _read(file, index, bounds)
        if len(times):
            yield _Group(index, len(times), int(times[0]), int(times[-1]))


def _read(
    file: pq.ParquetFile, group: int, bounds: _Bounds, *columns: str
) -> tuple[_Times, pa.Table]:
    """Return times and other columns of the rows of a row group that lie in a window."""
    table = file.read_row_group(group, columns=["ts_init", *columns])
    times: _Times = times_of(table["ts_init"])
    low = 0 if bounds[0] is None else int(np.searchsorted(times, bounds[0]))
    high = len(times) if bounds[1] is None else int(np.searchsorted(times, bounds[1]))
    return times[low:high], table.slice(low, high - low)


def _lookup(
    file: pq.ParquetFile, bounds: _Bounds, moments: _Times
) -> Iterator[tuple[slice, _Times, list[Decimal]]]:
    """Yield runs of ascending moments with time and price of the file's last trade at each.

    Moments before the file's first trade are left out.
    """
    for group, following in pairwise([*_groups(file, bounds), None]):
        if group is None:
            continue
        # Trades of one time may go on in the next group: a moment is answered by the last one.
        low = int(np.searchsorted(moments, group.first))
        high = len(moments)
        if following is not None:
            high = int(np.searchsorted(moments, following.first))
        if low >= high:
            continue
        times, rows = _read(file, group.index, bounds, "price")
        index = np.searchsorted(times, moments[low:high], side="right") - 1
        yield slice(low, high), times[index], rows_at(rows["price"], index)
