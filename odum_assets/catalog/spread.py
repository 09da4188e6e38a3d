"""How wide books are: per book, and weighted by the time that each one was the latest.

Only books with both sides that are not crossed have a spread. Memory does not follow the number of
books.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from odum_assets.catalog.quality_parts import Histogram, exact_sum
from odum_assets.catalog.timeline import Arrivals, Parts, Seconds, ratios, shortened
from odum_assets.catalog.times import DayWindow

Int64s = npt.NDArray[np.int64]

_REACH = 100_000
"""Spreads of so many ticks and more share a bin: a quantile among them is unknown."""
_LONGEST_NS = 10_000_000_000
"""A book counts no longer than this: without news for ten seconds the spread is unknown."""
_MANTISSA_BITS = 15
"""Bits of a float32 that a bin leaves open: bins are 1/256 of a power of two wide."""
_BPS_BINS = 2**31 >> _MANTISSA_BITS
_PER_BOOK = (5, 25, 50, 75, 95, 99)
_BY_TIME = (50, 95)


class Spreads:
    """Collect the spreads of books in order of arrival.

    Parameters
    ----------
    window : DayWindow
        The times of the partition.
    """

    def __init__(self, window: DayWindow) -> None:
        self._window = window
        self._ticks = Histogram(_REACH + 1)
        self._bps = Histogram(_BPS_BINS)
        self._held_ns = Histogram(_REACH + 1)
        self._count = self._sum = self._widest = 0
        self._held_sums = Seconds(window, np.float64)
        self._held_seconds = Seconds(window)
        self._highest = Seconds(window)
        self._last: tuple[int, int] | None = None

    def update(self, ts_init: Int64s, best_bid: Int64s, best_ask: Int64s) -> None:
        """Take more books: times (ns), best prices in ticks, 0 where there is none; each (n,)."""
        spread = best_ask - best_bid
        unknown = (best_bid == 0) | (best_ask == 0) | (spread < 0)
        if unknown.any():
            known = np.flatnonzero(~unknown)
            self._per_book(ts_init[known], spread[known], best_bid[known])
            spread = np.where(unknown, -1, spread)
        else:
            self._per_book(ts_init, spread, best_bid)
        self._by_time(ts_init, spread)

    def _per_book(self, ts_init: Int64s, spread: Int64s, best_bid: Int64s) -> None:
        if len(spread) == 0:
            return
        self._ticks.update(spread)
        self._bps.update(_bps_bins(spread, best_bid))
        self._count += len(spread)
        self._sum += exact_sum(spread)
        self._widest = max(self._widest, int(spread.max()))
        arrivals = Arrivals.of(ts_init, self._window)
        # One more than the spread: zero stands for no book.
        self._highest.raise_to(arrivals.seconds, arrivals.highest(spread) + 1)

    def _by_time(self, ts_init: Int64s, spread: Int64s) -> None:
        """Weigh each book but the last by the time until the next; -1 is an unknown spread."""
        if self._last is not None:
            ts_init = np.concatenate(([self._last[0]], ts_init))
            spread = np.concatenate(([self._last[1]], spread))
        self._last = (int(ts_init[-1]), int(spread[-1]))
        held = np.minimum(np.diff(ts_init), _LONGEST_NS)
        times, spread = ts_init[:-1], spread[:-1]
        if (spread < 0).any():
            known = np.flatnonzero(spread >= 0)
            times, spread, held = times[known], spread[known], held[known]
        if len(held) == 0:
            return
        self._held_ns.update(spread, held)
        arrivals = Arrivals.of(times, self._window)
        # Whole numbers, exact below 2**53: seven weeks of one tick, ten seconds of 900,000.
        self._held_sums.add(arrivals.seconds, arrivals.sums(held.astype(np.float64) * spread))
        self._held_seconds.add(arrivals.seconds, arrivals.sums(held))

    def figures(self, ticks_per_unit: int) -> dict[str, Any]:
        """Return the figures; quantiles are lower ones, prices are ticks over `ticks_per_unit`."""
        ticks = self._ticks.quantiles(_PER_BOOK)
        by_time = self._held_ns.quantiles(_BY_TIME)
        bps = [_bps_of(found) for found in self._bps.quantiles(_PER_BOOK)]
        mean_held = self._held_ns.mean()
        median = ticks[_PER_BOOK.index(50)]
        return {
            "books": self._count,
            "median": None if median is None else median / ticks_per_unit,
            "mean": self._sum / self._count / ticks_per_unit if self._count else None,
            "ticks": {
                **_named(_PER_BOOK, ticks),
                "max": self._widest if self._count else None,
            },
            "bps": _named(_PER_BOOK, bps),
            "by_time": {
                "seconds": self._held_ns.total / 1e9,
                "mean_ticks": None if mean_held is None else float(mean_held),
                **{f"{name}_ticks": found for name, found in _named(_BY_TIME, by_time).items()},
            },
        }

    def along_the_day(self, parts: Parts, ticks_per_unit: int) -> dict[str, Any]:
        """Return mean by time and maximum per part, as prices; None where there is no book."""
        held = parts.sums(self._held_seconds)
        return {
            "spread_mean": ratios(parts.sums(self._held_sums), held, ticks_per_unit),
            "spread_max": [
                shortened((ticks - 1) / ticks_per_unit) if ticks else None
                for ticks in parts.highest(self._highest).tolist()
            ],
        }


def _named(percents: tuple[int, ...], values: list[Any]) -> dict[str, Any]:
    names = ["median" if percent == 50 else f"p{percent:02}" for percent in percents]
    return dict(zip(names, values, strict=True))


def _bps_bins(spread: Int64s, best_bid: Int64s) -> Int64s:
    """Return the bin of each relative spread: the leading bits of a float32 sort like numbers."""
    # In floats: with 16 decimals, bid and ask of 462 fit 64 bits, and their sum does not.
    double_mid = 2.0 * best_bid + spread
    bps = (spread * 20_000.0 / double_mid).astype(np.float32)
    return (bps.view(np.int32) >> _MANTISSA_BITS).astype(np.int64)


def _bps_of(found: int | None) -> float | None:
    """Return the middle of a bin, exact for zero, else at most 0.2 % off."""
    if not found:
        return None if found is None else 0.0
    low, high = (
        float(np.int32((found + step) << _MANTISSA_BITS).view(np.float32)) for step in (0, 1)
    )
    return shortened((low + high) / 2)
