"""The market of a run as candles, with its fills, its refusals and faults in the data by bucket."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from odum_assets.catalog.fixed_point import Float64s, Int64s
from odum_assets.raw.layout import DataType
from odum_assets.results.buckets import (
    Extremes,
    Grid,
    Groups,
    Sums,
    amounts_of,
    floats_of_units,
    is_value,
    nearest_floats,
)
from odum_assets.results.market import Market, PartitionNow, rows_in_order
from odum_assets.results.scanning import scan, times_of
from odum_assets.results.store import ResultEntry
from odum_assets.results.tables import TableFile
from odum_assets.utc import DAY_NS, day_start_ns

_SHORTEST_GAP_S: Final = 10.0
_MOST_BANDS: Final = 200
_REFUSED: Final = ("denied", "rejected")


@dataclass(slots=True)
class Candles:
    """Open, high, low, close, volume and rows of each bucket."""

    grid: Grid
    prices: tuple[Extremes, ...] = field(init=False)
    volume: Sums = field(init=False)
    rows: Int64s = field(init=False)

    def __post_init__(self) -> None:
        count = self.grid.count
        self.prices = tuple(Extremes(count) for _ in range(4))
        self.volume = Sums(count)
        self.rows = np.zeros(count, np.int64)

    def update(self, times: Int64s, prices: Sequence[Any], size: Any) -> None:  # noqa: ANN401
        """Take rows in order of time: open, high, low and close of each (or a price), and size."""
        groups = self.grid.groups(times)
        values = [nearest_floats(price) for price in prices]
        for extremes, value in zip(self.prices, values, strict=False):
            extremes.update(groups, value)
        self.volume.update(groups, size)
        self.rows[groups.buckets] += groups.counts

    def add(self, fine: "Candles") -> None:
        """Take those of finer buckets as far as they lie in these."""
        at, groups = self.grid.inside(fine.grid, fine.rows)
        if groups.rows:
            for extremes, finer in zip(self.prices, fine.prices, strict=True):
                if finer.rows.any():
                    extremes.add(finer, at, groups)
            self.volume.add_finer(fine.volume, at, groups)
            self.rows[groups.buckets] += np.add.reduceat(fine.rows[at], groups.starts)

    def columns(self) -> dict[str, list[Any]]:
        """Return the columns of the buckets that have rows."""
        first, *others = self.prices
        at = np.flatnonzero(self.rows)
        # Trades have one price; bars have four.
        high, low, close = others if others[0].rows.any() else (first, first, first)
        columns = {
            "o": first.first,
            "h": high.max,
            "l": low.min,
            "c": close.last,
            "v": self.volume.floats(),
            "n": self.rows,
        }
        return {"i": at.tolist(), **{name: value[at].tolist() for name, value in columns.items()}}


def market_partitions(partitions: Iterable[PartitionNow]) -> list[PartitionNow]:
    """Return the partitions that candles are drawn from: trades, or bars."""
    return [
        part for part in partitions if part.data_type is DataType.TRADES or part.data_type.is_bars
    ]


def market_candles(
    partitions: Sequence[PartitionNow], grid: Grid, start_ns: int, end_ns: int
) -> Candles:
    """Return candles of partitions that are those of the run.

    Parameters
    ----------
    partitions : sequence of PartitionNow
        Trades or bars of one instrument.
    grid : Grid
        The buckets.
    start_ns, end_ns : int
        What the run replayed, its end excluded. A bar counts by its last nanosecond.
    """
    start, end = max(grid.t0, start_ns), min(grid.end, end_ns)
    candles = Candles(grid)
    if partitions and partitions[0].data_type.is_bars:
        names = ("open", "high", "low", "close", "volume")
        for times, batch in rows_in_order(partitions, names, start + 1, end + 1):
            *prices, volume = (batch[name] for name in names)
            candles.update(times - 1, prices, volume)
    else:
        for times, batch in rows_in_order(partitions, ("price", "size"), start, end):
            candles.update(times, [batch["price"]], batch["size"])
    return candles


def exported_candles(ticks: TableFile, grid: Grid) -> Candles:
    """Return candles of the ticks that a run exported."""
    candles = Candles(grid)
    for times, batch in scan(ticks, "ts_init", ("price", "size"), grid.t0, grid.end):
        candles.update(times, [batch["price"]], batch["size"])
    return candles


class Fills:
    """Fills by side and bucket: how many, quantity, mean price weighted by quantity."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.sides = {side: _SideFills(grid.count) for side in ("buy", "sell")}

    def read(self, fills: TableFile, instrument: str | None) -> "Fills":
        """Take the fills of a run; of one of its instruments, unless None."""
        names = ("side", "price", "quantity", "instrument")
        for times, batch in scan(fills, "timestamp", names, self.grid.t0, self.grid.end):
            kept = is_value(batch, "instrument", instrument)
            groups, (units, precision) = self.grid.groups(times), amounts_of(batch["quantity"])
            quantity = (
                nearest_floats(batch["quantity"])
                if units.dtype == object
                else floats_of_units(units, precision)
            )
            value = nearest_floats(batch["price"]) * quantity
            for side, of_side in self.sides.items():
                rows = np.flatnonzero(kept & is_value(batch, "side", side))
                of_side.update(groups.only(rows), units[rows], precision, value[rows])
        return self

    def add(self, fine: "Fills") -> None:
        """Take those of finer buckets as far as they lie in these."""
        for side, of_side in self.sides.items():
            finer = fine.sides[side]
            of_side.add(finer, *self.grid.inside(fine.grid, finer.rows))

    def columns(self) -> dict[str, Any]:
        """Return the columns of the buckets that have fills, by side."""
        return {f"{side}s": of_side.columns() for side, of_side in self.sides.items()}


