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
    Sums,
    amounts_of,
    counts,
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
        buckets = self.grid.of(times)
        values = [nearest_floats(price) for price in prices]
        for extremes, value in zip(self.prices, values, strict=False):
            extremes.update(buckets, value)
        self.volume.update(buckets, size)
        self.rows += counts(buckets, self.grid.count)

    def columns(self) -> dict[str, list[Any]]:
        """Return the columns of the buckets that have rows."""
        first, *others = self.prices
        at = np.flatnonzero(self.rows)
        # Trades have one price; bars have four.
        high, low, close = others if others[0].rows.any() else (first, first, first)
        found = {
            "o": first.first,
            "h": high.max,
            "l": low.min,
            "c": close.last,
            "v": self.volume.floats(),
            "n": self.rows,
        }
        return {"i": at.tolist(), **{name: value[at].tolist() for name, value in found.items()}}


def market_partitions(partitions: Iterable[PartitionNow]) -> list[PartitionNow]:
    """Return the partitions that candles are drawn from: trades, or bars."""
    return [
        part for part in partitions if part.data_type is DataType.TRADES or part.data_type.is_bars
    ]


def candle_columns(
    partitions: Sequence[PartitionNow], grid: Grid, start_ns: int, end_ns: int
) -> dict[str, list[Any]]:
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
    return candles.columns()


def exported_candles(ticks: TableFile, grid: Grid) -> dict[str, list[Any]]:
    """Return candles of the ticks that a run exported."""
    candles = Candles(grid)
    for times, batch in scan(ticks, "ts_init", ("price", "size"), grid.t0, grid.end):
        candles.update(times, [batch["price"]], batch["size"])
    return candles.columns()


def fill_columns(fills: TableFile, grid: Grid, instrument: str | None) -> dict[str, Any]:
    """Return fills by side and bucket: how many, quantity, mean price weighted by quantity.

    Parameters
    ----------
    fills : TableFile
        The fills of the run.
    grid : Grid
        The buckets.
    instrument : str or None
        Whose fills; None for a run of one.
    """
    sides = {side: _SideFills(grid.count) for side in ("buy", "sell")}
    names = ("side", "price", "quantity", "instrument")
    for times, batch in scan(fills, "timestamp", names, grid.t0, grid.end):
        kept = is_value(batch, "instrument", instrument)
        buckets, (units, precision) = grid.of(times), amounts_of(batch["quantity"])
        value = nearest_floats(batch["price"]) * nearest_floats(batch["quantity"])
        for side, found in sides.items():
            rows = np.flatnonzero(kept & is_value(batch, "side", side))
            found.update(buckets[rows], units[rows], precision, value[rows])
    return {f"{side}s": found.columns() for side, found in sides.items()}


class _SideFills:
    """Fills of one side."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._rows = np.zeros(count, np.int64)
        self._quantity = Sums(count)
        self._value = np.zeros(count)

    def update(
        self, buckets: Int64s, units: npt.NDArray[Any], precision: int, value: Float64s
    ) -> None:
        """Take fills in order of time: their quantity as `amounts_of`, and their value."""
        self._rows += counts(buckets, self._count)
        self._quantity.add(buckets, units, precision)
        self._value += np.bincount(buckets, value, self._count)

    def columns(self) -> dict[str, list[Any]]:
        at = np.flatnonzero(self._rows)
        quantity = self._quantity.floats()[at]
        return {
            "i": at.tolist(),
            "n": self._rows[at].tolist(),
            "qty": quantity.tolist(),
            "vwap": (self._value[at] / quantity).tolist(),
        }


def refusal_columns(orders: TableFile, grid: Grid, instrument: str | None) -> dict[str, list[int]]:
    """Return by bucket how many orders were denied or rejected."""
    rows = np.zeros(grid.count, np.int64)
    names = ("status", "instrument")
    for times, batch in scan(orders, "timestamp", names, grid.t0, grid.end):
        refused = is_value(batch, "instrument", instrument) & np.logical_or(
            *(is_value(batch, "status", status) for status in _REFUSED)
        )
        rows += counts(grid.of(times[refused]), grid.count)
    at = np.flatnonzero(rows)
    return {"i": at.tolist(), "n": rows[at].tolist()}


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
    found: list[tuple[int, int, str, str | None]] = []
    for day in entry.metadata().get("missing_days") or []:
        first = day_start_ns(date.fromisoformat(day))
        found.append((first, first + DAY_NS, "missing_day", None))
    for part in partitions:
        if part.source == "same" and part.manifest is not None:
            found += _bands_of(part)
    inside = [item for item in found if item[0] < end_ns and item[1] > start_ns]
    longest = sorted(inside, key=lambda each: each[0] - each[1])[:_MOST_BANDS]
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