class _SideFills:
    """Fills of one side."""

    def __init__(self, count: int) -> None:
        self.rows = np.zeros(count, np.int64)
        self.quantity = Sums(count)
        self.value = np.zeros(count)

    def update(
        self, groups: Groups, units: npt.NDArray[Any], precision: int, value: Float64s
    ) -> None:
        """Take fills in order of time: their quantity as `amounts_of`, and their value."""
        if groups.rows:
            self.rows[groups.buckets] += groups.counts
            self.quantity.add(groups, units, precision)
            self.value[groups.buckets] += np.add.reduceat(value, groups.starts)

    def add(self, fine: "_SideFills", at: Int64s, groups: Groups) -> None:
        """Take those of finer buckets, by their numbers, and their groups."""
        if groups.rows:
            self.rows[groups.buckets] += np.add.reduceat(fine.rows[at], groups.starts)
            self.quantity.add_finer(fine.quantity, at, groups)
            self.value[groups.buckets] += np.add.reduceat(fine.value[at], groups.starts)

    def columns(self) -> dict[str, list[Any]]:
        at = np.flatnonzero(self.rows)
        quantity = self.quantity.floats()[at]
        return {
            "i": at.tolist(),
            "n": self.rows[at].tolist(),
            "qty": quantity.tolist(),
            "vwap": (self.value[at] / quantity).tolist(),
        }


class Refusals:
    """How many orders were denied or rejected, by bucket."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.rows = np.zeros(grid.count, np.int64)

    def read(self, orders: TableFile, instrument: str | None) -> "Refusals":
        """Take the orders of a run; of one of its instruments, unless None."""
        names = ("status", "instrument")
        for times, batch in scan(orders, "timestamp", names, self.grid.t0, self.grid.end):
            refused = is_value(batch, "instrument", instrument) & np.logical_or(
                *(is_value(batch, "status", status) for status in _REFUSED)
            )
            groups = self.grid.groups(times[refused])
            self.rows[groups.buckets] += groups.counts
        return self

    def add(self, fine: "Refusals") -> None:
        """Take those of finer buckets as far as they lie in these."""
        at, groups = self.grid.inside(fine.grid, fine.rows)
        if groups.rows:
            self.rows[groups.buckets] += np.add.reduceat(fine.rows[at], groups.starts)

    def columns(self) -> dict[str, list[int]]:
        """Return the columns of the buckets that have any."""
        at = np.flatnonzero(self.rows)
        return {"i": at.tolist(), "n": self.rows[at].tolist()}


def bands(
    entry: ResultEntry, partitions: Sequence[PartitionNow], start_ns: int, end_ns: int
) -> list[dict[str, Any]]:
    """Return spans with faults in the data of a run, in a window, by their begin.

    Parameters
    ----------
    entry : ResultEntry
        The run.
    partitions : sequence of PartitionNow
        All that it read of one instrument, as they are now; others than the run's are left out.
    start_ns, end_ns : int
        The window.
    """
    all_bands: list[tuple[int, int, str, str | None]] = []
    for day in entry.metadata().get("missing_days") or []:
        first = day_start_ns(date.fromisoformat(day))
        all_bands.append((first, first + DAY_NS, "missing_day", None))
    for part in partitions:
        if part.source == "same" and part.manifest is not None:
            all_bands += _bands_of(part)
    inside = [item for item in all_bands if item[0] < end_ns and item[1] > start_ns]
    longest = sorted(inside, key=lambda band: band[0] - band[1])[:_MOST_BANDS]
    return [
        {"kind": kind, "from_ns": str(first), "to_ns": str(last), "data_type": data_type}
        for first, last, kind, data_type in sorted(longest)
    ]


def _bands_of(part: PartitionNow) -> Iterator[tuple[int, int, str, str]]:
    assert part.manifest is not None  # noqa: S101 - see the caller
    quality, name = part.manifest.quality, part.data_type.value
    if not part.data_type.is_bars:
        for gap in (quality.get("gaps") or {}).get("largest") or []:
            if gap["seconds"] > _SHORTEST_GAP_S:
                yield int(gap["start"]), int(gap["end"]), "gap", name
    if part.data_type is DataType.BOOK and quality.get("crossed_books"):
        for first, last in _crossed(_Hashable(part)):
            yield first, last, "crossed", name


@dataclass(frozen=True, slots=True)
class _Hashable:
    """A partition as a key of what follows from its data file."""

    part: PartitionNow = field(compare=False)
    key: tuple[object, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", (self.part.root, *self.part.state))


@lru_cache(maxsize=64)
def _crossed(book: _Hashable) -> list[tuple[int, int]]:
    """Return the longest spans in which the best bid is above the best ask, ns."""
    with book.part.opened() as path, pq.ParquetFile(path, memory_map=True) as file:
        parts = [
            (times_of(batch["ts_init"]), _best(batch["bids"]) > _best(batch["asks"]))
            for batch in file.iter_batches(columns=["ts_init", "bids", "asks"])
        ]
    times = np.concatenate([part for part, _ in parts])
    edges = np.diff(
        np.concatenate([part for _, part in parts]).astype(np.int8), prepend=0, append=0
    )
    # It lasts until the next book.
    until = np.append(times[1:], times[-1] + 1)
    spans = zip(
        times[np.flatnonzero(edges == 1)].tolist(),
        until[np.flatnonzero(edges == -1) - 1].tolist(),
        strict=True,
    )
    return sorted(spans, key=lambda span: span[0] - span[1])[:_MOST_BANDS]


def _best(levels: Any) -> Float64s:  # noqa: ANN401 - a list column
    """Return the first price of each book side, nan without one."""
    starts = np.asarray(levels.offsets)
    prices = nearest_floats(levels.values.field("price"))
    is_there = starts[1:] > starts[:-1]
    best = np.full(len(is_there), np.nan)
    best[is_there] = prices[starts[:-1][is_there]]
    return best


def instrument_column(market: Market, instrument: str) -> str | None:
    """Return what a row's instrument must be; None where the run has one alone."""
    return instrument if len(market.instruments) > 1 else None
